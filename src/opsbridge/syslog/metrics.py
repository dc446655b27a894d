"""The metrics of the syslog listener, and the page that shows them (docs/sources/syslog.md)."""

import platform
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from opsbridge import __version__
from opsbridge.syslog.peers import Transport
from opsbridge.web.metrics import PREFIX

LOSSES: Final = ("queue_full", "socket_full", "peer")
"""Why datagrams are dropped: our queue was full, the system's was, or the sender is not allowed."""

REFUSALS: Final = ("peer", "limit", "handshake")
"""Why connections are: not an allowed sender, too many, or no TLS came about."""

TRANSPORTS: Final[tuple[Transport, ...]] = ("tcp", "tls", "udp")


class SyslogMetrics:
    """The metrics of one listener; `registry` is what /metrics shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Info("build", "What is running.", namespace=PREFIX, registry=registry)
        build.info({"version": __version__, "python": platform.python_version()})

        def counter(name: str, text: str, label: str) -> Counter:
            return Counter(name, text, (label,), namespace=PREFIX, registry=registry)

        self.messages = counter("syslog_messages", "Acknowledged by Kafka.", "transport")
        self.cut = counter("syslog_cut", "Of them, those whose end is missing.", "transport")
        self.dropped = counter("syslog_dropped", "Datagrams that were not taken.", "reason")
        self.refused = counter("syslog_connections_refused", "Connections that were not taken.", "reason")
        self.connections = Gauge("syslog_connections", "Open now.", namespace=PREFIX, registry=registry)
        for transport in TRANSPORTS:
            self.messages.labels(transport)
            self.cut.labels(transport)
        for reason in LOSSES:
            self.dropped.labels(reason)
        for reason in REFUSALS:
            self.refused.labels(reason)

    def losses(self) -> dict[str, int]:
        """What was dropped, refused and cut since the start, by reason."""
        found = {}
        for family, what in ((self.dropped, "dropped"), (self.refused, "refused"), (self.cut, "cut")):
            for metric in family.collect():
                for sample in metric.samples:
                    if sample.name.endswith("_total"):
                        (label,) = sample.labels.values()
                        found[f"{what}_{label}"] = int(sample.value)
        return found


def create_page(metrics: SyslogMetrics, silent: Callable[[], str]) -> Starlette:
    """/metrics, /healthz and /readyz; `silent` says why the listener is not ready, and nothing if it is."""

    async def show_metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"content-type": content_type})

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reasons = [reason for reason in (silent(),) if reason]
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    return Starlette(
        routes=[Route("/metrics", show_metrics), Route("/healthz", healthz), Route("/readyz", readyz)],
    )
