"""Repositories that were renamed: by the old name they are pulled, where the new one may be."""

from __future__ import annotations

from registry_storage import Visibility
from tests.hub.tokens.conftest import World


async def test_a_renamed_repository_is_pulled_by_its_old_name(world: World) -> None:
    """… by whoever may pull by the new one, and nobody else; pushes make another."""
    ann, bob = world.client("ann"), world.client("bob")
    await ann.push("team/secret")
    await world.hub.registry.rename("team/secret", "ann/moved")
    assert (await ann.pull("team/secret")).status == 200
    assert (await ann.pull("ann/moved")).status == 200
    for other in (bob, world.client(), world.robot):
        assert (await other.pull("team/secret")).status in (401, 404)
        assert (await other.pull("ann/moved")).status == 401
    await world.hub.registry.set_visibility("ann/moved", Visibility.PUBLIC)
    assert (await world.client().pull("team/secret")).status == 200
    assert (await world.robot.push("team/secret", "other")).status == 201
    assert (await ann.pull("ann/moved", "other")).status == 404
