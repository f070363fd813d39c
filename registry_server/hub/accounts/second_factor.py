"""The second factor: codes of an authenticator that change every 30 seconds (RFC 6238).

    offer -> confirm (a code shows that the authenticator has the seed) -> in force -> remove

No code is taken twice, nor an older one after it.  Recovery codes work once each.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyotp
from sqlalchemy import Connection

from registry_server.hub.errors import Conflict, Invalid
from registry_server.hub.records import audit, second_factors
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.users import User
from registry_server.hub.secrets import hashed
from registry_storage.databases import Database

STEP_SECONDS: Final = 30
DRIFT_STEPS: Final = 1
"""How far an authenticator's clock may be off, either way."""
SEED_BYTES: Final = 20
RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10
_WRONG: Final = "this is not the code that the authenticator shows now"


@dataclass(frozen=True, slots=True)
class Offer:
    """What an authenticator is told."""

    seed: str = field(repr=False)
    """In base32, for typing."""
    uri: str = field(repr=False)
    """`otpauth://…`, for a QR code."""


class SecondFactor:
    """Of users; times are of this machine's clock."""

    def __init__(
        self, database: Database, issuer: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._clock = clock

    async def offer(self, user: User) -> Offer:
        """A new seed, which is not in force yet.  Raises `Conflict` where another one is."""
        seed = secrets.token_bytes(SEED_BYTES)
        if not await self._database.write(second_factors.offer, user.id, seed):
            raise Conflict("there is a second factor already; remove it before")
        totp = _totp(seed)
        return Offer(totp.secret, totp.provisioning_uri(name=user.name, issuer_name=self._issuer))

    async def confirm(self, by: By, user: User, code: str, keep: str = "") -> list[str]:
        """Put it in force, and get the recovery codes.

        Logins by the password alone end, but for the session with the id `keep`.  Raises `Invalid`
        where the code is wrong, `Conflict` where there is nothing to confirm.
        """
        found = await self._database.read(second_factors.seed, user.id)
        if found is None or found[1]:
            raise Conflict("there is no second factor to confirm; begin again")
        seed = found[0]
        step = self._step(seed, code)
        if step is None:
            raise Invalid(_WRONG)
        codes = _new_codes()
        await self._database.write(_confirm, by, user, seed, step, _hashes(codes), keep)
        return codes

    async def verify(self, user: User, code: str) -> bool:
        """Whether that is the code of this moment, or a recovery code; it is used up."""
        found = await self._database.read(second_factors.seed, user.id)
        if found is None or not found[1]:
            return False
        step = self._step(found[0], code)
        if step is not None:
            return await self._database.write(second_factors.take_step, user.id, step)
        return await self._database.write(_take_recovery_code, user, hashed(_plain(code)))

    async def renew_codes(self, by: By, user: User) -> list[str]:
        """New recovery codes; the old ones are void.  Raises `Conflict` without a second factor."""
        codes = _new_codes()
        await self._database.write(_renew_codes, by, user, _hashes(codes))
        return codes

    async def codes_left(self, user: User) -> int:
        """How many recovery codes are still good."""
        return await self._database.read(second_factors.codes_left, user.id)

    async def remove(self, by: By, user: User) -> None:
        """A password is enough again."""
        await self._database.write(_remove, by, user)

    def _step(self, seed: bytes, code: str) -> int | None:
        """The step of which that is the code, if it is one of now."""
        totp, shown = _totp(seed), code.strip().replace(" ", "")
        now = int(self._clock()) // STEP_SECONDS
        for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
            if hmac.compare_digest(totp.generate_otp(step).encode(), _bytes(shown)):
                return step
        return None


def _totp(seed: bytes) -> pyotp.TOTP:
    return pyotp.TOTP(base64.b32encode(seed).decode(), interval=STEP_SECONDS)


def _new_codes() -> list[str]:
    """Such as `abcd-efgh-ijkl-mnop`."""
    return [_grouped(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def _grouped(random: bytes) -> str:
    text = base64.b32encode(random).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _plain(code: str) -> str:
    """A recovery code as it is hashed, however it was typed."""
    return "".join(code.split()).replace("-", "").lower()


def _hashes(codes: Sequence[str]) -> list[bytes]:
    return [hashed(_plain(code)) for code in codes]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _confirm(
    tx: Connection,
    by: By,
    user: User,
    seed: bytes,
    step: int,
    codes: Sequence[bytes],
    keep: str,
) -> None:
    if not second_factors.confirm(tx, user.id, seed, step, codes, keep):
        raise Conflict("another second factor was begun meanwhile; begin again")
    audit.record(tx, by, Deed("second-factor.set", f"user:{user.name}"))


def _take_recovery_code(tx: Connection, user: User, hashed: bytes) -> bool:
    if not second_factors.take_code(tx, user.id, hashed):
        return False
    left = second_factors.codes_left(tx, user.id)
    deed = Deed("second-factor.recovered", f"user:{user.name}", details={"codes left": left})
    audit.record(tx, By(user.name), deed)
    return True


def _renew_codes(tx: Connection, by: By, user: User, codes: Sequence[bytes]) -> None:
    found = second_factors.seed(tx, user.id)
    if found is None or not found[1]:
        raise Conflict("there is no second factor")
    second_factors.set_codes(tx, user.id, codes)
    audit.record(tx, by, Deed("second-factor.codes-renewed", f"user:{user.name}"))


def _remove(tx: Connection, by: By, user: User) -> None:
    second_factors.drop(tx, user.id)
    audit.record(tx, by, Deed("second-factor.removed", f"user:{user.name}"))
