"""What the handlers themselves decide by rights: mounts, and who sees what in lists."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import bcrypt
import pytest

from tests.server.conftest import Address, Serve
from tests.server.wire import Wire, push_blob, request

POLICY = """
rules:
  - repositories: ["team/**"]
    users: [ann]
    actions: [pull, push]
  - repositories: ["private/**"]
    users: [bob]
    actions: [pull, push]
"""


@pytest.fixture
async def address(serve: Serve, tmp_path: Path) -> Address:
    users, policy = tmp_path / "htpasswd", tmp_path / "policy.yml"
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    users.write_text(f"ann:{hashed}\nbob:{hashed}\n")
    policy.write_text(POLICY)
    return await serve(auth={"htpasswd": {"path": str(users), "policy": str(policy)}})


def login(name: str) -> str:
    return f"Authorization: Basic {b64encode(f'{name}:secret'.encode()).decode()}"


async def push(address: Address, user: str, repository: str, data: bytes) -> str:
    """Push a blob as `user`; its digest."""
    target = await push_blob(await Wire.to(address), repository, data, login(user))
    return target.rpartition("/")[2]


async def test_an_anonymous_mount_takes_only_from_what_may_be_read(address: Address) -> None:
    hidden = await push(address, "bob", "private/a", b"hidden")
    open_ = await push(address, "bob", "private/a", b"open")
    assert await push(address, "ann", "team/a", b"open") == open_
    wire = await Wire.to(address)
    for digest, status in [(hidden, 202), (open_, 201)]:
        wire.send(request("POST", f"/v2/team/b/blobs/uploads/?mount={digest}", login("ann")))
        assert (await wire.answer()).status == status


async def test_an_upload_belongs_to_who_began_it(address: Address) -> None:
    wire = await Wire.to(address)
    wire.send(request("POST", "/v2/private/a/blobs/uploads/", login("bob")))
    location = (await wire.answer()).headers["location"].replace("/private/", "/team/")
    wire.send(request("GET", location, login("ann")))
    assert (await wire.answer()).status == 404
