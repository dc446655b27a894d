"""What a handler is given besides the request, and the words that all handlers' answers share.

A handler that has to wait (a fetch for data, a join for the others) does so through `Call.wait` only: that is where a
client that hangs up is noticed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Never, Protocol, TypeVar

from kio.schema.types import BrokerId
from kio.static.primitive import i32Timedelta
from kio.static.protocol import Payload

NODE = BrokerId(1)
CLUSTER_ID = "opsbridge-dev-broker"
NO_THROTTLE = i32Timedelta.parse(timedelta(0))

_T = TypeVar("_T")


class Connection(Protocol):
    """What a call needs of the connection it came on."""

    async def wait(self, future: "asyncio.Future[_T]", timeout: float | None) -> _T:  # noqa: ASYNC109 - ends one wait
        """Return the future's result; raises `TimeoutError` after `timeout` seconds."""


@dataclass(frozen=True, slots=True)
class Call:
    """The circumstances of one request: its version as sent, who sent it, and how to wait."""

    version: int
    client_id: str
    client_host: str
    connection: Connection

    async def wait(self, future: "asyncio.Future[_T]", timeout: float | None = None) -> _T:  # noqa: ASYNC109 - ends one wait
        """Return the future's result, or raise `TimeoutError`; the call ends here when its client hangs up."""
        return await self.connection.wait(future, timeout)


# Never: each handler takes the request type of its own API, and the table of them is looked up by API key
Handler = Callable[[Call, Never], Awaitable[Payload | None]]
Handlers = Mapping[int, Handler]
