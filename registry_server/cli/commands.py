"""The commands.  Each reads its arguments, calls one function, and tells what came of it."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from registry_server.cli.drivers import drivers
from registry_server.cli.keys import keys
from registry_server.cli.namespaces import namespaces
from registry_server.cli.options import ConfigPath, options
from registry_server.cli.organisations import organisations
from registry_server.cli.repositories import repositories
from registry_server.cli.robots import robots
from registry_server.cli.tokens import tokens
from registry_server.cli.users import users
from registry_server.operations import logging as server_logging
from registry_server.operations.heap import share_heaps
from registry_server.settings import Configuration, Role, Settings, load
from registry_storage.drivers.api import RepairProgress

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="A container registry over pluggable storage.",
)
config = typer.Typer(no_args_is_help=True, help="Look at the configuration.")
app.add_typer(config, name="config")
app.add_typer(drivers, name="drivers")
app.add_typer(users, name="user")
app.add_typer(organisations, name="org")
app.add_typer(namespaces, name="namespace")
app.add_typer(repositories, name="repo")
app.add_typer(robots, name="robot")
app.add_typer(tokens, name="token")
app.add_typer(keys, name="key")

log = logging.getLogger("registry_server")


def _version(asked: bool) -> None:
    if asked:
        print(f"registry-server {version_of('registry-storage')}")
        raise typer.Exit


@app.callback()
def _before_every_command(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    options.debug = debug


@app.command()
def serve(
    path: ConfigPath = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that serve; 1 serves in this process.")
    ] = 1,
    insecure_open: Annotated[
        bool,
        typer.Option(
            "--insecure-open",
            help="Listen beyond this machine although nobody has to log in.",
        ),
    ] = False,
    role: Annotated[
        Optional[Role],  # noqa: UP045 -- typer reads the annotation at run time
        typer.Option(help="What this process serves, in the place of the setting `role`."),
    ] = None,
) -> None:
    """Serve the registry until SIGTERM or SIGINT."""
    from registry_server.cli.checks import check_exposure, check_files, check_role

    settings = _load_for_service(path)
    if role is not None:
        settings = settings.model_copy(update={"role": role})
    check_role(settings)
    check_exposure(settings, insecure_open=insecure_open)
    check_files(settings)
    share_heaps()
    if workers == 1:
        from registry_server.serving import serve_here

        serve_here(settings)
    else:
        from registry_server.workers import serve_with_workers

        serve_with_workers(settings, workers)


def _load_for_service(path: Path | None) -> Settings:
    configuration = load(path)
    server_logging.configure(configuration.settings)
    for warning in configuration.warnings:
        log.warning("%s", warning)
    return configuration.settings


@app.command()
def adopt(path: ConfigPath = None) -> None:
    """Claim the store for the configured catalog, whoever owned it before.

    For a catalog that was restored or moved on purpose. Nothing that lies in the store now is ever
    swept away as garbage.
    """
    from registry_server.store import adopt_store

    settings = _load_for_service(path)
    asyncio.run(adopt_store(settings))
    print("the store belongs to this catalog now")


@app.command()
def repair(path: ConfigPath = None) -> None:
    """Give each store of a mirror the blobs that it lacks, from one that has them.

    May run while the registry serves.
    """
    failures = asyncio.run(_repair(_load_for_service(path)))
    for failure in failures:
        log.error("%s", failure)
    if failures:
        raise typer.Exit(1)


async def _repair(settings: Settings) -> tuple[str, ...]:
    from registry_server.store import repair_store

    progress = RepairProgress(0, 0, 0)
    with Console(stderr=True).status("listing the stores") as status:
        async for progress in repair_store(settings):
            status.update(f"{progress.repaired} of {progress.lacking} repaired")
    print(f"{progress.repaired} of {progress.lacking} repaired; {progress.blobs} blobs in all")
    return progress.failures


@app.command()
def version() -> None:
    """Show the version."""
    _version(True)


@config.command()
def check(path: ConfigPath = None) -> None:
    """Check the configuration and the files that it names; touch no store."""
    from registry_server.cli.checks import check_files, check_role, remarks

    configuration = load(path)
    check_role(configuration.settings)
    check_files(configuration.settings)
    for warning in (*configuration.warnings, *remarks(configuration.settings)):
        print(f"warning: {warning}")
    print(f"{_source(configuration)}: no errors")


def _source(configuration: Configuration) -> str:
    return str(configuration.source or "defaults and environment")
