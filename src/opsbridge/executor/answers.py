"""What an executor says on the topic `feedback`: that it begins with something, and what came of it.

Each is acknowledged by all replicas when it counts as said; raises `DeliveryError` otherwise.
"""

import uuid
from datetime import UTC, datetime

import msgspec
import structlog

from opsbridge.core.feedback import Result, Started
from opsbridge.executor.orders import Ended, Order
from opsbridge.stream.outbox import BatchWriter

log = structlog.get_logger(__name__)


class Answers:
    """The voice of one executor in one life of it."""

    def __init__(self, writer: BatchWriter, topic: str, name: str) -> None:
        self._writer = writer
        self._topic = topic
        self._name = name
        self._life = uuid.uuid4().hex[:12]

    async def begins(self, order: Order) -> str:
        """Say that it begins; the id under which that was said."""
        said = Started(
            id=f"{order.key}:started:{self._life}",
            time=datetime.now(UTC),
            by=self._name,
            response=order.response,
            situation=order.situation,
            idempotency_key=order.key,
        )
        await self._say(said)
        return said.id

    async def ended(self, order: Order, ended: Ended) -> None:
        """Say what came of it."""
        said = Result(
            id=f"{order.key}:result:{self._life}",
            time=datetime.now(UTC),
            by=self._name,
            response=order.response,
            situation=order.situation,
            idempotency_key=order.key,
            outcome=ended.outcome,
            output=ended.output,
            code=ended.code,
        )
        await self._say(said)
        log.info(ended.outcome, key=order.key, action=order.action, ci=order.ci, code=ended.code)

    async def _say(self, said: Started | Result) -> None:
        key = said.situation.encode()
        partition = self._writer.partition_of(key, await self._writer.partitions(self._topic))
        await self._writer.write(self._topic, partition, [(key, msgspec.json.encode(said), None, None)])
