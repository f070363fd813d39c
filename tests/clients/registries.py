"""Starting the registry under test: open, behind a login, with TLS, with several workers."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from tests.clients.content import Wire
from tests.services.clients import SECURE_NAME
from tests.services.registry import RegistryServer

COMMAND = "REGISTRY_UNDER_TEST"
"""Environment variable: the command of another registry, which gets the configuration file."""

USER = "ann"
OTHERS = ("bob", "carol")
PASSWORD = "correct horse: battery staple"
"""Of all three."""


def is_ours() -> bool:
    """Whether the registry under test is this project's."""
    return COMMAND not in os.environ


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of our own, and a certificate that it gave for loopback."""

    certificate: Path
    server_certificate: Path
    server_key: Path


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry."""

    host: str
    """Host and port, as in the name of an image."""
    wire: Wire
    log: Path
    config: Path
    """Its configuration, for commands about its accounts."""

    def name(self, repository: str, reference: str = "latest") -> str:
        """An image's full name, by tag or by digest."""
        separator = "@" if ":" in reference else ":"
        return f"{self.host}/{repository}{separator}{reference}"


@contextmanager
def running_registry(
    folder: Path,
    *,
    login: bool = False,
    rules: str = "",
    auth: Mapping[str, Any] | None = None,
    tls: Authority | None = None,
    address: str = "127.0.0.1",
    workers: int = 1,
) -> Iterator[Registry]:
    """Start the registry with its data in `folder`; it is ended when the context is left.

    `login` asks for a password, and `rules` says who may then do what (else `USER` and `OTHERS` may
    do everything); `auth` is a whole section in their place.  `address` is what it listens on.
    """
    folder.mkdir(parents=True)
    scheme = "https" if tls else "http"
    server = _UnderTest(folder, workers=workers, host=address, scheme=scheme)
    host = f"{address}:{server.port}"
    config = _configuration(folder, host, tls)
    if login:
        config["auth"] = {"htpasswd": _logins(folder, rules)}
    elif auth:
        config |= {"auth": auth, "data": {"directory": str(folder)}}
    server.config = yaml.safe_dump(config)
    server.start()
    try:
        account = (USER, PASSWORD) if login else None
        wire = Wire(server.url, tls.certificate if tls else None, account)
        yield Registry(host, wire, server.log, folder / "config.yml")
    finally:
        server.stop()


class _UnderTest(RegistryServer):
    """This project's server, or the one that `COMMAND` names."""

    def _command(self) -> list[str]:
        command = super()._command()
        return command if is_ours() else [*shlex.split(os.environ[COMMAND]), command[-1]]

    def _is_ready(self) -> bool:
        return self._answers("/readyz" if is_ours() else "/v2/")


def _configuration(folder: Path, host: str, tls: Authority | None) -> dict[str, Any]:
    http: dict[str, Any] = {"addr": host}
    if tls:
        files = (tls.server_certificate, tls.server_key)
        http["tls"] = dict(zip(("certificate", "key"), map(str, files), strict=True))
    storage: Mapping[str, Any] = {
        "filesystem": {"rootdirectory": str(folder / "store")},
        "delete": {"enabled": True},
    }
    return {"version": 0.1, "storage": storage, "http": http}


def _logins(folder: Path, rules: str) -> dict[str, str]:
    passwords = folder / "htpasswd"
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)).decode()
    passwords.write_text("".join(f"{user}:{hashed}\n" for user in (USER, *OTHERS)))
    settings = {"realm": "clients", "path": str(passwords)}
    if rules:
        policy = folder / "rules.yml"
        policy.write_text(rules)
        settings["policy"] = str(policy)
    return settings


def make_authority(folder: Path) -> Authority:
    """Make a certificate authority and a server certificate for loopback, good for a day."""
    folder.mkdir(parents=True)
    authority = Authority(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    ca_key = folder / "ca.key"
    _openssl("req", "-x509", *_fresh(ca_key, "clients' authority"), "-out", authority.certificate)
    request, names = folder / "server.csr", folder / "names"
    names.write_text(f"subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:{SECURE_NAME}\n")
    _openssl("req", *_fresh(authority.server_key, "registry"), "-out", request)
    signer = ("-CA", authority.certificate, "-CAkey", ca_key, "-CAcreateserial", "-days", "1")
    files = ("-in", request, "-extfile", names, "-out", authority.server_certificate)
    _openssl("x509", "-req", *signer, *files)
    return authority


def _fresh(key: Path, name: str) -> tuple[str | Path, ...]:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    return (*curve, "-keyout", key, "-subj", f"/CN={name}")


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
