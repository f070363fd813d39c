"""How the settings of a composite driver name its children: each a section like `storage` itself.

stores:
  - filesystem: {rootdirectory: /srv/registry}
  - s3: {bucket: images, region: eu-central-1}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from registry_storage.drivers.api import Driver
from registry_storage.hookspecs import OpenDriver


def _one_driver(section: Any) -> Any:
    if isinstance(section, str):
        return {section: {}}
    if not isinstance(section, Mapping) or len(section) != 1:
        raise ValueError("name one driver here, with its settings below it")
    return section


Child = Annotated[Any, AfterValidator(_one_driver)]
"""A mapping of one driver's name to its settings; a name alone has none."""


def opened(section: Mapping[str, Any], open_driver: OpenDriver, at: str) -> Driver:
    """The driver that a `Child` names; `at` is where the section stands, for messages."""
    [(name, settings)] = section.items()
    return open_driver(name, settings, at=at)
