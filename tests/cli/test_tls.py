"""The certificate is checked before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from registry_server.settings import TLSSettings
from registry_server.settings.tls import tls_context
from registry_storage.errors import ConfigurationInvalid

from .certificates import Certificate, make_certificate


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ours(directory: Path) -> Certificate:
    return make_certificate(directory, "ours")


@pytest.fixture(scope="module")
def theirs(directory: Path) -> Certificate:
    return make_certificate(directory, "theirs")


def _error(certificate: Path, key: Path) -> str:
    with pytest.raises(ConfigurationInvalid) as caught:
        tls_context(TLSSettings(certificate=certificate, key=key))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls_context(TLSSettings()) is None


def test_a_certificate_with_its_key(ours: Certificate) -> None:
    context = tls_context(TLSSettings(certificate=ours.path, key=ours.key))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_oldest_version_is_chosen(ours: Certificate) -> None:
    context = tls_context(TLSSettings(certificate=ours.path, key=ours.key, minimumtls="tls1.3"))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


def test_missing_files(ours: Certificate, directory: Path) -> None:
    absent = directory / "absent"
    assert _error(absent, ours.key).startswith(f"http.tls.certificate: {absent}: No such file")
    assert _error(ours.path, absent).startswith(f"http.tls.key: {absent}: No such file")


def test_a_key_of_another_certificate(ours: Certificate, theirs: Certificate) -> None:
    assert _error(ours.path, theirs.key).endswith(f"is not the key of {ours.path}")


def test_what_is_not_a_certificate(ours: Certificate, directory: Path) -> None:
    junk = directory / "junk"
    junk.write_text("junk")
    assert _error(junk, ours.key).endswith("junk is not a certificate in PEM")
    assert _error(ours.path, junk).endswith("junk is not an unencrypted private key in PEM")


def test_an_encrypted_key_is_not_asked_for(directory: Path) -> None:
    locked = make_certificate(directory, "locked", password="secret")
    assert _error(locked.path, locked.key).endswith("is not an unencrypted private key in PEM")
