"""Robots: accounts of programs, which belong to a namespace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field

from registry_server.hub.api.me import Lifetime
from registry_server.hub.api.models import (
    AccountName,
    LimitModel,
    Line,
    Page,
    Paging,
    moment,
    moment_or_none,
    page_of,
)
from registry_server.hub.records.robots import Robot as RobotRow
from registry_server.hub.roles import Role
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Input, Output, Route

Limits = Annotated[Sequence[LimitModel], Field(min_length=1, max_length=50)]


class RobotChange(Input):
    limits: Limits = Field(description="What it may do, in its namespace.")
    description: Line = ""
    is_disabled: bool = False


class NewRobot(Input):
    name: AccountName
    limits: Limits = Field(description="What it may do, in its namespace.")
    description: Line = ""
    expires_in: Lifetime | None = Field(None, description="Seconds; null: when it is deleted.")


class Robot(Output):
    name: str
    login: str = Field(description="The name that it logs in by.")
    description: str
    limits: Sequence[LimitModel]
    is_disabled: bool
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    used_from: str = Field(description="The address that it was used from last.")


class CreatedRobot(Robot):
    secret: str = Field(description="It is not shown again.")


class RobotSecret(Output):
    secret: str = Field(description="It is not shown again.")


async def list_robots(call: Call, namespace: AccountName, query: Paging) -> Page[Robot]:
    """List a namespace's robots, by name."""
    found = await call.hub.accounts.robots.page(namespace, query.after, query.limit)
    return page_of([Robot(**_fields(robot)) for robot in found], query, "name")


async def create_robot(call: Call, namespace: AccountName, body: NewRobot) -> CreatedRobot:
    """Make a robot, whose secret is shown this once."""
    robot, secret = await call.hub.accounts.robots.create(
        call.by,
        namespace,
        body.name,
        tuple(one.limit() for one in body.limits),
        description=body.description,
        lifetime=body.expires_in,
    )
    return CreatedRobot(**_fields(robot), secret=secret)


async def get_robot(call: Call, namespace: AccountName, robot: AccountName) -> Robot:
    """Show a robot."""
    return Robot(**_fields(await call.hub.accounts.robots.find(namespace, robot)))


async def change_robot(
    call: Call, namespace: AccountName, robot: AccountName, body: RobotChange
) -> Robot:
    """Say what a robot may do, what it is for, and whether it may do anything at all."""
    robots = call.hub.accounts.robots
    limits = tuple(one.limit() for one in body.limits)
    await robots.change(call.by, namespace, robot, limits, body.description)
    await robots.set_disabled(call.by, namespace, robot, body.is_disabled)
    return Robot(**_fields(await robots.find(namespace, robot)))


async def renew_robot_secret(call: Call, namespace: AccountName, robot: AccountName) -> RobotSecret:
    """Give a robot another secret; the old one is no longer good."""
    secret = await call.hub.accounts.robots.renew_secret(call.by, namespace, robot)
    return RobotSecret(secret=secret)


async def delete_robot(call: Call, namespace: AccountName, robot: AccountName) -> None:
    """Delete a robot."""
    await call.hub.accounts.robots.delete(call.by, namespace, robot)


def _fields(robot: RobotRow) -> dict[str, Any]:
    return {
        "name": robot.name,
        "login": robot.login,
        "description": robot.description,
        "limits": [LimitModel.of(one) for one in robot.limits],
        "is_disabled": robot.disabled_at is not None,
        "created_at": moment(robot.created_at),
        "expires_at": moment_or_none(robot.expires_at),
        "used_at": moment_or_none(robot.used_at),
        "used_from": robot.used_from,
    }


_ADMINS: Final = Policy.namespace(Role.ADMIN)
_ALL: Final = "/api/v1/namespaces/{namespace}/robots"
_ONE: Final = f"{_ALL}/{{robot}}"

ROUTES: Final[Sequence[Route]] = (
    Route("GET", _ALL, _ADMINS, list_robots),
    Route("POST", _ALL, _ADMINS, create_robot, 201),
    Route("GET", _ONE, _ADMINS, get_robot),
    Route("PUT", _ONE, _ADMINS, change_robot),
    Route("DELETE", _ONE, _ADMINS, delete_robot),
    Route("POST", f"{_ONE}/secret", _ADMINS, renew_robot_secret, 201),
)
