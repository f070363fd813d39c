"""Where a browser goes next: never to another site, whatever a link says."""

from __future__ import annotations

from typing import Final

HOME: Final = "/"
MAX_LENGTH: Final = 2000


def local_path(text: str) -> str:
    """`text`, if browsers understand it as a path of this site, else the way home.

    They take `//evil`, `/\\evil` and `/<tab>/evil` for another host.
    """
    is_local = text.startswith("/") and not text.startswith("//") and "\\" not in text
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return text if is_local and is_plain and len(text) <= MAX_LENGTH else HOME
