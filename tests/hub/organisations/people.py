"""Users with a namespace of their own, put straight into the hub's tables."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from registry_server.hub.callers import Caller, Kind, Via
from registry_server.hub.records import namespaces
from registry_server.hub.records.audit import By
from registry_server.hub.roles import Limit, Role
from registry_server.hub.tables import users
from registry_storage.databases import Database

BY = By("somebody", "192.0.2.1", "request-1")


def _add(tx: Connection, name: str) -> int:
    key = tx.execute(insert(users).values(name=name)).inserted_primary_key
    assert key is not None
    namespaces.claim(tx, name, user_id=key[0])
    return int(key[0])


async def add_user(database: Database, name: str, *, is_admin: bool = False) -> Caller:
    """A new user, as they call in a session."""
    account = await database.write(_add, name)
    return Caller(Kind.USER, name, account, is_admin, Via.SESSION, "session-of-" + name)


def robot(namespace: str, *limits: Limit) -> Caller:
    """A robot of a namespace, as it calls."""
    return Caller(Kind.ROBOT, f"{namespace}+ci", 1, False, Via.ROBOT_SECRET, "", limits)


def limit(text: str) -> Limit:
    """`glob:role` as a limit."""
    repositories, _, role = text.rpartition(":")
    return Limit(repositories, Role(role))
