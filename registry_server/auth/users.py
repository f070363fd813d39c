"""Access control by an htpasswd file and a file of rules.

bcrypt is slow on purpose, so it is never paid on the event loop, and once a minute for a client
that keeps coming: what was verified is remembered under a keyed hash of the header, never under the
password itself.  Both files are looked at every second; what a changed file says holds at once.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

from registry_server.auth.access import (
    ANONYMOUS,
    Access,
    Action,
    CredentialsRefused,
    Decision,
    Scope,
    Subject,
    TooManyLogins,
)
from registry_server.auth.basic import Credentials, parse_basic
from registry_server.auth.followed import FollowedFile, Follower
from registry_server.auth.htpasswd import parse_passwords
from registry_server.auth.policy import EVERY_LOGIN, Policy, decide
from registry_server.auth.policy_file import parse_policy
from registry_server.limits import LoginLimit
from registry_server.settings.model import HtpasswdSettings

REMEMBERED_SECONDS = 60.0
MAX_REMEMBERED = 4096
MAX_DECISIONS = 16_384
MAX_WAITING = 64
"""Logins that wait for bcrypt, in this process; more are asked to come back."""


class UserAccess(Access):
    """Users of an htpasswd file, and rules of what they may do.

    `logins` is how often they may fail.  Making one reads both files.  Raises
    `ConfigurationInvalid`.
    """

    is_open = False

    def __init__(
        self,
        settings: HtpasswdSettings,
        logins: LoginLimit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._challenge = f'Basic realm="{settings.realm}"'
        self._passwords = FollowedFile("auth.htpasswd.path", settings.path, parse_passwords)
        self._rules = (
            FollowedFile("auth.htpasswd.policy", settings.policy, parse_policy)
            if settings.policy
            else None
        )
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, tuple[Subject, float]] = {}
        self._decisions: dict[tuple[str, str, Action], Decision] = {}
        self._verifying: dict[bytes, asyncio.Task[Subject]] = {}
        self._logins = logins
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="bcrypt")
        self._follower = Follower(self._look_at_files, self._forget)

    async def start(self) -> None:
        self._follower.start()

    async def close(self) -> None:
        await self._follower.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def reload(self) -> None:
        """Look at the files now; when this returns, what they say is in force."""
        await self._follower.look_now()

    # Who asks

    def identify_cached(self, authorization: str | None) -> Subject | None:
        if authorization is None:
            return ANONYMOUS
        found = self._remembered.get(self._fingerprint(authorization))
        return found[0] if found is not None and found[1] > self._clock() else None

    async def identify(self, authorization: str | None, *, client: str = "") -> Subject:
        if (known := self.identify_cached(authorization)) is not None or authorization is None:
            return known or ANONYMOUS
        credentials = parse_basic(authorization)
        if credentials.are_empty:
            return ANONYMOUS
        fingerprint = self._fingerprint(authorization)
        task = self._verifying.get(fingerprint)
        if task is None:
            task = self._begin_to_verify(fingerprint, credentials, client)
        return await asyncio.shield(task)

    def _begin_to_verify(
        self, fingerprint: bytes, credentials: Credentials, client: str
    ) -> asyncio.Task[Subject]:
        if len(self._verifying) >= MAX_WAITING:
            raise TooManyLogins(1)
        self._logins.charge(client, credentials.name)
        task = asyncio.create_task(self._verify(fingerprint, credentials, client))
        self._verifying[fingerprint] = task
        task.add_done_callback(lambda _: self._verifying.pop(fingerprint, None))
        return task

    async def _verify(self, fingerprint: bytes, credentials: Credentials, client: str) -> Subject:
        passwords = self._passwords.value
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(
            self._pool, passwords.verify, credentials.name, credentials.password
        )
        if not matches:
            raise CredentialsRefused("no user has that name and password")
        self._logins.forgive(client, credentials.name)
        subject = Subject(credentials.name)
        if passwords is self._passwords.value:  # else the file changed while bcrypt ran
            self._remember(fingerprint, subject)
        return subject

    def _fingerprint(self, authorization: str) -> bytes:
        text = authorization.encode("utf-8", "surrogatepass")
        return blake2b(text, key=self._key, digest_size=16).digest()

    def _remember(self, fingerprint: bytes, subject: Subject) -> None:
        self._remembered.pop(fingerprint, None)
        if len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[fingerprint] = (subject, self._clock() + REMEMBERED_SECONDS)

    # What they may do

    def decide(self, subject: Subject, repository: str, action: Action) -> Decision:
        key = (subject.name, repository, action)
        decision = self._decisions.get(key)
        if decision is None:
            decision = decide(self._policy, subject, repository, action)
            if len(self._decisions) >= MAX_DECISIONS:
                self._decisions.clear()
            self._decisions[key] = decision
        return decision

    def challenge(
        self, subject: Subject | None, scopes: Sequence[Scope], authority: str
    ) -> str | None:
        return self._challenge if subject is None or subject.is_anonymous else None

    @property
    def _policy(self) -> Policy:
        return self._rules.value if self._rules else EVERY_LOGIN

    # The files

    def _look_at_files(self) -> bool:
        rules_changed = self._rules is not None and self._rules.reload_if_changed()
        return self._passwords.reload_if_changed() or rules_changed

    def _forget(self) -> None:
        self._remembered.clear()
        self._decisions.clear()
