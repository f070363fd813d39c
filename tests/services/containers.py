"""A scratch folder in a Swift account, and what a test does to it behind the driver's back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from swiftclient import client as swift  # type: ignore[import-untyped]

CONTAINERS = ("registry", "registry-segments")
"""The driver makes them, once in each server: that takes some servers a second or two."""


class Login(Protocol):
    """An account that v1 authentication lets in."""

    @property
    def auth_url(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ScratchFolder:
    """A prefix that nobody else uses."""

    login: Login
    connection: swift.Connection
    """The SDK's own, for whatever a test is up to."""
    prefix: str = field(default_factory=lambda: f"test {secrets.token_hex(6)}")

    @property
    def settings(self) -> dict[str, Any]:
        """Of a driver over it."""
        return {
            "authurl": self.login.auth_url,
            "username": self.login.user,
            "password": self.login.key,
            "container": CONTAINERS[0],
            "prefix": f"/{self.prefix}",
        }

    def names(self) -> list[str]:
        """The names of all objects."""
        return [f"{container}/{name}" for container, name in self._objects()]

    def put(self, key: str, data: bytes) -> None:
        """Store an object."""
        self.connection.put_object(CONTAINERS[0], f"{self.prefix}/{key}", data)

    def delete(self, part_of_name: str) -> int:
        """Delete the objects whose names contain that; how many they were."""
        doomed = [(container, name) for container, name in self._objects() if part_of_name in name]
        if doomed:
            body = "\n".join(quote(f"{container}/{name}") for container, name in doomed)
            text = {"Content-Type": "text/plain", "Accept": "application/json"}
            _, told = self.connection.post_account(text, query_string="bulk-delete", data=body)
            assert json.loads(told)["Number Deleted"] == len(doomed), told
        return len(doomed)

    def _objects(self) -> list[tuple[str, str]]:
        return [
            (container, item["name"])
            for container in CONTAINERS
            for item in self._listed(container)
        ]

    def _listed(self, container: str) -> list[dict[str, Any]]:
        try:
            _, found = self.connection.get_container(
                container, prefix=f"{self.prefix}/", full_listing=True
            )
        except swift.ClientException as error:
            if error.http_status != 404:
                raise
            return []
        return list(found)


@contextmanager
def scratch_folder(login: Login) -> Iterator[ScratchFolder]:
    """One that is empty when the context is left."""
    connection = swift.Connection(login.auth_url, login.user, login.key, retries=0)
    folder = ScratchFolder(login, connection)
    try:
        yield folder
    finally:
        folder.delete("")
        connection.close()
