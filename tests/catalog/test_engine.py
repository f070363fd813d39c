"""What opening a catalog refuses, and how failures of its database come back."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

import pytest
from sqlalchemy import Connection, text

from registry_storage.catalog import Catalog, referrers, repositories, tags
from registry_storage.errors import (
    CatalogError,
    CatalogUnavailable,
    ConfigurationInvalid,
    InvalidInput,
    NotFound,
)
from tests.catalog.samples import REPOSITORY, digest, push, push_blob


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
        ("sqlite:////file?mode=ro", "nothing follows the path"),
        ("mysql://user@host/database", "mysql is not supported"),
        ("catalog.sqlite", "not an SQLAlchemy URL"),
        ("postgresql://user@host/database?pool_size=none", "pool_size is 'none'"),
        ("postgresql://user@host/database?pool_size=0", "pool_size is '0'"),
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_by_its_key(url: str, said: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=f"^catalog.url: .*{said}"):
        await Catalog.open(url)


async def test_a_missing_driver_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationInvalid, match=r"pip install 'registry-storage\[postgresql\]'"):
        await Catalog.open("postgresql://user@127.0.0.1:9/database")


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(CatalogUnavailable, match="cannot answer now"):
        await Catalog.open("postgres://user@127.0.0.1:9/database")


async def test_what_an_operation_raises_comes_back_and_undoes_it(catalog: Catalog) -> None:
    def fail(tx: Connection) -> None:
        tx.execute(text("INSERT INTO leases (name, holder, until) VALUES ('a', 'b', 1)"))
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await catalog.write(fail)
    assert await catalog.read(lambda tx: tx.scalar(text("SELECT count(*) FROM leases"))) == 0


async def test_a_statement_that_the_database_refuses_is_a_catalog_error(catalog: Catalog) -> None:
    for run in (catalog.read, catalog.write):
        with pytest.raises(CatalogError, match="no_such_table") as raised:
            await run(lambda tx: tx.execute(text("SELECT * FROM no_such_table")))
        assert not isinstance(raised.value, CatalogUnavailable)


async def test_arguments_reach_the_operation(catalog: Catalog) -> None:
    def operation(tx: Connection, one: int, *, two: int) -> tuple[int, int]:
        return one, two

    assert await catalog.write(operation, 1, two=2) == (1, 2)
    assert await catalog.read(operation, 3, two=4) == (3, 4)


async def test_a_closed_catalog_does_not_write(catalog_url: str) -> None:
    catalog = await Catalog.open(catalog_url)
    await catalog.close()
    with pytest.raises(CatalogError, match="closed"):
        await catalog.write(lambda tx: None)
    with pytest.raises(CatalogError, match="closed"):
        await catalog.read(lambda tx: None)


async def test_what_was_asked_before_closing_is_answered(catalog_url: str) -> None:
    catalog = await Catalog.open(catalog_url)
    writes = [asyncio.create_task(push_blob(catalog, f"{n}")) for n in range(20)]
    await asyncio.sleep(0)
    await catalog.close()
    assert len(await asyncio.gather(*writes)) == 20


async def test_nothing_opened_before_a_fork_is_used_after(sqlite_catalog: Catalog) -> None:
    await push(sqlite_catalog, "image", ["latest"])
    child = os.fork()
    if child == 0:
        os._exit(_refusals_in_child(sqlite_catalog))
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 4


def _refusals_in_child(catalog: Catalog) -> int:
    """How many of the calls are refused.  The child has no loop of its own, and needs none."""
    refused = 0
    for asked in (
        catalog.write(lambda tx: None),
        catalog.read(lambda tx: None),
        catalog.pulls.payload(digest("image")),
        catalog.pulls.blob(REPOSITORY, digest("layer")),
    ):
        try:
            asked.send(None)
        except CatalogError as error:
            refused += "opened before the process forked" in str(error)
        except BaseException:
            pass
    return refused


@pytest.mark.parametrize("text", ["\0", "\ud800"])
async def test_text_that_no_database_holds_is_found_nowhere(catalog: Catalog, text: str) -> None:
    for ask in (
        catalog.pulls.manifest(text, "latest"),
        catalog.pulls.session("team/app", text, ""),
        catalog.read(referrers.page, "team/app", "sha256:0", text, "", 10),
        catalog.write(tags.delete, "team/app", text, lease=0),
    ):
        with suppress(InvalidInput, NotFound):
            assert not await ask


async def test_a_number_that_no_database_holds_is_refused(catalog: Catalog) -> None:
    await catalog.write(repositories.ensure, "team/app")
    with pytest.raises(InvalidInput):
        await catalog.read(tags.names, "team/app", "", 10**30)
