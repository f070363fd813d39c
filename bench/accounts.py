"""Our server with accounts: users, and tokens that they get as docker gets them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.servers import PASSWORD, Server, ours

_HUB: Final = {"hub": {"tokens": {"lifetime": "1h"}, "rates": {"tokens": 10_000_000}}}


@contextmanager
def with_accounts(scratch: Path, name: str, *users: str) -> Iterator[Server]:
    """One worker with `auth: hub`, and users whose password is `PASSWORD`."""
    with ours(scratch, workers=1, name=name, access=(_HUB, None)) as server:
        config = str(server.root.parent / "config.yml")
        for user in users:
            create = (sys.executable, "-m", "registry_server", "user", "create", user, config)
            subprocess.run([*create, "--password-stdin"], input=PASSWORD, text=True, check=True)
        yield server


def login(user: str) -> str:
    """The value of `Authorization` by name and password."""
    return "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()


def bearer(server: Server, *scopes: str, user: str | None = None) -> str:
    """The value of `Authorization` with a token for these scopes; no user: nobody's."""
    query = "".join(f"&scope={scope}" for scope in scopes)
    headers = {"Authorization": login(user)} if user else {}
    request = urllib.request.Request(f"{server.url}/token?service=registry{query}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return f"Bearer {json.load(answer)['token']}"
