"""May this subject do this to this repository?"""

from __future__ import annotations

import pytest

from registry_server.auth import ANONYMOUS, Action, Subject
from registry_server.auth.policy import EVERY_LOGIN, OPEN, compile_globs, decide
from registry_server.auth.policy_file import parse_policy

ANN, BOB, EVE = Subject("ann"), Subject("bob"), Subject("eve")

RULES = """
groups:
  developers: [ann, bob]
  releasers: [ann]
rules:
  - repositories: ["team/**"]
    groups: [developers]
    actions: [pull, create-only]
  - repositories: ["team/app", "team/tools/*"]
    groups: [releasers]
    actions: [push, delete]
  - repositories: ["public/**"]
    anonymous: true
    actions: [pull]
  - repositories: ["shared/*"]
    users: ["*"]
    actions: [pull, push]
"""
POLICY = parse_policy(RULES)


@pytest.mark.parametrize(
    ("subject", "repository", "action", "allowed"),
    [
        (ANN, "team/app", Action.PULL, True),
        (ANN, "team/app", Action.DELETE, True),
        (ANN, "team/other", Action.DELETE, False),
        (ANN, "team/tools/make", Action.DELETE, True),
        (ANN, "team/tools/make/deep", Action.DELETE, False),
        (BOB, "team/app", Action.PULL, True),
        (BOB, "team/app", Action.DELETE, False),
        (BOB, "team", Action.PULL, False),
        (BOB, "steam/app", Action.PULL, False),
        (EVE, "team/app", Action.PULL, False),
        (EVE, "public/a/b", Action.PULL, True),
        (EVE, "public/a/b", Action.PUSH, False),
        (EVE, "shared/a", Action.PUSH, True),
        (EVE, "shared/a/b", Action.PUSH, False),
        (ANONYMOUS, "public/a", Action.PULL, True),
        (ANONYMOUS, "public/a", Action.PUSH, False),
        (ANONYMOUS, "shared/a", Action.PULL, False),
        (ANONYMOUS, "team/app", Action.PULL, False),
        (ANONYMOUS, "nowhere", Action.PULL, False),
    ],
)
def test_rules(subject: Subject, repository: str, action: Action, allowed: bool) -> None:
    assert decide(POLICY, subject, repository, action).allowed is allowed


def test_create_only_never_moves_a_tag() -> None:
    decision = decide(POLICY, BOB, "team/app", Action.PUSH)
    assert decision.allowed
    assert not decision.may_move_tags


def test_a_rule_that_allows_more_wins_wherever_it_stands() -> None:
    decision = decide(POLICY, ANN, "team/app", Action.PUSH)
    assert decision.allowed
    assert decision.may_move_tags


def test_a_decision_says_why() -> None:
    assert decide(POLICY, ANN, "team/app", Action.PUSH).reason == "rule 2 grants push"
    assert decide(POLICY, BOB, "team/app", Action.PUSH).reason == "rule 1 grants create-only"
    assert decide(POLICY, EVE, "team/app", Action.PULL).reason == (
        "no rule grants eve pull on team/app"
    )


def test_a_user_called_like_nobody_or_everybody_gains_nothing() -> None:
    policy = parse_policy('rules: [{repositories: ["a"], users: [ann], actions: [pull]}]')
    for name in ("*", "", "Ann", "ann "):
        assert not decide(policy, Subject(name), "a", Action.PULL).allowed


@pytest.mark.parametrize("action", Action)
def test_the_two_policies_without_a_file(action: Action) -> None:
    assert decide(OPEN, ANONYMOUS, "a/b", action).allowed
    assert decide(EVERY_LOGIN, ANN, "a/b", action).allowed
    assert not decide(EVERY_LOGIN, ANONYMOUS, "a/b", action).allowed


@pytest.mark.parametrize(
    ("glob", "matches", "misses"),
    [
        ("*", ["a", "a-b"], ["a/b"]),
        ("**", ["a", "a/b/c"], []),
        ("a/*", ["a/b"], ["a", "a/b/c", "xa/b"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("**/app", ["x/app", "x/y/app"], ["app", "x/app/y"]),
        ("a.b", ["a.b"], ["axb"]),
        ("pre*", ["pre", "prefix"], ["pre/fix"]),
    ],
)
def test_globs_cover_the_whole_name(glob: str, matches: list[str], misses: list[str]) -> None:
    pattern = compile_globs([glob])
    assert [name for name in matches + misses if pattern.fullmatch(name)] == matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a mapping with the key rules is needed"),
        ("groups: {}", "rules: required"),
        ("rule: []", "rule"),
        ("rules: [{repositories: [a], actions: [pull]}]", "rules.0: for nobody"),
        ("rules: [{repositories: [], actions: [pull], anonymous: true}]", "rules.0.repositories"),
        ("rules: [{repositories: [a], actions: [], anonymous: true}]", "rules.0.actions"),
        ("rules: [{repositories: [a], actions: [pul], anonymous: true}]", "rules.0.actions.0"),
        ("rules: [{repositories: [A], actions: [pull], anonymous: true}]", "'A' can match no name"),
        ("rules: [{repositories: [a], actions: [pull], user: [b]}]", "(did you mean users?)"),
        (
            "{groups: {devs: [a]}, rules: [{repositories: [a], actions: [pull], groups: [dev]}]}",
            "rules.0.groups: there is no group 'dev' (did you mean devs?)",
        ),
        ("rules: [", "line 1"),
    ],
)
def test_a_wrong_file_of_rules_is_refused_in_a_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_policy(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
