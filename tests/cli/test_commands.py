"""The commands, and that an error of ours is a line and exit status 1."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from socket import create_server

import pytest

from tests.services.processes import free_port
from tests.services.registry import run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version(arguments: list[str]) -> None:
    assert run(*arguments).stdout.startswith("registry-server 0.")


def test_drivers() -> None:
    """Nothing is cut where the output goes to a file: it may be searched there."""
    told = run("drivers", COLUMNS="40").stdout
    assert "filesystem" in told
    assert "memory" in told
    assert "LocalFiles" in told
    assert "10 MiB each" in told
    assert "…" not in told


def test_drivers_check(tmp_path: Path) -> None:
    root = tmp_path / "root"
    done = run("drivers", "check", REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=str(root))
    assert done.returncode == 0, done.stderr
    assert "extensions: LocalFiles" in done.stdout
    assert "delete what was written: ok" in done.stdout
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_drivers_check_says_what_fails(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.write_text("")
    done = run("drivers", "check", REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=str(root))
    assert done.returncode == 1
    assert f"open the store: FAILED: {root}" in done.stdout


def test_check_tells_warnings(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("{http: {addr: ':5000', secret: x}}")
    done = run("config", "check", str(path))
    assert done.returncode == 0
    first, second, last = done.stdout.splitlines()
    assert first.startswith("warning: http.secret: ignored")
    assert second.startswith("warning: http.addr: :5000 can be reached")
    assert last == f"{path}: no errors"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"REGISTRY_HTTP_ADDR": "x"}, "http.addr (from REGISTRY_HTTP_ADDR): 'x' is not an address"),
        ({"REGISTRY_HTTP_ADDR": ":5000"}, "http.addr: :5000 can be reached from other machines"),
        ({"REGISTRY_AUTH_HTPASSWD_PATH": "/nowhere"}, "auth.htpasswd.path: /nowhere: No such file"),
        (
            {"REGISTRY_HTTP_TLS": "{certificate: /nowhere, key: /nowhere}"},
            "http.tls.certificate: /nowhere: No such file",
        ),
        ({"REGISTRY_STORAGE": "s4"}, "storage.s4: unknown driver"),
    ],
)
def test_serve_refuses_in_a_line(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    done = run("serve", REGISTRY_DATA_DIRECTORY=str(tmp_path), **settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"registry-server: {message}")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_a_line(tmp_path: Path, workers: str) -> None:
    with closing(create_server(("127.0.0.1", 0))) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = run(
            *("serve", "--workers", workers),
            REGISTRY_DATA_DIRECTORY=str(tmp_path),
            REGISTRY_HTTP_ADDR=address,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"registry-server: http.addr: {address} is in use by another program")


def test_workers_cannot_share_a_store_in_memory(tmp_path: Path) -> None:
    done = run(
        "serve", "--workers", "2", REGISTRY_STORAGE="memory", REGISTRY_HTTP_ADDR="127.0.0.1:1"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("registry-server: storage.memory: each worker would have a store")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_catalog_that_is_not_the_stores_is_refused_until_it_adopts(
    tmp_path: Path, workers: str
) -> None:
    """An empty catalog on a store that has another, and the command that resolves it."""
    root = tmp_path / "store"
    settings = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(root),
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{free_port()}",
    }
    assert run("adopt", **settings).returncode == 0
    other = {**settings, "REGISTRY_CATALOG_URL": f"sqlite:///{tmp_path}/other.sqlite"}
    refused = run("serve", "--workers", workers, **other)
    assert refused.returncode == 1
    assert "registry-server adopt" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    adopted = run("adopt", **other)
    assert adopted.returncode == 0
    assert adopted.stdout == "the store belongs to this catalog now\n"


def test_a_fault_of_ours_is_a_line_too(tmp_path: Path) -> None:
    """A data directory that cannot be made."""
    (tmp_path / "file").write_text("")
    done = run("serve", REGISTRY_DATA_DIRECTORY=str(tmp_path / "file" / "below"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_repair_gives_each_store_of_a_mirror_what_it_lacks(tmp_path: Path) -> None:
    stores = ["near", "far"]
    settings = {
        "REGISTRY_DATA_DIRECTORY": str(tmp_path / "data"),
        **{
            f"REGISTRY_STORAGE_MIRROR_STORES_{n}_FILESYSTEM_ROOTDIRECTORY": str(tmp_path / name)
            for n, name in enumerate(stores)
        },
    }
    assert run("adopt", **settings).returncode == 0
    [marker] = (tmp_path / "near" / "markers").rglob("*.*")
    marker.unlink()
    done = run("repair", **settings)
    assert done.stdout == "1 of 1 repaired; 1 blobs in all\n"
    assert marker.exists()
    marker.write_bytes(b"rotten")
    (tmp_path / "far" / marker.relative_to(tmp_path / "near")).unlink()
    failed = run("repair", **settings)
    assert failed.returncode == 1
    assert failed.stdout == "0 of 1 repaired; 1 blobs in all\n"
    assert "does not have its digest" in failed.stderr


def test_what_is_kept_once_cannot_be_repaired(tmp_path: Path) -> None:
    refused = run("repair", REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.startswith("registry-server: storage.filesystem: keeps one copy")
