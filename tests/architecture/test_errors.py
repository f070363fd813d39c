"""The library's errors and the server's answers to them agree."""

from __future__ import annotations

import inspect

import pytest

from registry_server.api.errors import TABLE
from registry_storage import errors

EVERY_ERROR = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.RegistryError)
]

CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNKNOWN",
    "UNSUPPORTED",
}
"""Of the OCI distribution spec; `TAG_INVALID`, `UNAVAILABLE` and `UNKNOWN` of distribution."""


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: error.__name__)
def test_every_error_of_the_library_has_an_answer(error: type[errors.RegistryError]) -> None:
    status, code = TABLE[error]
    assert 400 <= status < 600
    assert code in CODES


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: error.__name__)
def test_the_tree_of_errors_shows_every_one(error: type[errors.RegistryError]) -> None:
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__
