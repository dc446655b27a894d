"""Reading topics from outside: by no consumer group, so that nothing that runs notices.

Whoever must know all that topics hold reads them here: a worker the context, an executor what was begun before,
`opsbridge explain`, `review` and the demo what was told. What records mean is theirs to say. Lanes read otherwise
(`batches`): they share partitions, and commit.
"""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from opsbridge.settings import KafkaSettings
from opsbridge.stream.batches import Record
from opsbridge.stream.connection import client_options
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError

POLL_MS: Final = 500
"""So long a request waits for records; what comes meanwhile is there at once."""


class TopicReader:
    """Stands at one place of some topics, and reads on when it is asked to; an async context manager."""

    def __init__(self, kafka: KafkaSettings, topics: Iterable[str], *, since_ms: int | None = None) -> None:
        """Begins with the first records of that time (their own, milliseconds since 1970), else with the oldest."""
        self._kafka = kafka
        self._topics = list(topics)
        self._since_ms = since_ms
        self._consumer: AIOKafkaConsumer
        self._partitions: list[TopicPartition]

    async def __aenter__(self) -> Self:
        """Connect, and stand at the begin; raises `BrokerUnreachableError`, and `TopicsError` for missing topics."""
        self._consumer = consumer = AIOKafkaConsumer(
            **client_options(self._kafka),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=self._kafka.max_poll_records,
        )
        try:
            with unreachable(f"no broker at {self._kafka.bootstrap_servers}"):
                async with asyncio.timeout(self._kafka.request_timeout):
                    await consumer.start()
                    self._partitions = await partitions_of(consumer, self._topics)
                    consumer.assign(self._partitions)
                    if self._since_ms is not None:
                        await self._seek(self._since_ms)
        except BaseException:
            await consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def to_the_end(self) -> AsyncIterator[list[Record]]:
        """What was not read yet, at least as far as it was acknowledged before; those of a partition are in order.

        Raises `BrokerUnreachableError` if nothing comes for `request_timeout`, though there is more. Not to be called
        again before it has ended.
        """
        with unreachable(f"{', '.join(self._topics)} cannot be read to the end"):
            async with asyncio.timeout(self._kafka.request_timeout):
                ends = await self._consumer.end_offsets(self._partitions)
            while True:
                async with asyncio.timeout(self._kafka.request_timeout):
                    records = await self._before(ends)
                if not records:
                    return
                yield records

    async def onward(self) -> AsyncIterator[list[Record]]:
        """What comes, whenever something does, without end."""
        with unreachable(f"{', '.join(self._topics)} cannot be read"):
            while True:
                if records := _together(await self._consumer.getmany(timeout_ms=POLL_MS)):
                    yield records

    async def _before(self, ends: Mapping[TopicPartition, int]) -> list[Record]:
        """The next records of partitions that have not been read to these ends; none if all have been."""
        # Positions, not offsets: where a partition ends with markers or compacted records, no record has the last one.
        while behind := [place for place, end in ends.items() if await self._consumer.position(place) < end]:
            if records := _together(await self._consumer.getmany(*behind, timeout_ms=POLL_MS)):
                return records
        return []

    async def _seek(self, since_ms: int) -> None:
        ends = await self._consumer.end_offsets(self._partitions)
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._partitions, since_ms))
        for place, first in found.items():
            self._consumer.seek(place, ends[place] if first is None else first.offset)


async def partitions_of(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of these topics; raises `TopicsError` that names those that do not exist."""
    client: Any = consumer._client  # aiokafka says publicly only whether topics exist, and naming one might create it
    cluster = await client.fetch_all_metadata()
    numbers = {topic: cluster.partitions_for_topic(topic) for topic in topics}
    if missing := [topic for topic, found in numbers.items() if not found]:
        raise TopicsError(f"no such topic: {', '.join(missing)}; opsbridge topics --check tells what there should be")
    return [TopicPartition(topic, number) for topic, found in numbers.items() for number in sorted(found)]


@contextmanager
def unreachable(what: str) -> Iterator[None]:
    """Whatever Kafka's client has to complain of is a `BrokerUnreachableError` that begins with `what`."""
    try:
        yield
    except (KafkaError, TimeoutError, OSError) as error:
        raise BrokerUnreachableError(f"{what}: {str(error) or 'no answer in time'}") from error


def _together(fetched: Mapping[TopicPartition, list[Record]]) -> list[Record]:
    return [record for records in fetched.values() for record in records]
