"""OpenLDAP's server for the tests, with a few people and groups.

Fixture: `ldap_server` is a running one, in clear with StartTLS and behind TLS.  It shows entries to
nobody but the account of `binddn`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ldap3
import pytest

from tests.services.processes import free_port, spawn, unavailable, wait_until_ready

SUFFIX = "dc=example,dc=org"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
READER = f"cn=reader,{SUFFIX}"
ROOT = f"cn=root,{SUFFIX}"

SETTINGS = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
TLSCACertificateFile {folder}/server.crt
TLSCertificateFile {folder}/server.crt
TLSCertificateKeyFile {folder}/server.key
database mdb
maxsize 104857600
suffix "{suffix}"
rootdn "{root}"
rootpw {password}
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""


@dataclass(frozen=True, slots=True)
class LdapServer:
    """A running server; everything in it is scratch."""

    port: int
    tls_port: int
    certificate: Path
    """Of the server, signed by itself, for 127.0.0.1."""
    password: str
    """Of the reader, and of the root."""

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @contextmanager
    def as_root(self) -> Iterator[ldap3.Connection]:
        """A connection that may change everything."""
        with ldap3.Connection(
            ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE),
            ROOT,
            self.password,
            auto_bind=True,
            raise_exceptions=True,
        ) as connection:
            yield connection

    def add_user(self, uid: str, password: str, **attributes: str) -> str:
        """Somebody new; their DN."""
        dn = f"uid={uid},{PEOPLE}"
        known = {"uid": uid, "cn": uid, "sn": uid, "userPassword": password}
        with self.as_root() as root:
            root.add(dn, "inetOrgPerson", {**known, **attributes})
        return dn

    def add_group(self, name: str, *members: str) -> str:
        """A new group; its DN."""
        dn = f"cn={name},{GROUPS}"
        with self.as_root() as root:
            root.add(dn, "groupOfNames", {"cn": name, "member": members or (ROOT,)})
        return dn

    def remove(self, dn: str) -> None:
        with self.as_root() as root:
            root.delete(dn)

    def answers(self) -> bool:
        try:
            with self.as_root():
                return True
        except ldap3.core.exceptions.LDAPException:
            return False


@contextmanager
def running_server() -> Iterator[LdapServer]:
    """A server on loopback and free ports, gone with all its data when the context is left."""
    program = shutil.which("slapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        unavailable("OpenLDAP")
    with tempfile.TemporaryDirectory(prefix="registry-slapd-") as scratch:
        folder = Path(scratch)
        (folder / "data").mkdir()
        _make_certificate(folder)
        password = secrets.token_hex(16)
        server = LdapServer(free_port(), free_port(), folder / "server.crt", password)
        settings = folder / "slapd.conf"
        settings.write_text(
            SETTINGS.format(
                folder=folder, suffix=SUFFIX, root=ROOT, reader=READER, password=password
            )
        )
        command = [program, "-d", "0", "-f", settings, "-h", f"{server.url}/ {server.tls_url}/"]
        log = folder / "log"
        with spawn(command, log=log) as process:
            wait_until_ready(process, server.answers, log=log)
            _fill(server)
            yield server


def _make_certificate(folder: Path) -> None:
    options = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -nodes "
        "-addext subjectAltName=IP:127.0.0.1 -subj /CN=slapd"
    )
    subprocess.run(
        ["openssl", *options.split(), "-keyout", "server.key", "-out", "server.crt"],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def _fill(server: LdapServer) -> None:
    with server.as_root() as root:
        root.add(SUFFIX, ["dcObject", "organization"], {"dc": "example", "o": "Example"})
        for unit in ("people", "groups"):
            root.add(f"ou={unit},{SUFFIX}", "organizationalUnit", {"ou": unit})
        reader = {"cn": "reader", "userPassword": server.password}
        root.add(READER, ["organizationalRole", "simpleSecurityObject"], reader)


@pytest.fixture(scope="session")
def ldap_server() -> Iterator[LdapServer]:
    """One server for each pytest process that asks for it."""
    with running_server() as server:
        yield server
