"""Who users are elsewhere, and what their groups there make of them here."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from registry_server.auth.access import CredentialsRefused
from registry_server.hub.accounts import Accounts, open_accounts
from registry_server.hub.accounts.identities import ExternalIdentity, NoAccount, account_name
from registry_server.hub.errors import Invalid, Taken
from registry_server.hub.organisations import organisations
from registry_server.hub.records.users import User
from registry_server.limits import LoginLimit
from registry_server.limits.table import Table
from registry_server.settings.hub import DirectorySettings, HubSettings, OpenIDSettings
from registry_storage.databases import Database
from tests.hub.accounts.conftest import MANY, look_up
from tests.hub.accounts.people import ADDRESS, BY, OTHER, PASSWORD, any_name
from tests.hub.conftest import Served

IDENTITY = ExternalIdentity(
    "https://id.example", "4711", "Ann.Other", "Ann Other", "ann@example.org", ("devs",)
)
GROUPS = {"devs": {"team": "write", "nowhere": "read"}, "leads": {"team": "admin"}}


def openid(**others: Any) -> OpenIDSettings:
    document = {
        "issuer": "https://id.example",
        "clientid": "registry",
        "clientsecret": "secret",
        "groups": GROUPS,
        **others,
    }
    return OpenIDSettings.model_validate(document)


def directory_settings() -> DirectorySettings:
    return DirectorySettings.model_validate({"url": "ldaps://ldap.example", "base": "dc=example"})


@pytest.fixture
async def team(hub_database: Database) -> None:
    await hub_database.write(organisations.create, BY, "team")


async def role_in_team(database: Database) -> Any:
    return await look_up(
        database, "SELECT coalesce(max(role), 'none') FROM hub_members WHERE namespace = 'team'"
    )


async def test_the_first_login_makes_an_account(accounts: Accounts) -> None:
    user = await accounts.users.from_identity(IDENTITY, openid())
    assert (user.name, user.full_name, user.email) == ("ann.other", "Ann Other", "ann@example.org")
    assert user.password_hash is None
    renamed = replace(IDENTITY, name="Ann.Married", full_name="Ann\x1b Married")
    again = await accounts.users.from_identity(renamed, openid())
    assert (again.id, again.name, again.full_name) == (user.id, "ann.other", "Ann Married")


async def test_the_same_subject_elsewhere_is_somebody_else(accounts: Accounts) -> None:
    user = await accounts.users.from_identity(IDENTITY, openid())
    other = replace(IDENTITY, issuer="https://other.example", name="ann2")
    assert (await accounts.users.from_identity(other, openid())).id != user.id


async def test_nobody_gets_an_account_by_being_called_like_its_owner(
    accounts: Accounts, ann: User
) -> None:
    with pytest.raises(Taken, match="somebody else's"):
        await accounts.users.from_identity(replace(IDENTITY, name="ann"), openid())


async def test_nobody_inherits_repositories_by_being_called_like_their_owner(
    served: Served,
) -> None:
    """Of an owner who has gone; who has an account here already is let in as before."""
    users = served.hub.accounts.users
    await users.from_identity(replace(IDENTITY, subject="1", name="bob"), openid())
    for name in ("ann.other", "bob"):
        await served.hub.registry.create_repository(f"{name}/app")
    with pytest.raises(Taken, match=r"ann\.other is somebody else's here"):
        await users.from_identity(IDENTITY, openid())
    with pytest.raises(Taken, match=r"ann\.other is somebody else's here"):
        await users.from_identity(IDENTITY, directory_settings())
    assert (await users.from_identity(replace(IDENTITY, subject="1"), openid())).name == "bob"
    with pytest.raises(NoAccount):
        await users.from_identity(IDENTITY, openid(createusers=False))


async def test_accounts_are_made_unless_the_settings_say_no(accounts: Accounts) -> None:
    with pytest.raises(NoAccount):
        await accounts.users.from_identity(IDENTITY, openid(createusers=False))
    await accounts.users.from_identity(IDENTITY, openid())
    await accounts.users.from_identity(IDENTITY, openid(createusers=False))


@pytest.mark.usefixtures("team")
async def test_groups_make_members_as_long_as_they_last(
    accounts: Accounts, hub_database: Database
) -> None:
    """The strongest role counts; organisations that there are not do not matter."""
    await accounts.users.from_identity(IDENTITY, openid())
    assert await role_in_team(hub_database) == "write"
    both = replace(IDENTITY, groups=("leads", "devs", "others"))
    await accounts.users.from_identity(both, openid())
    assert await role_in_team(hub_database) == "admin"
    await accounts.users.from_identity(replace(IDENTITY, groups=()), openid())
    assert await role_in_team(hub_database) == "none"


async def test_a_group_administers_the_hub(accounts: Accounts, root: User) -> None:
    settings = openid(admingroup="admins")
    assert not (await accounts.users.from_identity(IDENTITY, settings)).is_admin
    admins = replace(IDENTITY, groups=("admins",))
    assert (await accounts.users.from_identity(admins, settings)).is_admin
    assert (await accounts.users.from_identity(IDENTITY, openid())).is_admin
    assert not (await accounts.users.from_identity(IDENTITY, settings)).is_admin


async def test_the_last_administrator_stays_whatever_groups_say(accounts: Accounts) -> None:
    settings = openid(admingroup="admins")
    await accounts.users.from_identity(replace(IDENTITY, groups=("admins",)), settings)
    assert (await accounts.users.from_identity(IDENTITY, settings)).is_admin


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ann", "ann"),
        ("Ann.Other", "ann.other"),
        ("ann@example.org", "ann-example.org"),
        ("EXAMPLE\\ann", "example-ann"),
        ("Ann  Other", "ann-other"),
        (" -ann- ", "ann"),
    ],
)
def test_names_of_others_become_ours(text: str, name: str) -> None:
    assert account_name(text) == name


@pytest.mark.parametrize("text", ["", "a", "Ж", "***", "\ud800"])
def test_some_cannot(text: str) -> None:
    with pytest.raises(Invalid):
        account_name(text)


# A directory


class Phonebook:
    """A directory that knows one person."""

    def __init__(self) -> None:
        self.settings = directory_settings()
        self.asked = 0

    async def verify(self, name: str, password: str) -> ExternalIdentity | None:
        self.asked += 1
        right = (name, password) == ("ann.other", OTHER)
        return replace(IDENTITY, issuer=self.settings.url) if right else None


@pytest.fixture
def phonebook() -> Phonebook:
    return Phonebook()


@pytest.fixture
async def listed(
    hub_database: Database, hub_part: HubSettings, phonebook: Phonebook, cheap_passwords: None
) -> Any:
    """Accounts beside a directory."""
    async with AsyncExitStack() as resources:
        limit = LoginLimit(Table.of_process(), MANY)
        yield open_accounts(hub_database, hub_part, limit, resources, any_name, [phonebook])


async def test_a_directory_is_asked_about_whom_there_is_no_password_here(
    listed: Accounts, phonebook: Phonebook
) -> None:
    caller = await listed.logins.by_password("ann.other", OTHER, ADDRESS)
    assert caller.name == "ann.other"
    await listed.users.create(BY, "local", PASSWORD)
    await listed.logins.by_password("local", PASSWORD, ADDRESS)
    assert phonebook.asked == 1
    for name, password in [("ann.other", PASSWORD), ("nobody", OTHER), ("local", OTHER)]:
        with pytest.raises(CredentialsRefused):
            await listed.logins.by_password(name, password, ADDRESS)


async def test_who_is_disabled_here_stays_out(listed: Accounts, root: User) -> None:
    await listed.logins.by_password("ann.other", OTHER, ADDRESS)
    await listed.users.disable(BY, await listed.users.find("ann.other"))
    with pytest.raises(CredentialsRefused):
        await listed.logins.by_password("ann.other", OTHER, ADDRESS)


async def test_a_name_that_is_taken_is_told_to_whoever_has_shown_who_they_are(
    listed: Accounts, hub_database: Database
) -> None:
    await hub_database.write(organisations.create, BY, "ann.other")
    with pytest.raises(CredentialsRefused) as caught:
        await listed.logins.by_password("ann.other", OTHER, ADDRESS)
    assert "somebody else's" in caught.value.told
