"""How the swift driver logs in, stays logged in, and signs: v1, and v2 and v3 of Keystone.

Keystone is a fake of our own; the Swift behind it is real.
"""

from __future__ import annotations

import secrets
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from registry_storage.drivers.api import Driver, MiB, Redirects
from registry_storage.errors import AccessDenied, DriverError, TransientError
from registry_storage.plugins import open_driver
from registry_storage.testing.material import Held, content, mark_of, new_id, read_all
from tests.services import keystone as ks
from tests.services.containers import CONTAINERS, ScratchFolder, scratch_folder
from tests.services.keystone import FakeKeystone, fake_keystone
from tests.services.swift import SwiftServer

pytestmark = pytest.mark.xdist_group("swift")

HELLO = b"hello, world"


@pytest.fixture
def folder(swift_server: SwiftServer) -> Iterator[ScratchFolder]:
    with scratch_folder(swift_server) as folder:
        yield folder


@pytest.fixture
def keystone(swift_server: SwiftServer) -> Iterator[FakeKeystone]:
    with fake_keystone(swift_server) as keystone:
        yield keystone


@asynccontextmanager
async def started(settings: dict[str, Any]) -> AsyncIterator[Driver]:
    driver = open_driver("swift", settings)
    try:
        await driver.start()
        yield driver
    finally:
        await driver.close()


async def round_trip(driver: Driver) -> None:
    blob = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
    assert await read_all(driver, blob.location) == HELLO


def through(keystone: FakeKeystone, folder: ScratchFolder, path: str) -> dict[str, Any]:
    """Settings of a driver over the folder that logs in as alice."""
    own = {
        "authurl": keystone.address + path,
        "username": ks.USER["name"],
        "password": ks.USER["password"],
        "region": ks.REGION,
    }
    return {**folder.settings, **own}


V3_USER = {"domain": "people"}
WAYS = [
    ("/v2.0", {"tenant": "images"}, "tenant name"),
    ("/v2.0/", {"tenantid": "project-1"}, "tenant id"),
    ("", {"authversion": 2, "tenant": "images"}, "tenant name"),
    ("/v2.0", {"trustid": "trust-1"}, "trust"),
    ("/v3", {**V3_USER, "tenantid": "project-1"}, "project id"),
    ("/v3/", {"domainid": "domain-1", "tenantid": "project-1"}, "project id"),
    ("", {**V3_USER, "tenantid": "project-1"}, "project id"),
    ("/v3", {**V3_USER, "tenant": "images", "tenantdomain": "work"}, "project name"),
    ("/v3", {**V3_USER, "tenant": "images", "tenantdomainid": "domain-2"}, "project name"),
    ("/v3", {**V3_USER, "tenant": "images", "trustid": "trust-1"}, "trust"),
]


@pytest.mark.parametrize(("path", "settings", "scope"), WAYS)
async def test_keystone_lets_us_in(
    keystone: FakeKeystone,
    folder: ScratchFolder,
    path: str,
    settings: dict[str, Any],
    scope: str,
) -> None:
    async with started({**through(keystone, folder, path), **settings}) as driver:
        await round_trip(driver)
    assert keystone.logins == [scope]


async def test_an_application_credential_lets_us_in(
    keystone: FakeKeystone, folder: ScratchFolder
) -> None:
    settings = through(keystone, folder, "/v3")
    del settings["username"], settings["password"]
    credential = {
        "applicationcredentialid": ks.APPLICATION_CREDENTIAL["id"],
        "applicationcredentialsecret": ks.APPLICATION_CREDENTIAL["secret"],
    }
    async with started({**settings, **credential}) as driver:
        await round_trip(driver)
    assert keystone.logins == ["application credential"]


@pytest.mark.parametrize(
    "wrong",
    [{"password": "guess"}, {"tenantid": "project-2"}, {"domain": "work"}, {"trustid": "trust-2"}],
    ids=str,
)
async def test_keystone_keeps_us_out(
    keystone: FakeKeystone, folder: ScratchFolder, wrong: dict[str, Any]
) -> None:
    right = {**through(keystone, folder, "/v3"), **V3_USER, "tenantid": "project-1"}
    with pytest.raises(AccessDenied, match="refuses to log alice in"):
        async with started({**right, **wrong}):
            pass


@pytest.mark.parametrize("path", ["/v2.0", "/v3"])
async def test_an_unknown_region_is_named_with_those_that_are_known(
    keystone: FakeKeystone, folder: ScratchFolder, path: str
) -> None:
    settings = {**through(keystone, folder, path), **V3_USER, "tenantid": "project-1"}
    with pytest.raises(DriverError, match=r"storage\.swift\.region.*in west; it has north, south"):
        async with started({**settings, "region": "west"}):
            pass


async def test_a_version_that_is_not_spoken_there(
    keystone: FakeKeystone, folder: ScratchFolder
) -> None:
    settings = {**through(keystone, folder, "/elsewhere"), **V3_USER, "tenantid": "project-1"}
    with pytest.raises(DriverError, match="authversion is what it speaks") as raised:
        async with started(settings):
            pass
    assert not isinstance(raised.value, AccessDenied | TransientError)


async def test_clients_are_redirected_to_the_public_address(
    keystone: FakeKeystone, folder: ScratchFolder
) -> None:
    settings = {**through(keystone, folder, "/v3"), **V3_USER, "tenantid": "project-1"}
    own = {"endpointtype": "internal", "secretkey": "signs the URLs"}
    async with started({**settings, **own}) as driver:
        url = await redirect(driver)
    assert urlsplit(url).hostname == "localhost"
    assert fetched(url) == HELLO


async def test_a_token_that_is_refused_is_renewed(
    keystone: FakeKeystone, folder: ScratchFolder, swift_server: SwiftServer
) -> None:
    settings = {**through(keystone, folder, "/v3"), **V3_USER, "tenantid": "project-1"}
    async with started(settings) as driver:
        await check_renewal(driver, swift_server)
    assert len(keystone.logins) == 5


async def test_a_token_of_v1_that_is_refused_is_renewed(
    folder: ScratchFolder, swift_server: SwiftServer
) -> None:
    async with started(folder.settings) as driver:
        await check_renewal(driver, swift_server)


async def check_renewal(driver: Driver, server: SwiftServer) -> None:
    """Whatever the first call is after the token has gone, a large body included."""
    part = content(3 * MiB)
    handle = await driver.begin_upload(new_id())
    server.revoke_tokens()
    parts = [await driver.put_part(handle, 1, 0, Held(part), len(part))]
    server.revoke_tokens()
    blob = await driver.commit_upload(handle, parts, None)
    server.revoke_tokens()
    assert await read_all(driver, blob.location) == part
    server.revoke_tokens()
    assert [found async for found in driver.list_blobs()] == [blob]


async def redirect(driver: Driver, method: str = "GET") -> str:
    """A URL of a fresh blob, for a minute."""
    redirects = driver.extension(Redirects)
    assert redirects is not None
    blob = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
    url = await redirects.blob_url(blob.location, 60, method)
    assert url is not None
    return url


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        data: bytes = answer.read()
        return data


def of_a_container(folder: ScratchFolder) -> dict[str, Any]:
    """Settings over a fresh container, whose key nobody has set."""
    return {**folder.settings, "container": f"keys-{secrets.token_hex(4)}", "prefix": ""}


async def test_a_key_of_the_container_signs_and_large_blobs_are_served(
    folder: ScratchFolder,
) -> None:
    settings = {**of_a_container(folder), "tempurlcontainerkey": True, "secretkey": "its own"}
    data = [content(MiB, 1), content(MiB, 2), b"the end"]
    async with started(settings) as driver:
        handle = await driver.begin_upload(new_id())
        parts = [
            await driver.put_part(handle, n + 1, n * MiB, Held(piece), len(piece))
            for n, piece in enumerate(data)
        ]
        blob = await driver.commit_upload(handle, parts, None)
        redirects = driver.extension(Redirects)
        assert redirects is not None
        url = await redirects.blob_url(blob.location, 60)
        assert url is not None
        assert fetched(url) == b"".join(data)
    assert "sha1" not in url


async def test_the_key_that_is_there_signs_where_none_is_configured(folder: ScratchFolder) -> None:
    settings = {**of_a_container(folder), "tempurlcontainerkey": True}
    async with started(settings) as driver:
        blob = await driver.put_blob(new_id(), [HELLO], None)
        assert await driver.blob_url(blob.location, 60) is None  # type: ignore[attr-defined]
    name = settings["container"]
    folder.connection.post_container(name, {"X-Container-Meta-Temp-URL-Key-2": "somebody's"})
    async with started(settings) as driver:
        assert fetched(await redirect(driver)) == HELLO


async def test_two_keys_of_somebody_else_are_not_replaced(folder: ScratchFolder) -> None:
    settings = {**of_a_container(folder), "tempurlcontainerkey": True}
    keys = {f"X-Container-Meta-Temp-URL-Key{slot}": f"key{slot}" for slot in ("", "-2")}
    folder.connection.put_container(settings["container"], keys)
    with pytest.raises(DriverError, match=r"storage\.swift\.secretkey: .* two other keys"):
        async with started({**settings, "secretkey": "a third"}):
            pass
    async with started({**settings, "secretkey": "key-2"}) as driver:
        assert fetched(await redirect(driver)) == HELLO


async def test_a_url_expires_and_serves_one_method_only(folder: ScratchFolder) -> None:
    settings = {**folder.settings, "secretkey": "signs the URLs", "tempurlmethods": ["GET"]}
    async with started(settings) as driver:
        url = await redirect(driver)
        location = (await driver.put_blob(new_id(), [HELLO], None)).location
        assert await driver.blob_url(location, 60, "HEAD") is None  # type: ignore[attr-defined]
    assert int(urlsplit(url).query.rpartition("=")[2]) <= time.time() + 61
    for spoilt in (url.replace("temp_url_expires=", "temp_url_expires=9"), url.split("&")[0]):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            fetched(spoilt)


async def test_who_may_do_nothing_is_told_what_is_missing(
    folder: ScratchFolder, swift_server: SwiftServer
) -> None:
    with pytest.raises(AccessDenied, match=f"{CONTAINERS[0]} .*give the user the right to read"):
        async with started({**folder.settings, "username": swift_server.reader}):
            pass


async def test_rights_on_the_container_are_enough(
    folder: ScratchFolder, swift_server: SwiftServer
) -> None:
    settings = of_a_container(folder)
    acl = {
        "X-Container-Read": f"{swift_server.reader},.rlistings",
        "X-Container-Write": swift_server.reader,
    }
    folder.connection.put_container(settings["container"], acl)
    async with started({**settings, "username": swift_server.reader}) as driver:
        await round_trip(driver)
        [blob] = [found async for found in driver.list_blobs()]
        await driver.delete_blobs([blob.location])
        assert await driver.blob_url(blob.location, 60) is None  # type: ignore[attr-defined]
