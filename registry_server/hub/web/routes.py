"""What a route is: a method, a path, who may call it, and a handler whose signature says the rest.

    async def set_visibility(call: Call, repository: str, body: VisibilityChange) -> None:
        '''Make a repository public or private.'''

    Route("PUT", "/api/v1/repositories/{repository}/visibility", MAINTAINERS, set_visibility)

A handler's parameters are those of the path, by their names, and `query`, `body` (JSON) or `form`:
pydantic models, which forbid unknown fields.  What it returns is a model, nothing (204), or an
answer ready made.  The API's document is made from the same signatures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import getdoc
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter

from registry_server.hub.callers import Caller
from registry_server.hub.records.audit import By
from registry_server.hub.web.policies import Policy

if TYPE_CHECKING:
    from registry_server.hub.service import Hub

Handler = Callable[..., Awaitable[BaseModel | web.StreamResponse | None]]

INPUTS: Final = ("query", "body", "form")
"""The names of parameters that are models of what was sent."""


SESSION: Final = web.RequestKey("session", str)
"""Where a request keeps what `Call.set_session` was told; empty: none any more."""


class Input(BaseModel):
    """What is sent to a route: nothing but the fields that are named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __repr__(self) -> str:
        """Nothing of its values: some of them are secrets."""
        return f"{type(self).__name__}(…)"

    __str__ = __repr__


class Output(BaseModel):
    """What a route answers."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as far as a handler has to know it."""

    hub: Hub
    request: web.Request
    caller: Caller
    csrf: str | None = None
    """What a page must send back with a form (field `csrf`) or a call (header `X-CSRF-Token`)."""
    request_id: str = ""

    @property
    def origin(self) -> str:
        """The address that the request came from."""
        return self.request.remote or ""

    @property
    def base_url(self) -> str:
        """What links to the hub begin with: as configured, else as the request was addressed."""
        return self.hub.settings.url or f"{self.request.scheme}://{self.request.host}"

    def set_session(self, secret: str | None) -> None:
        """Let the answer give the browser that session's secret, or none any more."""
        self.request[SESSION] = secret or ""

    @property
    def by(self) -> By:
        """The caller, as the audit log tells of them."""
        return By(self.caller.name, self.origin, self.request_id)


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    """With `{name}` for each parameter: one segment, in which `/` is sent as `%2F`."""
    policy: Policy
    handler: Handler
    status: int = 200
    """Of an answer with a model; without one it is 204."""

    @property
    def name(self) -> str:
        """The handler's; of all routes of the API no two are alike."""
        return getattr(self.handler, "__name__", "")

    @property
    def summary(self) -> str:
        """The first sentence of the handler's docstring, without its full stop."""
        return (getdoc(self.handler) or "").partition("\n")[0].rstrip(".")

    @cached_property
    def types(self) -> Mapping[str, Any]:
        """Of the handler's parameters but the first, and of what it answers (`return`)."""
        hints = get_type_hints(self.handler, include_extras=True)
        return {name: hint for name, hint in hints.items() if hint is not Call}

    @cached_property
    def parameters(self) -> Mapping[str, TypeAdapter[Any]]:
        """Of the path."""
        of_path = self.types.keys() - {"return", *INPUTS}
        return {name: TypeAdapter(self.types[name]) for name in self.types if name in of_path}

    @property
    def answers_nothing(self) -> bool:
        return self.types["return"] is type(None)

    @property
    def answer(self) -> type[BaseModel] | None:
        """The model that it answers; None: nothing, or an answer ready made."""
        found = self.types["return"]
        return found if isinstance(found, type) and issubclass(found, BaseModel) else None

    def model(self, of: str) -> type[BaseModel] | None:
        """The model of `query`, `body` or `form`, if it takes any."""
        found: type[BaseModel] | None = self.types.get(of)
        return found
