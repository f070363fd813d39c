"""Every operation of the driver, blocking.

An object is noted in its upload before it is written, and belongs to the upload until the change
that publishes the blob takes the note away.  So whatever a process leaves that dies, at any moment,
is a published blob or is noted in an upload, which `uploads` shows and `abort` removes.

Whoever publishes, marks, aborts or deletes changes one directory once, and only if it still is as
he has found it: of several who try at the same time one succeeds, and the others see what he did.
Nobody holds a lock.  Who has written an object for an upload that was ended meanwhile finds that
out after writing, and removes the object himself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from registry_storage.drivers._object_layout import Place
from registry_storage.drivers.api import BlobKind, Buffers, Handle, Mark, Part, StoredBlob
from registry_storage.drivers.rados import layout
from registry_storage.drivers.rados.layout import ENDING, OPEN, Entry, Stripe
from registry_storage.drivers.rados.pool import Change, Pool
from registry_storage.drivers.rados.reading import Extent, Reading
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    DriverUnavailable,
    PartLost,
    RangeNotSatisfiable,
    UploadNotFound,
)


class RadosStore:
    """What a pool holds.  Safe to use from many threads and many processes at once."""

    def __init__(self, pool: Pool, largest: int) -> None:
        """`largest` is the most that one object takes, in bytes."""
        self._pool = pool
        self._largest = largest

    def open(self) -> None:
        """Connect, and see to it that keys can be written and are ours."""
        self._pool.open()
        version = {layout.FORMAT_KEY: layout.FORMAT_VERSION}
        self._pool.change(layout.FORMAT, Change({layout.FORMAT_KEY: None}, version))
        found = self._pool.values(layout.FORMAT, layout.FORMAT_KEY)
        if found != version:
            raise DriverError(
                f"the pool's namespace was written in format {found.get(layout.FORMAT_KEY)} by a "
                "newer version of this program: use that, or another namespace"
            )

    def close(self) -> None:
        """Disconnect, when no call is under way any more."""
        self._pool.close()

    # Published blobs

    def put(self, place: Place, data: Buffers) -> StoredBlob:
        """Publish `data` as one object; a repetition answers what is there."""
        joined = self._joined(data)
        handle, name = layout.new_handle(place.blob_id), layout.new_data(place.blob_id)
        upload, note = layout.upload_key(handle), _note(handle, name)
        entry = layout.entry_now([Stripe(name, len(joined))], head=None)
        try:
            self._change(place.blob_id, Change({}, {upload: OPEN, note: str(len(joined))}))
            self._pool.write(name, joined)
            key = layout.key_of(place)
            publish = Change({upload: OPEN, key: None}, {key: entry.text}, [upload, note])
            if self._change(place.blob_id, publish):
                return entry.stored(place)
        except BaseException:
            with suppress(DriverError):  # then it is listed, for the janitor
                self.abort(handle)
            raise
        self.abort(handle)
        if found := self._entry_if_there(place):
            return found.stored(place)
        message = f"{place.location} was aborted while it was being stored; try again"
        raise DriverUnavailable(message, location=place.location)

    def mark(self, blob_id: str, mark: Mark) -> StoredBlob:
        """Move an unmarked blob's key to where its mark puts it, or answer that it is there."""
        target = Place(blob_id, mark)
        old, new = layout.key_of(Place(blob_id, None)), layout.key_of(target)
        while True:
            found = self._values(blob_id, old, new)
            if new in found:
                return Entry.parse(found[new]).stored(target)
            if old not in found:
                raise BlobNotFound(f"nothing is stored with the id {blob_id}")
            move = Change({old: found[old], new: None}, {new: found[old]}, [old])
            if self._change(blob_id, move):
                return Entry.parse(found[old]).stored(target)

    def stat(self, place: Place) -> StoredBlob:
        """What is published at `place`."""
        return self._entry(place).stored(place)

    def read(self, place: Place, start: int, stop: int | None) -> Reading:
        """The bytes of a range."""
        entry = self._entry(place)
        if start > entry.size:
            raise RangeNotSatisfiable(
                f"{place.location} has {entry.size} bytes, so none at {start}",
                size=entry.size,
                location=place.location,
            )
        stop = entry.size if stop is None else min(stop, entry.size)
        return Reading(self._pool, _cut(self._stripes(entry), start, stop))

    def delete(self, places: Sequence[Place]) -> None:
        """Remove what is there; for an unmarked place also what was marked since."""
        for place in places:
            prefixes = [layout.key_of(place)] if place.mark else layout.keys_of_id(place.blob_id)
            directory = layout.directory_of(place.blob_id)
            for key, entry in list(self._pool.keys(directory, *prefixes)):
                self._delete(place.blob_id, key, entry)

    def walk(self, kind: BlobKind | None) -> Iterator[StoredBlob]:
        """Every published blob once, marked so or any.

        A blob that is marked meanwhile is seen at either key, so the unmarked ones come first.
        """
        kinds = layout.keys_of_kinds([kind] if kind else list(BlobKind))
        for directory in layout.directories():
            seen = set()
            for key, entry in self._pool.keys(directory, layout.UNMARKED) if kind is None else ():
                if place := layout.place_at(key):
                    seen.add(place.blob_id)
                    yield Entry.parse(entry).stored(place)
            for key, entry in self._pool.keys(directory, *kinds):
                if (place := layout.place_at(key)) and place.blob_id not in seen:
                    yield Entry.parse(entry).stored(place)

    # Uploads

    def begin(self, blob_id: str) -> Handle:
        """Note that an upload begins."""
        handle = layout.new_handle(blob_id)
        self._change(blob_id, Change({}, {layout.upload_key(handle): OPEN}))
        return handle

    def put_part(self, handle: Handle, number: int, offset: int, data: Buffers) -> Part:
        """Store a part as an object of its own, whose name is the part's token."""
        joined = self._joined(data)
        name = layout.new_data(layout.blob_id_of(handle))
        self._write(handle, name, joined)
        return Part(number, offset, len(joined), name)

    def commit(self, handle: Handle, parts: Sequence[Part], mark: Mark | None) -> StoredBlob:
        """Publish the parts as one blob, and leave nothing else of the upload."""
        place = Place(layout.blob_id_of(handle), mark)
        key, upload = layout.key_of(place), layout.upload_key(handle)
        noted = self._noted(handle)
        found = self._values(place.blob_id, key, upload)
        if key in found:
            entry = Entry.parse(found[key])
        elif found.get(upload) == OPEN:
            entry = self._publish(handle, _checked(parts, noted), place)
        else:
            raise _no_upload(handle)
        self._finish(handle)
        return entry.stored(place)

    def abort(self, handle: Handle) -> None:
        """End an upload and remove all that is noted in it."""
        upload = layout.upload_key(handle)
        self._change(layout.blob_id_of(handle), Change({upload: OPEN}, {upload: ENDING}))
        self._finish(handle)

    def uploads(self, older_than: datetime) -> Iterator[Handle]:
        """The uploads begun before that time, and the removals that somebody has not finished."""
        for directory in layout.directories():
            for key, _ in self._pool.keys(directory, layout.UPLOAD):
                handle = key.removeprefix(layout.UPLOAD)
                if layout.begun_at(handle) < older_than:
                    yield handle

    # Publishing and removing

    def _publish(self, handle: Handle, stripes: list[Stripe], place: Place) -> Entry:
        """Publish, or find that another commit of the same upload has."""
        head = layout.new_head(place.blob_id) if len(stripes) > 1 else None
        entry = layout.entry_now(stripes, head)
        try:
            if head:
                self._write(handle, head, layout.head_of(stripes))
            if self._change(place.blob_id, _publication(handle, place, entry, stripes)):
                return entry
        except UploadNotFound:
            head = None
        self._pool.remove([head] if head else [])
        if found := self._entry_if_there(place):
            return found
        raise _no_upload(handle)

    def _finish(self, handle: Handle) -> None:
        """Remove what is left of an upload that has ended."""
        upload = layout.upload_key(handle)
        blob_id = layout.blob_id_of(handle)
        state = self._values(blob_id, upload).get(upload)
        if state is None:
            return
        noted = self._noted(handle)
        self._pool.remove(noted)
        if doomed := layout.blob_to_remove(state):
            self._remove_objects(doomed)
        self._change(blob_id, Change({}, {}, [upload, *(_note(handle, name) for name in noted)]))

    def _delete(self, blob_id: str, key: str, entry: str) -> None:
        """Make a blob one that an upload is to remove, and do that."""
        handle = layout.new_handle(blob_id)
        doom = {layout.upload_key(handle): layout.ending_with(entry)}
        if self._change(blob_id, Change({key: entry}, doom, [key])):
            self._finish(handle)

    def _remove_objects(self, entry: Entry) -> None:
        """Remove a blob's stripes, then its head, without which they could not be found again."""
        with suppress(BlobNotFound):  # somebody else has come so far
            self._pool.remove(stripe.name for stripe in self._stripes(entry))
        if entry.stripes > 1:
            self._pool.remove([entry.object])

    def _write(self, handle: Handle, name: str, data: bytes) -> None:
        """Write an object for an upload.  Raises `UploadNotFound` if that has ended by then."""
        blob_id, upload = layout.blob_id_of(handle), layout.upload_key(handle)
        if not self._change(blob_id, Change({upload: OPEN}, {_note(handle, name): str(len(data))})):
            raise _no_upload(handle)
        self._pool.write(name, data)
        if self._values(blob_id, upload).get(upload) != OPEN:
            self._pool.remove([name])
            raise _no_upload(handle)

    # Looking

    def _joined(self, data: Buffers) -> bytes:
        """The bytes of one object, as librados takes them."""
        joined = b"".join(data)
        if len(joined) > self._largest:
            raise DriverError(
                f"{len(joined)} bytes are too many for one object: at most {self._largest}"
            )
        return joined

    def _entry(self, place: Place) -> Entry:
        if found := self._entry_if_there(place):
            return found
        raise BlobNotFound(f"nothing is stored at {place.location}", location=place.location)

    def _entry_if_there(self, place: Place) -> Entry | None:
        key = layout.key_of(place)
        found = self._values(place.blob_id, key)
        return Entry.parse(found[key]) if found else None

    def _stripes(self, entry: Entry) -> list[Stripe]:
        if entry.stripes > 1:
            return layout.stripes_of(self._pool.read_all(entry.object))
        return [Stripe(entry.object, entry.size)] if entry.stripes else []

    def _noted(self, handle: Handle) -> dict[str, str]:
        """The names of the upload's objects, and their sizes."""
        prefix = layout.parts_of(handle)
        directory = layout.directory_of(layout.blob_id_of(handle))
        return {key.removeprefix(prefix): size for key, size in self._pool.keys(directory, prefix)}

    def _values(self, blob_id: str, *keys: str) -> dict[str, str]:
        return self._pool.values(layout.directory_of(blob_id), *keys)

    def _change(self, blob_id: str, change: Change) -> bool:
        return self._pool.change(layout.directory_of(blob_id), change)


def _note(handle: Handle, name: str) -> str:
    return f"{layout.parts_of(handle)}{name}"


def _publication(handle: Handle, place: Place, entry: Entry, stripes: list[Stripe]) -> Change:
    """Publishes `entry`: its objects are the upload's no more, and the upload takes no others."""
    key, upload = layout.key_of(place), layout.upload_key(handle)
    owned = {*(stripe.name for stripe in stripes), entry.object}
    return Change(
        {upload: OPEN, key: None},
        {key: entry.text, upload: ENDING},
        [_note(handle, name) for name in owned],
    )


def _checked(parts: Sequence[Part], noted: Mapping[str, str]) -> list[Stripe]:
    """The parts as stripes.  Raises `PartLost` for what the upload has not noted so."""
    for part in parts:
        if noted.get(part.token) != str(part.size):
            raise PartLost(f"part {part.number} of the upload is gone")
    return [Stripe(part.token, part.size) for part in parts]


def _cut(stripes: Sequence[Stripe], start: int, stop: int) -> Iterator[Extent]:
    begin = 0
    for stripe in stripes:
        first, last = max(start - begin, 0), min(stop - begin, stripe.size)
        if first < last:
            yield Extent(stripe.name, first, last - first)
        begin += stripe.size


def _no_upload(handle: Handle) -> UploadNotFound:
    return UploadNotFound(f"there is no upload {handle}")
