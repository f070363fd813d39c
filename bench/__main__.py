"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import report, s3, servers
from bench.content import GiB
from bench.limits import LIMITS, Effort
from bench.ratios import RATIOS, Ratio, Stage, compare
from bench.tools import missing_programs

KEYS = [row.key for rows in (RATIOS, s3.ROWS, LIMITS) for row in rows]

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure what was asked for and print it, a row at a time."""
    options = _parser().parse_args()
    if missing := missing_programs():
        sys.exit(f"bench: {', '.join(missing)} not found: run bench/install.sh as root")
    lines = []
    with tempfile.TemporaryDirectory(prefix="registry-bench-", dir=options.scratch) as scratch:
        for line in _measure(options, Path(scratch)):
            print(line, flush=True)
            lines.append(line)
    if options.save:
        _save(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bench", description="This server beside docker-registry.")
    parser.add_argument("--rows", help=f"comma-separated, of: {', '.join(KEYS)}")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quick", action="store_true", help="short turns, a blob of 1 GiB")
    form.add_argument("--long", action="store_true", help="lists of a million rows")
    parser.add_argument(
        "--rehearsal", action="store_true", help="docker-registry on both sides: shows the noise"
    )
    parser.add_argument("--save", action="store_true", help=f"keep the report in {RESULTS.name}/")
    parser.add_argument("--scratch", help="where the servers keep their data for the time being")
    return parser


def _measure(options: argparse.Namespace, scratch: Path) -> Iterator[str]:
    wanted = options.rows.split(",") if options.rows else None
    if unknown := set(wanted or ()) - set(KEYS):
        sys.exit(f"bench: no row is called {', '.join(unknown)}; there are {', '.join(KEYS)}")
    effort = _effort(options)
    if shutil.disk_usage(scratch).free < effort.blob_size + 5 * GiB:
        sys.exit(f"bench: {scratch.parent} is too small; name a larger folder with --scratch")
    yield report.conditions(servers.docker_registry_version())
    yield from _ratios(wanted, options, scratch)
    if not options.rehearsal:
        yield from _ratios_on_s3(wanted, options, scratch)
        yield from _limits(wanted, effort, scratch)


def _effort(options: argparse.Namespace) -> Effort:
    if options.quick:
        return Effort(seconds=2, blob_size=GiB, most_rows=100_000)
    return Effort(seconds=10, blob_size=10 * GiB, most_rows=1_000_000 if options.long else 100_000)


def _ratios(
    wanted: Sequence[str] | None, options: argparse.Namespace, scratch: Path
) -> Iterator[str]:
    if rows := _chosen(RATIOS, wanted):
        with ExitStack() as stack:
            running = _start(stack, scratch, rehearsal=options.rehearsal)
            yield from _table(rows, running, options, scratch, store="the filesystem")


def _ratios_on_s3(
    wanted: Sequence[str] | None, options: argparse.Namespace, scratch: Path
) -> Iterator[str]:
    if rows := _chosen(s3.ROWS, wanted):
        with s3.on_one_gateway(scratch) as running:
            yield from _table(rows, running, options, scratch, store=s3.STORE)


def _chosen(rows: Sequence[Ratio], wanted: Sequence[str] | None) -> list[Ratio]:
    return [row for row in rows if wanted is None or row.key in wanted]


def _table(
    rows: Sequence[Ratio],
    running: Sequence[servers.Server],
    options: argparse.Namespace,
    scratch: Path,
    *,
    store: str,
) -> Iterator[str]:
    stage = Stage(scratch, seconds=1 if options.quick else 5, rounds=1 if options.quick else 3)
    yield from report.comparison_heading(running, store)
    for row in rows:
        yield report.comparison_row(compare(row, stage, running))


def _start(stack: ExitStack, scratch: Path, *, rehearsal: bool) -> list[servers.Server]:
    """Our servers, then the peer."""
    peer = stack.enter_context(servers.docker_registry(scratch))
    if rehearsal:
        return [stack.enter_context(servers.docker_registry(scratch, name="rehearsal")), peer]
    own = [stack.enter_context(servers.ours(scratch, workers=workers)) for workers in (2, 1)]
    return [*own, peer]


def _limits(wanted: Sequence[str] | None, effort: Effort, scratch: Path) -> Iterator[str]:
    rows = [row for row in LIMITS if wanted is None or row.key in wanted]
    if rows:
        yield from report.limit_heading()
    for row in rows:
        yield report.limit_row(row, row.measure(scratch, effort))


def _save(lines: Sequence[str]) -> None:
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M}.md"
    file.write_text("\n".join(lines) + "\n")
    print(f"\nsaved as {file}")


if __name__ == "__main__":
    main()
