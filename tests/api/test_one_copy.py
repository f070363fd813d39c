"""One digest is stored once, however many push it at the same instant."""

from __future__ import annotations

from functools import partial

from tests.services.registry import RegistryServer

from .client import Client, with_query
from .conftest import Together
from .content import blob, digest_of
from .inventory import inventory

ROUNDS = 10


def test_two_uploads_of_one_digest_end_in_one_blob(
    server: RegistryServer, client: Client, repo: str, together: Together
) -> None:
    for round_ in range(ROUNDS):
        data = blob(200_000, f"one digest {round_}")
        digest = digest_of(data)
        before = inventory(server.storage).rows["blobs"]
        targets = [
            with_query(client.patch(client.start_upload(repo), data).location, digest=digest)
            for _ in range(4)
        ]
        answers = together(*(partial(Client.put, target=target) for target in targets))
        assert [answer.status for answer in answers] == [201] * 4
        assert client.get(f"/v2/{repo}/blobs/{digest}").body == data
        assert inventory(server.storage).rows["blobs"] == before + 1


def test_one_digest_into_many_repositories(
    server: RegistryServer, client: Client, repo: str, together: Together
) -> None:
    data = blob(100_000, "into many repositories")
    digest = digest_of(data)
    before = inventory(server.storage).rows["blobs"]
    targets = [with_query(client.start_upload(f"{repo}/{n}"), digest=digest) for n in range(8)]
    answers = together(*(partial(Client.put, target=target, body=data) for target in targets))
    assert [answer.status for answer in answers] == [201] * 8
    for n in range(8):
        assert client.get(f"/v2/{repo}/{n}/blobs/{digest}").body == data
    assert inventory(server.storage).rows["blobs"] == before + 1
