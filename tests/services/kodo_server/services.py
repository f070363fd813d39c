"""The requests: uc, up, rs and rsf on each region's port, downloads on each bucket's."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from tests.services.kodo_server.signatures import (
    Keys,
    Refused,
    UploadPolicy,
    check_download,
    check_request,
    decoded,
    encoded,
    upload_policy,
)
from tests.services.kodo_server.space import LARGEST_PART, LAST_PART, Bucket, Space

BATCH = 1000
Handler = Callable[[web.Request], Any]


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers what is refused as Kodo does."""
    try:
        return await handler(request)
    except Refused as refused:
        body = {"code": refused.status, "error": refused.error}
        return web.json_response(body, status=refused.status)


async def tell_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer has an id: the SDK tells Kodo by it."""
    response.headers["X-Reqid"] = "of-a-test"


@dataclass(slots=True)
class Region:
    """The services of one region; `domains` are the hosts that a query for it is answered with."""

    name: str
    keys: Keys
    space: Space
    hosts: Mapping[str, str]

    def routes(self) -> list[web.RouteDef]:
        """Everything that its port answers."""
        object_path = "/buckets/{bucket}/objects/{key}/uploads"
        return [
            web.get("/v4/query", self.query),
            web.post("/v2/domains", self.domains),
            web.post("/", self.form),
            web.post(object_path, self.begin),
            web.put(object_path + "/{id}/{number}", self.put_part),
            web.post(object_path + "/{id}", self.complete),
            web.get(object_path + "/{id}", self.list_parts),
            web.delete(object_path + "/{id}", self.abort),
            web.post("/batch", self.batch),
            web.post("/{operation:(stat|delete|move|copy)}/{rest:.*}", self.operate),
            web.get("/list", self.list),
        ]

    # uc

    async def query(self, request: web.Request) -> web.Response:
        """Which hosts serve a bucket; asked without a signature."""
        if request.query["ak"] != self.keys.access:
            raise Refused(612, "app/accesskey is not found")
        bucket = self.space.buckets.get(request.query["bucket"])
        if bucket is None:
            raise Refused(631, "no such bucket")
        domains = {"domains": [self.hosts[bucket.region]], "acc_domains": []}
        services = dict.fromkeys(("up", "io", "rs", "rsf", "api", "uc"), domains)
        hosts = [{"region": bucket.region, "ttl": 86400, **services}]
        return web.json_response({"hosts": hosts})

    async def domains(self, request: web.Request) -> web.Response:
        await self._check(request)
        bucket = self.space.buckets.get(request.query["tbl"])
        if bucket is None:
            raise Refused(631, "no such bucket")
        return web.json_response([bucket.domain] if bucket.domain else [])

    # up

    async def form(self, request: web.Request) -> web.Response:
        """A form upload: fields first, the file last."""
        fields: dict[str, str] = {}
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.name == "file":
                return await self._form_file(fields, part)
            fields[str(part.name)] = await part.text()
        raise Refused(400, "file is not specified")

    async def _form_file(self, fields: Mapping[str, str], part: BodyPartReader) -> web.Response:
        policy = self._policy(fields.get("token"))
        bucket = self._up_bucket(policy.fields["scope"].partition(":")[0])
        content = await self.space.receive(_chunks(part))
        try:
            if int(fields.get("crc32", content.crc32)) != content.crc32:
                raise Refused(406, "crc32 mismatch")
            key = fields.get("key", content.etag)
            mime = part.headers.get("Content-Type", "application/octet-stream")
            return web.json_response(self.space.put(bucket, key, [content], mime, policy))
        except Refused:
            content.file.unlink()
            raise

    async def begin(self, request: web.Request) -> web.Response:
        bucket, key, _ = self._target(request)
        return web.json_response(self.space.begin(bucket, key))

    async def put_part(self, request: web.Request) -> web.Response:
        bucket, key, _ = self._target(request)
        upload_id, number = request.match_info["id"], int(request.match_info["number"])
        self.space.upload(bucket, key, upload_id)
        if not 1 <= number <= LAST_PART or request.content_length is None:
            raise Refused(400, "invalid part number, or no length")
        if request.content_length > LARGEST_PART:
            raise Refused(413, "request entity is too large")
        content = await self.space.receive(request.content.iter_any())
        try:
            if request.headers.get("Content-MD5", content.md5) != content.md5:
                raise Refused(406, "md5 mismatch")
            upload = self.space.upload(bucket, key, upload_id)
        except Refused:
            content.file.unlink()
            raise
        return web.json_response(self.space.add_part(upload, number, content))

    async def complete(self, request: web.Request) -> web.Response:
        bucket, key, policy = self._target(request)
        order = await request.json()
        answer = self.space.complete(bucket, request.match_info["id"], key, order, policy)
        return web.json_response(answer)

    async def list_parts(self, request: web.Request) -> web.Response:
        bucket, key, _ = self._target(request)
        upload = self.space.upload(bucket, key, request.match_info["id"])
        after = int(request.query.get("part-number-marker", 0))
        most = int(request.query.get("max-parts", 1000))
        numbers = sorted(number for number in upload.parts if number > after)
        page = numbers[:most]
        parts = [
            {"partNumber": n, "size": upload.parts[n].size, "etag": upload.parts[n].etag}
            for n in page
        ]
        answer = {
            "uploadId": request.match_info["id"],
            "expireAt": int(upload.expires),
            "partNumberMarker": page[-1] if len(numbers) > most else 0,
            "parts": parts,
        }
        return web.json_response(answer)

    async def abort(self, request: web.Request) -> web.Response:
        bucket, key, _ = self._target(request)
        self.space.upload(bucket, key, request.match_info["id"])
        self.space.forget(bucket, request.match_info["id"])
        return web.Response()

    def _target(self, request: web.Request) -> tuple[Bucket, str, UploadPolicy]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        policy = self._policy(token if scheme == "UpToken" else None)
        bucket = self._up_bucket(request.match_info["bucket"])
        key = decoded(request.match_info["key"])
        policy.check(bucket.name, key)
        return bucket, key, policy

    def _policy(self, token: str | None) -> UploadPolicy:
        return upload_policy(self.keys, token, self.space.now())

    def _up_bucket(self, name: str) -> Bucket:
        bucket = self.space.buckets.get(name)
        if bucket is None:
            raise Refused(631, "no such bucket")
        if bucket.region != self.name:
            host = self.hosts[bucket.region]
            raise Refused(400, f"incorrect region, please use {host}, bucket is: {name}")
        return bucket

    # rs

    async def operate(self, request: web.Request) -> web.Response:
        await self._check(request)
        answer = self._operation(request.path)
        return web.json_response(answer) if answer is not None else web.Response()

    async def batch(self, request: web.Request) -> web.Response:
        """Up to 1000 operations, each with a result of its own."""
        operations = parse_qsl((await self._check(request)).decode())
        if len(operations) > BATCH:
            raise Refused(400, "too many operations")
        results = [self._result(operation) for _, operation in operations]
        partly = any(result["code"] != 200 for result in results)
        return web.json_response(results, status=298 if partly else 200)

    def _result(self, operation: str) -> dict[str, Any]:
        try:
            answer = self._operation(operation)
        except Refused as refused:
            return {"code": refused.status, "data": {"error": refused.error}}
        return {"code": 200} if answer is None else {"code": 200, "data": answer}

    def _operation(self, path: str) -> dict[str, Any] | None:
        verb, *words = path.strip("/").split("/")
        bucket, key = self._entry(words[0])
        if verb == "stat":
            return bucket.object(key).facts()
        if verb == "delete":
            self.space.delete(bucket, key)
        elif verb in ("move", "copy"):
            to, new = self._entry(words[1])
            self.space.copy(bucket, key, to, new, force=words[2:] == ["force", "true"])
            if verb == "move":
                self.space.delete(bucket, key)
        else:
            raise Refused(400, "invalid operation")
        return None

    def _entry(self, text: str) -> tuple[Bucket, str]:
        name, _, key = decoded(text).partition(":")
        return self.space.bucket(name, self.name), key

    # rsf

    async def list(self, request: web.Request) -> web.Response:
        """A page: keys in the order of their bytes, and a marker if there are more."""
        await self._check(request)
        query = request.query
        bucket = self.space.bucket(query["bucket"], self.name)
        prefix, limit = query.get("prefix", ""), int(query.get("limit", 1000))
        if not 1 <= limit <= 1000:
            raise Refused(400, "invalid limit")
        after = _marked_key(query.get("marker", ""))
        keys = sorted(
            (key for key in bucket.objects if key.startswith(prefix) and key > after),
            key=str.encode,
        )
        items = [{"key": key, **bucket.objects[key].facts(), "status": 0} for key in keys[:limit]]
        answer: dict[str, Any] = {"items": items}
        if len(keys) > limit:
            answer["marker"] = encoded(json.dumps({"c": 0, "k": keys[limit - 1]}).encode())
        return web.json_response(answer)

    async def _check(self, request: web.Request) -> bytes:
        body = await request.read()
        check_request(
            self.keys, request.method, request.raw_path, request.headers, body, self.space.now()
        )
        return body


@dataclass(slots=True)
class Domain:
    """A bucket's download domain."""

    keys: Keys
    space: Space
    bucket: Bucket

    def routes(self) -> list[web.RouteDef]:
        """GET and HEAD of anything."""
        return [web.get("/{key:.*}", self.download)]

    async def download(self, request: web.Request) -> web.StreamResponse:
        """An object, or a range of it."""
        if self.bucket.is_private:
            url = f"http://{request.host}{request.raw_path}"
            check_download(self.keys, url, self.space.now())
        stored = self.bucket.objects.get(request.match_info["key"])
        if stored is None:
            raise Refused(404, "Document not found")
        headers = {"ETag": f'"{stored.etag}"', "Accept-Ranges": "bytes"}
        start, stop, status = 0, stored.size, 200
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
            start, stop, status = int(wanted[1]), _stop(wanted[2], stored.size), 206
            if start >= stored.size:
                raise Refused(416, "requested range not satisfiable")
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_type = stored.mime
        response.content_length = stop - start
        await response.prepare(request)
        if request.method != "HEAD":
            if request.get("truncated"):
                stop = (start + stop) // 2
            for piece in stored.pieces(start, stop):
                await response.write(piece)
        return response


def _stop(text: str, size: int) -> int:
    return min(int(text) + 1, size) if text else size


def _marked_key(marker: str) -> str:
    if not marker:
        return ""
    try:
        key: str = json.loads(decoded(marker))["k"]
    except (Refused, ValueError, KeyError):
        raise Refused(640, "invalid marker") from None
    return key


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(1 << 20):
        yield bytes(chunk)
