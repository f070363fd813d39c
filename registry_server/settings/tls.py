"""The certificate of the server, loaded and checked before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path

from registry_server.settings.model import TLSSettings
from registry_storage.errors import ConfigurationInvalid

_VERSIONS = {"tls1.2": ssl.TLSVersion.TLSv1_2, "tls1.3": ssl.TLSVersion.TLSv1_3}


def tls_context(settings: TLSSettings) -> ssl.SSLContext | None:
    """What to serve with; None: plain HTTP.  Raises `ConfigurationInvalid`."""
    if settings.certificate is None or settings.key is None:
        return None
    _check_readable("http.tls.certificate", settings.certificate)
    _check_readable("http.tls.key", settings.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.minimumtls]
    context.set_alpn_protocols(["http/1.1"])
    try:
        # An encrypted key would otherwise be asked for on the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationInvalid(_problem(settings, error)) from None
    return context


def _check_readable(key: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationInvalid(f"{key}: {path}: {error.strerror}") from None


def _problem(settings: TLSSettings, error: Exception) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason == "KEY_VALUES_MISMATCH":
        return f"http.tls.key: {settings.key} is not the key of {settings.certificate}"
    if _is_certificate(settings.certificate):
        return f"http.tls.key: {settings.key} is not an unencrypted private key in PEM"
    return f"http.tls.certificate: {settings.certificate} is not a certificate in PEM"


def _is_certificate(path: Path | None) -> bool:
    if path is None:
        return False
    try:
        ssl.PEM_cert_to_DER_cert(_first_certificate(path.read_text("ascii")))
    except ValueError:
        return False
    return True


def _first_certificate(text: str) -> str:
    """The first PEM block that says it is a certificate; keys may stand before it."""
    begin = text.find(ssl.PEM_HEADER)
    end = text.find(ssl.PEM_FOOTER, begin)
    return text[begin : end + len(ssl.PEM_FOOTER)] if begin >= 0 <= end else text
