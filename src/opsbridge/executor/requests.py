"""The topic `responses` as executors of a group share it: what is asked for by now, and how far that is dealt with.

A record counts as read when nothing more is to come of it; what was read and not dealt with is read again by whoever
has the partition next. What is done about a request is `service`'s business.
"""

# mypy: untyped-calls-exclude="aiokafka"
from collections.abc import Iterable, Mapping
from typing import Final, Self

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from opsbridge.executor.orders import Order, Progress, decode_response, order_of
from opsbridge.settings import KafkaSettings
from opsbridge.stream.batches import Record
from opsbridge.stream.connection import client_options
from opsbridge.stream.reading import partitions_of, unreachable

log = structlog.get_logger(__name__)

POLL_MS: Final = 250


class Requests:
    """Our partitions of the topic; an async context manager."""

    def __init__(self, kafka: KafkaSettings, topic: str, group: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._group = group
        self._consumer: AIOKafkaConsumer
        self._progress: dict[TopicPartition, Progress] = {}

    async def __aenter__(self) -> Self:
        """Connect; nothing is read before `join`. Raises `BrokerUnreachableError`."""
        kafka = self._kafka
        self._consumer = AIOKafkaConsumer(
            **client_options(kafka),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(kafka.session_timeout * 1000),
            heartbeat_interval_ms=int(kafka.heartbeat_interval * 1000),
            max_poll_records=kafka.max_poll_records,
        )
        try:
            with unreachable(f"no broker at {kafka.bootstrap_servers}"):
                await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def require(self, topics: Iterable[str]) -> None:
        """Raise `TopicsError` if one of these topics does not exist."""
        with unreachable(f"no broker at {self._kafka.bootstrap_servers}"):
            await partitions_of(self._consumer, topics)

    def join(self) -> None:
        """Take part in the group's work."""
        self._consumer.subscribe([self._topic], listener=_Listener(self))

    async def read(self) -> Mapping[str, Order | None]:
        """What the newest versions of responses ask for, by response; none: nothing. Raises `BrokerUnreachableError`.

        Each partition is read to the end that is known now: what a later version takes back is not begun. What was
        asked for only by versions that are not the newest is dealt with.
        """
        newest: dict[str, Order | None] = {}
        with unreachable(f"{self._topic} cannot be read"):
            batches = await self._consumer.getmany(timeout_ms=POLL_MS)
            while batches:
                behind = False
                for place, records in batches.items():
                    progress = self._progress.setdefault(place, Progress())
                    for record in records:
                        _take_in(record, progress, newest)
                    end = records[-1].offset + 1
                    progress.read(end)
                    behind |= end < (self._consumer.highwater(place) or 0)
                batches = await self._consumer.getmany(timeout_ms=POLL_MS if behind else 0)
        return newest

    async def commit(self) -> None:
        """Commit what is dealt with; what was another's meanwhile is read again there, and seen to be answered."""
        progress = dict(self._progress)  # another rebalance may change it meanwhile
        offsets = {place: offset for place, each in progress.items() if (offset := each.to_commit()) is not None}
        if not offsets:
            return
        with unreachable(f"what was read of {self._topic} cannot be committed"):
            try:
                await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError) as error:
                log.warning("not committed", error=str(error))
                return
        for place, offset in offsets.items():
            progress[place].committed(offset)

    def revoked(self, places: Iterable[TopicPartition]) -> None:
        """These partitions are another's now: what was not begun is left to it."""
        for place in places:
            if (progress := self._progress.pop(place, None)) is not None:
                progress.revoked = True


class _Listener(ConsumerRebalanceListener):
    """Hands a rebalance on."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        if revoked:
            await self._requests.commit()
        self._requests.revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        log.info("partitions", assigned=sorted(each.partition for each in assigned))


def _take_in(record: Record, progress: Progress, newest: dict[str, Order | None]) -> None:
    """Let the newest versions of responses be those with this one, if it is one."""
    if record.value is None:
        return
    try:
        response = decode_response(record.value)
        order = order_of(response, record.timestamp)
    except (msgspec.DecodeError, ValueError) as error:
        place = f"{record.topic}[{record.partition}]@{record.offset}"
        log.warning("a record is no response", place=place, error=str(error))
        return
    if (before := newest.get(response.id)) is not None:
        before.dealt_with()
    newest[response.id] = order
    if order is not None:
        progress.begun(record.offset)
        order.records.append((progress, record.offset))
