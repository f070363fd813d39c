"""A blob being read: it occupies a connection until it is closed.  Blocking."""

from __future__ import annotations

from typing import Final

from registry_storage.drivers.api import KiB
from registry_storage.drivers.swift.account import Account, Opened
from registry_storage.drivers.swift.container import size_of
from registry_storage.errors import DriverUnavailable

PIECE: Final = 512 * KiB


class Reading:
    """Knows how many bytes are to come, and takes no answer that ends before."""

    def __init__(self, account: Account, opened: Opened | None, location: str) -> None:
        """None: there is nothing to read."""
        self._account = account
        self._opened = opened
        self._location = location
        self.left = size_of(opened.headers) if opened else 0

    def next_piece(self) -> bytes:
        """Some bytes, not none.  Raises `TransientError` where the answer breaks off."""
        assert self._opened is not None
        with self._account.translator.translating(f"GET {self._location}"):
            piece: bytes = self._opened.body.read(min(PIECE, self.left))
        if not piece:
            raise DriverUnavailable(
                f"the store broke off {self.left} bytes before the end of {self._location}",
                location=self._location,
            )
        self.left -= len(piece)
        return piece

    def close(self) -> None:
        """Free the connection."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self._account.release(opened, whole=self.left == 0)
