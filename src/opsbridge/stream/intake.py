"""Intake of one fetch: raw payloads to the events that go on, all else counted and sent where it belongs.

A payload may hold many events; each is counted by itself, and one that is bad takes no other with it. Nothing is
remembered; the clock only bounds events' times from above. `stages` calls this and sends on what it returns.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from opsbridge.core.decisions import Reject, Rejected, Withheld
from opsbridge.core.event import Event
from opsbridge.core.intake import Report
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.sharing import copies
from opsbridge.settings import TopicSettings
from opsbridge.sources.refused import one_of, placed
from opsbridge.sources.source import Item
from opsbridge.stream.batches import Record, RecordBatch
from opsbridge.stream.dispatch import Dispatch
from opsbridge.stream.estate import Estate
from opsbridge.stream.topics import topics_of
from opsbridge.web.metrics import Metrics

STAGE: Final = "intake"


_Aside = tuple[Item, Withheld | Rejected]
"""An item that does not go on as it is, and why."""


def take_in(batch: RecordBatch, estate: Estate, dispatch: Dispatch, metrics: Metrics) -> list[Event]:
    """The events that go on."""
    read = estate.inputs.reader(batch.topic)
    accept, echo_of = estate.intake.accept, estate.intake.echo
    now = time.time_ns() // 1_000_000
    events: list[Event] = []
    besides = _Besides(dispatch)
    received = 0
    aside: list[_Aside] = []
    for record in batch.records:
        items = read(record.value, record.headers, record.timestamp)
        received += len(items)
        for item in items:
            try:
                answer = accept(item, now) if type(item) is Report else item
            except Exception as error:  # noqa: BLE001 # one event must never stop a partition
                answer = Rejected(Reject.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            if type(answer) is Event:
                events.append(answer)
                if not answer.firing and (echo := echo_of()) is not None:
                    events.append(echo)
                continue
            assert isinstance(answer, Withheld | Rejected)  # noqa: S101 # a report was asked about
            aside.append((item, answer))
            if isinstance(answer, Withheld) and answer.observed is not None:
                events.append(answer.observed)
        if aside:
            besides.take(record, items, aside)
            aside = []
    dispatch.decided(estate.intake.trials())
    metrics.received(batch.topic, received)
    besides.count(metrics)
    if events:
        metrics.newest_event(batch.topic, max(map(attrgetter("time"), events)), now)
    return events


class _Besides:
    """What intake lets not go on, of one batch."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._rejected: Counter[str] = Counter()
        self._withheld: Counter[tuple[str, str]] = Counter()
        self._routed: Counter[str] = Counter()

    def take(self, record: Record, items: Sequence[Item], aside: Iterable[_Aside]) -> None:
        """Send what of this record's items is to be kept, and count all of them."""
        refused: list[Rejected] = []
        for item, answer in aside:
            if isinstance(answer, Rejected):
                self._rejected[answer.reason] += 1
                refused.append(placed(item, items, answer))
                continue
            self._withheld[answer.place, answer.reason] += 1
            if answer.place == "routed":
                self._routed[answer.route] += 1
                self._dispatch.routed(record, answer, one_of(items, item))
        if refused:
            self._dispatch.bury(record, refused, STAGE)

    def count(self, metrics: Metrics) -> None:
        """Tell the metrics, once for all."""
        metrics.rejected(self._rejected)
        metrics.withheld(self._withheld)
        metrics.routed(self._routed)


def homes(events: Iterable[Event], book: Rulebook) -> Iterator[tuple[str, Event]]:
    """Each event with the text that says where it is heard; more than once if several groups hear it."""
    for event in events:
        if event.marks:
            yield from copies(event, book)
        else:
            yield event.fingerprint if event.by_key else event.ci, event


def input_topics(topics: TopicSettings) -> list[str]:
    """The topics that events are read from."""
    return [topic.name for topic in topics_of(topics) if topic.entity.name == "events"]
