"""What a request brings: parameters of its path and its query, a body of JSON, or a form.

Nothing that is malformed gets past: unknown fields, fields given twice, another content type,
compressed bodies, more than 64 KiB.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import BaseModel, ValidationError

from registry_server.hub.web.problems import Problem, unknown
from registry_server.hub.web.routes import Route

MAX_BODY: Final = 64 * 1024
MAX_DEPTH: Final = 32
MAX_FIELDS: Final = 100
JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
_BODY: Final = web.RequestKey("body", bytearray)


def read_path(request: web.BaseRequest, route: Route, given: dict[str, str]) -> dict[str, Any]:
    """The parameters of the path.  What no such thing can be called is not there."""
    try:
        return {name: kind.validate_python(given[name]) for name, kind in route.parameters.items()}
    except ValidationError:
        raise unknown() from None


async def read_inputs(request: web.Request, route: Route) -> dict[str, BaseModel]:
    """What else the handler takes.  Raises `Problem`."""
    inputs = {}
    if (query := route.model("query")) is not None:
        inputs["query"] = _validated(query.model_validate_strings, _fields(request.query_string))
    if (body := route.model("body")) is not None:
        text = json.dumps(_json(await read_body(request, JSON_TYPE)))
        inputs["body"] = _validated(body.model_validate_json, text)
    if (form := route.model("form")) is not None:
        inputs["form"] = _validated(form.model_validate_strings, await read_form(request))
    return inputs


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a form.  Raises `Problem`."""
    return _fields((await read_body(request, FORM_TYPE)).decode("utf-8", "replace"))


def _validated(validate: Callable[..., BaseModel], given: Any) -> BaseModel:
    """The model, where each value is of its field's type to the letter: 0 is not false."""
    try:
        return validate(given, strict=True)
    except ValidationError as error:
        fields = [
            {"field": ".".join(map(str, problem["loc"])), "message": problem["msg"]}
            for problem in error.errors(include_url=False, include_input=False)
        ]
        told = "; ".join(f"{field['field'] or 'it'}: {field['message']}" for field in fields[:3])
        raise Problem(400, "invalid", told, fields=fields) from None


async def read_body(request: web.Request, content_type: str) -> bytes:
    """The body, where it is of that type and has at most `MAX_BODY` bytes.  Raises `Problem`."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "unsupported-media-type", "send the body without a Content-Encoding")
    if request.content_type != content_type:
        raise Problem(415, "unsupported-media-type", f"send the body as {content_type}")
    if (request.content_length or 0) > MAX_BODY:
        raise _too_large()
    return await _limited(request)


async def _limited(request: web.Request) -> bytes:
    """The body, kept with the request for whoever reads it again."""
    body = request.get(_BODY, bytearray())
    if _BODY not in request:
        request[_BODY] = body
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY:
                raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    return Problem(413, "too-large", f"a body may have at most {MAX_BODY} bytes")


def _fields(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        return _without_duplicates(pairs)
    except ValueError as error:
        raise Problem(400, "invalid", str(error)) from None


def _json(body: bytes) -> Any:
    try:
        found = json.loads(
            body,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse,
            parse_float=_parse_number,
        )
        _check_depth(found)
    except RecursionError:
        raise Problem(400, "invalid", "the body is nested too deeply") from None
    except ValueError as error:
        raise Problem(400, "invalid", f"the body is not JSON: {error}") from None
    return found


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _parse_number(text: str) -> int | float:
    """In JSON 3.0 is the integer 3, too."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _check_depth(found: Any) -> None:
    level = [found]
    for _ in range(MAX_DEPTH):
        inner = [
            value for item in level if isinstance(item, dict | list) for value in _within(item)
        ]
        if not inner:
            return
        level = inner
    raise ValueError(f"it is nested deeper than {MAX_DEPTH}")


def _within(item: dict[str, Any] | list[Any]) -> Sequence[Any]:
    return list(item.values()) if isinstance(item, dict) else item
