"""One client's connection: frames in, answers out in the order of the requests, as Apache Kafka does.

One task reads ahead, so that a client that hangs up is noticed while its request waits; the other answers one request
after the other. Whatever is wrong with the bytes of a connection ends that connection and nothing else. Made by
broker.py for each client.
"""

import asyncio
import logging
import struct
from typing import Any, TypeVar

from kio.schema.api_versions.v2 import ApiVersionsResponse
from kio.schema.api_versions.v2.response import ApiVersion
from kio.schema.errors import ErrorCode
from kio.static.primitive import i16
from kio.static.protocol import Payload

from opsbridge.devbroker.calls import NO_THROTTLE, Call, Handlers
from opsbridge.devbroker.wire import API_VERSIONS, APIS, MalformedFrameError, UnsupportedRequestError, decode, encode

_LENGTH = struct.Struct(">i")
_SMALLEST_FRAME = 8
_READ_AHEAD = 32

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class _HungUpError(Exception):
    """The client closed its connection while its request waited."""


class ClientConnection:
    """Reads, dispatches and answers until the client hangs up, sends nonsense, or `serve` is cancelled."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Handlers, largest_frame: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._largest_frame = largest_frame
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(_READ_AHEAD)
        self._hung_up = False
        self._waiting: asyncio.Future[Any] | None = None  # whatever the request waits for; only cancelled here
        peer = writer.get_extra_info("peername")
        self._host = str(peer[0])
        self._peer = f"{peer[0]}:{peer[1]}"

    async def serve(self) -> None:
        """Serve the client; returns when the connection is over and closed."""
        reading = asyncio.create_task(self._read())
        try:
            await self._answer()
        except (MalformedFrameError, _HungUpError, ConnectionError) as reason:
            level = logging.WARNING if isinstance(reason, MalformedFrameError) else logging.DEBUG
            _log.log(level, "connection from %s closed: %s", self._peer, reason)
        except Exception:  # noqa: BLE001 - a fault of ours is logged and ends one connection, not the broker
            _log.exception("connection from %s closed by a fault of the dev broker", self._peer)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self._writer.transport.abort()

    async def wait(self, future: "asyncio.Future[_T]", timeout: float | None) -> _T:  # noqa: ASYNC109 - ends one wait
        """Return the future's result; raises `TimeoutError`, or what ends the connection when the client hangs up."""
        if self._hung_up:
            future.cancel()
            raise _HungUpError
        self._waiting = future
        try:
            return await asyncio.wait_for(future, timeout)
        except asyncio.CancelledError:
            if self._hung_up:
                raise _HungUpError from None
            raise
        finally:
            self._waiting = None

    async def _read(self) -> None:
        """Put whole frames into the queue; a None ends it."""
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if not _SMALLEST_FRAME <= length <= self._largest_frame:
                    _log.warning("connection from %s closed: a frame of %d bytes", self._peer, length)
                    break
                await self._frames.put(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._hung_up = True
            if self._waiting is not None:
                self._waiting.cancel()
        await self._frames.put(None)

    async def _answer(self) -> None:
        """Answer every frame in turn, those too that came just before the client hung up."""
        while (frame := await self._frames.get()) is not None:
            answer = await self._answered(frame)
            if answer is not None:
                self._writer.write(answer)
                await self._writer.drain()

    async def _answered(self, frame: bytes) -> bytes | None:
        try:
            header, request = decode(frame)
        except UnsupportedRequestError as unsupported:
            if unsupported.header.api_key != API_VERSIONS:
                raise
            # a newer client asks in a version that is unknown here: version 0 says which ones are known
            return encode(unsupported.header, _api_versions(ErrorCode.unsupported_version), version=0)
        if header.api_key == API_VERSIONS:
            return encode(header, _api_versions(ErrorCode.none))
        call = Call(header.version, header.client_id, self._host, self)
        # the table is keyed by API, so the handler takes just this request type
        answer: Payload | None = await self._handlers[header.api_key](call, request)  # type: ignore[arg-type]
        return None if answer is None else encode(header, answer)


def _api_versions(code: ErrorCode) -> ApiVersionsResponse:
    return ApiVersionsResponse(
        error_code=code,
        api_keys=tuple(
            ApiVersion(api_key=i16(api.key), min_version=i16(api.oldest), max_version=i16(api.newest))
            for api in APIS.values()
        ),
        throttle_time=NO_THROTTLE,
    )
