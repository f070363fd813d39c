"""Names, tags, digests and references of every odd shape: refused by grammar, stored nowhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from .client import Answer, Client
from .content import ABSENT, MANIFEST, image

Unharmed = Callable[..., AbstractContextManager[None]]

BAD_NAMES = [
    "..",
    ".",
    "a/../b",
    "../a",
    "a/..",
    "a/./b",
    "%2e%2e",
    "a%2Fb",
    "a%2f..%2fb",
    "a//b",
    "/a",
    "a/",
    "a%00b",
    "UPPER",
    "a/Upper",
    "_a",
    "a_",
    "a__",
    "a___b",
    "-a",
    "a-",
    ".a",
    "a.",
    "a..b",
    "a._b",
    "a/_uploads/b",
    "a/_manifests",
    "a:b",
    "a@b",
    "a+b",
    "a b".replace(" ", "%20"),
    "a%0ab",
    "a%0d%0ab",
    "%D1%8F",
    "%ef%bc%81",
    "a" * 256,
    "/".join("a" * 129),
    "a;b",
    "a\\b",
    "~a",
    "a*",
    "%",
    "%zz",
]

GOOD_NAMES = [
    "a",
    "0",
    "a/b/c/d/e/f/g",
    "a.b_c-d__e--f",
    "a---b",
    "a" * 255,
    "/".join("a" * 128),
    "blobs/uploads",
    "manifests",
    "manifests/manifests",
    "tags/list",
    "tags/list/tags/list",
    "v2",
    "v2/catalog",
    "blobs",
    "blobs/blobs",
    "referrers",
    "uploads",
    "a/blobs/uploads",
    "a/manifests/latest",
    "a/tags",
    "x/referrers/y",
]


NAMED = [
    ("GET", "/tags/list"),
    ("GET", "/manifests/latest"),
    ("PUT", "/manifests/latest"),
    ("DELETE", "/manifests/latest"),
    ("HEAD", f"/blobs/{ABSENT}"),
    ("POST", "/blobs/uploads/"),
    ("POST", f"/blobs/uploads/?mount={ABSENT}&from=a"),
    ("PATCH", "/blobs/uploads/" + "0" * 32),
    ("GET", f"/referrers/{ABSENT}"),
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: name[:30])
def test_a_name_that_is_none(attacker: Client, unharmed: Unharmed, name: str) -> None:
    with unharmed():
        for method, rest in NAMED:
            body = image("bad name").manifest if method in ("PUT", "PATCH") else None
            answer = _send(attacker, method, f"/v2/{name}{rest}", body)
            assert answer.status in (400, 404), (method, rest, answer)
            if answer.status == 400 and method != "HEAD":
                assert answer.codes == ["NAME_INVALID"], (method, rest)


def _send(client: Client, method: str, path: str, body: bytes | None) -> Answer:
    return client.request(method, path, body, {"Content-Type": MANIFEST} if body else {})


@pytest.mark.parametrize("name", GOOD_NAMES, ids=lambda name: name[:30])
def test_a_name_may_look_like_an_endpoint(attacker: Client, name: str) -> None:
    """One reading of each path, and what goes in comes out where it went in."""
    pushed = image(name)
    pushed.push(attacker, name, "v1")
    assert attacker.get(f"/v2/{name}/manifests/v1").body == pushed.manifest
    assert attacker.get(f"/v2/{name}/tags/list").json() == {"name": name, "tags": ["v1"]}
    location = attacker.start_upload(name)
    assert location.startswith(f"/v2/{name}/blobs/uploads/")
    assert attacker.delete(location).status == 204
    assert attacker.get(f"/v2/{name}/referrers/{pushed.digest}").json()["manifests"] == []
    assert attacker.delete(f"/v2/{name}/manifests/{pushed.digest}").status == 202


BAD_TAGS = [
    "-x",
    ".x",
    "..",
    "x" * 129,
    "a%2Fb",
    "a%20b",
    "a%00",
    "a+b",
    "a@b",
    "a,b",
    "%D1%8F",
    "~x",
    "a%0d%0aX-Injected:%20yes",
]

BAD_DIGESTS = [
    "sha256:",
    "sha256:" + "0" * 63,
    "sha256:" + "0" * 65,
    "sha256:" + "A" * 64,
    "sha256:" + "g" * 64,
    "sha512:" + "0" * 64,
    "sha512:" + "0" * 127,
    "md5:" + "0" * 32,
    "SHA256:" + "0" * 64,
    "sha256+b64:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
    "sha256:../../x",
    "sha256:..%2F..%2Fetc%2Fpasswd",
    ":" + "0" * 64,
    "sha256:sha256:" + "0" * 64,
    "blake3:" + "0" * 64,
    "sha256:%30" + "0" * 63,
]


@pytest.mark.parametrize("tag", BAD_TAGS, ids=lambda tag: tag[:20])
def test_a_tag_that_is_none(attacker: Client, repo: str, unharmed: Unharmed, tag: str) -> None:
    pushed = image("bad tag")
    pushed.push_blobs(attacker, repo)
    with unharmed():
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            body = pushed.manifest if method == "PUT" else None
            answer = _send(attacker, method, f"/v2/{repo}/manifests/{tag}", body)
            assert answer.status in (400, 404), method
            assert answer.header("X-Injected") is None, method
            if answer.status == 400 and method != "HEAD":
                assert answer.codes == ["TAG_INVALID"], method


ADDRESSED = [
    ("GET", "blobs/{}"),
    ("HEAD", "blobs/{}"),
    ("DELETE", "blobs/{}"),
    ("GET", "manifests/{}"),
    ("PUT", "manifests/{}"),
    ("DELETE", "manifests/{}"),
    ("GET", "referrers/{}"),
    ("POST", "blobs/uploads/?digest={}"),
]


@pytest.mark.parametrize("digest", BAD_DIGESTS, ids=lambda digest: digest[:20])
def test_a_digest_that_is_none(
    attacker: Client, repo: str, unharmed: Unharmed, digest: str
) -> None:
    pushed = image("bad digest")
    pushed.push_blobs(attacker, repo)
    with unharmed():
        for method, target in ADDRESSED:
            body = pushed.manifest if method in ("PUT", "POST") else None
            answer = _send(attacker, method, f"/v2/{repo}/{target.format(digest)}", body)
            assert answer.status == 400, (method, target)
            if method != "HEAD":
                assert answer.codes == ["DIGEST_INVALID"], (method, target)


@pytest.mark.parametrize("digest", [*BAD_DIGESTS, ""], ids=lambda digest: digest[:20])
def test_an_upload_is_not_closed_by_a_digest_that_is_none(
    attacker: Client, repo: str, digest: str
) -> None:
    location = attacker.patch(attacker.start_upload(repo), b"abc").location
    answer = attacker.put(f"{location}?digest={digest}")
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]
