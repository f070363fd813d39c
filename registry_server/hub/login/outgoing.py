"""Requests to a provider: to the addresses that it names itself, and to no other.

No redirect is followed, no cookie kept, no proxy of the environment asked; an answer that comes
late, is no JSON object or is longer than 1 MiB is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from registry_server.hub.errors import Unavailable

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 10.0
MAX_ANSWER: Final = 1024 * 1024

_JSON: Final = {"Accept": "application/json"}


class Outgoing:
    """A client for JSON.  `name` is what the one who is asked is called in messages."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Free the connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, url: str, headers: Mapping[str, str] = _JSON) -> Mapping[str, Any]:
        """The object there.  Raises `Unavailable`, also for any status but 200."""
        status, answer = await self._ask("GET", url, headers={**_JSON, **headers})
        if status != 200:
            raise Unavailable(f"{self._name} answers {status} to GET {url}")
        return answer

    async def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, Any]]:
        """Status and object of the answer to a form.  Raises `Unavailable`, also for 5xx."""
        status, answer = await self._ask("POST", url, data=form, headers={**_JSON, **headers})
        if status >= 500:
            raise Unavailable(f"{self._name} answers {status} to POST {url}")
        return status, answer

    async def _ask(self, method: str, url: str, **options: Any) -> tuple[int, Mapping[str, Any]]:
        if self._session is None:
            self._session = _session()
        try:
            async with self._session.request(
                method, url, allow_redirects=False, **options
            ) as answer:
                data = await answer.content.read(MAX_ANSWER + 1)
                while not answer.content.at_eof() and len(data) <= MAX_ANSWER:
                    data += await answer.content.read(MAX_ANSWER + 1 - len(data))
                return answer.status, self._object(data, url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            told = str(error) or type(error).__name__
            raise Unavailable(f"{self._name} does not answer: {told}") from None

    def _object(self, data: bytes, url: str) -> Mapping[str, Any]:
        if len(data) > MAX_ANSWER:
            raise Unavailable(f"{self._name} sends more than {MAX_ANSWER} bytes from {url}")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise Unavailable(f"{self._name} sends no JSON object from {url}")
        return value


def _session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS)
    return aiohttp.ClientSession(
        timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )
