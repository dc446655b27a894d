"""The dev broker in a thread of its own, for callers that block: tests, notebooks, small scripts.

Offers the same few words as the Apache Kafka of the tests (`start`, `stop`, `kill`), so that one suite runs on both.
For trying and testing only.
"""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Self, TypeVar

from opsbridge.devbroker.broker import DevBroker
from opsbridge.devbroker.settings import Settings

_T = TypeVar("_T")
_PATIENCE = 30.0


class ThreadedDevBroker:
    """A `DevBroker` whose event loop runs in a background thread; every method blocks until it is done."""

    name = "embedded"

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, settings: Settings | None = None) -> None:
        self._broker = DevBroker(host, port, settings=settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients, the same after every restart."""
        return self._broker.bootstrap_servers

    def start(self) -> None:
        """Listen, with whatever data an earlier life left; raises what `DevBroker.start` raises."""
        if self._loop is not None:
            raise RuntimeError(f"the dev broker already listens on {self.bootstrap_servers}")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="opsbridge-devbroker", daemon=True)
        self._thread.start()
        try:
            self._run(self._broker.start())
        except BaseException:
            self._end_thread()
            raise

    def stop(self) -> None:
        """Stop listening and drop every connection; data stays for the next `start`. Does nothing when stopped."""
        if self._loop is not None:
            self._run(self._broker.stop())
            self._end_thread()

    kill = stop
    """There is nothing to write back, so a kill is a stop: clients see the same dropped connections."""

    def _run(self, step: Coroutine[object, object, _T]) -> _T:
        assert self._loop is not None  # noqa: S101 - only called between start and stop
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(_PATIENCE)

    def _end_thread(self) -> None:
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_PATIENCE)
            loop.close()
