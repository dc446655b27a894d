"""What was begun and what came of it, by idempotency key, as the topic `feedback` tells: the executors' only memory.

Of several who say that they begin, the first in the topic has begun; all records of a situation are in one partition,
so there is a first, and everybody sees the same. Only a week of the topic is read and remembered: what is older cannot
be asked for again, since no deadline further away than that is accepted.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Self

from opsbridge.core.feedback import Result, Started
from opsbridge.settings import KafkaSettings
from opsbridge.sources.operations import decode_feedback
from opsbridge.stream.reading import TopicReader

KEEP_MS: Final = 7 * 86_400_000
"""How long it is remembered that something was begun; the topic keeps its records as long by Kafka's default."""


@dataclass(slots=True)
class Past:
    """What is known of one key."""

    told_ms: int = 0
    """When it was first told of, by that record's own time."""
    first: str = ""
    """The id of the record that began it; empty: nobody has."""
    by: str = ""
    """The executor that did."""
    began_ms: int = 0
    """When, by that record's own time."""
    ended: bool = False
    """There is a result."""


class History:
    """Every key that was begun or answered, in the order in which they were first told of."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Past] = OrderedDict()

    def of(self, key: str) -> Past:
        """What is known of this key."""
        return self._known.get(key) or Past()

    def __len__(self) -> int:
        return len(self._known)

    def tell(self, value: bytes | None, record_ms: int) -> None:
        """Take in a record of the topic; what is not about keys does not count, nor what cannot be read."""
        said = decode_feedback(value)
        if not isinstance(said, Started | Result):  # what cannot be read, the worker that reads feedback buries
            return
        past = self._known.setdefault(said.idempotency_key, Past(record_ms))
        if isinstance(said, Result):
            past.ended = True
        elif not past.first:
            past.first, past.by, past.began_ms = said.id, said.by, record_ms

    def forget(self, before_ms: int) -> None:
        """Let go of what was first told of before then."""
        while self._known and next(iter(self._known.values())).told_ms < before_ms:
            self._known.popitem(last=False)


class HistoryReader:
    """Keeps a history as new as it is asked to be; an async context manager."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._history = History()
        self._reader = TopicReader(kafka, [topic], since_ms=_now_ms() - KEEP_MS)
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Connect; raises `BrokerUnreachableError`, `TopicsError`."""
        await self._reader.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.__aexit__()

    async def catch_up(self) -> History:
        """The history up to everything that was acknowledged before this call; raises `BrokerUnreachableError`."""
        async with self._one_at_a_time:
            async for records in self._reader.to_the_end():
                for record in records:
                    self._history.tell(record.value, record.timestamp)
        self._history.forget(_now_ms() - KEEP_MS)
        return self._history


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
