"""The hashers agree with hashlib, whole and continued."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_storage.digest import ALGORITHMS, Digest
from registry_storage.errors import DigestInvalid
from registry_storage.hashing import PLAIN_HASHLIB, new_hasher, restore_hasher

algorithms = st.sampled_from(ALGORITHMS)


@given(algorithms, st.lists(st.binary(max_size=300), max_size=8))
def test_hashing_in_pieces_gives_the_digest_of_the_whole(
    algorithm: str, pieces: list[bytes]
) -> None:
    hasher = new_hasher(algorithm)
    for piece in pieces:
        hasher.update(piece)
    assert hasher.digest() == Digest.of(b"".join(pieces), algorithm)


@given(algorithms, st.lists(st.binary(max_size=300), max_size=8))
def test_the_state_continues_where_it_was_exported(algorithm: str, pieces: list[bytes]) -> None:
    hasher = new_hasher(algorithm)
    for piece in pieces:
        state = hasher.export()
        assert state is not None, "libcrypto is there on the machines that test"
        continued = restore_hasher(state, algorithm)
        assert continued is not None
        continued.update(piece)
        hasher = continued
    assert hasher.digest() == Digest.of(b"".join(pieces), algorithm)


def test_a_digest_can_be_asked_for_before_the_end() -> None:
    hasher = new_hasher("sha256")
    hasher.update(b"one")
    assert hasher.digest() == Digest.of(b"one")
    hasher.update(b" two")
    assert hasher.digest() == Digest.of(b"one two")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_hashed(kind: type) -> None:
    hasher = new_hasher("sha512")
    hasher.update(kind(b"bytes"))
    assert hasher.digest() == Digest.of(b"bytes", "sha512")


def test_the_layout_is_fixed() -> None:
    """A state that an older version left in a catalog must be understood for ever."""
    stored = bytes.fromhex(
        "01 04 0000000000000044"
        "8b32cd46d0772d44e4158e19ed1472e235a42a1836eccee0e292295b85adffde"
        "7461696c"
    )
    hasher = restore_hasher(stored, "sha256")
    assert hasher is not None
    assert hasher.digest() == Digest.of(b"x" * 64 + b"tail")
    assert hasher.export() == stored


def test_states_beyond_512_mib_keep_their_length() -> None:
    """libcrypto counts bits in two words; the first is full at 512 MiB."""
    state = bytes([1, 4]) + (2**33 + 64).to_bytes(8, "big") + bytes(32)
    hasher = restore_hasher(state, "sha256")
    assert hasher is not None
    assert hasher.export() == state


@pytest.mark.parametrize("state", [b"", b"\x02\x04" + bytes(40), b"\x01\x08" + bytes(72)])
def test_a_foreign_state_is_not_continued(state: bytes) -> None:
    assert restore_hasher(state, "sha256") is None


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(DigestInvalid):
        new_hasher("md5")


def test_plain_hashlib_does_the_work_where_it_is_asked_for() -> None:
    program = (
        "from registry_storage.hashing import *\n"
        "hasher = new_hasher('sha256')\n"
        "hasher.update(b'bytes')\n"
        "print(hasher.digest(), hasher.export(), restore_hasher(bytes(42), 'sha256'))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, PLAIN_HASHLIB: "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    digest = f"sha256:{hashlib.sha256(b'bytes').hexdigest()}"
    assert told.stdout.split() == [digest, "None", "None"]
