"""Where a SQLite database may lie, and who may open it: one host, on a disk of its own."""

from __future__ import annotations

import fcntl
import os
import platform
import re
from pathlib import Path

from registry_storage.errors import CatalogError, ConfigurationInvalid

# fmt: off
_NETWORK_FILE_SYSTEMS = frozenset((
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "orangefs", "pvfs2", "smb3", "smbfs",
))
# FUSE names its file systems `fuse.NAME`; others of them are local.
_NETWORK_FUSE = frozenset((
    "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "curlftpfs", "dropbox", "gcsfuse", "glusterfs",
    "goofys", "gvfsd-fuse", "juicefs", "lizardfs", "mfs", "moosefs", "mountpoint-s3", "rclone",
    "s3fs", "seaweedfs", "sshfs",
))
# fmt: on
_MOUNTS = Path("/proc/self/mounts")
# Spaces, tabs, line feeds and backslashes of a mount point are written so.
_OCTAL = re.compile(r"\\([0-7]{3})")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def refuse_network_file_system(directory: Path, setting: str, mounts: Path = _MOUNTS) -> None:
    """Raise `ConfigurationInvalid` if `directory` lies on a file system of another machine.

    SQLite's locks and shared memory are not reliable there.  `setting` is what chose the place.
    Where the system has no list of mounts, as on macOS, nothing is refused.
    """
    kind = _file_system(directory, mounts)
    if kind in _NETWORK_FILE_SYSTEMS or kind.removeprefix("fuse.") in _NETWORK_FUSE:
        raise ConfigurationInvalid(
            f"{setting}: {directory} is on a network file system ({kind}), where SQLite loses "
            "data: put the file on a local disk, or use PostgreSQL"
        )


def _file_system(directory: Path, mounts: Path) -> str:
    """The type of the file system, of the mount with the longest path above `directory`."""
    if not mounts.exists():
        return ""
    kind, longest = "", -1
    for line in mounts.read_text(errors="surrogateescape").splitlines():
        _, point, found, *_ = line.split(" ")
        mounted = Path(_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), point))
        if directory.is_relative_to(mounted) and len(mounted.parts) >= longest:
            kind, longest = found, len(mounted.parts)
    return kind


class HostGuard:
    """Held while a process has the database open: keeps every other host out.

    The file holds the boot id of the host that uses the database; whoever finds nobody else holding
    it writes its own.  Some shared disks do carry locks between hosts, and there two hosts would
    each map their own "shared" memory of the write-ahead log.
    """

    def __init__(self, path: Path) -> None:
        """Raises `CatalogError` if another host has the database open."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._enter(path)
        except BaseException:
            self.release()
            raise

    def _enter(self, path: Path) -> None:
        own = _boot_id()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, own, 0)
        # Turning the lock into a shared one lets go of it for a moment: only now it is known whose.
        fcntl.flock(self._file, fcntl.LOCK_SH)
        if os.pread(self._file, 1024, 0) != own:
            raise CatalogError(
                f"another host has this database open (see {path}), and SQLite serves one host: "
                "stop the other one, or use PostgreSQL"
            )

    def release(self) -> None:
        """Let other hosts in, once every process of this one has released it."""
        os.close(self._file)


def _boot_id() -> bytes:
    """What tells this host, since it was booted, from every other; the same in its containers."""
    if _BOOT_ID.exists():
        return _BOOT_ID.read_bytes()
    return platform.node().encode()
