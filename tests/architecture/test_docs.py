"""The docs cover what there is, their links lead somewhere, and their Python runs.

The ```python blocks of a page run one after another as one script, in a scratch folder.  A block
that cannot run by itself is marked `python no-run`; blocks in other languages are never run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.markdown import Page, pages
from tests.architecture.source import ROOT

EXTERNAL = ("http://", "https://", "mailto:")

PAGES_WITH_PYTHON = [page for page in pages() if any(page.blocks("python"))]


def test_no_link_within_the_project_is_dead() -> None:
    dead = [
        f"{page.name}: {link}" for page in pages() for link in page.links() if _is_dead(page, link)
    ]
    assert not dead, "\n".join(dead)


def _is_dead(page: Page, link: str) -> bool:
    if link.startswith(EXTERNAL):
        return False
    file, _, fragment = link.partition("#")
    target = (page.path.parent / file).resolve() if file else page.path
    if not target.exists():
        return True
    return bool(fragment) and fragment not in Page(target, target.read_text()).anchors()


def test_every_page_of_the_docs_can_be_reached_from_the_index() -> None:
    docs = ROOT / "docs"
    by_path = {page.path: page for page in pages()}
    reached: set[Path] = set()
    waiting = [docs / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in by_path and path not in reached:
            reached.add(path)
            waiting += [target for link in by_path[path].links() for target in _targets(path, link)]
    lost = [
        page.name for path, page in by_path.items() if docs in path.parents and path not in reached
    ]
    assert not lost, "\n".join(lost)


def _targets(source: Path, link: str) -> list[Path]:
    """The page that a link leads to; for a folder, whose list of files is shown, all in it."""
    target = (source.parent / link.partition("#")[0]).resolve()
    return list(target.glob("*.md")) if target.is_dir() else [target]


@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Page, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(page.blocks("python")))
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
