"""Pages from templates: everything that comes from elsewhere is escaped, and no script runs."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE: Final = Path(__file__).parent
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
STYLE_PATH: Final = "/static/hub.css"
_A_YEAR: Final = "public, max-age=31536000, immutable"


def page(
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> web.Response:
    """The page of a template."""
    text = _templates().get_template(f"{template}.html").render(style=style_url(), **values)
    return web.Response(
        status=status,
        text=text,
        content_type="text/html",
        headers={"Content-Security-Policy": _POLICY, **(headers or {})},
    )


def style_url() -> str:
    """Where the style sheet is; another one is elsewhere, so that it may be cached for long."""
    return f"{STYLE_PATH}?{sha256(_style()).hexdigest()[:12]}"


def style_sheet() -> web.Response:
    """The style sheet."""
    return web.Response(
        body=_style(), content_type="text/css", charset="utf-8", headers={"Cache-Control": _A_YEAR}
    )


@cache
def _style() -> bytes:
    return (_HERE / "hub.css").read_bytes()


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
