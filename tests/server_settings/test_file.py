"""The configuration file: distribution's keys, checked to the last one."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_server.settings import Address, foreign, load
from registry_server.settings.drivers import secret_parameters
from registry_server.settings.model import Settings
from registry_storage.errors import ConfigurationInvalid

from .configure import Reader

TOKEN = "realm: 'https://auth.example.org/token', service: registry, issuer: auth"
DISTRIBUTION_EXAMPLE = """
    version: 0.1
    log:
      fields:
        service: registry
    storage:
      cache:
        blobdescriptor: inmemory
      filesystem:
        rootdirectory: /var/lib/registry
    http:
      addr: :5000
      headers:
        X-Content-Type-Options: [nosniff]
    health:
      storagedriver:
        enabled: true
        interval: 10s
        threshold: 3
"""


def test_nothing_at_all_is_a_registry_on_this_machine(tmp_path: Path) -> None:
    settings = load(None, {"REGISTRY_DATA_DIRECTORY": str(tmp_path)}).settings
    assert settings.http.addr == Address("127.0.0.1", 5000)
    assert settings.storage.driver == "filesystem"
    assert settings.storage.parameters == {"rootdirectory": str(tmp_path / "storage")}
    assert settings.auth.is_open
    assert settings.storage.delete.enabled


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.yml"
    path.write_text("uploads: {maxopen: 7}")
    configuration = load(None, {"REGISTRY_CONFIGURATION_PATH": str(path)})
    assert configuration.settings.uploads.maxopen == 7
    assert configuration.source == path


def test_the_example_of_distribution_works_with_warnings(reader: Reader) -> None:
    configuration = reader.read(DISTRIBUTION_EXAMPLE)
    assert configuration.settings.storage.parameters == {"rootdirectory": "/var/lib/registry"}
    assert configuration.settings.http.headers == {"X-Content-Type-Options": ("nosniff",)}
    assert [line.partition(":")[0] for line in configuration.warnings] == [
        "health",
        "storage.cache.blobdescriptor",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("htpp: {}", "htpp: unknown key (did you mean http?)"),
        ("http: {adr: ':1'}", "http.adr: unknown key (did you mean addr?)"),
        ("http: {tls: {certificat: a}}", "http.tls.certificat: unknown key (did you mean"),
        ("auth: {htpasswd: {path: a, reaml: b}}", "auth.htpasswd.reaml: unknown key (did you mean"),
        ("uploads: {zzz: 1}", "uploads.zzz: unknown key; known here: maxopen"),
        (
            "storage: {filesystem: {rootdirectory: a, maxthread: 5}}",
            "storage.filesystem.maxthread: unknown key (did you mean maxthreads?)",
        ),
        (
            "storage: {filesytem: {}}",
            "storage.filesytem: unknown driver (did you mean filesystem?)",
        ),
        ("storage: {filesystem: {}, memory: {}}", "storage: one driver at a time"),
        (
            "storage: {delete: {enabled: perhaps}}",
            "storage.delete.enabled: true or false is needed",
        ),
        ("http: 5", "http: a section of keys is needed here"),
        ("http: {addr: 5000}", "http.addr: '5000' is not an address"),
        ("http: {addr: '[::g]:1'}", "http.addr: '::g' is not an IPv6 address"),
        ("http: {addr: ':70000'}", "http.addr: ':70000' is not an address"),
        ("http: {host: registry.example.org}", "http.host: 'registry.example.org' is not a public"),
        ("http: {host: 'https://a/b'}", "http.host: 'https://a/b' has a path"),
        ("http: {headers: {'X Y': [a]}}", "http.headers: 'X Y' is not the name of a header"),
        ('http: {headers: {X: ["a\\r\\nb"]}}', "http.headers: X has a value with a control"),
        ("http: {draintimeout: soon}", "http.draintimeout: 'soon' is not a duration"),
        ("http: {timeouts: {head: 0s}}", "http.timeouts.head: input should be greater than 0"),
        ("http: {tls: {key: a}}", "http.tls: certificate and key are needed together"),
        ("http: {tls: {minimumtls: tls1.0}}", "http.tls.minimumtls: input should be 'tls1.2' or"),
        ("log: {level: loud}", "log.level: input should be 'debug'"),
        ("log: {formatter: logstash}", "log.formatter: input should be 'text' or 'json'"),
        ("auth: {htpasswd: {realm: a}}", "auth.htpasswd.path: required"),
        ("auth: {none: {}, htpasswd: {path: a}}", "auth: none and htpasswd exclude each other"),
        ("auth: {token: {realm: 'https://a/', issuer: a}}", "auth.token.service: required"),
        (
            "auth: {token: {realm: /t, service: a, issuer: a}}",
            "auth.token.realm: '/t' is not a URL; write https://auth",
        ),
        (
            "auth: {token: {realm: 'https://a/\"', service: a, issuer: a}}",
            "auth.token.realm: 'https://a/\"' is not a URL",
        ),
        (
            "auth: {token: {realm: 'https://a/', service: 'a\"b', issuer: a}}",
            "auth.token.service: string should match",
        ),
        (f"auth: {{token: {{{TOKEN}}}}}", "auth.token: no key can be trusted; give jwks or root"),
        (
            f"auth: {{token: {{{TOKEN}, jwks: 'https://u@a/'}}}}",
            "auth.token.jwks: 'https://u@a/' is not a URL of keys",
        ),
        (
            f"auth: {{token: {{{TOKEN}, jwks: a, signingalgorithms: [HS256]}}}}",
            "auth.token.signingalgorithms.0: input should be 'ES256'",
        ),
        (
            f"auth: {{token: {{{TOKEN}, jwks: a, signingalgorithms: []}}}}",
            "auth.token: no algorithm is accepted",
        ),
        (
            f"auth: {{htpasswd: {{path: a}}, token: {{{TOKEN}, jwks: a}}}}",
            "auth: htpasswd and token exclude each other",
        ),
        ("catalog: {maxentries: 0}", "catalog.maxentries: input should be greater than"),
        ("catalog: {maxentries: many}", "catalog.maxentries: a whole number is needed"),
        ("validation: {manifests: {urls: {allow: ['(']}}}", "validation.manifests.urls.allow.0:"),
        ("version: 0.2", "version: string should match"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_with_its_path(
    reader: Reader, text: str, message: str
) -> None:
    assert reader.error(text).startswith(message)


def test_every_problem_has_a_line(reader: Reader) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        reader.read("http: {adr: x, addr: y}")
    lines = str(caught.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == {"http.adr", "http.addr"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http: {addr: ':1'\n", "line 2, column 1"),
        ("http: {}\nhttp: {}", "'http' is given twice"),
        ("- a", "a mapping of keys is needed at the top"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_configuration(reader: Reader, text: str, reason: str) -> None:
    message = reader.error(text)
    assert "config.yml: " in message
    assert reason in message


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationInvalid, match=r"config\.yml: not UTF-8"):
        load(path, {})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="No such file"):
        load(tmp_path / "absent.yml", {})


def test_text_stays_text(reader: Reader) -> None:
    """YAML would read a number, a boolean and a number with an exponent."""
    fields = reader.settings("log: {fields: {a: 007, b: yes, c: 1e3}}").log.fields
    assert fields == {"a": "007", "b": "yes", "c": "1e3"}


@pytest.mark.parametrize("text", ["http:", "http: {addr: }", "storage: {delete: ~}", "log: ~"])
def test_a_key_without_a_value_means_the_default(reader: Reader, text: str) -> None:
    assert reader.settings(text) == reader.settings()


@pytest.mark.parametrize(
    "text", ["storage: memory", "storage: {memory: }", "storage: {memory: {}}"]
)
def test_a_driver_without_keys(reader: Reader, text: str) -> None:
    assert reader.settings(text).storage.driver == "memory"


@pytest.mark.parametrize("text", ["auth: none", "auth: {none: }", "auth: {none: {}}"])
def test_auth_none(reader: Reader, text: str) -> None:
    assert reader.settings(text).auth.is_open


def test_auth_token(reader: Reader) -> None:
    text = f"auth: {{token: {{{TOKEN}, jwks: 'https://a/jwks', rootcertbundle: ~/ca.pem}}}}"
    token = reader.settings(text).auth.token
    assert token is not None
    assert token.jwks == "https://a/jwks"
    assert token.rootcertbundle == Path.home() / "ca.pem"
    assert token.signingalgorithms == ("ES256", "RS256", "EdDSA")
    assert not reader.settings(text).auth.is_open
    settings = reader.settings(text, REGISTRY_AUTH_TOKEN_JWKS="/etc/keys.json")
    assert settings.auth.token is not None
    assert settings.auth.token.jwks == Path("/etc/keys.json")


def test_the_memory_driver_has_a_catalog_of_its_own(reader: Reader) -> None:
    message = reader.error("{storage: memory, catalog: {url: 'sqlite:///x'}}")
    assert message.startswith("catalog.url: the memory driver brings a catalog of its own")


@pytest.mark.parametrize("path", sorted(foreign.IGNORED))
def test_a_key_of_distribution_that_means_nothing_here_is_a_warning(
    reader: Reader, path: str
) -> None:
    configuration = reader.read(_nested(path, "{}"))
    assert configuration.settings == reader.settings()
    assert configuration.warnings == (f"{path}: ignored: {foreign.IGNORED[path]}",)


@pytest.mark.parametrize("path", sorted(foreign.REFUSED))
def test_a_key_of_distribution_whose_loss_would_harm_is_refused(reader: Reader, path: str) -> None:
    assert reader.error(_nested(path, "{}")) == f"{path}: {foreign.REFUSED[path]}"


def test_no_key_is_both_known_and_foreign() -> None:
    for path in (*foreign.IGNORED, *foreign.REFUSED):
        model: object = Settings
        for key in path.split("."):
            fields = getattr(model, "model_fields", {})
            model = fields[key].annotation if key in fields else None
        assert model is None, path


def test_secrets_are_not_shown(reader: Reader) -> None:
    settings = reader.settings("catalog: {url: 'postgresql://u:hunter2@h/d'}")
    assert settings.catalog.url is not None
    assert settings.catalog.url.get_secret_value() == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)
    assert str(settings.catalog.url) == "***"


def test_secrets_of_a_drivers_children_are_known() -> None:
    stores = [{"s3": {"secretkey": "one"}}, {"swift": {"password": "two"}}]
    parameters = {"stores": stores, "store": {"s3": {"secretkey": "three"}}, "require": "all"}
    assert secret_parameters(parameters) == {"one", "two", "three"}


def test_the_driver_called_cache_is_not_distributions_cache(reader: Reader, tmp_path: Path) -> None:
    cache = f"store: memory, directory: {tmp_path}, size: 2MiB"
    configuration = reader.read(f"storage: {{cache: {{{cache}, blobdescriptor: redis}}}}")
    assert configuration.settings.storage.driver == "cache"
    assert [line.partition(":")[0] for line in configuration.warnings] == [
        "storage.cache.blobdescriptor"
    ]


def _nested(path: str, value: str) -> str:
    for key in reversed(path.split(".")):
        value = f"{{{key}: {value}}}"
    return value
