"""A server with an organisation in it, and everybody who might call its API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from registry_server.hub.accounts.sessions import Browser, Opened
from registry_server.hub.organisations import organisations, teams
from registry_server.hub.records.audit import By
from registry_server.hub.roles import Limit, Role
from registry_storage import Visibility
from tests.hub.conftest import Served
from tests.hub.tokens.conftest import cheap_passwords as cheap_passwords

PASSWORD = "correct horse battery"
BY = By("root", "192.0.2.1", "request-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class World:
    """The organisation `acme` with the private repository `acme/app` and the public `acme/open`."""

    served: Served
    headers: Mapping[str, Mapping[str, str]]
    """What each kind of caller sends, by its name."""

    async def send(self, who: str, method: str, path: str, body: Any = None, **more: str) -> Answer:
        """What the server answers."""
        headers = {**self.headers[who], **more}
        async with self.served.client.request(
            method, self.served.url + path, json=body, headers=headers, allow_redirects=False
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


@pytest.fixture
async def world(served: Served) -> World:
    """Each of them with the credentials that their name says."""
    accounts, headers = served.hub.accounts, {"anonymous": {}}
    for name in ("owner", "reader", "writer", "maintainer", "stranger", "root", "gone"):
        user = await accounts.users.create(BY, name, PASSWORD, is_admin=name == "root")
        _, secret = await accounts.access_tokens.create(BY, user, "test")
        headers[name] = _bearer(secret)
    await _make_organisation(served)
    owner = await accounts.users.find("owner")
    narrow = (Limit("acme/app", Role.READ),)
    _, secret = await accounts.access_tokens.create(BY, owner, "narrow", limits=narrow)
    headers["narrow"] = _bearer(secret)
    robot = (Limit("acme/**", Role.WRITE),)
    _, secret = await accounts.robots.create(BY, "acme", "ci", robot)
    headers["robot"] = _bearer(secret)
    await accounts.users.disable(BY, await accounts.users.find("gone"))
    for who in ("owner", "stranger", "root"):
        headers[f"{who} in a session"] = await _session(served, who)
    return World(served, headers)


def _bearer(secret: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def _session(served: Served, name: str) -> Mapping[str, str]:
    browser = Browser("127.0.0.1", "tests")
    opened = await served.hub.accounts.sign_in.by_password(name, PASSWORD, browser)
    assert isinstance(opened, Opened)
    return {"Cookie": f"session={opened.secret}", "X-CSRF-Token": opened.csrf}


async def _make_organisation(served: Served) -> None:
    write = served.hub.database.write
    owner = await served.hub.accounts.users.find("owner")
    await write(organisations.create, By("owner"), "acme", admin=owner.id)
    for role in (Role.READ, Role.WRITE, Role.MAINTAIN):
        name = {"read": "reader", "write": "writer", "maintain": "maintainer"}[role]
        await write(organisations.put_member, BY, "acme", name, role)
    await write(teams.put, BY, "acme", "core", "", None)
    await served.hub.registry.create_repository("acme/app")
    await served.hub.registry.create_repository("acme/open", visibility=Visibility.PUBLIC)
