"""Garbage: locations that no row names any more, until the driver has deleted their bytes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, delete, exists, or_, select
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog.tables import (
    blobs,
    journal_blobs,
    manifest_payloads,
    upload_tails,
    uploads,
)
from registry_storage.catalog.tables import garbage as table
from registry_storage.databases.types import db_now


def _is_named(location: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row needs the bytes; an upload that is done only remembers where they were."""
    namers = (blobs, manifest_payloads, upload_tails, journal_blobs)
    in_flight = uploads.c.state.in_(("open", "committing"))
    return or_(
        *(exists().where(namer.c.location == location) for namer in namers),
        exists().where(uploads.c.location == location, in_flight),
    )


_location = bindparam("location", type_=table.c.location.type)
_ADD = (
    insert(table)
    .from_select(
        ["location", "driver", "not_before"],
        select(
            _location,
            bindparam("driver", type_=table.c.driver.type),
            db_now() + bindparam("delay"),
        ).where(~_is_named(_location)),
    )
    .on_conflict_do_nothing()
)
_is_due = table.c.not_before <= db_now()
_DROP_NAMED = delete(table).where(_is_due, _is_named(table.c.location))
_DUE = (
    select(table.c.location).where(_is_due).order_by(table.c.not_before).limit(bindparam("limit"))
)
_FORGET = delete(table).where(table.c.location == bindparam("location"))


def add(tx: Connection, location: str, driver: str, *, delay: int) -> None:
    """The bytes at `location` may go `delay` milliseconds from now, unless a row names them.

    Call it in the transaction that dropped the row which named them.
    """
    tx.execute(_ADD, {"location": location, "driver": driver, "delay": delay})


def due(tx: Connection, limit: int) -> list[str]:
    """Locations whose time has come, longest due first; what a row names after all is garbage no
    more."""
    tx.execute(_DROP_NAMED)
    return list(tx.scalars(_DUE, {"limit": limit}).all())


def forget(tx: Connection, locations: Sequence[str]) -> None:
    """The driver holds nothing at `locations` any more."""
    if locations:
        tx.execute(_FORGET, [{"location": location} for location in locations])
