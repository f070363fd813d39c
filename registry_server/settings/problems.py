"""What is wrong with a configuration: a line for each problem, which begins with the key's path."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from registry_server.settings.environment import without_none

_PLAINLY = {
    "missing": "required",
    "model_type": "a section of keys is needed here, not a value",
    "dict_type": "a section of keys is needed here, not a value",
    "mapping_type": "a section of keys is needed here, not a value",
    "tuple_type": "a list is needed here",
    "bool_parsing": "true or false is needed here",
    "bool_type": "true or false is needed here",
    "int_parsing": "a whole number is needed here",
    "string_type": "text is needed here",
}


def describe(
    error: ValidationError,
    model: type[BaseModel],
    origins: Mapping[tuple[str | int, ...], str],
) -> Iterator[str]:
    """`origins` tells which variable set a path; a line names it."""
    for item in error.errors(include_input=False, include_url=False):
        path = item["loc"]
        above = (origins.get(path[:length]) for length in range(len(path), 0, -1))
        variable = next(filter(None, above), None)
        source = f" (from {variable})" if variable else ""
        yield f"{'.'.join(map(str, path))}{source}: {_problem(item, model)}"


def _problem(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    if item["type"] == "extra_forbidden":
        return f"unknown key{_suggestion(item['loc'], model)}"
    if item["type"] in _PLAINLY:
        return _PLAINLY[item["type"]]
    message: str = item["msg"]
    if item["type"] == "value_error":  # one of ours
        return message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _suggestion(path: tuple[str | int, ...], model: type[BaseModel]) -> str:
    known = sorted(_model_at(path[:-1], model).model_fields)
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    if close:
        return f" (did you mean {close[0]}?)"
    return f"; known here: {', '.join(known) or 'none'}"


def _model_at(path: tuple[str | int, ...], model: type[BaseModel]) -> type[BaseModel]:
    for key in path:
        field = model.model_fields.get(str(key))
        kind = without_none(field.annotation) if field else None
        if get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            model = kind
    return model
