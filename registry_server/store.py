"""The store that the settings describe: opened, adopted, or only made ready."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from registry_server.settings.model import CENTURY, ManifestSettings, Settings, ValidationSettings
from registry_storage import Registry
from registry_storage.drivers.api import CatalogHome, Driver, RepairProgress, Repairs
from registry_storage.errors import ConfigurationInvalid
from registry_storage.manifests import ManifestRules
from registry_storage.plugins import open_driver
from registry_storage.policy import StorePolicy


async def open_store(settings: Settings) -> Registry:
    """Open it.  The first to come makes the catalog's tables or brings them up to date.

    Raises `ConfigurationInvalid`, `StoreMismatch`, `DriverError`, `CatalogError`.
    """
    driver, catalog_url = _driver_and_catalog(settings)
    return await Registry.open(driver, catalog_url=catalog_url, policy=store_policy(settings))


async def adopt_store(settings: Settings) -> None:
    """Claim it for the catalog, whoever owned it before.  Raises as `open_store`."""
    driver, catalog_url = _driver_and_catalog(settings)
    await Registry.adopt(driver, catalog_url=catalog_url)


async def repair_store(settings: Settings) -> AsyncIterator[RepairProgress]:
    """Give each copy of the store what it lacks, and tell how far that has come.

    Raises `ConfigurationInvalid` where the store keeps one copy of everything, `DriverError`.
    """
    driver = open_driver(settings.storage.driver, settings.storage.parameters)
    copies = driver.extension(Repairs)
    if copies is None:
        raise ConfigurationInvalid(
            f"storage.{settings.storage.driver}: keeps one copy of everything, so there is nothing "
            "to repair it from; that is for mirror"
        )
    try:
        await driver.start()
        async for progress in copies.repair():
            yield progress
    finally:
        await driver.close()


def _driver_and_catalog(settings: Settings) -> tuple[Driver, str | None]:
    driver = open_driver(settings.storage.driver, settings.storage.parameters)
    if settings.catalog.url is not None:
        return driver, settings.catalog.url.get_secret_value()
    if driver.extension(CatalogHome) is not None:
        return driver, None
    settings.data.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return driver, f"sqlite:///{settings.data.directory / 'catalog.sqlite'}"


def store_policy(settings: Settings) -> StorePolicy:
    """What the store accepts and how long it keeps what is unfinished."""
    purging = settings.storage.maintenance.uploadpurging
    return StorePolicy(
        upload_lifetime=purging.age if purging.enabled else CENTURY,
        max_open_uploads=settings.uploads.maxopen,
        read_only=settings.storage.maintenance.readonly.enabled,
        manifests=_manifest_rules(settings.validation),
    )


def _manifest_rules(validation: ValidationSettings) -> ManifestRules:
    urls = validation.manifests.urls
    return ManifestRules(
        check_references=not validation.disabled,
        required_platforms=_required_platforms(validation.manifests),
        allowed_urls=_any_of(urls.allow),
        denied_urls=_any_of(urls.deny),
    )


def _required_platforms(manifests: ManifestSettings) -> list[tuple[str, str]] | None:
    match manifests.indexes.platforms:
        case "all":
            return None
        case "none":
            return []
        case "list":
            return [(p.architecture, p.os) for p in manifests.indexes.platformlist]


def _any_of(patterns: tuple[re.Pattern[str], ...]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(f"(?:{pattern.pattern})" for pattern in patterns))
