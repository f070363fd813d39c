"""Tokens that are issued: never more than was asked for, never more than may be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest

from registry_server.auth.access import Action
from registry_server.auth.signed import MAX_TOKEN_LENGTH, TokenRefused
from registry_server.auth.tokens import Token, Verifier
from registry_server.hub.callers import ANONYMOUS, Caller, Kind, Via
from registry_server.hub.database import SCHEMA
from registry_server.hub.roles import Limit, Role
from registry_server.hub.tokens.issuing import Issued, Issuer
from registry_server.hub.tokens.keys import SigningKeys
from registry_server.hub.tokens.scopes import MAX_SCOPES, TooManyScopes, parse_scopes
from registry_server.settings.hub import HubSettings
from registry_storage.databases import Database

ANN = Caller(Kind.USER, "ann", 1, via=Via.PASSWORD)
ADMIN = Caller(Kind.USER, "root", 2, is_admin=True, via=Via.PASSWORD)
PULL, PUSH, DELETE = Action.PULL, Action.PUSH, Action.DELETE
ALGORITHMS = frozenset({"ES256", "EdDSA", "RS256"})


@dataclass
class TheirRights:
    """Rights that a test gives."""

    given: dict[tuple[str, str], frozenset[Action]] = field(default_factory=dict)
    seen: tuple[Sequence[str], Sequence[str]] = ((), ())

    async def actions(self, caller: Caller, name: str) -> frozenset[Action]:
        return self.given.get((caller.name, name), frozenset())

    async def visible(self, caller: Caller) -> tuple[Sequence[str], Sequence[str]]:
        return self.seen


@pytest.fixture
def rights() -> TheirRights:
    return TheirRights({("ann", "ann/app"): frozenset({PULL, PUSH})})


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[SigningKeys]:
    database = await Database.open_with(f"sqlite:///{tmp_path}/hub.sqlite", SCHEMA)
    made = SigningKeys(database, HubSettings().tokens)
    await made.start()
    yield made
    await made.close()
    await database.close()


@pytest.fixture
def issuer(keys: SigningKeys, rights: TheirRights) -> Issuer:
    return Issuer(HubSettings(), keys, rights)


async def issue(issuer: Issuer, caller: Caller, *scopes: str) -> Issued:
    return await issuer.issue(caller, parse_scopes(scopes))


def claims(issued: Issued) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(issued.token, options={"verify_signature": False})
    return found


def read(keys: SigningKeys, issued: Issued) -> Token:
    return Verifier("registry-hub", "registry", ALGORITHMS).verify(issued.token, keys.public())


async def test_a_token_grants_the_subset_that_is_allowed(issuer: Issuer, keys: SigningKeys) -> None:
    wanted = ("repository:ann/app:pull,push,delete", "repository:bob/app:pull")
    issued = await issue(issuer, ANN, *wanted)
    assert read(keys, issued).grants == {"ann/app": {PULL, PUSH}}
    assert issued.granted == ("repository:ann/app:pull,push",)
    assert claims(issued)["access"] == [
        {"type": "repository", "name": "ann/app", "actions": ["pull", "push"]}
    ]


async def test_it_never_grants_more_than_was_asked_for(issuer: Issuer, keys: SigningKeys) -> None:
    assert read(keys, await issue(issuer, ANN, "repository:ann/app:pull")).grants == {
        "ann/app": {PULL}
    }
    assert read(keys, await issue(issuer, ANN)).grants == {}


async def test_everything_is_spelt_out(issuer: Issuer) -> None:
    """No star: other registries would take it for more than ours would."""
    issued = await issue(issuer, ANN, "repository:ann/app:*")
    assert claims(issued)["access"][0]["actions"] == ["pull", "push"]


async def test_its_claims_are_all_there_and_short_lived(issuer: Issuer, keys: SigningKeys) -> None:
    issued = await issue(issuer, ANN, "repository:ann/app:pull")
    found = claims(issued)
    assert {name: found[name] for name in ("iss", "sub", "aud")} == {
        "iss": "registry-hub",
        "sub": "ann",
        "aud": "registry",
    }
    assert found["exp"] - found["iat"] == issued.lifetime == 300
    assert found["nbf"] < found["iat"]
    header = jwt.get_unverified_header(issued.token)
    assert header == {"alg": "ES256", "typ": "JWT", "kid": keys.current().kid}
    again = await issue(issuer, ANN, "repository:ann/app:pull")
    assert claims(again)["jti"] != found["jti"]


async def test_nobody_in_particular_gets_what_everybody_may_do(
    issuer: Issuer, keys: SigningKeys, rights: TheirRights
) -> None:
    rights.given["", "team/open"] = frozenset({PULL})
    issued = await issue(issuer, ANONYMOUS, "repository:team/open:pull,push", "repository:x/y:pull")
    token = read(keys, issued)
    assert (token.subject, token.grants) == ("", {"team/open": {PULL}})


async def test_it_is_for_one_service_only(issuer: Issuer, keys: SigningKeys) -> None:
    issued = await issue(issuer, ANN, "repository:ann/app:pull")
    for issuer_name, service in (("registry-hub", "other"), ("other", "registry")):
        with pytest.raises(TokenRefused):
            Verifier(issuer_name, service, ALGORITHMS).verify(issued.token, keys.public())


# The catalog


async def test_an_administrator_lists_everything(issuer: Issuer, keys: SigningKeys) -> None:
    token = read(keys, await issue(issuer, ADMIN, "registry:catalog:*"))
    assert token.may_list
    assert token.listing is None


async def test_others_list_what_they_may_read(
    issuer: Issuer, keys: SigningKeys, rights: TheirRights
) -> None:
    rights.seen = (["team", "ann"], ["other/app"])
    token = read(keys, await issue(issuer, ANN, "registry:catalog:*"))
    assert not token.may_list
    assert token.listing is not None
    assert token.listing.namespaces == ("ann", "team")
    assert token.listing.repositories == ("other/app",)


async def test_narrowed_credentials_of_an_administrator_do_not_list_everything(
    issuer: Issuer, keys: SigningKeys
) -> None:
    narrowed = Caller(Kind.USER, "root", 2, is_admin=True, limits=(Limit("ann/**", Role.READ),))
    assert not read(keys, await issue(issuer, narrowed, "registry:catalog:*")).may_list


async def test_who_did_not_ask_for_the_catalog_does_not_list(
    issuer: Issuer, keys: SigningKeys
) -> None:
    token = read(keys, await issue(issuer, ADMIN, "repository:ann/app:pull"))
    assert (token.may_list, token.listing) == (False, None)


# Limits


async def test_the_largest_token_is_one_that_the_registry_takes(
    issuer: Issuer, keys: SigningKeys, rights: TheirRights
) -> None:
    rights.seen = ([f"organisation-{n}" for n in range(500)], [f"o{n}/app" for n in range(5000)])
    names = [f"team/{'x' * 60}-{number}" for number in range(20)]
    rights.given.update({("ann", name): frozenset(Action) for name in names})
    scopes = [f"repository:{name}:*" for name in names]
    issued = await issue(issuer, ANN, *scopes, "registry:catalog:*")
    assert len(issued.token) <= MAX_TOKEN_LENGTH
    token = read(keys, issued)
    assert len(token.grants) == 20
    assert token.listing is not None
    assert len(token.listing.namespaces) > 100


async def test_a_token_that_would_be_too_long_is_not_made(
    issuer: Issuer, rights: TheirRights
) -> None:
    names = [f"team/{'x' * 200}-{number}" for number in range(MAX_SCOPES)]
    rights.given.update({("ann", name): frozenset(Action) for name in names})
    with pytest.raises(TooManyScopes, match="ask for fewer"):
        await issue(issuer, ANN, *(f"repository:{name}:*" for name in names))
