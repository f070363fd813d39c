"""The log: what is written stays, what is looked for is found, what the catalog tells comes."""

from __future__ import annotations

import ast
import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

import registry_server.hub
from registry_server.hub import audit as service
from registry_server.hub.audit import READER, AuditLog
from registry_server.hub.database import SCHEMA
from registry_server.hub.records import audit, readers
from registry_server.hub.records.audit import NOBODY, OPERATOR, By, Deed, Mark, Search
from registry_server.settings.hub import AuditSettings
from registry_storage import Actor, Change, Registry, Visibility
from registry_storage.databases import Database, db_now
from registry_storage.errors import CatalogUnavailable

ANN = By("ann", "192.0.2.1", "request-1")
DAY = 24 * 3600 * 1000


class Outbox:
    """Events as a catalog gives them."""

    def __init__(self, *changes: Change) -> None:
        self.changes = list(changes)
        self.is_down = False
        self._asked = asyncio.Event()

    async def was_asked(self) -> None:
        """Wait until events are asked for."""
        self._asked.clear()
        await self._asked.wait()

    async def events(self, after: int, limit: int) -> list[Change]:
        self._asked.set()
        if self.is_down:
            raise CatalogUnavailable("the catalog is away")
        return [change for change in self.changes if change.position > after][:limit]

    async def last_event(self) -> int:
        return max((change.position for change in self.changes), default=0)


def change(position: int, kind: str = "tag.set", **details: Any) -> Change:
    return Change(position, 1_000 * position, kind, "team/app", "ann", "192.0.2.1", details)


def log_of(database: Database, outbox: Any, retention: float = 365 * 86400) -> AuditLog:
    return AuditLog(database, outbox, AuditSettings(retention=retention))


def as_told(entries: Sequence[audit.Entry]) -> list[str]:
    return [f"{entry.by.actor} {entry.deed.action} {entry.deed.target}" for entry in entries]


# What is written


async def test_an_entry_tells_who_what_where_and_when(hub_database: Database) -> None:
    deed = Deed("member.set", "user:bob", "team", {"role": "write"})
    await hub_database.write(audit.record, ANN, deed)
    (entry,) = await log_of(hub_database, Outbox()).find(Search())
    assert (entry.by, entry.deed) == (ANN, deed)
    now = await hub_database.read(_now)
    assert now - 60_000 < entry.mark.at <= now


def _now(tx: Connection) -> int:
    return tx.scalars(select(db_now())).one()


async def test_an_entry_of_a_change_that_fails_is_not_there(hub_database: Database) -> None:
    def fail(tx: Connection) -> None:
        audit.record(tx, OPERATOR, Deed("user.created", "user:eve"))
        raise ValueError("the change failed")

    with pytest.raises(ValueError, match="the change failed"):
        await hub_database.write(fail)
    assert not await log_of(hub_database, Outbox()).find(Search())


async def test_nobody_has_a_name_too(hub_database: Database) -> None:
    await hub_database.write(audit.record, By(""), Deed("login.failed", "user:ann"))
    (entry,) = await log_of(hub_database, Outbox()).find(Search())
    assert entry.by.actor == NOBODY


def test_only_the_operations_of_the_log_touch_its_table() -> None:
    """Append-only: beside them nothing names the table, and they change no row."""
    folder = Path(registry_server.hub.__file__).parent
    named = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "registry_server.hub.tables"
        and any(alias.name == "audit" for alias in node.names)
    }
    assert named == {"records/audit.py"}
    tree = ast.parse((folder / "records/audit.py").read_text())
    called = [node.func.id for node in ast.walk(tree) if _is_call(node)]
    assert called.count("delete") == 1
    assert "update" not in called


def _is_call(node: ast.AST) -> Any:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


# What is looked for


@pytest.fixture
async def filled(hub_database: Database) -> AsyncIterator[AuditLog]:
    """Ten entries, five at one moment; ann and bob in turn."""

    def fill(tx: Connection) -> None:
        told = [
            (
                1_000 + 100 * (number // 5),
                By("ann" if number % 2 else "bob", f"192.0.2.{number}"),
                Deed(f"act.{number % 3}", f"thing:{number}", "team" if number < 5 else "other"),
            )
            for number in range(10)
        ]
        audit.copy(tx, told)

    await hub_database.write(fill)
    return log_of(hub_database, Outbox())


@pytest.mark.parametrize(
    ("search", "things"),
    [
        (Search(), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (Search(actor="ann"), [9, 7, 5, 3, 1]),
        (Search(actor="ann", namespace="team"), [3, 1]),
        (Search(target="thing:4"), [4]),
        (Search(action="act.2"), [8, 5, 2]),
        (Search(since=1_100), [9, 8, 7, 6, 5]),
        (Search(until=1_100, action="act.0"), [3, 0]),
        (Search(actor="' OR 1=1 --"), []),
        (Search(actor="%"), []),
    ],
)
async def test_searches(filled: AuditLog, search: Search, things: list[int]) -> None:
    found = await filled.find(search)
    assert [entry.deed.target for entry in found] == [f"thing:{number}" for number in things]


@pytest.mark.parametrize("size", [1, 3, 10, 11])
async def test_pages_hold_each_entry_once(filled: AuditLog, size: int) -> None:
    walked: list[audit.Entry] = []
    before: Mark | None = None
    while page := await filled.find(Search(), before=before, limit=size):
        assert len(page) <= size
        walked += page
        before = page[-1].mark
    assert walked == await filled.find(Search())


async def test_a_page_of_an_actor_needs_no_sorting(hub_database: Database) -> None:
    if hub_database.dialect != "sqlite":
        pytest.skip("PostgreSQL plans by the size of the table")
    for column in ("actor", "target", "namespace", "action"):
        plan = await hub_database.read(_plan, column)
        assert f"ix_hub_audit_{column}" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


def _plan(tx: Connection, column: str) -> str:
    query = (
        f"EXPLAIN QUERY PLAN SELECT * FROM hub_audit WHERE {column} = 'x' AND (at, id) < (5, 5)"
        " ORDER BY at DESC, id DESC LIMIT 10"
    )
    return " ".join(row[-1] for row in tx.execute(text(query)))


# What goes


async def test_what_is_old_goes_and_nothing_else(
    hub_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AT_ONCE", 2)
    now = await hub_database.read(_now)
    ages = [0, 1, 9, 10.01, 11, 12, 13, 14]
    told = [(now - round(age * DAY), ANN, Deed("act", f"thing:{age}")) for age in ages]
    await hub_database.write(audit.copy, told)
    log = log_of(hub_database, Outbox(), retention=10 * 86400)
    await log.clean()
    assert [entry.deed.target for entry in await log.find(Search())] == [
        "thing:0",
        "thing:1",
        "thing:9",
    ]


# What the catalog tells


async def test_events_are_copied_as_they_happened(hub_database: Database) -> None:
    renamed = Change(7, 7_000, "namespace.changed", None, "bob", "", {"namespace": "team"})
    outbox = Outbox(change(3, tag="v1"), change(5, "blob.linked"), renamed)
    log = log_of(hub_database, outbox)
    await log.catch_up()
    new, old = await log.find(Search())
    assert (old.mark.at, old.by) == (3_000, By("ann", "192.0.2.1"))
    assert old.deed == Deed("tag.set", "repository:team/app", "team", {"tag": "v1"})
    assert (new.mark.at, new.by) == (7_000, By("bob"))
    assert new.deed == Deed("namespace.changed", "namespace:team", "team", {"namespace": "team"})
    await log.catch_up()
    assert len(await log.find(Search())) == 2


async def test_many_readers_copy_each_event_once(
    hub_database_url: str, hub_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AT_ONCE", 7)
    outbox = Outbox(*(change(number) for number in range(1, 101)))
    other = await Database.open_with(hub_database_url, SCHEMA)
    logs = [log_of(database, outbox) for database in (hub_database, other) for _ in range(4)]
    await asyncio.gather(*(log.catch_up() for log in logs))
    await other.close()
    found = await logs[0].find(Search(), limit=1000)
    assert [entry.mark.at for entry in found] == [1_000 * n for n in range(100, 0, -1)]


async def test_a_catalog_from_a_backup_is_followed_again(
    hub_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(change(1), change(2), change(3))
    log = log_of(hub_database, outbox)
    await log.catch_up()
    del outbox.changes[1:]
    await log.catch_up()
    assert await hub_database.read(readers.position, READER) == 1
    assert "a backup" in caplog.text
    outbox.changes.append(change(2, "tag.deleted"))
    await log.catch_up()
    assert as_told(await log.find(Search(action="tag.deleted"))) == [
        "ann tag.deleted repository:team/app"
    ]


async def test_it_goes_on_when_the_catalog_is_there_again(
    hub_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "LOOK_SECONDS", 0.01)
    outbox = Outbox(change(1))
    outbox.is_down = True
    log = log_of(hub_database, outbox, retention=100 * 365 * 86400)
    with caplog.at_level(logging.ERROR):
        log.start()
        for _ in range(3):
            await outbox.was_asked()
        outbox.is_down = False
        for _ in range(2):
            await outbox.was_asked()
    await log.close()
    assert len(await log.find(Search())) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "events wait to be copied into the audit log: the catalog is away"
    ]


async def test_what_people_do_to_images_is_told_with_their_address(
    hub_database: Database, tmp_path: Path
) -> None:
    registry = await Registry.open("filesystem", {"rootdirectory": str(tmp_path / "storage")})
    actor = Actor("ann", "192.0.2.1")
    await registry.create_repository("team/app", actor=actor)
    await registry.set_visibility("team/app", Visibility.PUBLIC, actor=actor)
    log = log_of(hub_database, registry)
    leave = asyncio.Event()
    janitor = asyncio.create_task(registry.janitor().run(leave))
    while len(found := await log.find(Search(namespace="team"))) < 2:
        await asyncio.sleep(0.05)
        await log.catch_up()
    leave.set()
    await janitor
    await registry.close()
    assert as_told(found) == [
        "ann repository.visibility repository:team/app",
        "ann repository.created repository:team/app",
    ]
    assert {entry.by.origin for entry in found} == {"192.0.2.1"}
