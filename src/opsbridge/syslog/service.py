"""The syslog listener at work, until SIGTERM or SIGINT: it opens the addresses, and closes them in order.

Order at the end: nothing new is taken, what was read is written, then the producer is stopped. Errors:
`SyslogError` for an address or certificate that cannot be used, and those of the producer.
"""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from opsbridge.gateway.producing import Producing
from opsbridge.settings import Settings, WebSettings
from opsbridge.syslog.datagrams import Datagrams
from opsbridge.syslog.forwarding import Forwarding
from opsbridge.syslog.metrics import SyslogMetrics, create_page
from opsbridge.syslog.peers import Address, Peers, SyslogError, Transport
from opsbridge.syslog.streams import Limits, Streams
from opsbridge.web.server import serving

log = structlog.get_logger(__name__)

PATIENCE: Final = 300.0
"""Seconds after which a write is tried anew. Messages may be there twice then: their events have the same ids."""

IN_FLIGHT_BYTES: Final = 33_554_432
"""On their way to Kafka at most."""

BROKER_PATIENCE: Final = 30.0
"""After so many seconds without an acknowledgement the listener is not ready."""

TOLD_EVERY: Final = 10.0
"""Seconds between lines of the log that tell of losses."""

GRACE: Final = 5.0
"""Seconds in which what was read is written at the end."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What TLS needs: our certificate with its key, and who vouches for senders (None: they need no certificate)."""

    certificate: Path
    key: Path
    clients: Path | None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer; raises `SyslogError` for files that cannot be used."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.clients is not None:
                context.load_verify_locations(self.clients)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            raise SyslogError(f"--tls-cert, --tls-key, --tls-clients: {error}") from None
        return context


@dataclass(frozen=True, slots=True)
class Duty:
    """What a listener was told to do."""

    listen: tuple[tuple[Transport, Address], ...]
    certificates: Certificates | None
    peers: Peers
    limits: Limits
    metrics: Address | None


async def serve(settings: Settings, duty: Duty) -> None:
    """Listen until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with listening(settings, duty):
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    log.info("the syslog listener has ended")


@asynccontextmanager
async def listening(settings: Settings, duty: Duty) -> AsyncIterator[list[tuple[Transport, Address]]]:
    """Listen meanwhile; gives the addresses as they are, with ports in place of 0."""
    tls = duty.certificates.context() if duty.certificates is not None else None
    metrics = SyslogMetrics()
    producing = Producing(settings, bytes_in_flight=IN_FLIGHT_BYTES, patience=PATIENCE)
    await producing.start()
    forwarding = Forwarding(producing, metrics)
    streams = Streams(forwarding, duty.peers, duty.limits, metrics)
    host, port = duty.metrics or ("127.0.0.1", 0)
    web = WebSettings(enabled=duty.metrics is not None, host=host, port=port)
    datagrams: list[tuple[Datagrams, asyncio.DatagramTransport]] = []
    servers: list[asyncio.Server] = []
    background: list[asyncio.Task[None]] = []
    where: list[tuple[Transport, Address]] = []
    try:
        for transport, address in duty.listen:
            try:
                if transport == "udp":
                    socket, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                        lambda: Datagrams(forwarding, duty.peers, duty.limits, metrics), local_addr=address
                    )
                    datagrams.append((protocol, socket))
                    background.append(asyncio.create_task(protocol.work()))
                    name = socket.get_extra_info("sockname")
                else:
                    server = await streams.listen(*address, tls if transport == "tls" else None)
                    servers.append(server)
                    name = server.sockets[0].getsockname()
            except OSError as error:
                raise SyslogError(
                    f"cannot listen on {address[0]}:{address[1]} (--{transport}): {error.strerror or error}"
                ) from None
            where.append((transport, (name[0], name[1])))
            log.info("syslog is taken", transport=transport, host=name[0], port=name[1])
        background.append(asyncio.create_task(_tell(metrics, [protocol for protocol, _ in datagrams])))
        async with serving(web, create_page(metrics, lambda: _unready(producing))):
            yield where
    finally:
        for server in servers:
            server.close()
        for _, socket in datagrams:
            socket.close()
        await streams.stop(GRACE)
        await _flush([protocol for protocol, _ in datagrams])
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await producing.stop()


async def _flush(datagrams: list[Datagrams]) -> None:
    try:
        async with asyncio.timeout(GRACE):
            for protocol in datagrams:
                await protocol.flush()
    except TimeoutError:
        log.warning("datagrams are lost: kafka did not take them in time")


async def _tell(metrics: SyslogMetrics, datagrams: list[Datagrams]) -> None:
    """Log what was lost, refused and cut, when it becomes more."""
    before = metrics.losses()
    while True:
        await asyncio.sleep(TOLD_EVERY)
        for protocol in datagrams:
            protocol.look()
        now = metrics.losses()
        if more := {what: count - before[what] for what, count in now.items() if count > before[what]}:
            log.warning("syslog messages were lost or cut, or connections refused", **more)
        before = now


def _unready(producing: Producing) -> str:
    silent = producing.silent()
    return f"kafka has not acknowledged for {silent:.0f} s" if silent > BROKER_PATIENCE else ""
