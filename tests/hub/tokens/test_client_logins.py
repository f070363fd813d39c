"""Logins of clients, as the API lists and ends them."""

from __future__ import annotations

from registry_server.hub.roles import Limit, Role
from tests.hub.tokens.conftest import World
from tests.hub.tokens.test_revoking import ended, log_in, redeem

LOGINS = "/api/v1/me/client-logins"


async def test_a_user_ends_logins_by_the_api(world: World) -> None:
    login = await log_in(world.client("ann"))
    ann = await world.access_token(world.ann)
    bob = await world.access_token(world.bob)
    listed = (await ann.send("GET", LOGINS, Authorization=f"Bearer {ann.secret}")).json()["items"]
    assert [item["client"] for item in listed] == ["docker"]
    assert login not in repr(listed)
    target = f"{LOGINS}/{listed[0]['id']}"
    for client, status in ((bob, 404), (ann, 204), (ann, 404)):
        answer = await client.send("DELETE", target, Authorization=f"Bearer {client.secret}")
        assert answer.status == status
    assert ended(await redeem(world, login))
    for target in (LOGINS, f"{LOGINS}/{listed[0]['id']}"):
        assert (await world.client().send("DELETE", target)).status == 401
    narrowed = await world.access_token(world.ann, Limit("ann/**", Role.READ), name="narrow")
    answer = await ann.send("GET", LOGINS, Authorization=f"Bearer {narrowed.secret}")
    assert answer.status == 403


async def test_all_of_ones_logins_end_at_once(world: World) -> None:
    logins = [await log_in(world.client("ann")) for _ in range(2)]
    others = await log_in(world.client("bob"))
    ann = await world.access_token(world.ann)
    authorization = f"Bearer {ann.secret}"
    assert (await ann.send("DELETE", LOGINS, Authorization=authorization)).status == 204
    answer = await ann.send("GET", LOGINS, Authorization=authorization)
    assert answer.json() == {"items": []}
    for login in logins:
        assert ended(await redeem(world, login))
    assert not ended(await redeem(world, others))
