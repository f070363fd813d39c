"""The registry behind a token server (one of the tests' own): challenges, rights, late pushes."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Address, Serve
from tests.server.wire import Answer, Wire, request
from tests.services.tokens import ISSUER, SERVICE, Signer, access, jwks

REALM = "https://auth.example.org/token"
DIGEST = f"sha256:{'a' * 64}"
ASKS = f'Bearer realm="{REALM}",service="{SERVICE}"'
SIGNER = Signer.new()


@pytest.fixture
async def address(serve: Serve, tmp_path: Path) -> Address:
    keys = tmp_path / "jwks.json"
    keys.write_text(jwks(SIGNER))
    token = {"realm": REALM, "service": SERVICE, "issuer": ISSUER, "jwks": str(keys)}
    return await serve(auth={"token": token})


class Holder:
    """Somebody with a token, or without one."""

    def __init__(self, address: Address, token: str | None) -> None:
        self._address = address
        self._fields = [f"Authorization: Bearer {token}"] if token else []

    async def __call__(self, method: str, target: str, *fields: str, body: bytes = b"") -> Answer:
        wire = await Wire.to(self._address)
        wire.send(request(method, target, *self._fields, *fields, body=body))
        answer = await wire.answer(head_only=method == "HEAD")
        await wire.close()
        return answer


def holder(address: Address, *entries: dict[str, Any], **changed: Any) -> Holder:
    return Holder(address, SIGNER.token(*entries, **changed))


def challenge(answer: Answer) -> str:
    assert answer.status == 401, answer
    if answer.body:
        assert json.loads(answer.body)["errors"][0]["code"] == "UNAUTHORIZED"
    return answer.headers["www-authenticate"]


REQUESTS = [
    ("GET", "/v2/team/app/manifests/latest", "repository:team/app:pull"),
    ("HEAD", "/v2/team/app/manifests/latest", "repository:team/app:pull"),
    ("GET", "/v2/team/app/tags/list", "repository:team/app:pull"),
    ("GET", f"/v2/team/app/blobs/{DIGEST}", "repository:team/app:pull"),
    ("HEAD", f"/v2/team/app/blobs/{DIGEST}", "repository:team/app:pull"),
    ("GET", f"/v2/team/app/referrers/{DIGEST}", "repository:team/app:pull"),
    ("PUT", "/v2/team/app/manifests/latest", "repository:team/app:pull,push"),
    ("POST", "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push"),
    ("PATCH", f"/v2/team/app/blobs/uploads/{'0' * 32}", "repository:team/app:pull,push"),
    ("PUT", f"/v2/team/app/blobs/uploads/{'0' * 32}", "repository:team/app:pull,push"),
    ("DELETE", f"/v2/team/app/blobs/uploads/{'0' * 32}", "repository:team/app:pull,push"),
    ("DELETE", f"/v2/team/app/manifests/{DIGEST}", "repository:team/app:delete"),
    ("DELETE", f"/v2/team/app/blobs/{DIGEST}", "repository:team/app:delete"),
    ("GET", "/v2/_catalog", "registry:catalog:*"),
]


@pytest.mark.parametrize(("method", "target", "scope"), REQUESTS)
async def test_the_challenge_names_what_is_needed(
    address: Address, method: str, target: str, scope: str
) -> None:
    wanted = f'{ASKS},scope="{scope}"'
    assert challenge(await Holder(address, None)(method, target)) == wanted
    stranger = holder(address, access("other", "*"))
    assert challenge(await stranger(method, target)) == f'{wanted},error="insufficient_scope"'
    fake = Holder(address, Signer.new().token(access("team/app", "*")))
    assert challenge(await fake(method, target)) == f'{wanted},error="invalid_token"'


async def test_the_base_asks_for_a_token_of_any_kind(address: Address) -> None:
    assert challenge(await Holder(address, None)("GET", "/v2/")) == ASKS
    assert challenge(await Holder(address, "x")("GET", "/v2/")) == f'{ASKS},error="invalid_token"'
    for token in (holder(address), holder(address, sub="")):
        assert (await token("GET", "/v2/")).status == 200


async def test_a_mount_asks_for_both_repositories(address: Address) -> None:
    target = f"/v2/team/b/blobs/uploads/?mount={DIGEST}&from=team%2Fa"
    asked = challenge(await Holder(address, None)("POST", target))
    assert 'scope="repository:team/b:pull,push repository:team/a:pull"' in asked
    for source in ("team/b", "..", 'x"y'):
        target = f"/v2/team/b/blobs/uploads/?mount={DIGEST}&from={source}"
        asked = challenge(await Holder(address, None)("POST", target))
        assert 'scope="repository:team/b:pull,push"' in asked


async def put_blob(holder: Holder, repository: str, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    target = f"/v2/{repository}/blobs/uploads/?digest={digest}"
    assert (await holder("POST", target, body=data)).status == 201
    return digest


async def test_a_token_grants_what_it_lists(address: Address) -> None:
    """And nothing of another repository, above it, below it, or of another type."""
    pusher = holder(address, access("team/app", "push"))
    digest = await put_blob(pusher, "team/app", b"bytes")
    target = f"/v2/team/app/blobs/{digest}"
    assert "insufficient_scope" in challenge(await pusher("GET", target))
    puller = holder(address, access("team/app", "pull"))
    assert (await puller("GET", target)).body == b"bytes"
    assert "insufficient_scope" in challenge(await puller("DELETE", target))
    assert "insufficient_scope" in challenge(await puller("POST", "/v2/team/app/blobs/uploads/"))
    for entry in (
        access("team", "*"),
        access("team/app/x", "*"),
        access("team/app", "*", kind="registry"),
        access("team/app", "pull,push", "PULL", "all"),
    ):
        assert "insufficient_scope" in challenge(await holder(address, entry)("GET", target))
    assert (await holder(address, access("team/app", "*"))("DELETE", target)).status == 202


async def test_a_mount_from_what_the_token_does_not_grant_is_an_upload(address: Address) -> None:
    both = holder(address, access("team/a", "pull", "push"), access("team/b", "push"))
    digest = await put_blob(both, "team/a", b"bytes")
    target = f"/v2/team/b/blobs/uploads/?mount={digest}&from=team/a"
    assert (await holder(address, access("team/b", "push"))("POST", target)).status == 202
    assert (await both("POST", target)).status == 201


async def test_the_catalog_is_for_who_was_granted_it(address: Address) -> None:
    pusher = holder(address, access("team/app", "push"))
    index = (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    )
    assert (await pusher("PUT", "/v2/team/app/manifests/latest", body=index)).status == 201
    lister = holder(address, access("catalog", "*", kind="registry"))
    answer = await lister("GET", "/v2/_catalog")
    assert json.loads(answer.body) == {"repositories": ["team/app"]}
    puller = holder(address, access("team/app", "pull"))
    assert "insufficient_scope" in challenge(await puller("GET", "/v2/_catalog"))


@pytest.mark.parametrize(
    "field",
    ["Cookie: session={token}", "Authorization: Basic {token}", "Authorization: {token}"],
)
async def test_only_a_bearer_token_counts(address: Address, field: str) -> None:
    """Neither a session's cookie nor a password opens the registry."""
    token = SIGNER.token(access("team/app", "pull"))
    answer = await Holder(address, None)("GET", "/v2/team/app/tags/list", field.format(token=token))
    assert challenge(answer) == f'{ASKS},scope="repository:team/app:pull"'


async def test_tokens_for_another_audience_are_refused(address: Address) -> None:
    """A token of the web pages, or of another registry."""
    for audience in ("web", "another.example.org"):
        guest = holder(address, access("team/app", "pull"), aud=audience)
        assert "invalid_token" in challenge(await guest("GET", "/v2/team/app/tags/list"))


# A push that outlives its token


def late(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"exp": now - 600, "nbf": now - 900, "iat": now - 900, **changed}


async def begin(address: Address) -> str:
    answer = await holder(address, access("team/app", "push"))(
        "POST", "/v2/team/app/blobs/uploads/"
    )
    assert answer.status == 202
    return answer.headers["location"]


async def test_an_upload_may_be_ended_with_the_token_that_it_began_with(address: Address) -> None:
    location = await begin(address)
    same = holder(address, access("team/app", "push"), **late())
    assert (await same("PATCH", location, body=b"half")).status == 202
    assert (await same("GET", location)).status == 204
    digest = hashlib.sha256(b"half and half").hexdigest()
    answer = await same("PUT", f"{location}?digest=sha256:{digest}", body=b" and half")
    assert answer.status == 201
    cancelled = await begin(address)
    assert (await same("DELETE", cancelled)).status == 204


async def test_a_late_token_is_good_for_nothing_else(address: Address) -> None:
    location = await begin(address)
    same = holder(address, access("team/app", "*"), **late())
    for method, target in (
        ("GET", "/v2/"),
        ("POST", "/v2/team/app/blobs/uploads/"),
        ("PUT", "/v2/team/app/manifests/latest"),
        ("GET", "/v2/team/app/tags/list"),
    ):
        assert 'error="invalid_token"' in challenge(await same(method, target))
    other = holder(address, access("team/app", "push"), **late(sub="bob"))
    assert (await other("PATCH", location, body=b"x")).status == 404
    elsewhere = holder(address, access("team/other", "push"), **late())
    assert "insufficient_scope" in challenge(await elsewhere("PATCH", location, body=b"x"))
    puller = holder(address, access("team/app", "pull"), **late())
    assert "insufficient_scope" in challenge(await puller("PATCH", location, body=b"x"))


async def test_after_an_hour_an_upload_needs_a_new_token(address: Address) -> None:
    location = await begin(address)
    old = holder(address, access("team/app", "push"), **late(exp=int(time.time()) - 3700))
    assert "invalid_token" in challenge(await old("PATCH", location, body=b"x"))
    again = holder(address, access("team/app", "push"))
    assert (await again("PATCH", location, body=b"x")).status == 202


async def test_a_person_is_told_why(address: Address) -> None:
    guest = holder(address, access("team/app", "pull"), aud="web")
    answer = await guest("GET", "/v2/team/app/tags/list")
    message = json.loads(answer.body)["errors"][0]["message"]
    assert re.search(r"the token is not valid here: its audience is not this service", message)


@pytest.fixture(autouse=True)
def no_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A refused token is no failure of the registry."""
    yield
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
