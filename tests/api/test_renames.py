"""Repositories that whoever runs the store renames, limits and looks at while clients use them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from registry_storage import Change, sync
from registry_storage.sync import BlockingRegistry
from tests.services.registry import RegistryServer

from .client import Answer, Client, with_query
from .conftest import Serve
from .content import artifact, blob, digest_of, image
from .marks import ours

pytestmark = ours

Push = Callable[[Client, str, bytes], Answer]


@pytest.fixture
def other_repo(repo: str) -> str:
    """Another name in another namespace."""
    return f"elsewhere/{repo.rpartition('/')[2]}"


@contextmanager
def opened(server: RegistryServer) -> Iterator[BlockingRegistry]:
    """The server's store, as another program has it open."""
    settings = {"rootdirectory": str(server.storage)}
    with sync.open_registry("filesystem", settings) as registry:
        yield registry


def test_pulls_follow_a_repository_to_its_new_name(
    server: RegistryServer, client: Client, repo: str, other_repo: str
) -> None:
    pushed = image("renamed")
    pushed.push(client, repo, "v1")
    signature = artifact(subject=pushed.descriptor())
    signature.push(client, repo)
    with opened(server) as registry:
        registry.rename(repo, other_repo)
    for name in (repo, other_repo):
        assert client.get(f"/v2/{name}/manifests/v1").body == pushed.manifest
        assert client.head(f"/v2/{name}/manifests/{pushed.digest}").status == 200
        layer = pushed.document["layers"][0]["digest"]
        assert digest_of(client.get(f"/v2/{name}/blobs/{layer}").body) == layer
        assert client.get(f"/v2/{name}/tags/list").json()["tags"] == ["v1"]
        referrers = client.get(f"/v2/{name}/referrers/{pushed.digest}").json()
        assert [each["digest"] for each in referrers["manifests"]] == [signature.digest]


def test_who_pushes_to_an_old_name_is_not_told_of_blobs_that_are_elsewhere(
    server: RegistryServer, client: Client, repo: str, other_repo: str
) -> None:
    pushed = image("renamed, then pushed again")
    pushed.push(client, repo, "v1")
    layer = pushed.document["layers"][0]["digest"]
    with opened(server) as registry:
        registry.rename(repo, other_repo)
    assert client.head(f"/v2/{repo}/blobs/{layer}").status == 404
    assert client.head(f"/v2/{other_repo}/blobs/{layer}").status == 200
    again = image("the name's second")
    again.push(client, repo, "v2")
    assert client.get(f"/v2/{repo}/tags/list").json()["tags"] == ["v2"]
    assert client.get(f"/v2/{repo}/manifests/v1").status == 404


def test_an_upload_ends_where_its_repository_is_renamed(
    server: RegistryServer, client: Client, repo: str, other_repo: str
) -> None:
    data = blob(1000, "on its way")
    target = client.start_upload(repo)
    assert client.patch(target, data).status == 202
    with opened(server) as registry:
        registry.rename(repo, other_repo)
    answer = client.put(with_query(target, digest=digest_of(data)))
    assert (answer.status, answer.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])
    for name in (repo, other_repo):
        assert client.head(f"/v2/{name}/blobs/{digest_of(data)}").status == 404


def _whole(client: Client, name: str, data: bytes) -> Answer:
    return client.put(with_query(client.start_upload(name), digest=digest_of(data)), data)


def _in_chunks(client: Client, name: str, data: bytes) -> Answer:
    target = client.start_upload(name)
    assert client.patch(target, data).status == 202
    return client.put(with_query(target, digest=digest_of(data)))


@pytest.mark.parametrize("push", [_whole, _in_chunks])
@pytest.mark.parametrize("size", [1_000, 200_000])
def test_a_full_namespace_says_so_and_keeps_nothing(
    server: RegistryServer, client: Client, size: int, push: Push, repo: str
) -> None:
    name, data = f"full-{size}/app", blob(size, "too much")
    with opened(server) as registry:
        registry.set_quota(f"full-{size}", max_bytes=size - 1, max_repositories=None)
    answer = push(client, name, data)
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert f"namespace full-{size} may hold {size - 1} bytes" in answer.messages
    assert client.head(f"/v2/{name}/blobs/{digest_of(data)}").status == 404
    assert push(client, repo, data).status == 201


def test_events_say_where_a_change_came_from(
    server: RegistryServer, client: Client, repo: str
) -> None:
    image("with an origin").push(client, repo, "v1")
    with opened(server) as registry:
        deadline = time.monotonic() + 10
        while not (found := _events_of(registry, repo)) and time.monotonic() < deadline:
            time.sleep(0.1)  # the server's janitor gives positions once a second
    assert {event.origin for event in found} == {"127.0.0.1"}
    assert {event.kind for event in found} >= {"repository.created", "blob.linked", "tag.set"}


def _events_of(registry: BlockingRegistry, repo: str) -> list[Change]:
    return [event for event in registry.events(0, 100_000) if event.repository == repo]


def test_pulls_are_counted(serve: Serve, repo: str) -> None:
    server = serve()
    client = Client(server.url)
    pushed = image("pulled")
    pushed.push(client, repo, "v1")
    for _ in range(3):
        client.get(f"/v2/{repo}/manifests/v1")
    client.get(f"/v2/{repo}/manifests/{pushed.digest}")
    client.head(f"/v2/{repo}/manifests/v1")
    client.get(f"/v2/{repo}/manifests/v2")
    client.close()
    server.stop()
    with opened(server) as registry:
        facts = registry.facts(repo)
        (tag,) = registry.repository(repo).tag_facts()
    assert facts is not None
    assert (facts.pulls, tag.pulls) == (4, 3)
