"""Who the tests are about."""

from __future__ import annotations

from typing import Final

from registry_server.hub.accounts import Accounts
from registry_server.hub.accounts.sessions import Browser, Opened
from registry_server.hub.records.audit import By

PASSWORD: Final = "correct horse battery"
OTHER: Final = "another long password"
BY: Final = By("root", "192.0.2.1", "request-1")
ADDRESS: Final = "192.0.2.7"
FIREFOX: Final = Browser(ADDRESS, "Firefox")


async def log_in(accounts: Accounts, name: str = "ann", password: str = PASSWORD) -> Opened:
    """A new session in a browser."""
    opened = await accounts.sign_in.by_password(name, password, FIREFOX)
    assert isinstance(opened, Opened)
    return opened


async def any_name(_name: str) -> None:
    """Whoever asks may be called so."""
