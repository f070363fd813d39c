"""The three kinds of delete where none is allowed: forgetting one has been a hole elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.registry import RegistryServer

from .client import Client
from .conftest import Serve
from .content import digest_of, image
from .promises import OURS

FIXED = image("fixed")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(how, marks=[pytest.mark.slow, pytest.mark.xdist_group(f"deleting {how}")])
        for how in ("disabled", "read-only")
    ],
)
def fixed(
    request: pytest.FixtureRequest, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> RegistryServer:
    """A server on which nothing can be deleted, holding `FIXED` as `fixed:v1`."""
    directory: Path = tmp_path_factory.mktemp("fixed")
    if request.param == "disabled":
        server = serve({"REGISTRY_STORAGE_DELETE_ENABLED": "false"}, directory=directory)
        FIXED.push(Client(server.url), "fixed", "v1")
    else:
        first = serve(directory=directory)
        FIXED.push(Client(first.url), "fixed", "v1")
        first.stop()
        setting = "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED"
        server = serve({setting: "true"}, directory=directory)
    return server


@pytest.fixture
def fixed_client(fixed: RegistryServer) -> Iterator[Client]:
    client = Client(fixed.url, promises=OURS)
    yield client
    client.close()


@pytest.mark.parametrize(
    "what",
    ["manifests/v1", f"manifests/{FIXED.digest}", f"blobs/{digest_of(FIXED.blobs[0])}"],
    ids=["tag", "manifest", "blob"],
)
def test_where_nothing_may_be_deleted(fixed_client: Client, what: str) -> None:
    answer = fixed_client.delete(f"/v2/fixed/{what}")
    assert answer.status == 405
    assert answer.codes == ["UNSUPPORTED"]
    assert fixed_client.get(f"/v2/fixed/{what}").status == 200


def test_where_nothing_may_be_deleted_pulling_works(fixed_client: Client) -> None:
    assert fixed_client.get("/v2/fixed/manifests/v1").body == FIXED.manifest
    assert fixed_client.get("/v2/fixed/tags/list").json()["tags"] == ["v1"]
    digest = digest_of(FIXED.blobs[1])
    assert fixed_client.get(f"/v2/fixed/blobs/{digest}").body == FIXED.blobs[1]
