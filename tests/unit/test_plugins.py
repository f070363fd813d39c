"""Drivers are found by their configured name, one that is broken troubles nobody else, and errors
in settings name the full path of the key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from registry_storage.drivers.api import Driver
from registry_storage.drivers.memory import MemoryDriver
from registry_storage.errors import ConfigurationInvalid
from registry_storage.plugins import (
    describe_drivers,
    driver_names,
    load_factory,
    open_driver,
    validate_settings,
)

WORKING = """
from pydantic import BaseModel
from registry_storage.drivers.memory import MemoryDriver
from registry_storage.hookspecs import DriverConfig, DriverFactory, hookimpl

class Config(DriverConfig):
    color: str = "red"

class Composite(DriverConfig):
    child: str
    settings: dict[str, object] = {}

@hookimpl
def registry_storage_drivers():
    return [
        DriverFactory("working", Config, lambda config, open_driver: MemoryDriver()),
        DriverFactory("alias", Config, lambda config, open_driver: MemoryDriver()),
        DriverFactory("no-sdk", Config, lambda *_: None, sdk=("json", "nowhere", "no.such")),
        DriverFactory("composite", Composite, lambda c, open_: open_(c.child, c.settings)),
    ]
"""
BROKEN = "raise RuntimeError('this plug-in is broken')"
MISTYPED = """
from registry_storage.hookspecs import hookimpl

@hookimpl
def registry_storage_driver():
    return []
"""


class Plugins:
    """Installs plug-ins of its own for one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, distribution: str, module: str, code: str, names: dict[str, str]) -> None:
        (self._folder / f"{module}.py").write_text(code)
        info = self._folder / f"{distribution}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.2\n")
        lines = [f"{name} = {target}" for name, target in names.items()]
        (info / "entry_points.txt").write_text("\n".join(["[registry_storage.drivers]", *lines]))


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.syspath_prepend(tmp_path)
    return Plugins(tmp_path)


def names(module: str, *drivers: str) -> dict[str, str]:
    return dict.fromkeys(drivers, module)


def message_of(name: str, settings: object) -> str:
    with pytest.raises(ConfigurationInvalid) as refused:
        open_driver(name, settings)  # type: ignore[arg-type]
    return str(refused.value)


def test_the_built_in_drivers_come_in_by_the_door() -> None:
    assert {"filesystem", "memory", "inmemory"} <= set(driver_names())
    assert isinstance(open_driver("memory", {}), MemoryDriver)


def test_an_alias_is_a_driver_of_that_name() -> None:
    assert open_driver("inmemory", {}).name == "inmemory"


def test_the_filesystem_driver_is_made_from_its_settings(tmp_path: Path) -> None:
    driver: Driver = open_driver("filesystem", {"rootdirectory": tmp_path, "maxthreads": "25"})
    assert driver.name == "filesystem"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"rootdirectory": "/x", "rootdirectry": "/x"},
            "storage.filesystem.rootdirectry: unknown key (did you mean rootdirectory?)",
        ),
        (
            {"rootdirectory": "/x", "qqq": 1},
            "storage.filesystem.qqq: unknown key; known: rootdirectory, maxthreads",
        ),
        ({}, "storage.filesystem.rootdirectory: required"),
        (None, "storage.filesystem.rootdirectory: required"),
        (
            {"rootdirectory": "/x", "maxthreads": 24},
            "storage.filesystem.maxthreads: input should be greater than or equal to 25",
        ),
        (
            {"rootdirectory": ""},
            "storage.filesystem.rootdirectory: string should have at least 1 character",
        ),
    ],
)
def test_a_wrong_setting_is_told_by_its_full_path(settings: object, message: str) -> None:
    assert message_of("filesystem", settings) == message


def test_each_wrong_setting_is_a_line() -> None:
    lines = message_of("filesystem", {"a": 1, "maxthreads": 1}).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("storage.filesystem.") for line in lines)


def test_a_wrong_setting_in_a_nested_section_is_told_by_its_full_path() -> None:
    class Inner(BaseModel, extra="forbid"):
        user: str = ""

    class Outer(BaseModel, extra="forbid"):
        login: Inner = Inner()

    with pytest.raises(ConfigurationInvalid) as refused:
        validate_settings(Outer, {"login": {"usr": "x"}}, path="storage.x")
    assert str(refused.value) == "storage.x.login.usr: unknown key (did you mean user?)"


def test_an_unknown_name_lists_the_known_ones(plugins: Plugins) -> None:
    message = message_of("filesystme", {})
    assert message.startswith("storage.filesystme: unknown driver (did you mean filesystem?)")
    assert all(name in message for name in driver_names())


def test_a_plug_in_is_found_by_its_entry_point(plugins: Plugins) -> None:
    plugins.install("third-party", "working_one", WORKING, names("working_one", "working"))
    assert isinstance(open_driver("working", {"color": "blue"}), MemoryDriver)
    assert message_of("working", {"colour": "blue"}) == (
        "storage.working.colour: unknown key (did you mean color?)"
    )


def test_a_broken_plug_in_troubles_only_who_uses_it(plugins: Plugins) -> None:
    plugins.install("bad", "broken_one", BROKEN, names("broken_one", "broken"))
    plugins.install("gone", "unused", "", {"missing": "there.is.no.such.module"})
    assert open_driver("memory", {}).name == "memory"
    assert message_of("broken", {}) == (
        "storage.broken: the plug-in of bad 1.2 does not load: RuntimeError: this plug-in is broken"
    )
    assert "ModuleNotFoundError" in message_of("missing", {})


def test_only_the_named_plug_in_is_imported(plugins: Plugins, tmp_path: Path) -> None:
    plugins.install("bad", "broken_two", BROKEN, names("broken_two", "broken"))
    script = (
        "import sys; from registry_storage.plugins import open_driver; open_driver('memory', {});"
        "assert 'broken_two' not in sys.modules; "
        "assert 'registry_storage.drivers.filesystem' not in sys.modules"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


def test_a_mistyped_hook_is_told(plugins: Plugins) -> None:
    plugins.install("typo", "mistyped", MISTYPED, names("mistyped", "mistyped"))
    assert "registry_storage_driver" in message_of("mistyped", {})


def test_a_name_that_the_plug_in_does_not_offer_is_told(plugins: Plugins) -> None:
    plugins.install("third-party", "working_two", WORKING, names("working_two", "other"))
    assert "offers working, alias, no-sdk, composite, but not other" in message_of("other", {})


def test_a_name_that_two_packages_offer_is_refused(plugins: Plugins) -> None:
    for package in ("one", "two"):
        plugins.install(package, f"from_{package}", WORKING, names(f"from_{package}", "working"))
    message = message_of("working", {})
    assert "one 1.2" in message
    assert "two 1.2" in message
    assert "uninstall all but one" in message


def test_a_composite_opens_its_children_by_name(plugins: Plugins) -> None:
    plugins.install("third-party", "working_three", WORKING, names("working_three", "composite"))
    assert isinstance(open_driver("composite", {"child": "memory"}), MemoryDriver)
    nested = {"child": "memory", "settings": {"x": 1}}
    assert message_of("composite", nested).startswith("storage.composite.memory.x: unknown key")


def test_the_listing_describes_each_on_its_own(plugins: Plugins) -> None:
    plugins.install("bad", "broken_three", BROKEN, names("broken_three", "broken"))
    plugins.install("good", "working_four", WORKING, names("working_four", "working", "no-sdk"))
    by_name = {driver.name: driver for driver in describe_drivers()}
    assert by_name["filesystem"].config_keys == ("rootdirectory", "maxthreads")
    assert by_name["filesystem"].problem is None
    assert "this plug-in is broken" in str(by_name["broken"].problem)
    assert (by_name["working"].distribution, by_name["working"].version) == ("good", "1.2")
    assert by_name["working"].missing_sdk == ()
    assert by_name["no-sdk"].missing_sdk == ("nowhere", "no.such")


def test_a_factory_can_be_loaded_without_making_a_driver() -> None:
    assert load_factory("filesystem").name == "filesystem"
