"""The dev broker itself: listens on loopback, keeps topics and groups while it does not.

`stop` and `start` behave like killing and restarting a real broker: every connection drops, the port and all data stay.
Used by `opsbridge demo`, the tests, and `python -m opsbridge.devbroker`; for trying and testing only.
"""

import asyncio
import logging
from types import TracebackType
from typing import Self

from opsbridge.devbroker.calls import Handlers
from opsbridge.devbroker.connection import ClientConnection
from opsbridge.devbroker.data_api import DataApi
from opsbridge.devbroker.group_api import GroupApi
from opsbridge.devbroker.settings import Settings, loopback
from opsbridge.devbroker.topic_api import Address, TopicApi
from opsbridge.devbroker.topics import Topics

_READ_BUFFER = 1 << 20

_log = logging.getLogger(__name__)


class DevBroker:
    """An in-memory Kafka broker as an async context manager.

    Raises `BeyondLoopbackError` for a `host` that other machines can reach. Port 0 takes a free one on the first
    start and keeps it. Data lives as long as the object.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, settings: Settings | None = None) -> None:
        self._host = loopback(host)
        self._port = port
        self._settings = settings or Settings()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        topics = Topics(self._settings)
        self._groups = GroupApi(topics, self._settings, self._address)
        self._handlers: Handlers = {
            **DataApi(topics, self._settings).handlers,
            **TopicApi(topics, self._settings, self._address, self._groups.forget_topic).handlers,
            **self._groups.handlers,
        }

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients; the port is known after the first `start`."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen, with whatever data an earlier life left; raises `OSError` when the port is taken."""
        if self._server is not None:
            raise RuntimeError(f"the dev broker already listens on {self.bootstrap_servers}")
        self._server = await asyncio.start_server(self._connected, self._host, self._port, limit=_READ_BUFFER)
        self._port = self._server.sockets[0].getsockname()[1]
        self._groups.resume()
        _log.info("listening on %s, in memory, for trying and testing only", self.bootstrap_servers)

    async def stop(self) -> None:
        """Stop listening and drop every connection; topics, records and groups stay for the next `start`."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self._groups.pause()
        while self._connections:
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()
        self._groups.pause()

    def _address(self) -> Address:
        return Address(self._host, self._port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - start_server runs this in a task of its own
        self._connections.add(task)
        try:
            await ClientConnection(reader, writer, self._handlers, self._settings.request_max_bytes).serve()
        except asyncio.CancelledError:
            _log.debug("connection dropped by stop()")
        finally:
            self._connections.discard(task)
