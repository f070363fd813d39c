"""The login of a browser: a password, then, where the account has a second factor, a code."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry_server.auth.access import CredentialsRefused
from registry_server.hub.accounts.links import Links
from registry_server.hub.accounts.logins import Logins
from registry_server.hub.accounts.second_factor import SecondFactor
from registry_server.hub.accounts.sessions import Browser, Opened, Sessions
from registry_server.hub.accounts.users import Users
from registry_server.hub.callers import Caller
from registry_server.hub.errors import Invalid, Unknown
from registry_server.hub.records.audit import By
from registry_server.hub.records.users import User
from registry_server.limits import LoginLimit


class CodeRefused(CredentialsRefused):
    """The code of the second factor is wrong, or was used already."""

    @property
    def told(self) -> str:
        return "the code is wrong, or was used already; wait for the next one"


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """The password is right; `secret` stands for it, for some minutes, until the code comes."""

    secret: str = field(repr=False)


class SignIn:
    """Opens sessions for whoever shows who they are."""

    def __init__(
        self,
        logins: Logins,
        sessions: Sessions,
        second_factor: SecondFactor,
        links: Links,
        users: Users,
        limit: LoginLimit,
    ) -> None:
        self._logins = logins
        self._sessions = sessions
        self._second_factor = second_factor
        self._links = links
        self._users = users
        self._limit = limit

    async def by_password(
        self, name: str, password: str, browser: Browser, code: str | None = None
    ) -> Opened | CodeNeeded:
        """A session, or where the account has a second factor and no `code` came, what is next.

        Raises `CredentialsRefused`, `TooManyLogins`.
        """
        user = await self._logins.user_by_password(name, password, browser.origin)
        if not user.has_second_factor:
            return await self._sessions.open(user, browser, "password")
        if code is None:
            return CodeNeeded(await self._links.for_code(user))
        return await self._with_code(user, code, browser)

    async def by_code(self, secret: str, code: str, browser: Browser) -> Opened:
        """The second half.  Raises `CodeRefused`, `TooManyLogins`, `Unknown` where it is late."""
        user = await self._links.user_for_code(secret)
        opened = await self._with_code(user, code, browser)
        await self._links.use_up(secret)
        return opened

    async def by_identity(self, user: User, browser: Browser, issuer: str) -> Opened:
        """A session for somebody who has logged in elsewhere, which asks for what it sees fit.

        Raises `CredentialsRefused` where the user is disabled.
        """
        if user.is_disabled:
            raise CredentialsRefused("the account is disabled")
        return await self._sessions.open(user, browser, issuer)

    async def by_link(self, user: User, browser: Browser) -> Opened | None:
        """A session for whoever has just used a link; None where that takes a second factor."""
        if user.has_second_factor:
            return None
        return await self._sessions.open(user, browser, "link")

    async def change_password(self, caller: Caller, old: str, new: str, browser: Browser) -> Opened:
        """The caller's own, in their session, which goes on by another secret; all others end.

        Raises `Invalid`, `TooManyLogins`.
        """
        user = await self.confirmed(caller, old, browser)
        by = By(user.name, browser.origin, browser.request_id)
        await self._users.set_password(by, user, new, keep=caller.credential)
        return await self._sessions.renew(caller)

    async def confirm_second_factor(
        self, caller: Caller, code: str, browser: Browser
    ) -> tuple[Opened, list[str]]:
        """Put it in force in the caller's session, which goes on by another secret; all others end.

        With the recovery codes.  Raises `Invalid`, `Conflict`.
        """
        user = await self._users.find(caller.name)
        by = By(user.name, browser.origin, browser.request_id)
        codes = await self._second_factor.confirm(by, user, code, keep=caller.credential)
        return await self._sessions.renew(caller), codes

    async def remove_second_factor(self, caller: Caller, password: str, browser: Browser) -> Opened:
        """The caller's own, in their session, which goes on by another secret.

        Raises `Invalid`, `TooManyLogins`.
        """
        user = await self.confirmed(caller, password, browser)
        by = By(user.name, browser.origin, browser.request_id)
        await self._second_factor.remove(by, user)
        return await self._sessions.renew(caller)

    async def confirmed(self, caller: Caller, password: str, browser: Browser) -> User:
        """The caller, who shows the password once more: a browser may be left alone.

        Raises `Invalid`, `TooManyLogins`.
        """
        try:
            user = await self._logins.user_by_password(caller.name, password, browser.origin)
        except CredentialsRefused:
            raise Invalid("this is not your password") from None
        if user.id != caller.account:
            raise Unknown("there is no such user")
        return user

    async def _with_code(self, user: User, code: str, browser: Browser) -> Opened:
        self._limit.charge(browser.origin, user.name)
        await self._logins.refuse_locked(user.name)
        if not await self._second_factor.verify(user, code):
            await self._logins.count_failure(user.name, browser.origin)
            raise CodeRefused
        await self._logins.forgive(user.name, user, browser.origin)
        return await self._sessions.open(user, browser, "password and code")
