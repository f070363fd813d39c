"""The facade against a dictionary: whatever is done in whatever order, both hold the same.

Each step foresees from the model alone what the registry must answer, errors included; after each,
all that can be read is compared.  The janitor deletes at once what is garbage, so bytes that go too
early are missed, and after it has worked the driver holds nothing but what the model does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from registry_storage import (
    BlobInfo,
    Digest,
    PushedManifest,
    Registry,
    StorePolicy,
    image_index,
    image_manifest,
    media_types,
)
from registry_storage.drivers.api import BlobKind, KiB
from registry_storage.errors import (
    BlobUnknown,
    ContentInUse,
    ManifestBlobUnknown,
    ManifestUnknown,
    RegistryError,
    RepositoryUnknown,
    TagExists,
)
from registry_storage.images import descriptor

pytestmark = pytest.mark.slow

T = TypeVar("T")

CONTENTS = {Digest.of(data): data for data in (b"", b"{}", b"layer", bytes(100 * KiB))}
ABSENT = Digest.of(b"never pushed")

names = st.sampled_from(["team/app", "team/other", "mirror"])
digests = st.sampled_from(sorted(CONTENTS))
tag_lists = st.lists(st.sampled_from(["1.0", "edge", "latest"]), unique=True, max_size=2)
picks = st.integers(min_value=0)


@dataclass(frozen=True)
class Document:
    """A manifest that was made, whether or not some repository lists it."""

    payload: bytes
    media_type: str
    blobs: tuple[Digest, ...] = ()
    children: tuple[Digest, ...] = ()
    subject: Digest | None = None

    @property
    def described(self) -> dict[str, Any]:
        digest = Digest.of(self.payload)
        pushed = PushedManifest(digest, self.media_type, None, (), len(self.payload))
        return descriptor(pushed, self.media_type)


@dataclass
class Model:
    """What one repository must hold."""

    exists: bool = False
    blobs: set[Digest] = field(default_factory=set)
    manifests: dict[Digest, Document] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)

    def users_of(self, digest: Digest) -> bool:
        return any(digest in (*m.blobs, *m.children) for m in self.manifests.values())


class Facade(RuleBasedStateMachine):
    """Three repositories of one store in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.resources = AsyncExitStack()
        self.models = {name: Model() for name in ("team/app", "team/other", "mirror")}
        self.made: list[Document] = []
        self.registry = self.run(self._open())

    async def _open(self) -> Registry:
        opened = Registry.open("memory", policy=StorePolicy(garbage_delay=0))
        return await self.resources.enter_async_context(await opened)

    def teardown(self) -> None:
        self.run(self.resources.aclose())
        self.runner.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def refused(self, error: type[RegistryError], call: Coroutine[Any, Any, object]) -> Any:
        with pytest.raises(error) as raised:
            self.run(call)
        return raised.value

    # Blobs

    @rule(name=names, digest=digests)
    def push_blob(self, name: str, digest: Digest) -> None:
        blob = self.run(self.registry.repository(name).put_blob(CONTENTS[digest], digest))
        assert (blob.digest, blob.size) == (digest, len(CONTENTS[digest]))
        self._holds(name, digest)

    @rule(name=names, digest=digests, cut=picks, finish=st.booleans())
    def upload(self, name: str, digest: Digest, cut: int, finish: bool) -> None:
        data = CONTENTS[digest]
        cut %= len(data) + 1
        repository = self.registry.repository(name)
        upload = self.run(repository.begin_upload()).id
        self.models[name].exists = True
        assert self.run(repository.append_upload(upload, pieces(data[:cut]))).offset == cut
        if finish:
            self.run(repository.finish_upload(upload, digest, pieces(data[cut:]), start=cut))
            self._holds(name, digest)
        else:
            self.run(repository.cancel_upload(upload))

    @rule(source=names, name=names, digest=digests)
    def mount(self, source: str, name: str, digest: Digest) -> None:
        mounted = self.run(self.registry.repository(name).mount_blob(digest, source))
        assert (mounted is not None) == (digest in self.models[source].blobs)
        if mounted is not None:
            self._holds(name, digest)

    @rule(name=names, digest=digests)
    def delete_blob(self, name: str, digest: Digest) -> None:
        model, deletion = self.models[name], self.registry.repository(name).delete_blob(digest)
        if digest not in model.blobs:
            self.refused(BlobUnknown, deletion)
        elif model.users_of(digest):
            self.refused(ContentInUse, deletion)
        else:
            self.run(deletion)
            model.blobs.remove(digest)

    def _holds(self, name: str, digest: Digest) -> None:
        self.models[name].exists = True
        self.models[name].blobs.add(digest)

    # Manifests and tags

    @rule(name=names, config=digests, layers=st.lists(digests, max_size=3), tags=tag_lists)
    def push_image(self, name: str, config: Digest, layers: list[Digest], tags: list[str]) -> None:
        self._push(name, image(config, layers), tags)

    @precondition(lambda self: self.made)
    @rule(name=names, config=digests, pick=picks)
    def push_referrer(self, name: str, config: Digest, pick: int) -> None:
        self._push(name, image(config, (), self._picked(pick)), ())

    @precondition(lambda self: self.made)
    @rule(name=names, chosen=st.lists(picks, min_size=1, max_size=3), tags=tag_lists)
    def push_index(self, name: str, chosen: list[int], tags: list[str]) -> None:
        children = [self._picked(pick) for pick in chosen]
        payload = image_index([child.described for child in children])
        digests = tuple(Digest.of(child.payload) for child in children)
        self._push(name, Document(payload, media_types.OCI_INDEX, children=digests), tags)

    @precondition(lambda self: self.made)
    @rule(name=names, pick=picks, tags=tag_lists, may_move=st.booleans())
    def retag(self, name: str, pick: int, tags: list[str], may_move: bool) -> None:
        self._push(name, self._picked(pick), tags, may_move)

    @precondition(lambda self: self.made)
    @rule(name=names, pick=picks)
    def delete_manifest(self, name: str, pick: int) -> None:
        model, digest = self.models[name], Digest.of(self._picked(pick).payload)
        deletion = self.registry.repository(name).delete_manifest(digest)
        if digest not in model.manifests:
            self.refused(ManifestUnknown, deletion)
        elif model.users_of(digest):
            self.refused(ContentInUse, deletion)
        else:
            self.run(deletion)
            del model.manifests[digest]
            model.tags = {tag: named for tag, named in model.tags.items() if named != digest}

    @rule(name=names, tags=tag_lists)
    def delete_tags(self, name: str, tags: list[str]) -> None:
        for tag in tags:
            deletion = self.registry.repository(name).delete_tag(tag)
            if self.models[name].tags.pop(tag, None) is None:
                self.refused(ManifestUnknown, deletion)
            else:
                self.run(deletion)

    def _push(
        self, name: str, document: Document, tags: Sequence[str], may_move: bool = True
    ) -> None:
        self.made.append(document)
        model, digest = self.models[name], Digest.of(document.payload)
        push = self.registry.repository(name).put_manifest(
            document.payload, document.media_type, tags=tags, may_move_tags=may_move
        )
        missing = [blob for blob in document.blobs if blob not in model.blobs]
        missing += [child for child in document.children if child not in model.manifests]
        if not may_move and any(model.tags.get(tag, digest) != digest for tag in tags):
            self.refused(TagExists, push)
        elif missing:
            refusal = self.refused(ManifestBlobUnknown, push)
            assert refusal.missing == tuple(dict.fromkeys(missing))
        else:
            assert self.run(push).digest == digest
            model.exists = True
            model.manifests[digest] = document
            model.tags |= dict.fromkeys(tags, digest)

    def _picked(self, pick: int) -> Document:
        return self.made[pick % len(self.made)]

    # Housekeeping

    @rule()
    def keep_house(self) -> None:
        janitor = self.registry.janitor()
        self.run(janitor.tick())
        self.run(janitor.resign())
        held = {digest for model in self.models.values() for digest in model.blobs}
        listed = {digest for model in self.models.values() for digest in model.manifests}
        assert self.run(self._stored(BlobKind.BLOB)) == sorted(held), "each once, and no more"
        assert self.run(self._stored(BlobKind.MANIFEST)) == sorted(listed)

    async def _stored(self, kind: BlobKind) -> list[Digest]:
        marks = [blob.mark async for blob in self.registry.driver.list_blobs(kind)]
        return sorted(mark.digest for mark in marks if mark is not None)

    # What can be read

    @invariant()
    def lists_agree(self) -> None:
        listed = sorted(name for name, model in self.models.items() if model.manifests)
        assert self.run(self.registry.repositories()) == listed
        for name, model in self.models.items():
            if model.exists:
                tags = self.run(self.registry.repository(name).tags())
                assert tags == sorted(model.tags)
            else:
                self.refused(RepositoryUnknown, self.registry.repository(name).tags())

    @invariant()
    def blobs_agree(self) -> None:
        for name, model in self.models.items():
            for digest in (*CONTENTS, ABSENT):
                if digest in model.blobs:
                    assert self.run(self._read(name, digest)) == CONTENTS[digest]
                else:
                    self.refused(BlobUnknown, self.registry.repository(name).blob(digest))

    @invariant()
    def manifests_agree(self) -> None:
        for name, model in self.models.items():
            repository = self.registry.repository(name)
            for document in self.made:
                digest = Digest.of(document.payload)
                if digest not in model.manifests:
                    self.refused(ManifestUnknown, repository.manifest(digest))
                    continue
                found = self.run(repository.manifest(digest))
                assert (found.payload, found.media_type) == (document.payload, document.media_type)
            for tag, digest in model.tags.items():
                assert self.run(repository.manifest(tag)).digest == digest

    @invariant()
    def referrers_agree(self) -> None:
        for name, model in self.models.items():
            for subject in {made.subject for made in self.made if made.subject is not None}:
                expected = [d for d, made in model.manifests.items() if made.subject == subject]
                found = self.run(self.registry.repository(name).referrers(subject))
                assert [each.digest for each in found] == sorted(expected)

    async def _read(self, name: str, digest: Digest) -> bytes:
        repository = self.registry.repository(name)
        async with repository.read_blob(await repository.blob(digest)) as stored:
            return b"".join([piece async for piece in stored])


def image(config: Digest, layers: Sequence[Digest], subject: Document | None = None) -> Document:
    blobs = [BlobInfo(digest, len(CONTENTS[digest]), "") for digest in (config, *layers)]
    described = subject.described if subject else None
    return Document(
        image_manifest(blobs[0], blobs[1:], subject=described),
        media_types.OCI_MANIFEST,
        blobs=(config, *layers),
        subject=Digest.of(subject.payload) if subject else None,
    )


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 40_000):
        yield data[start : start + 40_000]


TestFacade = Facade.TestCase
TestFacade.settings = settings(
    max_examples=50,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
