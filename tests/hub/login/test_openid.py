"""Logins at a real OpenID provider: who comes in, as whom, and with which rights."""

from __future__ import annotations

import secrets

import pytest

from registry_server.hub.organisations import organisations
from registry_server.hub.records.audit import OPERATOR, Search
from tests.hub.conftest import Served
from tests.hub.login.browser import Browser, a_browser
from tests.hub.login.conftest import Serve, oidc, roles
from tests.services.openid import OpenIDServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("openid")]


@pytest.fixture
def subject() -> str:
    """Somebody whom the provider has never seen."""
    return f"subject-{secrets.token_hex(6)}"


async def test_a_first_login_makes_an_account(
    with_provider: Served, browser: Browser, openid_server: OpenIDServer, subject: str
) -> None:
    openid_server.describe(
        subject, preferred_username="Ann.Smith", name="Ann Smith", email="ann@example.org"
    )
    answer = await browser.log_in(subject, "/repositories?page=2")
    assert (answer.status, answer.location) == (303, "/repositories?page=2")
    assert await browser.name() == "ann.smith"
    user = await with_provider.hub.accounts.users.find("ann.smith")
    assert (user.full_name, user.email, user.is_admin) == ("Ann Smith", "ann@example.org", False)
    told = await with_provider.hub.audit.find(Search(target="user:ann.smith"))
    assert "user.created" in {entry.deed.action for entry in told}
    assert "login" not in browser.cookies()


async def test_the_same_subject_is_the_same_user_whatever_they_are_called(
    with_provider: Served, browser: Browser, openid_server: OpenIDServer, subject: str
) -> None:
    openid_server.describe(subject, preferred_username="ann", email="ann@example.org")
    await browser.log_in(subject)
    openid_server.describe(subject, preferred_username="anna", email="anna@example.org")
    async with a_browser(with_provider) as other:
        await other.log_in(subject)
        assert await other.name() == "ann"
    assert (await with_provider.hub.accounts.users.find("ann")).email == "anna@example.org"


async def test_nobody_gets_an_account_by_its_name_or_its_address(
    with_provider: Served, browser: Browser, openid_server: OpenIDServer, subject: str
) -> None:
    users = with_provider.hub.accounts.users
    await users.create(OPERATOR, "ann", "a long password", email="ann@example.org")
    openid_server.describe(
        subject, preferred_username="ann", email="ann@example.org", email_verified=True
    )
    answer = await browser.log_in(subject)
    assert answer.status == 409
    assert "name ann is somebody else" in answer.text
    assert await browser.name() == ""
    openid_server.describe(subject, preferred_username="ann2", email="ann@example.org")
    await browser.log_in(subject)
    assert await browser.name() == "ann2"


async def test_groups_become_roles_and_go_again(
    with_provider: Served, browser: Browser, openid_server: OpenIDServer, subject: str
) -> None:
    hub = with_provider.hub
    for organisation in ("team", "other"):
        await hub.database.write(organisations.create, OPERATOR, organisation)
    openid_server.describe(subject, preferred_username="bob", groups=["developers", "leads"])
    await browser.log_in(subject)
    assert await roles(with_provider, "bob") == {"team": "admin", "other": "read"}
    openid_server.describe(subject, preferred_username="bob", groups=["developers", "x" * 5000])
    await browser.log_in(subject)
    assert await roles(with_provider, "bob") == {"team": "write"}
    openid_server.describe(subject, preferred_username="bob")
    await browser.log_in(subject)
    assert await roles(with_provider, "bob") == {}


async def test_an_admin_group_makes_admins_and_unmakes_them(
    serve_hub: Serve, openid_server: OpenIDServer, subject: str
) -> None:
    served = await serve_hub(**oidc(openid_server.issuer, admingroup="admins"))
    users = served.hub.accounts.users
    await users.create(OPERATOR, "root", "a long password", is_admin=True)
    async with a_browser(served) as browser:
        openid_server.describe(subject, preferred_username="bob", groups=["admins"])
        await browser.log_in(subject)
        assert (await users.find("bob")).is_admin
        openid_server.describe(subject, preferred_username="bob", groups=[])
        await browser.log_in(subject)
        assert not (await users.find("bob")).is_admin


async def test_accounts_are_made_only_where_that_is_on(
    serve_hub: Serve, openid_server: OpenIDServer, subject: str
) -> None:
    served = await serve_hub(**oidc(openid_server.issuer, createusers=False))
    openid_server.describe(subject, preferred_username="carol")
    async with a_browser(served) as browser:
        answer = await browser.log_in(subject)
        assert "ou have no account here" in answer.text
        assert await browser.name() == ""


async def test_a_disabled_user_stays_out(
    with_provider: Served, browser: Browser, openid_server: OpenIDServer, subject: str
) -> None:
    openid_server.describe(subject, preferred_username="dave")
    await browser.log_in(subject)
    users = with_provider.hub.accounts.users
    await users.create(OPERATOR, "root", "a long password", is_admin=True)
    await users.disable(OPERATOR, await users.find("dave"))
    answer = await browser.log_in(subject)
    assert answer.status == 403
    assert await browser.name() == ""


async def test_who_declines_is_told_so(browser: Browser) -> None:
    begun = await browser.begin()
    declined = await browser.go(begun.location, "POST", data={"action": "deny"})
    state = begun.parameter("state")
    answer = await browser.go(f"/login/oidc/callback?error=access_denied&state={state}")
    assert declined.status in (302, 303)
    assert answer.status == 403
    assert "Example refuses: access_denied" in answer.text


async def test_a_code_is_good_once(
    browser: Browser, openid_server: OpenIDServer, subject: str
) -> None:
    openid_server.describe(subject, preferred_username="erin")
    begun = await browser.begin()
    kept = browser.cookies()["login"]
    consented = await browser.consent(begun.location, subject)
    assert (await browser.go(consented.location)).status == 303
    again = await browser.go(consented.location)
    assert again.status == 403
    assert "began in another browser" in again.text
    stolen = await browser.go(consented.location, headers={"Cookie": f"login={kept}"})
    assert stolen.status == 403
    assert "Example refuses: invalid_grant" in stolen.text


async def test_an_answer_counts_in_the_browser_that_asked(
    with_provider: Served, browser: Browser, openid_server: OpenIDServer, subject: str
) -> None:
    """Else an attacker could log a victim in as themselves, and see what they push."""
    openid_server.describe(subject, preferred_username="mallory")
    begun = await browser.begin()
    consented = await browser.consent(begun.location, subject)
    async with a_browser(with_provider) as victim:
        assert (await victim.go(consented.location)).status == 403
        await victim.begin()
        answer = await victim.go(consented.location)
        assert answer.status == 403
        assert "belongs to another login" in answer.text
        assert await victim.name() == ""


@pytest.mark.parametrize(
    "following",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x()", "/\r\nX: y"],
)
async def test_a_login_ends_on_this_site(
    browser: Browser, openid_server: OpenIDServer, subject: str, following: str
) -> None:
    openid_server.describe(subject, preferred_username="frank")
    assert (await browser.log_in(subject, following)).location == "/"


async def test_the_login_page_leads_to_the_provider(browser: Browser) -> None:
    page = await browser.go("/login?next=/somewhere")
    assert "Log in with Example" in page.text
    assert 'href="/login/oidc?next=/somewhere"' in page.text


async def test_without_a_provider_there_is_no_such_page(served: Served) -> None:
    async with a_browser(served) as browser:
        assert (await browser.begin()).status == 404
        assert (await browser.go("/login/oidc/callback")).status == 404


async def test_a_provider_that_is_away_is_named(serve_hub: Serve) -> None:
    served = await serve_hub(**oidc("http://127.0.0.1:9"))
    async with a_browser(served) as browser:
        answer = await browser.begin()
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "Example does not answer" in answer.text
