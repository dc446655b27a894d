"""Record batches through Faust: one Faust message carries all fetched records of one partition.

Faust's cost is per message, so it gets few: the fetch of a partition becomes one message whose value is the list of
records. Only a lane (`opsbridge.stream.lanes`) that has finished a batch acknowledges it; Faust's own way is closed.
All this rests on internals of Faust 0.15, one contract test each (`tests/stream/test_batches.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

Records = Sequence["ConsumerRecord[bytes | None, bytes | None]"]


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """The records of one fetch of one partition, in offset order and never empty; offsets may have gaps."""

    topic: str
    partition: int
    records: Records

    def __len__(self) -> int:
        return len(self.records)


class ReleasesPartitions(Protocol):
    """What the consumer asks of its application before partitions go to another worker."""

    async def release_partitions(self) -> None:
        """Finish the batches in hand, commit them, and forget the state of every partition."""


class BatchConsumer(driver.Consumer):
    """Faust's consumer with lists of records in place of records."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Records]]:  # noqa: ASYNC109 # Faust's signature
        fetched = await super()._getmany(active_partitions, timeout)
        return {tp: [records] for tp, records in fetched.items() if records}

    def _to_message(self, tp: TP, records: Records) -> ConsumerMessage:
        # The offset is the last record's: what lies between (transaction markers, compacted records) needs no record.
        message = super()._to_message(tp, records[-1])
        message.key = None
        message.value = cast("bytes", records)
        return message

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
        await super().on_partitions_revoked(revoked)


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with `BatchConsumer`; set as `app.transport` before the application starts."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
