"""May this subject do this to this repository?  One pure function over a list of rules.

    groups:
      developers: [ann, bob]
    rules:                              # a request is allowed if any rule allows it
      - repositories: ["team/**"]
        groups: [developers]
        actions: [pull, push]
      - repositories: ["public/**"]
        anonymous: true
        actions: [pull]

A glob covers the whole name: `*` stands for anything within a component, `**` for anything at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from registry_server.auth.access import Action, Decision, Subject


class Grant(StrEnum):
    """What a rule allows."""

    PULL = "pull"
    PUSH = "push"
    CREATE_ONLY = "create-only"
    """Push, but never point an existing tag at another manifest."""
    DELETE = "delete"


EVERY_GRANT = frozenset(Grant)
EVERY_USER = "*"
"""Among a rule's users: everybody who has logged in."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may do what where.  `number` is its place in the file, from 1."""

    number: int
    repositories: re.Pattern[str]
    users: frozenset[str]
    """Members of the rule's groups included."""
    anonymous: bool
    """For everybody, with or without a login."""
    grants: frozenset[Grant]

    def concerns(self, subject: Subject, repository: str) -> bool:
        return self._includes(subject) and self.repositories.fullmatch(repository) is not None

    def _includes(self, subject: Subject) -> bool:
        if self.anonymous:
            return True
        return not subject.is_anonymous and not self.users.isdisjoint({subject.name, EVERY_USER})


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force, in the order of the file."""

    rules: tuple[Rule, ...]


def decide(policy: Policy, subject: Subject, repository: str, action: Action) -> Decision:
    """What `policy` says.  A rule that allows more is preferred to one that allows less."""
    wanted = Grant(action.value)
    rules = [rule for rule in policy.rules if rule.concerns(subject, repository)]
    for rule in rules:
        if wanted in rule.grants:
            return Decision(True, f"rule {rule.number} grants {wanted}")
    if action is Action.PUSH:
        for rule in rules:
            if Grant.CREATE_ONLY in rule.grants:
                reason = f"rule {rule.number} grants {Grant.CREATE_ONLY}"
                return Decision(True, reason, may_move_tags=False)
    who = "an anonymous user" if subject.is_anonymous else subject.name
    return Decision(False, f"no rule grants {who} {wanted} on {repository}")


def compile_globs(globs: Iterable[str]) -> re.Pattern[str]:
    """One expression that matches what any of `globs` covers."""
    return re.compile("|".join(f"(?:{_expression(glob)})" for glob in globs))


def _expression(glob: str) -> str:
    pieces = re.split(r"(\*\*|\*)", glob)
    wildcards = {"**": ".*", "*": "[^/]*"}
    return "".join(wildcards.get(piece) or re.escape(piece) for piece in pieces)


def _one_rule(*, users: frozenset[str], anonymous: bool) -> Policy:
    return Policy((Rule(1, compile_globs(["**"]), users, anonymous, EVERY_GRANT),))


OPEN = _one_rule(users=frozenset(), anonymous=True)
"""Everybody may do everything."""

EVERY_LOGIN = _one_rule(users=frozenset({EVERY_USER}), anonymous=False)
"""Whoever has logged in may do everything, and nobody else anything."""
