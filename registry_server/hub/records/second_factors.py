"""The seeds of second factors, the codes of them that were taken, and codes for the day of loss."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from registry_server.hub.records import users as user_records
from registry_server.hub.tables import recovery_codes, users
from registry_storage.databases import db_now

_IS_USER = users.c.id == bindparam("user_id")
_SEED = select(users.c.totp_seed, users.c.totp_confirmed_at).where(_IS_USER)
_TAKE_STEP = (
    update(users)
    .where(
        _IS_USER,
        or_(users.c.totp_last_step.is_(None), users.c.totp_last_step < bindparam("step")),
    )
    .values(totp_last_step=bindparam("step"))
)
_TAKE_CODE = delete(recovery_codes).where(
    recovery_codes.c.user_id == bindparam("user_id"), recovery_codes.c.hash == bindparam("hash")
)


def offer(tx: Connection, user_id: int, seed: bytes) -> bool:
    """Keep a seed that is not in force yet; False where another one is."""
    which = (users.c.id == user_id) & users.c.totp_confirmed_at.is_(None)
    return _changed(tx, update(users).where(which).values(totp_seed=seed, totp_last_step=None))


def seed(tx: Connection, user_id: int) -> tuple[bytes, bool] | None:
    """A user's seed, and whether it is in force."""
    row = tx.execute(_SEED, {"user_id": user_id}).first()
    return None if row is None or row[0] is None else (row[0], row[1] is not None)


def confirm(
    tx: Connection, user_id: int, seed: bytes, step: int, codes: Sequence[bytes], keep: str
) -> bool:
    """Put the seed that was offered in force; False where it is no longer the one.

    Logins by password alone end, but for the session with the id `keep`.
    """
    which = (
        (users.c.id == user_id) & (users.c.totp_seed == seed) & users.c.totp_confirmed_at.is_(None)
    )
    values = {"totp_confirmed_at": db_now(), "totp_last_step": step}
    if not _changed(tx, update(users).where(which).values(values)):
        return False
    set_codes(tx, user_id, codes)
    user_records.end_logins(tx, user_id, keep)
    return True


def take_step(tx: Connection, user_id: int, step: int) -> bool:
    """Whether the code of that time step was still good: none is taken twice, nor an older one."""
    done = tx.execute(
        _TAKE_STEP,
        {"user_id": user_id, "step": step},
        execution_options={"preserve_rowcount": True},
    )
    return done.rowcount == 1


def take_code(tx: Connection, user_id: int, hashed: bytes) -> bool:
    """Whether it was a recovery code that was still good; it no longer is."""
    done = tx.execute(
        _TAKE_CODE,
        {"user_id": user_id, "hash": hashed},
        execution_options={"preserve_rowcount": True},
    )
    return done.rowcount == 1


def set_codes(tx: Connection, user_id: int, hashes: Sequence[bytes]) -> None:
    """The recovery codes from now on; all others are void."""
    tx.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    if hashes:
        tx.execute(
            insert(recovery_codes), [{"user_id": user_id, "hash": hashed} for hashed in hashes]
        )


def codes_left(tx: Connection, user_id: int) -> int:
    """How many recovery codes are still good."""
    count = select(func.count()).where(recovery_codes.c.user_id == user_id)
    return tx.execute(count).scalar_one()


def drop(tx: Connection, user_id: int) -> None:
    """A password is enough again."""
    values = {"totp_seed": None, "totp_confirmed_at": None, "totp_last_step": None}
    tx.execute(update(users).where(users.c.id == user_id).values(values))
    set_codes(tx, user_id, ())


def _changed(tx: Connection, statement: object) -> bool:
    done = tx.execute(statement, execution_options={"preserve_rowcount": True})  # type: ignore[call-overload]
    return bool(done.rowcount == 1)
