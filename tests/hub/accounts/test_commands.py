"""The commands for users, robots and tokens, and the first administrator's link at the start."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import bcrypt
import pytest

from tests.hub.accounts.browsers import Browser
from tests.hub.accounts.people import OTHER, PASSWORD
from tests.services.registry import (
    COMMAND,
    SECONDS,
    RegistryServer,
    clean_environment,
    run,
    wait_until,
)

pytestmark = pytest.mark.slow

LINK = re.compile(r"http://[\w.:]+(/link/rgl_[\w-]{43})\n")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {"REGISTRY_AUTH": "hub", "REGISTRY_DATA_DIRECTORY": str(tmp_path)}


def feed(text: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command that reads `text`."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=text,
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def rows(table: str) -> list[list[str]]:
    """The cells of a table's lines."""
    lines = [line for line in table.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_users(settings: dict[str, str]) -> None:
    made = feed(
        f"{PASSWORD}\n", "user", "create", "root", "--password-stdin", "--admin", **settings
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    link = run("user", "create", "ann", "--full-name", "Ann [b]Other[/b]", **settings)
    assert LINK.fullmatch(link.stdout)
    assert run("user", "disable", "ann", **settings).returncode == 0
    listed = rows(run("user", "list", **settings).stdout)
    assert [row[:4] for row in listed] == [
        ["ann", "Ann [b]Other[/b]", "", "disabled"],
        ["root", "", "", "admin"],
    ]
    refused = run("user", "link", "ann", **settings)
    assert refused.stderr == "registry-server: ann is disabled; enable the account before\n"
    assert run("user", "enable", "ann", **settings).returncode == 0
    assert LINK.fullmatch(run("user", "link", "ann", **settings).stdout)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["user", "disable", "nobody"], "there is no user nobody"),
        (["user", "create", "Ann"], "'Ann' cannot be the name of an account"),
        (["user", "import", "/nowhere"], "/nowhere: "),
        (["token", "create", "nobody", "ci"], "there is no user nobody"),
        (["robot", "create", "ci"], "ci: robots are called NAMESPACE+NAME"),
        (["robot", "create", "team+ci"], "there is no user or organisation team"),
        (["robot", "create", "team+ci", "--allow", "team/**"], "--allow team/**: not of the form"),
        (["robot", "create", "team+ci", "--allow", "a/**=read"], "'a/**' is not in team"),
        (["robot", "delete", "team+ci"], "there is no robot team+ci"),
    ],
)
def test_what_cannot_be_done_is_a_line(
    settings: dict[str, str], arguments: list[str], told: str
) -> None:
    done = run(*arguments, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"registry-server: {told}")


def test_without_a_hub_there_is_nobody(settings: dict[str, str]) -> None:
    done = run("user", "list", REGISTRY_DATA_DIRECTORY=settings["REGISTRY_DATA_DIRECTORY"])
    assert done.returncode == 1
    assert done.stderr.startswith("registry-server: auth.hub: there is no hub")


def test_a_short_password_is_refused(settings: dict[str, str]) -> None:
    done = feed("short\n", "user", "create", "ann", "--password-stdin", **settings)
    assert done.returncode == 1
    assert done.stderr == "registry-server: a password has at least 12 characters\n"


def test_tokens_and_robots(settings: dict[str, str]) -> None:
    run("user", "create", "ann", **settings)
    made = run("token", "create", "ann", "ci", "--allow", "ann/**=read", "--days", "3", **settings)
    assert re.fullmatch(r"rgp_[\w-]{43}\n", made.stdout)
    [token] = rows(run("token", "list", "ann", **settings).stdout)
    assert token[1:3] == ["ci", "ann/**=read"]
    assert token[4]
    assert run("token", "revoke", "ann", token[0], **settings).returncode == 0
    assert run("token", "revoke", "ann", token[0], **settings).returncode == 1
    made = run("robot", "create", "ann+ci", "--description", "builds", **settings)
    assert re.fullmatch(r"rgr_[\w-]{43}\n", made.stdout)
    [robot] = rows(run("robot", "list", "ann", **settings).stdout)
    assert robot[:3] == ["ann+ci", "ann/**=read", "builds"]
    assert run("robot", "delete", "ann+ci", **settings).returncode == 0
    assert rows(run("robot", "list", "ann", **settings).stdout) == []


async def test_users_of_an_htpasswd_file(tmp_path: Path, settings: dict[str, str]) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    file = tmp_path / "htpasswd"
    file.write_text(f"ann:{hashed}\nBob:{hashed}\n")
    done = run("user", "import", str(file), **settings)
    assert (done.returncode, done.stdout) == (1, "ann\n")
    assert done.stderr.startswith("registry-server: 'Bob' cannot be the name of an account")
    server = RegistryServer(tmp_path, {"REGISTRY_AUTH": "hub"}).start()
    try:
        async with Browser(server.url) as browser:
            assert (await browser.log_in("ann", PASSWORD)).status == 303
    finally:
        server.stop()


# The first start


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_first_start_prints_a_link_and_every_start_until_it_is_used(
    tmp_path: Path, workers: int
) -> None:
    """Once, however many workers there are; what was printed before is void when one was used."""
    server = RegistryServer(tmp_path, {"REGISTRY_AUTH": "hub"}, workers=workers).start()
    server.wait_for_log("/link/")
    server.stop()
    server.start()
    wait_until(lambda: len(printed(server)) == 2, server.log_end)
    earlier, link = printed(server)
    async with Browser(server.url) as browser:
        form = {"name": "root", "password": OTHER}
        assert (await browser.post(link, form)).status == 303
        assert (await browser.post(earlier, form | {"name": "eve"})).status == 404
    server.stop()
    server.start()
    server.stop()
    assert printed(server) == [earlier, link]


def printed(server: RegistryServer) -> list[str]:
    """The links that the starts of a server have printed so far."""
    return LINK.findall(server.log.read_text())


async def test_an_administrator_can_be_made_while_it_is_served(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    server = RegistryServer(tmp_path, {"REGISTRY_AUTH": "hub"}).start()
    try:
        done = feed(f"{PASSWORD}\n", "user", "create", "root", "--password-stdin", **settings)
        assert done.returncode == 0
        async with Browser(server.url) as browser:
            assert (await browser.log_in("root", PASSWORD)).status == 303
            assert run("user", "create", "other", "--admin", **settings).returncode == 0
            assert run("user", "disable", "root", **settings).returncode == 0
            assert (await browser.get("/")).headers["location"] == "/login"
    finally:
        server.stop()
