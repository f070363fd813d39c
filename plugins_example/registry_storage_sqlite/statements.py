"""What each operation does to the file, inside one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from registry_storage.digest import Digest
from registry_storage.drivers.api import BlobKind, Handle, Mark, MiB, Part, StoredBlob
from registry_storage.errors import BlobNotFound, PartLost, UploadNotFound

Db = sqlite3.Connection

PIECE = 1 * MiB
PAGE = 500
COLUMNS = "id, size, kind, digest, stored_at"


def put(db: Db, blob_id: str, data: bytes, mark: Mark | None) -> StoredBlob:
    """Publish, unless the id is published already: then this is a repetition."""
    if _publish(db, blob_id, len(data), mark):
        _store_pieces(db, blob_id, data)
    return found(db, blob_id)


def mark(db: Db, blob_id: str, mark: Mark) -> StoredBlob:
    db.execute(
        "UPDATE blobs SET kind = ?, digest = ? WHERE id = ?", (mark.kind, mark.digest, blob_id)
    )
    return found(db, blob_id)


def found(db: Db, blob_id: str) -> StoredBlob:
    row = db.execute(f"SELECT {COLUMNS} FROM blobs WHERE id = ?", (blob_id,)).fetchone()
    if row is None:
        raise BlobNotFound(f"nothing is stored at {blob_id!r}", location=blob_id)
    return _blob(row)


def piece(db: Db, blob_id: str, position: int) -> bytes:
    """The bytes from `position` to the end of the row that they are in."""
    row = db.execute(
        "SELECT start, bytes FROM pieces WHERE owner = ? AND start <= ?"
        " ORDER BY start DESC LIMIT 1",
        (blob_id, position),
    ).fetchone()
    if row is None:
        raise BlobNotFound(f"{blob_id} was deleted while it was read", location=blob_id)
    return bytes(row[1][position - row[0] :])


def delete(db: Db, blob_ids: Sequence[str]) -> None:
    for table, column in (("blobs", "id"), ("pieces", "owner")):
        db.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(key,) for key in blob_ids])


def page(db: Db, kind: BlobKind | None, after: str) -> list[StoredBlob]:
    """The next blobs in the order of their ids."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM blobs WHERE id > ? AND (? IS NULL OR kind = ?) ORDER BY id LIMIT ?",
        (after, kind, kind, PAGE),
    )
    return [_blob(row) for row in rows]


def begin(db: Db, handle: Handle, begun: float) -> None:
    db.execute("INSERT INTO uploads VALUES (?, ?)", (handle, begun))


def add_part(db: Db, handle: Handle, token: str, data: bytes) -> None:
    """A part under a name of its own: nothing sent later can replace it."""
    _check_upload(db, handle)
    db.execute("INSERT INTO parts VALUES (?, ?)", (token, handle))
    _store_pieces(db, token, data)


def commit(db: Db, handle: Handle, parts: Sequence[Part], mark: Mark | None) -> StoredBlob:
    """Publish, unless it was published: then this is a repetition.  The upload goes."""
    blob_id = handle.partition(".")[0]
    if not _exists(db, blob_id):
        _check_upload(db, handle)
        _publish(db, blob_id, sum(part.size for part in parts), mark)
        _take_over(db, handle, parts, blob_id)
    forget(db, handle)
    return found(db, blob_id)


def forget(db: Db, handle: Handle) -> None:
    """Remove an upload and the parts that no blob has taken over."""
    db.execute(
        "DELETE FROM pieces WHERE owner IN (SELECT token FROM parts WHERE handle = ?)", (handle,)
    )
    db.execute("DELETE FROM parts WHERE handle = ?", (handle,))
    db.execute("DELETE FROM uploads WHERE handle = ?", (handle,))


def uploads(db: Db, begun_before: float) -> list[Handle]:
    rows = db.execute("SELECT handle FROM uploads WHERE begun < ?", (begun_before,))
    return [handle for (handle,) in rows]


def _blob(row: tuple[str, int, str | None, str | None, float]) -> StoredBlob:
    blob_id, size, kind, digest, stored_at = row
    mark = Mark(BlobKind(kind), Digest(digest)) if kind and digest else None
    return StoredBlob(blob_id, size, mark, datetime.fromtimestamp(stored_at, UTC))


def _publish(db: Db, blob_id: str, size: int, mark: Mark | None) -> bool:
    """Write the row that readers see; False where it is there."""
    kind, digest = (mark.kind, mark.digest) if mark else (None, None)
    row = (blob_id, kind, digest, size, time.time())
    return db.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?, ?, ?)", row).rowcount == 1


def _store_pieces(db: Db, owner: str, data: bytes) -> None:
    rows = [(owner, start, data[start : start + PIECE]) for start in range(0, len(data), PIECE)]
    db.executemany("INSERT INTO pieces VALUES (?, ?, ?)", rows)


def _take_over(db: Db, handle: Handle, parts: Sequence[Part], blob_id: str) -> None:
    """Make the parts' bytes the blob's, one part behind the other."""
    offset = 0
    for part in parts:
        known = db.execute(
            "SELECT 1 FROM parts WHERE token = ? AND handle = ?", (part.token, handle)
        ).fetchone()
        if known is None:
            raise PartLost(f"part {part.number} of the upload is gone")
        db.execute(
            "UPDATE pieces SET owner = ?, start = start + ? WHERE owner = ?",
            (blob_id, offset, part.token),
        )
        offset += part.size


def _exists(db: Db, blob_id: str) -> bool:
    return db.execute("SELECT 1 FROM blobs WHERE id = ?", (blob_id,)).fetchone() is not None


def _check_upload(db: Db, handle: Handle) -> None:
    if not db.execute("SELECT 1 FROM uploads WHERE handle = ?", (handle,)).fetchone():
        raise UploadNotFound(f"there is no upload {handle!r}")
