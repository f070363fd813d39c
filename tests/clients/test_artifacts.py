"""What is not an image: charts, plain files, signatures.

Helm is Helm's own Go code, oras is oras-py, and what refers to an image is attached by sigstore's
OCI client.  The package registries have no cosign: its older signatures, which lie under a tag, are
made here in the shape that it gives them, and skopeo carries them in its stead.
"""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.content import in_layout, sha256
from tests.clients.images import Images
from tests.clients.programs import Containers, Result, run
from tests.clients.registries import PASSWORD, USER, Registry
from tests.services.clients import NODE_MODULES, PYTHON

FOREIGN = Path(__file__).parent / "foreign"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
COSIGN_PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_SIGNATURE = "dev.cosignproject.cosign/signature"


@dataclass(frozen=True, slots=True)
class Helm:
    """Helm, with a folder of its own."""

    folder: Path

    def __call__(self, *words: str | Path, fails: bool = False) -> Result:
        script = FOREIGN / "helm_chart.py"
        return run(PYTHON, script, *words, fails=fails, cwd=self.folder)

    def chart(self, version: str) -> Path:
        """An archive of a chart."""
        chart = self.folder / "sample"
        (chart / "templates").mkdir(parents=True, exist_ok=True)
        (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: sample\nversion: {version}\n")
        template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
        (chart / "templates" / "config.yaml").write_text(template)
        return Path(self("package", chart, self.folder).out.strip())


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    """Helm."""
    return Helm(tmp_path)


def test_helm_pushes_and_pulls_a_chart(
    helm: Helm, registry: Registry, repository: str, tmp_path: Path
) -> None:
    archive = helm.chart("1.2.3")
    helm("push", f"{registry.host}/{repository}", archive)
    root, documents = registry.wire.closure(f"{repository}/sample", "1.2.3")
    manifest = json.loads(documents[root])
    assert manifest["config"]["mediaType"] == HELM_CONFIG
    assert [layer["mediaType"] for layer in manifest["layers"]] == [HELM_CHART]
    assert sha256(archive.read_bytes()) in documents
    (tmp_path / "back").mkdir()
    helm("pull", f"{registry.host}/{repository}/sample", "1.2.3", tmp_path / "back")
    assert (tmp_path / "back" / archive.name).read_bytes() == archive.read_bytes()


def test_helm_lists_its_versions_newest_first(
    helm: Helm, registry: Registry, repository: str
) -> None:
    """Helm writes the + of a version as _ in the tag, and reads it back."""
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1", "2.0.0+build"):
        helm("push", f"{registry.host}/{repository}", helm.chart(version))
    assert "2.0.0_build" in registry.wire.tags(f"{repository}/sample")
    listed = helm("tags", f"{registry.host}/{repository}/sample").out.split()
    assert listed == ["2.0.0+build", "1.10.0", "1.10.0-rc.1", "1.9.0"]


def test_helm_logs_in(helm: Helm, guarded_registry: Registry, repository: str) -> None:
    archive = helm.chart("1.0.0")
    remote = f"{guarded_registry.host}/{repository}"
    helm("push", remote, archive, fails=True)
    helm("push", remote, archive, USER, PASSWORD)
    assert guarded_registry.wire.tags(f"{repository}/sample") == ["1.0.0"]


def oras(folder: Path, action: str, options: dict[str, Any], **arguments: Any) -> None:
    """Run oras-py in `folder`."""
    asked = json.dumps({"action": action, "options": options} | arguments)
    command = [PYTHON, FOREIGN / "oras_files.py"]
    done = subprocess.run(
        command, input=asked, cwd=folder, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_oras_pushes_and_pulls_files(
    chunked: bool, images: Images, registry: Registry, repository: str, tmp_path: Path
) -> None:
    target = registry.name(repository)
    (package,) = (images.folder / "trees" / "busybox-static" / "bin").iterdir()
    (tmp_path / "tool").write_bytes(package.read_bytes())
    (tmp_path / "empty").touch()
    pushed = {
        "target": target,
        "files": ["tool:application/octet-stream", "empty:text/plain"],
        "manifest_annotations": {"made": "by a test"},
        "do_chunked": chunked,
        "chunk_size": 500_000,
    }
    oras(tmp_path, "push", pushed)
    _, documents = registry.wire.closure(repository, "latest")
    assert sha256(package.read_bytes()) in documents
    oras(tmp_path, "pull", {"target": target, "outdir": str(tmp_path / "back")})
    assert (tmp_path / "back" / "tool").read_bytes() == package.read_bytes()
    assert (tmp_path / "back" / "empty").read_bytes() == b""


def test_oras_logs_in(guarded_registry: Registry, repository: str, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("for members only\n")
    target = guarded_registry.name(repository)
    oras(tmp_path, "push", {"target": target, "files": ["note:text/plain"]}, login=[USER, PASSWORD])
    back = {"target": target, "outdir": str(tmp_path / "back")}
    oras(tmp_path, "pull", back, login=[USER, PASSWORD])
    assert (tmp_path / "back" / "note").read_text() == "for members only\n"


def put_sample(
    images: Images, registry: Registry, repository: str, containers: Containers, *words: str
) -> str:
    """Put the sample into the registry and return its digest."""
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false", *words)
    containers.skopeo(*push, images.sample.source, f"docker://{registry.name(repository)}")
    return images.sample.root


def referrers(registry: Registry, repository: str, digest: str) -> list[dict[str, Any]]:
    """What the registry says refers to `digest`."""
    answer = registry.wire.get(f"{repository}/referrers/{digest}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/vnd.oci.image.index.v1+json"
    manifests: list[dict[str, Any]] = answer.json()["manifests"]
    return manifests


@pytest.mark.ours_only
def test_oras_attaches_files_to_an_image(
    images: Images, registry: Registry, repository: str, containers: Containers, tmp_path: Path
) -> None:
    subject = put_sample(images, registry, repository, containers)
    (tmp_path / "bill").write_text("libc 2.36\n")
    options = {"target": registry.name(repository, "bill"), "files": ["bill:text/plain"]}
    subject_path = f"{registry.host}/v2/{repository}/manifests/{subject}"
    oras(tmp_path, "push", options, subject=subject_path)
    root, documents = registry.wire.closure(repository, "bill")
    assert json.loads(documents[root])["subject"]["digest"] == subject
    assert [entry["digest"] for entry in referrers(registry, repository, subject)] == [root]


@pytest.mark.ours_only
def test_sigstore_attaches_a_bundle_to_an_image(
    images: Images, registry: Registry, repository: str, containers: Containers, tmp_path: Path
) -> None:
    """Where referrers work, sigstore's client leaves no tag behind to stand in for them."""
    subject = put_sample(images, registry, repository, containers)
    bundle = tmp_path / "bundle.json"
    bundle.write_text(json.dumps({"mediaType": BUNDLE}))
    attach = ("node", FOREIGN / "attach.mjs", NODE_MODULES, f"{registry.host}/{repository}")
    attached = run(*attach, subject, bundle, BUNDLE).json()
    (entry,) = referrers(registry, repository, subject)
    assert entry["digest"] == attached["digest"]
    assert entry["artifactType"] == BUNDLE
    _, documents = registry.wire.closure(repository, entry["digest"])
    assert bundle.read_bytes() in documents.values()
    assert registry.wire.tags(repository) == ["latest"]


@pytest.mark.ours_only
def test_sigstore_logs_in(
    images: Images,
    guarded_registry: Registry,
    repository: str,
    containers: Containers,
    tmp_path: Path,
) -> None:
    login = (USER, PASSWORD)
    credentials = ("--dest-creds", ":".join(login))
    subject = put_sample(images, guarded_registry, repository, containers, *credentials)
    note = tmp_path / "note"
    note.write_text("looked at\n")
    name = f"{guarded_registry.host}/{repository}"
    attach = ("node", FOREIGN / "attach.mjs", NODE_MODULES, name, subject, note, "text/plain")
    run(*attach, fails=True)
    attached = run(*attach, *login).json()
    (entry,) = referrers(guarded_registry, repository, subject)
    assert entry["digest"] == attached["digest"]


def test_a_signature_under_a_tag_comes_back_and_verifies(
    images: Images, registry: Registry, repository: str, containers: Containers, tmp_path: Path
) -> None:
    subject = put_sample(images, registry, repository, containers)
    signer = Signer.with_new_key(tmp_path)
    layout = signer.signature_of(subject, registry.name(repository))
    expected = in_layout(layout, "signature")
    tag = f"{subject.replace(':', '-')}.sig"
    name = f"docker://{registry.name(repository, tag)}"
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false")
    containers.skopeo(*push, f"oci:{layout}:signature", name)
    assert registry.wire.closure(repository, tag) == expected
    back = tmp_path / "back"
    pull = ("copy", "--preserve-digests", "--src-tls-verify=false")
    containers.skopeo(*pull, name, f"oci:{back}:signature")
    root, documents = in_layout(back, "signature")
    (layer,) = json.loads(documents[root])["layers"]
    signature = base64.b64decode(layer["annotations"][COSIGN_SIGNATURE])
    assert signer.accepts(documents[layer["digest"]], signature)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as cosign does with a key pair: ECDSA on P-256 over a JSON payload."""

    folder: Path

    @classmethod
    def with_new_key(cls, folder: Path) -> Signer:
        """A signer whose key lies in `folder`."""
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        files = ("-keyout", folder / "key", "-out", folder / "certificate")
        run("openssl", "req", "-x509", *curve, *files, "-subj", "/CN=signer")
        public = run("openssl", "x509", "-in", folder / "certificate", "-noout", "-pubkey").out
        (folder / "public").write_text(public)
        return cls(folder)

    def accepts(self, payload: bytes, signature: bytes) -> bool:
        """Whether `signature` is one of ours for `payload`."""
        (self.folder / "payload").write_bytes(payload)
        (self.folder / "signature").write_bytes(signature)
        files = ("-signature", self.folder / "signature", self.folder / "payload")
        verified = run("openssl", "dgst", "-sha256", "-verify", self.folder / "public", *files)
        return "Verified OK" in verified.out

    def signature_of(self, digest: str, name: str) -> Path:
        """An OCI layout with cosign's signature manifest for an image, tagged `signature`."""
        critical = {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        }
        payload = json.dumps({"critical": critical, "optional": None}).encode()
        (self.folder / "payload").write_bytes(payload)
        run(
            *("openssl", "dgst", "-sha256", "-sign", self.folder / "key"),
            *("-out", self.folder / "signature", self.folder / "payload"),
        )
        signature = (self.folder / "signature").read_bytes()
        annotations = {COSIGN_SIGNATURE: base64.b64encode(signature).decode()}
        return _signature_layout(self.folder / "signed", payload, annotations)


def _signature_layout(layout: Path, payload: bytes, annotations: dict[str, str]) -> Path:
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def stored(data: bytes, media_type: str) -> dict[str, Any]:
        digest = sha256(data)
        (blobs / digest.partition(":")[2]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    config = {
        "architecture": "",
        "os": "",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [sha256(payload)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": stored(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [stored(payload, COSIGN_PAYLOAD) | {"annotations": annotations}],
    }
    top = stored(json.dumps(manifest).encode(), OCI_MANIFEST)
    top["annotations"] = {"org.opencontainers.image.ref.name": "signature"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return layout
