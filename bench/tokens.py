"""What checking a token costs a pull: the same manifest from an open server and behind tokens."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from bench.client import push_image
from bench.content import MANIFEST_TYPE, Image
from bench.servers import Access, Server, ours
from bench.tools import wrk

REPOSITORY = "bench/manifest"
ROUNDS = 5
CONNECTIONS = 16
HOUR = 3600


def cpu_per_request(scratch: Path, seconds: int) -> tuple[float, float]:
    """CPU seconds for each GET of a manifest: of the open server, and of the one with tokens."""
    with (
        _server(scratch, "open", ({"none": {}}, None)) as open_server,
        _server(scratch, "token", _tokens(scratch)) as guarded,
    ):
        servers = (open_server, guarded)
        turns = [[_measure(server, seconds) for server in servers] for _ in range(ROUNDS)]
    plain, checked = zip(*turns, strict=True)
    return statistics.median(plain), statistics.median(checked)


@contextmanager
def _server(scratch: Path, name: str, access: Access) -> Iterator[Server]:
    with ours(scratch, workers=1, name=f"token-manifest-{name}", access=access) as server:
        with server.connect() as connection:
            push_image(connection, REPOSITORY, "latest", Image.make("manifest"))
        yield server


def _measure(server: Server, seconds: int) -> float:
    url = f"{server.url}/v2/{REPOSITORY}/manifests/latest"
    headers = [*server.headers, f"Accept: {MANIFEST_TYPE}"]
    wrk(url, connections=CONNECTIONS, seconds=1, headers=headers)  # warm
    before = server.cpu_seconds()
    load = wrk(url, connections=CONNECTIONS, seconds=seconds, headers=headers)
    return (server.cpu_seconds() - before) / load.requests


def _tokens(scratch: Path) -> Access:
    """The section of the configuration, and a token for all of the benchmark."""
    key = generate_private_key(SECP256R1())
    public = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "bench"}
    file = scratch / "token-manifest.jwks"
    file.write_text(json.dumps({"keys": [public]}))
    now = int(time.time())
    access = [{"type": "repository", "name": REPOSITORY, "actions": ["pull", "push"]}]
    claims = {"iss": "bench", "sub": "bench", "aud": "bench", "jti": "1", "access": access}
    times = {"iat": now, "nbf": now, "exp": now + HOUR}
    token = jwt.encode({**claims, **times}, key, "ES256", {"kid": "bench"})
    settings = {"realm": "http://127.0.0.1/token", "service": "bench", "issuer": "bench"}
    return {"token": {**settings, "jwks": str(file)}}, f"Bearer {token}"
