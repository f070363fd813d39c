"""What the configuration changes about the API's answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.services.registry import RegistryServer

from . import access
from .access import Guarded
from .client import Client, exchange
from .conftest import Serve
from .content import image, index
from .promises import OURS

pytestmark = pytest.mark.slow

Configured = Callable[..., Client]


@pytest.fixture
def configured(serve: Serve) -> Iterator[Configured]:
    """Clients of servers with the given environment, or configuration file."""
    clients = []

    def make(environment: dict[str, str] | None = None, config: str | None = None) -> Client:
        client = Client(serve(environment, config=config).url, promises=OURS)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


AMD64 = {"os": "linux", "architecture": "amd64"}
ARM64 = {"os": "linux", "architecture": "arm64"}


def multi_platform(amd64: bool, arm64: bool, client: Client, repo: str) -> bytes:
    """An index of two images, of which only those asked for have been pushed."""
    images = image("sparse amd64"), image("sparse arm64")
    for one, wanted in zip(images, (amd64, arm64), strict=True):
        if wanted:
            one.push(client, repo)
    client.push_blob(repo, b"so that the repository exists")
    first, second = images
    return index([first.descriptor(platform=AMD64), second.descriptor(platform=ARM64)]).manifest


def test_sparse_indexes_by_platform(configured: Configured) -> None:
    client = configured(
        config="""\
validation:
  manifests:
    indexes:
      platforms: list
      platformlist:
        - {architecture: amd64, os: linux}
"""
    )
    assert client.put_manifest("a", "v1", multi_platform(True, False, client, "a")).status == 201
    answer = client.put_manifest("b", "v1", multi_platform(False, True, client, "b"))
    assert answer.status == 400
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]


def test_sparse_indexes_of_nothing(configured: Configured) -> None:
    client = configured({"REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS": "none"})
    assert client.put_manifest("a", "v1", multi_platform(False, False, client, "a")).status == 201
    answer = client.put_manifest("a", "v2", image("no blobs").manifest)
    assert answer.status == 400
    assert set(answer.codes) == {"MANIFEST_BLOB_UNKNOWN"}


def test_a_child_pushed_later_completes_a_sparse_index(configured: Configured) -> None:
    client = configured({"REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS": "none"})
    manifest = multi_platform(False, False, client, "a")
    assert client.put_manifest("a", "v1", manifest).status == 201
    late = image("sparse amd64")
    assert client.get(f"/v2/a/manifests/{late.digest}").status == 404
    late.push(client, "a")
    assert client.get(f"/v2/a/manifests/{late.digest}").body == late.manifest
    assert client.get("/v2/a/manifests/v1").body == manifest


def test_without_validation_anything_may_be_absent(configured: Configured) -> None:
    client = configured({"REGISTRY_VALIDATION_DISABLED": "true"})
    assert client.put_manifest("a", "v1", image("no blobs").manifest).status == 201
    assert client.put_manifest("a", "v2", b"{", "application/json").status == 400


def test_the_largest_pages_are_set(configured: Configured) -> None:
    client = configured({"REGISTRY_TAGS_MAXTAGS": "2", "REGISTRY_CATALOG_MAXENTRIES": "3"})
    for name in "abcde":
        client.push_manifest(name, index([]).manifest, "v1")
        client.push_manifest("a", index([]).manifest, f"tag-{name}")
    for query in ("", "?n=100"):
        assert len(client.get(f"/v2/a/tags/list{query}").json()["tags"]) == 2
        assert len(client.get(f"/v2/_catalog{query}").json()["repositories"]) == 3
        assert client.get(f"/v2/a/tags/list{query}").header("Link")
    assert len(client.get("/v2/a/tags/list?n=1").json()["tags"]) == 1


def test_urls_come_from_the_configuration_alone(configured: Configured) -> None:
    """Whatever host a request claims, directly, absolutely or through a proxy nobody named."""
    client = configured(
        {"REGISTRY_HTTP_HOST": "https://registry.example", "REGISTRY_HTTP_RELATIVEURLS": "false"}
    )
    client.push_manifest("a", index([]).manifest, "v1")
    for target in ("/v2/a/blobs/uploads/", "http://evil.example/v2/a/blobs/uploads/"):
        raw = exchange(
            client.address,
            f"POST {target} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n"
            "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\n"
            "Forwarded: host=evil.example;proto=gopher\r\nConnection: close\r\n\r\n".encode(),
        )
        assert b"evil" not in raw
        assert b"gopher" not in raw
        if raw.startswith(b"HTTP/1.1 202"):
            assert b"\r\nLocation: https://registry.example/v2/a/blobs/uploads/" in raw


def test_locations_are_relative_unless_asked_otherwise(configured: Configured) -> None:
    client = configured({"REGISTRY_HTTP_HOST": "https://registry.example"})
    answer = client.post("/v2/a/blobs/uploads/", X_Forwarded_Host="evil.example")
    assert (answer.header("Location") or "").startswith("/v2/a/blobs/uploads/")


def test_headers_of_the_configuration_are_on_every_answer(configured: Configured) -> None:
    client = configured(config="http: {headers: {X-Configured: [yes-it-is]}}\n")
    client.push_blob("a", b"abc")
    for target in ("/v2/", "/v2/a/tags/list", "/v2/none/tags/list", "/v2/UPPER/tags/list"):
        assert client.get(target).header("X-Configured") == "yes-it-is"


def test_a_subject_may_have_so_many_uploads_open(serve: Serve, tmp_path: Path) -> None:
    """Each user for themselves; finishing or cancelling makes room again."""
    environment, htpasswd, policy = access.settings(tmp_path)
    server = serve(environment | {"REGISTRY_UPLOADS_MAXOPEN": "3"}, directory=tmp_path)
    guarded = Guarded(server, htpasswd, policy)
    with closing(guarded.client("ann")) as ann, closing(guarded.client("bob")) as bob:
        locations = [ann.start_upload("team/app") for _ in range(3)]
        answer = ann.post("/v2/team/app/blobs/uploads/")
        assert answer.status == 429
        assert answer.codes == ["TOOMANYREQUESTS"]
        assert re.fullmatch(r"[1-9]\d*", answer.header("Retry-After") or "")
        bob.start_upload("team/app")
        assert ann.delete(locations[0]).status == 204
        assert ann.post("/v2/team/app/blobs/uploads/").status == 202


def test_one_line_of_the_log_for_each_request(serve: Serve) -> None:
    server: RegistryServer = serve({"REGISTRY_LOG_FORMATTER": "json"})
    client = Client(server.url)
    ids = {client.get("/v2/none/tags/list").header("X-Request-Id") for _ in range(5)}
    client.close()
    server.stop()
    lines = server.log.read_text().splitlines()
    for identity in ids:
        assert identity
        assert sum(identity in line for line in lines) == 1
