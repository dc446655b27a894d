"""TCP and TLS: each connection is read only as fast as Kafka acknowledges what it has sent.

A connection is read, its complete messages are written, and only then it is read again: the sender's system notices and
waits. TLS begins here and not in the server, so that a handshake takes a place like any connection.
"""

import asyncio
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from opsbridge.syslog.forwarding import Forwarding
from opsbridge.syslog.framing import Framing
from opsbridge.syslog.metrics import SyslogMetrics
from opsbridge.syslog.peers import Peers, Transport, plain_address

log = structlog.get_logger(__name__)

READ_BYTES: Final = 65_536
"""Read, and written to Kafka, at once for one connection."""

HANDSHAKE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What senders may take up."""

    message: int
    """Bytes of a message."""
    connections: int
    """Open at the same time, TCP and TLS together."""
    idle: float
    """Seconds that a connection may be silent for."""
    queue: int
    """Bytes of datagrams that wait for Kafka."""


class Streams:
    """All connections."""

    def __init__(self, forwarding: Forwarding, peers: Peers, limits: Limits, metrics: SyslogMetrics) -> None:
        self._forwarding = forwarding
        self._peers = peers
        self._limits = limits
        self._metrics = metrics
        self._open: dict[asyncio.Task[None], asyncio.StreamReader] = {}

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> asyncio.Server:
        """Listen there; raises OSError."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if tls is not None:  # the first bytes are for the handshake
                writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's transport reads
            task = asyncio.create_task(self._serve(reader, writer, tls))
            self._open[task] = reader
            task.add_done_callback(self._closed)

        return await asyncio.start_server(accept, host, port, limit=READ_BYTES)

    async def stop(self, grace: float) -> None:
        """Read no more; what was read may still be written for `grace` seconds."""
        for reader in self._open.values():
            reader.feed_eof()
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _closed(self, task: asyncio.Task[None]) -> None:
        del self._open[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection failed", exc_info=error)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext | None
    ) -> None:
        name = writer.get_extra_info("peername")
        peer = plain_address(name[0]) if name else ""
        refused = "peer" if not peer or not self._peers.allowed(peer) else ""
        if not refused and len(self._open) > self._limits.connections:
            refused = "limit"
        if refused:
            self._refuse(refused, peer)
            writer.transport.abort()
            return
        transport: Transport = "tcp" if tls is None else "tls"
        self._metrics.connections.inc()
        try:
            if tls is not None:
                try:
                    await writer.start_tls(tls, ssl_handshake_timeout=HANDSHAKE_SECONDS)
                except OSError as error:
                    self._refuse("handshake", peer, str(error))
                    return
            await self._read(reader, peer, transport)
        finally:
            self._metrics.connections.dec()
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader, peer: str, transport: Transport) -> None:
        framing = Framing(self._limits.message)
        forward = self._forwarding.forward
        try:
            while True:
                async with asyncio.timeout(self._limits.idle):
                    data = await reader.read(READ_BYTES)
                if not data:
                    break
                arrived_ms = time.time_ns() // 1_000_000
                await forward(framing.feed(data), peer, transport, arrived_ms)
        except TimeoutError:
            log.info("closed: the sender was silent", peer=peer, seconds=self._limits.idle)
        except OSError as error:
            log.info("a connection broke", peer=peer, why=str(error))
        await forward(framing.end(), peer, transport, time.time_ns() // 1_000_000)

    def _refuse(self, reason: str, peer: str, why: str = "") -> None:
        self._metrics.refused.labels(reason).inc()
        log.debug("a connection was refused", reason=reason, peer=peer, why=why)
