"""A hub with a few people, an organisation, a robot and repositories of both kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from registry_server.hub.accounts import passwords
from registry_server.hub.organisations import organisations
from registry_server.hub.records import members
from registry_server.hub.records.audit import OPERATOR
from registry_server.hub.records.users import User
from registry_server.hub.roles import Limit, Role
from registry_server.hub.service import Hub
from registry_storage import Visibility
from tests.hub.conftest import Served
from tests.hub.tokens.clients import Client

PASSWORD = "correct horse: battery staple"
"""Of everybody."""


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that cost no time: these tests are about what comes after."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)


@dataclass(frozen=True, slots=True)
class World:
    """Who there is."""

    served: Served
    ann: User
    bob: User
    root: User
    robot_secret: str

    @property
    def hub(self) -> Hub:
        return self.served.hub

    def client(self, name: str = "", secret: str = PASSWORD) -> Client:
        """Somebody's client; without a name nobody's in particular."""
        return Client(self.served.client, self.served.url, name, secret if name else "")

    @property
    def robot(self) -> Client:
        return self.client("team+ci", self.robot_secret)

    async def access_token(self, user: User, *limits: Limit, name: str = "laptop") -> Client:
        """A client of that user with a new access token."""
        made = await self.hub.accounts.access_tokens.create(
            OPERATOR, user, name, limits=limits or None
        )
        return self.client(user.name, made[1])


@pytest.fixture
async def make_world(serve_hub: Callable[..., Any]) -> Callable[..., Any]:
    """A server, by its settings, and everybody in it."""

    async def make(**sections: Any) -> World:
        served = await serve_hub(**sections)
        hub, users = served.hub, served.hub.accounts.users
        ann, bob, root = [
            await users.create(OPERATOR, name, PASSWORD, is_admin=name == "root")
            for name in ("ann", "bob", "root")
        ]
        await hub.database.write(organisations.create, OPERATOR, "team", admin=ann.id)
        await hub.database.write(members.put, "team", bob.id, Role.READ)
        limits = (Limit("team/**", Role.WRITE),)
        _, secret = await hub.accounts.robots.create(OPERATOR, "team", "ci", limits)
        for name in ("ann/secret", "ann/open", "team/secret", "team/open", "bob/secret"):
            visibility = Visibility.PUBLIC if name.endswith("open") else Visibility.PRIVATE
            await hub.registry.create_repository(name, visibility=visibility)
        return World(served, ann, bob, root, secret)

    return make


@pytest.fixture
async def world(make_world: Callable[..., Any]) -> World:
    """A server with nothing but `auth: hub` configured, and everybody in it."""
    made: World = await make_world()
    return made
