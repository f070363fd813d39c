"""Which hosts serve a bucket: configured, known by its region's name, or asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qiniu.config import get_default  # type: ignore[import-untyped]
from qiniu.http.region import Region, ServiceName  # type: ignore[import-untyped]

from registry_storage.drivers.kodo.config import KodoConfig
from registry_storage.drivers.kodo.transport import Hosts, Transport
from registry_storage.errors import DriverError


@dataclass(frozen=True, slots=True)
class ServiceHosts:
    """The hosts of each service."""

    up: Hosts
    """Takes uploads."""
    rs: Hosts
    """Looks up and deletes objects."""
    rsf: Hosts
    """Lists objects."""


def find_hosts(config: KodoConfig, transport: Transport) -> ServiceHosts:
    """The hosts of the bucket's region; those that are configured go first."""
    given = {name: getattr(config.endpoints, name) for name in ("up", "rs", "rsf")}
    if all(given.values()):
        return ServiceHosts(**{name: (config.url_of(host),) for name, host in given.items()})
    known = _named_region(config) if config.region else _asked_region(config, transport)
    return ServiceHosts(
        **{
            name: (config.url_of(host),) if host else tuple(map(config.url_of, known(name)))
            for name, host in given.items()
        }
    )


def find_domain(config: KodoConfig, transport: Transport) -> str:
    """The URL of the bucket's download domain.

    Raises `DriverError` where none is configured and none is bound to the bucket.
    """
    if config.domain:
        return config.url_of(config.domain)
    path = f"/v2/domains?tbl={config.bucket}"
    bound = transport.manage(_uc_hosts(config), path, f"bucket {config.bucket}").content
    if not bound:
        raise DriverError(
            f"no download domain is bound to the bucket {config.bucket}: bind one, or name one in "
            "storage.kodo.domain"
        )
    return config.url_of(bound[0])


def _uc_hosts(config: KodoConfig) -> Hosts:
    if config.endpoints.uc:
        return [config.url_of(config.endpoints.uc)]
    backups = get_default("default_query_region_backup_hosts")
    return [config.url_of(host) for host in (get_default("default_query_region_host"), *backups)]


def _named_region(config: KodoConfig) -> Callable[[str], list[str]]:
    services = Region.from_region_id(config.region).services
    return lambda name: [endpoint.host for endpoint in services[ServiceName(name)]]


def _asked_region(config: KodoConfig, transport: Transport) -> Callable[[str], list[str]]:
    """What Qiniu answers.

    The SDK's own query is not used: it keeps its answers in a file that every user of the machine
    can write to.
    """
    params = {"ak": config.accesskey, "bucket": config.bucket}
    answer = transport.query(_uc_hosts(config), "/v4/query", params, f"bucket {config.bucket}")
    regions: list[dict[str, Any]] = answer.told("hosts")
    if not regions:
        raise DriverError(
            f"Qiniu names no region for the bucket {config.bucket}: check storage.kodo.bucket"
        )
    return lambda name: list(regions[0][name]["domains"])
