"""Listing referrers (spec, "Listing Referrers")."""

from __future__ import annotations

import pytest

from .client import Answer, Client
from .content import (
    ABSENT,
    CONFIG,
    INDEX,
    MANIFEST,
    Image,
    Json,
    artifact,
    descriptor,
    image,
    index,
)
from .marks import ours
from .test_tags import link_target

SIGNATURE = "application/vnd.example.signature.v1"
SBOM = "application/vnd.example.sbom.v1+json"


def listed(answer: Answer) -> list[Json]:
    """The descriptors of one page, once its form has been checked."""
    assert answer.status == 200, answer
    assert answer.header("Content-Type") == INDEX
    document = answer.json()
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == INDEX
    found: list[Json] = document["manifests"]
    return found


def by_digest(descriptors: list[Json]) -> dict[str, Json]:
    found = {each["digest"]: each for each in descriptors}
    assert len(found) == len(descriptors), "a referrer was listed twice"
    return found


@pytest.fixture
def subject(client: Client, repo: str) -> Image:
    pushed = image("subject")
    pushed.push(client, repo, "v1")
    return pushed


def test_no_referrers(client: Client, repo: str, subject: Image) -> None:
    assert listed(client.get(f"/v2/{repo}/referrers/{subject.digest}")) == []


@ours
@pytest.mark.parametrize("digest", [ABSENT, "sha512:" + "0" * 128])
def test_a_subject_that_is_not_there_has_no_referrers(
    client: Client, repo: str, digest: str
) -> None:
    assert listed(client.get(f"/v2/{repo}/referrers/{digest}")) == []
    client.push_blob(repo, b"so that the repository exists")
    assert listed(client.get(f"/v2/{repo}/referrers/{digest}")) == []


@ours
@pytest.mark.parametrize(
    "digest", ["latest", "sha256:abc", "sha256:" + "G" * 64, "md5:" + "0" * 32]
)
def test_a_subject_that_is_no_digest(client: Client, repo: str, digest: str) -> None:
    client.push_blob(repo, b"so that the repository exists")
    answer = client.get(f"/v2/{repo}/referrers/{digest}")
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]


@ours
def test_what_is_said_of_each_referrer(client: Client, repo: str, subject: Image) -> None:
    annotations = {"org.example.key": "value", "org.example.other": "ü"}
    of = subject.descriptor()
    typed = artifact("typed", subject=of, artifact_type=SBOM, annotations=annotations)
    untyped = artifact("untyped", subject=of, artifact_type=None)
    empty_type = artifact("empty type", subject=of, artifact_type="")
    picture = image("an image as referrer", subject=of)
    list_typed = index([], subject=of, artifactType=SIGNATURE, annotations={"a": "b"})
    list_untyped = index([], subject=of)
    for pushed in (typed, untyped, empty_type, picture, list_typed, list_untyped):
        pushed.push(client, repo)
    found = by_digest(listed(client.get(f"/v2/{repo}/referrers/{subject.digest}")))
    assert found == {
        typed.digest: typed.descriptor(artifactType=SBOM, annotations=annotations),
        untyped.digest: untyped.descriptor(artifactType="application/vnd.oci.empty.v1+json"),
        empty_type.digest: empty_type.descriptor(artifactType="application/vnd.oci.empty.v1+json"),
        picture.digest: picture.descriptor(artifactType=CONFIG),
        list_typed.digest: list_typed.descriptor(artifactType=SIGNATURE, annotations={"a": "b"}),
        list_untyped.digest: list_untyped.descriptor(),
    }


@ours
def test_filtering_by_type(client: Client, repo: str, subject: Image) -> None:
    of = subject.descriptor()
    signatures = [artifact(n, subject=of, artifact_type=SIGNATURE) for n in range(2)]
    bills = [artifact(n, subject=of, artifact_type=SBOM) for n in range(3)]
    for pushed in (*signatures, *bills):
        pushed.push(client, repo)
    target = f"/v2/{repo}/referrers/{subject.digest}"
    unfiltered = client.get(target)
    assert len(listed(unfiltered)) == 5
    assert unfiltered.header("OCI-Filters-Applied") is None
    for kind, expected in ((SIGNATURE, signatures), (SBOM, bills), ("application/none", [])):
        answer = client.get(f"{target}?artifactType={kind.replace('+', '%2B')}")
        assert answer.header("OCI-Filters-Applied") == "artifactType"
        assert set(by_digest(listed(answer))) == {pushed.digest for pushed in expected}


@ours
@pytest.mark.parametrize("junk", ["%00", "%ff", "x" * 3000, "%0d%0aX-Injected:yes", "a'--", "%25"])
def test_a_filter_that_fits_nothing(client: Client, repo: str, subject: Image, junk: str) -> None:
    answer = client.get(f"/v2/{repo}/referrers/{subject.digest}?artifactType={junk}")
    assert answer.status in (200, 400)
    assert answer.header("X-Injected") is None


@ours
def test_a_referrer_before_its_subject(client: Client, repo: str) -> None:
    late = image("pushed later")
    early = artifact("early", subject=late.descriptor())
    early.push_blobs(client, repo)
    answer = client.put_manifest(repo, early.digest, early.manifest)
    assert answer.status == 201
    assert answer.header("OCI-Subject") == late.digest
    target = f"/v2/{repo}/referrers/{late.digest}"
    assert set(by_digest(listed(client.get(target)))) == {early.digest}
    late.push(client, repo, "v1")
    assert set(by_digest(listed(client.get(target)))) == {early.digest}


@ours
def test_referrers_of_a_blob_that_is_no_manifest(client: Client, repo: str) -> None:
    """A subject is a descriptor of whatever; it is listed by its digest."""
    digest = client.push_blob(repo, b"just a blob")
    of = {"mediaType": "application/octet-stream", "digest": digest, "size": 11}
    referrer = artifact("of a blob", subject=of)
    referrer.push(client, repo)
    found = listed(client.get(f"/v2/{repo}/referrers/{digest}"))
    assert [each["digest"] for each in found] == [referrer.digest]


@ours
def test_a_deleted_referrer_is_no_longer_listed(client: Client, repo: str, subject: Image) -> None:
    gone, stays = (artifact(n, subject=subject.descriptor()) for n in ("gone", "stays"))
    for pushed in (gone, stays):
        pushed.push(client, repo)
    assert client.delete(f"/v2/{repo}/manifests/{gone.digest}").status == 202
    found = listed(client.get(f"/v2/{repo}/referrers/{subject.digest}"))
    assert [each["digest"] for each in found] == [stays.digest]


@ours
def test_referrers_stay_in_their_repository(
    client: Client, repo: str, other_repo: str, subject: Image
) -> None:
    artifact("elsewhere", subject=subject.descriptor()).push(client, other_repo)
    assert listed(client.get(f"/v2/{repo}/referrers/{subject.digest}")) == []


@ours
def test_a_sha512_subject(client: Client, repo: str) -> None:
    of = descriptor(b"whatever", MANIFEST, algorithm="sha512")
    referrer = artifact("of sha512", subject=of)
    referrer.push_blobs(client, repo)
    answer = client.put_manifest(repo, referrer.digest, referrer.manifest)
    assert answer.header("OCI-Subject") == of["digest"]
    assert len(listed(client.get(f"/v2/{repo}/referrers/{of['digest']}"))) == 1


@ours
def test_many_referrers_come_in_pages(client: Client, repo: str, subject: Image) -> None:
    """Each once, no answer larger than a manifest may be, the filter kept from page to page."""
    of = subject.descriptor()
    text = {"org.example.padding": "x" * 60_000}
    pushed = [artifact("many", subject=of, annotations=text | {"n": str(n)}) for n in range(120)]
    pushed[0].push_blobs(client, repo)
    for referrer in pushed:
        assert client.put_manifest(repo, referrer.digest, referrer.manifest).status == 201
    target: str | None = f"/v2/{repo}/referrers/{subject.digest}?artifactType={SIGNATURE}"
    found: list[Json] = []
    pages = 0
    while target is not None:
        pages += 1
        answer = client.get(target)
        assert len(answer.body) <= 4 * 1024 * 1024
        assert answer.header("OCI-Filters-Applied") == "artifactType"
        found += listed(answer)
        target = link_target(answer)
    assert set(by_digest(found)) == {referrer.digest for referrer in pushed}
    assert pages > 1
