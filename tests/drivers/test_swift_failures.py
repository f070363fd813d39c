"""What goes wrong with a Swift is told in one line that says what to do."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from swiftclient.exceptions import ClientException  # type: ignore[import-untyped]

from registry_storage.drivers.api import MiB, Part, Redirects
from registry_storage.drivers.swift.account import Cluster
from registry_storage.drivers.swift.config import SwiftConfig
from registry_storage.drivers.swift.container import Pieces
from registry_storage.drivers.swift.failures import Translator, parts_are_gone
from registry_storage.drivers.swift.store import _check_clock
from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    ConfigurationInvalid,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    PartLost,
    SdkMissing,
    Throttled,
    TransientError,
)
from registry_storage.plugins import open_driver
from registry_storage.testing.material import Held, content, new_id, read_all
from tests.cli.certificates import make_certificate
from tests.drivers.swift_answers import answering
from tests.services.ceph import SwiftAccount
from tests.services.containers import scratch_folder
from tests.services.handshakes import tls_server
from tests.services.processes import free_port
from tests.services.swift import SwiftServer

V1: Mapping[str, Any] = {
    "authurl": "http://127.0.0.1:1/auth/v1.0",
    "username": "account:user",
    "password": "pass phrase",
    "container": "images",
}
V3: Mapping[str, Any] = {**V1, "authurl": "https://id.example/v3", "tenant": "team"}


async def problem(settings: Mapping[str, Any]) -> DriverError:
    """What `start` raises with these settings."""
    driver = open_driver("swift", settings)
    with pytest.raises(DriverError) as raised:
        await driver.start()
    await driver.close()
    assert "\n" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("status", "reason", "kind", "advice"),
    [
        (401, "Unauthorized", AccessDenied, "give the user the right"),
        (403, "Forbidden", AccessDenied, "give the user the right"),
        (404, "Not Found", DriverError, "look at storage.swift.container"),
        (408, "Request Timeout", DriverTimeout, "try again"),
        (409, "Conflict", DriverUnavailable, "a segment is missing"),
        (413, "Request Entity Too Large", NoSpace, "raise the quota"),
        (422, "Unprocessable Entity", DriverUnavailable, "damaged on their way"),
        (429, "Too Many Requests", Throttled, "try again later"),
        (498, "Rate Limited", Throttled, "try again later"),
        (499, "Client Disconnect", DriverTimeout, "try again"),
        (500, "Internal Error", DriverUnavailable, "try again"),
        (503, "Service Unavailable", DriverUnavailable, "try again"),
        (503, "Slow Down", Throttled, "try again later"),
        (507, "Insufficient Storage", NoSpace, "free some space"),
        (405, "Method Not Allowed", DriverError, "please report it"),
    ],
)
def test_an_answer_is_the_error_it_means(
    status: int, reason: str, kind: type[DriverError], advice: str
) -> None:
    answer = ClientException("Object PUT failed", http_status=status, http_reason=reason)
    error = Translator("http://id", "alice").translated(answer, "PUT images/blobs/1")
    assert type(error) is kind
    assert f"PUT images/blobs/1 ({status} {reason})" in str(error)
    assert advice in str(error)


@pytest.mark.parametrize(
    ("raised", "kind", "advice"),
    [
        (requests.ReadTimeout("60 s"), DriverTimeout, "does not answer in time"),
        (requests.ConnectTimeout("60 s"), DriverTimeout, "does not answer in time"),
        (urllib3.exceptions.ReadTimeoutError(None, "", ""), DriverTimeout, "in time"),  # type: ignore[arg-type]
        (urllib3.exceptions.ProtocolError("broken"), DriverUnavailable, "hung up"),
        (requests.ConnectionError("refused"), DriverUnavailable, "cannot be reached"),
        (ConnectionResetError("reset"), DriverUnavailable, "hung up"),
        (requests.exceptions.SSLError("EOF occurred"), DriverUnavailable, "hung up"),
        (requests.exceptions.SSLError("certificate"), DriverError, "REQUESTS_CA_BUNDLE"),
    ],
)
def test_a_fault_of_the_network_is_the_error_it_means(
    raised: Exception, kind: type[DriverError], advice: str
) -> None:
    error = Translator("http://id", "alice").translated(raised, "GET images/blobs/1")
    assert type(error) is kind
    assert advice in str(error)


@pytest.mark.parametrize(
    ("status", "body", "gone"),
    [
        (400, b"Errors:\n/c/s/1, 404 Not Found\n", True),
        (400, b"Errors:\n/c/s/1, Etag Mismatch\n/c/s/2, Size Mismatch\n", True),
        (400, b"Errors:\n/c/s/1, 503 Service Unavailable\n", False),
        (400, b"Errors:\n/c/s/1, 404 Not Found\n/c/s/2, 503 Service Unavailable\n", False),
        (400, b"Errors:\n/c/s/1, 429 Too Many Requests\n", False),
        (404, b"NoSuchKey", True),
        (400, b"InvalidArgument", True),
        (503, b"", False),
        (403, b"", False),
    ],
)
def test_a_part_is_lost_only_where_the_store_is_sure(status: int, body: bytes, gone: bool) -> None:
    answer = ClientException("PUT", http_status=status, http_response_content=body)
    assert parts_are_gone(answer) is gone


@pytest.mark.xdist_group("swift")
async def test_credentials_that_are_wrong(swift_server: SwiftServer) -> None:
    with scratch_folder(swift_server) as folder:
        for wrong in ({"username": "registry:nobody"}, {"password": "guess"}):
            error = await problem({**folder.settings, **wrong})
            assert isinstance(error, AccessDenied)
            assert "look at username, password" in str(error)


@pytest.mark.xdist_group("swift")
async def test_a_part_that_was_deleted_behind_our_back_is_lost(swift_server: SwiftServer) -> None:
    with scratch_folder(swift_server) as folder:
        driver = open_driver("swift", folder.settings)
        await driver.start()
        handle = await driver.begin_upload(new_id())
        part = await driver.put_part(handle, 1, 0, Held(b"hello"), 5)
        assert folder.delete("segments/") == 1
        with pytest.raises(PartLost):
            await driver.commit_upload(handle, [part], None)
        with pytest.raises(PartLost):
            await driver.commit_upload(handle, [Part(1, 0, 5, "not a token")], None)
        await driver.close()


@pytest.mark.xdist_group("swift")
async def test_a_blob_whose_segment_is_gone_is_never_served_short(
    swift_server: SwiftServer,
) -> None:
    with scratch_folder(swift_server) as folder:
        driver = open_driver("swift", folder.settings)
        await driver.start()
        handle = await driver.begin_upload(new_id())
        parts = [
            await driver.put_part(handle, n, (n - 1) * MiB, Held(content(MiB, n)), MiB)
            for n in (1, 2, 3)
        ]
        blob = await driver.commit_upload(handle, parts, None)
        folder.delete("/0000002-")
        with pytest.raises(DriverError):
            await read_all(driver, blob.location)
        await driver.close()


@pytest.mark.xdist_group("swift")
async def test_what_a_crash_in_a_deletion_leaves_is_an_upload_that_can_be_aborted(
    swift_server: SwiftServer,
) -> None:
    with scratch_folder(swift_server) as folder:
        driver = open_driver("swift", folder.settings)
        await driver.start()
        handle = await driver.begin_upload(new_id())
        part = await driver.put_part(handle, 1, 0, Held(b"hello"), 5)
        blob = await driver.commit_upload(handle, [part], None)
        assert folder.delete("/blobs/") == 1
        soon = datetime.now(UTC) + timedelta(days=1)
        assert [found async for found in driver.list_uploads(soon)] == [handle]
        long_ago = datetime.now(UTC) - timedelta(days=1)
        assert [found async for found in driver.list_uploads(long_ago)] == []
        with pytest.raises(BlobNotFound):
            await driver.stat_blob(blob.location)
        await driver.abort_upload(handle)
        assert folder.names() == []
        await driver.close()


@pytest.mark.xdist_group("ceph")
async def test_no_redirects_where_the_store_takes_no_such_key(
    rgw_swift: SwiftAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway keeps a container's key, and lets nobody in with it."""
    with scratch_folder(rgw_swift) as folder, caplog.at_level(logging.WARNING):
        settings = {**folder.settings, "tempurlcontainerkey": True, "secretkey": "its own"}
        driver = open_driver("swift", settings)
        redirects = driver.extension(Redirects)
        assert redirects is not None
        await driver.start()
        blob = await driver.put_blob(new_id(), [b"hello"], None)
        assert await redirects.blob_url(blob.location, 60) is None
        await driver.close()
    assert "clients are not redirected" in caplog.text


async def test_a_host_that_is_not_there() -> None:
    for settings in ({**V1, "authurl": f"http://127.0.0.1:{free_port()}/auth/v1.0"}, V3):
        error = await problem({**settings, "timeout": 5})
        assert isinstance(error, TransientError)
        assert "storage.swift.authurl right?" in str(error)


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    with tls_server(make_certificate(tmp_path, "own")) as address:
        error = await problem({**V1, "authurl": f"{address}/auth/v1.0"})
    assert not isinstance(error, TransientError)
    assert "REQUESTS_CA_BUNDLE" in str(error)


@pytest.mark.xdist_group("swift")
async def test_a_store_that_speaks_no_tls(swift_server: SwiftServer) -> None:
    secure = swift_server.auth_url.replace("http:", "https:")
    error = await problem({**V1, "authurl": secure})
    assert not isinstance(error, TransientError)
    assert "speak TLS?" in str(error)


@pytest.mark.xdist_group("swift")
async def test_more_segments_than_the_cluster_takes(swift_server: SwiftServer) -> None:
    with scratch_folder(swift_server) as folder:
        error = await problem({**folder.settings, "maxsegments": 2000})
    assert "storage.swift.maxsegments" in str(error)
    assert "set it to 1000" in str(error)


@pytest.mark.xdist_group("swift")
async def test_a_cluster_that_answers_nothing_but_refusals(swift_server: SwiftServer) -> None:
    with scratch_folder(swift_server) as folder, answering(403, "Forbidden")():
        assert isinstance(await problem(folder.settings), AccessDenied)


def test_a_clock_that_is_far_off() -> None:
    _check_clock(datetime.now(UTC) - timedelta(minutes=4))
    for far in (timedelta(hours=2), -timedelta(hours=2)):
        with pytest.raises(DriverError, match=r"differ by .*NTP"):
            _check_clock(datetime.now(UTC) + far)


@pytest.mark.parametrize(
    ("info", "cluster"),
    [
        (
            {"swift": {"version": "2.38.3"}, "slo": {"max_manifest_segments": 1000}},
            Cluster(conditional_puts=True, tempurl_digest=None, max_segments=1000),
        ),
        (
            {"swift": {"version": "16.2.15"}, "slo": {}, "tempurl": {"methods": ["GET"]}},
            Cluster(tempurl_digest="sha1", has_slo=True),
        ),
        (
            {"swift": {}, "tempurl": {"allowed_digests": ["sha1", "sha256", "sha512"]}},
            Cluster(tempurl_digest="sha256", has_slo=False),
        ),
    ],
)
def test_what_a_cluster_can_do_is_read_from_its_info(
    info: dict[str, Any], cluster: Cluster
) -> None:
    assert Cluster.of(info) == cluster


def test_pieces_are_the_buffers_in_order() -> None:
    pieces = Pieces([b"ab", bytearray(b""), memoryview(b"cdefg")])
    assert [bytes(pieces.read(3)) for _ in range(4)] == [b"ab", b"cde", b"fg", b""]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"authurl": None}, "storage.swift.authurl: required"),
        ({"container": None}, "storage.swift.container: required"),
        ({"password": None}, "username and password are required"),
        ({"tenant": None}, "tenant, tenantid or trustid is required"),
        ({"applicationcredentialid": "x"}, "need each other"),
        ({"chunksize": MiB - 1}, "storage.swift.chunksize"),
        ({"endpointtype": "secret"}, "storage.swift.endpointtype"),
        ({"authversion": 4}, "storage.swift.authversion"),
        ({"tempurlmethods": ["FETCH"]}, "storage.swift.tempurlmethods"),
        ({"tempurlcontainerkey": True, "segmentcontainer": "s"}, "does not open another"),
        ({"contaner": "x"}, "did you mean container?"),
    ],
)
def test_settings_that_are_wrong(settings: Mapping[str, Any], complaint: str) -> None:
    given = {key: value for key, value in {**V3, **settings}.items() if value is not None}
    with pytest.raises(ConfigurationInvalid, match=complaint.replace("?", r"\?")):
        open_driver("swift", given)


@pytest.mark.parametrize(
    ("settings", "version"),
    [
        ({"authurl": "https://s.example/auth/v1.0"}, 1),
        ({"authurl": "https://s.example/auth/1.0/"}, 1),
        ({"authurl": "https://id.example/v2.0"}, 2),
        ({"authurl": "https://id.example/identity/v3/"}, 3),
        ({"authurl": "https://id.example/identity"}, 3),
        ({"authurl": "https://id.example:35357"}, 3),
        ({"authurl": "https://id.example/v3", "authversion": 2}, 2),
    ],
)
def test_the_version_is_configured_or_what_the_url_ends_with(
    settings: Mapping[str, Any], version: int
) -> None:
    assert SwiftConfig(**{**V3, **settings}).version == version


def test_names_of_digits_only_are_names() -> None:
    config = SwiftConfig(**{**V3, "tenantid": 12345, "username": 7, "password": 42})
    assert (config.tenantid, config.username, config.password) == ("12345", "7", "42")


def test_secrets_are_not_shown() -> None:
    config = SwiftConfig(**{**V3, "secretkey": "signs the URLs"})
    assert "pass phrase" not in repr(config)
    assert "signs the URLs" not in repr(config)


def test_a_missing_sdk_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "swiftclient", None)
    for name in [
        name for name in sys.modules if name.startswith("registry_storage.drivers.swift.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SdkMissing, match=r"registry-storage\[swift\]"):
        open_driver("swift", V1)
