"""The pages, as a browser meets them, and as somebody meets them who means harm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import pyotp
import pytest

from registry_server.hub.accounts.links import Invitation
from registry_server.hub.pages.places import local_path
from registry_server.hub.records import login_failures
from registry_server.hub.records.audit import OPERATOR
from registry_server.hub.records.login_failures import FREE
from registry_server.hub.records.users import User
from tests.hub.accounts.browsers import Browser
from tests.hub.accounts.people import OTHER, PASSWORD
from tests.hub.conftest import Served

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "https://evil.example",
    "http:evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\r\nSet-Cookie: a=b",
    "/a\r\nb",
    "javascript:alert(1)",
    "data:text/html,x",
    " /",
    "/é",
    "evil",
    "",
    "/" + "x" * 2000,
]

pytestmark = pytest.mark.usefixtures("cheap_passwords")


@pytest.fixture
async def user(served: Served) -> User:
    """Ann, who has a password."""
    return await served.hub.accounts.users.create(OPERATOR, "ann", PASSWORD)


@pytest.fixture
async def browser(served: Served) -> AsyncIterator[Browser]:
    async with Browser(served.url) as found:
        yield found


# Logging in and out


async def test_whoever_logs_in_gets_where_they_wanted(browser: Browser, user: User) -> None:
    asked = await browser.get("/")
    assert (asked.status, asked.headers["location"]) == (303, "/login")
    form = await browser.get("/login?next=/images%3Fpage%3D2")
    assert form.hidden == {"next": "/images?page=2"}
    done = await browser.log_in(following=form.hidden["next"])
    assert (done.status, done.headers["location"]) == (303, "/images?page=2")
    cookie = done.headers["set-cookie"]
    assert cookie.startswith("session=rgs_")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    home = await browser.get("/")
    assert "<strong>ann</strong>" in home.text


async def test_the_cookie_is_for_tls_alone_where_there_is_tls(
    serve_hub: Callable[..., Any],
) -> None:
    served = await serve_hub(http={"trustedproxies": ["127.0.0.1"], "draintimeout": 5})
    await served.hub.accounts.users.create(OPERATOR, "ann", PASSWORD)
    async with Browser(served.url) as browser:
        by_tls = {"X-Forwarded-Proto": "https", "Origin": served.url.replace("http:", "https:")}
        form = {"name": "ann", "password": PASSWORD}
        done = await browser.post("/login", form, by_tls)
    cookie = done.headers["set-cookie"]
    assert cookie.startswith("__Host-session=rgs_")
    assert "Secure" in cookie
    assert "Domain" not in cookie


async def test_wrong_and_unknown_look_alike(browser: Browser, user: User) -> None:
    wrong, unknown = await browser.log_in("ann", OTHER), await browser.log_in("bob", OTHER)
    assert wrong.status == unknown.status == 403
    assert wrong.error == "The user name or the password is wrong."
    assert wrong.text == unknown.text.replace('value="bob"', 'value="ann"')
    assert not browser.cookies


async def test_too_many_wrong_passwords_are_told_when_to_come_back(
    browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_failures, "FIRST_LOCK", 60_000)
    for number in range(FREE):
        assert (await browser.log_in("ann", f"{OTHER} {number}")).status == 403
    refused = await browser.log_in()
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert "try again in" in refused.error


async def test_a_login_ends_the_session_that_was_planted(
    served: Served, browser: Browser, user: User
) -> None:
    """Somebody's own session, in the browser of somebody else, does not become theirs."""
    await browser.log_in()
    planted = browser.cookies["session"]
    await browser.log_in()
    assert browser.cookies["session"] != planted
    async with Browser(served.url) as thief:
        thief.session.cookie_jar.update_cookies({"session": planted})
        assert (await thief.get("/")).headers["location"] == "/login"


async def test_what_was_logged_out_is_worth_nothing(
    served: Served, browser: Browser, user: User
) -> None:
    await browser.log_in()
    secret = browser.cookies["session"]
    home = await browser.get("/")
    done = await browser.post("/logout", home.hidden)
    assert (done.status, done.headers["location"]) == (303, "/login")
    assert not browser.cookies
    async with Browser(served.url) as thief:
        thief.session.cookie_jar.update_cookies({"session": secret})
        assert (await thief.get("/")).headers["location"] == "/login"


async def test_nobody_else_logs_anybody_out(browser: Browser, user: User) -> None:
    await browser.log_in()
    home = await browser.get("/")
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for form, headers in [(home.hidden, foreign), ({}, {}), ({"csrf": "x" * 64}, {})]:
        assert (await browser.post("/logout", form, headers)).status == 403
    assert "<strong>ann</strong>" in (await browser.get("/")).text


async def test_no_other_site_logs_anybody_in(browser: Browser, user: User) -> None:
    form = {"name": "ann", "password": PASSWORD}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await browser.post("/login", form, headers)).status == 403
    assert not browser.cookies


@pytest.mark.parametrize("following", ELSEWHERE)
def test_no_link_leads_elsewhere(following: str) -> None:
    assert local_path(following) == "/"


@pytest.mark.parametrize("following", ["/", "/a/b?c=d&e=%2F%2F#f", "/a//b", "/%0d%0a"])
def test_links_lead_to_places_here(following: str) -> None:
    assert local_path(following) == following


@pytest.mark.parametrize("following", ELSEWHERE[:10])
async def test_a_login_leads_nowhere_else(browser: Browser, user: User, following: str) -> None:
    done = await browser.log_in(following=following)
    assert (done.status, done.headers["location"]) == (303, "/")
    again = await browser.get("/login?" + urlencode({"next": following}))
    assert again.headers["location"] == "/"


# The second factor


async def test_a_code_is_asked_for(served: Served, browser: Browser, user: User) -> None:
    factor = served.hub.accounts.second_factor
    phone = pyotp.TOTP((await factor.offer(user)).seed)
    codes = await factor.confirm(OPERATOR, user, phone.now())
    asked = await browser.log_in(following="/images")
    assert asked.status == 200
    assert not browser.cookies
    wrong = await browser.post("/login/code", {**asked.hidden, "code": "wrong"})
    assert (wrong.status, wrong.hidden) == (403, asked.hidden)
    done = await browser.post("/login/code", {**wrong.hidden, "code": codes[0]})
    assert (done.status, done.headers["location"]) == (303, "/images")
    late = await browser.post("/login/code", {**asked.hidden, "code": codes[1]})
    assert late.status == 404
    assert "begin again" in late.error
    assert 'action="/login"' in late.text


# Links and registration


async def test_the_first_administrator_comes_by_a_link(served: Served, browser: Browser) -> None:
    secret = await served.hub.accounts.links.first_admin()
    path = f"/link/{secret}"
    assert "The first administrator" in (await browser.get(path)).text
    short = await browser.post(path, {"name": "root", "password": "short"})
    assert short.error == "A password has at least 12 characters."
    assert not browser.cookies
    done = await browser.post(path, {"name": "root", "password": PASSWORD})
    assert (done.status, done.headers["location"]) == (303, "/")
    assert "<strong>root</strong>" in (await browser.get("/")).text
    assert (await browser.get(path)).status == 404
    assert (await browser.post(path, {"name": "eve", "password": PASSWORD})).status == 404


async def test_an_invitation_says_what_name_is_taken(
    served: Served, browser: Browser, user: User
) -> None:
    _, secret = await served.hub.accounts.links.invite(OPERATOR, Invitation())
    form = {"name": "ann", "password": PASSWORD}
    taken = await browser.post(f"/link/{secret}", form)
    assert taken.status == 409
    assert 'value="ann"' in taken.text
    assert PASSWORD not in taken.text
    assert (await browser.post(f"/link/{secret}", form | {"name": "bob"})).status == 303


async def test_a_password_is_set_by_a_link(served: Served, browser: Browser, user: User) -> None:
    secret = await served.hub.accounts.links.for_password(OPERATOR, user)
    form = await browser.get(f"/link/{secret}")
    assert form.hidden == {"name": "ann"}
    done = await browser.post(f"/link/{secret}", {**form.hidden, "password": OTHER})
    assert done.status == 303
    assert "<strong>ann</strong>" in (await browser.get("/")).text
    async with Browser(served.url) as other:
        assert (await other.log_in()).status == 403
        assert (await other.log_in("ann", OTHER)).status == 303


async def test_nobody_registers_where_it_is_closed(browser: Browser) -> None:
    assert "/register" not in (await browser.get("/login")).text
    assert (await browser.get("/register")).status == 404
    done = await browser.post("/register", {"name": "eve", "password": PASSWORD})
    assert done.status == 409
    assert not browser.cookies


async def test_anybody_registers_where_it_is_open(serve_hub: Callable[..., Any]) -> None:
    served = await serve_hub(auth={"hub": {"registration": "open"}})
    async with Browser(served.url) as browser:
        assert "/register" in (await browser.get("/login")).text
        assert (await browser.get("/register")).status == 200
        form = {"name": "eve", "password": PASSWORD}
        assert (await browser.post("/register", form | {"is_admin": "1"})).status == 400
        assert (await browser.post("/register", form)).status == 303
        assert "<strong>eve</strong>" in (await browser.get("/")).text
    assert not (await served.hub.accounts.users.find("eve")).is_admin


async def test_the_button_of_a_provider_is_a_link(serve_hub: Callable[..., Any]) -> None:
    """A form could not lead there: the pages' policy sends forms to this site only."""
    oidc = {
        "issuer": "https://id.example",
        "clientid": "registry",
        "clientsecret": "secret",
        "name": "Example <ID>",
    }
    served = await serve_hub(auth={"hub": {"oidc": oidc}})
    async with Browser(served.url) as browser:
        page = await browser.get("/login?next=/a%26b")
    assert 'href="/login/oidc?next=/a%26b">Log in with Example &lt;ID&gt;</a>' in page.text


# What every page is


async def test_a_page_runs_no_script(browser: Browser, user: User) -> None:
    markup = '"><script>alert(1)</script>'
    for page in (
        await browser.get("/login"),
        await browser.log_in(markup, OTHER),
        await browser.log_in("ann", OTHER, following="/" + markup),
        await browser.get("/link/" + "x" * 10),
    ):
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")
        assert "script" not in policy
        assert "<script" not in page.text
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-frame-options"] == "DENY"


async def test_the_style_sheet_is_cached_by_its_content(browser: Browser) -> None:
    page = await browser.get("/login")
    path = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    style = await browser.get(path)
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in style.headers["cache-control"]
    assert "prefers-color-scheme: dark" in style.text


async def test_no_form_takes_more_than_it_asks_for(browser: Browser, user: User) -> None:
    form = {"name": "ann", "password": PASSWORD, "is_admin": "1"}
    assert (await browser.post("/login", form)).status == 400
    big = {"name": "ann", "password": "x" * 70_000}
    assert (await browser.post("/login", big)).status == 413
