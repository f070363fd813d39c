"""Signed requests to the first of some hosts that answers, by the SDK's lowest layer.

The SDK's `BucketManager` and uploaders are not used: they share one session of the whole process,
whose time-outs and connections cannot be set for one driver, they repeat requests by themselves,
and they number the parts of an upload by their position in one stream, so that no second process
could go on with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import requests
from qiniu import Auth, __version__  # type: ignore[import-untyped]
from qiniu.auth import QiniuMacAuth, QiniuMacRequestsAuth  # type: ignore[import-untyped]
from qiniu.http.client import HTTPClient  # type: ignore[import-untyped]
from qiniu.http.middleware import UserAgentMiddleware  # type: ignore[import-untyped]
from qiniu.http.response import ResponseInfo  # type: ignore[import-untyped]

from registry_storage.drivers.kodo.failures import Refusal, reading, refused, unreachable
from registry_storage.errors import DriverError

Hosts = Sequence[str]
"""URLs without a path, the one to be asked first at the front."""

TIMEOUT: Final = (5.0, 60.0)
"""To connect, and between two bytes; in seconds."""

CONNECTIONS: Final = 1000
"""The most that are kept for reuse; a download holds one between two calls, too."""

TOKEN_SECONDS: Final = 3600
"""How long an upload token holds: it is checked when a request begins, and made just before."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Kodo says."""

    host: str
    status: int
    content: Any
    """The JSON of its body; None where that is empty."""

    @property
    def is_success(self) -> bool:
        return self.status // 100 == 2

    @property
    def fields(self) -> dict[str, Any]:
        """What it says where that is an object."""
        if isinstance(self.content, dict):
            return self.content
        raise _not_kodo(self.host)

    def told(self, name: str) -> Any:
        """The field of that name, which every success has."""
        if name in self.fields:
            return self.fields[name]
        raise _not_kodo(self.host)

    def refusal(self) -> Refusal:
        """The answer as one that is no success."""
        error = self.content.get("error") if isinstance(self.content, dict) else self.content
        return Refusal(self.status, str(error or "")[:200], self.host)


class Transport:
    """One session, with the keys that sign what it sends.  Repeats nothing on the same host."""

    def __init__(self, auth: Auth, timeout: tuple[float, float]) -> None:
        self._auth = auth
        self._timeout = timeout
        self._signer = QiniuMacRequestsAuth(
            QiniuMacAuth(auth.get_access_key(), auth.get_secret_key())
        )
        self._client = HTTPClient([UserAgentMiddleware(__version__)], {"timeout": timeout})
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=0)
        self._client.session.mount("http://", adapter)
        self._client.session.mount("https://", adapter)
        self._client.session.verify = os.environ.get("REQUESTS_CA_BUNDLE", True)

    def close(self) -> None:
        """End the connections."""
        self._client.session.close()

    def query(self, hosts: Hosts, path: str, params: Mapping[str, Any], what: str) -> Answer:
        """GET, signed by the keys."""
        return _answer(
            hosts,
            what,
            lambda host: self._client.get(host + path, params=params, auth=self._signer),
        )

    def manage(
        self,
        hosts: Hosts,
        path: str,
        what: str,
        form: Mapping[str, Any] | None = None,
        expected: tuple[int, ...] = (),
    ) -> Answer:
        """POST, signed by the keys.  Statuses that are `expected` are answers, not errors."""
        return _answer(
            hosts,
            what,
            lambda host: self._client.post(host + path, form, None, auth=self._signer),
            expected,
        )

    def upload(
        self,
        method: str,
        hosts: Hosts,
        path: str,
        bucket: str,
        key: str,
        *,
        data: Any = b"",
        headers: Mapping[str, str] | None = None,
        expected: tuple[int, ...] = (),
    ) -> Answer:
        """A request of an upload, with a token for just this key."""
        headers = {"Authorization": f"UpToken {self.token(bucket, key)}", **(headers or {})}
        return _answer(
            hosts,
            key,
            lambda host: self._client.send_request(
                requests.Request(method, host + path, headers=headers, data=data),
                timeout=self._timeout,
            ),
            expected,
        )

    def form(
        self, hosts: Hosts, fields: Mapping[str, str], data: bytes, expected: tuple[int, ...]
    ) -> Answer:
        """A form upload; `fields` hold its token and key."""
        file = ("blob", data, "application/octet-stream")
        return _answer(
            hosts,
            fields["key"],
            lambda host: self._client.post(f"{host}/", fields, {"file": file}),
            expected,
        )

    def token(self, bucket: str, key: str) -> str:
        """An upload token for this key, which must not be there yet."""
        token: str = self._auth.upload_token(bucket, key, TOKEN_SECONDS, {"insertOnly": 1})
        return token

    def download(self, url: str, headers: Mapping[str, str], what: str) -> requests.Response:
        """The answer to a GET, whatever its status, its body still to be read.

        The SDK makes download URLs, but has no call that fetches one.
        """
        with reading(url.partition("?")[0], what):
            response: requests.Response = self._client.session.get(
                url, headers=headers, stream=True, timeout=self._timeout
            )
            return response


def _answer(
    hosts: Hosts,
    what: str,
    send: Callable[[str], tuple[Any, ResponseInfo]],
    expected: tuple[int, ...] = (),
) -> Answer:
    """The answer of the first host that gives one which no other host could better."""
    for host in hosts:
        _, info = send(host)
        if not info.need_retry():
            break
    if info.exception is not None:
        raise unreachable(info.exception, host, what) from info.exception
    answer = Answer(host, info.status_code, _content(info))
    if not answer.is_success and answer.status not in expected:
        raise refused(answer.refusal(), what)
    if info.req_id is None or isinstance(answer.content, str):
        raise _not_kodo(host)
    return answer


def _content(info: ResponseInfo) -> Any:
    """The JSON of the body, or its text where it is none."""
    try:
        return json.loads(info.text_body) if info.text_body else None
    except ValueError:
        return info.text_body


def _not_kodo(host: str) -> DriverError:
    return DriverError(
        f"{host} answers, but not as Kodo does: check the hosts in storage.kodo.endpoints, and "
        "that no proxy answers in Kodo's place"
    )
