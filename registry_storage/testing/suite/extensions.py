"""The optional abilities: a driver has those that its harness declares, and each keeps its word."""

from __future__ import annotations

import asyncio
import inspect
import urllib.error
import urllib.request

import pytest

from registry_storage.drivers.api import ForeignData, LocalFiles, Redirects, T
from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.material import content

HELLO = b"hello, world"
KNOWN: list[type] = [ForeignData, LocalFiles, Redirects]


def extension_of(bench: Workbench, kind: type[T]) -> T:
    """The driver's extension; skips the test where it has none."""
    found = bench.driver.extension(kind)
    if found is None:
        pytest.skip(f"has no {kind.__name__}")
    return found


@contract
async def test_a_driver_has_the_extensions_that_its_harness_declares(readable: Workbench) -> None:
    has = {kind for kind in KNOWN if readable.driver.extension(kind) is not None}
    assert has == readable.harness.extensions & set(KNOWN)


@contract
async def test_the_local_file_of_a_blob_holds_just_its_bytes(readable: Workbench) -> None:
    files = extension_of(readable, LocalFiles)
    for data in (b"", HELLO, content(2_000_000)):
        for blob in (await readable.put(data), await readable.put_marked(data)):
            path = files.blob_path(blob.location)
            assert path.is_absolute()
            assert path.read_bytes() == data


@contract
async def test_the_local_file_of_a_deleted_blob_is_gone(readable: Workbench) -> None:
    files = extension_of(readable, LocalFiles)
    blob = await readable.put_marked(HELLO)
    await readable.writer.delete_blobs([blob.location])
    assert not files.blob_path(blob.location).exists()


@contract
async def test_a_redirect_serves_the_blob_to_anyone(readable: Workbench) -> None:
    redirects = extension_of(readable, Redirects)
    blob = await readable.put_marked(HELLO)
    url = await redirects.blob_url(blob.location, 60)
    assert url is not None
    assert await asyncio.to_thread(_fetched, url) == HELLO
    assert await asyncio.to_thread(_fetched, url, "bytes=3-5") == HELLO[3:6]


@contract
async def test_a_redirect_for_head_answers_head(readable: Workbench) -> None:
    redirects = extension_of(readable, Redirects)
    blob = await readable.put_marked(HELLO)
    url = await redirects.blob_url(blob.location, 60, "HEAD")
    assert url is not None
    request = urllib.request.Request(url, method="HEAD")
    with await asyncio.to_thread(urllib.request.urlopen, request) as answer:
        assert int(answer.headers["Content-Length"]) == len(HELLO)


@contract
async def test_a_store_of_our_own_is_not_foreign(readable: Workbench) -> None:
    foreign = extension_of(readable, ForeignData)
    await readable.put_marked(HELLO)
    assert await foreign.describe() is None


@contract
async def test_foreign_data_is_described(readable: Workbench) -> None:
    foreign = extension_of(readable, ForeignData)
    if readable.harness.plant_foreign_data is None:
        pytest.skip("the harness cannot plant foreign data")
    planted = readable.harness.plant_foreign_data()
    if inspect.isawaitable(planted):
        await planted
    assert await foreign.describe()
    assert await readable.blobs() == {}, "foreign data is listed as ours"


def _fetched(url: str, byte_range: str | None = None) -> bytes:
    request = urllib.request.Request(url, headers={"Range": byte_range} if byte_range else {})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())
