"""The reference of the management API says what its routes say."""

from __future__ import annotations

from tests.architecture.management_api import PAGE, renewed


def test_the_reference_lists_every_route() -> None:
    page = PAGE.read_text()
    assert renewed(page) == page, "renew it: python -m tests.architecture.management_api"
