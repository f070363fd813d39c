"""A PostgreSQL server for the tests, and fresh databases in it.

Fixtures: `postgres_url` is a database that sorts like C, `postgres_icu_url` one that sorts like
people's databases often do (ICU, en-US: `a, a-b, ab, B`, where C puts `B` first).  Both are
SQLAlchemy URLs, for psycopg 3, of a fresh and empty database for each test.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.services.processes import free_port, spawn, unavailable, wait_until_ready

ROLE = "registry"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; everything in it is scratch."""

    port: int
    password: str

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, *, template: str = "template0", icu: bool = False) -> str:
        """Create a database as a copy of `template` and return its name.

        `icu` asks for ICU's en-US order; it needs `template0`, or a template that has it.
        """
        name = f"test_{secrets.token_hex(8)}"
        order = sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE 'en-US'" if icu else "")
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} {}").format(
                sql.Identifier(name), sql.Identifier(template), order
            )
        )
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and end the connections that are still open to it."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def answers(self) -> bool:
        """Whether it accepts connections."""
        try:
            self._execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: sql.Composed | sql.SQL) -> None:
        url = self.url("postgres").replace("+psycopg", "", 1)
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement)


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, of the newest version installed.  (Debian keeps them
    out of PATH, a folder for each version.)"""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.parts[-3])],
    )
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server on loopback and a free port, gone with all its data when the context is left."""
    folder = programs()
    if folder is None:
        unavailable("PostgreSQL")
    # The server refuses to run as root; Debian's package makes this account.
    user = "postgres" if os.geteuid() == 0 else None
    server = PostgresServer(port=free_port(), password=secrets.token_hex(16))
    with tempfile.TemporaryDirectory(prefix="registry-postgres-") as scratch:
        _make_cluster(folder, Path(scratch), server.password, user)
        log = Path(scratch, "log")
        # SIGINT is PostgreSQL's "fast shutdown": it does not wait for clients.
        command = [str(folder / "postgres"), "-D", f"{scratch}/data", *_settings(server.port)]
        with spawn(command, log=log, user=user, stop_signal=signal.SIGINT) as process:
            wait_until_ready(process, server.answers, log=log)
            yield server


def _make_cluster(folder: Path, scratch: Path, password: str, user: str | None) -> None:
    password_file = scratch / "password"
    password_file.write_text(password)
    if user:
        for path in (scratch, password_file):
            shutil.chown(path, user, user)
    subprocess.run(
        [
            folder / "initdb",
            *("--pgdata", scratch / "data", "--username", ROLE, "--pwfile", password_file),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        ],
        check=True,
        cwd=scratch,
        stdout=subprocess.DEVNULL,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )


def _settings(port: int) -> list[str]:
    """Loopback only, no socket file, and no fsync: the data need not survive the test."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",
        "full_page_writes": "off",
    }
    return [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for each pytest process that asks for it."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh database that sorts like C."""
    yield from _fresh_database(postgres_server, icu=False)


@pytest.fixture
def postgres_icu_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh database that sorts like ICU's en-US."""
    yield from _fresh_database(postgres_server, icu=True)


def _fresh_database(server: PostgresServer, *, icu: bool) -> Iterator[str]:
    name = server.create_database(icu=icu)
    yield server.url(name)
    server.drop_database(name)
