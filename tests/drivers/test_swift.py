"""The swift driver passes the suite on OpenStack Swift and on Ceph's gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import requests
from swiftclient.client import HTTPConnection  # type: ignore[import-untyped]

from registry_storage.drivers.api import ForeignData, Redirects
from registry_storage.plugins import open_driver
from registry_storage.testing import DriverHarness, Failure
from registry_storage.testing.suite import *  # noqa: F403
from tests.services.containers import CONTAINERS, scratch_folder

SERVERS = [
    pytest.param("swift_server", marks=pytest.mark.xdist_group("swift"), id="swift"),
    pytest.param("rgw_swift", marks=pytest.mark.xdist_group("ceph"), id="rgw"),
]

Request = Callable[..., requests.Response]


def while_sending(request: Request) -> Callable[[], AbstractContextManager[None]]:
    """Has `request` answer in the place of the network."""

    @contextmanager
    def failing() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HTTPConnection, "_request", request)
            yield

    return failing


def answering(status: int, reason: str) -> Callable[[], AbstractContextManager[None]]:
    """Has the store answer so."""

    def request(_: HTTPConnection, method: str, url: str, **__: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.reason = status, reason
        answer._content = b""
        answer.raw = _Empty()
        answer.request = requests.Request(method, url).prepare()
        return answer

    return while_sending(request)


class _Empty:
    def read(self, *_: object) -> bytes:
        return b""

    def release_conn(self) -> None:
        """Nothing is held."""

    close = release_conn


def silent(*_: object, **__: object) -> requests.Response:
    raise requests.ReadTimeout("60 s")


@pytest.fixture(params=SERVERS)
def harness(request: pytest.FixtureRequest) -> Iterator[DriverHarness]:
    with scratch_folder(request.getfixturevalue(request.param)) as folder:
        settings = {
            **folder.settings,
            "segmentcontainer": CONTAINERS[1],
            "secretkey": "signs the URLs",
        }
        yield DriverHarness(
            open=lambda: open_driver("swift", settings),
            extensions=frozenset({Redirects, ForeignData}),
            residue=lambda: [name for name in folder.names() if "/docker/" not in name],
            plant_foreign_data=lambda: folder.put("files/docker/registry/v2/x", b"x"),
            failures={
                Failure.FORBIDDEN: answering(403, "Forbidden"),
                Failure.THROTTLED: answering(498, "Rate Limited"),
                Failure.BROKEN: answering(503, "Service Unavailable"),
                Failure.FULL: answering(507, "Insufficient Storage"),
                Failure.SILENT: while_sending(silent),
            },
        )
