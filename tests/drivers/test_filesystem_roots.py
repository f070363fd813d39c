"""Roots that cannot be used: a line says what is in the way and what to do."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

import pytest

from registry_storage.drivers.filesystem import FilesystemDriver
from registry_storage.errors import (
    AccessDenied,
    ConfigurationInvalid,
    DriverError,
    DriverUnavailable,
)
from registry_storage.plugins import open_driver


async def refusal(root: Path) -> DriverError:
    """What a store at `root` says instead of starting."""
    with pytest.raises(DriverError) as refused:
        await FilesystemDriver(root).start()
    assert "\n" not in str(refused.value)
    assert refused.value.location == str(root)
    return refused.value


def refusing(monkeypatch: pytest.MonkeyPatch, error: int, call: str = "mkdir") -> None:
    """Let a call of the operating system fail."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, call, fail)


@pytest.mark.parametrize("below", ["", "below", "far/below"])
async def test_a_file_in_the_way_is_named(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert str(await refusal(file / below)) == (
        f"{file} is a file, not a folder: name another folder for the store"
    )


async def test_a_device_is_told_from_a_file() -> None:
    assert str(await refusal(Path("/dev/null"))).startswith("/dev/null is a device, not a folder")


@pytest.mark.parametrize(("target", "below"), [("nowhere", ""), ("link", ""), ("link", "below")])
async def test_a_link_to_no_folder_is_named(tmp_path: Path, target: str, below: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(target)
    assert f"{link} is a link to {target}, not a folder" in str(await refusal(link / below))


async def test_a_link_to_a_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to("disk")
    driver = FilesystemDriver(tmp_path / "root")
    await driver.start()
    await driver.close()
    assert (tmp_path / "disk" / "uploads").is_dir()


@pytest.mark.parametrize("folder", ["uploads", "blobs", "blobs/sha256"])
@pytest.mark.parametrize("is_link", [True, False])
async def test_what_lies_where_the_store_has_a_folder_is_named(
    tmp_path: Path, folder: str, is_link: bool
) -> None:
    obstacle = tmp_path / folder
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.symlink_to("/tmp") if is_link else obstacle.write_text("")
    told = str(await refusal(tmp_path))
    assert told.startswith(f"{obstacle} is a {'link to /tmp' if is_link else 'file'}")
    assert told.endswith("where the store has a folder: remove it")


async def test_who_may_not_make_the_root_is_told_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, errno.EACCES)
    refused = await refusal(tmp_path / "new" / "root")
    assert isinstance(refused, AccessDenied)
    assert f"may not make {tmp_path}/new/root, for want of rights in {tmp_path}:" in str(refused)
    assert pwd.getpwuid(os.geteuid()).pw_name in str(refused)


async def test_who_may_not_use_the_root_is_told_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    refusing(monkeypatch, errno.EACCES, "open")
    assert str(await refusal(tmp_path)) == (
        f"user 4000000 may not read and write in {tmp_path}, which belongs to {owner}: "
        "give it to user 4000000 (chown -R), or name another folder"
    )


async def test_a_file_system_that_is_read_only_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, errno.EROFS)
    refused = await refusal(tmp_path / "root")
    assert isinstance(refused, AccessDenied)
    assert "read-only file system: mount it writable" in str(refused)


@pytest.mark.parametrize("error", [errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN])
async def test_a_mount_that_is_gone_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    refusing(monkeypatch, error)
    refused = await refusal(tmp_path / "root")
    assert isinstance(refused, DriverUnavailable)
    assert f"{tmp_path}/root does not answer" in str(refused)
    assert "look at the mount" in str(refused)


async def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    assert "cannot be made (File name too long)" in str(await refusal(tmp_path / ("a" * 300)))


def test_a_name_that_no_path_can_have() -> None:
    with pytest.raises(ConfigurationInvalid, match="NUL"):
        open_driver("filesystem", {"rootdirectory": "a\0b"})


async def test_where_no_folder_can_be_made() -> None:
    assert str(await refusal(Path("/proc/registry"))) == (
        "/proc/registry cannot be made (No such file or directory): name another folder"
    )
