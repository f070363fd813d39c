"""What the janitor does, one at a time, and that nothing it meets stops it."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime, timedelta

import pytest

from registry_storage.catalog import Catalog, sequencer
from registry_storage.digest import Digest
from registry_storage.drivers.api import KiB
from registry_storage.drivers.wrappers.faults import Fault, FaultyDriver, Scripted
from registry_storage.errors import CatalogError, UploadUnknown
from registry_storage.maintenance.janitor import LEASE, Janitor
from registry_storage.policy import StorePolicy
from tests.unit.uploading import LIMITS, Bench, open_bench

DATA = os.urandom(200 * KiB)
DIGEST = Digest.of(DATA)


class Bond:
    """An ownership of the store that a test decides."""

    def __init__(self, owns: bool = True) -> None:
        self.holds = owns
        self.terms = 0

    async def begin_term(self) -> None:
        self.terms += 1

    async def owns(self) -> bool:
        return self.holds


@pytest.fixture
def bench(catalog: Catalog) -> Bench:
    return open_bench(catalog, LIMITS["files"])


def janitor(bench: Bench, bond: Bond | None = None, policy: StorePolicy | None = None) -> Janitor:
    return Janitor(bench.driver, bench.catalog, policy or StorePolicy(), bond)


async def make_garbage(bench: Bench) -> str:
    """Push a digest twice; where the loser's bytes lie, due now."""
    for _ in range(2):
        await bench.finish(await bench.begin(), DIGEST, DATA)
    await bench.change("UPDATE garbage SET not_before = 1")
    return str(await bench.value("SELECT location FROM garbage"))


async def test_events_get_positions(bench: Bench) -> None:
    await bench.finish(await bench.begin(), DIGEST, DATA)
    await janitor(bench).tick()
    assert await bench.value("SELECT count(*) FROM events WHERE position IS NOT NULL") == 2
    assert await bench.value("SELECT count(*) FROM events WHERE position IS NULL") == 0


async def test_due_garbage_is_deleted_and_nothing_else(bench: Bench) -> None:
    location = await make_garbage(bench)
    await janitor(bench).tick()
    assert location not in bench.space.blobs
    assert await bench.value("SELECT count(*) FROM garbage") == 0
    assert list(bench.space.blobs) == [await bench.value("SELECT location FROM blobs")]


async def test_garbage_that_is_not_due_stays(bench: Bench) -> None:
    location = await make_garbage(bench)
    await bench.change("UPDATE garbage SET not_before = 99999999999999")
    await janitor(bench).tick()
    assert location in bench.space.blobs


async def test_garbage_that_a_row_names_after_all_is_kept(bench: Bench) -> None:
    await make_garbage(bench)
    await bench.change("UPDATE garbage SET location = (SELECT location FROM blobs)")
    await janitor(bench).tick()
    assert await bench.value("SELECT location FROM blobs") in bench.space.blobs
    assert await bench.value("SELECT count(*) FROM garbage") == 0


async def test_nothing_is_deleted_while_another_catalog_owns_the_store(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    location = await make_garbage(bench)
    bond = Bond(owns=False)
    await janitor(bench, bond).tick()
    assert location in bench.space.blobs
    assert "another catalog owns this store" in caplog.text


@pytest.mark.parametrize("size", [10, 200 * KiB])
async def test_expired_uploads_are_aborted(bench: Bench, size: int) -> None:
    upload, alive = await bench.begin(), await bench.begin()
    await bench.append(upload, DATA[:size])
    await bench.append(alive, DATA)
    await bench.change(f"UPDATE uploads SET expires_at = 1 WHERE id = '{upload}'")
    await janitor(bench).tick()
    with pytest.raises(UploadUnknown):
        await bench.append(upload, b"more")
    assert await bench.rows("SELECT id FROM uploads") == [(alive,)]
    assert len(bench.space.uploads) == 1
    blob = await bench.finish(alive, DIGEST)
    assert await bench.read(blob) == DATA


async def test_an_expired_upload_in_the_middle_of_its_publishing_is_aborted(bench: Bench) -> None:
    upload = await bench.begin()
    await bench.append(upload, DATA)
    unmarked = await bench.driver.put_blob("0" * 32, [DATA], None)
    await bench.change(
        f"UPDATE uploads SET expires_at = 1, state = 'committing', digest = '{DIGEST}',"
        f" location = '{unmarked.location}'"
    )
    await janitor(bench).tick()
    assert await bench.value("SELECT count(*) FROM uploads") == 0
    assert await bench.value("SELECT location FROM garbage") == unmarked.location
    assert not bench.space.uploads


async def test_sessions_that_are_done_go_after_their_hour(bench: Bench) -> None:
    upload = await bench.begin()
    await bench.finish(upload, DIGEST, DATA)
    keeper = janitor(bench)
    await keeper.tick()
    assert await bench.value("SELECT state FROM uploads") == "done"
    await keeper.resign()
    await bench.change("UPDATE uploads SET expires_at = 1")
    await janitor(bench).tick()
    assert await bench.value("SELECT count(*) FROM uploads") == 0
    assert await bench.value("SELECT count(*) FROM blobs") == 1


async def test_old_uploads_that_no_row_names_are_aborted(bench: Bench) -> None:
    upload = await bench.begin()
    await bench.append(upload, DATA)
    [held] = bench.space.uploads
    old, young = [await bench.driver.begin_upload(digit * 32) for digit in "ab"]
    for handle in (held, old):
        bench.space.uploads[handle].begun = datetime.now(UTC) - timedelta(days=8)
    await janitor(bench).tick()
    assert set(bench.space.uploads) == {held, young}


async def test_one_is_the_janitor_until_it_resigns(bench: Bench) -> None:
    bond = Bond()
    first, second = janitor(bench, bond), janitor(bench, bond)
    await first.tick()
    await second.tick()
    assert (first.in_office, second.in_office) == (True, False)
    await first.resign()
    third = janitor(bench, bond)
    await third.tick()
    assert (first.in_office, third.in_office) == (False, True)
    assert bond.terms == 2, "each term renews the bond once"


async def test_a_janitor_that_died_is_followed_by_another(bench: Bench) -> None:
    await janitor(bench).tick()
    second = janitor(bench)
    await second.tick()
    assert not second.in_office
    await bench.change("UPDATE leases SET until = 1")
    third = janitor(bench)
    await third.tick()
    assert third.in_office


async def test_who_lost_the_office_numbers_nothing(bench: Bench) -> None:
    await janitor(bench).tick()
    await bench.finish(await bench.begin(), DIGEST, DATA)
    with pytest.raises(CatalogError):
        await bench.catalog.write(sequencer.number, LEASE, "somebody else", 1000)
    assert await bench.value("SELECT count(*) FROM events WHERE position IS NOT NULL") == 0


async def test_a_failing_chore_is_logged_and_stops_nothing(
    catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    plan = Scripted(methods={"delete_blobs": Fault(), "abort_upload": Fault()})
    bench = open_bench(catalog, LIMITS["files"], wrap=lambda driver: FaultyDriver(driver, plan))
    location = await make_garbage(bench)
    await bench.append(await bench.begin(), DATA)
    await bench.change("UPDATE uploads SET expires_at = 1 WHERE state = 'open'")
    with caplog.at_level(logging.ERROR):
        await janitor(bench).tick()
    assert caplog.text.count("failed on purpose") >= 2
    assert location in bench.space.blobs
    assert await bench.value("SELECT count(*) FROM garbage") == 1
    assert await bench.value("SELECT count(*) FROM events WHERE position IS NULL") == 0


async def test_it_runs_until_it_is_stopped(bench: Bench) -> None:
    stop = asyncio.Event()

    class StoppingBond(Bond):
        async def begin_term(self) -> None:
            stop.set()

    keeper = janitor(bench, StoppingBond())
    await keeper.run(stop)
    assert not keeper.in_office
    assert await bench.value("SELECT count(*) FROM leases") == 0
