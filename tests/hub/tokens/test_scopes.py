"""What is asked of a token: read by one grammar; what no registry of ours looks at is dropped."""

from __future__ import annotations

import pytest

from registry_server.auth.access import Action
from registry_server.hub.tokens.scopes import MAX_LENGTH, MAX_SCOPES, TooManyScopes, parse_scopes

PULL, PUSH, DELETE = Action.PULL, Action.PUSH, Action.DELETE


def repositories(*texts: str) -> dict[str, frozenset[Action]]:
    return dict(parse_scopes(texts).repositories)


def test_repeated_and_joined_by_spaces() -> None:
    wanted = {"team/a": {PULL, PUSH}, "team/b": {PULL}}
    assert repositories("repository:team/a:pull,push", "repository:team/b:pull") == wanted
    assert repositories("repository:team/a:pull,push repository:team/b:pull") == wanted
    assert repositories(" repository:team/a:pull  repository:team/a:push ") == {
        "team/a": {PULL, PUSH}
    }


def test_the_order_in_which_they_are_asked_for_stays() -> None:
    assert list(repositories("repository:b:pull repository:a:pull", "repository:b:push")) == [
        "b",
        "a",
    ]


def test_actions() -> None:
    assert repositories("repository:a/b:delete") == {"a/b": {DELETE}}
    assert repositories("repository:a/b:*") == {"a/b": {PULL, PUSH, DELETE}}
    assert repositories("repository:a/b:pull,admin,") == {"a/b": {PULL}}


def test_the_class_of_a_repository_is_ignored() -> None:
    assert repositories("repository(plugin):a/b:pull") == {"a/b": {PULL}}


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "junk",
        ":",
        "::",
        "repository",
        "repository:a",
        "repository:a/b",
        "repository:a/b:",
        "repository::pull",
        "repository:a/b:PULL",
        "repository:a/b:pulls",
        "Repository:a/b:pull",
        "repository:A/b:pull",
        "repository:a//b:pull",
        "repository:../b:pull",
        "repository:host:5000/a:pull",
        "repository:a:b:c:pull",
        "repository:a\x00b:pull",
        "repository:%61:pull",
        f"repository:{'a' * 256}:pull",
        "repository(a(b)):a:pull",
        "plugin:a/b:pull",
        "registry:catalog",
        "registry:catalog:pull",
        "registry:other:*",
        "registry:*:*",
        "*:*:*",
    ],
)
def test_what_is_dropped(scope: str) -> None:
    wanted = parse_scopes([scope])
    assert not wanted.repositories
    assert not wanted.catalog


def test_the_catalog() -> None:
    wanted = parse_scopes(["repository:a/b:pull registry:catalog:*"])
    assert wanted.catalog
    assert wanted.repositories == {"a/b": {PULL}}


def test_more_than_a_token_can_say_is_refused() -> None:
    most = [f"repository:a/{number}:pull" for number in range(MAX_SCOPES)]
    assert len(repositories(*most)) == MAX_SCOPES
    assert len(repositories(*most, *most)) == MAX_SCOPES, "the same twice is one"
    with pytest.raises(TooManyScopes, match="51 scopes"):
        parse_scopes([*most, "repository:b:pull"])
    with pytest.raises(TooManyScopes, match="characters"):
        parse_scopes([f"junk:{'a' * MAX_LENGTH}:pull"])
