"""The log: nothing from outside forges a line, and no secret gets in."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_server.operations import logging as server_logging
from registry_server.operations.access_log import FLUSH_BYTES, Access, AccessLog
from registry_server.operations.logging import Redaction, plain
from registry_server.settings import LogSettings, Settings

CANARY = "c4n4ry-s3cret"
FORGERY = "x\n2026-01-01T00:00:00.000Z ERROR forged\r\x1b[31m\u2028\x85\x00"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ ")

log = logging.getLogger("registry_server.test")


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _configured(**settings: object) -> io.StringIO:
    stream = io.StringIO()
    server_logging.configure(Settings.model_validate(settings), stream)
    return stream


pytestmark = pytest.mark.usefixtures("root_logger")


@pytest.mark.parametrize("formatter", ["text", "json"])
def test_an_event_is_one_line(formatter: str) -> None:
    stream = _configured(log={"formatter": formatter, "fields": {"site": "a"}})
    log.warning("told by %s", FORGERY, extra={"request_id": FORGERY, "count": 3})
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    if formatter == "json":
        event = json.loads(line)
        assert (event["level"], event["site"], event["count"]) == ("warning", "a", 3)
        assert event["message"].startswith("told by x\\n2026")
    else:
        assert LINE.match(line)
        assert "  site=a" in line
        assert "  count=3" in line


@pytest.mark.parametrize("formatter", ["text", "json"])
def test_a_traceback_forges_nothing(formatter: str) -> None:
    stream = _configured(log={"formatter": formatter})
    try:
        raise ValueError(FORGERY)
    except ValueError:
        log.exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert "forged" not in first or formatter == "json"
    assert all(line.startswith("    ") for line in rest)
    assert (len(rest) == 0) is (formatter == "json")


def test_fields_never_replace_what_the_line_is_about() -> None:
    stream = _configured(log={"formatter": "json", "fields": {"message": "x", "level": "x"}})
    log.error("true")
    event = json.loads(stream.getvalue())
    assert (event["message"], event["level"]) == ("true", "error")


@pytest.mark.parametrize(("level", "lines"), [("debug", 4), ("info", 3), ("warn", 2), ("error", 1)])
def test_levels(level: str, lines: int) -> None:
    stream = _configured(log={"level": level})
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        log.log(number, "x")
    assert stream.getvalue().count("\n") == lines


def test_long_values_are_cut() -> None:
    assert len(plain("x" * 10_000)) < 2100
    stream = _configured()
    log.error("%s", "y" * 100_000, extra={"name_": "z" * 100_000})
    assert len(stream.getvalue()) < 12_000


@pytest.mark.parametrize("formatter", ["text", "json"])
def test_secrets_of_the_settings_never_get_in(formatter: str) -> None:
    stream = _configured(
        log={"formatter": formatter},
        catalog={"url": f"postgresql://user:{CANARY}%40x@db/registry"},
        storage={
            "driver": "s3",
            "parameters": {"secretkey": f"k{CANARY}", "sub": {"token": CANARY}},
        },
    )
    try:
        raise RuntimeError(f"no answer: postgresql://user:{CANARY}%40x@db k{CANARY}")
    except RuntimeError:
        log.exception("%s@x", CANARY, extra={"field": f"k{CANARY}"})
    assert "***" in stream.getvalue()
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Basic {CANARY}",
        f"authorization: bearer {CANARY}",
        f"https://ann:{CANARY}@registry.example.org/v2/",
        f"connection failed: host=db password={CANARY} user=x",
        f"secret: {CANARY}, and so on",
    ],
)
def test_what_looks_like_credentials_is_replaced(text: str) -> None:
    assert CANARY not in Redaction()(text)


@pytest.mark.parametrize("text", ["http://h:5000/a@sha256:b", "Basic access", "a: b", "://@:"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction()(text) == text or text == "Basic access"


def test_short_secrets_do_not_garble_the_log() -> None:
    assert Redaction(["a", ""])("banana") == "banana"


# A line for each request


def _access(**changes: object) -> Access:
    told: dict[str, object] = {
        "client": "127.0.0.1",
        "user": "ann",
        "method": "GET",
        "target": "/v2/team/app/manifests/latest",
        "status": 200,
        "size": 1234,
        "seconds": 0.00123,
        "request_id": "0af3",
        "agent": "docker/28",
    }
    return Access(**{**told, **changes})  # type: ignore[arg-type]


class Pipe:
    """Where an access log writes, and what has come out so far."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    async def next_lines(self) -> list[str]:
        """What comes out next, all at once."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.reader, readable.set)
        await readable.wait()
        loop.remove_reader(self.reader)
        return self.lines()

    def lines(self) -> list[str]:
        try:
            return os.read(self.reader, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reader)
    os.close(pipe.writer)


async def test_a_request_in_text(pipe: Pipe) -> None:
    access_log = AccessLog(LogSettings(), pipe.writer)
    access_log.record(_access())
    access_log.close()
    (line,) = pipe.lines()
    assert line.partition(" ")[2] == (
        'ACCESS 127.0.0.1 ann "GET /v2/team/app/manifests/latest" 200 1234 1.2ms "docker/28" 0af3'
    )


async def test_a_request_in_json(pipe: Pipe) -> None:
    access_log = AccessLog(LogSettings(formatter="json", fields={"site": 'a"b'}), pipe.writer)
    access_log.record(_access())
    access_log.close()
    event = json.loads(pipe.lines()[0])
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "info",
        "logger": "access",
        "client": "127.0.0.1",
        "user": "ann",
        "method": "GET",
        "target": "/v2/team/app/manifests/latest",
        "status": 200,
        "size": 1234,
        "ms": 1.2,
        "agent": "docker/28",
        "request_id": "0af3",
        "site": 'a"b',
    }


@pytest.mark.parametrize("formatter", ["text", "json"])
@pytest.mark.parametrize("field", ["user", "method", "target", "agent"])
async def test_a_request_forges_nothing(pipe: Pipe, formatter: str, field: str) -> None:
    access_log = AccessLog(LogSettings.model_validate({"formatter": formatter}), pipe.writer)
    access_log.record(_access(**{field: f'a "b {FORGERY}\udcff {"x" * 10_000}'}))
    access_log.close()
    (line,) = pipe.lines()
    assert line.isprintable()
    assert len(line) < 3000
    if formatter == "json":
        json.loads(line)
    else:
        assert line.count('"') == 4


async def test_the_password_of_a_url_never_gets_in(pipe: Pipe) -> None:
    access_log = AccessLog(LogSettings(), pipe.writer)
    access_log.record(_access(target=f"http://ann:{CANARY}@host/v2/", agent=f"x://y:{CANARY}@z"))
    access_log.close()
    assert CANARY not in pipe.lines()[0]


async def test_lines_are_written_together_and_soon(pipe: Pipe) -> None:
    access_log = AccessLog(LogSettings(), pipe.writer)
    for _ in range(3):
        access_log.record(_access())
    assert pipe.lines() == []
    async with asyncio.timeout(10):
        lines = await pipe.next_lines()
    assert len(lines) == 3
    access_log.close()


async def test_many_lines_do_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    access_log = AccessLog(LogSettings(), descriptor)
    record = _access(agent="x" * 190)
    for _ in range(FLUSH_BYTES // 250):
        access_log.record(record)
    assert path.stat().st_size >= FLUSH_BYTES
    access_log.close()
    os.close(descriptor)


def test_the_rest_is_written_when_the_process_ends(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from registry_server.operations.access_log import Access, AccessLog\n"
        "from registry_server.settings import LogSettings\n"
        "async def main():\n"
        "    AccessLog(LogSettings()).record(Access('c', '', 'GET', '/', 200, 0, 0, 'id'))\n"
        "    sys.exit(3)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 3
    assert 'ACCESS c - "GET /" 200' in done.stderr


async def test_a_log_that_nobody_reads_any_more_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    access_log = AccessLog(LogSettings(), writer)
    access_log.record(_access())
    access_log.close()
    os.close(writer)
