"""The file of rules that `auth.htpasswd.policy` names, checked to the last key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry_server.auth.policy import Grant, Policy, Rule, compile_globs
from registry_server.settings.document import parse_document
from registry_server.settings.problems import describe

_GLOB = re.compile(r"[a-z0-9._/*-]+")

Names = tuple[Annotated[str, Field(min_length=1)], ...]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    repositories: Names = Field(min_length=1)
    actions: frozenset[Grant] = Field(min_length=1)
    users: Names = ()
    groups: Names = ()
    anonymous: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    groups: Mapping[str, Names] = {}
    rules: tuple[_Entry, ...]


def parse_policy(text: str) -> Policy:
    """The rules in a YAML text.  Raises `ValueError`, in one line, with the path of the key."""
    content = parse_document(text)
    if not isinstance(content, dict):
        raise ValueError("a mapping with the key rules is needed")
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        raise ValueError("; ".join(describe(error, _File, {}))) from None
    return Policy(tuple(_rule(file, index) for index in range(len(file.rules))))


def _rule(file: _File, index: int) -> Rule:
    entry, path = file.rules[index], f"rules.{index}"
    if not (entry.users or entry.groups or entry.anonymous):
        raise ValueError(f"{path}: for nobody; give it users, groups or anonymous: true")
    for glob in entry.repositories:
        if not _GLOB.fullmatch(glob):
            raise ValueError(f"{path}.repositories: {glob!r} can match no name of a repository")
    members = {member for group in entry.groups for member in _members(file, group, path)}
    return Rule(
        number=index + 1,
        repositories=compile_globs(entry.repositories),
        users=frozenset(entry.users) | members,
        anonymous=entry.anonymous,
        grants=entry.actions,
    )


def _members(file: _File, group: str, path: str) -> Names:
    if group in file.groups:
        return file.groups[group]
    close = difflib.get_close_matches(group, file.groups, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise ValueError(f"{path}.groups: there is no group {group!r}{hint}")
