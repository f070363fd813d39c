"""Who may do what: upload tokens, signed management requests, download URLs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SKEW_SECONDS = 15 * 60
FORM = "application/x-www-form-urlencoded"


class Refused(Exception):
    """An answer of Kodo that is no success."""

    def __init__(self, status: int, error: str) -> None:
        self.status = status
        self.error = error
        super().__init__(f"{status} {error}")


def encoded(data: bytes) -> str:
    """URL-safe base64, padded."""
    return base64.urlsafe_b64encode(data).decode()


def decoded(text: str) -> str:
    """The reverse of `encoded`; `Refused` where that is not what `text` is."""
    try:
        return base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, ValueError):
        raise Refused(400, "invalid base64") from None


@dataclass(frozen=True, slots=True)
class Keys:
    """An account's key pair."""

    access: str
    secret: str

    def token(self, data: bytes) -> str:
        """What signs `data`."""
        return f"{self.access}:{encoded(hmac.digest(self.secret.encode(), data, hashlib.sha1))}"

    def signed(self, token: str, data: bytes) -> bool:
        """Whether `token` is what signs `data`."""
        return hmac.compare_digest(token.encode(), self.token(data).encode())


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """What an upload token allows."""

    fields: Mapping[str, Any]

    @property
    def insert_only(self) -> bool:
        return bool(self.fields.get("insertOnly"))

    @property
    def names_a_key(self) -> bool:
        return ":" in self.fields["scope"]

    def check(self, bucket: str, key: str) -> None:
        """`Refused` unless the token is for this key of this bucket."""
        scope, colon, scoped = self.fields["scope"].partition(":")
        if scope != bucket:
            raise Refused(403, "bucket doesn't match scope")
        is_prefix = self.fields.get("isPrefixalScope")
        fits = key.startswith(scoped) if is_prefix else key == scoped
        if colon and not fits:
            raise Refused(403, "key doesn't match scope")

    def check_size(self, size: int) -> None:
        """`Refused` where an object of that size is not allowed."""
        if size > self.fields.get("fsizeLimit", size):
            raise Refused(413, "request entity is too large")
        if size < self.fields.get("fsizeMin", 0):
            raise Refused(403, "request entity is too small")


def upload_policy(keys: Keys, token: str | None, now: float) -> UploadPolicy:
    """The policy of an upload token that is genuine and in time."""
    if not token:
        raise Refused(401, "token not specified")
    signature, _, policy = token.rpartition(":")
    if not keys.signed(signature, policy.encode()):
        raise Refused(401, "bad token")
    fields = json.loads(decoded(policy))
    if fields["deadline"] < now:
        raise Refused(401, "token out of date")
    return UploadPolicy(fields)


def check_request(
    keys: Keys, method: str, target: str, headers: Mapping[str, str], body: bytes, now: float
) -> None:
    """`Refused` unless the keys have signed this management request, Qiniu's or QBox's way."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    content_type = headers.get("Content-Type")
    if scheme == "Qiniu":
        data = _signed_text(method, target, headers, content_type)
        data += body if content_type and content_type != "application/octet-stream" else b""
    elif scheme == "QBox":
        data = f"{target}\n".encode() + (body if content_type == FORM else b"")
    else:
        raise Refused(401, "bad token")
    if not keys.signed(token, data):
        raise Refused(401, "bad token")
    if date := headers.get("X-Qiniu-Date"):
        sent = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(sent.timestamp() - now) > SKEW_SECONDS:
            raise Refused(403, "request time too skewed")


def check_download(keys: Keys, url: str, now: float) -> None:
    """`Refused` unless `url`, as it was sent, is signed and in time."""
    found = re.fullmatch(r"(?P<signed>.*[?&]e=(?P<deadline>\d+))&token=(?P<token>[^&]*)", url)
    if not found or not keys.signed(found["token"], found["signed"].encode()):
        raise Refused(401, "bad token")
    if int(found["deadline"]) < now:
        raise Refused(401, "token out of date")


def _signed_text(
    method: str, target: str, headers: Mapping[str, str], content_type: str | None
) -> bytes:
    lines = [f"{method} {target}", f"Host: {headers['Host']}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += sorted(f"{name}: {headers[name]}" for name in headers if re.match("X-Qiniu-.", name))
    return "\n".join([*lines, "", ""]).encode()
