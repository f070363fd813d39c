"""A login at a provider under way: what binds it to the browser that began it.

The browser holds one secret, in a cookie that it sends to nobody else and that ends after ten
minutes.  Everything that the provider gets to see or to answer is derived from it, each value for
one purpose, so nothing has to be kept here, and any worker of any host can go on with the login.
Whoever comes back with the values of somebody else's login has not got the secret.
"""

from __future__ import annotations

import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest
from typing import Final

from aiohttp import web

from registry_server.auth.signed import LEEWAY
from registry_server.hub.pages.places import local_path

LIFETIME: Final = 600
"""Seconds."""
_COOKIE: Final = re.compile(r"([A-Za-z0-9_-]{43})\.([0-9]{1,12})\.([A-Za-z0-9_-]*)")
_NAME: Final = "login"


@dataclass(frozen=True, slots=True)
class Flow:
    """One login."""

    secret: str = field(repr=False)
    begun: int
    """In seconds of the epoch."""
    following: str
    """The path of this site to go to when it is done."""

    @classmethod
    def begin(cls, following: str, now: float) -> Flow:
        """A new one."""
        return cls(secrets.token_urlsafe(32), int(now), local_path(following))

    @classmethod
    def read(cls, request: web.BaseRequest, now: float) -> Flow | None:
        """The one that the browser began, if that is not too long ago."""
        match = _COOKIE.fullmatch(request.cookies.get(_name(request), ""))
        if match is None or not -LEEWAY <= now - int(match[2]) < LIFETIME:
            return None
        return cls(match[1], int(match[2]), local_path(_decoded(match[3])))

    def keep(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Let the browser hold it."""
        response.set_cookie(
            _name(request),
            f"{self.secret}.{self.begun}.{_encoded(self.following.encode())}",
            max_age=LIFETIME,
            path="/",
            secure=request.secure,
            httponly=True,
            samesite="Lax",
        )

    @property
    def state(self) -> str:
        """What the provider sends back with the browser."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """What the provider puts into the ID token."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """What shows that the code is asked for by whoever sent the browser (RFC 7636)."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """What the provider compares the verifier with."""
        return _encoded(sha256(self.verifier.encode()).digest())

    def _derived(self, purpose: str) -> str:
        about = f"{purpose}\0{self.begun}\0{self.following}"
        return _encoded(digest(self.secret.encode(), about.encode(), "sha256"))


def forget(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Take the flow away from the browser: it is over, well or not."""
    response.del_cookie(
        _name(request), path="/", secure=request.secure, httponly=True, samesite="Lax"
    )


def _name(request: web.BaseRequest) -> str:
    return f"__Host-{_NAME}" if request.secure else _NAME


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> str:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return ""
