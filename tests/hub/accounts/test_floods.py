"""Many logins at once: passwords cost their full price, and nobody else waits for that."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from statistics import median

import pytest

from registry_server.hub.accounts import passwords
from tests.hub.accounts.browsers import Browser
from tests.hub.accounts.people import PASSWORD
from tests.hub.conftest import Served

LOGINS = 60
WAITING = 20


@pytest.mark.slow
async def test_a_flood_of_logins_is_turned_away_and_others_are_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by another name, so that no limit of names is in the way."""
    monkeypatch.setattr(passwords, "MAX_WAITING", WAITING)
    async with Browser(served.url) as browser:
        flood = [
            asyncio.create_task(browser.log_in(f"nobody{number}", PASSWORD))
            for number in range(LOGINS)
        ]
        waits = []
        while not all(login.done() for login in flood):
            began = time.monotonic()
            assert (await browser.get("/livez")).status == 200
            waits.append(time.monotonic() - began)
    answers = [login.result() for login in flood]
    statuses = Counter(answer.status for answer in answers)
    assert statuses.keys() == {403, 429}
    assert statuses[403] >= WAITING
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status == 429)
    assert median(waits) < 0.25
