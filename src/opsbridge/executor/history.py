"""What was begun and what came of it, by idempotency key, as the topic `feedback` tells: the executors' only memory.

Of several who say that they begin, the first in the topic has begun; all records of a situation are in one partition,
so there is a first, and everybody sees the same. Read from outside any group, from the oldest record that the topic
still has; nothing else about executors is kept anywhere.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from opsbridge.core.feedback import Feedback, Result, Started
from opsbridge.settings import KafkaSettings
from opsbridge.stream.connection import client_options
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError

POLL_MS: Final = 200

_decode: Final = msgspec.json.Decoder(Feedback).decode


@dataclass(slots=True)
class Past:
    """What is known of one key."""

    first: str = ""
    """The id of the record that began it; empty: nobody has."""
    by: str = ""
    """The executor that did."""
    began_ms: int = 0
    """When, by that record's own time."""
    ended: bool = False
    """There is a result."""


class History:
    """Every key that was ever begun or answered, as far back as the topic goes."""

    def __init__(self) -> None:
        self._known: dict[str, Past] = {}

    def of(self, key: str) -> Past:
        """What is known of this key."""
        return self._known.get(key) or Past()

    def __len__(self) -> int:
        return len(self._known)

    def tell(self, value: bytes | None, record_ms: int) -> None:
        """Take in a record of the topic; what is not about keys does not count, nor what cannot be read."""
        try:
            said = _decode(value or b"")
        except msgspec.DecodeError:
            return  # the worker that reads feedback buries it
        if isinstance(said, Started):
            past = self._known.setdefault(said.idempotency_key, Past())
            if not past.first:
                past.first, past.by, past.began_ms = said.id, said.by, record_ms
        elif isinstance(said, Result):
            self._known.setdefault(said.idempotency_key, Past()).ended = True


class HistoryReader:
    """Keeps a history as new as it is asked to be."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self.history = History()
        self._kafka = kafka
        self._topic = topic
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: list[TopicPartition] = []
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Connect, and stand at the beginning of the topic; raises `BrokerUnreachableError`, `TopicsError`."""
        count = (await partition_counts(self._kafka, [self._topic]))[self._topic]
        self._partitions = [TopicPartition(self._topic, number) for number in range(count)]
        self._consumer = AIOKafkaConsumer(
            **client_options(self._kafka), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        try:
            await self._consumer.start()
            self._consumer.assign(self._partitions)
            await self._consumer.seek_to_beginning(*self._partitions)
        except KafkaError as error:
            raise BrokerUnreachableError(f"{self._topic} cannot be read: {error}") from error

    async def stop(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def catch_up(self) -> History:
        """The history up to everything that was acknowledged before this call.

        Raises `BrokerUnreachableError` if nothing comes for `request_timeout`, though there is more.
        """
        consumer = self._consumer
        if consumer is None:
            raise BrokerUnreachableError("the reader of feedback is not running")
        async with self._one_at_a_time:
            try:
                await self._read_to_the_end(consumer)
            except (KafkaError, TimeoutError) as error:
                raise BrokerUnreachableError(
                    f"{self._topic} cannot be read: {str(error) or 'nothing comes'}"
                ) from error
        return self.history

    async def _read_to_the_end(self, consumer: AIOKafkaConsumer) -> None:
        ends = await consumer.end_offsets(self._partitions)
        clock = asyncio.get_running_loop().time
        heard = clock()
        while behind := [each for each in self._partitions if await consumer.position(each) < ends[each]]:
            batches = await consumer.getmany(*behind, timeout_ms=POLL_MS)
            for records in batches.values():
                for record in records:
                    self.history.tell(record.value, record.timestamp)
            if batches:
                heard = clock()
            elif clock() > heard + self._kafka.request_timeout:
                raise TimeoutError


async def partition_counts(kafka: KafkaSettings, topics: list[str]) -> dict[str, int]:
    """How many partitions each of these topics has; raises `BrokerUnreachableError`, `TopicsError` if one is not there.

    The cluster is asked for all topics: naming one might create it.
    """
    admin = AIOKafkaAdminClient(**client_options(kafka))  # type: ignore[arg-type] # options by name
    try:
        async with asyncio.timeout(kafka.request_timeout):
            await admin.start()
            counts = {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}
    except (KafkaError, TimeoutError, OSError) as error:
        raise BrokerUnreachableError(f"no broker at {kafka.bootstrap_servers}: {error}") from error
    finally:
        await admin.close()
    if missing := [topic for topic in topics if topic not in counts]:
        raise TopicsError(f"no such topic: {', '.join(missing)}; opsbridge topics --check tells what there should be")
    return counts
