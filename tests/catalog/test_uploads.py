"""Upload sessions, on each database: what steps compare, and who of two racers goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, text

from registry_storage.catalog import Catalog, upload_ends, uploads
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.upload_ends import Claim
from registry_storage.catalog.uploads import Session, Tail, Terms
from registry_storage.digest import Digest
from registry_storage.drivers.api import Part
from registry_storage.errors import RegistryError, TooManyUploads, UploadConflict, UploadUnknown

HOUR = 3_600_000
TERMS = Terms(driver="memory", lease=HOUR, lifetime=HOUR, answered=HOUR, garbage_delay=0)
DIGEST = Digest.of(b"bytes")
UPLOAD = "0" * 32


async def begun(catalog: Catalog, upload: str = UPLOAD, limit: int = 100) -> Session:
    await catalog.write(
        uploads.begin, "team/app", upload, "alice", "sha256", None, limit=limit, terms=TERMS
    )
    return await loaded(catalog, upload)


async def loaded(catalog: Catalog, upload: str = UPLOAD) -> Session:
    """The session, as every request finds it, which must agree with the operation."""
    found = await catalog.read(uploads.load, "team/app", upload, "alice")
    assert await catalog.pulls.session("team/app", upload, "alice") == found
    return found


async def claimed(catalog: Catalog, session: Session, part: Part | None = None) -> Claim:
    return await catalog.write(
        upload_ends.claim, session, DIGEST, checked=True, last_part=part, terms=TERMS
    )


async def complete(catalog: Catalog, claim: Claim, location: str = "here") -> BlobRow:
    return await catalog.write(upload_ends.complete, claim, location, actor="alice", terms=TERMS)


async def locations(catalog: Catalog, table: str) -> list[str]:
    def select(tx: Connection) -> list[str]:
        return list(tx.scalars(text(f"SELECT location FROM {table} ORDER BY location")))

    return await catalog.read(select)


async def both(*calls: Any) -> list[Any]:
    """What calls at the same time return or raise."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(not isinstance(a, BaseException) or isinstance(a, RegistryError) for a in answers)
    return answers


async def test_a_session_is_found_by_its_repository_and_subject_only(catalog: Catalog) -> None:
    session = await begun(catalog)
    assert (session.state, session.offset, session.tails, session.handle) == ("open", 0, 0, None)
    for given in (("other", UPLOAD, "alice"), ("team/app", UPLOAD, "bob"), ("team/app", "1", "")):
        with pytest.raises(UploadUnknown):
            await catalog.read(uploads.load, *given)
        with pytest.raises(UploadUnknown):
            await catalog.pulls.session(*given)


async def test_the_limit_counts_open_sessions_of_a_subject(catalog: Catalog) -> None:
    session = await begun(catalog, "1", limit=1)
    with pytest.raises(TooManyUploads):
        await begun(catalog, "2", limit=1)
    await catalog.write(upload_ends.abort, session.id, session.version, terms=TERMS)
    await begun(catalog, "2", limit=1)


async def test_numbers_are_given_out_once(catalog: Catalog) -> None:
    await begun(catalog)
    numbers = await asyncio.gather(*(catalog.write(uploads.take_number, UPLOAD) for _ in range(8)))
    assert sorted(numbers) == list(range(1, 9))


async def test_of_two_handles_the_first_stays(catalog: Catalog) -> None:
    await begun(catalog)
    answers = await asyncio.gather(
        *(catalog.write(uploads.enter_handle, UPLOAD, handle) for handle in ("one", "other"))
    )
    assert len({handle for handle, _ in answers}) == 1
    assert {number for _, number in answers} == {1, 2}


async def test_of_two_that_add_bytes_at_one_offset_one_goes_on(catalog: Catalog) -> None:
    session = await begun(catalog)
    answers = await both(
        *(
            catalog.write(
                uploads.add_tail, session, Tail(0, size, data=b"x" * size), None, terms=TERMS
            )
            for size in (3, 5)
        )
    )
    [refused] = [answer for answer in answers if answer is not None]
    assert isinstance(refused, UploadConflict)
    assert refused.offset == (await loaded(catalog)).offset
    kept = await catalog.read(uploads.tails, await loaded(catalog))
    assert [tail.size for tail in kept] == [refused.offset]
    with pytest.raises(UploadConflict):
        await catalog.read(uploads.tails, replace(session, tails_from=0, offset=1))


async def test_a_part_takes_the_place_of_the_tails(catalog: Catalog) -> None:
    for tail in (Tail(0, 3, data=b"row"), Tail(3, 4, location="unmarked/tail")):
        session = await begun(catalog) if tail.offset == 0 else await loaded(catalog)
        await catalog.write(uploads.add_tail, session, tail, b"state", terms=TERMS)
    session = await loaded(catalog)
    assert (session.tails, session.tails_from, session.tails_size) == (2, 0, 7)
    _, number = await catalog.write(uploads.enter_handle, UPLOAD, "handle")
    part = Part(number, 0, 100, "token")
    assert (
        await catalog.write(uploads.add_part_and_go_on, session, part, b"state", terms=TERMS) == 2
    )
    session = await loaded(catalog)
    assert (session.offset, session.tails, session.tails_from) == (100, 0, 100)
    assert await locations(catalog, "garbage") == ["unmarked/tail"]


async def test_publishing_goes_from_open_to_done(catalog: Catalog) -> None:
    session = await begun(catalog)
    _, number = await catalog.write(uploads.enter_handle, UPLOAD, "handle")
    part = Part(number, 0, 5, "token")
    claim = await claimed(catalog, session, part)
    assert (claim.parts, claim.handle, claim.size) == ((part,), "handle", 5)
    for step in (
        catalog.write(uploads.take_number, UPLOAD),
        catalog.write(uploads.add_tail, session, Tail(0, 1, data=b"x"), None, terms=TERMS),
        claimed(catalog, session),
    ):
        with pytest.raises(UploadConflict):
            await step
    assert await complete(catalog, claim) == BlobRow(DIGEST, 5, "here")
    done = await loaded(catalog)
    assert (done.state, done.digest) == ("done", DIGEST)
    assert await catalog.write(upload_ends.repeat, done, terms=TERMS) == BlobRow(DIGEST, 5, "here")


async def test_two_that_complete_one_claim_give_nothing_away(catalog: Catalog) -> None:
    """Both hold the same location: in `garbage` it would be the blob's."""
    claim = await claimed(catalog, await begun(catalog))
    answers = await both(complete(catalog, claim), complete(catalog, claim))
    assert sorted(type(answer).__name__ for answer in answers) == ["BlobRow", "UploadUnknown"]
    await catalog.write(upload_ends.discard, UPLOAD, "here", terms=TERMS)
    assert await locations(catalog, "garbage") == []
    assert await locations(catalog, "blobs") == ["here"]


async def test_the_loser_of_a_dedup_race_gives_its_copy_away(catalog: Catalog) -> None:
    claims = [await claimed(catalog, await begun(catalog, upload)) for upload in ("1", "2")]
    answers = await both(*(complete(catalog, claim, f"copy {claim.id}") for claim in claims))
    assert len({blob.location for blob in answers}) == 1
    kept = await locations(catalog, "blobs")
    assert sorted(kept + await locations(catalog, "garbage")) == ["copy 1", "copy 2"]


async def test_completing_against_aborting_leaves_one_of_both(catalog: Catalog) -> None:
    for index in range(5):
        session = await begun(catalog, str(index))
        claim = await claimed(catalog, session)
        blob, aborted = await both(
            complete(catalog, claim, f"copy {index}"),
            catalog.write(upload_ends.abort, claim.id, claim.version, terms=TERMS),
        )
        assert isinstance(blob, BlobRow) != (aborted is None)


async def test_a_tail_alone_is_published_where_it_lies(catalog: Catalog) -> None:
    tail = Tail(0, 5, location="unmarked/tail")
    await catalog.write(uploads.add_tail, await begun(catalog), tail, b"state", terms=TERMS)
    claim = await claimed(catalog, await loaded(catalog))
    assert (claim.location, claim.handle, claim.parts) == ("unmarked/tail", None, ())
    await catalog.write(upload_ends.discard, UPLOAD, "unmarked/tail", terms=TERMS)
    assert await locations(catalog, "garbage") == [], "the claim names it"
    assert (await complete(catalog, claim, "blob/tail")).location == "blob/tail"
    assert await locations(catalog, "garbage") == []


async def test_an_aborted_claim_gives_its_location_away(catalog: Catalog) -> None:
    claim = await claimed(catalog, await begun(catalog))
    await catalog.write(upload_ends.remember_location, claim, "unmarked/blob")
    await catalog.write(upload_ends.abort, claim.id, claim.version, terms=TERMS)
    assert await locations(catalog, "garbage") == ["unmarked/blob"]
    with pytest.raises(UploadUnknown):
        await loaded(catalog)


async def test_a_blob_put_whole_takes_one_step(catalog: Catalog) -> None:
    tail = Tail(0, 2, location="unmarked/tail")
    await catalog.write(uploads.add_tail, await begun(catalog), tail, None, terms=TERMS)
    session = await loaded(catalog)
    blob = BlobRow(DIGEST, 5, "whole")
    answers = await both(
        *(
            catalog.write(upload_ends.complete_whole, session, blob, actor="", terms=TERMS)
            for _ in range(2)
        )
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["BlobRow", "UploadUnknown"]
    assert await locations(catalog, "garbage") == ["unmarked/tail"]
    assert (await loaded(catalog)).state == "done"


async def test_a_session_that_is_done_forgets_a_deleted_blob(catalog: Catalog) -> None:
    await complete(catalog, await claimed(catalog, await begun(catalog)))

    def delete(tx: Connection) -> None:
        tx.execute(text("DELETE FROM repository_blobs"))

    done = await loaded(catalog)
    await catalog.write(delete)
    with pytest.raises(UploadUnknown):
        await catalog.write(upload_ends.repeat, done, terms=TERMS)


async def test_only_late_sessions_expire(catalog: Catalog) -> None:
    for upload in ("early", "late", "late and stored"):
        await begun(catalog, upload)
    await catalog.write(uploads.enter_handle, "late and stored", "handle")

    def make_late(tx: Connection) -> None:
        tx.execute(text("UPDATE uploads SET expires_at = 1 WHERE id LIKE 'late%'"))

    await catalog.write(make_late)
    abandoned = await catalog.write(upload_ends.expire, 10, terms=TERMS)
    assert {(a.id, a.handle) for a in abandoned} == {("late", None), ("late and stored", "handle")}
    assert await catalog.write(upload_ends.expire, 10, terms=TERMS) == abandoned, "until forgotten"
    assert await catalog.read(uploads.held, ["handle", "unknown"]) == {"handle"}
    for upload in abandoned:
        await catalog.write(upload_ends.forget, upload.id)
    assert await catalog.write(upload_ends.expire, 10, terms=TERMS) == []
    assert (await loaded(catalog, "early")).state == "open"
