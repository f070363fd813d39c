"""No secret is in a log, a file or an error: a server is driven with canaries, and all is searched.

What the operator is to have is the exception: links, on the terminal.
"""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path

import aiohttp
import pytest

from tests.hub.accounts.browsers import Browser
from tests.services.registry import RegistryServer, run

CANARY = "canary-in-the-coal-mine"
WRONG = "canary-that-is-no-password"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_secret_is_written_anywhere(tmp_path: Path, workers: int) -> None:
    settings = {"REGISTRY_AUTH": "hub", "REGISTRY_LOG_LEVEL": "debug"}
    server = RegistryServer(tmp_path, settings, workers=workers).start()
    try:
        link = printed_link(server)
        secrets = await use_everything(server, link)
    finally:
        server.stop()
    assert "/v2/" in server.log.read_text()  # it does tell what was asked for
    assert found_in(server, link, [CANARY, WRONG, *secrets]) == []


def found_in(server: RegistryServer, link: str, secrets: list[str]) -> list[tuple[str, str]]:
    """Which of the secrets are in which file; the link may be once in the log."""
    kept = {path: path.read_bytes() for path in server.directory.rglob("*") if path.is_file()}
    assert any(path.name == "hub.sqlite" for path in kept)
    kept[server.log] = kept[server.log].replace(link.encode(), b"", 1)
    return [
        (path.name, secret)
        for path, content in kept.items()
        for secret in secrets
        if secret.encode() in content
    ]


def printed_link(server: RegistryServer) -> str:
    server.wait_for_log("/link/rgl_")
    [found] = re.findall(r"/link/rgl_[\w-]{43}", server.log.read_text())
    return str(found)


async def use_everything(server: RegistryServer, link: str) -> list[str]:
    """Log in, rightly and wrongly, by all that there is; the secrets that came up."""
    settings = {"REGISTRY_AUTH": "hub", "REGISTRY_DATA_DIRECTORY": str(server.directory)}
    async with Browser(server.url) as browser:
        done = await browser.post(link, {"name": "root", "password": CANARY})
        assert done.status == 303
        await browser.log_in("root", WRONG)
        cookie = browser.cookies["session"]
        home = await browser.get("/")
        token = run("token", "create", "root", "ci", **settings).stdout.strip()
        robot = run("robot", "create", "root+ci", **settings).stdout.strip()
        assert token.startswith("rgp_")
        assert robot.startswith("rgr_")
        texts = [
            await asked(browser.session, server, name, password)
            for name, password in [
                ("root", CANARY),
                ("root", WRONG),
                ("nobody", CANARY),
                ("root", token),
                ("root", robot),
                ("root+ci", robot),
            ]
        ]
        await browser.post(link, {"name": "eve", "password": CANARY})
    refresh = re.findall(r"rgf_[\w-]{43}", "".join(texts))
    assert refresh
    secrets = [link.removeprefix("/link/"), cookie, home.hidden["csrf"], token, robot, *refresh]
    return [*secrets, *(basic("root", secret) for secret in (CANARY, WRONG, token))]


def basic(name: str, password: str) -> str:
    return b64encode(f"{name}:{password}".encode()).decode()


async def asked(
    session: aiohttp.ClientSession, server: RegistryServer, name: str, password: str
) -> str:
    """What came back from the token service, the API and the registry."""
    headers = {"Authorization": f"Basic {basic(name, password)}"}
    texts = []
    for path in ("/token?service=registry&offline_token=true", "/api/v1/user", "/v2/", "/nowhere"):
        async with session.get(f"{server.url}{path}", headers=headers) as answer:
            texts.append(await answer.text())
    for text in texts[1:]:
        assert password not in text
    return texts[0]
