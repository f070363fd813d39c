"""`GET /v2/`, health, and what every answer carries (spec, "Determining Support")."""

from __future__ import annotations

import pytest

from .client import Client, exchange, statuses
from .marks import ours


@pytest.mark.parametrize("target", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_base_says_that_this_is_a_registry(client: Client, method: str, target: str) -> None:
    answer = client.request(method, target)
    assert answer.status == 200
    assert answer.header("Docker-Distribution-API-Version") == "registry/2.0"
    assert answer.header("Content-Type") == "application/json"
    assert answer.body == (b"{}" if method == "GET" else b"")
    assert answer.header("Content-Length") == "2"


@ours
def test_each_request_has_an_id_of_its_own(client: Client) -> None:
    ids = [client.get("/v2/").header("X-Request-Id") for _ in range(3)]
    assert all(ids)
    assert len(set(ids)) == 3


@ours
def test_an_error_names_its_request(client: Client, repo: str) -> None:
    answer = client.get(f"/v2/{repo}/tags/list")
    assert answer.status == 404
    assert answer.header("X-Request-Id")


@ours
@pytest.mark.parametrize("target", ["/livez", "/readyz"])
def test_health(client: Client, target: str) -> None:
    assert client.get(target).status == 200
    assert client.head(target).status == 200


@ours
@pytest.mark.parametrize(
    "target",
    ["/v1/", "/v2/_catalog/more", "/v2/name", "/v2/name/", "/v2/name/other/part", "/v3/x"],
)
def test_paths_outside_the_api_are_unknown(client: Client, target: str) -> None:
    assert client.get(target).status == 404


@ours
@pytest.mark.parametrize("verb", ["TRACE", "OPTIONS", "CONNECT", "PROPFIND", "LINK", "NONSENSE"])
def test_unknown_verbs_are_refused(client: Client, verb: str) -> None:
    raw = exchange(
        client.address, f"{verb} /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    assert statuses(raw)[0] in (400, 405)


@ours
@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("POST", "/v2/", {"GET", "HEAD"}),
        ("DELETE", "/v2/_catalog", {"GET", "HEAD"}),
        ("PUT", "/v2/a/tags/list", {"GET", "HEAD"}),
        ("POST", "/v2/a/manifests/latest", {"GET", "HEAD", "PUT", "DELETE"}),
        ("PATCH", "/v2/a/blobs/sha256:" + "0" * 64, {"GET", "HEAD", "DELETE"}),
        ("PUT", "/v2/a/blobs/uploads/", {"POST"}),
        ("POST", "/v2/a/blobs/uploads/" + "0" * 32, {"GET", "PATCH", "PUT", "DELETE"}),
        ("DELETE", "/v2/a/referrers/sha256:" + "0" * 64, {"GET", "HEAD"}),
    ],
)
def test_a_verb_that_an_endpoint_lacks_is_answered_with_those_it_has(
    client: Client, method: str, target: str, allowed: set[str]
) -> None:
    answer = client.request(method, target)
    assert answer.status == 405
    assert answer.codes == ["UNSUPPORTED"]
    assert {verb.strip() for verb in (answer.header("Allow") or "").split(",")} >= allowed


@pytest.mark.parametrize("headers", [{"X-HTTP-Method-Override": "DELETE"}, {"X-Method": "DELETE"}])
def test_a_verb_cannot_be_overridden(client: Client, repo: str, headers: dict[str, str]) -> None:
    digest = client.push_blob(repo, b"stays")
    target = f"/v2/{repo}/blobs/{digest}"
    assert client.request("GET", f"{target}?_method=DELETE", headers=headers).status == 200
    assert client.get(target).body == b"stays"
