"""Reading a configuration in a test, without the environment of the machine."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from registry_server.settings import Configuration, Settings, load
from registry_storage.errors import ConfigurationInvalid


class Reader:
    """`read("http: {addr: ':5000'}", REGISTRY_LOG_LEVEL="debug")` as the server would."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, text: str = "", **environ: str) -> Configuration:
        path = self._directory / "config.yml"
        path.write_text(dedent(text))
        return load(path, {"REGISTRY_DATA_DIRECTORY": str(self._directory), **environ})

    def settings(self, text: str = "", **environ: str) -> Settings:
        return self.read(text, **environ).settings

    def error(self, text: str = "", **environ: str) -> str:
        """What is said about a configuration that is wrong: one line."""
        with pytest.raises(ConfigurationInvalid) as caught:
            self.read(text, **environ)
        message = str(caught.value)
        assert "\n" not in message
        return message
