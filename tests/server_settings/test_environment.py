"""`REGISTRY_…` variables over the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from .configure import Reader

KUBERNETES = {
    "REGISTRY_PORT": "tcp://10.0.0.1:5000",
    "REGISTRY_PORT_5000_TCP": "tcp://10.0.0.1:5000",
    "REGISTRY_PORT_5000_TCP_ADDR": "10.0.0.1",
    "REGISTRY_PORT_5000_TCP_PORT": "5000",
    "REGISTRY_PORT_5000_TCP_PROTO": "tcp",
    "REGISTRY_SERVICE_HOST": "10.0.0.1",
    "REGISTRY_SERVICE_PORT": "5000",
    "REGISTRY_SERVICE_PORT_HTTP": "5000",
}


def test_a_variable_beats_the_file(reader: Reader) -> None:
    settings = reader.settings("http: {addr: ':1', relativeurls: false}", REGISTRY_HTTP_ADDR=":2")
    assert settings.http.addr.port == 2
    assert not settings.http.relativeurls


def test_values_are_yaml(reader: Reader) -> None:
    settings = reader.settings(
        REGISTRY_STORAGE_DELETE_ENABLED="off",
        REGISTRY_HTTP_HEADERS="{X-A: [b, c], X-D: e}",
        REGISTRY_HTTP_DRAINTIMEOUT="2m",
        REGISTRY_UPLOADS="{maxopen: 5}",
    )
    assert not settings.storage.delete.enabled
    assert settings.http.headers == {"X-A": ("b", "c"), "X-D": ("e",)}
    assert settings.http.draintimeout == 120
    assert settings.uploads.maxopen == 5


@pytest.mark.parametrize("password", ["[x", "&a", "!t", "#7", "@a", "{a: b", "a: b", "%", "*", "-"])
def test_where_text_is_meant_it_need_not_be_yaml(reader: Reader, password: str) -> None:
    """In YAML these are a list, an anchor, a comment and so on, and some of them errors."""
    settings = reader.settings(
        REGISTRY_CATALOG_URL=password,
        REGISTRY_HTTP_ADDR="[::1]:5000",
        REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0="[a-z]+",
        REGISTRY_LOG_FIELDS_NOTE="{",
    )
    assert settings.catalog.url is not None
    assert settings.catalog.url.get_secret_value() == password
    assert settings.http.addr.host == "::1"
    assert [pattern.pattern for pattern in settings.validation.manifests.urls.allow] == ["[a-z]+"]
    assert settings.log.fields == {"NOTE": "{"}


def test_text_may_be_quoted_as_in_yaml(reader: Reader) -> None:
    assert reader.settings(REGISTRY_AUTH_HTPASSWD='{path: /a, realm: "b c"}').auth.htpasswd
    settings = reader.settings(REGISTRY_DATA_DIRECTORY='"/srv/a b"')
    assert settings.data.directory == Path("/srv/a b")


def test_a_driver_is_configured_by_variables_alone(reader: Reader) -> None:
    settings = reader.settings(REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="/srv/007")
    assert settings.storage.driver == "filesystem"
    assert settings.storage.parameters == {"rootdirectory": "/srv/007"}


def test_the_bare_variable_chooses_the_driver(reader: Reader) -> None:
    settings = reader.settings(
        "storage: {filesystem: {rootdirectory: /a}, delete: {enabled: false}}",
        REGISTRY_STORAGE="memory",
    )
    assert settings.storage.driver == "memory"
    assert not settings.storage.delete.enabled


def test_choosing_what_is_chosen_keeps_its_keys(reader: Reader) -> None:
    settings = reader.settings(
        "storage: {filesystem: {rootdirectory: /a}}", REGISTRY_STORAGE="filesystem"
    )
    assert settings.storage.parameters == {"rootdirectory": "/a"}


def test_the_bare_variable_chooses_the_way_to_log_in(reader: Reader) -> None:
    settings = reader.settings(
        "auth: {none: {}}",
        REGISTRY_AUTH="htpasswd",
        REGISTRY_AUTH_HTPASSWD_PATH="/etc/users",
        REGISTRY_AUTH_HTPASSWD_REALM="Ours",
    )
    assert settings.auth.htpasswd is not None
    assert settings.auth.htpasswd.path == Path("/etc/users")
    assert settings.auth.htpasswd.realm == "Ours"


def test_items_of_a_list_are_named_by_index_and_the_next_one_appends(reader: Reader) -> None:
    settings = reader.settings(
        "validation: {manifests: {urls: {allow: [a, b]}}}",
        REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0="x",
        REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_2="z",
        REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS="linux",
        REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE="arm64",
    )
    manifests = settings.validation.manifests
    assert [pattern.pattern for pattern in manifests.urls.allow] == ["x", "b", "z"]
    assert [(p.os, p.architecture) for p in manifests.indexes.platformlist] == [("linux", "arm64")]


def test_a_gap_in_a_list_is_refused(reader: Reader) -> None:
    message = reader.error(REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_3="x")
    assert message.startswith("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_3: the list has 0 items")


def test_what_kubernetes_injects_changes_nothing(reader: Reader) -> None:
    configuration = reader.read(**KUBERNETES)
    assert configuration.settings == reader.settings()
    assert len(configuration.warnings) == len(KUBERNETES)
    assert configuration.warnings[0] == "REGISTRY_PORT: ignored: no setting has that name"


@pytest.mark.parametrize(
    "variable",
    ["REGISTRY_HTTP_ADR", "REGISTRY_STORAGE_S9_BUCKET", "REGISTRY_HTTP_ADDR_X", "REGISTRY_"],
)
def test_an_unknown_variable_is_a_warning(reader: Reader, variable: str) -> None:
    configuration = reader.read(**{variable: "x"})
    assert configuration.settings == reader.settings()
    assert configuration.warnings == (f"{variable}: ignored: no setting has that name",)


def test_a_variable_of_distribution_is_a_warning_with_its_reason(reader: Reader) -> None:
    (warning,) = reader.read(REGISTRY_HTTP_SECRET="s3cret").warnings
    assert warning.startswith("REGISTRY_HTTP_SECRET: ignored: uploads are kept in the catalog")
    assert "s3cret" not in warning


def test_variables_that_are_no_settings_are_not_warned_of(reader: Reader) -> None:
    assert not reader.read(REGISTRY_STORAGE_PLAIN_HASHLIB="1").warnings


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("REGISTRY_HTTP_ADDR", "x", "http.addr (from REGISTRY_HTTP_ADDR): 'x' is not an address"),
        ("REGISTRY_HTTP", "{adr: x}", "http.adr (from REGISTRY_HTTP): unknown key (did you mean"),
        ("REGISTRY_UPLOADS", "[", "REGISTRY_UPLOADS: not YAML"),
        ("REGISTRY_LOG_LEVEL", "[", "log.level (from REGISTRY_LOG_LEVEL): input should be"),
        ("REGISTRY_STORAGE", "memroy", "storage.memroy: unknown driver (did you mean memory?)"),
        ("REGISTRY_AUTH", "htpaswd", "auth.htpaswd (from REGISTRY_AUTH): unknown key (did you"),
    ],
)
def test_a_wrong_value_names_the_variable(
    reader: Reader, variable: str, value: str, message: str
) -> None:
    assert reader.error(**{variable: value}).startswith(message)


def test_an_empty_variable_means_the_default(reader: Reader) -> None:
    settings = reader.settings("http: {addr: ':1'}", REGISTRY_HTTP_ADDR="")
    assert settings.http.addr == reader.settings().http.addr


def test_a_secret_may_come_from_a_file(reader: Reader, tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://u:p@h/d\n")
    settings = reader.settings(REGISTRY_CATALOG_URL_FILE=str(secret))
    assert settings.catalog.url is not None
    assert settings.catalog.url.get_secret_value() == "postgresql://u:p@h/d"


def test_a_secret_file_that_is_not_there(reader: Reader) -> None:
    message = reader.error(REGISTRY_CATALOG_URL_FILE="/nowhere/url")
    assert message.startswith("REGISTRY_CATALOG_URL_FILE: /nowhere/url cannot be read")


def test_a_variable_cannot_go_below_a_plain_value_of_the_file(reader: Reader) -> None:
    message = reader.error("http: plain", REGISTRY_HTTP_ADDR=":1")
    assert message == "REGISTRY_HTTP_ADDR: the file has no section there"
