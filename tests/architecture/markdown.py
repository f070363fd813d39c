"""The project's pages, and what is in them: links, headings and code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.architecture.source import ROOT

_FENCED = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Its path within the project."""
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self, language: str) -> Iterator[str]:
        """The code of the fenced blocks that are marked with just `language`."""
        for indent, info, code in _FENCED.findall(self.text):
            if info.strip() == language:
                yield re.sub(f"^{indent}", "", code, flags=re.MULTILINE)

    def links(self) -> Iterator[str]:
        """The targets of its links, code aside."""
        yield from _LINK.findall(_CODE.sub("", self._prose()))

    def anchors(self) -> set[str]:
        """The fragments that a link may name: headings, lower-cased, spaces as hyphens."""
        return {_slug(heading) for heading in _HEADING.findall(self._prose())}

    def _prose(self) -> str:
        return _FENCED.sub("", self.text)


@cache
def pages() -> tuple[Page, ...]:
    """Every page at the project's root and under `docs/`."""
    paths = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return tuple(Page(path, path.read_text(encoding="utf-8")) for path in paths)


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
