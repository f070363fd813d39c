"""Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.services.processes import unavailable

PROGRAM: Final = shutil.which("chromium")
SECONDS: Final = 30
"""How long anything may take."""


class Tab:
    """A page that somebody looks at."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0
        self.complaints: list[str] = []
        """What the page's policy forbade, and what went wrong in scripts."""

    async def call(self, method: str, **parameters: Any) -> Any:
        """The result of a method of the protocol."""
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive(SECONDS)).data)
            if message.get("id") == self._calls:
                return message.get("result")
            self._listen(message)

    def _listen(self, message: dict[str, Any]) -> None:
        text = json.dumps(message)
        is_policy = "contentSecurityPolicy" in text or "Content Security Policy" in text
        if is_policy or message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(text)

    async def value(self, expression: str) -> Any:
        """Of an expression of JavaScript."""
        found = await self.call("Runtime.evaluate", expression=expression)
        return found["result"].get("value")

    async def text(self) -> str:
        """What stands on the page, once all of it is there."""
        is_there = "document.readyState == 'complete'"
        return str(await self.value(f"{is_there} ? document.body.innerText : ''"))

    async def wait_for(self, text: str) -> None:
        """Return once the page says that."""
        deadline = time.monotonic() + SECONDS
        while text not in (seen := await self.text()):
            assert time.monotonic() < deadline, seen
            await asyncio.sleep(0.05)

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def fill_in(self, **fields: str) -> None:
        """Type into the fields of those ids."""
        for field, text in fields.items():
            await self.value(f"document.getElementById('{field}').select()")
            await self.call("Input.insertText", text=text)

    async def press_button(self) -> None:
        await self.value("document.querySelector('button').click()")


@asynccontextmanager
async def tab(directory: Path) -> AsyncIterator[Tab]:
    """A new browser with one tab; what it keeps lies in `directory`."""
    if PROGRAM is None:
        unavailable("chromium")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    profile = f"--user-data-dir={directory}"
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, *switches, profile, "about:blank"), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{await _port(directory)}/json"
            async with session.get(url) as answer:
                pages = [found for found in await answer.json() if found["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"]) as socket:
                found = Tab(socket)
                for domain in ("Page", "Log", "Runtime", "Audits"):
                    await found.call(f"{domain}.enable")
                yield found
    finally:
        process.terminate()
        await process.wait()


async def _port(directory: Path) -> int:
    """Where it listens, which it tells in a file."""
    deadline = time.monotonic() + SECONDS
    told = directory / "DevToolsActivePort"
    while not (text := told.read_text() if told.exists() else ""):
        assert time.monotonic() < deadline, "chromium does not start"
        await asyncio.sleep(0.05)
    return int(text.splitlines()[0])
