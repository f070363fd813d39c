"""The store on a local file system: every operation in full, blocking.

A blob is published by one atomic step, the link or rename that gives its file the final name.

*Why racing commits are safe.*  The file that a commit publishes lies in the upload's folder until
the rename, and no commit answers before that folder is gone.  So once anybody has been answered, a
slower commit of the same upload finds nothing left to publish, and a blob that was marked or
deleted after the answer does not come back.  A commit that died half way is simply repeated: where
the final name is there, what remains is to sync it and to clean up.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from registry_storage.digest import ALGORITHMS
from registry_storage.drivers.api import BlobKind, Buffers, Handle, Mark, Part, StoredBlob
from registry_storage.drivers.filesystem import durable, layout
from registry_storage.drivers.filesystem.failures import blob_at, translating, upload_at
from registry_storage.drivers.filesystem.layout import Place
from registry_storage.drivers.filesystem.roots import making_ready
from registry_storage.drivers.filesystem.segments import Reading, Segment
from registry_storage.errors import DriverError, PartLost, RangeNotSatisfiable

CLEANING_ROUNDS = 50


class FileStore:
    """One root folder.  Safe to use from many threads and many processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, int] = {}
        self._synced: set[tuple[str, str]] = set()

    def open(self) -> None:
        """Make what folders are missing and hold all of them open."""
        with making_ready(self.root, layout.bases()), ExitStack() as undo:
            undo.callback(self.close)
            self.root.mkdir(durable.FOLDER_MODE, parents=True, exist_ok=True)
            self._folders[""] = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            for base in layout.bases():
                self._open_base(base)
            undo.pop_all()

    def close(self) -> None:
        """Let go of the folders."""
        while self._folders:
            os.close(self._folders.popitem()[1])

    # Published blobs

    def put(self, place: Place, data: Buffers) -> StoredBlob:
        """Publish `data`; a repetition answers what is there."""
        with blob_at(self.root, place.location), self._writable(place) as folder:
            if not _put_unnamed(place.name, folder, data):
                return self._put_by_upload(place, data)
            durable.sync_folder(folder)
            return _stored(place, folder)

    def mark(self, blob_id: str, mark: Mark) -> StoredBlob:
        """Move an unmarked blob to where its mark puts it, or answer that it lies there."""
        source, target = Place(blob_id, None), Place(blob_id, mark)
        with blob_at(self.root, target.location), self._writable(target) as folder:
            try:
                unmarked = self._folders[layout.UNMARKED]
                os.rename(source.name, target.name, src_dir_fd=unmarked, dst_dir_fd=folder)
            except FileNotFoundError:
                _stored(target, folder)
            durable.sync_folder(folder)
            return _stored(target, folder)

    def stat(self, place: Place) -> StoredBlob:
        """What lies at `place`."""
        with blob_at(self.root, place.location), self._readable(place) as folder:
            return _stored(place, folder)

    def read(self, place: Place, start: int, stop: int | None) -> Reading:
        """Open a range, for the caller to close."""
        with blob_at(self.root, place.location), self._readable(place) as folder:
            file = durable.open_file(place.name, folder)
        reading = Reading(self.root, place.location, file, start, start)
        try:
            reading.stop = _clipped(place, os.fstat(file).st_size, start, stop)
            reading.read_if_short()
        except BaseException:
            reading.close()
            raise
        return reading

    def delete(self, places: Iterable[Place]) -> None:
        """Remove what is there, and what was marked since its unmarked location was given out.

        Not synced: a file that a crash brings back is one that nothing names, for the sweep.
        """
        moved = {place.blob_id for place in places if not self._remove(place) and not place.mark}
        for place in self._marked_with(moved):
            self._remove(place)

    def walk(self, kind: BlobKind | None) -> Iterator[StoredBlob]:
        """Every published blob once; one that is marked meanwhile is found at either place."""
        with translating(self.root, "its folders"):
            unmarked = set(self._unmarked_ids()) if kind is None else set()
            for place, folder in self._marked([kind] if kind else list(BlobKind)):
                if blob := _stored_if_there(place, folder):
                    unmarked.discard(place.blob_id)
                    yield blob
            yield from self._walk_unmarked(unmarked)

    def foreign_tree(self) -> bool:
        """Whether the root holds a tree of distribution."""
        with translating(self.root, layout.FOREIGN_TREE):
            return (self.root / layout.FOREIGN_TREE).is_dir()

    # Uploads

    def begin(self, blob_id: str) -> Handle:
        """Make an upload's folder."""
        handle = layout.new_handle(blob_id, datetime.now(UTC))
        with translating(self.root, handle):
            durable.make_folder(handle, self._folders[layout.UPLOADS])
        return handle

    def segment(self, handle: Handle, offset: int) -> Segment:
        """A part's file, to be written."""
        layout.blob_id_of(handle)
        return Segment(self.root, self._folders[layout.UPLOADS], handle, offset)

    def commit(self, handle: Handle, parts: Sequence[Part], mark: Mark | None) -> StoredBlob:
        """Publish the parts as one blob; see the module's docstring for the races."""
        place = Place(layout.blob_id_of(handle), mark)
        with upload_at(self.root, handle), self._writable(place) as folder:
            if not _stored_if_there(place, folder):
                self._publish(handle, parts, place, folder)
            durable.sync_folder(folder)
            self._remove_upload(handle)
            return _stored(place, folder)

    def abort(self, handle: Handle) -> None:
        """Remove an upload's folder and all in it."""
        layout.blob_id_of(handle)
        with translating(self.root, handle):
            self._remove_upload(handle)

    def uploads(self, older_than: datetime) -> Iterator[Handle]:
        """The uploads begun before that time."""
        with translating(self.root, layout.UPLOADS):
            for name in self._names(layout.UPLOADS):
                if layout.is_handle(name) and layout.begun_at(name) < older_than:
                    yield name

    # Folders

    def _open_base(self, base: str) -> None:
        parent = ""
        for name in base.split("/"):
            path = f"{parent}/{name}".lstrip("/")
            if path not in self._folders:
                durable.make_folder(name, self._folders[parent])
                self._folders[path] = durable.open_folder(name, self._folders[parent])
            parent = path

    @contextmanager
    def _readable(self, place: Place) -> Iterator[int]:
        with durable.opened_folder(place.shard, self._folders[place.base]) as folder:
            yield folder

    @contextmanager
    def _writable(self, place: Place) -> Iterator[int]:
        """The folder of `place`, made where it is missing and known to be durable itself."""
        key = (place.base, place.shard)
        if place.mark and key not in self._synced:
            durable.make_folder(place.shard, self._folders[place.base])
            self._synced.add(key)
        with self._readable(place) as folder:
            yield folder

    def _names(self, base: str) -> list[str]:
        with durable.opened_folder(".", self._folders[base]) as folder:
            return os.listdir(folder)

    # Finding blobs

    def _unmarked_ids(self) -> Iterator[str]:
        yield from filter(layout.is_blob_id, self._names(layout.UNMARKED))

    def _marked(self, kinds: Sequence[BlobKind]) -> Iterator[tuple[Place, int]]:
        """Each marked blob's place, and its folder's descriptor while it is being looked at."""
        for base in (layout.base_of(kind, name) for kind in kinds for name in ALGORITHMS):
            for shard in filter(layout.is_shard, self._names(base)):
                with durable.opened_folder(shard, self._folders[base]) as folder:
                    for name in os.listdir(folder):
                        if place := layout.place_of(f"{base}/{shard}/{name}"):
                            yield place, folder

    def _marked_with(self, blob_ids: set[str]) -> Iterator[Place]:
        """A walk over all names: rare, for ids whose mark is not known."""
        with translating(self.root, "its folders"):
            for place, _ in self._marked(list(BlobKind)) if blob_ids else ():
                if place.blob_id in blob_ids:
                    yield place

    def _walk_unmarked(self, blob_ids: set[str]) -> Iterator[StoredBlob]:
        moved = set()
        for blob_id in blob_ids:
            if blob := self._stat_if_there(Place(blob_id, None)):
                yield blob
            else:
                moved.add(blob_id)
        found = map(self._stat_if_there, self._marked_with(moved))
        yield from filter(None, found)

    def _stat_if_there(self, place: Place) -> StoredBlob | None:
        with self._readable(place) as folder:
            return _stored_if_there(place, folder)

    def _remove(self, place: Place) -> bool:
        try:
            with translating(self.root, place.location), self._readable(place) as folder:
                return durable.remove_file(place.name, folder)
        except DriverError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            raise

    # Publishing

    def _put_by_upload(self, place: Place, data: Buffers) -> StoredBlob:
        """Publish small data where files cannot be made without a name."""
        handle = self.begin(place.blob_id)
        segment = self.segment(handle, 0)
        try:
            size = segment.finish(data)
            return self.commit(handle, [Part(1, 0, size, segment.name)], place.mark)
        except BaseException:
            segment.discard()
            self.abort(handle)
            raise

    def _publish(self, handle: Handle, parts: Sequence[Part], place: Place, folder: int) -> None:
        try:
            with durable.opened_folder(handle, self._folders[layout.UPLOADS]) as upload:
                name = _whole(parts, upload)
                os.utime(name, dir_fd=upload, follow_symlinks=False)  # stored_at: now
                os.rename(name, place.name, src_dir_fd=upload, dst_dir_fd=folder)
        except (FileNotFoundError, PartLost):
            if not _stored_if_there(place, folder):  # else a commit of the same upload was faster
                raise

    def _remove_upload(self, handle: Handle) -> None:
        """Remove an upload's folder; parts may still be arriving in it."""
        uploads = self._folders[layout.UPLOADS]
        for _ in range(CLEANING_ROUNDS):
            try:
                with durable.opened_folder(handle, uploads) as upload:
                    for name in os.listdir(upload):
                        durable.remove_file(name, upload)
                os.rmdir(handle, dir_fd=uploads)
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
        raise OSError(errno.EBUSY, "parts are still being written")


def _put_unnamed(name: str, folder: int, data: Buffers) -> bool:
    """Publish through a file that has no name until it is whole; False where there are none."""
    file = durable.create_unnamed(folder)
    if file is None:
        return False
    try:
        durable.write_all(file, data)
        os.fsync(file)
        return durable.give_name(file, name, folder)
    finally:
        os.close(file)


def _stored(place: Place, folder: int) -> StoredBlob:
    """The blob in `folder`; `FileNotFoundError` where there is no plain file of that name."""
    found = os.stat(place.name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a plain file", place.name)
    stored_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return StoredBlob(place.location, found.st_size, place.mark, stored_at)


def _clipped(place: Place, size: int, start: int, stop: int | None) -> int:
    """Where the range ends, at most at the end of the blob; `RangeNotSatisfiable`."""
    if start > size:
        message = f"{place.location} has {size} bytes, so none at {start}"
        raise RangeNotSatisfiable(message, size=size, location=place.location)
    return max(start, size if stop is None else min(stop, size))


def _stored_if_there(place: Place, folder: int) -> StoredBlob | None:
    try:
        return _stored(place, folder)
    except FileNotFoundError:
        return None


def _whole(parts: Sequence[Part], upload: int) -> str:
    """The name of a file in the upload's folder that holds all the parts, durably."""
    if len(parts) == 1:
        _check(parts[0], upload)
        return parts[0].token
    name = layout.new_whole()
    file = durable.create_file(name, upload)
    try:
        for part in parts:
            _append(part, upload, file)
        os.fsync(file)
    except BaseException:
        durable.remove_file(name, upload)
        raise
    finally:
        os.close(file)
    return name


def _check(part: Part, upload: int) -> None:
    with _opened_part(part, upload) as file:
        _compare(part, os.fstat(file).st_size)


def _append(part: Part, upload: int, target: int) -> None:
    with _opened_part(part, upload) as file:
        _compare(part, durable.append_file(file, target))


@contextmanager
def _opened_part(part: Part, upload: int) -> Iterator[int]:
    if not layout.is_segment(part.token):
        raise PartLost(f"part {part.number} names no file of this store: {part.token!r}")
    try:
        file = durable.open_file(part.token, upload)
    except FileNotFoundError:
        raise PartLost(f"part {part.number} of the upload is gone") from None
    try:
        yield file
    finally:
        os.close(file)


def _compare(part: Part, size: int) -> None:
    if size != part.size:
        raise PartLost(f"part {part.number} has {size} bytes instead of {part.size}")
