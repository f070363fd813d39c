"""What the driver asks of one bucket, each a blocking call.

Keys are relative to the root directory.  Nothing is ever overwritten: what is there already is what
was to be put there, for each key is used for one content only.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import requests
from qiniu import (  # type: ignore[import-untyped]
    Auth,
    build_batch_delete,
    build_batch_stat,
)
from qiniu.utils import entry, urlsafe_base64_encode  # type: ignore[import-untyped]

from registry_storage.drivers._object_layout import Listed, root_prefix
from registry_storage.drivers.api import Buffer, Part
from registry_storage.drivers.kodo.config import KodoConfig
from registry_storage.drivers.kodo.failures import Refusal, refused
from registry_storage.drivers.kodo.hosts import ServiceHosts, find_domain, find_hosts
from registry_storage.drivers.kodo.transport import Answer, Transport
from registry_storage.errors import AccessDenied, DriverError

GONE: Final = 612
"""No such object, or no such upload."""
EXISTS: Final = 614
INVALID: Final = 400

_BATCH: Final = 1000
"""The most operations of a batch, and keys of a page."""
_READ_SECONDS: Final = 3600
"""How long a URL holds that the driver reads by; it is checked when the answer begins."""
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload of one key."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class Pieces:
    """A request's body that is sent as it lies in memory, in several buffers."""

    buffers: Sequence[Buffer]

    def __len__(self) -> int:
        return sum(map(len, self.buffers))

    def __iter__(self) -> Iterator[Buffer]:
        return iter(self.buffers)


class Bucket:
    """The bucket, once `open` has found where it is served."""

    def __init__(self, config: KodoConfig, timeout: tuple[float, float]) -> None:
        self._config = config
        self._name = config.bucket
        self._root = root_prefix(config.rootdirectory)
        self._auth = Auth(config.accesskey, config.secretkey)
        self._transport = Transport(self._auth, timeout)
        self._hosts: ServiceHosts
        self._domain: str

    def open(self, probe: str) -> None:
        """Find the hosts, list, and ask the download domain for the key `probe`, which nobody has.

        Raises what stands in the way.
        """
        self._hosts = find_hosts(self._config, self._transport)
        self.page("", "", 1)
        self._domain = find_domain(self._config, self._transport)
        self._probe(probe)

    def close(self) -> None:
        """End the connections."""
        self._transport.close()

    # Objects

    def put(self, key: str, data: bytes) -> None:
        """Store a small object, or find it there."""
        key = self._root + key
        fields = {"token": self._transport.token(self._name, key), "key": key}
        if data:
            fields["crc32"] = str(zlib.crc32(data))
        self._transport.form(self._hosts.up, fields, data, expected=(EXISTS,))

    def stat(self, key: str) -> Listed | None:
        """What lies there, if anything."""
        path = f"/stat/{entry(self._name, self._root + key)}"
        answer = self._transport.manage(self._hosts.rs, path, key, expected=(GONE,))
        return None if answer.status == GONE else _listed(key, answer.fields)

    def stat_many(self, keys: Sequence[str]) -> Iterator[Listed]:
        """What lies at the keys, leaving out those where nothing is."""
        for key, status, found in self._batch(build_batch_stat, keys):
            if status != GONE:
                yield _listed(key, found)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete what lies at the keys, if anything."""
        for _ in self._batch(build_batch_delete, keys):
            pass

    def listing(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin so, in the order of their bytes."""
        marker = ""
        while True:
            page = self.page(prefix, marker, _BATCH)
            for item in page.get("items") or ():
                yield _listed(item["key"][len(self._root) :], item)
            marker = page.get("marker") or ""
            if not marker:
                return

    def page(self, prefix: str, marker: str, limit: int) -> dict[str, Any]:
        """A page of the listing as Kodo answers it."""
        params = {"bucket": self._name, "prefix": self._root + prefix, "limit": limit}
        if marker:
            params["marker"] = marker
        bucket = f"bucket {self._name}"
        return self._transport.query(self._hosts.rsf, "/list", params, bucket).fields

    # Multipart uploads, version 2

    def begin(self, key: str) -> Upload:
        """Begin an upload; Kodo forgets it after seven days."""
        path = self._uploads_path(key)
        answer = self._transport.upload("POST", self._hosts.up, path, self._name, self._root + key)
        return Upload(key, answer.told("uploadId"))

    def put_part(self, upload: Upload, number: int, pieces: Pieces) -> str | None:
        """Store a part and answer its ETag; None: there is no such upload."""
        digest = hashlib.md5(usedforsecurity=False)
        for buffer in pieces:
            digest.update(buffer)
        headers = {"Content-Type": "application/octet-stream", "Content-MD5": digest.hexdigest()}
        body = pieces if len(pieces) else b""
        answer = self._send("PUT", upload, f"/{number}", data=body, headers=headers)
        return None if answer.status == GONE else str(answer.told("etag"))

    def complete(self, upload: Upload, parts: Sequence[Part]) -> Refusal | None:
        """Publish the parts as one object; the refusal if it is `GONE`, `EXISTS` or `INVALID`."""
        listed = [{"etag": part.token, "partNumber": part.number} for part in parts]
        answer = self._send(
            "POST",
            upload,
            data=json.dumps({"parts": listed, "mimeType": "application/octet-stream"}),
            headers={"Content-Type": "application/json"},
            expected=(GONE, EXISTS, INVALID),
        )
        return None if answer.is_success else answer.refusal()

    def parts(self, upload: Upload) -> dict[int, str] | None:
        """The ETags of the stored parts by number; None: there is no such upload."""
        found: dict[int, str] = {}
        last = 0
        while True:
            answer = self._send("GET", upload, f"?max-parts={_BATCH}&part-number-marker={last}")
            if answer.status == GONE:
                return None
            page = answer.told("parts") or ()
            found |= {part["partNumber"]: part["etag"] for part in page}
            last = answer.fields.get("partNumberMarker") or 0
            if not (page and last):
                return found

    def abort(self, upload: Upload) -> None:
        """Forget the upload, if it is there, and its parts."""
        self._send("DELETE", upload)

    # Downloads

    def url(self, key: str, seconds: int) -> str:
        """A URL of the object, signed to hold that long where the bucket is private."""
        url = f"{self._domain}/{quote(self._root + key)}"
        if not self._config.private:
            return url
        signed: str = self._auth.private_download_url(url, seconds)
        return signed

    def download(self, key: str, start: int, stop: int | None) -> requests.Response:
        """The answer to a GET of these bytes, its status one of 200, 206, 404 and 416."""
        # Compressed on the way, neither lengths nor ranges would be the blob's.
        headers = {"Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        response = self._transport.download(self.url(key, _READ_SECONDS), headers, key)
        if response.status_code not in (200, 206, 404, 416):
            with response:
                raise refused(self._refused_download(response), key)
        if response.status_code == 200 and "Range" in headers:
            response.close()
            raise DriverError(
                f"{self._domain} ignores ranges: name a domain in storage.kodo.domain that serves "
                "parts of objects",
                location=key,
            )
        return response

    def _probe(self, key: str) -> None:
        with self._transport.download(self.url(key, 60), {}, key) as response:
            refusal = self._refused_download(response)
        if refusal.status in (401, 403):
            raise AccessDenied(
                f"{self._domain} refuses downloads ({refusal.status}, {refusal.text}): check that "
                "storage.kodo.domain is bound to the bucket, and that storage.kodo.private is true "
                "if the bucket is private"
            )
        if refusal.status // 100 == 2:
            raise DriverError(
                f"{self._domain} has something where the bucket has nothing: check that "
                "storage.kodo.domain is bound to the bucket"
            )
        if refusal.status != 404:
            raise refused(refusal, "downloads")

    def _refused_download(self, response: requests.Response) -> Refusal:
        return Refusal(response.status_code, response.text[:200], self._domain)

    def _uploads_path(self, key: str) -> str:
        return f"/buckets/{self._name}/objects/{urlsafe_base64_encode(self._root + key)}/uploads"

    def _send(
        self,
        method: str,
        upload: Upload,
        tail: str = "",
        expected: tuple[int, ...] = (GONE,),
        **content: Any,
    ) -> Answer:
        path = f"{self._uploads_path(upload.key)}/{quote(upload.upload_id, safe='')}{tail}"
        key = self._root + upload.key
        return self._transport.upload(
            method, self._hosts.up, path, self._name, key, expected=expected, **content
        )

    def _batch(self, build: Any, keys: Sequence[str]) -> Iterator[tuple[str, int, Any]]:
        """Each key with its status, which is a success or `GONE`, and what Kodo says."""
        for start in range(0, len(keys), _BATCH):
            some = list(keys[start : start + _BATCH])
            form = {"op": build(self._name, [self._root + key for key in some])}
            answer = self._transport.manage(self._hosts.rs, "/batch", f"bucket {self._name}", form)
            for key, result in zip(some, answer.content, strict=True):
                status, said = result["code"], result.get("data") or {}
                if status // 100 != 2 and status != GONE:
                    text = str(said.get("error", ""))
                    raise refused(Refusal(status, text, answer.host), key)
                yield key, status, said


def _listed(key: str, found: dict[str, Any]) -> Listed:
    stored_at = _BEGINNING + timedelta(microseconds=found["putTime"] // 10)
    return Listed(key, found["fsize"], stored_at)
