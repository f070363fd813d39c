"""Hashing whose state survives a change of process.

An upload's chunks may arrive at different processes, so the state of its hash lies in the catalog,
as plain bytes in a layout of our own, the same on every machine (all numbers big-endian):

    1 byte       version of this layout, 1
    1 byte       bytes per word: 4 for sha256, 8 for sha512
    8 bytes      how many bytes were hashed
    8 words      the chaining value (FIPS 180-4, "H")
    the rest     the bytes that do not fill a block yet

`hashlib` cannot give its state away, so the hashers here drive libcrypto's `SHA256_Update` and its
siblings directly: the same machine code at the same speed, and the GIL is released meanwhile.  They
are compared with `hashlib` before they are first used.  Where libcrypto cannot be loaded (a Python
that links OpenSSL statically), does not pass, or `REGISTRY_STORAGE_PLAIN_HASHLIB=1` is set,
`hashlib` does the work: `export` then answers None, and what is continued elsewhere is read again.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol

from registry_storage.digest import ALGORITHMS, Digest, parse_algorithm

PLAIN_HASHLIB: Final = "REGISTRY_STORAGE_PLAIN_HASHLIB"
"""The environment variable that, set to 1, keeps libcrypto's state out of play."""

_LAYOUT_VERSION: Final = 1
_HEADER: Final = struct.Struct(">BBQ")


class Hasher(Protocol):
    """Hashes bytes one after the other; not to be used by two threads at a time."""

    algorithm: str

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Hash `data` behind what was hashed before; releases the GIL for large ones."""

    def digest(self) -> Digest:
        """The digest of what was hashed so far; more may follow."""

    def export(self) -> bytes | None:
        """The state, for `restore_hasher` in any process; None: this hasher cannot give it away."""


def new_hasher(algorithm: str) -> Hasher:
    """A hasher that has seen nothing.  Raises `DigestInvalid` for an unknown algorithm."""
    parse_algorithm(algorithm)
    contexts = _contexts()
    if contexts is None:
        return _HashlibHasher(algorithm)
    return _LibcryptoHasher(contexts[algorithm])


def restore_hasher(state: bytes, algorithm: str) -> Hasher | None:
    """The hasher that exported `state`; None where it cannot be continued in this process."""
    contexts = _contexts()
    if contexts is None or len(state) < _HEADER.size:
        return None
    context = contexts[algorithm]
    if state[:2] != bytes((_LAYOUT_VERSION, context.word_size)):
        return None
    return _LibcryptoHasher(context, state)


class _HashlibHasher:
    """The fallback."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._hash.update(data)

    def digest(self) -> Digest:
        return Digest(f"{self.algorithm}:{self._hash.hexdigest()}")

    def export(self) -> None:
        return None


class _Sha256(ctypes.Structure):
    """`SHA256_CTX` of openssl/sha.h."""

    _fields_ = (
        ("h", ctypes.c_uint32 * 8),
        ("low", ctypes.c_uint32),
        ("high", ctypes.c_uint32),
        ("pending", ctypes.c_ubyte * 64),
        ("pending_size", ctypes.c_uint),
        ("digest_size", ctypes.c_uint),
    )


class _Sha512(ctypes.Structure):
    """`SHA512_CTX` of openssl/sha.h."""

    _fields_ = (
        ("h", ctypes.c_uint64 * 8),
        ("low", ctypes.c_uint64),
        ("high", ctypes.c_uint64),
        ("pending", ctypes.c_ubyte * 128),
        ("pending_size", ctypes.c_uint),
        ("digest_size", ctypes.c_uint),
    )


@dataclass(frozen=True, slots=True)
class _Context:
    """An algorithm, as libcrypto has it."""

    algorithm: str
    structure: Any
    word_size: int
    init: Any
    update: Any
    final: Any

    @property
    def block_size(self) -> int:
        return 16 * self.word_size

    @property
    def words(self) -> struct.Struct:
        """The chaining value in an exported state."""
        return struct.Struct(">8L" if self.word_size == 4 else ">8Q")


class _LibcryptoHasher:
    """Drives one context structure of libcrypto."""

    def __init__(self, context: _Context, state: bytes | None = None) -> None:
        self.algorithm = context.algorithm
        self._context = context
        self._structure = context.structure()
        self._reference = ctypes.byref(self._structure)
        self._update = context.update
        context.init(self._reference)
        if state is not None:
            self._load(state)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        # ctypes passes the address of `bytes` as it is; anything else would have to be writable.
        plain = data if isinstance(data, bytes) else bytes(data)
        self._update(self._reference, plain, len(plain))

    def digest(self) -> Digest:
        copy = self._context.structure.from_buffer_copy(self._structure)
        out = ctypes.create_string_buffer(copy.digest_size)
        self._context.final(out, ctypes.byref(copy))
        return Digest(f"{self.algorithm}:{out.raw.hex()}")

    def export(self) -> bytes:
        structure, context = self._structure, self._context
        size = (structure.high << (8 * context.word_size) | structure.low) // 8
        pending = bytes(structure.pending[: structure.pending_size])
        header = _HEADER.pack(_LAYOUT_VERSION, context.word_size, size)
        return header + context.words.pack(*structure.h) + pending

    def _load(self, state: bytes) -> None:
        structure, context = self._structure, self._context
        _, _, size = _HEADER.unpack_from(state)
        structure.h[:] = context.words.unpack_from(state, _HEADER.size)
        bits = 8 * size
        structure.high, structure.low = divmod(bits, 1 << (8 * context.word_size))
        structure.pending_size = size % context.block_size
        pending = state[_HEADER.size + context.words.size :]
        structure.pending[: len(pending)] = pending


@cache
def _contexts() -> dict[str, _Context] | None:
    """libcrypto's algorithms by name; None where they are not to be had or not to be trusted."""
    if os.environ.get(PLAIN_HASHLIB) == "1":
        return None
    try:
        library = ctypes.CDLL("libcrypto.so.3")
        contexts = {
            "sha256": _context(library, "sha256", _Sha256, 4),
            "sha512": _context(library, "sha512", _Sha512, 8),
        }
    except (OSError, AttributeError):
        return None
    return contexts if all(_agrees_with_hashlib(contexts[name]) for name in ALGORITHMS) else None


def _context(library: ctypes.CDLL, algorithm: str, structure: Any, word_size: int) -> _Context:
    functions = [
        getattr(library, f"{algorithm.upper()}_{name}") for name in ("Init", "Update", "Final")
    ]
    init, update, final = functions
    init.argtypes = [ctypes.c_void_p]
    update.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    final.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    return _Context(algorithm, structure, word_size, init, update, final)


def _agrees_with_hashlib(context: _Context) -> bool:
    """Whether hashing, exporting and continuing give hashlib's digests: guards the fixed layout."""
    sample = bytes(range(256)) * 5
    for cut in (0, 1, 63, 64, 65, 127, 128, 129, 1000):
        first = _LibcryptoHasher(context)
        first.update(sample[:cut])
        second = _LibcryptoHasher(context, first.export())
        second.update(sample[cut:])
        if second.digest() != Digest.of(sample, context.algorithm):
            return False
    return True


forget_libcrypto = _contexts.cache_clear
"""For tests: the environment is asked again."""
