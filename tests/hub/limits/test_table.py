"""The table: processes that share it, a holder that dies, a file that is not as it should be."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_server.limits import table as module
from registry_server.limits.gcra import Rate
from registry_server.limits.limiter import Limiter
from registry_server.limits.table import Table

FORK = multiprocessing.get_context("fork")
HOUR = 3600 * 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "rates.table"


def read(table: Table, key: bytes, now: int = 1) -> int:
    """The time of a key, which is left as it is."""
    found = -1

    def look(before: int) -> int:
        nonlocal found
        found = before
        return before

    table.update(key, now, look)
    return found


def test_it_remembers_and_tells_keys_apart(path: Path) -> None:
    table = Table.open(path)
    for number in range(1, 1000):
        table.update(b"key %d" % number, 1, lambda _, number=number: number + 1)
    assert [read(table, b"key %d" % number) for number in range(1, 1000)] == list(range(2, 1001))
    assert read(table, b"another") == 0


def test_processes_share_it_and_so_do_those_that_come_later(path: Path) -> None:
    Table.open(path).update(b"ann", 1, lambda _: 77)
    assert read(Table.open(path), b"ann") == 77
    assert path.stat().st_mode & 0o777 == 0o600


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(2, HOUR)), max_size=50))
@settings(max_examples=50)
def test_few_keys_are_remembered_as_a_dictionary_would(steps: list[tuple[str, int]]) -> None:
    table, model = Table.of_process(), dict[str, int]()
    for key, until in steps:
        assert read(table, key.encode()) == model.get(key, 0)
        table.update(key.encode(), 1, lambda _, until=until: until)
        model[key] = until


def test_a_full_table_forgets_what_is_over_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKETS", 1)
    table = Table.of_process()
    table.update(b"guesser", 1, lambda _: HOUR // 2)
    for number in range(10_000):
        table.update(b"key %d" % number, 1, lambda before: max(before, 1) + 100)
        assert read(table, b"key %d" % number) == 101
    assert read(table, b"guesser") == HOUR // 2


def test_what_was_left_by_an_older_boot_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKETS", 1)
    table = Table.of_process()
    for number in range(module.SLOTS_OF_BUCKET):
        table.update(b"old %d" % number, 1000 * HOUR, lambda _: 1000 * HOUR + 100)
    for number in range(module.SLOTS_OF_BUCKET):
        table.update(b"new %d" % number, 1, lambda _: 100)
    assert [read(table, b"new %d" % number) for number in range(module.SLOTS_OF_BUCKET)] == (
        [100] * module.SLOTS_OF_BUCKET
    )


def _take_all(path: Path, tell: Connection) -> None:
    limiter = Limiter(Table.open(path), "test", Rate(500, 3600), lambda: 10_000.0)
    tell.send(sum(limiter.take(b"key") == 0 for _ in range(400)))


def test_no_count_is_lost_between_processes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 60)
    hear, tell = FORK.Pipe(duplex=False)
    workers = [FORK.Process(target=_take_all, args=(path, tell)) for _ in range(4)]
    for worker in workers:
        worker.start()
    taken = [hear.recv() for _ in workers]
    for worker in workers:
        worker.join(30)
    assert sum(taken) == 500


def _hold(path: Path, tell: Connection) -> None:
    def hold(_: int) -> int:
        tell.send("held")
        signal.pause()
        raise AssertionError

    Table.open(path).update(b"key", 1, hold)


def test_who_dies_holding_a_bucket_or_is_stopped_stops_nobody(path: Path) -> None:
    table = Table.open(path)
    table.update(b"key", 1, lambda _: 50)
    hear, tell = FORK.Pipe(duplex=False)
    holder = FORK.Process(target=_hold, args=(path, tell))
    holder.start()
    assert hear.recv() == "held"
    began = time.monotonic()
    table.update(b"key", 1, lambda before: before + 1)
    assert time.monotonic() - began >= module.PATIENCE_SECONDS
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(30)
    began = time.monotonic()
    assert read(table, b"key") == 51
    assert time.monotonic() - began < module.PATIENCE_SECONDS


def _make_and_take(path: Path, tell: Connection) -> None:
    tell.send(Limiter(Table.open(path), "test", Rate(2, 3600), lambda: 10_000.0).take(b"key") == 0)


def test_the_first_to_open_it_make_one_file(path: Path) -> None:
    hear, tell = FORK.Pipe(duplex=False)
    workers = [FORK.Process(target=_make_and_take, args=(path, tell)) for _ in range(6)]
    for worker in workers:
        worker.start()
    assert sum(hear.recv() for _ in workers) == 2
    for worker in workers:
        worker.join(30)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"", b"something else", b"RATES\0\0\0" + bytes(1 << 20)])
def test_another_file_is_replaced_under_those_who_use_it(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with path.open("rb") as old:
        Table.open(path).update(b"ann", 1, lambda _: 77)
        assert old.read() == content
    assert read(Table.open(path), b"ann") == 77


def test_a_half_made_one_is_made_again(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("rates.table.new").write_bytes(b"cut off")
    Table.open(path).update(b"ann", 1, lambda _: 77)
    assert read(Table.open(path), b"ann") == 77


def test_on_a_full_disk_a_process_counts_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", fail)
    with caplog.at_level(logging.WARNING):
        table = Table.open(path)
    table.update(b"ann", 1, lambda _: 77)
    assert read(table, b"ann") == 77
    assert "each worker counts by itself" in caplog.text
    assert not path.exists()


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    path.symlink_to(target)
    table = Table.open(path)
    table.update(b"ann", 1, lambda _: 77)
    assert target.read_bytes() == b"precious"


def test_keys_are_hashed_with_a_secret_of_the_file(path: Path) -> None:
    table, other = Table.open(path), Table.of_process()
    for each in (table, other):
        each.update(b"ann", 1, lambda _: 77)
    assert b"ann" not in path.read_bytes()
    assert table._memory[:] != other._memory[:]
