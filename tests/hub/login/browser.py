"""A browser, as far as a login needs one: it keeps cookies, and follows no redirect by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.hub.conftest import Served


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    def parameter(self, name: str) -> str:
        """Of the query of the location."""
        return parse_qs(urlsplit(self.location).query)[name][0]


class Browser:
    """One, with cookies of its own."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def go(self, target: str, method: str = "GET", **options: Any) -> Answer:
        """Open a path of the hub, or a URL."""
        url = target if "://" in target else f"{self.url}{target}"
        async with self.session.request(method, url, allow_redirects=False, **options) as answer:
            headers = dict(answer.headers)
            return Answer(answer.status, headers, await answer.text())

    async def begin(self, following: str = "/") -> Answer:
        """Ask to be logged in by the provider."""
        return await self.go("/login/oidc", params={"next": following})

    async def consent(self, authorization_url: str, subject: str) -> Answer:
        """Log in at the provider."""
        return await self.go(authorization_url, "POST", data={"sub": subject})

    async def log_in(self, subject: str, following: str = "/") -> Answer:
        """All of it; the answer is the last one's."""
        begun = await self.begin(following)
        assert begun.status == 303, begun.text
        consented = await self.consent(begun.location, subject)
        return await self.go(consented.location)

    def cookies(self) -> dict[str, str]:
        """What it keeps of the hub's."""
        return {cookie.key: cookie.value for cookie in self.session.cookie_jar}

    async def name(self) -> str:
        """Who the hub takes its user for; nobody: ""."""
        page = await self.go("/")
        return page.text.partition("<strong>")[2].partition("</strong>")[0]


@asynccontextmanager
async def a_browser(served: Served) -> AsyncIterator[Browser]:
    """A new one."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Browser(served.url, session)
