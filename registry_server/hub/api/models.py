"""What the API's models are made of: names, texts, times, pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from registry_server.hub.names import MAX_LENGTH, MIN_LENGTH, PATTERN
from registry_server.hub.roles import Limit, Role
from registry_server.hub.web.routes import Input, Output
from registry_storage.names import MAX_NAME_LENGTH

T = TypeVar("T", bound=Output)

_COMPONENT = PATTERN.strip("^$")
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
_LINES = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"


def _parse_time(text: str) -> datetime:
    if not _DATE.match(text):
        raise ValueError("not a time, such as 2026-01-31T12:00:00Z")
    return datetime.fromisoformat(text)


AccountName = Annotated[
    str, StringConstraints(pattern=PATTERN, min_length=MIN_LENGTH, max_length=MAX_LENGTH)
]
"""Of a user, an organisation, a team or a robot."""
RepositoryName = Annotated[
    str,
    StringConstraints(pattern=rf"^{_COMPONENT}(?:/{_COMPONENT})*$", max_length=MAX_NAME_LENGTH),
]
TagName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")]
"""What a session, a token or a link is called where it is listed and revoked."""
Line = Annotated[str, StringConstraints(pattern=_NO_CONTROLS, max_length=256)]
"""Text without line breaks."""
Text = Annotated[str, StringConstraints(pattern=_LINES, max_length=16 * 1024)]
"""Text of several lines."""
Password = Annotated[str, Field(min_length=1, max_length=1024)]
Secret = Annotated[str, Field(max_length=64)]
Title = Annotated[
    str, StringConstraints(pattern=r"^[!-~](?:[ -~]*[!-~])?$", min_length=1, max_length=100)
]
"""What a token is called in lists."""
Glob = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9._*-]+(?:/[a-z0-9._*-]+)*$", max_length=255)
]
Time = Annotated[AwareDatetime, BeforeValidator(_parse_time)]
"""As RFC 3339 writes it; pydantic alone takes any number for one."""
Amount = Annotated[int, Field(ge=0, le=2**53)]


class LimitModel(BaseModel):
    """On the repositories that a glob covers, no more than a role."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repositories: Glob = Field(
        description="`*` stands for anything within a component, `**` for anything at all."
    )
    role: Role

    @classmethod
    def of(cls, limit: Limit) -> LimitModel:
        return cls(repositories=limit.repositories, role=limit.role)

    def limit(self) -> Limit:
        return Limit(self.repositories, self.role)


class Paging(Input):
    """Which part of a list is wanted."""

    limit: int = Field(100, ge=1, le=1000, description="The most items of the answer.")
    after: Line = Field("", description="`next` of the answer before; empty: from the beginning.")


class Listing(Output, Generic[T]):
    """A list that is short enough to be given whole."""

    items: Sequence[T]

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}List"


class Page(Output, Generic[T]):
    """A part of a list."""

    items: Sequence[T]
    next: str | None = Field(description="What to send as `after` for more; null: that is all.")

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}Page"


def page_of(items: Sequence[T], paging: Paging, key: str) -> Page[T]:
    """A page whose items are in the order of their field `key`; `limit` of them: there is more."""
    more = len(items) == paging.limit
    return Page(items=items, next=str(getattr(items[-1], key)) if more else None)


def moment(milliseconds: int) -> datetime:
    """A time as the databases keep it, as the API tells it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def moment_or_none(milliseconds: int | None) -> datetime | None:
    """As `moment`, where there may be none."""
    return None if milliseconds is None else moment(milliseconds)
