"""`GET /v2/`: yes, this is a registry (OCI Distribution Spec 1.1, "Determining Support")."""

from __future__ import annotations

from typing import Final

from registry_server.api.calls import Call
from registry_server.api.replies import Reply

_YES: Final = Reply(200, (("Content-Type", "application/json"),), b"{}")


async def get_base(call: Call) -> Reply:
    return _YES
