"""Messages on their way to Kafka: one record each, as they came, with who sent them and when they arrived.

The key is the host that a message names, so that its messages stay in order, also those of many hosts that a relay
sends on; else it is the peer. What a message says is for the mapping `syslog` to find out, in intake.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Final

import structlog

from opsbridge.gateway.producing import EVENTS, Busy, Outgoing, Producing
from opsbridge.sources.source import SOURCE_HEADER
from opsbridge.syslog.framing import Message
from opsbridge.syslog.metrics import SyslogMetrics
from opsbridge.syslog.peers import Transport

log = structlog.get_logger(__name__)

PEER_HEADER: Final = "opsbridge-peer"
"""The address that a message came from: its sender, or a relay."""

SOURCE: Final = "syslog"

_HOST: Final = re.compile(rb"<[0-9]{1,3}>(?:1 [^ ]+ |[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} )([^ :\[\]]{1,255})(?: |\Z)")
"""HOSTNAME of RFC 5424, or that of RFC 3164 (after `Mmm dd hh:mm:ss`)."""

_NO_HOST: Final = b"-"


class Forwarding:
    """What all connections share."""

    def __init__(self, producing: Producing, metrics: SyslogMetrics) -> None:
        self._producing = producing
        self._metrics = metrics

    async def forward(self, messages: Iterable[Message], peer: str, transport: Transport, arrived_ms: int) -> None:
        """Write messages of one peer; returns when Kafka has acknowledged them, however long that takes."""
        await self.write([(message, peer, arrived_ms) for message in messages], transport)

    async def write(self, messages: list[tuple[Message, str, int]], transport: Transport) -> None:
        """The same for messages of many peers: each with its peer and when it arrived."""
        if not messages:
            return
        records = [_record(message.content, peer, arrived_ms) for message, peer, arrived_ms in messages]
        waits = False
        while True:
            try:
                await self._producing.send(records)
                break
            except Busy as busy:
                if not waits:
                    log.warning("kafka is busy: senders have to wait", transport=transport, why=str(busy))
                waits = True
                await asyncio.sleep(busy.retry_after)
        self._metrics.messages.labels(transport).inc(len(records))
        self._metrics.cut.labels(transport).inc(sum(message.cut for message, _, _ in messages))


def _record(content: bytes, peer: str, arrived_ms: int) -> Outgoing:
    host = _HOST.match(content)
    key = host[1] if host is not None and host[1] != _NO_HOST else peer.encode()
    headers = [(SOURCE_HEADER, SOURCE.encode()), (PEER_HEADER, peer.encode())]
    return Outgoing(EVENTS, key, content, headers, arrived_ms)
