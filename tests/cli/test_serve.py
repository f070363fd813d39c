"""Serving and ending, in one process and in several."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from tests.services.registry import SECONDS, RegistryServer, wait_until

from .certificates import make_certificate

pytestmark = pytest.mark.slow

WORKERS = pytest.mark.parametrize("workers", [1, 2])

Serve = Callable[..., RegistryServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[RegistryServer] = []

    def start(
        workers: int = 1,
        *,
        arguments: Sequence[str] = (),
        host: str = "127.0.0.1",
        scheme: str = "http",
        **settings: str,
    ) -> RegistryServer:
        server = RegistryServer(
            tmp_path, settings, workers=workers, arguments=arguments, host=host, scheme=scheme
        )
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.kill()


def _connect(served: RegistryServer) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=SECONDS)
    connection.connect()
    return connection


class Push:
    """A blob push whose second half is yet to be sent."""

    def __init__(self, served: RegistryServer) -> None:
        self._content = os.urandom(100_000)
        digest = sha256(self._content).hexdigest()
        self._connection = _connect(served)
        self._connection.request("POST", "/v2/a/b/blobs/uploads/")
        begun = self._connection.getresponse()
        begun.read()
        location = begun.headers["Location"]
        mark = "&" if "?" in location else "?"
        self._connection.putrequest("PUT", f"{location}{mark}digest=sha256:{digest}")
        self._connection.putheader("Content-Length", str(len(self._content)))
        self._connection.putheader("Expect", "100-continue")
        self._connection.endheaders()
        assert self._connection.sock.recv(1, socket.MSG_PEEK), "the server waits for the content"
        self._connection.send(self._content[:50_000])

    def finish(self) -> int:
        """Send the rest; the status of the answer."""
        self._connection.send(self._content[50_000:])
        return self._connection.getresponse().status

    def close(self) -> None:
        self._connection.close()


@WORKERS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_drains(serve: Serve, workers: int, number: signal.Signals) -> None:
    served = serve(workers)
    push = Push(served)
    served.tell(number)
    _wait_until_refused(served)
    assert push.finish() == 201
    push.close()
    assert served.end() == 0
    assert "Traceback" not in served.log.read_text()


def _wait_until_refused(served: RegistryServer) -> None:
    """No worker listens any more."""
    wait_until(lambda: not _listens(served))


def _listens(served: RegistryServer) -> bool:
    try:
        socket.create_connection(("127.0.0.1", served.port), timeout=SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


@WORKERS
def test_a_second_signal_ends_at_once(serve: Serve, workers: int) -> None:
    served = serve(workers)
    push = Push(served)
    served.tell(signal.SIGTERM)
    _wait_until_refused(served)
    assert served.process.poll() is None
    served.tell(signal.SIGTERM)
    assert served.end() in (0, 1)
    with pytest.raises((OSError, http.client.HTTPException)):
        push.finish()
    push.close()


@WORKERS
def test_draining_has_an_end(serve: Serve, workers: int) -> None:
    served = serve(workers, REGISTRY_HTTP_DRAINTIMEOUT="300ms")
    push = Push(served)
    served.tell(signal.SIGTERM)
    assert served.end() == 0
    push.close()


def test_a_worker_that_dies_is_replaced(serve: Serve) -> None:
    served = serve(2)
    wait_until(lambda: len(served.worker_pids()) == 2)
    dies, stays = sorted(served.worker_pids())
    os.kill(dies, signal.SIGKILL)
    served.wait_for_log("Perhaps out of memory")
    wait_until(lambda: len(served.worker_pids() - {dies}) == 2)
    assert stays in served.worker_pids()
    served.tell(signal.SIGTERM)
    assert served.end() == 0


def test_every_worker_gets_connections(serve: Serve) -> None:
    served = serve(2)
    wait_until(lambda: _listeners(served.port) == 2)
    connections = [_connect(served) for _ in range(64)]
    for connection in connections:
        connection.request("GET", "/livez")
        assert connection.getresponse().read() is not None
    counts = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in served.worker_pids()]
    for connection in connections:
        connection.close()
    assert abs(counts[0] - counts[1]) < 48, counts


def _listeners(port: int) -> int:
    """How many sockets listen there: each worker has one of its own."""
    table = Path("/proc/net/tcp").read_text()
    return table.count(f" 0100007F:{port:04X} 00000000:0000 0A ")


def test_workers_that_lose_their_master_end(serve: Serve) -> None:
    served = serve(2)
    workers = served.worker_pids()
    assert workers
    served.tell(signal.SIGKILL)
    served.end()
    wait_until(lambda: not any(_is_running(pid) for pid in workers))


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@WORKERS
def test_tls(serve: Serve, tmp_path: Path, workers: int) -> None:
    certificate = make_certificate(tmp_path, "server")
    served = serve(
        workers,
        scheme="https",
        REGISTRY_HTTP_TLS_CERTIFICATE=str(certificate.path),
        REGISTRY_HTTP_TLS_KEY=str(certificate.key),
        REGISTRY_HTTP_TLS_MINIMUMTLS="tls1.3",
    )
    context = ssl.create_default_context(cafile=str(certificate.path))
    connection = http.client.HTTPSConnection(
        "127.0.0.1", served.port, timeout=SECONDS, context=context
    )
    connection.request("GET", "/v2/")
    assert connection.getresponse().status == 200
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.version() == "TLSv1.3"
    connection.close()


def test_the_banner_tells_where_and_who(serve: Serve) -> None:
    served = serve()
    (line,) = [line for line in served.log.read_text().splitlines() if "serving http" in line]
    assert f"serving http://127.0.0.1:{served.port}: store filesystem in " in line
    assert "open to everyone on this machine; set auth.hub" in line


def test_an_open_registry_beyond_loopback_is_insisted_on(serve: Serve) -> None:
    served = serve(host="", arguments=["--insecure-open"])
    assert "OPEN TO EVERYONE WHO CAN REACH IT" in served.log.read_text()


def test_many_clients_at_once(serve: Serve) -> None:
    served = serve(2)

    def ask(_: int) -> int:
        with closing(_connect(served)) as connection:
            connection.request("GET", "/v2/")
            return connection.getresponse().status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(64))) == {200}
