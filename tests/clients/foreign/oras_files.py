"""Push and pull files with oras-py; runs in the clients' interpreter, in the files' folder.

The standard input is a JSON object of arguments: `action` (a method of `OrasClient`), `options` for
it, and `login` (user and password) where there is one.  `subject` names a manifest of the same
registry that the pushed one refers to.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import oras.client
import oras.oci


def main(
    action: str, options: dict[str, Any], login: tuple[str, ...] = (), subject: str = ""
) -> None:
    """Call the client as the arguments say, and print what it answers."""
    client = oras.client.OrasClient(insecure=True, auth_backend="basic")
    if login:
        client.auth.set_basic_auth(*login)
    if subject:
        response = client.do_request(f"http://{subject}", "GET", headers={"Accept": "*/*"})
        media_type, body = response.headers["Content-Type"], response.content
        digest = response.headers["Docker-Content-Digest"]
        options["subject"] = oras.oci.Subject(media_type, digest, len(body))
    print(getattr(client, action)(**options))


main(**json.load(sys.stdin))
