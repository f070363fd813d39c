"""The code in "Writing a driver" is the example plug-in's, which its own tests run."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from registry_storage.testing import DriverHarness

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "writing-a-driver.md").read_text()
BLOCKS = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_code_block_says_which_file_it_is_from() -> None:
    assert len(BLOCKS) == PAGE.count("```") // 2 >= 10


@pytest.mark.parametrize(("file", "code"), BLOCKS)
def test_a_code_block_is_an_excerpt_of_its_file(file: str, code: str) -> None:
    assert code in (ROOT / file).read_text()


@pytest.mark.parametrize("field", [field.name for field in fields(DriverHarness)])
def test_the_page_explains_every_field_of_the_harness(field: str) -> None:
    assert f"| `{field}` |" in PAGE
