"""A browser without a window: it keeps cookies, fills in forms, and shows what came back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Self

import aiohttp

from tests.hub.accounts.people import PASSWORD

_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w[\w-]*)="([^"]*)"')
_ERROR = re.compile(r'role="alert">([^<]*)<')


@dataclass(frozen=True, slots=True)
class Page:
    """What came back."""

    status: int
    headers: dict[str, str]
    """By lower-case name; of several cookies the last."""
    text: str

    @property
    def error(self) -> str:
        """What the page says went wrong, if anything."""
        found = _ERROR.search(self.text)
        return unescape(found[1]) if found else ""

    @property
    def hidden(self) -> dict[str, str]:
        """The fields that nobody fills in."""
        inputs = [dict(_ATTRIBUTE.findall(tag)) for tag in _INPUT.findall(self.text)]
        return {
            found["name"]: unescape(found["value"])
            for found in inputs
            if found.get("type") == "hidden"
        }


@dataclass
class Browser:
    """Of somebody at one site."""

    url: str
    session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self.session.cookie_jar}

    async def get(self, path: str, **headers: str) -> Page:
        return await self._ask("GET", path, headers)

    async def post(
        self, path: str, form: dict[str, str], headers: dict[str, str] | None = None
    ) -> Page:
        ours = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        return await self._ask("POST", path, ours | (headers or {}), form)

    async def log_in(
        self, name: str = "ann", password: str = PASSWORD, following: str = "/"
    ) -> Page:
        form = {"name": name, "password": password, "next": following}
        return await self.post("/login", form)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], form: dict[str, str] | None = None
    ) -> Page:
        async with self.session.request(
            method, f"{self.url}{path}", headers=headers, data=form, allow_redirects=False
        ) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Page(answer.status, found, await answer.text())
