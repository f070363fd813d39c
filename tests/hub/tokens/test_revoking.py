"""What is taken away is gone: from the next token on, at once, and from the last within minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from sqlalchemy import Connection, update

from registry_server.hub.errors import Unknown
from registry_server.hub.records import members, refresh_tokens
from registry_server.hub.records.audit import OPERATOR, Search
from registry_server.hub.roles import Limit, Role
from registry_server.hub.tables import refresh_tokens as table
from registry_storage import Visibility
from tests.hub.tokens.clients import Answer, Client, access, subject
from tests.hub.tokens.conftest import PASSWORD, World

SCOPE = "repository:ann/secret:pull"


async def log_in(client: Client) -> str:
    """What `docker login` keeps."""
    answer = await client.get(offline_token="true", client_id="docker")
    assert answer.status == 200, answer
    secret: str = answer.json()["refresh_token"]
    return secret


async def redeem(world: World, secret: str, scope: str = SCOPE, **fields: str) -> Answer:
    return await world.client().post(
        grant_type="refresh_token", refresh_token=secret, scope=scope, **fields
    )


def ended(answer: Answer) -> bool:
    return answer.status == 401 and "token" not in answer.json()


# Refresh tokens


async def test_a_login_works_many_times_and_stays_the_same(world: World) -> None:
    secret = await log_in(world.client("ann"))
    for _ in range(3):
        answer = await redeem(world, secret, access_type="offline")
        assert access(answer) == {"ann/secret": ["pull"]}
        assert subject(answer) == "ann"
        assert answer.json()["refresh_token"] == secret
    assert "refresh_token" not in (await redeem(world, secret)).json()


async def test_only_hashes_of_logins_are_kept(world: World) -> None:
    secret = await log_in(world.client("ann"))

    def rows(tx: Connection) -> str:
        return repr(tx.execute(table.select()).all())

    kept = await world.hub.database.read(rows)
    assert "docker" in kept
    assert secret not in kept
    assert secret.removeprefix("rgf_") not in kept


async def test_a_login_is_listed_with_its_use_and_revoked(world: World) -> None:
    first, second = [await log_in(world.client("ann")) for _ in range(2)]
    logins = world.hub.refresh_tokens
    assert [login.used_at for login in await logins.of_user(world.ann)] == [None, None]
    await redeem(world, first)
    (used,) = [login for login in await logins.of_user(world.ann) if login.used_at is not None]
    assert used.used_from == "127.0.0.1"
    assert used.client_id == "docker"
    with pytest.raises(Unknown):
        await logins.revoke(OPERATOR, world.bob, used.id)
    await logins.revoke(OPERATOR, world.ann, used.id)
    assert ended(await redeem(world, first))
    assert access(await redeem(world, second))
    await logins.revoke_all(OPERATOR, world.ann)
    assert ended(await redeem(world, second))
    actions = [entry.deed.action for entry in await world.hub.audit.find(Search(target="user:ann"))]
    assert actions.count("login.created") == 2
    assert actions.count("login.revoked") == 2


async def test_a_login_ends_where_it_is_not_used(world: World) -> None:
    secret = await log_in(world.client("ann"))
    days = 24 * 3600 * 1000

    def older(tx: Connection, milliseconds: int) -> None:
        tx.execute(
            update(table).values(
                expires_at=table.c.expires_at - milliseconds,
                used_at=table.c.used_at - milliseconds,
            )
        )

    await world.hub.database.write(older, 89 * days)
    assert access(await redeem(world, secret))
    await world.hub.database.write(older, 89 * days)
    assert access(await redeem(world, secret)), "its use was no use"
    await world.hub.database.write(older, 91 * days)
    assert ended(await redeem(world, secret))


async def test_very_many_logins_push_out_those_not_used_for_the_longest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh_tokens, "MAX_OF_ONE_HOLDER", 3)
    others = await log_in(world.client("bob"))
    logins = [await log_in(world.client("ann")) for _ in range(5)]
    good = [not ended(await redeem(world, login)) for login in logins]
    assert good.count(True) == 3
    assert not ended(await redeem(world, others, "repository:team/secret:pull"))


async def test_a_login_does_no_more_than_what_it_was_made_with(world: World) -> None:
    narrowed = await world.access_token(world.ann, Limit("team/**", Role.READ))
    secret = await log_in(narrowed)
    scope = f"{SCOPE} repository:team/secret:pull,push"
    assert access(await redeem(world, secret, scope)) == {"team/secret": ["pull"]}


async def test_a_robots_login(world: World) -> None:
    secret = await log_in(world.robot)
    scope = "repository:team/secret:pull,push"
    answer = await redeem(world, secret, scope)
    assert access(answer) == {"team/secret": ["pull", "push"]}
    assert subject(answer) == "team+ci"
    await world.hub.accounts.robots.renew_secret(OPERATOR, "team", "ci")
    assert ended(await redeem(world, secret, scope))
    assert ended(await world.robot.get(scope))


async def test_a_disabled_and_a_deleted_robot(world: World) -> None:
    robots = world.hub.accounts.robots
    secret = await log_in(world.robot)
    await robots.set_disabled(OPERATOR, "team", "ci", True)
    assert ended(await redeem(world, secret))
    assert ended(await world.robot.get())
    await robots.set_disabled(OPERATOR, "team", "ci", False)
    assert not ended(await world.robot.get())
    await robots.delete(OPERATOR, "team", "ci")
    assert ended(await redeem(world, secret))
    assert ended(await world.robot.get())


# Accounts


async def test_a_revoked_access_token_ends_what_was_got_with_it(world: World) -> None:
    client = await world.access_token(world.ann)
    other = await log_in(world.client("ann"))
    secret = await log_in(client)
    tokens = world.hub.accounts.access_tokens
    (made,) = await tokens.of_user(world.ann)
    await tokens.revoke(OPERATOR, world.ann, made.id)
    assert ended(await client.get(SCOPE))
    assert ended(await redeem(world, secret))
    assert not ended(await redeem(world, other))


async def test_an_access_token_that_ends_ends_its_logins(world: World) -> None:
    made, secret = await world.hub.accounts.access_tokens.create(
        OPERATOR, world.ann, "short", lifetime=0.05
    )
    client = world.client("ann", secret)
    login = await log_in(client)
    deadline = time.monotonic() + 10
    while not ended(await client.get(SCOPE)):
        assert time.monotonic() < deadline
    assert ended(await redeem(world, login))
    assert made.name == "short"


async def test_another_password_ends_the_logins_by_the_old_one(world: World) -> None:
    secret = await log_in(world.client("ann"))
    await world.hub.accounts.users.set_password(OPERATOR, world.ann, "quite another phrase")
    assert ended(await redeem(world, secret))
    assert ended(await world.client("ann").get(SCOPE))
    assert not ended(await world.client("ann", "quite another phrase").get(SCOPE))


async def test_a_disabled_user_gets_nothing_any_more(world: World) -> None:
    client = await world.access_token(world.bob)
    logins = [await log_in(client), await log_in(world.client("bob"))]
    await world.hub.accounts.users.disable(OPERATOR, world.bob)
    assert ended(await client.get())
    assert ended(await world.client("bob").get())
    for login in logins:
        assert ended(await redeem(world, login))
    await world.hub.accounts.users.enable(OPERATOR, world.bob)
    for login in logins:
        assert ended(await redeem(world, login)), "what ended has ended"


async def test_who_no_longer_administers_the_hub_logs_in_again(world: World) -> None:
    other = await world.hub.accounts.users.create(OPERATOR, "boss", PASSWORD, is_admin=True)
    secret = await log_in(world.client("boss"))
    assert access(await redeem(world, secret)) == {"ann/secret": ["pull"]}
    await world.hub.accounts.users.set_admin(OPERATOR, other, False)
    assert ended(await redeem(world, secret))
    assert access(await world.client("boss").get(SCOPE)) == {}


# Rights


async def test_who_leaves_an_organisation_gets_no_more_tokens_for_it(world: World) -> None:
    scope = "repository:team/secret:pull"
    secret = await log_in(world.client("bob"))
    assert access(await redeem(world, secret, scope)) == {"team/secret": ["pull"]}
    await world.hub.database.write(members.remove, "team", world.bob.id)
    assert access(await redeem(world, secret, scope)) == {}
    assert access(await world.client("bob").get(scope)) == {}


async def test_what_turns_private_is_private_with_the_next_token(world: World) -> None:
    stranger, scope = world.client(), "repository:team/open:pull"
    assert access(await stranger.get(scope)) == {"team/open": ["pull"]}
    await world.hub.registry.set_visibility("team/open", Visibility.PRIVATE)
    assert access(await stranger.get(scope)) == {}
    assert access(await world.client("ann").get(scope)) == {"team/open": ["pull"]}
    await world.hub.registry.set_visibility("team/open", Visibility.PUBLIC)
    assert access(await stranger.get(scope)) == {"team/open": ["pull"]}


@pytest.mark.parametrize(("hub", "seconds"), [({}, 300), ({"tokens": {"lifetime": "1m"}}, 60)])
async def test_a_token_outlives_a_right_by_no_more_than_its_minutes(
    make_world: Callable[..., Any], hub: dict[str, Any], seconds: int
) -> None:
    world = await make_world(auth={"hub": hub})
    answer = await world.client("ann").get(SCOPE)
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == seconds
    assert claims["exp"] - time.time() <= seconds
