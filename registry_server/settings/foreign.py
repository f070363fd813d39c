"""Keys of the distribution project's configuration that mean nothing here, each with the reason.

A file written for distribution works unchanged where leaving a key out is harmless: it is named in
a warning.  Where leaving it out would open or lose something, it is refused.
"""

from __future__ import annotations

from typing import Final

_NO_CACHE = "facts about blobs come from the catalog; there is nothing to cache"
_NO_EVENTS = "notifications are not sent by this version"
_ALWAYS_TCP = "the server always listens on TCP"

_NO_COPIES = "a blob stays where it was uploaded; nothing is copied"

_S3_KEYS: Final = {
    "loglevel": "use log.level",
    "multipartcopychunksize": _NO_COPIES,
    "multipartcopymaxconcurrency": _NO_COPIES,
    "multipartcopythresholdsize": _NO_COPIES,
    "v4auth": "requests are always signed with version 4",
}

IGNORED: Final = {
    "auth.token.autoredirect": "clients are always sent to auth.token.realm",
    "auth.token.autoredirectpath": "clients are always sent to auth.token.realm",
    "compatibility": "schema 1 manifests are not converted",
    "health": "ask /livez and /readyz instead",
    "http.debug": "ask /livez and /readyz instead",
    "http.h2c": "the server speaks HTTP/1.1; let a proxy in front of it speak HTTP/2",
    "http.http2": "the server speaks HTTP/1.1; let a proxy in front of it speak HTTP/2",
    "http.net": _ALWAYS_TCP,
    "http.prefix": "the registry is always at the top, under /v2/",
    "http.secret": "uploads are kept in the catalog, so nothing needs to be signed",
    "http.tls.ciphersuites": "OpenSSL's own choice is used; its system-wide policy applies",
    "log.hooks": "the log goes to standard error; let the service manager watch it",
    "log.reportcaller": "a message names its module already",
    "loglevel": "use log.level",
    "middleware": "there are no middlewares",
    "notifications": _NO_EVENTS,
    "policy.repository": "media types are not divided into classes",
    "redis": _NO_CACHE,
    "reporting": "errors are in the log only",
    "storage.cache.blobdescriptor": _NO_CACHE,
    "storage.cache.blobdescriptorsize": _NO_CACHE,
    "storage.maintenance.uploadpurging.dryrun": "there is no trial run; use enabled",
    "storage.maintenance.uploadpurging.interval": "such uploads are looked for all the time",
    "storage.swift.accesskey": "only a cloud that is gone asked for it",
    "storage.tag": "tags are rows of the catalog; looking them up needs no limit",
    **{f"storage.{name}.{key}": _S3_KEYS[key] for name in ("s3", "s3aws") for key in _S3_KEYS},
}

REFUSED: Final = {
    "auth.silly": "this is no authentication; use htpasswd, or none on loopback",
    "http.tls.clientauth": "client certificates are not checked; let a proxy do that",
    "http.tls.clientcas": "client certificates are not checked; let a proxy do that",
    "http.tls.letsencrypt": "certificates are not fetched; use certbot and http.tls.certificate",
    "proxy": "pulling through from another registry is not done by this version",
}


def enclosing(path: str, table: dict[str, str]) -> str | None:
    """The key of `table` that is `path` or a section around it."""
    return next((key for key in table if path == key or path.startswith(f"{key}.")), None)
