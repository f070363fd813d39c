"""The rows on S3: both servers keep their bytes in buckets of one local gateway of Ceph.

Neither sends clients to the store, so that all bytes pass through the servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import servers
from bench.client import pull_image, push_image
from bench.content import Image, KiB
from bench.ratios import Meter, Ratio, Sample, Stage, large_blob_get, large_blob_push
from bench.servers import Server
from tests.services.buckets import Bucket
from tests.services.ceph import new_s3_account, running_cluster, running_gateway

STORE = "buckets of one gateway of Ceph, without redirects"
LAYERS, LAYER_SIZE = 50, 64 * KiB


@contextmanager
def on_one_gateway(scratch: Path) -> Iterator[list[Server]]:
    """Our server with one process, then the peer."""
    with running_cluster() as cluster, running_gateway(cluster) as gateway:
        account = new_s3_account(cluster, gateway)
        with (
            account.bucket() as mine,
            account.bucket() as theirs,
            servers.ours(scratch, workers=1, name="ours, s3", storage=_storage(mine)) as own,
            servers.docker_registry(
                scratch, name="docker-registry, s3", storage=_storage(theirs, region="us-east-1")
            ) as peer,
        ):
            yield [own, peer]


def _storage(bucket: Bucket, **more: str) -> servers.Storage:
    settings = {name: it for name, it in bucket.settings.items() if name != "chunksize"}
    return {"s3": {**settings, "secure": False, **more}, "redirect": {"disable": True}}


def _image(name: str) -> Image:
    return Image.make(name, layers=LAYERS, layer_size=LAYER_SIZE)


def _push(stage: Stage, server: Server, number: int) -> Sample:
    meter, pushed, requests = Meter(), 0, 0
    with server.connect() as connection:
        while meter.seconds < stage.seconds:
            image = _image(f"push {number} {pushed}")
            with meter.on(server):
                requests += push_image(connection, "bench/s3", "push", image, as_docker=True)
            pushed += 1
    return Sample(pushed * LAYERS / meter.seconds, meter.cpu / requests)


def _pull(stage: Stage, server: Server, number: int) -> Sample:
    """Each image once: nothing of it is in anybody's memory yet."""
    meter, pulled, requests = Meter(), 0, 0
    with server.connect() as connection:
        while meter.seconds < stage.seconds:
            image, tag = _image(f"pull {number} {pulled}"), f"pull-{number}-{pulled}"
            push_image(connection, "bench/s3", tag, image)
            with meter.on(server):
                requests += pull_image(connection, "bench/s3", tag, image)
            pulled += 1
    return Sample(pulled * LAYERS / meter.seconds, meter.cpu / requests)


ROWS: tuple[Ratio, ...] = (
    Ratio("s3-push256m", "256 MiB blob push, POST + PUT", "MiB/s", 1.5, None, large_blob_push),
    Ratio("s3-pull256m", "256 MiB blob GET", "MiB/s", 1, None, large_blob_get),
    Ratio("s3-push50", "push of 50 layers of 64 KiB, layers", "/s", 1.5, None, _push),
    Ratio("s3-pull50", "pull of 50 layers of 64 KiB, layers", "/s", 1, None, _pull),
)
