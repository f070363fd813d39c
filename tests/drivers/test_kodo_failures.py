"""What goes wrong at Kodo is told in one line that says what to do."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from qiniu import Auth

from registry_storage.drivers.kodo import KodoConfig
from registry_storage.drivers.kodo.driver import KodoDriver
from registry_storage.drivers.kodo.failures import Refusal, refused, unreachable
from registry_storage.drivers.kodo.hosts import find_hosts
from registry_storage.drivers.kodo.transport import Transport
from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    ConfigurationInvalid,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    SdkMissing,
    Throttled,
    TransientError,
)
from registry_storage.plugins import open_driver
from tests.services.kodo import KodoServer
from tests.services.processes import free_port

pytestmark = pytest.mark.xdist_group("kodo")

TIMEOUT = (2.0, 0.5)

ANSWERS = [
    (400, "incorrect region, please use up-z1.qiniup.com", DriverError, "storage.kodo.region"),
    (400, "incorrect zone, please use up-z1.qiniup.com", DriverError, "storage.kodo.region"),
    (400, "bad request", DriverError, "report"),
    (401, "bad token", AccessDenied, "storage.kodo.secretkey"),
    (401, "token out of date", AccessDenied, "clock"),
    (401, "expired token", AccessDenied, "clock"),
    (403, "request time too skewed", AccessDenied, "clock"),
    (403, "key doesn't match scope", AccessDenied, "right"),
    (404, "no such host", DriverError, "storage.kodo.endpoints"),
    (406, "crc32 mismatch", DriverUnavailable, "damaged"),
    (419, "user disabled", AccessDenied, "frozen"),
    (429, "", Throttled, "fewer"),
    (502, "<html>Bad Gateway</html>", DriverUnavailable, "later"),
    (503, "", DriverUnavailable, "later"),
    (504, "", DriverTimeout, "later"),
    (507, "", NoSpace, "room"),
    (573, "rate limit exceeded", Throttled, "fewer"),
    (579, "callback failed", DriverUnavailable, "later"),
    (599, "server failure", DriverUnavailable, "later"),
    (612, "no such file or directory", BlobNotFound, "no such object"),
    (612, "app/accesskey is not found", AccessDenied, "storage.kodo.accesskey"),
    (631, "no such bucket", DriverError, "storage.kodo.bucket"),
]


@pytest.mark.parametrize(("status", "text", "error", "advice"), ANSWERS)
def test_every_answer_is_the_right_error(
    status: int, text: str, error: type[DriverError], advice: str
) -> None:
    told = refused(Refusal(status, text, "https://up.qiniup.com"), "blobs/0")
    assert type(told) is error
    assert told.location == "blobs/0"
    for words in (advice, text, str(status), "https://up.qiniup.com", "blobs/0"):
        assert words in str(told)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (requests.exceptions.ConnectTimeout("x"), DriverTimeout),
        (requests.exceptions.ReadTimeout("x"), DriverTimeout),
        (requests.exceptions.ConnectionError("Read timed out."), DriverTimeout),
        (requests.exceptions.ConnectionError(OSError(111, "refused")), DriverUnavailable),
        (requests.exceptions.ChunkedEncodingError("x"), DriverUnavailable),
        (requests.exceptions.SSLError("x"), DriverError),
        (requests.exceptions.InvalidURL("x"), DriverError),
        (RuntimeError("x"), DriverError),
    ],
    ids=lambda case: str(case),
)
def test_every_failure_of_the_network_is_the_right_error(
    failure: Exception, error: type[DriverError]
) -> None:
    assert type(unreachable(failure, "https://up.qiniup.com", "blobs/0")) is error


def settings(kodo: KodoServer, bucket: str, **changed: Any) -> dict[str, Any]:
    return {**kodo.settings(bucket), **changed}


async def told_at_start(given: dict[str, Any]) -> DriverError:
    """What the driver raises when it starts with these settings: one line."""
    driver = KodoDriver(KodoConfig.model_validate(given), timeout=TIMEOUT)
    try:
        with pytest.raises(DriverError) as raised:
            await driver.start()
    finally:
        await driver.close()
    assert "\n" not in str(raised.value)
    return raised.value


async def test_a_wrong_access_key_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    error = await told_at_start(settings(kodo, kodo_bucket, accesskey="nobody"))
    assert isinstance(error, AccessDenied)
    assert "storage.kodo.accesskey" in str(error)


async def test_a_wrong_secret_key_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    error = await told_at_start(settings(kodo, kodo_bucket, secretkey="wrong"))
    assert isinstance(error, AccessDenied)
    assert "storage.kodo.secretkey" in str(error)
    assert "wrong" not in str(error), "the key itself is nobody's business"


async def test_a_missing_bucket_is_told(kodo: KodoServer) -> None:
    error = await told_at_start(settings(kodo, "nowhere"))
    assert "nowhere" in str(error)
    assert "storage.kodo.bucket" in str(error)


async def test_a_wrong_region_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    z1 = kodo.hosts()["z1"]
    endpoints = {"uc": kodo.host, "up": z1, "rs": z1, "rsf": z1}
    error = await told_at_start(settings(kodo, kodo_bucket, endpoints=endpoints))
    assert "storage.kodo.region" in str(error)
    assert not isinstance(error, TransientError)


async def test_uploading_to_a_wrong_region_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    endpoints = {"uc": kodo.host, "up": kodo.hosts()["z1"]}
    given = settings(kodo, kodo_bucket, endpoints=endpoints)
    driver = KodoDriver(KodoConfig.model_validate(given), timeout=TIMEOUT)
    await driver.start()
    for call in (driver.begin_upload("0" * 32), driver.put_blob("0" * 32, [b"x"], None)):
        with pytest.raises(DriverError, match=r"storage\.kodo\.region"):
            await call
    await driver.close()


async def test_an_unreachable_host_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    error = await told_at_start(settings(kodo, kodo_bucket, endpoints={"uc": nobody}))
    assert isinstance(error, DriverUnavailable)
    assert nobody in str(error)
    assert "Connection refused" in str(error)


async def test_a_silent_host_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    with kodo.failing({"kind": "stall", "match": "/list"}):
        assert isinstance(await told_at_start(settings(kodo, kodo_bucket)), DriverTimeout)


async def test_a_clock_that_is_wrong_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    for seconds in (-3600, 3600):
        with kodo.clock_ahead(seconds):
            error = await told_at_start(settings(kodo, kodo_bucket))
        assert isinstance(error, AccessDenied)
        assert "clock" in str(error)


async def test_an_upload_by_a_clock_that_is_wrong_is_told(
    kodo: KodoServer, kodo_bucket: str
) -> None:
    driver = KodoDriver(KodoConfig.model_validate(kodo.settings(kodo_bucket)), timeout=TIMEOUT)
    await driver.start()
    with kodo.clock_ahead(4000), pytest.raises(AccessDenied, match="clock"):
        await driver.begin_upload("0" * 32)
    await driver.close()


async def test_a_host_without_tls_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    error = await told_at_start(settings(kodo, kodo_bucket, secure=True))
    assert "TLS" in str(error)
    assert "storage.kodo.secure" in str(error)
    assert not isinstance(error, TransientError)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[str]:
    """A host with a certificate that nobody vouches for; it is not Kodo."""
    certificate = tmp_path / "certificate"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    output = ["-nodes", "-keyout", certificate, "-out", certificate, "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*request, *output, *names], check=True, capture_output=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()


class Stranger(BaseHTTPRequestHandler):
    """Welcomes everybody."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Keeps silent."""


async def test_an_unknown_certificate_is_told(
    kodo: KodoServer, kodo_bucket: str, stranger: str
) -> None:
    error = await told_at_start(settings(kodo, kodo_bucket, endpoints={"uc": stranger}))
    assert "certificate" in str(error)
    assert "REQUESTS_CA_BUNDLE" in str(error)


async def test_a_private_authority_is_trusted_where_it_is_named(
    kodo: KodoServer,
    kodo_bucket: str,
    stranger: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate"))
    error = await told_at_start(settings(kodo, kodo_bucket, endpoints={"uc": stranger}))
    assert "not as Kodo does" in str(error), "it was reached, and seen not to be Kodo"


async def test_a_domain_that_answers_anything_is_told(
    kodo: KodoServer, kodo_bucket: str, stranger: str, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate"))
        error = await told_at_start(settings(kodo, kodo_bucket, domain=stranger))
    assert "storage.kodo.domain" in str(error)


async def test_a_domain_of_another_bucket_is_told_and_no_blob_seems_lost(
    kodo: KodoServer, kodo_bucket: str
) -> None:
    other = kodo.make_bucket()
    given = settings(kodo, kodo_bucket, domain=kodo.domain(other))
    driver = KodoDriver(KodoConfig.model_validate(given), timeout=TIMEOUT)
    await driver.start()
    blob = await driver.put_blob("0" * 32, [b"hello"], None)
    with pytest.raises(DriverUnavailable, match=r"storage\.kodo\.domain"):
        await driver.read_blob(blob.location).__aenter__()
    await driver.close()
    kodo.drop_bucket(other)


async def test_a_private_bucket_that_is_said_to_be_public_is_told(
    kodo: KodoServer, kodo_bucket: str
) -> None:
    error = await told_at_start(settings(kodo, kodo_bucket, private=False))
    assert isinstance(error, AccessDenied)
    assert "storage.kodo.private" in str(error)


def test_a_named_region_is_served_by_qiniu() -> None:
    given = {"accesskey": "a", "secretkey": "s", "bucket": "b", "region": "z2"}
    config = KodoConfig.model_validate({**given, "endpoints": {"rs": "http://rs.example:80"}})
    hosts = find_hosts(config, Transport(Auth("a", "s"), TIMEOUT))
    assert hosts.up == ("https://upload-z2.qiniup.com", "https://up-z2.qiniup.com")
    assert hosts.rs == ("http://rs.example:80",)
    assert hosts.rsf == ("https://rsf-z2.qiniuapi.com",)


def test_a_missing_sdk_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qiniu", None)
    with pytest.raises(SdkMissing, match=r"registry-storage\[kodo\]"):
        open_driver("kodo", {"accesskey": "a", "secretkey": "s", "bucket": "b"})


@pytest.mark.parametrize("name", ["kodo", "qiniu"])
def test_both_names_open_it(name: str) -> None:
    given = {"accesskey": "a", "secretkey": "s", "bucket": "b", "region": "z0"}
    assert open_driver(name, given).name == name


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"bucket": ""}, "storage.kodo.bucket"),
        ({"chunksize": 1000}, "storage.kodo.chunksize"),
        ({"domain": "https://host/path"}, "storage.kodo.domain"),
        ({"endpoints": {"rf": "host"}}, "storage.kodo.endpoints.rf"),
        ({"region": "Z 0"}, "storage.kodo.region"),
    ],
)
def test_a_wrong_setting_is_told_by_its_path(changed: dict[str, Any], path: str) -> None:
    given = {"accesskey": "a", "secretkey": "s", "bucket": "b", **changed}
    with pytest.raises(ConfigurationInvalid, match=rf"^{path}: "):
        open_driver("kodo", given)
