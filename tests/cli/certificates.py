"""Certificates for tests, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for 127.0.0.1, and its key."""

    path: Path
    key: Path


def make_certificate(directory: Path, name: str, *, password: str = "") -> Certificate:
    made = Certificate(directory / f"{name}.crt", directory / f"{name}.key")
    protection = f"-passout pass:{password}" if password else "-nodes"
    options = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 "
        f"-addext subjectAltName=IP:127.0.0.1 -subj /CN={name} {protection}"
    )
    subprocess.run(
        ["openssl", *options.split(), "-keyout", made.key, "-out", made.path],
        check=True,
        capture_output=True,
    )
    return made
