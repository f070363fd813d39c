"""Who asks the hub for something, and how far their credentials go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from registry_server.hub.roles import Limit


class Kind(StrEnum):
    """What sort of account it is."""

    ANONYMOUS = "anonymous"
    USER = "user"
    ROBOT = "robot"


class Via(StrEnum):
    """What they have shown."""

    NOTHING = "nothing"
    PASSWORD = "password"
    SESSION = "session"
    ACCESS_TOKEN = "access-token"
    ROBOT_SECRET = "robot-secret"
    REFRESH_TOKEN = "refresh-token"


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, or nobody in particular, and the credentials that it came with."""

    kind: Kind = Kind.ANONYMOUS
    name: str = ""
    """Of a user; of a robot `namespace+name`; empty for nobody in particular."""
    account: int | None = None
    """The id of the user or the robot."""
    is_admin: bool = False
    """Of the whole hub."""
    via: Via = Via.NOTHING
    credential: str = ""
    """The id of the session or the token that was shown."""
    limits: tuple[Limit, ...] | None = None
    """What the credentials narrow the account's rights to; None: nothing less than all of them."""

    @property
    def is_anonymous(self) -> bool:
        return self.kind is Kind.ANONYMOUS


ANONYMOUS = Caller()
