"""The account: its token, its connections, and what the cluster can do.  Blocking."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit, urlunsplit

from keystoneauth1.exceptions import CatalogException
from keystoneauth1.session import Session
from swiftclient import client as swift  # type: ignore[import-untyped]

from registry_storage.drivers.swift.config import SwiftConfig
from registry_storage.drivers.swift.failures import Translator, is_status
from registry_storage.drivers.swift.identity import SERVICE, session_of
from registry_storage.errors import DriverError

P = ParamSpec("P")
R = TypeVar("R")

_DIGESTS: Final = ("sha256", "sha512", "sha1")
"""Of temporary URLs, the one we like best first."""

# At the level INFO it writes several lines about each object that is looked for and not there.
logging.getLogger("swiftclient").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What `/info` says of a cluster; where it says nothing, what we may rely on."""

    conditional_puts: bool = False
    """Whether `If-None-Match: *` keeps a PUT from overwriting."""
    tempurl_digest: str | None = "sha256"
    """What temporary URLs are signed with; None: the cluster has none."""
    max_segments: int | None = None
    has_slo: bool = True

    @classmethod
    def of(cls, info: dict[str, Any]) -> Cluster:
        """The RADOS gateway gives Ceph's version, 10 or more, where Swift gives its own, 2."""
        slo = info.get("slo")
        return cls(
            conditional_puts=str(info.get("swift", {}).get("version")).startswith("2."),
            tempurl_digest=_digest_of_tempurl(info.get("tempurl")),
            max_segments=slo.get("max_manifest_segments") if slo else None,
            has_slo=slo is not None,
        )


def _digest_of_tempurl(tempurl: dict[str, Any] | None) -> str | None:
    """Clusters that do not name their algorithms know but the first one."""
    if tempurl is None:
        return None
    allowed = tempurl.get("allowed_digests", ["sha1"])
    return next((digest for digest in _DIGESTS if digest in allowed), None)


@dataclass(frozen=True, slots=True)
class Opened:
    """An object's answer, whose body is still to be read, and the connection that it occupies."""

    headers: Mapping[str, str]
    body: Any
    connection: Any


class Account:
    """Calls Swift with a token and a connection of its own for each call; from any thread."""

    def __init__(self, config: SwiftConfig) -> None:
        self._config = config
        self._session: Session = session_of(config)
        self._idle: deque[swift.HTTPConnection] = deque(maxlen=config.maxconnections)
        user = config.username or f"the application credential {config.applicationcredentialid}"
        self.translator = Translator(config.authurl, user)
        self.url = ""
        """Of the account's store; empty until `open`."""

    def open(self) -> None:
        """Log in and look up where the store is."""
        with self.translator.translating("log-in"):
            self._session.get_token()
            self.url = self._endpoint(self._config.endpointtype) or self._no_endpoint()
        self.translator.store = self.url

    def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def cluster(self) -> Cluster:
        """What the cluster can do; operators may hide it."""
        with self.translator.translating("/info"), self._connection() as connection:
            try:
                return Cluster.of(swift.get_capabilities((self._info_url(), connection)))
            except swift.ClientException as error:
                if is_status(error, 401, 403, 404):
                    return Cluster()
                raise

    def public_url(self) -> str:
        """Of the account's store, for clients."""
        with self.translator.translating("log-in"):
            return self._endpoint("public") or self.url

    def call(
        self,
        what: str,
        function: Callable[Concatenate[str, str, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """What a function of `swiftclient.client` answers; `what` it works on, for messages.

        A token that is refused is renewed, once.
        """
        with self.translator.translating(what), self._connection() as connection:
            return self._called(connection, function, *args, **kwargs)

    def opened(self, what: str, container: str, name: str, headers: dict[str, str]) -> Opened:
        """An object whose body is still to be read; see to it that it is released."""
        connection = self._take()
        try:
            with self.translator.translating(what):
                found, body = self._called(
                    connection,
                    swift.get_object,
                    container,
                    name,
                    resp_chunk_size=1,
                    headers=headers,
                )
        except BaseException as error:
            self._give_back(connection, error)
            raise
        return Opened(found, body, connection)

    def release(self, opened: Opened, *, whole: bool) -> None:
        """Free its connection, which others may use only if the body was read to its end."""
        if whole:
            self._give_back(opened.connection)
        else:
            opened.connection.close()

    def _called(self, connection: Any, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        transport = (urlsplit(self.url), connection)
        try:
            token = self._session.get_token()
            return function(self.url, token, *args, http_conn=transport, **kwargs)
        except swift.ClientException as error:
            if not is_status(error, 401):
                raise
        self._session.invalidate()
        return function(self.url, self._session.get_token(), *args, http_conn=transport, **kwargs)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._take()
        failure: BaseException | None = None
        try:
            yield connection
        except BaseException as error:
            failure = error
            raise
        finally:
            self._give_back(connection, failure)

    def _take(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return swift.HTTPConnection(
                self.url, insecure=self._config.insecureskipverify, timeout=self._config.timeout
            )

    def _give_back(self, connection: Any, failure: BaseException | None = None) -> None:
        """After a failure others may use it only where an answer came, and was read to its end."""
        answered = failure is None or isinstance(
            failure.__cause__ or failure, swift.ClientException
        )
        if answered and len(self._idle) < self._config.maxconnections:
            self._idle.append(connection)
        else:
            connection.close()

    def _endpoint(self, interface: str) -> str | None:
        """The store's address in the catalog of services, if there is one."""
        try:
            url = self._session.get_endpoint(
                service_type=SERVICE,
                interface=interface,
                region_name=self._config.region,
                skip_discovery=True,
            )
        except CatalogException:
            return None
        return url.rstrip("/") if url else None

    def _no_endpoint(self) -> str:
        wanted = f"{self._config.endpointtype} object store"
        regions = self._regions()
        if self._config.region and regions:
            raise DriverError(
                f"storage.swift.region: {self._config.authurl} knows no {wanted} in "
                f"{self._config.region}; it has {', '.join(regions)}"
            )
        raise DriverError(
            f"{self._config.authurl} knows no {wanted} for this project: look at region and "
            "endpointtype in storage.swift"
        )

    def _regions(self) -> list[str]:
        access = self._session.auth.get_access(self._session)  # type: ignore[union-attr]
        catalog = access.service_catalog
        found = catalog.get_endpoints_data(
            service_type=SERVICE, interface=self._config.endpointtype
        )
        return sorted({str(data.region_name) for each in found.values() for data in each})

    def _info_url(self) -> Any:
        """`/info` lies beside the API's version: `/v1/AUTH_x`, or `/swift/v1` at the gateway."""
        parts = urlsplit(self.url)
        before, _, _ = parts.path.partition("/v1")
        return urlsplit(urlunsplit((parts.scheme, parts.netloc, f"{before}/info", "", "")))
