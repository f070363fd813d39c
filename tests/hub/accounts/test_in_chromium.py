"""The pages in a real browser: with its cookies, its ideas of origins, and the pages' policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest

from registry_server.hub.records.audit import OPERATOR
from tests.hub.accounts.chromium import Tab, tab
from tests.hub.accounts.people import OTHER, PASSWORD
from tests.hub.conftest import Served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("cheap_passwords"),
]


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Tab]:
    async with tab(tmp_path / "chromium") as found:
        yield found


async def test_the_first_administrator_and_the_next_login(served: Served, browser: Tab) -> None:
    secret = await served.hub.accounts.links.first_admin()
    await browser.open(f"{served.url}/link/{secret}")
    await browser.wait_for("The first administrator")
    await browser.fill_in(name="root", password="aaaaaaaaaaaaaaaa")
    await browser.press_button()
    await browser.wait_for("too easy to guess")
    await browser.fill_in(password=PASSWORD)
    await browser.press_button()
    await browser.wait_for("You are logged in as root.")
    assert await browser.value("document.cookie") == ""
    await browser.press_button()
    await browser.wait_for("User name")
    await browser.fill_in(name="root", password=OTHER)
    await browser.press_button()
    await browser.wait_for("The user name or the password is wrong.")
    await browser.fill_in(password=PASSWORD)
    await browser.press_button()
    await browser.wait_for("You are logged in as root.")
    assert browser.complaints == []


async def test_the_second_factor_and_a_new_password(served: Served, browser: Tab) -> None:
    accounts = served.hub.accounts
    ann = await accounts.users.create(OPERATOR, "ann", PASSWORD)
    secret = await accounts.links.for_password(OPERATOR, ann)
    await browser.open(f"{served.url}/link/{secret}")
    await browser.wait_for("Choose a password")
    await browser.fill_in(password=OTHER)
    await browser.press_button()
    await browser.wait_for("You are logged in as ann.")
    phone = pyotp.TOTP((await accounts.second_factor.offer(ann)).seed)
    codes = await accounts.second_factor.confirm(OPERATOR, ann, phone.now())
    await browser.open(f"{served.url}/")
    await browser.wait_for("User name")
    await browser.fill_in(name="ann", password=OTHER)
    await browser.press_button()
    await browser.wait_for("Second factor")
    await browser.fill_in(code="wrong")
    await browser.press_button()
    await browser.wait_for("The code is wrong")
    await browser.fill_in(code=codes[0])
    await browser.press_button()
    await browser.wait_for("You are logged in as ann.")
    assert browser.complaints == []


async def test_no_script_runs_on_a_page(served: Served, browser: Tab) -> None:
    """Not even one that somebody has got into it."""
    await browser.open(f"{served.url}/login")
    await browser.wait_for("User name")
    assert browser.complaints == []
    planted = "Object.assign(document.createElement('script'), {text: 'document.title = 1'})"
    await browser.value(f"document.body.append({planted})")
    assert "Log in" in await browser.value("document.title")
    assert "script" in browser.complaints[0]
