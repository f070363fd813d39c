"""The rows of keys that sign tokens, and how one follows another."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, delete, insert, select, text, update

from registry_server.hub.tables import keys
from registry_storage.databases import db_now


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as it is kept.  Times are milliseconds since the epoch."""

    kid: str
    algorithm: str
    private_key: str
    signs_from: int
    published_until: int | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made."""

    kid: str
    algorithm: str
    private_key: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When keys follow one another, in milliseconds."""

    rotation: int
    """How long a key signs."""
    ahead: int
    """How long before it signs a key is published, so that every node knows it by then."""
    tail: int
    """How long after it last signed a key is published, so that what it signed may expire."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that are published, from the oldest to the newest, at one moment."""

    now: int
    rows: tuple[KeyRow, ...] = ()

    @property
    def signing(self) -> KeyRow:
        """The newest of those whose time has come; the first, where a clock was set back."""
        return ([row for row in self.rows if row.signs_from <= self.now] or self.rows[:1])[-1]

    def names(self, kid: str) -> bool:
        """Whether there is a key of that name."""
        return any(row.kid == kid for row in self.rows)

    def needs_successor(self, schedule: Schedule) -> bool:
        """Whether there is no key, or the newest one's time is about to end."""
        if not self.rows:
            return True
        return self.now >= self.rows[-1].signs_from + schedule.rotation - schedule.ahead


_NOW = select(db_now())
_PUBLISHED = (
    select(
        keys.c.kid, keys.c.algorithm, keys.c.private_key, keys.c.signs_from, keys.c.published_until
    )
    .where((keys.c.published_until.is_(None)) | (keys.c.published_until > db_now()))
    .order_by(keys.c.signs_from, keys.c.kid)
)
_INSERT = insert(keys)
_RETIRE = (
    update(keys)
    .where(keys.c.kid == bindparam("retired"))
    .values(published_until=bindparam("until"))
)
_FORGET = delete(keys).where(keys.c.published_until <= db_now())
_REVOKE = delete(keys).where(keys.c.kid == bindparam("revoked"))
_SIGN_NOW = (
    update(keys)
    .where(keys.c.published_until.is_(None))
    .values(signs_from=case((keys.c.signs_from > db_now(), db_now()), else_=keys.c.signs_from))
    .execution_options(preserve_rowcount=True)
)
_LOCK = text("LOCK TABLE hub_keys IN SHARE ROW EXCLUSIVE MODE")
"""PostgreSQL: one successor at a time.  SQLite has one writer at a time anyway."""


def published(tx: Connection) -> KeyRing:
    """The keys that may have signed what is still valid, and those that are about to sign."""
    now = tx.execute(_NOW).scalar_one()
    return KeyRing(now, tuple(KeyRow(*row) for row in tx.execute(_PUBLISHED)))


def succeed(tx: Connection, new: NewKey, schedule: Schedule, *, at_once: bool = False) -> KeyRing:
    """Let `new` follow the newest key, if that is due or asked for `at_once`; the keys then.

    At once means: as soon as every node can know it.  The very first key signs immediately.
    """
    _lock(tx)
    ring = published(tx)
    if not at_once and not ring.needs_successor(schedule):
        return ring
    signs_from = ring.now
    if ring.rows:
        signs_from += schedule.ahead
        newest = ring.rows[-1].kid
        tx.execute(_RETIRE, {"retired": newest, "until": signs_from + schedule.tail})
    _insert(tx, new, signs_from)
    tx.execute(_FORGET)
    return published(tx)


def revoke(tx: Connection, kid: str, new: NewKey) -> bool:
    """Whether there was such a key; what it signed is no longer good.

    If no other one signs now, the next one does at once, or `new`, where there is none.
    """
    _lock(tx)
    ring = published(tx)
    if not ring.names(kid):
        return False
    tx.execute(_REVOKE, {"revoked": kid})
    if tx.execute(_SIGN_NOW).rowcount == 0:
        _insert(tx, new, ring.now)
    return True


def _lock(tx: Connection) -> None:
    if tx.dialect.name == "postgresql":
        tx.execute(_LOCK)


def _insert(tx: Connection, new: NewKey, signs_from: int) -> None:
    values = {"kid": new.kid, "algorithm": new.algorithm, "private_key": new.private_key}
    tx.execute(_INSERT, {**values, "signs_from": signs_from})
