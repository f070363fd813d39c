"""A blob being read: it occupies a connection until it is closed.  Blocking."""

from __future__ import annotations

from registry_storage.drivers.swift.account import Account, Opened
from registry_storage.drivers.swift.container import size_of
from registry_storage.errors import DriverUnavailable


class Reading:
    """Knows how many bytes are to come, and takes no answer that ends before."""

    def __init__(self, account: Account, opened: Opened | None, location: str) -> None:
        """None: there is nothing to read."""
        self._account = account
        self._opened = opened
        self._location = location
        self.remaining = size_of(opened.headers) if opened else 0

    def next_piece(self, size: int) -> bytes:
        """The next bytes, at most `size`; never none.

        Raises `TransientError` where the answer breaks off.
        """
        assert self._opened is not None
        with self._account.translator.translating(f"GET {self._location}"):
            piece: bytes = self._opened.body.read(min(size, self.remaining))
        if not piece:
            raise DriverUnavailable(
                f"the store broke off {self.remaining} bytes before the end of {self._location}",
                location=self._location,
            )
        self.remaining -= len(piece)
        return piece

    def close(self) -> None:
        """Free the connection."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self._account.release(opened, whole=self.remaining == 0)
