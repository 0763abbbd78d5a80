"""What production asks of a server, as Prometheus reads it.

In: requests, tokens, versions.  Out: the text of `/metrics`.  Names of models are those that are
served; whatever else was asked for counts as `unknown`, so that nobody can make series without end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_LANES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True)
class Present:
    """What is so now, of one version in use.

    Attributes:
        model: Registered model.
        version: Number.
        alias: By which it is followed; empty for one that is pinned.
        running: Requests in its batch.
        waiting: Requests that wait for it.
    """

    model: str
    version: int
    alias: str
    running: int
    waiting: int


class Measures:
    """Counters and histograms of one server.

    Args:
        present: Asked when somebody reads.
    """

    def __init__(self, present: Callable[[], Iterable[Present]]) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._present = present
        self.registry.register(self)
        self.requests = Counter(
            "lmcore_requests",
            "Requests that were answered, refusals included.",
            ["model", "endpoint", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "lmcore_request_seconds",
            "From a request to the end of its answer.",
            ["model", "endpoint"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.first_token_seconds = Histogram(
            "lmcore_first_token_seconds",
            "From a request to its first token.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.tokens = Counter(
            "lmcore_tokens", "Tokens read and drawn.", ["model", "kind"], registry=self.registry
        )
        self.lanes = Histogram(
            "lmcore_batch_lanes",
            "Requests that took part in a token of a batch.",
            ["model"],
            buckets=_LANES,
            registry=self.registry,
        )
        self.loads = Counter(
            "lmcore_version_loads",
            "Versions that were loaded, or could not be.",
            ["model", "outcome"],
            registry=self.registry,
        )

    def collect(self) -> Iterator[Metric]:
        """What is so now; called by the library."""
        version = GaugeMetricFamily(
            "lmcore_version_in_use", "Number of the version in use.", labels=["model", "alias"]
        )
        running = GaugeMetricFamily(
            "lmcore_requests_running", "Requests being answered.", labels=["model", "version"]
        )
        waiting = GaugeMetricFamily(
            "lmcore_requests_waiting", "Requests in the queue.", labels=["model", "version"]
        )
        for one in self._present():
            if one.alias:
                version.add_metric([one.model, one.alias], one.version)
            running.add_metric([one.model, str(one.version)], one.running)
            waiting.add_metric([one.model, str(one.version)], one.waiting)
        yield from (version, running, waiting)

    def text(self) -> bytes:
        """For `/metrics`."""
        return generate_latest(self.registry)
