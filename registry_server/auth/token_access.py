"""Access control by tokens of a token server, which alone knows users and rights.

A client without a token is told where to get one, and for what (RFC 6750, Docker's token
specification); so is one whose token does not do: the answer is always 401, never 403, because
another token may do.  Verified tokens are remembered until they expire or the keys change.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from registry_server.auth.access import (
    ANONYMOUS,
    Access,
    Action,
    Decision,
    Listing,
    Scope,
    Subject,
)
from registry_server.auth.key_sources import ConfiguredKeys, KeySource
from registry_server.auth.signed import LEEWAY, KeyUnknown, TokenRefused
from registry_server.auth.tokens import Token, Verifier
from registry_server.settings.hub import HubSettings
from registry_server.settings.model import TokenSettings

MAX_REMEMBERED: Final = 4096
TOKEN_PATH: Final = "/token"
"""Where a hub gives tokens."""
KEYS_PATH: Final = "/.well-known/jwks.json"
"""Where a hub shows the keys that it signs them with."""
HUB_ALGORITHMS: Final = frozenset({"ES256", "EdDSA", "RS256"})
_GRANTED: Final = Decision(True, "the token grants it")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenSubject(Subject):
    """Whoever holds a token.  It need not name them: then it grants what everybody may do."""

    grants: Mapping[str, frozenset[Action]] = field(default_factory=dict)
    may_list: bool = False
    """All of the catalog."""
    listing: Listing | None = None
    """Else this much of it."""


class TokenAccess(Access):
    """Tokens of one issuer, for one service.

    `realm` is the URL that clients get them at; a path is one of this server, by whatever name a
    client reaches it.  Who `knows_renames` grants an old name only for the sake of the new one.
    """

    is_open = False

    def __init__(
        self, verifier: Verifier, realm: str, keys: KeySource, *, knows_renames: bool = False
    ) -> None:
        self._verifier = verifier
        self._knows_renames = knows_renames
        self._realm = realm
        self._keys = keys
        self._remembered: dict[str, tuple[Subject, float]] = {}
        keys.on_change(self._remembered.clear)

    @classmethod
    def of_server(
        cls, settings: TokenSettings, clock: Callable[[], float] = time.time
    ) -> TokenAccess:
        """By the tokens of a token server.  Reads the files of keys.

        Raises `ConfigurationInvalid`.
        """
        algorithms = frozenset(settings.signingalgorithms)
        verifier = Verifier(settings.issuer, settings.service, algorithms, clock)
        return cls(verifier, settings.realm, ConfiguredKeys(settings.jwks, settings.rootcertbundle))

    @classmethod
    def of_hub(
        cls, settings: HubSettings, keys: KeySource, clock: Callable[[], float] = time.time
    ) -> TokenAccess:
        """By the tokens of a hub, whose keys are `keys`."""
        verifier = Verifier(settings.issuer, settings.service, HUB_ALGORITHMS, clock)
        return cls(verifier, f"{settings.url or ''}{TOKEN_PATH}", keys, knows_renames=True)

    async def start(self) -> None:
        await self._keys.start()

    async def close(self) -> None:
        await self._keys.close()

    async def reload(self) -> None:
        """Look at the keys now; when this returns, they are in force."""
        await self._keys.reload()

    # Who asks

    def identify_cached(self, authorization: str | None) -> Subject | None:
        if authorization is None:
            return ANONYMOUS
        found = self._remembered.get(authorization)
        return found[0] if found is not None and found[1] > self._verifier.clock() else None

    async def identify(self, authorization: str | None, *, client: str = "") -> Subject:
        """As `Access.identify`; what is no bearer token at all counts as none."""
        scheme, _, text = (authorization or "").partition(" ")
        if authorization is None or scheme.lower() != "bearer":
            return ANONYMOUS
        try:
            token = await self._verify(text.strip(" "))
        except TokenRefused as error:
            log.info("a token was refused: %s", error)
            raise
        subject = TokenSubject(
            token.subject,
            self._verifier.is_late(token),
            token.grants,
            token.may_list,
            token.listing,
        )
        if not subject.is_late:
            self._remember(authorization, subject, token.expires + LEEWAY)
        return subject

    async def _verify(self, text: str) -> Token:
        try:
            return self._verifier.verify(text, self._keys.value)
        except KeyUnknown:
            if not await self._keys.look_for_new_keys():
                raise
        return self._verifier.verify(text, self._keys.value)

    def _remember(self, authorization: str, subject: Subject, until: float) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[authorization] = (subject, until)

    # What they may do

    def decide(self, subject: Subject, repository: str, action: Action) -> Decision:
        grants = subject.grants.get(repository, ()) if isinstance(subject, TokenSubject) else ()
        if action in grants:
            return _GRANTED
        return Decision(False, f"no token that grants {action} on {repository} was sent")

    def admits(self, subject: Subject) -> bool:
        return isinstance(subject, TokenSubject)

    def may_list(self, subject: Subject) -> bool:
        if not isinstance(subject, TokenSubject):
            return False
        return subject.may_list or subject.listing is not None

    def listing(self, subject: Subject) -> Listing | None:
        if not isinstance(subject, TokenSubject) or subject.may_list:
            return None
        return subject.listing

    def may_see(self, subject: Subject, repository: str) -> bool:
        return isinstance(subject, TokenSubject) and subject.may_list

    def may_follow(self, subject: Subject, new_name: str) -> bool:
        return self._knows_renames or super().may_follow(subject, new_name)

    def challenge(self, subject: Subject | None, scopes: Sequence[Scope], authority: str) -> str:
        realm = f"{authority}{self._realm}" if self._realm.startswith("/") else self._realm
        asks = f'Bearer realm="{realm}",service="{self._verifier.service}"'
        if scopes:
            asks += f',scope="{" ".join(map(str, scopes))}"'
        if subject is None:
            return asks + ',error="invalid_token"'
        return asks + ',error="insufficient_scope"' if self.admits(subject) else asks
