"""`REGISTRY_…` variables as settings: the path of a key, upper-cased, joined by `_`.

    REGISTRY_HTTP_ADDR=:5000                  http.addr
    REGISTRY_STORAGE=filesystem               chooses the driver; REGISTRY_AUTH=htpasswd likewise
    REGISTRY_STORAGE_S3_BUCKET=images         a key of the driver
    REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0=^https://  item 0 of a list; or append
    REGISTRY_HTTP_HEADERS='{X-Served-By: [a]}'              sections and lists are YAML
    REGISTRY_CATALOG_URL_FILE=/run/secrets/catalog          the value is in that file

A variable that names no setting is reported, not refused: Kubernetes injects such variables
(`REGISTRY_PORT=tcp://…`) for every service that is called "registry".
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from registry_server.settings import foreign
from registry_server.settings.document import parse_document
from registry_server.settings.drivers import driver_named, parameters_of
from registry_server.settings.model import Settings, StorageSettings
from registry_storage.errors import ConfigurationInvalid

PREFIX = "REGISTRY_"
CONFIGURATION_PATH = "REGISTRY_CONFIGURATION_PATH"
_NOT_SETTINGS = {CONFIGURATION_PATH, "REGISTRY_STORAGE_PLAIN_HASHLIB"}

_NOTHING = ("", "~", "null", "Null", "NULL")
"""What YAML writes for no value, which means the default."""

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Override:
    """One variable that sets something."""

    variable: str
    path: KeyPath
    value: Any


@dataclass(frozen=True, slots=True)
class Environment:
    """What the variables say: settings, and what there is to warn of."""

    overrides: tuple[Override, ...]
    warnings: tuple[str, ...]


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Raises `ConfigurationInvalid` for a value that is not YAML or a file that cannot be read."""
    overrides: list[Override] = []
    warnings: list[str] = []
    names = sorted(n for n in environ if n.startswith(PREFIX) and n not in _NOT_SETTINGS)
    for name in names:
        words = name.removeprefix(PREFIX).split("_")
        override = _override(name, words, environ[name])
        if override is not None:
            overrides.append(override)
        else:
            warnings.append(f"{name}: {_why_not(words)}")
    return Environment(tuple(overrides), tuple(warnings))


def _override(variable: str, words: list[str], text: str) -> Override | None:
    found = _resolve(Settings, words)
    if found is not None:
        path, kind = found
        return Override(variable, path, _parse(variable, text, kind))
    if words[-1] == "FILE" and (found := _resolve(Settings, words[:-1])) is not None:
        return Override(variable, found[0], _content(variable, Path(text)))
    return None


def _parse(variable: str, text: str, kind: Any) -> Any:
    """The value in YAML; where one value is meant, text that says no such thing in YAML is text."""
    try:
        value = parse_document(text)
    except ValueError as error:
        if _is_one_value(kind):
            return text
        raise ConfigurationInvalid(f"{variable}: not YAML: {error}") from None
    if _is_one_value(kind) and not isinstance(value, str) and text.strip() not in _NOTHING:
        return text
    return value


def _is_one_value(kind: Any) -> bool:
    """Whether a setting of this type is neither a section nor a list nor a map."""
    shape = get_origin(kind) or kind
    is_several = isinstance(shape, type) and issubclass(shape, BaseModel | Collection)
    return shape is not Any and (shape is str or not is_several)


def _content(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"{variable}: {path} cannot be read: {error}") from None


def _why_not(words: list[str]) -> str:
    path = ".".join(words).lower()
    for table in (foreign.IGNORED, foreign.REFUSED):
        if key := foreign.enclosing(path, table):
            return f"ignored: {table[key]}"
    return "ignored: no setting has that name"


# From the words of a name to a path, along the types of the settings


def _resolve(kind: Any, words: list[str]) -> tuple[KeyPath, Any] | None:
    """The path that `words` name below a value of type `kind`, and the type of what is there.

    None: there is no such setting.
    """
    inner = without_none(kind)
    if not words:
        return (), inner
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return _resolve_in_model(inner, words)
    origin = get_origin(inner)
    if origin is tuple:
        found = _resolve(get_args(inner)[0], words[1:]) if words[0].isdecimal() else None
        return _below(int(words[0]), found)
    if inner is Any:
        return tuple(int(word) if word.isdecimal() else word.lower() for word in words), Any
    if origin is not None and issubclass(origin, Mapping):
        return ("_".join(words),), get_args(inner)[1]
    return None


def _resolve_in_model(model: type[BaseModel], words: list[str]) -> tuple[KeyPath, Any] | None:
    for count, name, kind in _matching_keys(model, words):
        found = _below(name, _resolve(kind, words[count:]))
        if found is not None:
            return found
    return None


def _below(key: str | int, found: tuple[KeyPath, Any] | None) -> tuple[KeyPath, Any] | None:
    return None if found is None else ((key, *found[0]), found[1])


def _matching_keys(model: type[BaseModel], words: list[str]) -> Iterator[tuple[int, str, Any]]:
    """Keys of the model that the first words spell: (number of words, key, type)."""
    keys = {f.alias or name: f.annotation for name, f in model.model_fields.items()}
    if model is StorageSettings:
        keys = {name: kind for name, kind in keys.items() if name not in ("driver", "parameters")}
    for count in range(len(words), 0, -1):
        word = "_".join(words[:count]).lower()
        if word in keys:
            yield count, word, keys[word]
        elif model is StorageSettings and (driver := driver_named(word)):
            yield count, driver, parameters_of(driver)


def without_none(kind: Any) -> Any:
    """`kind` without `Annotated` and `| None`."""
    if get_origin(kind) is Annotated:
        return without_none(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [k for k in get_args(kind) if k is not types.NoneType]
        return without_none(kinds[0]) if len(kinds) == 1 else Any
    return kind
