"""Every list is served by an index, a page at a time: what a page costs does not grow."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, text, update

from registry_storage.catalog import (
    Catalog,
    events,
    garbage,
    listings,
    manifests,
    referrers,
    tag_facts,
    tags,
)
from registry_storage.catalog import tables as t
from registry_storage.catalog.listings import Scope
from tests.catalog.samples import REPOSITORY, digest, push

ROWS = 5_000


def _fill(tx: Connection) -> None:
    """Many repositories, and in the first of them many tags and referrers; much garbage too."""
    numbers = [f"{number:05}" for number in range(ROWS)]
    subject, held = digest("image"), {"leased_until": 0, "size": 1, "media_type": "m"}
    tx.execute(insert(t.repositories), [{"name": f"many/{n}", "listed": True} for n in numbers])
    tx.execute(insert(t.repositories), [{"name": f"none/{n}"} for n in numbers])
    few = t.repositories.c.name.in_([f"none/{n}" for n in numbers[::1000]])
    tx.execute(update(t.repositories).where(few).values(visibility="public"))
    tx.execute(
        text(
            "INSERT INTO manifests (repository_id, digest, media_type, size, leased_until) "
            f"SELECT id, '{subject}', 'm', 1, 0 FROM repositories WHERE name LIKE 'many/%'"
        )
    )
    payload = {"payload": b"", "location": "l", "driver": "d"}
    tx.execute(insert(t.manifest_payloads), [{"digest": digest(n), **payload} for n in numbers])
    signatures = [
        {"repository_id": 1, "digest": digest(n), "subject": subject, **held} for n in numbers
    ]
    tx.execute(insert(t.manifests), signatures)
    tx.execute(
        insert(t.tags), [{"repository_id": 1, "name": n, "digest": subject} for n in numbers]
    )
    pulled = [
        {"repository_id": 1, "reference": n, "pulls": 1, "last_pulled_at": 0} for n in numbers
    ]
    tx.execute(insert(t.pulls), pulled)
    tx.execute(
        insert(t.garbage), [{"location": n, "driver": "d", "not_before": 0} for n in numbers]
    )
    rows = [{"kind": "k", "details": {}, "position": number + 10} for number in range(ROWS)]
    tx.execute(insert(t.events), rows)


@pytest.fixture
async def filled(catalog: Catalog) -> Catalog:
    await push(catalog, "image", ["latest"])
    await catalog.write(events.number)
    await catalog.write(_fill)
    if catalog.dialect == "postgresql":
        await catalog.write(lambda tx: tx.execute(text("ANALYZE")).rowcount)
    return catalog


LISTS = {
    "repositories": (listings.names, "many/02500", 10),
    "behind all that hold a manifest": (listings.names, "many/99999", 10),
    "public that hold a manifest": (listings.visible, Scope(public=True), "", 10),
    "a namespace": (listings.visible, Scope(namespaces=["many"]), "many/02500", 10),
    "its own": (listings.visible, Scope(namespaces=["none", "team"]), "many/02500", 10),
    "single names": (listings.visible, Scope(names=["many/01000", "none/01000"]), "", 10),
    "tags": (tags.names, REPOSITORY, "02500", 10),
    "referrers": (referrers.page, REPOSITORY, digest("image"), None, "sha256:8", 10),
    "events": (events.after, 2_500, 10),
    "tag": (manifests.find, REPOSITORY, "02500"),
    "digest": (manifests.find, REPOSITORY, digest("02500")),
}


async def test_a_page_in_the_middle_costs_a_page(filled: Catalog) -> None:
    for name, (operation, *arguments) in LISTS.items():
        plans = await filled.write(_plans, operation, arguments)
        assert plans, name
        for plan in plans:
            assert _reads_by_index_alone(plan), f"{name}: {plan}"


async def test_a_page_with_facts_costs_a_page_and_what_its_entries_hold(filled: Catalog) -> None:
    """How the ten entries' facts are added up is left to the planner."""
    for operation, arguments, statements in (
        (listings.browse, [None, "many/02500", 10], 1),
        (listings.browse, [Scope(public=True), "many/02500", 10], 1),
        (listings.browse, [Scope(namespaces=["many"]), "many/02500", 10], 1),
        (tag_facts.page, [REPOSITORY, "02500", 10], 2),
    ):
        plans = await filled.write(_plans, operation, arguments)
        assert len(plans) > statements
        for plan in plans[:statements]:
            assert _reads_by_index_alone(plan), f"{arguments}: {plan}"


async def test_garbage_is_found_by_its_time(filled: Catalog) -> None:
    plans = await filled.write(_plans, garbage.due, [10])
    assert _reads_by_index_alone(plans[-1]), plans[-1]


def _reads_by_index_alone(plan: str) -> bool:
    """Nothing is read from end to end, and nothing sorted: neither database's words say so."""
    return not any(word in plan for word in ("SCAN ", "Seq Scan", "Sort", "TEMP B-TREE"))


def _plans(tx: Connection, operation: Any, arguments: list[Any]) -> list[str]:
    """How the database goes about each statement of an operation."""
    explain = "EXPLAIN QUERY PLAN" if tx.dialect.name == "sqlite" else "EXPLAIN"
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    operation(tx, *arguments)
    event.remove(Engine, "before_cursor_execute", note)
    return [
        "\n".join(str(row[-1]) for row in tx.exec_driver_sql(f"{explain} {statement}", parameters))
        for statement, parameters in statements
    ]
