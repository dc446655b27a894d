"""The context topic: every worker reads all of it before its lanes open, and follows it from then on.

A plain consumer without group: what is known about CIs has to be known wherever they are worked on. Changes are learned
at once; CIs and dependencies are collected for the next topology (reload.py). What cannot be used is told in the log
and, where it comes while a worker follows, in the dead letters; it stays at its place in the topic.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Self

from opsbridge.core.context import Context
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.topology_records import CI_KEY, EDGE_KEY, TopologyRecord, is_topology
from opsbridge.settings import Settings
from opsbridge.sources.operations import decode_context
from opsbridge.stream.batches import Record
from opsbridge.stream.dead_letters import bury
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.reading import TopicReader
from opsbridge.stream.topics import topic_name
from opsbridge.topology.live import LiveTopology
from opsbridge.web.metrics import Metrics

log = logging.getLogger(__name__)

STAGE: Final = "context"

CHANGE: Final = "change:"
"""How the keys of change records begin; the rest is the change's id."""


class ContextReader:
    """Teaches one worker's context and its live topology what the topic says."""

    def __init__(
        self,
        settings: Settings,
        context: Context,
        live: LiveTopology,
        metrics: Metrics,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called when there is another topology to be built, or one will be at another time."""
        self._live = live
        self._changed = changed
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
        before = self._live.version, self._live.due()
        for record in records:
            rejected = teach(self._context, self._live, record.key, record.value)
            if rejected is not None:
                place = f"{record.topic}[{record.partition}] offset {record.offset}"
                log.warning("%s: not a record of the context: %s: %s", place, rejected.reason, rejected.detail)
                refused.append((record, rejected))
        if (self._live.version, self._live.due()) != before:  # what ages out sooner is news, too
            self._changed()
        return refused


def teach(context: Context, live: LiveTopology, key: bytes | None, value: bytes | None) -> Rejected | None:
    """Learn one record, or tell why it is of no use; no value withdraws what the key names."""
    name = (key or b"").decode(errors="replace")
    if value is None:
        return _withdraw(context, live, name)
    learned = decode_context(value)
    if isinstance(learned, Rejected):
        return learned
    wanted = learned.key if isinstance(learned, TopologyRecord) else CHANGE + learned.id
    if name != wanted:
        detail = f"key {name[:200]!r}: must be {wanted[:200]!r}, or it cannot be withdrawn"
        return Rejected(Reject.INVALID_FIELD, detail)
    if isinstance(learned, TopologyRecord):
        return live.learn(learned)
    context.learn(learned)
    return None


def _withdraw(context: Context, live: LiveTopology, name: str) -> Rejected | None:
    if is_topology(name):
        live.withdraw(name)
    elif name.startswith(CHANGE):
        context.forget(name.removeprefix(CHANGE))
    else:
        kinds = f"expected {CHANGE} and the id of a change, {CI_KEY} and that of a CI, or {EDGE_KEY}FROM>ON"
        return Rejected(Reject.INVALID_FIELD, f"key {name[:200]!r}: {kinds}")
    return None
