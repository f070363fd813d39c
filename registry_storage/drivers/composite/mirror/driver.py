"""The driver.  What it acknowledges is durable in at least `required` of its stores.

*Writing.*  Every store is asked at the same time.  Where fewer than `required` have done their part
the call fails, and can be repeated like any driver's: each store is idempotent by blob id.  Where
more are required than could commit an upload (one has lost it, or was down when it began), they are
given the blob from one that could, before the answer.

*Reading.*  The nearest store that answers.  Nothing is said to be missing unless every store says
so; a store that lacks what another holds is noted and repaired in the background.

*Deleting* needs all stores: what one kept would come back by its listing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from registry_storage.drivers.api import (
    BlobKind,
    Buffers,
    CatalogHome,
    Driver,
    ForeignData,
    Handle,
    Mark,
    Part,
    PartData,
    Redirects,
    RepairProgress,
    StoredBlob,
    T,
)
from registry_storage.drivers.composite.mirror import listing, naming
from registry_storage.drivers.composite.mirror.copying import Held
from registry_storage.drivers.composite.mirror.limits import common_limits
from registry_storage.drivers.composite.mirror.naming import Names, Place
from registry_storage.drivers.composite.mirror.reading import Reading, nowhere
from registry_storage.drivers.composite.mirror.repairs import Repairs
from registry_storage.drivers.composite.mirror.stores import Answers, Store, ask_all, most_telling
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    PartLost,
    TransientError,
    UploadNotFound,
)

R = TypeVar("R")

_GONE = (BlobNotFound, UploadNotFound, PartLost)
"""What a store answers that has nothing to publish, and never will."""


class MirrorDriver(Driver):
    """Every blob in several stores.

    Extensions: `Repairs`; `Redirects` as the nearest store's; `ForeignData` where any store has it.
    """

    name = "mirror"

    def __init__(self, drivers: Sequence[Driver], required: int) -> None:
        for driver in drivers:
            naming.check_shows_ids(driver)
        self.limits = common_limits(drivers)
        self.stores = [Store(index, driver) for index, driver in enumerate(drivers)]
        self.repairs = Repairs(self.stores)
        self._required = required

    async def start(self) -> None:
        """Start all stores; one that cannot be reached now is started when it can."""
        unreachable: list[TransientError] = []
        for store in self.stores:
            try:
                await store.start()
            except TransientError as error:
                unreachable.append(error)
        if len(unreachable) == len(self.stores):
            raise unreachable[0]

    async def close(self) -> None:
        await self.repairs.close()
        for store in self.stores:
            await store.close()

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return Place(blob_id, mark).location

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        answers = await ask_all(
            self._writable(), lambda _, driver: driver.put_blob(blob_id, data, mark)
        )
        return self._published(Place(blob_id, mark), answers)

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        place = naming.parse_location(location)
        answers = await ask_all(
            self._writable(), lambda _, driver: driver.mark_blob(place.within(driver), mark)
        )
        return await self._made_up(Place(place.blob_id, mark), answers)

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        place = naming.parse_location(location)
        reading = Reading(place, stop, self._nearest(), self.repairs.note)
        try:
            yield await reading.open(start)
        finally:
            await reading.close()

    async def stat_blob(self, location: str) -> StoredBlob:
        place = naming.parse_location(location)
        errors: list[DriverError] = []
        for store in self._nearest():
            try:
                blob = await store.ask(lambda driver: driver.stat_blob(place.within(driver)))
            except DriverError as error:
                errors.append(error)
            else:
                return _renamed(blob, place)
        raise nowhere(place, errors)

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        places = [place for location in locations if (place := naming.place_of(location))]
        await self.repairs.forget(places)
        _all(
            await ask_all(
                self.stores,
                lambda _, driver: driver.delete_blobs([place.within(driver) for place in places]),
            )
        )

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        may_fail = self._required - 1  # each blob is in one of the others
        return listing.merged(self.stores, kind, may_fail)

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        answers = await ask_all(self._writable(), lambda _, driver: driver.begin_upload(blob_id))
        handle = naming.join_names(answers.given.get(store.index) for store in self.stores)
        if len(answers.given) < self._required:
            await self._abort(handle)
            raise most_telling(answers.errors.values())
        return handle

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        handles = naming.split_handle(handle, len(self.stores))
        held = await Held.all_of(data)
        length = sum(len(buffer) for buffer in held.buffers)
        taking = self._taking_part(handles)
        # Each part of an upload lies in these, so that what was acknowledged can be committed.
        bound = taking[: self._required]
        answers = await ask_all(
            [*bound, *(store for store in taking[self._required :] if not store.is_away)],
            lambda store, driver: driver.put_part(
                str(handles[store.index]), number, offset, held, length
            ),
        )
        if missed := [answers.errors[s.index] for s in bound if s.index in answers.errors]:
            raise most_telling(missed)
        tokens = [
            answers.given[store.index].token if store.index in answers.given else None
            for store in self.stores
        ]
        return Part(number, offset, length, naming.join_names(tokens))

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        handles = naming.split_handle(handle, len(self.stores))
        tokens = [naming.split_token(part.token, len(self.stores)) for part in parts]
        answers = await ask_all(
            self._taking_part(handles),
            lambda store, driver: driver.commit_upload(
                str(handles[store.index]), _parts_of(store, parts, tokens), mark
            ),
        )
        if not answers.given:
            raise most_telling(answers.errors.values())
        nearest = self.stores[min(answers.given)]
        return await self._made_up(naming.place_in(nearest.driver, answers.nearest), answers)

    async def abort_upload(self, handle: Handle) -> None:
        _all(await self._abort(handle))

    async def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        # All stores are needed: a handle that lacks one of its names would be another upload's.
        listings = await ask_all(
            self.stores, lambda _, driver: listing.gathered(driver.list_uploads(older_than))
        )
        _all(listings)
        for handle in naming.joined_uploads([listings.given[s.index] for s in self.stores]):
            yield handle

    # Extensions

    def extension(self, kind: type[T]) -> T | None:
        if kind is CatalogHome:
            home: object = self._fleeting()
            return home if isinstance(home, kind) else None
        asked = self.stores if kind is ForeignData else self.stores[:1]
        if kind in (ForeignData, Redirects) and not any(s.driver.extension(kind) for s in asked):
            return None
        return super().extension(kind)

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        """Where the nearest store serves the blob, if it holds it (`Redirects`)."""
        place, nearest = naming.parse_location(location), self.stores[0]
        redirects = nearest.driver.extension(Redirects)
        if redirects is None or nearest.is_away:
            return None
        try:
            blob = await nearest.ask(lambda driver: driver.stat_blob(place.within(driver)))
        except DriverError:  # whoever reads it instead will find the next store, or the error
            return None
        return await redirects.blob_url(blob.location, valid_for, method)

    async def describe(self) -> str | None:
        """What of somebody else's lies in the first store that has such (`ForeignData`)."""
        for store in self.stores:
            foreign = store.driver.extension(ForeignData)
            if foreign and (found := await foreign.describe()):
                return f"{found} in its {store}"
        return None

    async def repair(self) -> AsyncIterator[RepairProgress]:
        """Walk over all stores and give each what it lacks (`Repairs`)."""
        async for progress in listing.repaired(self.stores, self.repairs):
            yield progress

    # Helpers

    def _nearest(self) -> list[Store]:
        """All stores in the order in which to read."""
        return sorted(self.stores, key=lambda store: store.is_away)

    def _writable(self) -> list[Store]:
        """The stores to write to: those that are away only where the mirror needs them."""
        present = [store for store in self.stores if not store.is_away]
        return present if len(present) >= self._required else self.stores

    def _taking_part(self, handles: Names) -> list[Store]:
        return [store for store in self.stores if handles[store.index] is not None]

    async def _abort(self, handle: Handle) -> Answers[None]:
        try:
            handles = naming.split_handle(handle, len(self.stores))
        except UploadNotFound:  # names nothing: nothing to forget
            return Answers()
        return await ask_all(
            self._taking_part(handles),
            lambda store, driver: driver.abort_upload(str(handles[store.index])),
        )

    def _published(self, place: Place, answers: Answers[StoredBlob]) -> StoredBlob:
        """The answer, if enough stores gave theirs; the others are repaired."""
        if len(answers.given) < self._required:
            raise most_telling(answers.errors.values())
        if len(answers.given) < len(self.stores):
            self.repairs.note(place)
        return _renamed(answers.nearest, place)

    async def _made_up(self, place: Place, answers: Answers[StoredBlob]) -> StoredBlob:
        """As `_published`; stores that never can publish it, though they must, are given the blob.

        Not so without a mark: they may hold it marked, which nobody here can know.
        """
        holders = [self.stores[index] for index in sorted(answers.given)]
        for store in self.stores if holders and place.mark else ():
            if len(answers.given) < self._required and _cannot(store, answers):
                answers.given[store.index] = await self.repairs.give(place, holders, store)
        return self._published(place, answers)

    def _fleeting(self) -> CatalogHome | None:
        """The home of the catalog of a store that ends with the process, if there is one."""
        homes = [store.driver.extension(CatalogHome) for store in self.stores]
        return next((home for home in homes if home and home.catalog_directory() is None), None)


def _renamed(blob: StoredBlob, place: Place) -> StoredBlob:
    return StoredBlob(place.location, blob.size, place.mark, blob.stored_at)


def _cannot(store: Store, answers: Answers[StoredBlob]) -> bool:
    """Whether the store has nothing to publish: it said so, or could not even be asked."""
    error = answers.errors.get(store.index)
    return store.index not in answers.given and (error is None or isinstance(error, _GONE))


def _all(answers: Answers[R]) -> None:
    """Raise unless every store has done its part."""
    if answers.errors:
        raise most_telling(answers.errors.values())


def _parts_of(store: Store, parts: Sequence[Part], tokens: Sequence[Names]) -> list[Part]:
    """The parts as the store named them.  Raises `PartLost` where it has not got all."""
    named = zip(parts, tokens, strict=True)
    own = [(part, token[store.index]) for part, token in named]
    if lost := next((part.number for part, token in own if token is None), None):
        raise PartLost(f"{store} of the mirror has not got part {lost}")
    return [Part(part.number, part.offset, part.size, str(token)) for part, token in own]
