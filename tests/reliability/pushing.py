"""A client that pushes as a patient one would: after a cut line it asks where to go on."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from registry_storage import Digest, media_types

PATIENCE = 30.0
"""Seconds for which a server may be away."""
PIECE = 64 * 1024
_LINE_CUT = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Sends requests to the servers in turn, each over a connection of its own."""

    def __init__(
        self, urls: Sequence[str], dice: random.Random, patience: float = PATIENCE
    ) -> None:
        self._hosts = [urlsplit(url).netloc for url in urls]
        self._dice = dice
        self._patience = patience

    def send(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """One request to any of the servers.  Raises `OSError` or `HTTPException` on a cut line."""
        connection = http.client.HTTPConnection(
            self._dice.choice(self._hosts), timeout=self._patience
        )
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def insist(self, call: Callable[[], Answer]) -> Answer:
        """The answer to `call`, repeated while the line is cut or the server unavailable."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                answer = call()
                if answer.status != 503:
                    return answer
            except _LINE_CUT:
                pass
            assert time.monotonic() < deadline, "the server does not come back"
            time.sleep(0.05)

    def push_blob(self, repository: str, data: bytes) -> Digest:
        """Upload in chunks of random sizes; what the line cut off is continued."""
        digest = Digest.of(data)
        place = self.insist(lambda: self.send("POST", f"/v2/{repository}/blobs/uploads/"))
        assert place.status == 202, place
        location, offset = place.headers["Location"], 0
        while offset < len(data):
            # Never a single byte: the range 0-0 is also what an upload without bytes has.
            stop = min(len(data), offset + self._dice.randint(2, max(2, len(data))))
            if stop == len(data) and self._dice.random() < 0.5:
                break  # the rest goes with the PUT
            offset = self._patch(location, data, offset, stop)
        return self._finish(location, digest, data, offset)

    def _patch(self, location: str, data: bytes, start: int, stop: int) -> int:
        """Send a chunk; return how much the upload holds then, whatever became of the chunk."""
        try:
            answer = self.send("PATCH", location, _pieces(data[start:stop]), _range(start, stop))
            assert answer.status in (202, 416, 503), answer
        except _LINE_CUT:
            pass
        return self._held(location)

    def _held(self, location: str) -> int:
        answer = self.insist(lambda: self.send("GET", location))
        assert answer.status == 204, answer
        last = int(answer.headers["Range"].removeprefix("0-"))
        return last + 1 if last else 0

    def _finish(self, location: str, digest: Digest, data: bytes, offset: int) -> Digest:
        def put() -> Answer:
            rest = data[offset:]
            headers = _range(offset, len(data)) if rest else {}
            return self.send("PUT", f"{location}?digest={digest}", _pieces(rest), headers)

        answer = self.insist(put)
        while answer.status == 416:  # a PUT that was cut off has left a part of its body
            last = int(answer.headers["Range"].removeprefix("0-"))
            offset = last + 1 if last else 0
            answer = self.insist(put)
        assert answer.status == 201, answer
        return digest

    def push_manifest(self, repository: str, reference: str, document: Mapping[str, Any]) -> Digest:
        """Push a manifest under a tag."""
        payload = json.dumps(document).encode()
        headers = {"Content-Type": document["mediaType"]}
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self.insist(lambda: self.send("PUT", path, payload, headers))
        assert answer.status == 201, answer
        return Digest.of(payload)

    def pull(self, path: str) -> Answer:
        """GET, however often it takes."""
        return self.insist(lambda: self.send("GET", path))


def image(config: bytes, *layers: bytes) -> dict[str, Any]:
    """A manifest of these contents."""
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": _descriptor(config, media_types.OCI_CONFIG),
        "layers": [_descriptor(layer, media_types.OCI_LAYER) for layer in layers],
    }


def _descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": Digest.of(data), "size": len(data)}


def _range(start: int, stop: int) -> dict[str, str]:
    return {"Content-Range": f"{start}-{stop - 1}", "Content-Length": str(stop - start)}


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]
