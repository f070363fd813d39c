"""No endpoint is open by accident."""

from __future__ import annotations

import pytest

from registry_server.api.paths import Resource
from registry_server.api.routes import ROUTES, Need, Route, allowed_methods, find_route


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.resource}")
def test_every_endpoint_of_a_repository_needs_rights_on_it(route: Route) -> None:
    if "<name>" in route.resource:
        assert route.need in (Need.PULL, Need.PUSH, Need.DELETE)
    if route.method not in ("GET", "HEAD"):
        assert route.need in (Need.PUSH, Need.DELETE)


def test_every_resource_can_be_asked_for_and_no_route_is_there_twice() -> None:
    assert all(allowed_methods(resource) for resource in Resource)
    assert len({(route.method, route.resource) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("resource", Resource)
def test_head_is_answered_wherever_get_is(resource: Resource) -> None:
    assert (find_route("GET", resource) is None) == (find_route("HEAD", resource) is None)


def test_only_heads_of_content_that_may_be_collected_renew_a_lease() -> None:
    with_head = {route.resource for route in ROUTES if route.method == "HEAD"}
    assert with_head == {Resource.MANIFEST, Resource.BLOB}
