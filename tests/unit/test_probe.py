"""The probe tries everything, says what fails, and leaves nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from registry_storage.drivers.api import Driver, PartLimits, StoredBlob
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.drivers.wrappers.base import DelegatingDriver
from registry_storage.errors import AccessDenied
from registry_storage.maintenance.probe import Finding, probe


class Refusing(DelegatingDriver):
    """Refuses some of its methods."""

    def __init__(self, inner: Driver, *methods: str) -> None:
        super().__init__(inner)
        self.closed = False
        for method in methods:
            setattr(self, method, self._refuse)

    def _refuse(self, *_: object) -> None:
        raise AccessDenied("give the key more rights")

    async def close(self) -> None:
        self.closed = True


async def findings(driver: Driver) -> list[Finding]:
    return [finding async for finding in probe(driver)]


def failed(found: Sequence[Finding]) -> list[str]:
    return [finding.step for finding in found if finding.problem is not None]


@pytest.mark.parametrize("limits", [PartLimits(), PartLimits(preferred_size=None)])
async def test_a_store_that_works_passes_and_holds_nothing_afterwards(limits: PartLimits) -> None:
    space = MemorySpace()
    found = await findings(MemoryDriver(space, limits))
    assert failed(found) == []
    assert len(found) > 8
    assert (space.blobs, space.uploads) == ({}, {})


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("start", ["open the store"]),
        ("put_blob", ["write a blob"]),
        ("read_blob", ["read it", "read a range of it"]),
        ("stat_blob", ["look it up", "delete what was written"]),
        ("list_blobs", ["list what is stored"]),
        ("begin_upload", ["upload another in parts", "give up an upload"]),
        ("put_part", ["upload another in parts"]),
        ("commit_upload", ["upload another in parts"]),
        ("abort_upload", ["give up an upload"]),
        ("list_uploads", ["list uploads under way"]),
        ("delete_blobs", ["delete what was written"]),
    ],
)
async def test_what_is_refused_is_told_and_the_rest_is_tried(method: str, steps: list[str]) -> None:
    driver = Refusing(MemoryDriver(), method)
    found = await findings(driver)
    assert failed(found) == steps
    assert {finding.problem for finding in found} <= {None, "give the key more rights"}
    assert driver.closed


async def test_what_a_failed_step_has_begun_is_given_up() -> None:
    space = MemorySpace()
    await findings(Refusing(MemoryDriver(space), "put_part"))
    assert (space.blobs, space.uploads) == ({}, {})


async def test_damaged_bytes_are_noticed() -> None:
    class Damaging(DelegatingDriver):
        def read_blob(self, location: str, start: int = 0, stop: int | None = None):  # type: ignore[no-untyped-def]
            return self.inner.read_blob(location, start, None if stop is None else stop - 1)

    assert failed(await findings(Damaging(MemoryDriver()))) == ["read it", "read a range of it"]


async def test_a_blob_that_stays_is_noticed() -> None:
    class Keeping(DelegatingDriver):
        async def delete_blobs(self, locations: Sequence[str]) -> None:
            """Does not."""

    assert failed(await findings(Keeping(MemoryDriver()))) == ["delete what was written"]


async def test_a_list_without_what_was_stored_is_noticed() -> None:
    class Forgetting(DelegatingDriver):
        async def list_blobs(self, kind=None):  # type: ignore[no-untyped-def]
            for blob in list[StoredBlob]():
                yield blob

    assert failed(await findings(Forgetting(MemoryDriver()))) == ["list what is stored"]
