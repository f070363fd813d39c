"""The load generators: wrk for many small answers, curl for large bodies."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.client import UnexpectedAnswer

_DONE = re.compile(r"(\d+) requests in ([\d.]+)(ms|s|m),")
_FAULTS = re.compile(r"Non-2xx or 3xx responses: \d+|Socket errors: .*")


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator did: requests answered, in so many seconds."""

    requests: int
    seconds: float


def missing_programs() -> list[str]:
    """The programs that the benchmark needs and that are not installed."""
    return [name for name in ("curl", "docker-registry", "wrk") if not shutil.which(name)]


def wrk(url: str, *, connections: int, seconds: int, headers: list[str]) -> Load:
    """GET `url` over and over.  Raises `UnexpectedAnswer` unless every answer is a success."""
    options = [f"-c{connections}", f"-t{min(2, connections)}", f"-d{seconds}s", "--timeout", "10s"]
    output = _run(["wrk", *options, *_headers(headers), url])
    faults, done = _FAULTS.findall(output), _DONE.search(output)
    if faults or not done:
        raise UnexpectedAnswer(f"wrk {url}: {' '.join(faults) or output}")
    scale = {"ms": 0.001, "s": 1.0, "m": 60.0}[done[3]]
    return Load(int(done[1]), float(done[2]) * scale)


def curl_get(url: str, *, size: int, headers: list[str]) -> Load:
    """GET `url` once and drop the body, which must have `size` bytes."""
    written = "%{http_code} %{size_download} %{time_total}"
    return _curl(["--output", "/dev/null", url], written, f"200 {size}", headers)


def curl_put(url: str, file: Path, *, headers: list[str]) -> Load:
    """PUT a file once, without asking first whether to go on: docker does not ask either."""
    written = "%{http_code} %{size_upload} %{time_total}"
    arguments = ["--upload-file", str(file), "--header", "Expect:", "--output", "/dev/null", url]
    return _curl(arguments, written, f"201 {file.stat().st_size}", headers)


def _curl(arguments: list[str], written: str, expect: str, headers: list[str]) -> Load:
    options = ["--silent", "--show-error", "--write-out", written, *_headers(headers)]
    got, _, seconds = _run(["curl", *options, *arguments]).rpartition(" ")
    if got != expect:
        raise UnexpectedAnswer(f"curl {arguments[-1]}: {got} instead of {expect}")
    return Load(1, float(seconds))


def _headers(headers: list[str]) -> list[str]:
    return [text for header in headers for text in ("-H", header)]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnexpectedAnswer(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout
