"""What is wrong with a root that cannot be used, and what to do about it."""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from registry_storage.drivers.filesystem.failures import translated


@contextmanager
def making_ready(root: Path, folders: Sequence[str]) -> Iterator[None]:
    """Raise every `OSError` as one that names the obstacle.

    `folders` are those that a store has below its root.
    """
    try:
        yield
    except OSError as error:
        known = translated(error, root, str(root))
        message = _explanation(error, root, folders) or str(known)
        raise type(known)(message, location=str(root)) from error


def _explanation(error: OSError, root: Path, folders: Sequence[str]) -> str:
    """Empty where there is nothing to add to what the error says by itself."""
    match error.errno:
        case errno.EEXIST | errno.ENOTDIR | errno.ELOOP:
            return _obstacle(root, folders)
        case errno.EACCES | errno.EPERM:
            return _want_of_rights(root)
        case errno.EROFS:
            return (
                f"{root} is on a read-only file system: mount it writable, or name another folder"
            )
        case errno.ENOENT | errno.ENAMETOOLONG | errno.EINVAL:
            return f"{root} cannot be made ({error.strerror}): name another folder"
    return ""


def _obstacle(root: Path, folders: Sequence[str]) -> str:
    """What lies where the root, a folder above it or one of its own should be."""
    for path in (*reversed(root.parents), root):
        if os.path.lexists(path) and not os.path.isdir(path):
            return f"{_described(path)}, not a folder: name another folder for the store"
    for folder in folders:
        parts = Path(folder).parts
        for path in (root.joinpath(*parts[: n + 1]) for n in range(len(parts))):
            if os.path.islink(path) or os.path.isfile(path):
                return f"{_described(path)}, where the store has a folder: remove it"
    return ""


def _described(path: Path) -> str:
    if path.is_symlink():
        return f"{path} is a link to {os.readlink(path)}"
    return f"{path} is a {'file' if path.is_file() else 'device'}"


def _want_of_rights(root: Path) -> str:
    user = _name(os.geteuid())
    there = next(path for path in (root, *root.parents) if os.path.isdir(path))
    if there == root:
        return (
            f"{user} may not read and write in {root}, which belongs to "
            f"{_name(root.stat().st_uid)}: give it to {user} (chown -R), or name another folder"
        )
    return (
        f"{user} may not make {root}, for want of rights in {there}: make it and give it to {user} "
        "(mkdir, chown), or name another folder"
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
