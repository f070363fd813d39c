"""Whose credentials those are: passwords, access tokens, robots' secrets, sessions.

A password is checked so that nobody learns from the answer, or from how long it takes, whether
there is such a user.  Wrong ones are counted twice: by the address and the name (`limits`), and by
the name alone in the database, which all hosts share.  A right one is remembered for a minute in
this process, so that argon2 is not paid for each token of a client that keeps a password; what has
become of the account since is looked up all the same.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from sqlalchemy import Connection

from registry_server.auth.access import CredentialsRefused, TooManyLogins
from registry_server.hub.accounts.identities import Directory
from registry_server.hub.accounts.passwords import Passwords
from registry_server.hub.accounts.sessions import Sessions, caller_of, csrf_of
from registry_server.hub.accounts.users import Users
from registry_server.hub.callers import Caller, Kind, Via
from registry_server.hub.errors import HubError
from registry_server.hub.names import is_account_name
from registry_server.hub.records import access_tokens, audit, login_failures, robots, users
from registry_server.hub.records.access_tokens import Owned
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.robots import Robot
from registry_server.hub.records.users import User
from registry_server.hub.secrets import Prefix, hashed, is_secret
from registry_server.limits import LoginLimit
from registry_storage.databases import Database

REMEMBERED_SECONDS: Final = 60.0
MAX_REMEMBERED: Final = 4096
NOTED_EVERY: Final = 60_000
"""Milliseconds: that a token was used is written down once in so long at most."""
MAX_NAME: Final = 255


class SecondFactorNeeded(CredentialsRefused):
    """The password is right, and not enough."""

    @property
    def told(self) -> str:
        return (
            "this account has a second factor: make an access token in the browser, and use it in "
            "the place of the password"
        )


class NotWelcome(CredentialsRefused):
    """Somebody is known elsewhere, but cannot have an account here; the message says why."""

    @property
    def told(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class _Remembered:
    user_id: int
    password_hash: str | None
    until: float


class Logins:
    """Tells whose credentials those are.  `origin` is the address that they came from."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        users: Users,
        sessions: Sessions,
        limit: LoginLimit,
        directories: Sequence[Directory] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._users = users
        self._sessions = sessions
        self._limit = limit
        self._directories = directories
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, _Remembered] = {}
        self._verifying: dict[bytes, asyncio.Task[User]] = {}

    # Credentials

    async def by_password(self, name: str, secret: str, origin: str) -> Caller:
        """Whose name and password, or token in the place of a password, that is.

        Raises `CredentialsRefused`, `TooManyLogins`.
        """
        if is_secret(secret, Prefix.ACCESS_TOKEN) or is_secret(secret, Prefix.ROBOT):
            caller = await self.by_bearer(secret, origin)
            if caller.name != name:
                raise CredentialsRefused("the token is somebody else's")
            return caller
        user = await self.user_by_password(name, secret, origin)
        if user.has_second_factor:
            raise SecondFactorNeeded
        return Caller(Kind.USER, user.name, user.id, user.is_admin, Via.PASSWORD)

    async def by_bearer(self, secret: str, origin: str) -> Caller:
        """Whose access token or robot's secret that is.  Raises `CredentialsRefused`."""
        if is_secret(secret, Prefix.ACCESS_TOKEN):
            return await self._by_access_token(secret, origin)
        if is_secret(secret, Prefix.ROBOT):
            return await self._by_robot(secret, origin)
        raise CredentialsRefused("that is no token of the hub")

    async def by_session(self, cookie: str, origin: str) -> tuple[Caller, str]:
        """Whose session that is, and what its pages repeat.  Raises `CredentialsRefused`."""
        owned = await self._sessions.find(cookie)
        if owned is None:
            raise CredentialsRefused("the session has ended")
        return caller_of(owned), csrf_of(cookie)

    async def current(self, kind: Kind, account: int, credential: str) -> Caller:
        """The account as it is now; `credential` is the id of an access token, or empty.

        Raises `CredentialsRefused` where it, or that token, is no longer good.
        """
        if kind is Kind.ROBOT:
            found = await self._database.read(robots.by_id, account)
            return _robot(found[0] if found else None)
        if credential:
            owned = await self._database.read(access_tokens.get, credential)
            return _owner(owned)
        user = await self._database.read(users.get, account)
        if user is None or user.is_disabled:
            raise CredentialsRefused("the account is disabled")
        return Caller(Kind.USER, user.name, user.id, user.is_admin, Via.PASSWORD)

    async def _by_access_token(self, secret: str, origin: str) -> Caller:
        owned = await self._database.read(access_tokens.find, hashed(secret))
        caller = _owner(owned)
        assert owned is not None
        token = owned.token
        if _is_to_note(token.used_at, owned.now):
            await self._database.write_unflushed(_note_token, token.id, token.user_id, origin)
        return caller

    async def _by_robot(self, secret: str, origin: str) -> Caller:
        found = await self._database.read(robots.by_hash, hashed(secret))
        if found is None:
            raise CredentialsRefused("no robot has that secret")
        robot, now = found
        if _is_to_note(robot.used_at, now):
            await self._database.write_unflushed(robots.used, robot.id, origin)
        return _robot(robot)

    # Passwords

    async def user_by_password(self, name: str, password: str, origin: str) -> User:
        """Whose name and password that is, whatever else they have to show.

        Raises `CredentialsRefused`, `TooManyLogins`.
        """
        fingerprint = self._fingerprint(name, password)
        known = await self._known(fingerprint)
        if known is not None:
            return known
        task = self._verifying.get(fingerprint)
        if task is None:
            self._limit.charge(origin, name)
            task = asyncio.create_task(self._verify(fingerprint, name, password, origin))
            self._verifying[fingerprint] = task
            task.add_done_callback(lambda _: self._verifying.pop(fingerprint, None))
        return await asyncio.shield(task)

    async def count_failure(self, name: str, origin: str) -> None:
        """Somebody who claims that name has failed to show it."""
        await self._database.write_unflushed(_fail, _counted(name), origin)

    async def forgive(self, name: str, user: User, origin: str) -> None:
        """Somebody has shown all that it takes: forget how often it went wrong."""
        await self._database.write_unflushed(_arrive, _counted(name), user.id)
        self._limit.forgive(origin, name)

    async def refuse_locked(self, name: str) -> None:
        """Raises `TooManyLogins` where that name is locked."""
        _refuse(await self._database.read(login_failures.locked_for, _counted(name)))

    async def _known(self, fingerprint: bytes) -> User | None:
        """Who that was less than a minute ago, if nothing has become of them since."""
        found = self._remembered.get(fingerprint)
        if found is None or found.until <= self._clock():
            return None
        user = await self._database.read(users.get, found.user_id)
        if user is None or user.is_disabled or user.password_hash != found.password_hash:
            return None
        return user

    async def _verify(self, fingerprint: bytes, name: str, password: str, origin: str) -> User:
        await self.refuse_locked(name)
        user = await self._identified(name, password)
        if user is None or user.is_disabled:
            await self.count_failure(name, origin)
            raise CredentialsRefused("no user has that name and password")
        # Of many that were tried at once, a right one counts only if the wrong ones were few.
        await self.refuse_locked(name)
        # Half of a login makes nothing good: wrong codes would be forgotten with each password.
        if not user.has_second_factor:
            await self.forgive(name, user, origin)
        self._remember(fingerprint, user)
        return user

    async def _identified(self, name: str, password: str) -> User | None:
        user = await self._database.read(users.find, name) if is_account_name(name) else None
        if self._directories and (user is None or user.password_hash is None):
            return await self._by_directories(name, password)
        kept = user.password_hash if user is not None else None
        if not await self._passwords.verify(kept, password) or user is None or kept is None:
            return None
        if not self._passwords.is_outdated(kept) or user.is_disabled:
            return user
        better = await self._passwords.hash(password)
        await self._database.write(users.rehash, user.id, kept, better)
        return await self._database.read(users.get, user.id)

    async def _by_directories(self, name: str, password: str) -> User | None:
        for directory in self._directories:
            identity = await directory.verify(name, password)
            if identity is not None:
                try:
                    return await self._users.from_identity(identity, directory.settings)
                except HubError as error:
                    raise NotWelcome(str(error)) from error
        return None

    def _fingerprint(self, name: str, password: str) -> bytes:
        text = f"{name}\0{password}".encode("utf-8", "surrogatepass")
        return blake2b(text, key=self._key, digest_size=16).digest()

    def _remember(self, fingerprint: bytes, user: User) -> None:
        self._remembered.pop(fingerprint, None)
        if len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        until = self._clock() + REMEMBERED_SECONDS
        self._remembered[fingerprint] = _Remembered(user.id, user.password_hash, until)


def _owner(owned: Owned | None) -> Caller:
    if owned is None:
        raise CredentialsRefused("no valid access token is that")
    token = owned.token
    return Caller(
        kind=Kind.USER,
        name=owned.user_name,
        account=token.user_id,
        is_admin=owned.is_admin,
        via=Via.ACCESS_TOKEN,
        credential=token.id,
        limits=token.limits,
    )


def _robot(robot: Robot | None) -> Caller:
    if robot is None:
        raise CredentialsRefused("the robot is gone, or disabled")
    return Caller(Kind.ROBOT, robot.login, robot.id, via=Via.ROBOT_SECRET, limits=robot.limits)


def _counted(name: str) -> str:
    """What failures are counted by: what no account can be called is one name for all."""
    return name.lower() if name.isprintable() and len(name) <= MAX_NAME else ""


def _refuse(locked_for: int) -> None:
    if locked_for:
        raise TooManyLogins(math.ceil(locked_for / 1000))


def _is_to_note(used_at: int | None, now: int) -> bool:
    return used_at is None or used_at < now - NOTED_EVERY


def _note_token(tx: Connection, token_id: str, user_id: int, origin: str) -> None:
    access_tokens.used(tx, token_id, origin)
    users.seen(tx, user_id)


def _arrive(tx: Connection, name: str, user_id: int) -> None:
    login_failures.forgive(tx, name)
    users.seen(tx, user_id)


def _fail(tx: Connection, name: str, origin: str) -> None:
    if login_failures.count(tx, name):
        audit.record(tx, By("", origin), Deed("login.locked", f"user:{name}"))
