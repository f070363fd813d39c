"""The benchmark's own parts: what it makes is what it says, and its verdicts are right."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess

import pytest

from bench import processes, report
from bench.client import with_digest
from bench.content import Blob, Image, MiB, digest_of
from bench.ratios import RATIOS, Comparison, Sample


@pytest.mark.parametrize("size", [0, 1, MiB - 1, MiB, MiB + 1, 2 * MiB + 7])
def test_a_blob_has_its_size_and_digest(size: int) -> None:
    blob = Blob(size, "seed")
    assert len(blob.read()) == size
    assert blob.digest() == f"sha256:{hashlib.sha256(blob.read()).hexdigest()}"


def test_blobs_of_two_seeds_differ() -> None:
    assert Blob(4096, "a").read() != Blob(4096, "b").read()


def test_pieces_of_one_blob_differ() -> None:
    first, second = Blob(2 * MiB, "seed").pieces()
    assert first != second


def test_the_manifest_of_an_image_names_its_content() -> None:
    image = Image.make("seed", layers=3)
    manifest = json.loads(image.manifest)
    assert manifest["config"]["digest"] == digest_of(image.config)
    assert [layer["digest"] for layer in manifest["layers"]] == [*map(digest_of, image.layers)]


@pytest.mark.parametrize(
    ("location", "path"), [("/u/1", "/u/1?digest=d"), ("/u/1?_state=x", "/u/1?_state=x&digest=d")]
)
def test_the_digest_joins_the_query(location: str, path: str) -> None:
    assert with_digest(location, "d") == path


@pytest.mark.parametrize(("rate", "verdict"), [(119.0, "**falls short**"), (121.0, "holds")])
def test_the_verdict_is_on_the_first_of_ours(rate: float, verdict: str) -> None:
    row = next(row for row in RATIOS if row.key == "manifest")
    assert row.bar == 12
    samples = (Sample(rate, 0.001), Sample(500.0, 0.001), Sample(10.0, 0.1))
    assert report.comparison_row(Comparison(row, samples)).endswith(f"| {verdict} |")


def test_cpu_time_counts_children() -> None:
    before = processes.cpu_seconds(os.getpid())
    subprocess.run(["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"], check=True)
    assert processes.cpu_seconds(os.getpid()) > before


def test_a_family_has_its_children() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert child.pid in processes.family(os.getpid())
        assert processes.peak_memory(child.pid) > 0
        child.kill()
