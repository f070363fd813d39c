"""A read that goes on at the next store, at the byte it has reached, where one breaks off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack

from registry_storage.drivers.composite.mirror.naming import Place
from registry_storage.drivers.composite.mirror.stores import Store, most_telling
from registry_storage.errors import BlobNotFound, DriverError, RangeNotSatisfiable


class Reading:
    """A range of one blob.  The stores are tried in this order, each once."""

    def __init__(
        self,
        place: Place,
        stop: int | None,
        stores: Iterable[Store],
        found_lacking: Callable[[Place], None],
    ) -> None:
        self._place = place
        self._stop = stop
        self._stores = iter(stores)
        self._found_lacking = found_lacking
        self._errors: list[DriverError] = []
        self._connection = AsyncExitStack()

    async def close(self) -> None:
        """Free the connection."""
        await self._connection.aclose()

    async def open(self, start: int) -> AsyncIterator[bytes]:
        """The bytes from `start` on.  Raises the most telling error of all the stores."""
        pieces, store = await self._opened(start)
        return self._pieces(pieces, store, start)

    async def _opened(self, start: int) -> tuple[AsyncIterator[bytes], Store]:
        """From the next store that has them."""
        await self._connection.aclose()
        for store in self._stores:
            try:
                pieces = await self._open_at(store, start)
            except RangeNotSatisfiable:
                raise
            except DriverError as error:
                self._failed(store, error)
            else:
                if any(isinstance(error, BlobNotFound) for error in self._errors):
                    self._found_lacking(self._place)
                return pieces, store
        raise nowhere(self._place, self._errors)

    async def _open_at(self, store: Store, start: int) -> AsyncIterator[bytes]:
        driver = await store.ready()
        location = self._place.within(driver)
        reading = driver.read_blob(location, start, self._stop)
        pieces = await self._connection.enter_async_context(reading)
        store.answered()
        return pieces

    async def _pieces(
        self, pieces: AsyncIterator[bytes], store: Store, reached: int
    ) -> AsyncIterator[bytes]:
        while True:
            try:
                async for piece in pieces:
                    reached += len(piece)
                    yield piece
                return
            except DriverError as error:
                self._failed(store, error)
            pieces, store = await self._opened(reached)

    def _failed(self, store: Store, error: DriverError) -> None:
        store.failed(error)
        self._errors.append(error)


def nowhere(place: Place, errors: Iterable[DriverError]) -> DriverError:
    """What to raise where no store gave a blob: that it is missing only if all say so."""
    error = most_telling(errors)
    if isinstance(error, BlobNotFound):
        location = place.location
        return BlobNotFound(f"no store of the mirror holds {location}", location=location)
    return error
