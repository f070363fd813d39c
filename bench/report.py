"""The tables, in Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence

from bench.limits import Finding, Limit
from bench.ratios import Comparison, Sample
from bench.servers import Server


def conditions(peer: str) -> str:
    """What the figures were measured on."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, docker-registry {peer}.\n"
        "This server: SQLite, htpasswd and a policy file, credentials sent, access log on.\n"
        "docker-registry: no access control, access log on.\n"
        "Ratios are to docker-registry; the verdict is on the first of ours."
    )


def comparison_heading(servers: Sequence[Server], store: str) -> Iterator[str]:
    """The heading of the ratios; the last of `servers` is the peer; all keep bytes in `store`."""
    *own, peer = servers
    yield from _title(store)
    names = [peer.name, "CPU/request"]
    for server in own:
        names += [server.name, "CPU/request", "ratio"]
    yield _row(["work", *names, "bar", "aim", "verdict"])
    yield _row(["---"] * (len(names) + 4))


def comparison_row(comparison: Comparison) -> str:
    """One row of the ratios."""
    row = comparison.row
    *own, peer = comparison.samples
    cells = [*_told(peer, row.unit)]
    for sample in own:
        cells += [*_told(sample, row.unit), f"{sample.rate / peer.rate:.2f}"]
    ratio = own[0].rate / peer.rate
    aim = f">= {row.aim:g}" if row.aim else ""
    return _row([row.title, *cells, f">= {row.bar:g}", aim, _verdict(ratio >= row.bar)])


def limit_heading() -> Iterator[str]:
    """The heading of the limits."""
    yield from _title("the filesystem")
    yield _row(["limit", "measured", "bar", "verdict"])
    yield _row(["---"] * 4)


def limit_row(limit: Limit, finding: Finding) -> str:
    """One row of the limits."""
    return _row([limit.title, finding.measured, limit.bar, _verdict(finding.holds)])


def _title(store: str) -> tuple[str, str, str]:
    return "", f"Bytes in {store}:", ""


def _told(sample: Sample, unit: str) -> tuple[str, str]:
    rate = f"{sample.rate:,.0f}" if sample.rate >= 100 else f"{sample.rate:.1f}"
    return f"{rate}{unit if unit.startswith('/') else ' ' + unit}", _duration(sample.cpu)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1e6:.0f} µs"


def _verdict(holds: bool) -> str:
    return "holds" if holds else "**falls short**"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
