"""SQLite, shared by processes: groups, checkpoints, other hosts, full disks and kills."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, make_url, text

from registry_storage.catalog import Catalog, events
from registry_storage.databases import host_guard, sqlite
from registry_storage.databases.host_guard import refuse_network_file_system as refuse
from registry_storage.errors import CatalogError, CatalogUnavailable, ConfigurationInvalid, NoSpace
from tests.catalog.interleaving import call, held_open, one_waits, somebody_waits
from tests.catalog.samples import REPOSITORY, digest, push, push_blob


def path_of(catalog: Catalog) -> Path:
    return Path(make_url(catalog.url).database or "")


def log_of(catalog: Catalog) -> os.stat_result:
    return os.stat(f"{path_of(catalog)}-wal")


def log_size(catalog: Catalog) -> int:
    """Bytes of the write-ahead log."""
    return Path(f"{path_of(catalog)}-wal").stat().st_size


def event_number(tx: Connection, number: int) -> None:
    events.record(tx, "test", None, details={"number": number})


async def recorded(catalog: Catalog) -> list[int]:
    await catalog.write(events.number)
    return [told.details["number"] for told in await catalog.read(events.after, 0, 10_000)]


# Groups


@pytest.fixture
def commits() -> Iterator[list[object]]:
    """Grows with every commit of any engine."""
    seen: list[object] = []

    def note(connection: Connection) -> None:
        seen.append(connection)

    event.listen(Engine, "commit", note)
    yield seen
    event.remove(Engine, "commit", note)


async def test_what_waits_is_committed_together(
    sqlite_catalog: Catalog, commits: list[object]
) -> None:
    async with held_open(sqlite_catalog, call(event_number, 0)):
        writes = [asyncio.create_task(sqlite_catalog.write(event_number, n)) for n in range(1, 20)]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    assert len(commits) == 1
    assert await recorded(sqlite_catalog) == list(range(20))


async def test_one_that_fails_undoes_only_itself(
    sqlite_catalog: Catalog, commits: list[object]
) -> None:
    def fail(tx: Connection) -> None:
        event_number(tx, 99)
        tx.execute(text("INSERT INTO tags VALUES (1, 'no', 'such', 1)"))

    async with held_open(sqlite_catalog, call(event_number, 0)):
        before = asyncio.create_task(sqlite_catalog.write(event_number, 1))
        failing = asyncio.create_task(sqlite_catalog.write(fail))
        after = asyncio.create_task(sqlite_catalog.write(event_number, 2))
        await asyncio.sleep(0)
    await asyncio.gather(before, after)
    with pytest.raises(CatalogError, match="FOREIGN KEY"):
        await failing
    assert len(commits) == 1
    assert await recorded(sqlite_catalog) == [0, 1, 2]


async def test_an_operation_whose_caller_has_gone_is_not_run(sqlite_catalog: Catalog) -> None:
    async with held_open(sqlite_catalog, call(event_number, 0)):
        gone = asyncio.create_task(sqlite_catalog.write(event_number, 1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
    assert await recorded(sqlite_catalog) == [0]


async def test_what_may_be_lost_is_not_flushed_and_keeps_to_itself(
    sqlite_catalog: Catalog, commits: list[object]
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def is_flushed(tx: Connection) -> bool:
        return tx.scalar(text("PRAGMA synchronous")) == 2

    def hold(tx: Connection) -> bool:
        begun.set()
        assert go_on.wait(10)
        return is_flushed(tx)

    first = asyncio.create_task(sqlite_catalog.write_unflushed(hold))
    await asyncio.to_thread(begun.wait, 10)
    soft, hard = sqlite_catalog.write_unflushed, sqlite_catalog.write
    others = [asyncio.create_task(write(is_flushed)) for write in (soft, hard, soft, hard)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, *others) == [False, False, True, True, True]
    assert len(commits) == 2


async def test_a_failed_commit_answers_nobody_and_the_writer_lives_on(
    sqlite_catalog: Catalog,
) -> None:
    def fail(_connection: Connection) -> None:
        raise sqlite3.OperationalError("commit failed")

    event.listen(Engine, "commit", fail)
    writes = [asyncio.create_task(sqlite_catalog.write(event_number, n)) for n in range(3)]
    await asyncio.wait(writes)
    event.remove(Engine, "commit", fail)
    for write in writes:
        with pytest.raises(CatalogError, match="commit failed"):
            await write
    assert await recorded(sqlite_catalog) == []


# Several processes


_CLIENTS = """
import asyncio, sys, time
from registry_storage.catalog import Catalog
from tests.catalog.samples import push_blob

async def client(catalog, name, until, waits):
    n = 0
    while (began := time.monotonic()) < until:
        await push_blob(catalog, f"{name} {n}")
        print(f"{name} {n}", flush=True)
        waits.append(time.monotonic() - began)
        n += 1

async def main(url, process, seconds):
    catalog = await Catalog.open(url)
    print("ready", flush=True)
    sys.stdin.readline()
    waits, until = [], time.monotonic() + float(seconds)
    await asyncio.gather(*(client(catalog, f"{process} {n}", until, waits) for n in range(8)))
    print("longest", max(waits))

asyncio.run(main(*sys.argv[1:]))
"""
"""Eight clients store blobs, and say so of each."""


@contextmanager
def clients(url: str, process: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process with eight clients, which begin when it gets a line."""
    command = [sys.executable, "-c", _CLIENTS, url, process, str(seconds)]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
        started.kill()


def begin(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def test_two_processes_share_fairly_and_nobody_waits_for_seconds(sqlite_url: str) -> None:
    """The benchmark's row `fair` has the figures; here the machine may be busy."""
    with clients(sqlite_url, "one", 2) as one, clients(sqlite_url, "two", 2) as two:
        begin(one, two)
        with ThreadPoolExecutor() as threads:
            said = list(threads.map(lambda process: process.stdout.read().splitlines(), (one, two)))
    stored = [len(lines) - 1 for lines in said]
    longest = max(float(lines[-1].removeprefix("longest ")) for lines in said)
    assert max(stored) <= 4 * min(stored)
    assert longest < 1.5


async def test_what_was_answered_survives_a_kill(sqlite_url: str) -> None:
    with clients(sqlite_url, "killed", 60) as process:
        begin(process)
        assert process.stdout is not None
        answered = [await asyncio.to_thread(process.stdout.readline) for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        answered += (await asyncio.to_thread(process.stdout.read)).splitlines(keepends=True)
    catalog = await Catalog.open(sqlite_url)
    for line in answered:
        if line.endswith("\n"):
            assert await catalog.pulls.blob(REPOSITORY, digest(line.strip())), line
    assert await catalog.read(lambda tx: tx.scalar(text("PRAGMA integrity_check"))) == "ok"
    assert await catalog.read(lambda tx: tx.execute(text("PRAGMA foreign_key_check")).all()) == []
    await catalog.close()


# Checkpoints


async def test_only_a_checkpoint_moves_the_log_into_the_file(sqlite_catalog: Catalog) -> None:
    path = path_of(sqlite_catalog)
    await sqlite_catalog.checkpoint()
    before = path.read_bytes()
    # SQLite checkpoints by itself at 1000 pages, unless told otherwise.
    payload = os.urandom(3_000_000)
    await sqlite_catalog.write(events.record, "test", None, "", {"filler": payload.hex()})
    assert path.read_bytes() == before
    await sqlite_catalog.checkpoint()
    assert len(path.read_bytes()) > len(payload)


async def test_a_large_log_is_begun_anew_although_pulls_have_read_it(
    sqlite_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LARGE_LOG", 10_000)
    image = await push(sqlite_catalog, "image", ["latest"])
    assert await sqlite_catalog.pulls.payload(image) == b"image"
    await sqlite_catalog.read(events.after, 0, 10)
    await sqlite_catalog.checkpoint()
    assert log_size(sqlite_catalog) == 0


async def test_a_checkpoint_waits_for_the_writer(sqlite_catalog: Catalog) -> None:
    async with held_open(sqlite_catalog, call(event_number, 0)):
        checkpoint = asyncio.create_task(sqlite_catalog.checkpoint())
        await somebody_waits(sqlite_catalog, checkpoint)
    await checkpoint


# Who may open it


async def test_another_host_is_kept_out(
    sqlite_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "boot_id"
    elsewhere.write_text("another host")
    monkeypatch.setattr(host_guard, "_BOOT_ID", elsewhere)
    with pytest.raises(CatalogError, match="another host has this database open"):
        await Catalog.open(sqlite_catalog.url)


async def test_another_host_may_follow(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await (await Catalog.open(sqlite_url)).close()
    elsewhere = tmp_path / "boot_id"
    elsewhere.write_text("another host")
    monkeypatch.setattr(host_guard, "_BOOT_ID", elsewhere)
    await (await Catalog.open(sqlite_url)).close()


async def test_another_process_of_this_host_may_join(sqlite_catalog: Catalog) -> None:
    other = await Catalog.open(sqlite_catalog.url)
    await push_blob(other, "layer")
    assert await sqlite_catalog.pulls.blob(REPOSITORY, digest("layer")) is not None
    await other.close()


VISITOR = """
import asyncio, sys
from registry_storage.catalog import Catalog

async def visit(url):
    await (await Catalog.open(url)).close()

asyncio.run(visit(sys.argv[1]))
"""


async def test_opening_it_twice_keeps_what_tells_other_processes_of_it(
    sqlite_catalog: Catalog, sqlite_url: str
) -> None:
    """Closing any descriptor of a file takes away all locks that its process has there.  Then
    another process would delete the log, with all that is written to it later."""
    await sqlite_catalog.write(event_number, 1)
    assert await recorded(sqlite_catalog) == [1]
    await (await Catalog.open(sqlite_url)).close()
    log = log_of(sqlite_catalog).st_ino
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", VISITOR, sqlite_url)
    assert await other.wait() == 0
    assert log_of(sqlite_catalog).st_ino == log
    await sqlite_catalog.write(event_number, 2)
    await sqlite_catalog.close()
    reopened = await Catalog.open(sqlite_url)
    assert await recorded(reopened) == [1, 2]
    await reopened.close()


async def test_a_link_to_the_file_leads_to_the_same_lock(
    sqlite_catalog: Catalog, tmp_path: Path
) -> None:
    link = tmp_path / "elsewhere" / "linked.sqlite"
    link.parent.mkdir()
    link.symlink_to(path_of(sqlite_catalog))
    other = await Catalog.open(f"sqlite:///{link}")
    await one_waits(sqlite_catalog, call(event_number, 0), other, call(event_number, 1))
    assert list(link.parent.iterdir()) == [link]
    await other.close()


async def test_an_operation_that_ends_its_thread_does_not_end_the_writer(
    sqlite_catalog: Catalog,
) -> None:
    def leave(_tx: Connection) -> None:
        raise GeneratorExit

    with pytest.raises(GeneratorExit):
        await sqlite_catalog.write(leave)
    await push_blob(sqlite_catalog, "layer")


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs"])
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=f"network file system .{kind}.*PostgreSQL"):
        refuse(Path("/srv/data 1/registry"), "catalog.url", _mounts(tmp_path, kind))


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuse.mergerfs"]
)
def test_a_local_file_system_is_not_refused(tmp_path: Path, kind: str) -> None:
    refuse(Path("/srv/data 1/registry"), "catalog.url", _mounts(tmp_path, kind))


def test_only_the_mount_that_holds_the_file_counts(tmp_path: Path) -> None:
    refuse(Path("/srv/data 10/registry"), "catalog.url", _mounts(tmp_path, "nfs"))
    refuse(Path("/srv/data 1/local/registry"), "catalog.url", _mounts(tmp_path, "nfs"))
    refuse(Path("/srv"), "catalog.url", tmp_path / "no list of mounts")


def _mounts(tmp_path: Path, kind: str) -> Path:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\nserver:/data /srv/data\\0401 KIND rw 0 0\n".replace("KIND", kind)
        + "/dev/vdb /srv/data\\0401/local ext4 rw 0 0\n"
    )
    return mounts


async def test_the_files_are_private(sqlite_catalog: Catalog) -> None:
    await push_blob(sqlite_catalog, "layer")
    files = list(path_of(sqlite_catalog).parent.glob("catalog.*"))
    assert len(files) == 5
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


# Failures


async def test_a_locked_database_is_unavailable(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    catalog = await Catalog.open(sqlite_url)
    with closing(sqlite3.connect(path_of(catalog))) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogUnavailable, match="another program has locked"):
            await push_blob(catalog, "layer")
        shell.rollback()
    await push_blob(catalog, "layer")
    await catalog.close()


async def test_a_damaged_file_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(CatalogError, match="is damaged"):
        await Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite")


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CatalogError, match=r"file/catalog.sqlite cannot be opened"):
        await Catalog.open(f"sqlite:///{tmp_path}/file/catalog.sqlite")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


async def test_a_full_disk_loses_nothing_and_is_survived(small_disk: Path) -> None:
    catalog = await Catalog.open(f"sqlite:///{small_disk}/catalog.sqlite")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    stored: list[str] = []
    with pytest.raises(NoSpace, match="disk that holds the database is full"):
        await _push_without_end(catalog, stored)
    with pytest.raises(NoSpace):
        await push_blob(catalog, "one more")
    assert await catalog.pulls.blob(REPOSITORY, digest("one more")) is None
    ballast.unlink()
    await push_blob(catalog, "one more")
    for name in stored:
        assert await catalog.pulls.blob(REPOSITORY, digest(name)) is not None
    await catalog.checkpoint()
    assert await catalog.read(lambda tx: tx.scalar(text("PRAGMA integrity_check"))) == "ok"
    await catalog.close()


async def _push_without_end(catalog: Catalog, stored: list[str]) -> None:
    while True:
        name = f"layer {len(stored)}"
        await push_blob(catalog, name)
        stored.append(name)


async def test_a_file_size_limit_is_a_clear_error_and_is_survived(sqlite_catalog: Catalog) -> None:
    await push_blob(sqlite_catalog, "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log_size(sqlite_catalog), hard))
    try:
        with pytest.raises(CatalogError, match="check the disk and its quota"):
            await push_blob(sqlite_catalog, "refused")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await push_blob(sqlite_catalog, "after")
    found = [
        await sqlite_catalog.pulls.blob(REPOSITORY, digest(name))
        for name in ("before", "refused", "after")
    ]
    assert [row is not None for row in found] == [True, False, True]
