"""The keys that sign tokens: made at the first start, followed by others from time to time.

All hubs of one database share them.  A new key is published some minutes before it signs, so that
every node and every registry knows it by then, and the old one stays published until nothing that
it signed can be valid, so that no token fails because of a rotation.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import Connection

from registry_server.auth.keys import Keys, as_jwk, libtrust_id, thumbprint, trusted
from registry_server.auth.signed import LEEWAY
from registry_server.auth.tokens import GRACE
from registry_server.hub.database import open_by_operator as open_database_by_operator
from registry_server.hub.errors import Unknown
from registry_server.hub.records import audit
from registry_server.hub.records import keys as records
from registry_server.hub.records.audit import HUB, By, Deed
from registry_server.hub.records.keys import KeyRing, KeyRow, NewKey, Schedule
from registry_server.settings import Settings
from registry_server.settings.hub import HubTokenSettings
from registry_storage.databases import Database
from registry_storage.errors import RegistryError

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

REFRESH_SECONDS: Final = 60.0
AHEAD_SECONDS: Final = 600.0
PAUSE_SECONDS: Final = 1.0
"""The database is asked for a key that is not known once in so long at most."""
_RSA_BITS: Final = 3072

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs now."""

    kid: str
    algorithm: str
    private: PrivateKey


class SigningKeys:
    """The keys of a hub, followed by a task of its own between `start` and `close`."""

    def __init__(
        self,
        database: Database,
        settings: HubTokenSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._algorithm = settings.algorithm
        self._schedule = _schedule(settings)
        self._clock = clock
        self._asked = -PAUSE_SECONDS
        self._ring = KeyRing(0)
        self._signing: SigningKey | None = None
        self._public = Keys()
        self._jwks: Mapping[str, Any] = {"keys": []}
        self._changed: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[bool] | None = None

    async def start(self) -> None:
        """Make the first key if there is none.  Raises as `Database.write`."""
        await self.refresh()
        self._task = asyncio.create_task(self._follow(), name="follow the keys of tokens")

    async def close(self) -> None:
        """Follow them no longer."""
        for task in (self._task, self._looking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @property
    def ring(self) -> KeyRing:
        """What the database had when it was last asked."""
        return self._ring

    def current(self) -> SigningKey:
        """The key to sign with."""
        assert self._signing is not None, "not started"
        return self._signing

    def public(self) -> Keys:
        """What verifies every token that may still be valid, and those of the next key."""
        return self._public

    def jwks(self) -> Mapping[str, Any]:
        """The same as a JWKS (RFC 7517)."""
        return self._jwks

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever other keys are published than before."""
        self._changed = changed

    async def refresh(self) -> None:
        """See what the database has, and let a new key follow where that is due."""
        ring = await self._database.read(records.published)
        if ring.needs_successor(self._schedule):
            ring = await self._succeed()
        self._take(ring)

    async def look_soon(self) -> bool:
        """Ask the database for keys that others made, once for all who wait.

        False: it was asked a moment ago, or does not answer.
        """
        if self._looking is None:
            if self._clock() < self._asked + PAUSE_SECONDS:
                return False
            self._asked = self._clock()
            self._looking = asyncio.create_task(self._look(), name="look for new keys of tokens")
            self._looking.add_done_callback(self._forget_task)
        return await asyncio.shield(self._looking)

    def _forget_task(self, _: object) -> None:
        self._looking = None

    async def rotate(self, by: By) -> None:
        """Let a new key follow, whatever the schedule says."""
        new = await asyncio.to_thread(new_key, self._algorithm)
        self._take(await self._database.write(_rotate, by, new, self._schedule))

    async def revoke(self, by: By, kid: str) -> None:
        """What that key signed is no longer good; raises `Unknown` where there is none.

        Other processes learn of it within `REFRESH_SECONDS`.
        """
        new = await asyncio.to_thread(new_key, self._algorithm)
        await self._database.write(_revoke, by, kid, new)
        await self.refresh()

    async def _succeed(self) -> KeyRing:
        new = await asyncio.to_thread(new_key, self._algorithm)
        return await self._database.write(_succeed, new, self._schedule)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._look()

    async def _look(self) -> bool:
        """Whether the database could be asked."""
        try:
            await self.refresh()
        except RegistryError as error:
            log.error("the keys of tokens cannot be read, those known stay in force: %s", error)
            return False
        return True

    def _take(self, ring: KeyRing) -> None:
        signing = ring.signing
        if self._signing is None or self._signing.kid != signing.kid:
            self._signing = SigningKey(signing.kid, signing.algorithm, _private(signing))
            log.info("tokens are signed with the key %s (%s)", signing.kid, signing.algorithm)
        if [row.kid for row in ring.rows] != [row.kid for row in self._ring.rows]:
            self._publish(ring)
        self._ring = ring

    def _publish(self, ring: KeyRing) -> None:
        published = [(row, _private(row).public_key()) for row in ring.rows]
        self._public = Keys(
            {
                name: trusted(key, row.algorithm)
                for row, key in published
                for name in (thumbprint(key), libtrust_id(key))
            }
        )
        self._jwks = {"keys": [as_jwk(key, row.algorithm) for row, key in published]}
        self._changed()


def _succeed(tx: Connection, new: NewKey, schedule: Schedule) -> KeyRing:
    ring = records.succeed(tx, new, schedule)
    if new.kid in [row.kid for row in ring.rows]:  # else another process was quicker
        audit.record(tx, HUB, Deed("key.rotated", f"key:{new.kid}"))
    return ring


def _rotate(tx: Connection, by: By, new: NewKey, schedule: Schedule) -> KeyRing:
    audit.record(tx, by, Deed("key.rotated", f"key:{new.kid}"))
    return records.succeed(tx, new, schedule, at_once=True)


def _revoke(tx: Connection, by: By, kid: str, new: NewKey) -> None:
    if not records.revoke(tx, kid, new):
        raise Unknown(f"there is no key {kid}")
    audit.record(tx, by, Deed("key.revoked", f"key:{kid}"))


class OwnKeys:
    """The hub's keys as those that the registry half of the same process trusts (`KeySource`)."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    @property
    def value(self) -> Keys:
        return self._keys.public()

    def on_change(self, changed: Callable[[], None]) -> None:
        self._keys.on_change(changed)

    async def start(self) -> None:
        """The hub follows them already."""

    async def close(self) -> None:
        """They are the hub's to close."""

    async def reload(self) -> None:
        await self._keys.refresh()

    async def look_for_new_keys(self) -> bool:
        return await self._keys.look_soon()


async def open_by_operator(settings: Settings, resources: AsyncExitStack) -> SigningKeys:
    """The keys for a command, which may run while the hub is served.

    Raises `ConfigurationInvalid`, `CatalogError`, `CatalogUnavailable`, `NoSpace`.
    """
    hub, database = await open_database_by_operator(settings, resources)
    keys = SigningKeys(database, hub.tokens)
    await keys.refresh()
    return keys


def new_key(algorithm: str) -> NewKey:
    """A fresh key.  Takes up to a second for RSA."""
    private = _MAKE[algorithm]()
    kid = thumbprint(private.public_key())
    if kid.startswith("-"):
        return new_key(algorithm)  # commands would take its name for an option
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return NewKey(kid, algorithm, pem.decode())


_MAKE: Final[Mapping[str, Callable[[], PrivateKey]]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(65537, _RSA_BITS),
}


def _private(row: KeyRow) -> PrivateKey:
    key = load_pem_private_key(row.private_key.encode(), password=None)
    assert isinstance(key, PrivateKey)
    return key


def _schedule(settings: HubTokenSettings) -> Schedule:
    tail = settings.lifetime + LEEWAY + GRACE + REFRESH_SECONDS
    return Schedule(*(round(1000 * s) for s in (settings.rotation, AHEAD_SECONDS, tail)))
