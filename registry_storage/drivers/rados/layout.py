"""Names in the pool, and what they mean.  Pure.

    format                            which layout this is
    directory.<2 hex>                 64 objects, of which only the omap is used
    data.<id>.<nonce>                 a stripe
    head.<id>.<nonce>                 the stripes of a blob that has more than one, a line each

All that is known of one blob id is in one directory, chosen by the id.  So each change of state is
one operation on one object, which Ceph applies as a whole or not at all:

    unmarked/<id>                     a published blob: its size, its time, its head
    <kind>/<id>.<algorithm>.<hex>     the same, marked
    upload/<handle>                   an upload under way: `open`, or `ending`
    part/<handle>/<object>            the size of an object that the upload writes or has written

An upload that is `ending` takes no more parts; what is still noted below it has to be removed.  It
may name a blob to be removed as well: that is how a deletion that was interrupted is found again.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from registry_storage.drivers._naming import ID
from registry_storage.drivers._object_layout import Place, place_of
from registry_storage.drivers.api import BlobKind, Handle, StoredBlob
from registry_storage.errors import UploadNotFound

FORMAT: Final = "format"
FORMAT_KEY: Final = "version"
FORMAT_VERSION: Final = "1"

UNMARKED: Final = "unmarked/"
UPLOAD: Final = "upload/"
OPEN: Final = "open"
ENDING: Final = "ending"

NUMBER_OF_DIRECTORIES: Final = 64
"""Ceph warns of objects with more than 200 000 omap keys: at some twelve million blobs."""

_NO_OBJECT = "-"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HANDLE = re.compile(rf"{ID}\.(?P<begun>[0-9]{{1,16}})\.[0-9a-f]{{8}}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where all this is, and as whom to use it."""

    poolname: str
    namespace: str
    client: str
    """As Ceph calls it: `client.registry`."""
    conffile: str = ""
    """Empty: where librados looks for it."""

    @property
    def conf(self) -> str:
        """What a message calls the `ceph.conf`."""
        return self.conffile or "ceph.conf"


@dataclass(frozen=True, slots=True)
class Stripe:
    """An object that holds a run of a blob's bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What a directory holds of a published blob."""

    size: int
    stored_at: datetime
    stripes: int
    """How many there are."""
    object: str
    """The only stripe; or the head, where there are several; `-` where there is none."""

    @classmethod
    def parse(cls, text: str) -> Entry:
        """The entry that a directory holds as `text`."""
        size, micros, stripes, name = text.split(" ")
        return cls(int(size), _time(micros), int(stripes), name)

    @property
    def text(self) -> str:
        """As a directory holds it."""
        return f"{self.size} {_micros(self.stored_at)} {self.stripes} {self.object}"

    def stored(self, place: Place) -> StoredBlob:
        """What the driver answers for it."""
        return StoredBlob(place.location, self.size, place.mark, self.stored_at)


def entry_now(stripes: list[Stripe], head: str | None) -> Entry:
    """The entry of a blob that is published now; `head` is its head, if it has several stripes."""
    only = stripes[0].name if stripes else _NO_OBJECT
    size = sum(stripe.size for stripe in stripes)
    return Entry(size, datetime.now(UTC), len(stripes), head or only)


def head_of(stripes: list[Stripe]) -> bytes:
    """The content of a head."""
    return "".join(f"{stripe.size} {stripe.name}\n" for stripe in stripes).encode()


def stripes_of(head: bytes) -> list[Stripe]:
    """The stripes that a head's content names."""
    rows = (line.split(" ") for line in head.decode().splitlines())
    return [Stripe(name, int(size)) for size, name in rows]


# Names of objects


def new_data(blob_id: str) -> str:
    """A fresh name for a stripe, so that nothing written later can replace it."""
    return f"data.{blob_id}.{secrets.token_hex(8)}"


def new_head(blob_id: str) -> str:
    """A fresh name for a head."""
    return f"head.{blob_id}.{secrets.token_hex(8)}"


def directories() -> list[str]:
    """All of them."""
    return [_directory(number) for number in range(NUMBER_OF_DIRECTORIES)]


def directory_of(blob_id: str) -> str:
    """The directory that holds what is known of a blob."""
    return _directory(int(blob_id[:2], 16) % NUMBER_OF_DIRECTORIES)


def _directory(number: int) -> str:
    return f"directory.{number:02x}"


# Keys of published blobs


def key_of(place: Place) -> str:
    """The key of a published blob."""
    if place.mark is None:
        return f"{UNMARKED}{place.blob_id}"
    digest = place.mark.digest
    return f"{place.mark.kind}/{place.blob_id}.{digest.algorithm}.{digest.hex}"


def place_at(key: str) -> Place | None:
    """The place that a key of a directory names, if it is a published blob's."""
    kind, _, rest = key.partition("/")
    if f"{kind}/" == UNMARKED:
        return place_of(f"blobs/{rest}")
    blob_id, _, digest = rest.partition(".")
    return place_of(f"blobs/{blob_id}.{kind}.{digest}")


def keys_of_kinds(kinds: list[BlobKind]) -> list[str]:
    """What the keys of blobs marked so begin with."""
    return [f"{kind}/" for kind in kinds]


def keys_of_id(blob_id: str) -> list[str]:
    """What the keys of a blob begin with, marked or not."""
    return [f"{UNMARKED}{blob_id}", *(f"{kind}/{blob_id}." for kind in BlobKind)]


# Uploads


def new_handle(blob_id: str) -> Handle:
    """The handle of an upload that begins now."""
    return f"{blob_id}.{_micros(datetime.now(UTC))}.{secrets.token_hex(4)}"


def blob_id_of(handle: Handle) -> str:
    """The id under which the upload will be published.  Raises `UploadNotFound`."""
    return _parsed(handle)["id"]


def begun_at(handle: Handle) -> datetime:
    """When the upload began.  Raises `UploadNotFound`."""
    return _time(_parsed(handle)["begun"])


def upload_key(handle: Handle) -> str:
    """The key of an upload's state."""
    return f"{UPLOAD}{handle}"


def parts_of(handle: Handle) -> str:
    """What the keys of an upload's objects begin with; the object's name follows."""
    return f"part/{handle}/"


def ending_with(entry: str) -> str:
    """The state of an upload that is to remove a published blob."""
    return f"{ENDING} {entry}"


def blob_to_remove(state: str) -> Entry | None:
    """The blob that the upload in this state is to remove."""
    entry = state.partition(" ")[2]
    return Entry.parse(entry) if entry else None


def _parsed(handle: Handle) -> re.Match[str]:
    if found := _HANDLE.fullmatch(handle):
        return found
    raise UploadNotFound(f"{handle!r} is not an upload of this store")


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _time(micros: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(micros))
