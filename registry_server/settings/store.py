"""What the settings mean to the store: the arguments with which it is opened."""

from __future__ import annotations

import re

from registry_server.settings import drivers
from registry_server.settings.model import ManifestSettings, Settings, ValidationSettings
from registry_storage.manifests import ManifestRules
from registry_storage.policy import StorePolicy


def catalog_url(settings: Settings) -> str | None:
    """The SQLAlchemy URL of the catalog; None: the driver's own place for it is meant."""
    if settings.catalog.url is not None:
        return settings.catalog.url.get_secret_value()
    if settings.storage.driver in drivers.KEEPS_FILES | drivers.KEEPS_NOTHING:
        return None
    return f"sqlite:///{settings.data.directory / 'catalog.sqlite'}"


def store_policy(settings: Settings) -> StorePolicy:
    """What the store accepts and how long it keeps what is unfinished."""
    purging = settings.storage.maintenance.uploadpurging
    return StorePolicy(
        upload_lifetime=purging.age if purging.enabled else float("inf"),
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
