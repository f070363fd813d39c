"""The SDK's client, made from the settings, and the credentials that sign URLs."""

# Google's packages declare themselves typed and leave most calls without types.
# mypy: allow-untyped-calls

from __future__ import annotations

import os
from typing import Any, Final

import google.auth
from google.api_core.client_info import ClientInfo
from google.auth.credentials import AnonymousCredentials, Credentials, Signing
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import storage  # type: ignore[import-untyped]
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter

from registry_storage.drivers.gcs.config import GcsConfig
from registry_storage.errors import ConfigurationInvalid

EMULATOR: Final = "STORAGE_EMULATOR_HOST"
"""The environment variable that the SDKs of all languages read."""
IDLE_CONNECTIONS: Final = 200
"""So many are kept for the next request; with more readers than that, the others reconnect."""
_SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.read_write",)


def make_client(config: GcsConfig) -> tuple[storage.Client, Signing | None]:
    """A client, and what signs URLs for it, if anything can.

    May ask Google's metadata server.  Raises `ConfigurationInvalid` where the credentials are
    missing or make no sense.
    """
    emulator = _emulator()
    own = _own_credentials(config)
    credentials = AnonymousCredentials() if emulator else own or _default_credentials()
    told = ClientInfo(user_agent=config.useragent)
    client = storage.Client(
        project=None,
        credentials=credentials,
        client_info=told,
        client_options={"api_endpoint": emulator} if emulator else None,
    )
    # For traces that nobody takes, the SDK would look up the bucket behind our back, at the start
    # and after each 404, which also needs a right that the driver does not.
    client._bucket_metadata_cache = None
    # Google's own way to set the size of the pool.
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, HTTPAdapter(pool_maxsize=IDLE_CONNECTIONS))
    client._http.headers["User-Agent"] = told.to_user_agent()
    signer = own or credentials
    return client, signer if isinstance(signer, Signing) else None


def _emulator() -> str | None:
    host = os.environ.get(EMULATOR)
    return f"http://{host}" if host and "://" not in host else host or None


def _own_credentials(config: GcsConfig) -> Credentials | None:
    if config.credentials is not None:
        return _from_key("credentials", config.credentials)
    if config.keyfile is not None:
        return _from_key("keyfile", config.keyfile)
    return None


def _from_key(key: str, value: str | dict[str, Any]) -> Credentials:
    make = service_account.Credentials
    try:
        if isinstance(value, str):
            made: Credentials = make.from_service_account_file(value, scopes=_SCOPES)
        else:
            made = make.from_service_account_info(value, scopes=_SCOPES)
    except OSError as error:
        raise ConfigurationInvalid(
            f"storage.gcs.{key}: cannot read {value}: {error.strerror}"
        ) from error
    except ValueError as error:
        raise ConfigurationInvalid(
            f"storage.gcs.{key}: not the key of a service account in JSON ({error}); "
            "create one with: gcloud iam service-accounts keys create"
        ) from error
    return made


def _default_credentials() -> Credentials:
    try:
        return google.auth.default(scopes=_SCOPES)[0]
    except DefaultCredentialsError as error:
        raise ConfigurationInvalid(
            "storage.gcs: no credentials; set storage.gcs.keyfile or "
            "GOOGLE_APPLICATION_CREDENTIALS, or give this machine a service account"
        ) from error
