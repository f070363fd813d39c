"""Listening sockets for every form of an address."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from registry_server.listening import close_all, ensure_free, listen
from registry_server.settings import Address
from registry_storage.errors import ConfigurationInvalid


def _reaches(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback(host: str) -> None:
    sockets = listen(Address(host, 0))
    try:
        ports = {listener.getsockname()[1] for listener in sockets}
        assert len(ports) == 1
        assert _reaches("127.0.0.1", ports.pop())
        assert all(listener.getsockname()[0] in ("127.0.0.1", "::1") for listener in sockets)
    finally:
        close_all(sockets)


def test_a_port_in_use_is_a_line() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationInvalid) as caught:
            listen(Address("127.0.0.1", port))
        assert str(caught.value) == (
            f"http.addr: 127.0.0.1:{port} is in use by another program; stop it, or choose another "
            "port"
        )
        with pytest.raises(ConfigurationInvalid):
            ensure_free(Address("127.0.0.1", port))


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "http.addr: 192.0.2.1:1025 is not an address of this machine"),
        ("nowhere.invalid", "http.addr: nowhere.invalid does not resolve"),
    ],
)
def test_an_address_of_somebody_else(host: str, message: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        listen(Address(host, 1025))
    assert str(caught.value).startswith(message)


def test_processes_of_ours_share_an_address_where_they_say_so() -> None:
    first = listen(Address("127.0.0.1", 0), shared=True)
    port = first[0].getsockname()[1]
    second = listen(Address("127.0.0.1", port), shared=True)
    close_all(first)
    close_all(second)


def test_nothing_stays_open_after_an_error() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationInvalid):
            listen(Address("localhost", port))
    close_all(listen(Address("localhost", port)))
