"""`registry-server drivers`: those that are installed, and whether the configured one works."""

from __future__ import annotations

import asyncio

import typer

from registry_server.cli.options import ConfigPath
from registry_server.cli.output import print_table
from registry_server.settings import Settings, load
from registry_storage import Driver, describe_drivers, open_driver
from registry_storage.drivers.api import MiB, PartLimits
from registry_storage.maintenance.probe import probe
from registry_storage.plugins import DriverDescription, extensions_of

drivers = typer.Typer(invoke_without_command=True, help="Look at the storage drivers.")


@drivers.callback()
def list_drivers(context: typer.Context) -> None:
    """List the storage drivers that are installed; `check` tries the configured one."""
    if context.invoked_subcommand is not None:
        return
    headings = ("driver", "package", "parts", "extensions", "keys", "state")
    print_table(headings, map(_row, describe_drivers()))


def _row(driver: DriverDescription) -> tuple[str, ...]:
    return (
        driver.name,
        f"{driver.distribution} {driver.version}",
        _told(driver.limits) if driver.limits else "",
        ", ".join(driver.extensions),
        ", ".join(driver.config_keys),
        _state(driver),
    )


@drivers.command()
def check(path: ConfigPath = None) -> None:
    """Try the configured driver with a few bytes, and say what fails. Nothing is left in the store.

    May run while the registry serves.
    """
    configuration = load(path)
    for warning in configuration.warnings:
        print(f"warning: {warning}")
    if not asyncio.run(_check(configuration.settings)):
        raise typer.Exit(1)


async def _check(settings: Settings) -> bool:
    driver = open_driver(settings.storage.driver, settings.storage.parameters)
    _describe(driver)
    works = True
    async for finding in probe(driver):
        works = works and finding.problem is None
        outcome = "ok" if finding.problem is None else f"FAILED: {finding.problem}"
        print(f"{finding.step}: {outcome}", flush=True)
    return works


def _describe(driver: Driver) -> None:
    print(f"driver: {driver.name}")
    print(f"parts: {_told(driver.limits)}")
    print(f"extensions: {', '.join(extensions_of(driver)) or 'none'}")


def _state(driver: DriverDescription) -> str:
    if driver.problem:
        return driver.problem
    if driver.missing_sdk:
        return f"needs {', '.join(driver.missing_sdk)}"
    return "ready"


def _told(limits: PartLimits) -> str:
    """The limits in words: `10 MiB each, from 5 MiB to 5120 MiB, at most 10000`."""
    if limits.preferred_size is None:
        words = ["whole requests"]
    else:
        words = [f"{_size(limits.preferred_size)} each"]
    if limits.min_size > 1:
        words.append(f"from {_size(limits.min_size)}")
    if limits.max_size is not None:
        words.append(f"up to {_size(limits.max_size)}")
    if limits.max_parts is not None:
        words.append(f"at most {limits.max_parts}")
    if limits.uniform:
        words.append("equally long")
    return ", ".join(words)


def _size(size: int) -> str:
    return f"{size // MiB} MiB" if size % MiB == 0 else f"{size} bytes"
