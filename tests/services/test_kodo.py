"""The local Kodo server is as strict as the protocol; the SDK's managers and uploaders use it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from qiniu import Auth, BucketManager, build_batch_delete, build_batch_stat, etag, put_stream_v2
from qiniu.auth import RequestsAuth
from qiniu.http.endpoint import Endpoint
from qiniu.http.region import Region, ServiceName
from qiniu.services.storage.upload_progress_recorder import UploadProgressRecorder
from qiniu.services.storage.uploaders import FormUploader

from tests.services.kodo import KodoServer

pytestmark = pytest.mark.xdist_group("kodo")

MiB = 1024 * 1024


class Account:
    """What the SDK does with a bucket."""

    def __init__(self, kodo: KodoServer, bucket: str) -> None:
        self.bucket = bucket
        self.auth = Auth(kodo.access_key, kodo.secret_key)
        self.regions = [Region(services={s: [Endpoint(kodo.host, "http")] for s in ServiceName})]
        self.manager = BucketManager(self.auth, regions=self.regions)
        self.up = f"http://{kodo.host}"
        self.down = f"http://{kodo.domain(bucket)}"

    def put(self, key: str, data: bytes, token_key: str | None = None, **policy: Any) -> int:
        """The status of a form upload."""
        token = self.auth.upload_token(self.bucket, token_key or key, 60, policy)
        return self.put_with(token, key, data)

    def put_with(self, token: str, key: str, data: bytes) -> int:
        uploader = FormUploader(self.bucket, regions=self.regions)
        _, info = uploader.upload(key=key, data=io.BytesIO(data), up_token=token)
        return int(info.status_code)

    def keys(self) -> list[str]:
        answer, _, _ = self.manager.list(self.bucket)
        return [item["key"] for item in answer["items"]]

    def uploads(self, key: str) -> str:
        name = base64.urlsafe_b64encode(key.encode()).decode()
        return f"{self.up}/buckets/{self.bucket}/objects/{name}/uploads"

    def token(self, key: str) -> dict[str, str]:
        return {"Authorization": f"UpToken {self.auth.upload_token(self.bucket, key, 60)}"}


@pytest.fixture
def account(kodo: KodoServer, kodo_bucket: str) -> Account:
    return Account(kodo, kodo_bucket)


def test_it_says_what_it_is(kodo: KodoServer) -> None:
    answer = requests.get(f"http://{kodo.host}/__control/about", timeout=10)
    assert "stand-in" in answer.json()["about"]
    assert "X-Reqid" in answer.headers


def test_objects_are_stored_listed_moved_copied_and_deleted(account: Account) -> None:
    manager, bucket = account.manager, account.bucket
    assert account.put("a/b", b"hello") == 200
    facts, _ = manager.stat(bucket, "a/b")
    assert (facts["fsize"], facts["hash"]) == (5, "Fqr0xh3cxeii2r7eDztILNmuqUNN")
    assert abs(facts["putTime"] / 1e7 - time.time()) < 60
    assert manager.copy(bucket, "a/b", bucket, "c")[1].status_code == 200
    assert manager.copy(bucket, "a/b", bucket, "c")[1].status_code == 614
    assert manager.copy(bucket, "a/b", bucket, "c", force="true")[1].status_code == 200
    assert manager.move(bucket, "a/b", bucket, "d")[1].status_code == 200
    assert manager.move(bucket, "a/b", bucket, "e")[1].status_code == 612
    assert account.keys() == ["c", "d"]
    assert manager.delete(bucket, "c")[1].status_code == 200
    assert manager.delete(bucket, "c")[1].status_code == 612
    assert requests.get(account.auth.private_download_url(f"{account.down}/d")).content == b"hello"


def test_a_batch_answers_each_operation(account: Account) -> None:
    account.put("a", b"hello")
    _, info = account.manager.batch(build_batch_stat(account.bucket, ["a", "b"]))
    assert info.status_code == 298
    assert [result["code"] for result in info.json()] == [200, 612]
    _, info = account.manager.batch(build_batch_delete(account.bucket, ["a"]))
    assert (info.status_code, account.keys()) == (200, [])
    _, info = account.manager.batch(build_batch_stat(account.bucket, ["a"] * 1001))
    assert info.status_code == 400


def test_a_listing_has_pages(account: Account) -> None:
    for key in ("b", "a/2", "a/1", "aé"):
        account.put(key, b"")
    page, at_end, _ = account.manager.list(account.bucket, prefix="a", limit=2)
    assert ([item["key"] for item in page["items"]], at_end) == (["a/1", "a/2"], False)
    page, at_end, _ = account.manager.list(
        account.bucket, prefix="a", limit=2, marker=page["marker"]
    )
    assert ([item["key"] for item in page["items"]], at_end) == (["aé"], True)
    assert account.manager.list(account.bucket, marker="x")[2].status_code == 640
    assert account.manager.list(account.bucket, limit=1001)[2].status_code == 400
    assert account.manager.list("nowhere")[2].status_code == 631


def test_multipart_uploads_of_the_sdk_are_stored(account: Account, tmp_path: Path) -> None:
    data = secrets.token_bytes(9 * MiB + 5)
    answer, info = put_stream_v2(
        account.auth.upload_token(account.bucket, "big"),
        "big",
        io.BytesIO(data),
        "big",
        len(data),
        part_size=4 * MiB,
        bucket_name=account.bucket,
        regions=account.regions,
        upload_progress_recorder=UploadProgressRecorder(str(tmp_path)),
    )
    assert info.status_code == 200
    assert answer["key"] == "big"
    found = requests.get(account.auth.private_download_url(f"{account.down}/big"))
    assert found.content == data


def test_the_hash_of_an_object_is_the_sdks(account: Account, tmp_path: Path) -> None:
    for size in (0, 5, 4 * MiB, 4 * MiB + 1):
        data = secrets.token_bytes(size)
        (tmp_path / "file").write_bytes(data)
        account.put(f"of {size}", data)
        facts, _ = account.manager.stat(account.bucket, f"of {size}")
        if size:
            assert facts["hash"] == etag(str(tmp_path / "file"))
        else:
            assert facts["hash"] == "Fto5o-5ea0sNMlW_75VgGJCv2AcJ"


def test_upload_tokens_are_for_their_key_and_time(account: Account, kodo: KodoServer) -> None:
    assert account.put("a", b"x", token_key="b") == 403
    assert account.put("pre/a", b"x", token_key="pre/", isPrefixalScope=1) == 200
    assert account.put("no/a", b"x", token_key="pre/", isPrefixalScope=1) == 403
    assert account.put("big", b"12345", fsizeLimit=4) == 413
    assert account.put("small", b"12345", fsizeMin=6) == 403
    one, other = (account.auth.upload_token(account.bucket, key, 60) for key in "ab")
    mixed = f"{one.rpartition(':')[0]}:{other.rpartition(':')[2]}"
    assert account.put_with(mixed, "b", b"x") == 401
    stranger = Auth(kodo.access_key, "wrong").upload_token(account.bucket, "a", 60)
    assert account.put_with(stranger, "a", b"x") == 401
    assert account.put_with(account.auth.upload_token(account.bucket, "a", -5), "a", b"x") == 401
    assert requests.post(account.uploads("a")).status_code == 401
    assert account.keys() == ["pre/a"]


def test_what_may_overwrite_is_what_the_policy_says(account: Account) -> None:
    whole_bucket = account.auth.upload_token(account.bucket, None, 60)
    assert account.put_with(whole_bucket, "a", b"one") == 200
    assert account.put_with(whole_bucket, "a", b"one") == 200
    assert account.put_with(whole_bucket, "a", b"two") == 614
    assert account.put("a", b"two") == 200
    assert account.put("a", b"three", insertOnly=1) == 614
    assert account.manager.stat(account.bucket, "a")[0]["fsize"] == 3


def test_damaged_bytes_are_refused(account: Account, kodo: KodoServer) -> None:
    fields = {"token": account.auth.upload_token(account.bucket, "a"), "key": "a", "crc32": "1"}
    assert requests.post(account.up, fields, files={"file": b"hello"}).status_code == 406
    upload = requests.post(account.uploads("a"), headers=account.token("a")).json()["uploadId"]
    headers = {**account.token("a"), "Content-MD5": "0" * 32}
    url = f"{account.uploads('a')}/{upload}/1"
    assert requests.put(url, b"hello", headers=headers).status_code == 406
    assert kodo.uploads(account.bucket)[upload]["parts"] == {}


@pytest.fixture
def parts(account: Account) -> tuple[str, list[dict[str, Any]]]:
    """An upload of the key `k`: its URL, and its parts 1 and 3, the first of which is too small."""
    begun = requests.post(account.uploads("k"), headers=account.token("k")).json()
    url = f"{account.uploads('k')}/{begun['uploadId']}"
    stored = []
    for number in (1, 3):
        answer = requests.put(f"{url}/{number}", f"part {number}", headers=account.token("k"))
        stored.append({"partNumber": number, "etag": answer.json()["etag"]})
    return url, stored


def completed(account: Account, url: str, parts: list[dict[str, Any]]) -> int:
    body = json.dumps({"parts": parts})
    headers = {**account.token("k"), "Content-Type": "application/json"}
    return requests.post(url, body, headers=headers).status_code


def test_parts_are_checked_when_an_upload_is_completed(
    account: Account, parts: tuple[str, list[dict[str, Any]]]
) -> None:
    url, (first, second) = parts
    assert completed(account, url, [first, second]) == 400, "the first is below a MiB"
    assert completed(account, url, [second, first]) == 400, "they must ascend"
    assert completed(account, url, [{**first, "etag": second["etag"]}]) == 400
    assert completed(account, url, [{**first, "partNumber": 2}]) == 400
    assert completed(account, url, []) == 400
    assert completed(account, url, [second]) == 200
    assert completed(account, url, [second]) == 612
    found = requests.get(account.auth.private_download_url(f"{account.down}/k"))
    assert found.content == b"part 3"


def test_parts_are_listed_replaced_and_aborted(
    account: Account, kodo: KodoServer, parts: tuple[str, list[dict[str, Any]]]
) -> None:
    url, (_, second) = parts
    token = account.token("k")
    page = requests.get(f"{url}?max-parts=1", headers=token).json()
    assert ([part["partNumber"] for part in page["parts"]], page["partNumberMarker"]) == ([1], 1)
    page = requests.get(f"{url}?part-number-marker=1", headers=token).json()
    assert ([part["partNumber"] for part in page["parts"]], page["partNumberMarker"]) == ([3], 0)
    requests.put(f"{url}/3", b"other", headers=token)
    assert completed(account, url, [second]) == 400, "its bytes were replaced"
    assert requests.put(f"{url}/10001", b"x", headers=token).status_code == 400
    assert requests.delete(url, headers=token).status_code == 200
    assert requests.delete(url, headers=token).status_code == 612
    assert requests.put(f"{url}/1", b"x", headers=token).status_code == 612
    assert kodo.uploads(account.bucket) == {}


def test_management_is_signed_either_way(account: Account, kodo: KodoServer) -> None:
    account.put("a", b"hello")
    entry = base64.urlsafe_b64encode(f"{account.bucket}:a".encode()).decode()
    url = f"http://{kodo.host}/stat/{entry}"
    assert requests.post(url, auth=RequestsAuth(account.auth)).status_code == 200, "QBox"
    assert requests.post(url).status_code == 401
    wrong = Auth(kodo.access_key, "wrong")
    assert requests.post(url, auth=RequestsAuth(wrong)).status_code == 401
    stranger = BucketManager(wrong, regions=account.regions)
    assert stranger.stat(account.bucket, "a")[1].status_code == 401
    with kodo.clock_ahead(16 * 60):
        assert account.manager.stat(account.bucket, "a")[1].status_code == 403


def test_downloads_of_a_private_bucket_are_signed(account: Account, kodo: KodoServer) -> None:
    account.put("a b", b"hello")
    url = f"{account.down}/a%20b"
    signed = f"{url}?e={int(time.time()) + 60}"
    digest = hmac.digest(kodo.secret_key.encode(), signed.encode(), hashlib.sha1)
    good = f"{signed}&token={kodo.access_key}:{base64.urlsafe_b64encode(digest).decode()}"
    part = requests.get(good, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"ell")
    assert part.headers["Content-Range"] == "bytes 1-3/5"
    assert requests.head(good).headers["Content-Length"] == "5"
    assert requests.get(good, headers={"Range": "bytes=5-"}).status_code == 416
    for bad in (url, f"{good}x", signed, good.replace("a%20b", "b")):
        assert requests.get(bad).status_code == 401
    with kodo.clock_ahead(120):
        assert requests.get(good).status_code == 401
    missing = account.auth.private_download_url(f"{account.down}/missing")
    assert requests.get(missing).status_code == 404


def test_a_bucket_is_served_by_its_region_only(kodo: KodoServer) -> None:
    bucket = kodo.make_bucket(region="z1")
    query = f"http://{kodo.host}/v4/query?ak={kodo.access_key}&bucket={bucket}"
    [region] = requests.get(query).json()["hosts"]
    assert region["region"] == "z1"
    assert region["up"]["domains"] == [kodo.hosts()["z1"]]
    account = Account(kodo, bucket)
    assert account.put("a", b"x") == 400
    assert account.manager.stat(bucket, "a")[1].status_code == 631
    kodo.drop_bucket(bucket)
    assert requests.get(query).status_code == 631
    assert requests.get(query.replace(kodo.access_key, "nobody")).status_code == 612
