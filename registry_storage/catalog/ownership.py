"""Ownership: which driver's store this catalog belongs to.

The driver's newest marker holds the store's id and a token that is one of the two here.  A fresh
token goes into the row as `next`, then into the driver as a new marker, and is then confirmed.  A
token begins with the number of its term, so that of two markers everybody knows which is newer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, null, select, update
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog.tables import store
from registry_storage.databases.types import db_now


class StoreRow(NamedTuple):
    """The store that the catalog belongs to."""

    store_id: str
    current_token: str | None
    """Of the newest marker that is known to be written; None: not yet any."""
    next_token: str | None
    """Of the marker that is being written, or was when a process died."""
    adopted_at: int | None
    """Milliseconds since the epoch: nothing stored before is ever swept."""


_READ = select(store.c.store_id, store.c.current_token, store.c.next_token, store.c.adopted_at)
_TOKEN = re.compile(r"(?P<term>[0-9]{1,18})\.(?P<secret>.+)")

_CREATE = insert(store).on_conflict_do_nothing()
_SET_NEXT = update(store).values(next_token=bindparam("token"))
_CONFIRM = (
    update(store)
    .where(store.c.next_token == bindparam("token"))
    .values(current_token=store.c.next_token, next_token=null())
)
_adoption = insert(store).values(id=1, adopted_at=db_now())
_ADOPT = _adoption.on_conflict_do_update(
    index_elements=[store.c.id],
    set_={
        "store_id": _adoption.excluded.store_id,
        "current_token": null(),
        "next_token": _adoption.excluded.next_token,
        "adopted_at": _adoption.excluded.adopted_at,
    },
)


def read(tx: Connection) -> StoreRow | None:
    """The store this catalog belongs to; None while it belongs to none."""
    row = tx.execute(_READ).first()
    return StoreRow(*row) if row else None


def token_of(term: int, secret: str) -> str:
    """The token of that term."""
    return f"{term}.{secret}"


def term_of(token: str) -> int:
    """The number of the token's term; 0 for what is no token."""
    found = _TOKEN.fullmatch(token)
    return int(found["term"]) if found else 0


def create(tx: Connection, store_id: str, token: str) -> StoreRow:
    """Belong to a new store, whose first marker will hold `token`; who came first wins."""
    tx.execute(_CREATE, {"id": 1, "store_id": store_id, "next_token": token})
    return _the_row(tx)


def draw_next(tx: Connection, secret: str) -> StoreRow:
    """A marker is about to be written whose token holds `secret`, of the next term."""
    row = StoreRow(*tx.execute(_READ.with_for_update()).one())
    term = 1 + max(term_of(token or "") for token in (row.current_token, row.next_token))
    tx.execute(_SET_NEXT, {"token": token_of(term, secret)})
    return _the_row(tx)


def confirm(tx: Connection, token: str) -> bool:
    """The marker with `token` is written; False if another has been announced meanwhile."""
    return tx.execute(_CONFIRM, {"token": token}).rowcount == 1


def adopt(tx: Connection, store_id: str, token: str) -> StoreRow:
    """Belong to the store `store_id` from now, whose next marker will hold `token`."""
    tx.execute(_ADOPT, {"store_id": store_id, "next_token": token})
    return _the_row(tx)


def _the_row(tx: Connection) -> StoreRow:
    return StoreRow(*tx.execute(_READ).one())
