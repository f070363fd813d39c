"""What the gcs driver asks of the service, where an emulator does not tell whether it is right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from registry_storage.drivers.api import Part, Redirects
from registry_storage.drivers.gcs import GcsConfig
from registry_storage.drivers.gcs.bucket import Bucket, Stored
from registry_storage.drivers.gcs.driver import GcsDriver
from registry_storage.drivers.gcs.uploads import parse_handle
from registry_storage.errors import BlobNotFound, PartLost, UploadNotFound
from registry_storage.testing.material import Held, content, mark_of, new_id, read_all
from tests.drivers import recorded_gcs as recorded
from tests.drivers.recorded_gcs import answering
from tests.services.fake_gcs import FakeGcs, service_account_key

pytestmark = pytest.mark.xdist_group("fake-gcs")

BLOB_ID = "0" * 32
NOW = datetime.now(UTC)
MORE_THAN_TWO_LEVELS_HOLD = 32 * 32 + 40


@pytest.fixture
def bucket(fake_gcs: FakeGcs) -> str:
    return fake_gcs.new_bucket()


@pytest.fixture
async def driver(bucket: str) -> AsyncIterator[GcsDriver]:
    made = GcsDriver(GcsConfig(bucket=bucket, credentials=service_account_key()))
    await made.start()
    yield made
    await made.close()


def query_of(request: requests.PreparedRequest) -> dict[str, list[str]]:
    return parse_qs(urlsplit(str(request.url)).query)


async def test_a_blob_is_only_stored_under_a_free_key(driver: GcsDriver) -> None:
    with answering(recorded.resource(f"blobs/{BLOB_ID}", 5)) as made:
        await driver.put_blob(BLOB_ID, [b"hello"], None)
    assert [query_of(request)["ifGenerationMatch"] for request in made] == [["0"]]


async def test_compose_names_the_generation_of_each_source_and_wants_a_free_key(
    driver: GcsDriver,
) -> None:
    assert driver._opened is not None
    sources = [Stored(key, 1, NOW, generation) for key, generation in (("a", 7), ("b", 8))]
    with answering(recorded.resource("c", 2)) as made:
        driver._opened.compose("c", sources)
    [request] = made
    assert query_of(request)["ifGenerationMatch"] == ["0"]
    asked = json.loads(request.body or b"")
    named = [(source["name"], int(source["generation"])) for source in asked["sourceObjects"]]
    assert named == [("a", 7), ("b", 8)]


async def test_a_commit_that_finds_the_blob_published_answers_it(
    driver: GcsDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator composes over what is there; the service answers 412."""
    handle = await driver.begin_upload(new_id())
    part = await driver.put_part(handle, 1, 0, Held(b"hello"), 5)
    compose = Bucket.compose

    def compose_twice(bucket: Bucket, key: str, sources: list[Stored]) -> Stored:
        compose(bucket, key, sources)
        with answering(recorded.CONDITION_NOT_MET):
            return compose(bucket, key, sources)

    monkeypatch.setattr(Bucket, "compose", compose_twice)
    blob = await driver.commit_upload(handle, [part], None)
    assert await read_all(driver, blob.location) == b"hello"


async def test_a_commit_that_finds_a_source_gone_finds_no_upload(
    driver: GcsDriver, bucket: str, fake_gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another commit was answered meanwhile, and what it published has been deleted."""
    handle = await driver.begin_upload(new_id())
    part = await driver.put_part(handle, 1, 0, Held(b"hello"), 5)
    compose = Bucket.compose

    def compose_late(bucket: Bucket, key: str, sources: list[Stored]) -> Stored:
        for source in sources:
            bucket.delete(source.key)
        with answering(recorded.NO_OBJECT):
            return compose(bucket, key, sources)

    monkeypatch.setattr(Bucket, "compose", compose_late)
    with pytest.raises(UploadNotFound):
        await driver.commit_upload(handle, [part], None)
    await driver.abort_upload(handle)
    assert fake_gcs.keys(bucket) == []


async def test_the_last_step_takes_a_part_as_it_was_uploaded(
    driver: GcsDriver, bucket: str, fake_gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More parts than two levels of a tree can join; nothing but the blob stays."""
    data = content(MORE_THAN_TWO_LEVELS_HOLD)
    handle = await driver.begin_upload(new_id())
    keys = [f"uploads/{handle}/{n}-{n:016x}" for n in range(len(data))]
    for n, key in enumerate(keys):
        fake_gcs.put(bucket, key, data[n : n + 1])
    assert driver._opened is not None
    stored = {found.key: found for found in driver._opened.listing("uploads/")}
    upload = parse_handle(handle)
    parts = [Part(n, n, 1, upload.token(stored[key])) for n, key in enumerate(keys)]
    steps: list[list[str]] = []
    compose = Bucket.compose

    def noted(bucket: Bucket, key: str, sources: list[Stored]) -> Stored:
        steps.append([source.key for source in sources])
        return compose(bucket, key, sources)

    monkeypatch.setattr(Bucket, "compose", noted)
    blob = await driver.commit_upload(handle, parts, None)
    assert await read_all(driver, blob.location) == data
    assert max(map(len, steps)) <= 32
    assert steps[-1][-1] == keys[-1]
    assert fake_gcs.keys(bucket) == [blob.location]


async def test_a_part_whose_object_was_replaced_is_part_lost(
    driver: GcsDriver, bucket: str, fake_gcs: FakeGcs
) -> None:
    handle = await driver.begin_upload(new_id())
    part = await driver.put_part(handle, 1, 0, Held(b"hello"), 5)
    [key] = [key for key in fake_gcs.keys(bucket) if not key.endswith("begun")]
    fake_gcs.put(bucket, key, b"other")
    with pytest.raises(PartLost):
        await driver.commit_upload(handle, [part], None)


async def test_a_mark_does_not_outlive_its_blob(
    driver: GcsDriver, bucket: str, fake_gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob is deleted while it is being marked."""
    blob = await driver.put_blob(new_id(), [b"hello"], None)
    create = Bucket.create

    def create_late(bucket: Bucket, key: str, data: list[bytes]) -> Stored:
        bucket.delete(blob.location)
        return create(bucket, key, data)

    monkeypatch.setattr(Bucket, "create", create_late)
    with pytest.raises(BlobNotFound):
        await driver.mark_blob(blob.location, mark_of(b"hello"))
    assert fake_gcs.keys(bucket) == []


async def test_parts_without_their_upload_are_listed_and_aborted(
    driver: GcsDriver, bucket: str, fake_gcs: FakeGcs
) -> None:
    """What a process leaves that died between storing a part and finding its upload aborted."""
    handle = await driver.begin_upload(new_id())
    await driver.put_part(handle, 1, 0, Held(b"hello"), 5)
    fake_gcs.delete(bucket, f"uploads/{handle}/begun")
    assert [found async for found in driver.list_uploads(datetime.now(UTC))] == [handle]
    await driver.abort_upload(handle)
    assert fake_gcs.keys(bucket) == []


async def test_the_service_is_told_the_checksum_of_what_is_sent(driver: GcsDriver) -> None:
    with answering(recorded.resource(f"blobs/{BLOB_ID}", 9)) as made:
        await driver.put_blob(BLOB_ID, [b"123", memoryview(b"456"), bytearray(b"789")], None)
    sent = b"".join(made[0].body or ())
    assert b'"crc32c": "4waSgw=="' in sent, "of 123456789: e3069283"
    assert b"\r\n\r\n123456789\r\n--" in sent
    assert made[0].headers["Content-Length"] == str(len(sent))


async def test_without_a_key_nobody_is_sent_elsewhere(bucket: str) -> None:
    driver = GcsDriver(GcsConfig(bucket=bucket))
    await driver.start()
    assert driver.extension(Redirects) is None
    await driver.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_signature_of_a_url_is_right(driver: GcsDriver, method: str) -> None:
    """Computed anew by the rules of V4 signing, for the service account's public key."""
    blob = await driver.put_blob(new_id(), [b"hello"], mark_of(b"hello"))
    url = urlsplit(await driver.blob_url(blob.location, 60, method) or "")
    query, _, signature = url.query.rpartition("&X-Goog-Signature=")
    given = parse_qs(query)
    assert given["X-Goog-Expires"] == ["60"]
    canonical = "\n".join(
        [method, url.path, query, f"host:{url.netloc}", "", "host", "UNSIGNED-PAYLOAD"]
    )
    [moment], [credential] = given["X-Goog-Date"], given["X-Goog-Credential"]
    scope = credential.partition("/")[2]
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signed = "\n".join(["GOOG4-RSA-SHA256", moment, scope, hashed])
    key = serialization.load_pem_private_key(service_account_key()["private_key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    key.public_key().verify(
        bytes.fromhex(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
    )


async def test_a_signature_holds_for_seven_days_at_most(driver: GcsDriver) -> None:
    blob = await driver.put_blob(new_id(), [b"hello"], None)
    url = await driver.blob_url(blob.location, 10**9)
    assert parse_qs(urlsplit(url or "").query)["X-Goog-Expires"] == [str(7 * 24 * 3600)]
