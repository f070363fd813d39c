"""The images that the clients carry: real ones, made of Debian packages, the same on every run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.clients.content import Documents, in_directory, in_layout, sha256
from tests.clients.programs import Containers

LAYERS = ("busybox-static", "tzdata", "ca-certificates")
"""Packages of the sample image, a layer each."""

DELETED = "usr/share/zoneinfo/zone.tab"
"""What the sample's last layer deletes again."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as a client program names it and as its bytes are."""

    source: str
    """For skopeo: transport and path."""
    root: str
    """The digest of the top manifest."""
    documents: Documents


@dataclass(frozen=True, slots=True)
class Images:
    """What `build` makes, in one folder."""

    folder: Path

    def oci(self, tag: str) -> Image:
        """An image of the OCI layout."""
        layout = self.folder / "oci"
        return Image(f"oci:{layout}:{tag}", *in_layout(layout, tag))

    def directory(self, name: str) -> Image:
        """An image kept in a folder of skopeo's `dir:` kind."""
        return Image(f"dir:{self.folder / name}", *in_directory(self.folder / name))

    @property
    def sample(self) -> Image:
        """Four layers with a whiteout in the last, as OCI."""
        return self.oci("sample")

    @property
    def sibling(self) -> Image:
        """Three layers of the sample, and one of its own."""
        return self.oci("sibling")

    @property
    def docker_sample(self) -> Image:
        """The sample as Docker schema 2."""
        return self.directory("sample-docker")

    @property
    def index(self) -> Image:
        """The sample for amd64 and another image for arm64, as an OCI index."""
        return self.oci("index")

    @property
    def docker_index(self) -> Image:
        """The same two as a Docker manifest list."""
        return self.directory("index-docker")

    @property
    def sample_files(self) -> dict[str, str]:
        """What the unpacked sample must hold, in the words of `files_below`."""
        files: dict[str, str] = {}
        for name in LAYERS:
            files |= files_below(self.folder / "trees" / name)
        del files[DELETED]
        return files


def files_below(folder: Path) -> dict[str, str]:
    """Every file and link below `folder`: its path, and its digest or what it points to."""
    return {
        str(path.relative_to(folder)): _summary(path)
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def _summary(path: Path) -> str:
    return f"-> {path.readlink()}" if path.is_symlink() else sha256(path.read_bytes())


def build(folder: Path, packages: Iterable[Path]) -> Images:
    """Unpack the packages, commit the layers and write the images out in every format."""
    images = Images(folder)
    containers = Containers.inside(folder / "work")
    try:
        trees = {_name(package): _unpack(package, folder) for package in packages}
        base = ""
        for name in LAYERS:
            base = _commit(containers, base, trees[name], name)
        _commit(containers, base, None, "sample")
        _commit(containers, base, trees["netbase"], "sibling")
        _commit(containers, "", trees["netbase"], "foreign", arch="arm64")
        _write_out(containers, images)
    finally:
        containers.remove()
    return images


def _name(package: Path) -> str:
    return package.name.partition("_")[0]


def _unpack(package: Path, folder: Path) -> Path:
    target = folder / "trees" / _name(package)
    target.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "--extract", package, target], check=True)
    return target


def _commit(
    containers: Containers, base: str, tree: Path | None, name: str, *, arch: str = "amd64"
) -> str:
    """Put `tree`, or a whiteout where there is none, upon `base`, and commit that as `name`."""
    container = containers.buildah("from", f"localhost/{base}" if base else "scratch").out.strip()
    if tree:
        containers.buildah("copy", container, tree, "/")
    else:
        mounted = Path(containers.buildah("mount", container).out.strip())
        (mounted / DELETED).unlink()
        containers.buildah("umount", container)
    settings = ("--arch", arch, "--os", "linux", "--cmd", "/bin/busybox sh")
    containers.buildah("config", *settings, "--label", f"sample={name}", container)
    containers.buildah("commit", "--timestamp", "0", "--rm", container, f"localhost/{name}")
    return name


def _write_out(containers: Containers, images: Images) -> None:
    folder = images.folder
    for name in ("sample", "sibling"):
        containers.buildah("push", f"localhost/{name}", f"oci:{folder}/oci:{name}")
    schema_2 = f"dir:{folder}/sample-docker"
    containers.buildah("push", "--format", "v2s2", "localhost/sample", schema_2)
    containers.buildah("manifest", "create", "both", "localhost/sample", "localhost/foreign")
    layout = f"oci:{folder}/oci:index"
    containers.buildah("manifest", "push", "--all", "both", layout)
    to_list = ("copy", "--all", "--format", "v2s2", layout, f"dir:{folder}/index-docker")
    containers.skopeo(*to_list)
