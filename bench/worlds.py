"""Two servers that differ only in what others keep private: a stranger must not tell them apart.

Not by how long answers take either: the same requests go to both in turn, and each is compared with
its neighbour.  That the answers are alike is for the tests.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

from bench.accounts import bearer, login, with_accounts
from bench.client import Connection, push_image
from bench.content import Image
from bench.servers import Server

OWNER, STRANGER = "owner", "stranger"
HIDDEN: Final = 30
"""Repositories that the owner has in one of the worlds, and not in the other."""
NAME: Final = f"{OWNER}/app-7"
QUOTED: Final = quote(NAME, safe="")
PULL: Final = f"repository:{NAME}:pull"
BLOCK: Final = 20
ROUNDS: Final = 50


@dataclass(frozen=True, slots=True)
class Question:
    """A request of a stranger."""

    title: str
    path: str
    status: int
    authorization: Callable[[Server], str | None]


QUESTIONS: Final = (
    Question("a manifest, without a token", f"/v2/{NAME}/manifests/latest", 401, lambda _: None),
    Question(
        "a manifest, with nobody's token",
        f"/v2/{NAME}/manifests/latest",
        401,
        lambda server: bearer(server, PULL),
    ),
    Question(
        "tags, with a user's token",
        f"/v2/{NAME}/tags/list",
        401,
        lambda server: bearer(server, PULL, user=STRANGER),
    ),
    Question("a token for nobody", f"/token?scope={PULL}", 200, lambda _: None),
    Question("a token for a user", f"/token?scope={PULL}", 200, lambda _: login(STRANGER)),
    Question(
        "the catalog",
        "/v2/_catalog",
        200,
        lambda server: bearer(server, "registry:catalog:*", user=STRANGER),
    ),
    Question("a repository in the API", f"/api/v1/repositories/{QUOTED}", 401, lambda _: None),
    Question("repositories in the API", "/api/v1/repositories", 200, lambda _: None),
)


def ratios(scratch: Path) -> dict[str, float]:
    """By question: how much longer the slower of the two worlds takes, in the median."""
    with (
        _world(scratch, "without", hidden=0) as without,
        _world(scratch, "with", hidden=HIDDEN) as with_hidden,
        ExitStack() as stack,
    ):
        pairs = [_Pair(question, without, with_hidden, stack) for question in QUESTIONS]
        for _ in range(ROUNDS):
            for pair in pairs:
                pair.ask()
        medians = {pair.question.title: statistics.median(pair.ratios) for pair in pairs}
        return {title: max(median, 1 / median) for title, median in medians.items()}


@contextmanager
def _world(scratch: Path, name: str, *, hidden: int) -> Iterator[Server]:
    """Started anew, so that only what is kept tells of what was done in it.

    On one processor with the other world, so that both have the same neighbours.
    """
    with with_accounts(scratch, f"world-{name}", OWNER, STRANGER) as server:
        _hide(server, hidden)
    with with_accounts(scratch, f"world-{name}") as server:
        for task in Path(f"/proc/{server.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {min(os.sched_getaffinity(0))})
        yield server


def _hide(server: Server, count: int) -> None:
    """Push what only the owner may see."""
    for number in range(count):
        repository = f"{OWNER}/app-{number}"
        token = bearer(server, f"repository:{repository}:pull,push", user=OWNER)
        with replace(server, authorization=token).connect() as connection:
            push_image(connection, repository, "latest", Image.make("hidden"))


class _Pair:
    """A question, and a connection to each world for it."""

    def __init__(
        self, question: Question, without: Server, with_hidden: Server, stack: ExitStack
    ) -> None:
        self.question = question
        self.ratios: list[float] = []
        self._connections = [
            stack.enter_context(Connection(server.port, question.authorization(server)))
            for server in (without, with_hidden)
        ]

    def ask(self) -> None:
        """Ask each for a while, and compare: what disturbs one of them spoils one ratio of many."""
        without, with_hidden = self._connections
        early = self._median(without)
        self.ratios.append(self._median(with_hidden) / early)
        late = self._median(with_hidden)
        self.ratios.append(late / self._median(without))

    def _median(self, connection: Connection) -> float:
        return statistics.median(_timed(connection, self.question) for _ in range(BLOCK))


def _timed(connection: Connection, question: Question) -> float:
    began = time.perf_counter()
    connection.request("GET", question.path, expect=question.status)
    return time.perf_counter() - began
