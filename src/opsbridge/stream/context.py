"""The context topic: every worker reads all of it before its lanes open, and follows it from then on.

A plain consumer without group: what is known about CIs has to be known wherever they are worked on. What cannot be used
is told in the log and, where it comes while a worker follows, in the dead letters; it stays at its place in the topic.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Final, Self

from opsbridge.core.context import Context
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.settings import Settings
from opsbridge.sources.operations import decode_context
from opsbridge.stream.batches import Record
from opsbridge.stream.dead_letters import bury
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.reading import TopicReader
from opsbridge.stream.topics import topic_name
from opsbridge.web.metrics import Metrics

log = logging.getLogger(__name__)

STAGE: Final = "context"

CHANGE: Final = "change:"
"""How the keys of change records begin; the rest is the change's id."""


class ContextReader:
    """Teaches one worker's context what the topic says."""

    def __init__(self, settings: Settings, context: Context, metrics: Metrics) -> None:
        self._reader = TopicReader(settings.kafka, [topic_name(settings.topics, "context")])
        self._dead_letters = topic_name(settings.topics, "dead-letters")
        self._context = context
        self._metrics = metrics

    async def __aenter__(self) -> Self:
        """Learn all that the topic holds by now. Raises `BrokerUnreachableError`, and `TopicsError` without topic."""
        await self._reader.__aenter__()
        try:
            async for records in self._reader.to_the_end():
                self._learn(records)
        except BaseException:
            await self._reader.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.__aexit__()

    async def follow(self, writer: BatchWriter) -> None:
        """Go on learning, until cancelled."""
        outbox = Outbox(writer)
        async for records in self._reader.onward():
            refused = self._learn(records)
            for record, rejected in refused:
                bury(outbox, self._dead_letters, record, rejected, STAGE)
            await outbox.flush()
            self._metrics.dead_letters(Counter(rejected.reason for _, rejected in refused))

    def _learn(self, records: Iterable[Record]) -> list[tuple[Record, Rejected]]:
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
