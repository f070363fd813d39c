"""Temporary URLs: anybody who has one may read one object for a while.  Blocking, once.

The key that signs them lies in the metadata of the account or of the container, in one of two
slots, where only its owner can see it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import requests
from swiftclient import client as swift  # type: ignore[import-untyped]
from swiftclient.utils import generate_temp_url  # type: ignore[import-untyped]

from registry_storage.drivers.swift.account import Account, Cluster
from registry_storage.drivers.swift.config import SwiftConfig
from registry_storage.errors import AccessDenied, DriverError

_SLOTS: Final = ("temp-url-key", "temp-url-key-2")
_PROBE: Final = "no-object-of-this-name"

logger = logging.getLogger(__name__)


class TemporaryUrls:
    """Signs, once it has found a key with which the cluster lets somebody in."""

    def __init__(self, account: Account, config: SwiftConfig, cluster: Cluster) -> None:
        self._account = account
        self._config = config
        self._digest = cluster.tempurl_digest
        self._key: str | None = None
        self._public = ""

    def open(self) -> None:
        """Find the key, or set it; without one that works there are no URLs."""
        self._public = self._config.redirectendpoint or _origin(self._account.public_url())
        self._key = self._usable_key() if self._digest else None
        if self._key and not self._lets_in():
            logger.warning(
                "%s does not accept temporary URLs signed with the key of its %s: clients are "
                "not redirected (storage.swift.secretkey, storage.swift.tempurlcontainerkey)",
                self._account.url,
                self._holder,
            )
            self._key = None

    def url(self, name: str, valid_for: float, method: str) -> str | None:
        """Of the object of that name; None: there are no such URLs."""
        if self._key is None or method not in self._config.tempurlmethods:
            return None
        return self._public.rstrip("/") + self._signed(name, valid_for, method)

    def _signed(self, name: str, valid_for: float, method: str) -> str:
        """Path and query.  The signature covers the path before it is quoted."""
        account = unquote(urlsplit(self._account.url).path)
        signed: str = generate_temp_url(
            f"{account}/{self._config.container}/{name}",
            max(1, int(valid_for)),
            self._key,
            method,
            digest=self._digest,
        )
        path, _, query = signed.partition("?")
        return f"{quote(path)}?{query}"

    def _lets_in(self) -> bool:
        """With a good signature the cluster says that an object is missing; else 401 or 403."""
        url = _origin(self._account.url) + self._signed(_PROBE, 60, "HEAD")
        with self._account.translator.translating("a temporary URL"):
            answer = requests.head(
                url, timeout=self._config.timeout, verify=not self._config.insecureskipverify
            )
        return answer.status_code == 404

    @property
    def _holder(self) -> str:
        return "container" if self._config.tempurlcontainerkey else "account"

    def _usable_key(self) -> str | None:
        wanted = self._config.secretkey
        try:
            keys = self._keys()
        except AccessDenied:  # only the owner sees the keys: then he has set ours, or has not
            return wanted
        if wanted is None:
            return next(iter(keys.values()), None)
        if wanted not in keys.values():
            self._set(wanted, keys)
        return wanted

    def _keys(self) -> dict[str, str]:
        """Those that are set, by slot."""
        headers: Mapping[str, str]
        if self._config.tempurlcontainerkey:
            headers = self._account.call(
                "reading the container's key", swift.head_container, self._config.container
            )
        else:
            headers = self._account.call("reading the account's key", swift.head_account)
        found = {slot: headers.get(f"x-{self._holder}-meta-{slot}") for slot in _SLOTS}
        return {slot: key for slot, key in found.items() if key}

    def _set(self, key: str, keys: Mapping[str, str]) -> None:
        slot = next((slot for slot in _SLOTS if slot not in keys), None)
        if slot is None:
            raise DriverError(
                f"storage.swift.secretkey: the {self._holder} has two other keys of temporary "
                "URLs: set it to one of them, or remove one"
            )
        header = {f"x-{self._holder}-meta-{slot}": key}
        what = f"setting a key of temporary URLs in the {self._holder}"
        if self._config.tempurlcontainerkey:
            self._account.call(what, swift.post_container, self._config.container, header)
        else:
            self._account.call(what, swift.post_account, header)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
