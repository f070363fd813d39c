"""The keys that sign tokens: how the first is made, and how others follow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import jwt
import pytest
from sqlalchemy import Connection, select, update

from registry_server.auth.keys import parse_jwks
from registry_server.hub.errors import Unknown
from registry_server.hub.records import keys as records
from registry_server.hub.records.audit import OPERATOR
from registry_server.hub.tables import audit
from registry_server.hub.tables import keys as table
from registry_server.hub.tokens import keys as keys_module
from registry_server.hub.tokens.keys import OwnKeys, SigningKeys
from registry_server.settings.hub import HubTokenSettings
from registry_storage.databases import Database
from registry_storage.errors import CatalogUnavailable

DAY_MS = 24 * 3600 * 1000
TAIL_MS = (300 + 30 + 3600 + 60) * 1000
"""A token's life, the clocks' difference, an upload's hour, and a look at the database."""

Make = Callable[..., SigningKeys]


@pytest.fixture
async def make(hub_database: Database) -> AsyncIterator[Make]:
    """Make the keys of one node; all are closed at the end."""
    made: list[SigningKeys] = []

    def node(**settings: object) -> SigningKeys:
        made.append(SigningKeys(hub_database, HubTokenSettings.model_validate(settings)))
        return made[-1]

    yield node
    for keys in made:
        await keys.close()


async def age(database: Database, milliseconds: int) -> None:
    """Let so much time pass for every key."""

    def older(tx: Connection) -> None:
        tx.execute(
            update(table).values(
                signs_from=table.c.signs_from - milliseconds,
                published_until=table.c.published_until - milliseconds,
            )
        )

    await database.write(older)


def verifies(keys: SigningKeys, token: str) -> bool:
    kid = jwt.get_unverified_header(token)["kid"]
    key = keys.public().by_id[kid]
    return bool(jwt.decode(token, key.key, algorithms=list(key.algorithms)))  # type: ignore[arg-type]


def sign(keys: SigningKeys) -> str:
    key = keys.current()
    return jwt.encode({"sub": "ann"}, key.private, key.algorithm, {"kid": key.kid})


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
async def test_the_first_start_makes_a_key_that_signs_at_once(make: Make, algorithm: str) -> None:
    keys = make(algorithm=algorithm)
    await keys.start()
    assert keys.current().algorithm == algorithm
    assert verifies(keys, sign(keys))
    published = parse_jwks(json.dumps(keys.jwks()))
    assert keys.current().kid in published.by_id
    assert published.by_id == keys.public().by_id


async def test_all_nodes_that_start_at_once_share_one_key(make: Make) -> None:
    nodes = [make() for _ in range(8)]
    await asyncio.gather(*(node.start() for node in nodes))
    assert len({node.current().kid for node in nodes}) == 1
    assert all(len(node.jwks()["keys"]) == 1 for node in nodes)


async def test_a_restart_keeps_the_key(make: Make) -> None:
    first, second = make(), make()
    await first.start()
    await second.start()
    assert verifies(second, sign(first))


async def test_a_key_is_published_before_it_signs_and_after(
    make: Make, hub_database: Database
) -> None:
    keys = make(rotation=DAY_MS / 1000)
    await keys.start()
    old, token = keys.current().kid, sign(keys)
    await age(hub_database, DAY_MS - 11 * 60_000)
    await keys.refresh()
    assert len(keys.jwks()["keys"]) == 1, "its time has not come"
    await age(hub_database, 2 * 60_000)
    await keys.refresh()
    assert len(keys.jwks()["keys"]) == 2
    assert keys.current().kid == old, "every node must know the new key before it signs"
    await age(hub_database, 10 * 60_000)
    await keys.refresh()
    new = keys.current().kid
    assert new != old
    assert verifies(keys, token), "what the old key signed is good until it expires"
    await age(hub_database, TAIL_MS - 5_000)
    await keys.refresh()
    assert verifies(keys, token)
    await age(hub_database, 10_000)
    await keys.refresh()
    assert [key["kid"] for key in keys.jwks()["keys"]] == [new]


async def test_nodes_that_rotate_at_once_make_one_successor(
    make: Make, hub_database: Database
) -> None:
    nodes = [make(rotation=DAY_MS / 1000) for _ in range(6)]
    await asyncio.gather(*(node.start() for node in nodes))
    await age(hub_database, DAY_MS)
    await asyncio.gather(*(node.refresh() for node in nodes))
    kids = {key["kid"] for node in nodes for key in node.jwks()["keys"]}
    assert len(kids) == 2


async def test_keys_that_follow_by_themselves_are_in_the_audit_log(
    make: Make, hub_database: Database
) -> None:
    """Once, however many nodes would have made them."""
    nodes = make(), make()
    await asyncio.gather(*(node.start() for node in nodes))
    await age(hub_database, 400 * DAY_MS)
    await asyncio.gather(*(node.refresh() for node in nodes))

    def told(tx: Connection) -> list[tuple[str, str]]:
        columns = audit.c.actor, audit.c.target
        found = select(*columns).where(audit.c.action == "key.rotated").order_by(audit.c.id)
        return [tuple(row) for row in tx.execute(found)]

    kids = [row.kid for row in nodes[0].ring.rows]
    assert await hub_database.read(told) == [("(hub)", f"key:{kid}") for kid in kids]


async def test_a_key_can_be_followed_on_demand(make: Make, hub_database: Database) -> None:
    keys = make()
    await keys.start()
    old = keys.current().kid
    await keys.rotate(OPERATOR)
    assert keys.current().kid == old
    await age(hub_database, 10 * 60_000)
    await keys.refresh()
    assert keys.current().kid != old


async def test_another_algorithm_holds_from_the_next_key_on(
    make: Make, hub_database: Database
) -> None:
    before, after = make(), make(algorithm="EdDSA")
    await before.start()
    await after.start()
    assert after.current().algorithm == "ES256"
    await after.rotate(OPERATOR)
    await age(hub_database, 10 * 60_000)
    await after.refresh()
    assert after.current().algorithm == "EdDSA"


async def test_the_registry_half_learns_of_keys_that_others_made(
    make: Make, hub_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = make(), make()
    await here.start()
    await there.start()
    told: list[int] = []
    own = OwnKeys(here)
    own.on_change(lambda: told.append(len(own.value.by_id)))
    await there.rotate(OPERATOR)
    assert await own.look_for_new_keys()
    assert told == [4], "two keys, each under two ids"
    assert not await own.look_for_new_keys(), "not twice in a moment"


async def test_keys_that_are_gone_are_forgotten_for_good(
    make: Make, hub_database: Database
) -> None:
    keys = make()
    await keys.start()
    await keys.rotate(OPERATOR)
    await age(hub_database, 10 * 60_000 + TAIL_MS + 1000)
    await keys.rotate(OPERATOR)

    def count(tx: Connection) -> int:
        return len(tx.execute(table.select()).all())

    assert await hub_database.read(count) == 2
    assert len((await hub_database.read(records.published)).rows) == 2


async def test_what_the_database_cannot_tell_stays_as_it_was(
    make: Make, hub_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "REFRESH_SECONDS", 0.01)
    keys = make()
    await keys.start()
    token = sign(keys)
    asked = asyncio.Event()

    async def fail(*_args: object) -> None:
        asked.set()
        raise CatalogUnavailable("gone")

    monkeypatch.setattr(Database, "read", fail)
    await asyncio.wait_for(asked.wait(), 5)
    await asyncio.sleep(0)
    assert verifies(keys, token)


async def test_a_stolen_key_is_taken_away_at_once(make: Make) -> None:
    keys, other = make(), make()
    await keys.start()
    await other.start()
    token = sign(keys)
    await keys.revoke(OPERATOR, keys.current().kid)
    assert jwt.get_unverified_header(token)["kid"] not in keys.public().by_id
    assert verifies(keys, sign(keys)), "another one signs now"
    assert len(keys.jwks()["keys"]) == 1
    await other.refresh()
    assert other.current().kid == keys.current().kid
    with pytest.raises(Unknown):
        await keys.revoke(OPERATOR, "nothing")


async def test_the_next_key_takes_over_from_one_that_is_taken_away(make: Make) -> None:
    keys = make()
    await keys.start()
    await keys.rotate(OPERATOR)
    old, following = [key["kid"] for key in keys.jwks()["keys"]]
    await keys.revoke(OPERATOR, old)
    assert keys.current().kid == following
    await keys.rotate(OPERATOR)
    third = keys.jwks()["keys"][-1]["kid"]
    await keys.revoke(OPERATOR, third)
    assert keys.current().kid != third
    assert verifies(keys, sign(keys))


async def test_a_key_that_signs_no_longer_can_be_taken_away(
    make: Make, hub_database: Database
) -> None:
    keys = make()
    await keys.start()
    old = keys.current().kid
    await keys.rotate(OPERATOR)
    await age(hub_database, 10 * 60_000)
    await keys.refresh()
    new = keys.current().kid
    await keys.revoke(OPERATOR, old)
    assert (keys.current().kid, len(keys.jwks()["keys"])) == (new, 1)


async def test_a_clock_that_was_set_back_stops_nobody(make: Make, hub_database: Database) -> None:
    keys, after = make(), make()
    await keys.start()
    await age(hub_database, -3600 * 1000)
    await after.start()
    assert verifies(keys, sign(after))


async def test_all_who_wait_for_a_key_learn_of_it_together(make: Make) -> None:
    here, there = make(), make()
    await here.start()
    await there.start()
    await there.rotate(OPERATOR)
    own = OwnKeys(here)
    assert await asyncio.gather(*(own.look_for_new_keys() for _ in range(50))) == [True] * 50
    assert len(own.value.by_id) == 4


async def test_while_the_database_is_gone_an_unknown_key_is_just_that(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = make()
    await keys.start()
    token = sign(keys)

    async def fail(*_args: object) -> None:
        raise CatalogUnavailable("gone")

    monkeypatch.setattr(Database, "read", fail)
    assert not await OwnKeys(keys).look_for_new_keys()
    assert verifies(keys, token)
