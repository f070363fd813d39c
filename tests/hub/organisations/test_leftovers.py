"""Repositories that lie in a namespace that nobody owns any more."""

from __future__ import annotations

import pytest

from registry_server.hub.errors import Conflict, Taken
from registry_server.hub.organisations import organisations
from tests.hub.conftest import Served
from tests.hub.organisations.people import BY


async def test_what_is_pushed_while_an_organisation_is_deleted_goes_to_nobody(
    served: Served,
) -> None:
    hub = served.hub
    await hub.organisations.create(BY, "team", admin=None)
    await hub.organisations._repositories.refuse_inhabited("team")
    await hub.registry.create_repository("team/late")
    await hub.database.write(organisations.delete, BY, "team")
    with pytest.raises(Conflict, match="there are repositories in team"):
        await hub.organisations.create(BY, "team", admin=None)
    with pytest.raises(Taken):
        await hub.repositories.refuse_heir("team")
    await hub.repositories.delete(BY, "team/late")
    await hub.organisations.create(BY, "team", admin=None)
