"""Each error code of the spec, section "Error Codes", where a client meets it.

`UNAUTHORIZED` and `DENIED` for lack of rights are met in `test_access`, `TOOMANYREQUESTS` in
`test_configuration`; each error's form is checked on every answer (`promises`).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .client import Answer, Client, with_query
from .content import ABSENT, MANIFEST, MAX_MANIFEST, image
from .marks import ours

pytestmark = ours


def blob_unknown(client: Client, repo: str) -> Answer:
    client.push_blob(repo, b"so that the repository exists")
    return client.get(f"/v2/{repo}/blobs/{ABSENT}")


def upload_invalid(client: Client, repo: str) -> Answer:
    return client.patch(client.start_upload(repo), b"abc", Content_Range="5-7")


def upload_unknown(client: Client, repo: str) -> Answer:
    return client.get(f"/v2/{repo}/blobs/uploads/{'0' * 32}")


def digest_invalid(client: Client, repo: str) -> Answer:
    return client.put(with_query(client.start_upload(repo), digest=ABSENT), b"other")


def manifest_blob_unknown(client: Client, repo: str) -> Answer:
    return client.put_manifest(repo, "v1", image("nothing pushed").manifest)


def manifest_invalid(client: Client, repo: str) -> Answer:
    return client.put_manifest(repo, "v1", b"{", MANIFEST)


def manifest_unknown(client: Client, repo: str) -> Answer:
    client.push_blob(repo, b"so that the repository exists")
    return client.get(f"/v2/{repo}/manifests/absent")


def name_invalid(client: Client, repo: str) -> Answer:
    return client.get("/v2/UPPER/tags/list")


def name_unknown(client: Client, repo: str) -> Answer:
    return client.get(f"/v2/{repo}/tags/list")


def size_invalid(client: Client, repo: str) -> Answer:
    return client.put_manifest(repo, "v1", b" " * (MAX_MANIFEST + 1), MANIFEST)


def tag_invalid(client: Client, repo: str) -> Answer:
    return client.get(f"/v2/{repo}/manifests/-x")


def unsupported(client: Client, repo: str) -> Answer:
    return client.request("PATCH", f"/v2/{repo}/manifests/v1")


def denied(client: Client, repo: str) -> Answer:
    pushed = image("in use")
    pushed.push(client, repo)
    digest = pushed.document["config"]["digest"]
    return client.delete(f"/v2/{repo}/blobs/{digest}")


@pytest.mark.parametrize(
    ("provoke", "status", "code"),
    [
        (blob_unknown, 404, "BLOB_UNKNOWN"),
        (upload_invalid, 416, "BLOB_UPLOAD_INVALID"),
        (upload_unknown, 404, "BLOB_UPLOAD_UNKNOWN"),
        (digest_invalid, 400, "DIGEST_INVALID"),
        (manifest_blob_unknown, 400, "MANIFEST_BLOB_UNKNOWN"),
        (manifest_invalid, 400, "MANIFEST_INVALID"),
        (manifest_unknown, 404, "MANIFEST_UNKNOWN"),
        (name_invalid, 400, "NAME_INVALID"),
        (name_unknown, 404, "NAME_UNKNOWN"),
        (size_invalid, 413, "SIZE_INVALID"),
        (tag_invalid, 400, "TAG_INVALID"),
        (unsupported, 405, "UNSUPPORTED"),
        (denied, 409, "DENIED"),
    ],
)
def test_each_code(
    client: Client, repo: str, provoke: Callable[[Client, str], Answer], status: int, code: str
) -> None:
    answer = provoke(client, repo)
    assert answer.status == status
    assert set(answer.codes) == {code}
