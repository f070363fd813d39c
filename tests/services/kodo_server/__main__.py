"""The program: `python -m tests.services.kodo_server FOLDER PORT ACCESSKEY SECRETKEY`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.services.kodo_server.faults import CONTROL, Fault, Faults
from tests.services.kodo_server.services import Domain, Region, refusals, tell_request_id
from tests.services.kodo_server.signatures import Keys
from tests.services.kodo_server.space import Bucket, Space

ABOUT = "a stand-in for Qiniu Kodo, made for tests"


@dataclass(slots=True)
class Program:
    """Regions and domains, each an application on a port, and what steers them."""

    keys: Keys
    space: Space
    faults: Faults = field(default_factory=Faults)
    hosts: dict[str, str] = field(default_factory=dict)
    runners: dict[str, web.AppRunner] = field(default_factory=dict)

    async def run(self, port: int) -> None:
        """Serve until cancelled."""
        for name, on in (("z0", port), ("z1", 0)):
            region = Region(name, self.keys, self.space, self.hosts)
            self.hosts[name] = await self._serve(name, [*self._controls(), *region.routes()], on)
        await asyncio.Event().wait()

    async def _serve(self, name: str, routes: Iterable[web.RouteDef], port: int) -> str:
        app = web.Application(
            middlewares=[self.faults.middleware(), refusals], client_max_size=1 << 30
        )
        app.add_routes(routes)
        app.on_response_prepare.append(tell_request_id)
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.runners[name] = runner
        return "{}:{}".format(*runner.addresses[0])

    # What Kodo does not have

    def _controls(self) -> list[web.RouteDef]:
        return [
            web.get(f"{CONTROL}about", self.about),
            web.post(f"{CONTROL}buckets", self.make_bucket),
            web.get(CONTROL + "buckets/{name}", self.show_bucket),
            web.delete(CONTROL + "buckets/{name}", self.drop_bucket),
            web.post(CONTROL + "buckets/{name}/age", self.age_uploads),
            web.put(f"{CONTROL}faults", self.set_faults),
            web.get(f"{CONTROL}requests", self.show_requests),
            web.put(f"{CONTROL}clock", self.set_clock),
        ]

    async def about(self, request: web.Request) -> web.Response:
        return web.json_response({"about": ABOUT, "hosts": self.hosts})

    async def make_bucket(self, request: web.Request) -> web.Response:
        bucket = Bucket(**await request.json())
        self.space.buckets[bucket.name] = bucket
        routes = Domain(self.keys, self.space, bucket).routes()
        bucket.domain = await self._serve(f"domain of {bucket.name}", routes, 0)
        return web.Response()

    async def show_bucket(self, request: web.Request) -> web.Response:
        bucket = self.space.buckets[request.match_info["name"]]
        uploads = {
            upload_id: {"key": upload.key, "parts": {n: p.size for n, p in upload.parts.items()}}
            for upload_id, upload in bucket.uploads.items()
            if upload.expires >= self.space.now()
        }
        objects = {key: stored.size for key, stored in bucket.objects.items()}
        answer = {"domain": bucket.domain, "objects": objects, "uploads": uploads}
        return web.json_response(answer)

    async def age_uploads(self, request: web.Request) -> web.Response:
        """Let its uploads have begun so many seconds earlier."""
        seconds = float(await request.json())
        for upload in self.space.buckets[request.match_info["name"]].uploads.values():
            upload.expires -= seconds
        return web.Response()

    async def drop_bucket(self, request: web.Request) -> web.Response:
        bucket = self.space.buckets.pop(request.match_info["name"])
        for key in list(bucket.objects):
            self.space.delete(bucket, key)
        for upload_id in list(bucket.uploads):
            self.space.forget(bucket, upload_id)
        await self.runners.pop(f"domain of {bucket.name}").cleanup()
        return web.Response()

    async def set_faults(self, request: web.Request) -> web.Response:
        asked: list[dict[str, Any]] = await request.json()
        self.faults.set([Fault(**fault) for fault in asked])
        return web.Response()

    async def show_requests(self, request: web.Request) -> web.Response:
        return web.json_response(self.faults.requests)

    async def set_clock(self, request: web.Request) -> web.Response:
        self.space.ahead = float(await request.json())
        return web.Response()


def main() -> None:
    """Serve, with what the command line says."""
    folder, port, access, secret = sys.argv[1:]
    asyncio.run(Program(Keys(access, secret), Space(Path(folder))).run(int(port)))


main()
