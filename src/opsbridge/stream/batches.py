"""Record batches through Faust: one Faust message carries all fetched records of one partition.

Faust's cost is per message, so it gets few: the fetch of a partition becomes one message whose value is the list of
records. Only a lane (`opsbridge.stream.lanes`) that has finished a batch acknowledges it; Faust's own way is closed.
All this rests on internals of Faust 0.15, one contract test each (`tests/stream/test_batches.py`).
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, cast

import aiokafka
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode.threads import ServiceThread, WorkerThread

# Faust waits 1.5 s at the broker and 1 s in the client. While a request waits for idle partitions, a partition that has
# just been emptied is not asked for: its next events would be late by as much, and so is every rebalance.
FETCH_WAIT_MS = 100
IDLE_FETCH_SECONDS = 0.2

Record: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"
Records = Sequence[Record]


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one fetch brought of one partition: its records, never none, and the how-manieth it is since positioning."""

    number: int
    records: Records


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """The records of one fetch of one partition, in offset order and never empty; offsets may have gaps."""

    topic: str
    partition: int
    records: Records

    def __len__(self) -> int:
        return len(self.records)


def fetch_of(message: ConsumerMessage | Message) -> Fetch:
    """What a message of `BatchConsumer` carries."""
    return cast("Fetch", message.value)  # Faust's types know bytes only


class ReleasesPartitions(Protocol):
    """What the consumer asks of its application before partitions go to another worker."""

    async def release_partitions(self) -> None:
        """Finish the batches in hand, commit them, and forget the state of every partition."""


class _Thread(WorkerThread):
    """A thread that does not keep the process from ending when a client in it hangs."""

    def __init__(self, service: ServiceThread, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread: waits less for idle partitions, and leaves it to the application to tell of a crash."""

    Worker = _Thread

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    def on_crash(self, msg: str, *fmt: object, **kwargs: object) -> None:
        """Nothing: Faust prints a traceback here."""


class BatchConsumer(driver.Consumer):
    """Faust's consumer with lists of records in place of records, and with positions that are set in one place."""

    _fetching: "asyncio.Future[None] | None" = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._numbers: dict[TP, int] = {}
        self.spans: dict[TP, tuple[int, int]] = {}
        """Of each partition whose position was restored: that position, and where the partition ended then."""

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Fetch]]:  # noqa: ASYNC109 # Faust's signature
        # A copy: Faust empties and fills this set while the fetch waits in the consumer's thread, and to aiokafka an
        # empty set means every partition, whose records would be read and dropped.
        wanted = set(active_partitions) if active_partitions is not None else None
        self._fetching = ended = asyncio.get_running_loop().create_future()
        try:
            fetched = await super()._getmany(wanted, min(timeout, IDLE_FETCH_SECONDS))
        finally:
            ended.set_result(None)
        return {tp: [Fetch(self._next_number(tp), records)] for tp, records in fetched.items() if records}

    def _next_number(self, tp: TP) -> int:
        number = self._numbers.get(tp, 0)
        self._numbers[tp] = number + 1
        return number

    def _to_message(self, tp: TP, fetch: Fetch) -> ConsumerMessage:
        # The offset is the last record's: what lies between (transaction markers, compacted records) needs no record.
        message = super()._to_message(tp, fetch.records[-1])
        message.key = None
        message.value = cast("bytes", fetch)
        return message

    async def fetch_ended(self) -> None:
        """Return when a fetch that is under way now has ended.

        It may still ask for partitions that have been paused since; positions are only safe to set after it.
        """
        if self._fetching is not None:
            await asyncio.wait({self._fetching})

    def count_fetches_from_zero(self, partitions: Iterable[TP]) -> None:
        """The next fetch of each of these is its first: nothing read earlier counts."""
        for tp in partitions:
            self._numbers[tp] = 0

    async def restore_positions(self, partitions: set[TP]) -> None:
        """Read each of these, which must be paused, from its committed offset, or from the beginning without one."""
        await self.fetch_ended()
        committed, begins, ends = await self._thread.call_thread(self._seek_to_committed, partitions)
        self.spans.clear()
        for tp, offset in committed.items():
            self._read_offset[tp] = None
            self._committed_offset[tp] = offset
            self.spans[tp] = max(begins[tp], offset or 0), ends[tp]
        self.count_fetches_from_zero(partitions)

    async def _seek_to_committed(
        self, partitions: set[TP]
    ) -> tuple[dict[TP, int | None], Mapping[TP, int], Mapping[TP, int]]:
        """What is committed, the begins and the ends, asked while nothing is read. Runs in the consumer's thread."""
        consumer: Any = self._thread._ensure_consumer()  # aiokafka's consumer has no types
        committed: dict[TP, int | None] = {tp: await consumer.committed(TopicPartition(*tp)) for tp in partitions}
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        for tp, offset in committed.items():
            # Not `seek_to_beginning`, which waits for its turn at every partition: seconds for all of a worker's.
            consumer.seek(TopicPartition(*tp), begins[tp] if offset is None else offset)
        return committed, begins, ends

    async def perform_seek(self) -> None:
        """Nothing: Faust seeks at any time, leaves partitions without commit where they are, and clears queues after.

        `restore_positions` is called instead, by recovery, while nothing is being read.
        """

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: to Faust every batch would look like a gap, and it would list each offset of it."""

    def ack(self, message: Message) -> bool:  # noqa: ARG002 # Faust's signature
        """Nothing: Faust also acknowledges what it skips in a rebalance, which nobody has processed."""
        return False

    def acknowledge(self, message: Message) -> None:
        """The batch of `message` is done, and with it every earlier offset of its partition.

        Right because a partition's batches are worked on one after the other by one lane. Silent if the partition has
        been revoked since: its next owner reads the batch again.
        """
        if message.generation_id == self.app.consumer_generation_id:
            self._acked[message.tp] = [message.offset]

    def _new_offset(self, tp: TP) -> int | None:
        done = self._acked.get(tp)
        return done[-1] + 1 if done else None

    def _filter_tps_with_pending_acks(self, topics: Iterable[TP | str] | None = None) -> Iterator[TP]:
        return iter([tp for tp in self._acked if topics is None or tp in topics or tp.topic in topics])

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the application finish and commit before Faust forgets what was acknowledged.

        The group is only joined again when this returns, so no other worker reads state that is still being written.
        """
        await cast("ReleasesPartitions", self.app).release_partitions()
        # Faust would resume a partition that was full before, in the middle of recovery.
        self._buffered_partitions.clear()
        await super().on_partitions_revoked(revoked)


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with `BatchConsumer`; set as `app.transport` before the application starts."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
