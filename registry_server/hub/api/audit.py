"""The audit log: who did what to what, and from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from registry_server.hub.api.models import AccountName, Line, Page, Time, moment
from registry_server.hub.records.audit import Entry, Mark, Search
from registry_server.hub.roles import Role
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Input, Output, Route

_MARK: Final = r"^(?:[0-9]{1,15}-[0-9]{1,15})?$"


class AuditQuery(Input):
    actor: Line | None = Field(None, description="The user or robot who did it.")
    action: Line | None = Field(None, description="Such as `tag.set`.")
    target: Line | None = Field(None, description="Such as `repository:team/app`.")
    since: Time | None = Field(None, description="Not before that.")
    until: Time | None = Field(None, description="Before that.")
    limit: int = Field(100, ge=1, le=1000, description="The most items of the answer.")
    after: Annotated[str, StringConstraints(pattern=_MARK)] = Field(
        "", description="`next` of the answer before; empty: from the newest."
    )


class HubAuditQuery(AuditQuery):
    namespace: AccountName | None = Field(None, description="Where it was done.")


class AuditEntry(Output):
    at: datetime
    actor: str
    origin: str = Field(description="The address that the request came from.")
    request_id: str
    action: str
    target: str
    namespace: str
    details: Mapping[str, Any]


async def search_audit_log(call: Call, query: HubAuditQuery) -> Page[AuditEntry]:
    """Search the hub's audit log, the newest entry first."""
    return await _search(call, query, query.namespace)


async def search_namespace_audit_log(
    call: Call, namespace: AccountName, query: AuditQuery
) -> Page[AuditEntry]:
    """Search what was done in a namespace, the newest entry first."""
    return await _search(call, query, namespace)


async def _search(call: Call, query: AuditQuery, namespace: str | None) -> Page[AuditEntry]:
    search = Search(
        actor=query.actor,
        target=query.target,
        namespace=namespace,
        action=query.action,
        since=_milliseconds(query.since),
        until=_milliseconds(query.until),
    )
    before = Mark(*map(int, query.after.split("-"))) if query.after else None
    entries = await call.hub.audit.find(search, before=before, limit=query.limit)
    more = len(entries) == query.limit
    following = f"{entries[-1].mark.at}-{entries[-1].mark.id}" if more else None
    return Page(items=[_shown(entry) for entry in entries], next=following)


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def _shown(entry: Entry) -> AuditEntry:
    return AuditEntry(
        at=moment(entry.mark.at),
        actor=entry.by.actor,
        origin=entry.by.origin,
        request_id=entry.by.request_id,
        action=entry.deed.action,
        target=entry.deed.target,
        namespace=entry.deed.namespace,
        details=entry.deed.details,
    )


ROUTES: Final[Sequence[Route]] = (
    Route("GET", "/api/v1/audit", Policy.SITE_ADMIN, search_audit_log),
    Route(
        "GET",
        "/api/v1/namespaces/{namespace}/audit",
        Policy.namespace(Role.ADMIN),
        search_namespace_audit_log,
    ),
)
