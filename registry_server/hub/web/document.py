"""The OpenAPI 3.1 document of an API, made of what its routes declare, which is what is checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from registry_server.hub.roles import Role
from registry_server.hub.web.forgery import SAFE_METHODS, TOKEN_HEADER
from registry_server.hub.web.policies import Concern, Policy
from registry_server.hub.web.problems import PROBLEM_TYPE
from registry_server.hub.web.reading import FORM_TYPE, JSON_TYPE
from registry_server.hub.web.routes import INPUTS, Route

Document = dict[str, Any]
Mode = Literal["validation", "serialization"]

_REFERENCE: Final = "#/components/schemas/{model}"
_PARAMETER: Final = re.compile(r"{(\w+)}")
_REFUSALS: Final = {
    400: "What was sent is malformed.",
    401: "Credentials are missing, or no longer good.",
    403: "The caller may see it, but not do that.",
    404: "It is not there, or not for the caller.",
    409: "It cannot be done as things stand.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "What was asked for makes no sense.",
    429: "That was too often.",
    503: "Somebody who is needed for it does not answer.",
}
"""What the statuses mean, the same for every route."""
_HEADERS: Final = {
    401: ("WWW-Authenticate", "What may be sent instead."),
    429: ("Retry-After", "Seconds until it is worth another try."),
    503: ("Retry-After", "Seconds until it is worth another try."),
}
"""The header that comes with a refusal, and what it says."""
_SECURITY_SCHEMES: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token (`rgp_…`) or the secret of a robot (`rgr_…`).",
    },
    "login": {
        "type": "http",
        "scheme": "basic",
        "description": "The name of the user or the robot, and the same secret as the password.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-session",
        "description": "Of a browser: what changes something repeats the session's token in "
        f"`{TOKEN_HEADER}`, too. Over plain HTTP the cookie is called `session`.",
    },
}


class WrongField(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["about:blank"]
    title: str
    status: int
    code: str = Field(description="What went wrong, for programs, such as `name-taken`.")
    detail: str = Field(description="What went wrong, for people.")
    errors: Sequence[WrongField] = ()


class _Schemas(GenerateJsonSchema):
    """Without titles that only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def describe(routes: Iterable[Route], title: str, version: str, summary: str) -> Document:
    """The document."""
    routes = list(routes)
    models = _Models(routes)
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "summary": summary},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": models.definitions, "securitySchemes": _SECURITY_SCHEMES},
    }


class _Models:
    """The schemas of all models that routes take or answer."""

    def __init__(self, routes: Sequence[Route]) -> None:
        asked: list[tuple[type[BaseModel], Mode]] = [(Problem, "serialization")]
        for route in routes:
            taken = (route.model("body"), route.model("form"))
            asked += [(model, "validation") for model in taken if model is not None]
            if (answer := route.answer) is not None:
                asked.append((answer, "serialization"))
        wanted = list(dict.fromkeys(asked))
        found, whole = models_json_schema(
            wanted, ref_template=_REFERENCE, schema_generator=_Schemas
        )
        self._references = found
        self.definitions: Document = whole.get("$defs", {})
        for query in filter(None, (route.model("query") for route in routes)):
            self.definitions |= _schema(query).get("$defs", {})

    def content(self, content_type: str, model: type[BaseModel], mode: Mode) -> Document:
        """The `content` of a body that is such a model."""
        return {content_type: {"schema": self._references[model, mode]}}


def _schema(model: type[BaseModel]) -> Document:
    return model.model_json_schema(ref_template=_REFERENCE, schema_generator=_Schemas)


def _operation(route: Route, models: _Models) -> Document:
    operation: Document = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"For: {route.policy}.",
        "tags": [route.handler.__module__.rpartition(".")[2].replace("_", " ")],
        "security": _security(route.policy),
        "responses": _responses(route, models),
    }
    if parameters := [*_path_parameters(route), *_query_parameters(route)]:
        operation["parameters"] = parameters
    for name, content_type in (("body", JSON_TYPE), ("form", FORM_TYPE)):
        if (model := route.model(name)) is not None:
            content = models.content(content_type, model, "validation")
            operation["requestBody"] = {"required": True, "content": content}
    return operation


def _security(policy: Policy) -> list[Mapping[str, Any]]:
    ways: list[Mapping[str, Any]] = [{"token": []}, {"login": []}, {"session": []}]
    match policy.concern:
        case Concern.NOT_ASKED:
            return []
        case Concern.SESSION:
            return [{"session": []}]
        case Concern.NOTHING:
            return [{}, *ways]
        case Concern.REPOSITORY if policy.role is Role.READ:
            return [{}, *ways]
    return ways


def _responses(route: Route, models: _Models) -> Document:
    refusals = {str(status): _refusal(status) for status in sorted(_refusals(route))}
    if route.answers_nothing:
        return {"204": {"description": "It is done."}, **refusals}
    content: Document = {JSON_TYPE: {"schema": {"type": "object"}}}
    if route.answer is not None:
        content = models.content(JSON_TYPE, route.answer, "serialization")
    phrase = HTTPStatus(route.status).phrase
    return {str(route.status): {"description": f"{phrase}.", "content": content}, **refusals}


def _refusal(status: int) -> Document:
    problem = {"$ref": _REFERENCE.format(model="Problem")}
    described: Document = {
        "description": _REFUSALS[status],
        "content": {PROBLEM_TYPE: {"schema": problem}},
    }
    if status in _HEADERS:
        name, told = _HEADERS[status]
        header = {"required": True, "description": told, "schema": {"type": "string"}}
        described["headers"] = {name: header}
    return described


def _refusals(route: Route) -> Iterable[int]:
    """The statuses that are part of what the route does."""
    changes = route.method not in SAFE_METHODS
    if route.policy.concern is Concern.NOT_ASKED and not changes:
        return
    yield from (401, 429, 503)
    if any(route.model(name) for name in INPUTS):
        yield 400
    if changes or route.policy.concern is not Concern.NOTHING:
        yield 403
    if changes or route.parameters:
        yield 404
    if changes:
        yield from (409, 422)
    if route.model("body") or route.model("form"):
        yield from (413, 415)


def _path_parameters(route: Route) -> Iterable[Document]:
    for name in _PARAMETER.findall(route.path):
        schema = route.parameters[name].json_schema(schema_generator=_Schemas)
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: Route) -> Iterable[Document]:
    model = route.model("query")
    if model is None:
        return
    schema = _schema(model)
    required = schema.get("required", ())
    for name, described in schema["properties"].items():
        parameter = _without_null(described)
        description = parameter.pop("description", "")
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": description,
            "schema": parameter,
        }


def _without_null(schema: Mapping[str, Any]) -> Document:
    """A query says nothing by leaving a parameter out, not by null."""
    rest = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
    kinds = [kind for kind in rest.pop("anyOf", ()) if kind != {"type": "null"}]
    return {**rest, **kinds[0]} if len(kinds) == 1 else rest
