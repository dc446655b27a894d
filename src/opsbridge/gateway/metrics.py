"""The metrics of the gateway: requests, events, connections and what is on its way (docs/metrics.md).

Labels are closed lists: names of sources there are, status codes, outcomes.
"""

import platform
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from opsbridge import __version__
from opsbridge.web.metrics import PREFIX

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class GatewayMetrics:
    """The metrics of one gateway; `registry` is what /metrics shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Info("build", "What is running.", namespace=PREFIX, registry=registry)
        build.info({"version": __version__, "python": platform.python_version()})
        self._requests = Counter(
            "gateway_requests", "Requests answered.", ("source", "status"), namespace=PREFIX, registry=registry
        )
        self._events = Counter(
            "gateway_events", "Events in them.", ("source", "outcome"), namespace=PREFIX, registry=registry
        )
        self._seconds = Histogram(
            "gateway_request_duration_seconds",
            "From the header of a request to its answer.",
            namespace=PREFIX,
            buckets=SECONDS,
            registry=registry,
        )
        self._closed = Counter(
            "gateway_connections_closed", "Closed by us.", ("reason",), namespace=PREFIX, registry=registry
        )
        self.connections = Gauge("gateway_connections", "Open now.", namespace=PREFIX, registry=registry)
        self.receiving = Gauge(
            "gateway_receiving_bytes", "Of bodies being worked on.", namespace=PREFIX, registry=registry
        )
        self.in_flight = Gauge(
            "gateway_in_flight_bytes", "Of records on their way to Kafka.", namespace=PREFIX, registry=registry
        )
        self._reload_ok = Gauge(
            "gateway_last_reload_successful",
            "Whether credentials were last read without errors.",
            namespace=PREFIX,
            registry=registry,
        )
        self._reload_ok.set(1)
        for reason in ("slow", "displaced", "full"):
            self._closed.labels(reason)

    def answered(self, source: str, status: int, seconds: float) -> None:
        """A request to a source (empty: there is none of that name) got its answer."""
        self._requests.labels(source, str(status)).inc()
        self._seconds.observe(seconds)

    def events(self, source: str, accepted: int, withheld: int, rejected: int) -> None:
        """What a request held, once Kafka has it."""
        for outcome, count in (("accepted", accepted), ("withheld", withheld), ("rejected", rejected)):
            if count:
                self._events.labels(source, outcome).inc(count)

    def closed(self, reason: str) -> None:
        """We closed a connection: `slow`, `displaced` by a new one, or `full`."""
        self._closed.labels(reason).inc()

    def reloaded(self, *, successfully: bool) -> None:
        """Credentials were read again."""
        self._reload_ok.set(successfully)
