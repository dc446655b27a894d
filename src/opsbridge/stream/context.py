"""The context topic: every worker reads all of it before its lanes open, and follows it from then on.

A plain consumer without group: what is known about CIs has to be known wherever they are worked on. What cannot be used
is told in the log and, where it comes while a worker follows, in the dead letters; it stays at its place in the topic.
"""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import logging
from typing import Any, Final, Self, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from opsbridge.core.context import Context
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.settings import Settings
from opsbridge.sources.operations import decode_context
from opsbridge.stream.connection import client_options
from opsbridge.stream.dead_letters import bury
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.topics import topic_name
from opsbridge.web.metrics import Metrics

log = logging.getLogger(__name__)

STAGE: Final = "context"

CHANGE: Final = "change:"
"""How the keys of change records begin; the rest is the change's id."""

POLL_MS: Final = 1_000

_Record: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"


class ContextReader:
    """Teaches one worker's context what the topic says."""

    def __init__(self, settings: Settings, context: Context, metrics: Metrics) -> None:
        self._kafka = settings.kafka
        self._topic = topic_name(settings.topics, "context")
        self._dead_letters = topic_name(settings.topics, "dead-letters")
        self._context = context
        self._metrics = metrics
        self._consumer: Any = None  # aiokafka's clients have no types

    async def __aenter__(self) -> Self:
        """Learn all that the topic holds by now. Raises `BrokerUnreachableError`, and `TopicsError` without topic."""
        consumer: Any = AIOKafkaConsumer(
            **client_options(self._kafka),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            async with asyncio.timeout(self._kafka.request_timeout):
                await consumer.start()
                self._consumer = consumer
                tps = await self._partitions()
                consumer.assign(tps)
                ends = await consumer.end_offsets(tps)
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                self._learn(await self._fetched())
        except (KafkaError, TimeoutError, OSError) as error:
            await consumer.stop()
            raise BrokerUnreachableError(f"topic {self._topic} cannot be read: {error!r}") from error
        except TopicsError:
            await consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def _partitions(self) -> list[TopicPartition]:
        cluster = await self._consumer._client.fetch_all_metadata()  # naming one topic might create it
        numbers = cluster.partitions_for_topic(self._topic)
        if not numbers:
            raise TopicsError(f"{self._topic}: does not exist, or we may not read it")
        return [TopicPartition(self._topic, number) for number in sorted(numbers)]

    async def follow(self, writer: BatchWriter) -> None:
        """Go on learning, until cancelled."""
        outbox = Outbox(writer)
        while True:
            refused = self._learn(await self._fetched())
            for record, rejected in refused:
                bury(outbox, self._dead_letters, record, rejected, STAGE)
            await outbox.flush()
            for _, rejected in refused:
                self._metrics.dead_letters({rejected.reason: 1})

    async def _fetched(self) -> list[_Record]:
        fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
        return [record for records in fetched.values() for record in records]

    def _learn(self, records: list[_Record]) -> list[tuple[_Record, Rejected]]:
        """Take these in; those that are of no use are logged and returned."""
        refused = []
        for record in records:
            rejected = teach(self._context, record.key, record.value)
            if rejected is not None:
                place = f"{record.topic}[{record.partition}] offset {record.offset}"
                log.warning("%s: not a record of the context: %s: %s", place, rejected.reason, rejected.detail)
                refused.append((record, rejected))
        return refused


def teach(context: Context, key: bytes | None, value: bytes | None) -> Rejected | None:
    """Let the context learn one record, or tell why it is of no use; no value withdraws what the key names."""
    name = (key or b"").decode(errors="replace")
    if value is None:
        if not name.startswith(CHANGE):
            return Rejected(Reject.INVALID_FIELD, f"key {name[:200]!r}: expected {CHANGE} and the id of a change")
        context.forget(name.removeprefix(CHANGE))
        return None
    learned = decode_context(value)
    if isinstance(learned, Rejected):
        return learned
    if name != CHANGE + learned.id:
        wanted = f"{CHANGE}{learned.id}"[:200]
        return Rejected(Reject.INVALID_FIELD, f"key {name[:200]!r}: must be {wanted!r}, or it cannot be withdrawn")
    context.learn(learned)
    return None
