"""UDP: each datagram is a message; those that find the queue full are dropped, and counted.

Nobody can make a sender of datagrams wait, so what Kafka does not take at once waits here, up to a number of bytes.
What the system dropped because it was not read in time is counted too, where the system tells (Linux).
"""

import asyncio
import socket
import struct
import sys
import time
from collections import deque
from typing import Final

from opsbridge.syslog.forwarding import Forwarding
from opsbridge.syslog.framing import Message
from opsbridge.syslog.metrics import SyslogMetrics
from opsbridge.syslog.peers import Peers, plain_address
from opsbridge.syslog.streams import Limits

BATCH: Final = 1_000
"""Messages that are written at once."""

SOCKET_BYTES: Final = 8_388_608
"""Asked of the system for what was not read yet; it gives what net.core.rmem_max allows."""

_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("9I")
_DROPS: Final = 8


class Datagrams(asyncio.DatagramProtocol):
    """One UDP socket and its queue; `work` empties it."""

    def __init__(self, forwarding: Forwarding, peers: Peers, limits: Limits, metrics: SyslogMetrics) -> None:
        self._forwarding = forwarding
        self._peers = peers
        self._limits = limits
        self._metrics = metrics
        self._queue: deque[tuple[Message, str, int]] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()
        self._socket: socket.socket | None = None
        self._dropped_by_system = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._socket = transport.get_extra_info("socket")
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A message came."""
        peer = plain_address(addr[0])
        if not self._peers.allowed(peer):
            self._metrics.dropped.labels("peer").inc()
            return
        if self._bytes + len(data) > self._limits.queue:
            self._metrics.dropped.labels("queue_full").inc()
            return
        arrived_ms = time.time_ns() // 1_000_000
        for message in whole(data, self._limits.message):
            self._queue.append((message, peer, arrived_ms))
            self._bytes += len(message.content)
            self._arrived.set()

    def error_received(self, exc: Exception) -> None:
        """The system tells of something that a datagram of ours met; we send none."""

    async def work(self) -> None:
        """Write what arrives, until cancelled."""
        while True:
            await self._arrived.wait()
            await self.flush()

    async def flush(self) -> None:
        """Write what is in the queue; returns when it is empty."""
        async with self._writing:
            while self._queue:
                taken = [self._queue[at] for at in range(min(BATCH, len(self._queue)))]
                await self._forwarding.write(taken, "udp")
                for message, _, _ in taken:
                    self._queue.popleft()
                    self._bytes -= len(message.content)
            self._arrived.clear()

    def look(self) -> None:
        """Count what the system has dropped since the last call."""
        if self._socket is None or not sys.platform.startswith("linux"):
            return
        try:
            told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return  # an older kernel, or the socket is closed
        if len(told) == _MEMINFO.size:
            drops = _MEMINFO.unpack(told)[_DROPS]
            self._metrics.dropped.labels("socket_full").inc((drops - self._dropped_by_system) % (1 << 32))
            self._dropped_by_system = drops


def whole(data: bytes, limit: int) -> list[Message]:
    """The message in a datagram, none if it is blank; a line feed inside of it ends nothing."""
    content = data[:limit].rstrip(b"\r\n\0")
    return [Message(content, len(data) > limit)] if content and not content.isspace() else []
