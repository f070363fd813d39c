"""Errors of the library, and of drivers that nobody here has heard of, as answers."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from registry_server.api.body import BodyStalled
from registry_server.api.errors import reply_to_error
from registry_server.api.uploads import post_upload
from registry_storage import Digest, errors
from registry_storage.values import UploadStatus


class QuotaOfTheTenant(errors.NoSpace):
    """An error of some driver's own."""


def test_a_kind_of_an_error_that_a_driver_made_is_answered_as_that_error() -> None:
    reply = reply_to_error(QuotaOfTheTenant("the tenant has used up its share"))
    assert reply.status == 507
    assert isinstance(reply.body, bytes)
    (error,) = json.loads(reply.body)["errors"]
    assert error == {"code": "UNAVAILABLE", "message": "the tenant has used up its share"}


def test_a_stalled_body_is_to_the_library_one_that_broke_off() -> None:
    assert issubclass(BodyStalled, errors.BodyInterrupted)


class FullStore:
    """A repository on a store without room; notes which uploads are given up."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def begin_upload(self, **_: Any) -> UploadStatus:
        return UploadStatus("0" * 32, 0, None)

    async def finish_upload(self, *_: Any, **__: Any) -> None:
        raise errors.NoSpace("the disk is full")

    async def cancel_upload(self, upload_id: str, **_: Any) -> None:
        self.cancelled.append(upload_id)
        raise errors.UploadUnknown("it has ended")


async def test_a_push_in_one_request_that_fails_leaves_no_upload_open() -> None:
    """Nobody was told its id; a hundred such would keep the user from pushing for a week."""
    repository = FullStore()
    digest = Digest.of(b"x")
    call: Any = SimpleNamespace(
        parameters=lambda: {"digest": [digest]},
        request=SimpleNamespace(content=object()),
        body=lambda: SimpleNamespace(announced=1),
        actor="ann",
        repository=repository,
    )
    with pytest.raises(errors.NoSpace):
        await post_upload(call)
    assert repository.cancelled == ["0" * 32]
