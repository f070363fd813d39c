"""Several clients at the same instant: one wins, nobody is told a lie, nothing is stored twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import closing
from functools import partial

import pytest

from .client import Answer, Client, with_query
from .conftest import Together
from .content import Image, blob, digest_of, image, index
from .marks import every_catalog, ours

ROUNDS = 10


pytestmark = every_catalog


@pytest.mark.parametrize("size", [1000, 300_000])
def test_two_chunks_at_the_same_offset(
    client: Client, repo: str, together: Together, size: int
) -> None:
    """One is taken; the other learns how far the upload is. The blob is the winner's."""
    for round_ in range(ROUNDS):
        first, ours, theirs = (blob(size, f"{round_} {n}") for n in range(3))
        location = client.patch(client.start_upload(repo), first).location
        field = f"{size}-{2 * size - 1}"
        answers = together(
            partial(Client.patch, target=location, body=ours, Content_Range=field),
            partial(Client.patch, target=location, body=theirs, Content_Range=field),
        )
        assert sorted(answer.status for answer in answers) == [202, 416]
        winner, loser = sorted(answers, key=lambda answer: answer.status)
        assert winner.header("Range") == loser.header("Range") == f"0-{2 * size - 1}"
        whole = first + (ours if answers[0] is winner else theirs)
        digest = digest_of(whole)
        assert client.put(with_query(winner.location, digest=digest)).status == 201
        assert client.get(f"/v2/{repo}/blobs/{digest}").body == whole


@ours
def test_two_chunks_without_saying_where(client: Client, repo: str, together: Together) -> None:
    """Both may be taken, one behind the other, but never mixed."""
    for round_ in range(ROUNDS):
        ours, theirs = blob(50_000, f"ours {round_}"), blob(50_000, f"theirs {round_}")
        location = client.start_upload(repo)
        answers = together(
            partial(Client.patch, target=location, body=ours),
            partial(Client.patch, target=location, body=theirs),
        )
        taken = [answer.status == 202 for answer in answers]
        assert any(taken)
        assert {answer.status for answer in answers} <= {202, 416}
        possible = {
            (True, True): [ours + theirs, theirs + ours],
            (True, False): [ours],
            (False, True): [theirs],
        }[taken[0], taken[1]]
        guess, *others = map(digest_of, possible)
        answer = client.put(with_query(location, digest=guess))
        # A wrong guess ends the upload, and is answered with the digest that it had.
        assert answer.status == 201 or any(other in answer.body.decode() for other in others)


def test_one_upload_finished_twice_at_once(client: Client, repo: str, together: Together) -> None:
    for round_ in range(ROUNDS):
        data = blob(100_000, f"finished twice {round_}")
        digest = digest_of(data)
        location = client.patch(client.start_upload(repo), data).location
        target = with_query(location, digest=digest)
        answers = together(*[partial(Client.put, target=target)] * 2)
        assert [answer.status for answer in answers] == [201, 201]
        assert client.get(f"/v2/{repo}/blobs/{digest}").body == data


def test_a_cancel_while_bytes_arrive(client: Client, repo: str, together: Together) -> None:
    for round_ in range(ROUNDS):
        location = client.start_upload(repo)
        data = blob(300_000, f"cancelled {round_}")
        patched, cancelled = together(
            partial(Client.patch, target=location, body=data),
            partial(Client.delete, target=location),
        )
        assert cancelled.status == 204
        assert patched.status in (202, 404)
        assert client.get(location).status == 404


def _manifests(count: int, seed: str) -> Sequence[Image]:
    """Manifests of different sizes, so that mixed-up headers and bodies show."""
    return [index([], annotations={"seed": seed, "fill": "x" * (n * 37)}) for n in range(count)]


def test_a_tag_that_moves_while_it_is_pulled(client: Client, repo: str) -> None:
    """Headers and body of each answer are of one manifest, and of one that the tag was at."""
    moving = _manifests(8, "moving")
    by_digest = {each.digest: each.manifest for each in moving}
    moving[0].push(client, repo, "latest")
    stop = threading.Event()

    def retag() -> None:
        with closing(client.another()) as own:
            while not stop.is_set():
                for each in moving:
                    own.put_manifest(repo, "latest", each.manifest)

    thread = threading.Thread(target=retag)
    thread.start()
    try:
        seen = set()
        for _ in range(400):
            answer = client.get(f"/v2/{repo}/manifests/latest")
            assert answer.status == 200
            digest = answer.header("Docker-Content-Digest") or ""
            assert answer.body == by_digest[digest]
            assert answer.header("ETag") == f'"{digest}"'
            assert answer.header("Content-Length") == str(len(answer.body))
            headed = client.head(f"/v2/{repo}/manifests/latest")
            known = by_digest[headed.header("Docker-Content-Digest") or ""]
            assert headed.header("Content-Length") == str(len(known))
            seen.add(digest)
    finally:
        stop.set()
        thread.join()
    assert len(seen) > 1


def test_many_tags_at_once_are_all_there(client: Client, repo: str, together: Together) -> None:
    put = partial(Client.put_manifest, repository=repo, manifest=index([]).manifest)
    for round_ in range(3):
        answers = together(*(partial(put, reference=f"tag-{round_}-{n}") for n in range(8)))
        assert [answer.status for answer in answers] == [201] * 8
    assert len(client.get(f"/v2/{repo}/tags/list").json()["tags"]) == 24


def test_a_manifest_against_the_delete_of_its_blob(
    client: Client, repo: str, together: Together
) -> None:
    """Either the blob was in use, or the manifest was told that it is missing."""
    for round_ in range(ROUNDS):
        pushed = image(f"against a delete {round_}")
        pushed.push_blobs(client, repo)
        layer = digest_of(pushed.blobs[1])
        put, deleted = together(
            partial(Client.put_manifest, repository=repo, reference="v1", manifest=pushed.manifest),
            partial(Client.delete, target=f"/v2/{repo}/blobs/{layer}"),
        )
        there = client.head(f"/v2/{repo}/blobs/{layer}").status == 200
        assert (put.status, deleted.status, there) in [(201, 409, True), (400, 202, False)]


def test_a_blob_that_is_deleted_while_it_is_pulled(
    client: Client, repo: str, together: Together
) -> None:
    """All of it, or none: never a part that passes for the whole."""
    for round_ in range(ROUNDS):
        data = blob(2_000_000, f"deleted while pulled {round_}")
        target = f"/v2/{repo}/blobs/{client.push_blob(repo, data)}"
        got, deleted = together(
            partial(Client.get, target=target), partial(Client.delete, target=target)
        )
        assert deleted.status == 202
        assert got.status == 404 or got.body == data
        assert client.get(target).status == 404


def test_pushes_and_deletes_of_one_image(client: Client, repo: str, together: Together) -> None:
    """Whoever is told that a push succeeded last finds everything of it."""
    pushed = image("pushed and deleted")

    def push(c: Client) -> Answer:
        pushed.push_blobs(c, repo)
        return c.put_manifest(repo, "v1", pushed.manifest)

    delete = partial(Client.delete, target=f"/v2/{repo}/manifests/{pushed.digest}")
    for _ in range(ROUNDS):
        answers = together(push, push, delete)
        assert {answer.status for answer in answers[:2]} <= {201, 400}
        if client.head(f"/v2/{repo}/manifests/v1").status == 200:
            document = json.loads(client.get(f"/v2/{repo}/manifests/v1").body)
            for each in (document["config"], *document["layers"]):
                assert client.get(f"/v2/{repo}/blobs/{each['digest']}").status == 200
