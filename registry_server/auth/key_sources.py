"""Where the keys of a token server come from: files that are followed, a URL that is asked again.

A URL is asked at the start, every `REFRESH_SECONDS`, and when a token names a key that is not
known, which is how new keys arrive between two looks.  Tokens can be made up by the thousand, so
whatever comes, it is not asked more than once in `PAUSE_SECONDS`.  While it fails, the last keys
stay in force; while there are none, every token is refused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import aiohttp

from registry_server.auth.followed import FollowedFile, Follower
from registry_server.auth.keys import Keys, parse_certificates, parse_jwks

REFRESH_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 10.0
FETCH_SECONDS: Final = 5.0
MAX_SIZE: Final = 256 * 1024
"""Of a JWKS, in bytes."""

log = logging.getLogger(__name__)


class KeySource(Protocol):
    """Where the keys in force come from."""

    @property
    def value(self) -> Keys:
        """Those in force."""

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever they have become others."""

    async def start(self) -> None:
        """Begin to follow them; a URL has been asked then, with or without success."""

    async def close(self) -> None:
        """Free what `start` took."""

    async def reload(self) -> None:
        """Look now; when this returns, what was found is in force."""

    async def look_for_new_keys(self) -> bool:
        """Look for a key that is not known, if the turn for that has come; whether it had."""


class ConfiguredKeys:
    """The keys of `auth.token`: of a JWKS, a file or behind a URL, and of a file of certificates.

    Making one reads the files.  Raises `ConfigurationInvalid`.
    """

    def __init__(self, jwks: Path | str | None, bundle: Path | None) -> None:
        self._files = [
            FollowedFile(setting, path, parse)
            for setting, path, parse in (
                ("auth.token.jwks", jwks, parse_jwks),
                ("auth.token.rootcertbundle", bundle, parse_certificates),
            )
            if isinstance(path, Path)
        ]
        self._remote = RemoteKeys(jwks, self._gather) if isinstance(jwks, str) else None
        self._follower = Follower(self._look_at_files, self._gather)
        self._changed: Callable[[], None] = lambda: None
        self.value = Keys()
        self._gather()

    def on_change(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def start(self) -> None:
        self._follower.start()
        if self._remote is not None:
            await self._remote.start()

    async def close(self) -> None:
        await self._follower.close()
        if self._remote is not None:
            await self._remote.close()

    async def reload(self) -> None:
        """Look at the files now."""
        await self._follower.look_now()

    async def look_for_new_keys(self) -> bool:
        """Ask the URL, if there is one and its turn has come; whether it was asked."""
        return self._remote is not None and await self._remote.look_soon()

    def _look_at_files(self) -> bool:
        changed = [file.reload_if_changed() for file in self._files]
        return any(changed)

    def _gather(self) -> None:
        keys = self._remote.value if self._remote is not None else Keys()
        for file in self._files:
            keys |= file.value
        self.value = keys
        self._changed()


class HubKeys:
    """The keys of a hub that other processes serve."""

    def __init__(self, url: str) -> None:
        self._changed: Callable[[], None] = lambda: None
        self._remote = RemoteKeys(url, lambda: self._changed(), setting="auth.hub.url")

    @property
    def value(self) -> Keys:
        return self._remote.value

    def on_change(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def start(self) -> None:
        await self._remote.start()

    async def close(self) -> None:
        await self._remote.close()

    async def reload(self) -> None:
        await self._remote.look_soon()

    async def look_for_new_keys(self) -> bool:
        return await self._remote.look_soon()


class RemoteKeys:
    """The keys behind a URL; `changed` is called when they have become others.

    `setting` is what names the URL, for the log.
    """

    def __init__(
        self,
        url: str,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        setting: str = "auth.token.jwks",
    ) -> None:
        self._url = url
        self._setting = setting
        self._changed = changed
        self._clock = clock
        self._text = ""
        self._complaint = ""
        self._asked = -PAUSE_SECONDS
        self._asking: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self.value = Keys()

    async def start(self) -> None:
        await self._ask()
        self._refreshing = asyncio.create_task(self._refresh(), name="refresh the keys of tokens")

    async def close(self) -> None:
        for task in (self._refreshing, self._asking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def look_soon(self) -> bool:
        """Ask unless that was done less than `PAUSE_SECONDS` ago; whether it was, now."""
        if self._asking is None:
            if self._clock() - self._asked < PAUSE_SECONDS:
                return False
            self._asking = asyncio.create_task(self._ask(), name="ask for new keys of tokens")
            self._asking.add_done_callback(self._forget_task)
        await asyncio.shield(self._asking)
        return True

    def _forget_task(self, _: object) -> None:
        self._asking = None

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS if self._text else PAUSE_SECONDS)
            await self._ask()

    async def _ask(self) -> None:
        """Ask once; what goes wrong is logged, and leaves the keys as they are."""
        self._asked = self._clock()
        try:
            text = await _fetch(self._url)
            if text != self._text:
                self.value = parse_jwks(text)
                self._text = text
                log.info("%s: %d ids of keys", self._setting, len(self.value.by_id))
                self._changed()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._complain(error)
        else:
            self._complaint = ""

    def _complain(self, error: Exception) -> None:
        """Say what is wrong, once for each fault, not once for each time of asking."""
        told = str(error) or type(error).__name__
        if told != self._complaint:
            kept = (
                "the keys that it gave before stay in force" if self._text else "no token is valid"
            )
            log.error("%s: %s: %s; %s", self._setting, self._url, told, kept)
        self._complaint = told


async def _fetch(url: str) -> str:
    """Raises `ClientError`, `TimeoutError`, `OSError`, `ValueError`."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise ValueError(f"answered {response.status}")
        data = bytearray()
        async for piece in response.content.iter_any():
            data += piece
            if len(data) > MAX_SIZE:
                raise ValueError(f"more than {MAX_SIZE} bytes")
        return data.decode("utf-8")
