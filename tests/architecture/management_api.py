"""Writes the tables of docs/reference/management-api.md from the routes themselves.

python -m tests.architecture.management_api
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final, get_args

from pydantic import BaseModel

from registry_server.hub.api.routes import ROUTES
from registry_server.hub.web.routes import Route

PAGE: Final = Path(__file__).parents[2] / "docs/reference/management-api.md"
BEGIN, END = "<!-- routes: begin -->\n", "<!-- routes: end -->\n"


def renewed(page: str) -> str:
    """The page with the tables of the routes that there are now."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{''.join(_tables())}{END}{after}"


def _tables() -> Iterator[str]:
    for module, routes in groupby(ROUTES, lambda route: route.handler.__module__):
        title = module.rpartition(".")[2].replace("_", " ").capitalize()
        yield f"### {title}\n\n| | for | does | sends | answers |\n|---|---|---|---|---|\n"
        yield from map(_row, routes)
        yield "\n"


def _row(route: Route) -> str:
    call = f"`{route.method} {route.path}`"
    return f"| {call} | {route.policy} | {route.summary} | {_sent(route)} | {_answered(route)} |\n"


def _sent(route: Route) -> str:
    told = []
    if query := route.model("query"):
        told.append("in the query: " + _fields(query))
    if body := route.model("body"):
        told.append(_fields(body))
    return "; ".join(told)


def _answered(route: Route) -> str:
    if route.answers_nothing:
        return "204"
    answer = route.answer
    if answer is None:
        return str(route.status)
    if "items" in answer.model_fields:
        [item] = get_args(answer.model_fields["items"].annotation)
        more = ", `next`" if "next" in answer.model_fields else ""
        return f"{route.status}: `items`{more}, each item with {_fields(item, of_answer=True)}"
    return f"{route.status}: {_fields(answer, of_answer=True)}"


def _fields(model: type[BaseModel], *, of_answer: bool = False) -> str:
    """Their names; those that need not be sent in italics."""
    told = [
        f"`{name}`" if of_answer or field.is_required() else f"*`{name}`*"
        for name, field in model.model_fields.items()
    ]
    return ", ".join(told) or "`{}`"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
