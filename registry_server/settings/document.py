"""Reading YAML as the configuration means it: text stays text.

Whether `007` is a number, a user name or a password depends on the setting, not on YAML's guess; so
scalars are read as text and the setting's type decides.  A key given twice is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from registry_storage.errors import ConfigurationInvalid


class _TextLoader(yaml.SafeLoader):
    """A safe loader to which every scalar is text, but for null."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- the base class declares it so
        first: [pair for pair in pairs if pair[0] == "tag:yaml.org,2002:null"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = str(self.construct_object(key_node, deep=True))
            if key in mapping:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice", key_node.start_mark
                )
            mapping[key] = self.construct_object(value_node, deep=True)
        return mapping


def parse_document(text: str) -> Any:
    """What a YAML text says: mappings, lists, text and None.  Raises `ValueError`, in one line."""
    try:
        return yaml.load(text, _TextLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def read_document(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.  Raises `ConfigurationInvalid`, which names the file."""
    try:
        content = parse_document(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationInvalid(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigurationInvalid(f"{path}: not UTF-8") from None
    except ValueError as error:
        raise ConfigurationInvalid(f"{path}: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationInvalid(f"{path}: a mapping of keys is needed at the top")
    return content
