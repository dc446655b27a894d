"""What a connection may cost before anything is known of whoever opened it: time, and a place.

uvicorn bounds idle connections only. This protocol bounds the header of each request, the rest of a body that was
answered before it was read, and how long an answer may wait to be read; the body itself is bounded by whoever reads it.
When all places are taken, a new connection takes the place of the one that has been idle, or at its header, for
longest: half-open connections starve nobody.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final, cast

import h11
from starlette.responses import PlainTextResponse
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from opsbridge.gateway.metrics import GatewayMetrics

HEADER_BYTES: Final = 32_768
"""Of all header lines."""


def unambiguous(app: ASGI3Application) -> ASGI3Application:
    """`app`, asked only what can be understood in one way.

    Of a request with two lengths h11 takes one; whoever stands in front of us may take the other, and what is left over
    would be somebody else's request.
    """

    async def asked(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"  # noqa: S101 # neither websockets nor lifespan are on
        names = [name for name, _ in scope["headers"]]
        if b"transfer-encoding" in names and (b"content-length" in names or scope["http_version"] == "1.0"):
            answer = PlainTextResponse("the request says in two ways how long it is\n", 400, _CLOSE)
        elif sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > HEADER_BYTES:
            answer = PlainTextResponse(f"the header is longer than {HEADER_BYTES} bytes\n", 431, _CLOSE)
        else:
            await app(scope, receive, send)
            return
        await answer(scope, receive, send)  # type: ignore[arg-type] # the same, written down by two projects

    return asked


_CLOSE: Final = {"connection": "close"}


@dataclass(slots=True)
class House:
    """What the connections of one server share."""

    limit: int
    header_seconds: float
    body_seconds: float
    metrics: GatewayMetrics
    idle: "dict[GuardedProtocol, None]" = field(default_factory=dict)
    """Connections without a complete request, the longest such first."""


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


class GuardedProtocol(H11Protocol):
    """One connection."""

    house: House
    """Set on the class that `guarded` makes."""

    _deadline: asyncio.TimerHandle | None = None
    _at_header = False
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base has it
        """A place is found for it, or it is told that there is none."""
        super().connection_made(cast("asyncio.Transport", _Corked(transport, self.loop)))
        transport.set_write_buffer_limits(high=1)  # so that an answer that is not read is noticed at once
        house = self.house
        house.metrics.connections.inc()
        if len(self.connections) > house.limit:
            if not house.idle:
                self._end("full", b"503 Service Unavailable", b"Retry-After: 1\r\n")
                return
            next(iter(house.idle))._end("displaced")
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
        if self._deadline is None and self.conn.their_state is h11.IDLE:
            self._wait_for_header()
        super().data_received(data)
        self._look()

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

    def _look(self) -> None:
        """Follow where the request is."""
        theirs = self.conn.their_state
        if theirs is h11.IDLE:
            self.house.idle.setdefault(self)
            if not self._at_header:
                self._no_deadline()  # between requests it is uvicorn's keep-alive that counts
            return
        self.house.idle.pop(self, None)
        if theirs is h11.SEND_BODY and self.cycle.response_complete:
            if self._deadline is None or self._at_header:
                self._set_deadline(self.house.body_seconds, at_header=False)
        else:
            self._no_deadline()

    def _wait_for_header(self) -> None:
        self.house.idle.pop(self, None)
        self.house.idle[self] = None
        self._set_deadline(self.house.header_seconds, at_header=True)

    def _set_deadline(self, seconds: float, *, at_header: bool) -> None:
        self._no_deadline()
        self._at_header = at_header
        self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline, self._at_header = None, False

    def _too_slow(self) -> None:
        if self._at_header:
            self._end("slow", b"408 Request Timeout")
        else:  # it has its answer
            self._end("slow")

    def _not_read(self) -> None:
        self.house.metrics.closed("slow")
        self.transport.abort()

    def _end(self, reason: str, status: bytes = b"", headers: bytes = b"") -> None:
        self._no_deadline()
        self.house.idle.pop(self, None)
        if self.transport.is_closing():
            return
        self.house.metrics.closed(reason)
        if status:
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n" + headers + b"\r\n"
            )
        self.transport.close()


def guarded(house: House) -> type[GuardedProtocol]:
    """The protocol class of one server."""
    return type("GuardedProtocol", (GuardedProtocol,), {"house": house})
