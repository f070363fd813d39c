"""Logins by a real LDAP directory: whose password it is, and what else is tried."""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry_server.auth.access import CredentialsRefused, TooManyLogins
from registry_server.cli.checks import check_files, remarks
from registry_server.hub.accounts.identities import ExternalIdentity
from registry_server.hub.callers import Caller
from registry_server.hub.errors import Unavailable
from registry_server.hub.login import directory as module
from registry_server.hub.login.directory import LdapDirectory
from registry_server.hub.organisations import organisations
from registry_server.hub.records.audit import OPERATOR
from registry_server.settings.hub import DirectorySettings
from registry_storage.errors import ConfigurationInvalid
from tests.cli.certificates import make_certificate
from tests.hub.conftest import Served, hub_settings
from tests.hub.login.conftest import GROUPS, Serve, roles
from tests.services import slapd
from tests.services.slapd import LdapServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slapd")]

PASSWORD = "a password: äöü"


def settings_of(server: LdapServer, **others: Any) -> dict[str, Any]:
    return {
        "url": server.url,
        "cacert": str(server.certificate),
        "binddn": slapd.READER,
        "bindpassword": server.password,
        "base": slapd.PEOPLE,
        "groupbase": slapd.GROUPS,
        "groups": GROUPS,
        **others,
    }


Make = Callable[..., LdapDirectory]


@pytest.fixture
def directory_of(ldap_server: LdapServer) -> Make:
    def make(**others: Any) -> LdapDirectory:
        return LdapDirectory(DirectorySettings.model_validate(settings_of(ldap_server, **others)))

    return make


@pytest.fixture
def uid() -> str:
    """A name that nobody has had."""
    return f"user{secrets.token_hex(5)}"


# Whose password it is


@pytest.mark.parametrize("kind", ["starttls", "tls", "clear"])
async def test_a_password_is_told_from_another(
    directory_of: Make, ldap_server: LdapServer, uid: str, kind: str
) -> None:
    url = ldap_server.tls_url if kind == "tls" else ldap_server.url
    directory = directory_of(url=url, starttls=kind == "starttls")
    dn = ldap_server.add_user(uid, PASSWORD, displayName="Ann Smith", mail="ann@example.org")
    group = ldap_server.add_group(f"group-{uid}", dn)
    found = await directory.verify(uid, PASSWORD)
    assert found == ExternalIdentity(
        issuer=f"ldap:{slapd.PEOPLE}",
        subject=found.subject if found else "",
        name=uid,
        full_name="Ann Smith",
        email="ann@example.org",
        groups=(f"group-{uid}", group),
    )
    for wrong in ("wrong", PASSWORD + " ", PASSWORD.upper(), "x" * 10_000):
        assert await directory.verify(uid, wrong) is None
    assert await directory.verify("nobody-of-that-name", PASSWORD) is None


async def test_who_gets_the_name_of_somebody_who_left_is_somebody_else(
    directory_of: Make, ldap_server: LdapServer, uid: str
) -> None:
    dn = ldap_server.add_user(uid, PASSWORD)
    before = await directory_of().verify(uid, PASSWORD)
    ldap_server.remove(dn)
    assert await directory_of().verify(uid, PASSWORD) is None
    ldap_server.add_user(uid, PASSWORD)
    after = await directory_of().verify(uid, PASSWORD)
    assert before is not None
    assert after is not None
    assert before.subject != after.subject


async def test_an_empty_password_is_refused_before_anybody_is_asked(
    ldap_server: LdapServer, uid: str
) -> None:
    """Directories take a bind without a password for one of nobody, and say yes."""
    dn = ldap_server.add_user(uid, PASSWORD)
    away = LdapDirectory(
        DirectorySettings.model_validate(settings_of(ldap_server, url="ldap://127.0.0.1:9"))
    )
    for name, password in ((uid, ""), ("", ""), (dn, ""), (uid, "\0"), ("x" * 256, PASSWORD)):
        assert await away.verify(name, password) is None


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "{uid}*",
        "{uid})(objectClass=*",
        "*)(uid={uid}",
        "{uid}\0",
        "\\2a",
        "{uid})(|(uid=*",
        "(" * 200,
    ],
)
async def test_a_name_is_nothing_but_a_name(
    directory_of: Make, ldap_server: LdapServer, uid: str, name: str
) -> None:
    ldap_server.add_user(uid, PASSWORD)
    assert await directory_of().verify(name.replace("{uid}", uid), PASSWORD) is None


async def test_a_name_of_several_entries_is_nobody(
    directory_of: Make, ldap_server: LdapServer, uid: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        ldap_server.add_user(f"{uid}{number}", PASSWORD, mail=f"{uid}@example.org")
    directory = directory_of(filter="(mail={name}@example.org)")
    assert await directory.verify(uid, PASSWORD) is None
    assert "several entries" in caplog.text


async def test_the_name_is_the_one_in_the_directory(
    directory_of: Make, ldap_server: LdapServer, uid: str
) -> None:
    """Whatever one may log in by: else somebody could choose the name of their account."""
    ldap_server.add_user(uid, PASSWORD, mail=f"{uid}@example.org")
    directory = directory_of(filter="(|(uid={name})(mail={name}))")
    for shown in (uid, uid.upper(), f"{uid}@example.org", f" {uid} "):
        found = await directory.verify(shown, PASSWORD)
        assert found is not None
        assert found.name == uid


# A directory that does not answer as it should


async def test_a_directory_that_is_away_is_said_to_be(
    directory_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unavailable, match="the directory of users cannot be asked now"):
        await directory_of(url="ldap://127.0.0.1:9").verify("ann", PASSWORD)
    assert "auth.hub.ldap.url: ldap://127.0.0.1:9: " in caplog.text
    assert PASSWORD not in caplog.text


async def test_one_that_says_nothing_is_given_up_and_left_alone_for_a_while(
    directory_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 1)
    now = module.monotonic()
    monkeypatch.setattr(module, "monotonic", lambda: now)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        directory = directory_of(url=f"ldap://127.0.0.1:{silent.getsockname()[1]}")
        for _ in range(3):
            with pytest.raises(Unavailable):
                await directory.verify("ann", PASSWORD)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
        now += module.PAUSE_SECONDS
        with pytest.raises(Unavailable):
            await directory.verify("ann", PASSWORD)
        silent.accept()[0].close()


@pytest.mark.parametrize("kind", ["starttls", "tls"])
async def test_a_certificate_of_somebody_else_ends_it(
    directory_of: Make, ldap_server: LdapServer, uid: str, tmp_path: Path, kind: str
) -> None:
    ldap_server.add_user(uid, PASSWORD)
    other = make_certificate(tmp_path, "other")
    url = ldap_server.tls_url if kind == "tls" else ldap_server.url
    for directory in (
        directory_of(url=url, cacert=str(other.path)),
        directory_of(url=url, cacert=None),
        directory_of(url=url.replace("127.0.0.1", "localhost")),
    ):
        with pytest.raises(Unavailable):
            await directory.verify(uid, PASSWORD)


async def test_without_starttls_nothing_is_sent(directory_of: Make) -> None:
    """A server that declines to encrypt, or somebody in between who strips that."""
    heard = bytearray()

    def decline(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            heard.extend(connection.recv(4096))
            # An extended response to message 1: protocolError.
            connection.sendall(bytes.fromhex("300c02010178070a010204000400"))
            heard.extend(connection.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=decline, args=(listener,))
        thread.start()
        directory = directory_of(url=f"ldap://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Unavailable):
            await directory.verify("ann", PASSWORD)
        thread.join(10)
    assert b"1.3.6.1.4.1.1466.20037" in heard
    assert slapd.READER.encode() not in heard
    assert PASSWORD.encode() not in heard


async def test_a_wrong_account_for_looking_up_is_no_wrong_password(
    directory_of: Make, ldap_server: LdapServer, uid: str, caplog: pytest.LogCaptureFixture
) -> None:
    ldap_server.add_user(uid, PASSWORD)
    for others in ({"bindpassword": "wrong"}, {"bindpassword": None}, {"base": "dc=elsewhere"}):
        with pytest.raises(Unavailable):
            await directory_of(**others).verify(uid, PASSWORD)
    assert "it refuses auth.hub.ldap.binddn: invalidCredentials" in caplog.text


async def test_a_referral_is_not_followed(
    directory_of: Make, ldap_server: LdapServer, uid: str
) -> None:
    """Else whoever can write into the directory could send passwords to a server of theirs."""
    with socket.create_server(("127.0.0.1", 0)) as evil:
        target = f"ldap://127.0.0.1:{evil.getsockname()[1]}/{slapd.SUFFIX}"
        with ldap_server.as_root() as root:
            root.add(
                f"cn={uid},{slapd.PEOPLE}",
                ["referral", "extensibleObject"],
                {"cn": uid, "ref": target},
            )
        assert await directory_of().verify(uid, PASSWORD) is None
        evil.setblocking(False)
        with pytest.raises(BlockingIOError):
            evil.accept()
    with ldap_server.as_root() as root:
        root.delete(f"cn={uid},{slapd.PEOPLE}", controls=[("2.16.840.1.113730.3.4.2", True, None)])


async def test_too_many_at_once_are_asked_to_come_back(
    directory_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    directory = directory_of()
    monkeypatch.setattr(directory, "_verify", lambda *_: go.wait(10) and None)
    waiting = [asyncio.create_task(directory.verify("ann", "x")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyLogins):
        await directory.verify("ann", "x")
    go.set()
    assert await asyncio.gather(*waiting) == [None] * 3
    assert await directory.verify("ann", "x") is None


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"url": "ldap:///dc=example"}, "auth.hub.ldap.url: .* names no host"),
        ({"url": "ldap://host:99999"}, "auth.hub.ldap.url: .* names no host"),
        ({"cacert": "/nowhere/ca.pem"}, "auth.hub.ldap.cacert: /nowhere/ca.pem: No such file"),
    ],
)
def test_wrong_settings_are_named(directory_of: Make, others: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=message):
        directory_of(**others)


@pytest.mark.parametrize("setting", ["filter", "groupfilter"])
def test_a_filter_that_is_the_same_for_all_is_refused(directory_of: Make, setting: str) -> None:
    """It would make everybody somebody."""
    with pytest.raises(ValueError, match=setting):
        directory_of(**{setting: "(objectClass=person)"})


def test_passwords_in_clear_are_warned_of(
    directory_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        directory_of(starttls=False)
    assert "passwords go to the directory in clear" in caplog.text


def test_the_check_of_the_configuration_tells_too(ldap_server: LdapServer, tmp_path: Path) -> None:
    clear = settings_of(ldap_server, starttls=False)
    provider = {"issuer": "http://login.example", "clientid": "x", "clientsecret": "x"}
    told = list(remarks(hub_settings(tmp_path, auth={"hub": {"ldap": clear, "oidc": provider}})))
    assert [line.partition(":")[0] for line in told] == [
        "auth.hub.oidc.issuer",
        "auth.hub.ldap.starttls",
    ]
    lost = settings_of(ldap_server, cacert="/nowhere/ca.pem")
    with pytest.raises(ConfigurationInvalid, match=r"auth.hub.ldap.cacert: /nowhere/ca.pem"):
        check_files(hub_settings(tmp_path, auth={"hub": {"ldap": lost}}))


async def test_no_password_is_logged(
    directory_of: Make, ldap_server: LdapServer, uid: str, caplog: pytest.LogCaptureFixture
) -> None:
    ldap_server.add_user(uid, PASSWORD)
    with caplog.at_level(logging.DEBUG):
        await directory_of().verify(uid, PASSWORD)
        await directory_of().verify(uid, "canary")
        with pytest.raises(Unavailable):
            await directory_of(base="dc=elsewhere").verify(uid, PASSWORD)
    assert caplog.text
    for hidden in (PASSWORD, "canary", ldap_server.password):
        assert hidden not in caplog.text


# In the hub


@pytest.fixture
async def with_directory(serve_hub: Serve, ldap_server: LdapServer) -> Served:
    found: Served = await serve_hub(auth={"hub": {"ldap": settings_of(ldap_server)}})
    return found


async def token(served: Served, name: str, password: str) -> tuple[int, Any]:
    basic = base64.b64encode(f"{name}:{password}".encode()).decode()
    async with served.client.get(
        f"{served.url}/token?service=registry", headers={"Authorization": f"Basic {basic}"}
    ) as answer:
        return answer.status, await answer.json()


async def test_people_of_the_directory_get_tokens_and_accounts(
    with_directory: Served, ldap_server: LdapServer, uid: str
) -> None:
    hub = with_directory.hub
    await hub.database.write(organisations.create, OPERATOR, "team")
    dn = ldap_server.add_user(uid, PASSWORD)
    developers = ldap_server.add_group("developers", dn)
    assert (await token(with_directory, uid, PASSWORD))[0] == 200
    assert (await token(with_directory, uid, "wrong"))[0] == 401
    assert await roles(with_directory, uid) == {"team": "write"}
    ldap_server.remove(developers)
    caller = await _asked_again(hub.logins, uid)
    assert caller.name == uid
    assert await roles(with_directory, uid) == {}


async def _asked_again(logins: Any, name: str) -> Caller:
    """Log in by another process' eyes, which remembers no password."""
    logins._remembered.clear()
    found: Caller = await logins.by_password(name, PASSWORD, "192.0.2.1")
    return found


async def test_a_name_of_the_directory_is_not_an_account_that_has_it(
    with_directory: Served, ldap_server: LdapServer, uid: str
) -> None:
    hub = with_directory.hub
    await hub.accounts.users.create(OPERATOR, uid, "the local password")
    ldap_server.add_user(uid, PASSWORD)
    with pytest.raises(CredentialsRefused):
        await hub.logins.by_password(uid, PASSWORD, "192.0.2.1")
    assert (await hub.logins.by_password(uid, "the local password", "192.0.2.1")).name == uid


async def test_local_accounts_go_on_without_the_directory(
    serve_hub: Serve, ldap_server: LdapServer
) -> None:
    away = settings_of(ldap_server, url="ldap://127.0.0.1:9")
    served = await serve_hub(auth={"hub": {"ldap": away}})
    await served.hub.accounts.users.create(OPERATOR, "ann", "the local password")
    assert (await token(served, "ann", "the local password"))[0] == 200
    status, document = await token(served, "somebody", "a password")
    assert status == 503
    assert document["errors"] == [
        {
            "code": "UNAVAILABLE",
            "message": "the directory of users cannot be asked now; the hub's log says why",
        }
    ]
