"""What is counted, as plain integers: an exporter reads them, and counting costs nothing."""

from __future__ import annotations

from collections import Counter


class Metrics:
    """Counters of one process.  They only grow, but for `in_flight`."""

    __slots__ = ("bytes_sent", "failures", "in_flight", "requests")

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By method, endpoint and status; the endpoint is a pattern, or empty where none fits."""
        self.bytes_sent = 0
        """Of bodies."""
        self.in_flight = 0
        self.failures = 0
        """Requests at which the server itself failed."""
