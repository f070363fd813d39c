"""Running client programs, each test with storage and logins of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 120


@dataclass(frozen=True, slots=True)
class Result:
    """What a program left behind."""

    command: str
    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both outputs."""
        return f"{self.out}\n{self.err}"

    def json(self) -> Any:
        """The standard output, parsed."""
        return json.loads(self.out)


def start(
    *command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[str]:
    """Start a program; `finish` waits for it."""
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (env or {}),
        cwd=cwd,
    )


def finish(process: subprocess.Popen[str], *, fails: bool = False) -> Result:
    """Wait for a program and see that it succeeded, or failed if that is what the test wants."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    assert isinstance(process.args, list)
    result = Result(" ".join(process.args), process.returncode, out, err)
    verdict = "failed" if process.returncode else "succeeded"
    assert bool(process.returncode) is fails, f"{result.command} {verdict}:\n{result.text}"
    return result


def run(
    *command: str | Path,
    fails: bool = False,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Result:
    """Run a program to its end; `fails` tells that it must not succeed."""
    return finish(start(*command, env=env, cwd=cwd), fails=fails)


@dataclass(frozen=True, slots=True)
class Containers:
    """podman, buildah and skopeo with a storage, a trust policy and a login file of their own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def inside(cls, folder: Path) -> Containers:
        """Make the configuration in `folder`; pulls of zstd:chunked layers may be partial."""
        folder.mkdir(parents=True, exist_ok=True)
        storage = folder / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "overlay"\n'
            f'graphroot = "{folder}/root"\nrunroot = "{folder}/run"\n'
            "[storage.options]\npull_options = "
            '{enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}\n'
        )
        registries = folder / "registries.conf"
        registries.write_text("unqualified-search-registries = []\n")
        logins = folder / "auth.json"
        logins.write_text("{}")
        return cls(
            folder,
            {
                "CONTAINERS_STORAGE_CONF": str(storage),
                "CONTAINERS_REGISTRIES_CONF": str(registries),
                "REGISTRY_AUTH_FILE": str(logins),
                "BUILDAH_ISOLATION": "chroot",
            },
        )

    def podman(self, *words: str | Path, fails: bool = False) -> Result:
        """Run podman."""
        return run("podman", "--cgroup-manager=cgroupfs", *words, fails=fails, env=self.environment)

    def buildah(self, *words: str | Path, fails: bool = False) -> Result:
        """Run buildah."""
        return run("buildah", *words, fails=fails, env=self.environment)

    def skopeo(self, *words: str | Path, fails: bool = False) -> Result:
        """Run skopeo."""
        return run("skopeo", *words, fails=fails, env=self.environment)

    def remove(self) -> None:
        """Delete the storage and all that is in it."""
        for mount in (self.folder / "root" / "overlay", self.folder / "root"):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
        shutil.rmtree(self.folder)


@dataclass(frozen=True, slots=True)
class Docker:
    """The docker command for one engine, with a login file of its own."""

    host: str
    folder: Path

    def __call__(self, *words: str | Path, fails: bool = False) -> Result:
        return finish(self.start(*words), fails=fails)

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start a docker command; `finish` waits for it."""
        return start("docker", "--host", self.host, "--config", self.folder, *words)

    def image_id(self, reference: str) -> str:
        """The ID of a local image."""
        return self("image", "inspect", "--format", "{{.Id}}", reference).out.strip()


@dataclass(frozen=True, slots=True)
class Ctr:
    """The ctr command for one containerd."""

    socket: Path

    def __call__(self, *words: str | Path, fails: bool = False) -> Result:
        return run("ctr", "--address", self.socket, *words, fails=fails)

    def blob(self, digest: str) -> bytes:
        """What the content store holds as `digest`."""
        store = self.socket.parent / "root" / "io.containerd.content.v1.content"
        return (store / "blobs" / digest.replace(":", "/")).read_bytes()
