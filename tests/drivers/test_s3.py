"""The s3 driver passes the suite on Ceph's gateway, on SeaweedFS and on moto."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session

from registry_storage.drivers.api import ForeignData, Redirects
from registry_storage.plugins import open_driver
from registry_storage.testing import Capability, DriverHarness, Failure
from registry_storage.testing.suite import *  # noqa: F403

SERVERS = [
    pytest.param("rgw_s3", marks=pytest.mark.xdist_group("ceph"), id="rgw"),
    pytest.param("seaweedfs", marks=pytest.mark.xdist_group("seaweedfs"), id="seaweedfs"),
    pytest.param("moto", marks=pytest.mark.xdist_group("moto"), id="moto"),
]

FOREIGN = "a root/docker/registry/"
NO_TIMES = "moto says of every upload that it began in 2010"

Send = Callable[[URLLib3Session, Any], AWSResponse]


def while_sending(send: Send) -> Callable[[], AbstractContextManager[None]]:
    """Has `send` answer every request of the SDK."""

    @contextmanager
    def failing() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(URLLib3Session, "send", send)
            yield

    return failing


def answering(status: int, code: str) -> Callable[[], AbstractContextManager[None]]:
    """Has the store answer with this error."""
    body = f"<Error><Code>{code}</Code><Message>as asked</Message></Error>".encode()

    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield body

    return while_sending(lambda _, request: AWSResponse(request.url, status, {}, Raw()))


def silent(_: URLLib3Session, request: Any) -> AWSResponse:
    raise ReadTimeoutError(endpoint_url=request.url, error="60 s")


def ours(keys: list[str]) -> list[str]:
    return [key for key in keys if not key.startswith(FOREIGN)]


@pytest.fixture(params=SERVERS)
def harness(request: pytest.FixtureRequest) -> Iterator[DriverHarness]:
    lacks = {Capability.LISTS_UPLOADS: NO_TIMES} if request.param == "moto" else {}
    with request.getfixturevalue(request.param).bucket() as bucket:
        settings = {**bucket.settings, "rootdirectory": "/a root"}
        yield DriverHarness(
            open=lambda: open_driver("s3", settings),
            extensions=frozenset({Redirects, ForeignData}),
            residue=lambda: (ours(bucket.keys()), bucket.uploads()),
            lacks=lacks,
            plant_foreign_data=lambda: bucket.put(f"{FOREIGN}v2/blobs/x", b"x"),
            failures={
                Failure.FORBIDDEN: answering(403, "AccessDenied"),
                Failure.THROTTLED: answering(503, "SlowDown"),
                Failure.BROKEN: answering(500, "InternalError"),
                Failure.FULL: answering(403, "QuotaExceeded"),
                Failure.SILENT: while_sending(silent),
            },
        )
