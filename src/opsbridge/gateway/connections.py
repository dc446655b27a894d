"""What a connection may cost before anything is known of whoever opened it: time, memory and a place.

uvicorn bounds idle connections only. This protocol bounds the header of each request, in bytes and in time, the rest of
a body that was answered before it was read, how many requests wait for the answer to the first, and how long an answer
may wait to be read; the body itself is bounded by whoever reads it. When all places are taken, a new connection takes
the place of the one that has been idle, or at its header, for longest: half-open connections starve nobody.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, cast

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from opsbridge.gateway.metrics import GatewayMetrics

HEADER_BYTES: Final = 32_768
"""Of all header lines."""

PIPELINED: Final = 100
"""Requests of a connection that may wait for the answer to an earlier one."""


def unambiguous(app: ASGI3Application) -> ASGI3Application:
    """`app`, asked only what can be understood in one way.

    Whoever stands in front of us may take another length, or another coding, than we do, and what is left over would be
    somebody else's request.
    """

    async def asked(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"  # noqa: S101 # neither websockets nor lifespan are on
        lengths = [name for name, _ in scope["headers"] if name == b"content-length"]
        codings = [value.lower() for name, value in scope["headers"] if name == b"transfer-encoding"]
        if codings and (lengths or scope["http_version"] == "1.0" or len(codings) > 1):
            await _refuse(send, 400, b"the request says in two ways how long it is\n")
        elif codings and codings != [b"chunked"]:
            await _refuse(send, 501, b"the only Transfer-Encoding is chunked\n")
        else:
            await app(scope, receive, send)

    return asked


async def _refuse(send: ASGISendCallable, status: int, reason: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(reason)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": reason, "more_body": False})


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


_TOO_LONG: Final = b"431 Request Header Fields Too Large"


@dataclass(slots=True)
class House:
    """What the connections of one server share."""

    limit: int
    header_seconds: float
    body_seconds: float
    metrics: GatewayMetrics
    idle: "dict[GuardedProtocol, None]" = field(default_factory=dict)
    """Connections without a complete header, the longest such first."""


class _Corked:
    """A transport that sends head and body of an answer together: uvicorn writes them one after the other."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._transport.write(b"".join(waiting))


class _NotTakenError(Exception):
    """Ends the parsing of a request that is refused; httptools makes an error of its own of it."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    house: House
    """Set on the class that `guarded` makes."""

    _deadline: asyncio.TimerHandle | None = None
    _late: bytes | None = None
    """The status that is told at the deadline; empty: the answer is out already."""
    _unread: asyncio.TimerHandle | None = None
    _in_body = False
    _bytes = 0
    """That came since the last request was complete; 0: nothing of the next one is here."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base has it
        """A place is found for it, or it is told that there is none."""
        super().connection_made(cast("asyncio.Transport", _Corked(transport, self.loop)))
        transport.set_write_buffer_limits(high=1)  # so that an answer that is not read is noticed at once
        house = self.house
        house.metrics.connections.inc()
        if len(self.connections) > house.limit:
            if not house.idle:
                self._end(b"503 Service Unavailable", "full", b"Retry-After: 1\r\n")
                return
            next(iter(house.idle))._end(b"", "displaced")
        self._wait_for_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Its place is free."""
        self._no_deadline()
        self.resume_writing()
        self.house.idle.pop(self, None)
        self.house.metrics.connections.dec()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came: the clock of a header starts with its first one, and is not wound up by others."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._not_upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._end(b"400 Bad Request")
        else:
            if self._bytes > HEADER_BYTES and not self._in_body:
                self._end(_TOO_LONG)
            self._look()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if len(self.pipeline) >= PIPELINED:
            raise _NotTakenError
        super().on_message_begin()
        self._bytes = self._bytes or 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the header; those after the body are not wanted: nobody has looked at them."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request can be worked on."""
        if self.parser.should_upgrade():
            return
        if self._bytes > HEADER_BYTES and _length(self.headers) > HEADER_BYTES:
            self._end(_TOO_LONG)
            raise _NotTakenError
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of a request is here."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._in_body, self._bytes = False, 0

    def on_response_complete(self) -> None:
        """The answer is out; the next request may be here already."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """The client does not read its answer."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.house.body_seconds, self._not_read)

    def resume_writing(self) -> None:
        """It has read it."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    @property
    def _serving(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn says that there always is one
        return cycle is not None and not cycle.response_complete

    def _not_upgraded(self, rest: bytes) -> None:
        """Take the request without its wish for another protocol: the parser would take its body for that protocol."""
        if self.parser.get_method() == b"CONNECT":
            self._end(b"400 Bad Request")
            return
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % pair for pair in self.headers if pair[0] not in (b"upgrade", b"connection")]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _look(self) -> None:
        """Follow where the request is."""
        if self.transport.is_closing():
            return
        if self._serving:
            self.house.idle.pop(self, None)
            self._no_deadline()
        elif self._in_body:  # and it has its answer
            self.house.idle.pop(self, None)
            if self._late != b"":
                self._set_deadline(self.house.body_seconds, b"")
        elif self._bytes:
            if not self._late:
                self._wait_for_header()
        else:  # between requests it is uvicorn's keep-alive that counts
            self.house.idle.setdefault(self)
            self._no_deadline()

    def _wait_for_header(self) -> None:
        self.house.idle.pop(self, None)
        self.house.idle[self] = None
        self._set_deadline(self.house.header_seconds, b"408 Request Timeout")

    def _set_deadline(self, seconds: float, late: bytes) -> None:
        self._no_deadline()
        self._late = late
        self._deadline = self.loop.call_later(seconds, self._end, late, "slow")

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = self._late = None

    def _not_read(self) -> None:
        self.house.metrics.closed("slow")
        self.transport.abort()

    def _end(self, status: bytes, reason: str = "", headers: bytes = b"") -> None:
        """Close the connection; `status` is told unless an earlier request waits for its answer."""
        self._no_deadline()
        self.house.idle.pop(self, None)
        if self.transport.is_closing():
            return
        if reason:
            self.house.metrics.closed(reason)
        if status and not self._serving:
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n" + headers + b"\r\n"
            )
        self.transport.close()


def guarded(house: House) -> type[GuardedProtocol]:
    """The protocol class of one server."""
    return type("GuardedProtocol", (GuardedProtocol,), {"house": house})
