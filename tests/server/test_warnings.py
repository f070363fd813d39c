"""When a reader is warned of what it gets, and how the warning looks."""

from __future__ import annotations

import pytest

from registry_server.api.conditions import accepts
from registry_server.api.replies import warning

INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.mark.parametrize("accept", [INDEX, f"text/html, {INDEX};q=0.5", "application/*", "*/*"])
def test_what_a_reader_asks_for_is_no_surprise(accept: str) -> None:
    assert accepts(accept, INDEX)


@pytest.mark.parametrize("accept", ["", "text/*", f"{INDEX}x", "application/json, text/html"])
def test_another_type_is(accept: str) -> None:
    assert not accepts(accept, INDEX)


def test_quotes_cannot_end_a_warning() -> None:
    assert warning('a "b" \\ c') == ("Warning", '299 - "a \\"b\\" \\\\ c"')
