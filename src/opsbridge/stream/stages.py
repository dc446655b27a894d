"""The stages of the stream, each a loop over one partition's lane.

Intake, first level, second level, response; and the backbone between the last two, for what several domains share.

Each hands record batches to the stage of the core with the same name, sends what that answers, and saves what that
changed; it decides nothing. While a partition is quiet its event time moves on with the wall clock.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final
from zlib import crc32

import msgspec

from opsbridge.core.alerts import FirstLevel, unknown_cis
from opsbridge.core.backbone import Backbone, News, home, time_of
from opsbridge.core.classes import Profiles
from opsbridge.core.decisions import Expired, Incident, Outcome, Reject, Rejected, SituationUpdate, Transition, Withheld
from opsbridge.core.event import Event
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Intake
from opsbridge.core.pipeline import Stage
from opsbridge.core.response import Decision, ResponseSelection
from opsbridge.core.second_level import SecondLevel
from opsbridge.core.weights import Weights
from opsbridge.settings import TopicSettings
from opsbridge.sources.canonical import decode
from opsbridge.stream.app import WorkerApp
from opsbridge.stream.batches import Record, RecordBatch, Records
from opsbridge.stream.convoy import Convoy, stretches
from opsbridge.stream.dead_letters import bury
from opsbridge.stream.errors import RecoveryError
from opsbridge.stream.lanes import Lane, Tick
from opsbridge.stream.outbox import Outbox
from opsbridge.stream.packing import decode_events, decode_news, decode_transitions, decode_update, packs
from opsbridge.stream.tables import StateTable
from opsbridge.stream.topics import topic_name, topics_of
from opsbridge.web.metrics import Metrics

TICK_SECONDS: Final = 0.5

OFFSET_STEP: Final = 1 << 20
"""Positions of the events in a pack lie between the pack's offset times this and the next one's."""

UNTIL: Final = "until"
"""Header of a pack of events: the latest event time in it or before it, in milliseconds."""

APPLIED: Final = b"\x00applied"
"""The state entry that says up to which offset a partition's records have been applied. It is saved last: what it
covers need not be recognised record by record, even where the alert has been forgotten since."""

_encode = msgspec.json.Encoder().encode


class _Clock:
    """Event time of one partition while nothing arrives: what it was, plus the time that has passed since."""

    __slots__ = ("_event_time", "_since")

    def __init__(self, event_time: int) -> None:
        self.heard(event_time)

    def heard(self, event_time: int) -> None:
        self._event_time, self._since = event_time, time.monotonic()

    def now(self) -> int:
        return self._event_time + int((time.monotonic() - self._since) * 1000)


class _InOrder:
    """Sorts news by the time of their telling, without turning round those of one alert or situation.

    They come from several partitions, whose clocks differ after a pause, and a clock may go back in a restart; a
    resolution before its firing would be lost.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def __call__(self, news: News) -> int:
        name = news.fingerprint if isinstance(news, Transition) else news.situation.id
        told = max(self._told.get(name, 0), time_of(news))
        self._told[name] = told
        return told


class Stages:
    """What the stages of one worker share: the estate, the rules, the topics and the metrics."""

    def __init__(
        self,
        app: WorkerApp,
        intake: Intake,
        graph: CIGraph,
        metrics: Metrics,
        profiles: Profiles | None = None,
        weights: Weights | None = None,
    ) -> None:
        self._app = app
        self._intake = intake
        self._graph = graph
        self._profiles, self._weights = profiles, weights
        self._metrics = metrics
        self._topics = app.settings.topics
        name = self._name
        self._first_state = app.add_table("first-level", name("first-level-state"))
        self._second_state = app.add_table("second-level", name("second-level-state"))
        self._backbone_state = app.add_table("backbone", name("backbone-state"))
        self._response_state = app.add_table("response", name("response-state"))
        self._intake_convoy, self._first_convoy = Convoy(), Convoy()
        app.add_stage("intake", inputs(self._topics), self.intake)
        app.add_stage("first-level", [name("detected")], self.first_level, tick_seconds=TICK_SECONDS)
        app.add_stage("second-level", [name("alerts")], self.second_level, tick_seconds=TICK_SECONDS)
        app.add_stage("backbone", [name("shared")], self.backbone, tick_seconds=TICK_SECONDS)
        app.add_stage("response", [name("situations")], self.response, tick_seconds=TICK_SECONDS)

    def _name(self, entity: str) -> str:
        return topic_name(self._topics, entity)

    # intake: bytes to canonical events

    async def intake(self, lane: Lane) -> None:
        """Decode, bind and judge raw payloads; pack what goes on by the partition of its CI."""
        outbox = self._app.outbox()
        partitions = await self._app.writer.partitions(self._name("detected"))
        async for batch in lane:
            if isinstance(batch, Tick):
                continue
            started = time.perf_counter()
            events, rejected = self._take_in(batch, outbox)
            self._metrics.batch("intake", time.perf_counter() - started)
            for until, stretch in stretches(events, attrgetter("time")):
                await self._intake_convoy.reach(lane.partition, until)
                self._send_on(stretch, until, outbox, partitions)
                await lane.settle(outbox)
            self._intake_convoy.leave(lane.partition)
            await lane.settle(outbox)
            self._metrics.dead_letters(rejected)

    def _take_in(self, batch: RecordBatch, outbox: Outbox) -> tuple[list[Event], Counter[str]]:
        """The events that go on, and how many records were buried, by reason."""
        dead_letters = self._name("dead-letters")
        accept = self._intake.accept
        now = time.time_ns() // 1_000_000
        events: list[Event] = []
        rejected: Counter[str] = Counter()
        withheld: Counter[tuple[str, str]] = Counter()
        for record in batch.records:
            try:
                report = decode(record.value)
                answer = report if isinstance(report, Rejected) else accept(report, now)
            except Exception as error:  # noqa: BLE001 # one event must never stop a partition
                answer = Rejected(Reject.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            if isinstance(answer, Event):
                events.append(answer)
            elif isinstance(answer, Withheld):
                withheld[answer.place, answer.reason] += 1
            else:
                rejected[answer.reason] += 1
                bury(outbox, dead_letters, record, answer)
        self._metrics.received(batch.topic, len(batch))
        self._metrics.rejected(rejected)
        self._metrics.withheld(withheld)
        if events:
            self._metrics.newest_event(batch.topic, max(map(attrgetter("time"), events)), now)
        return events, rejected

    def _send_on(self, events: Iterable[Event], until: int, outbox: Outbox, partitions: int) -> None:
        """Pack events by the partition of their CI; each pack says up to which event time it goes."""
        detected, headers = self._name("detected"), [(UNTIL, b"%d" % until)]
        by_partition: list[list[Event]] = [[] for _ in range(partitions)]
        for event in events:
            by_partition[crc32(event.ci.encode()) % partitions].append(event)
        for partition, ours in enumerate(by_partition):
            for pack in packs(ours):
                outbox.add(detected, None, pack, partition=partition, headers=headers)

    # first level: events to alert transitions

    async def first_level(self, lane: Lane) -> None:
        """Deduplicate and pair the events of this partition's CIs."""
        stage, outbox = FirstLevel(), self._app.outbox()

        def hear(records: Records) -> None:
            outcomes: Counter[Outcome] = Counter()
            transitions: list[Transition] = []
            for record in records:
                answer = stage.advance(decode_events(record.value or b"[]"), record.offset * OFFSET_STEP)
                outcomes.update(answer.outcomes)
                count_expired(answer.expired)
                transitions += answer.transitions
            self._metrics.heard(outcomes)
            self._tell_transitions(outbox, transitions)

        def expire(now: int) -> None:
            count_expired(stage.expire(now))

        def count_expired(expired: Iterable[Expired]) -> None:
            for over in expired:
                self._metrics.expired(over.reason, over.events)

        await self._work(
            "first_level",
            lane,
            self._name("detected"),
            self._first_state,
            stage,
            self._first_convoy,
            outbox,
            hear,
            expire,
        )

    def _tell_transitions(self, outbox: Outbox, transitions: Sequence[Transition]) -> None:
        alerts, shared, discrepancies = self._name("alerts"), self._name("shared"), self._name("discrepancies")
        places: dict[tuple[str, str], list[Transition]] = {}
        for transition in transitions:
            backbone = home(self._graph, transition)
            place = (shared, backbone) if backbone else (alerts, self._domain(transition))
            places.setdefault(place, []).append(transition)
        for (topic, domain), changed in places.items():
            key = domain.encode()
            for pack in packs(changed):
                outbox.add(topic, key, pack)
        unknown = unknown_cis(transitions)
        for discrepancy in unknown:
            outbox.add(discrepancies, discrepancy.reference.encode(), _encode(discrepancy))
        self._metrics.unknown_cis(len(unknown))
        self._metrics.transitions(Counter(transition.change for transition in transitions))

    def _domain(self, transition: Transition) -> str:
        """The CI graph's component; a CI that the graph does not know is a domain of its own."""
        number = self._graph.numbers.get(transition.ci) if transition.known_ci else None
        return transition.ci if number is None else self._graph.domains[number]

    # second level: alert transitions to situations

    async def second_level(self, lane: Lane) -> None:
        """Explain the alerts of this partition's domains."""
        stage, outbox = SecondLevel(self._graph, self._profiles, self._weights), self._app.outbox()
        situations, shared = self._name("situations"), self._name("shared")

        def tell(updates: Iterable[SituationUpdate]) -> None:
            for update in updates:
                backbone = home(self._graph, update)
                topic, key = (shared, backbone) if backbone else (situations, update.situation.id)
                outbox.add(topic, key.encode(), _encode(update))

        def hear(records: Records) -> None:
            transitions = [change for record in records for change in decode_transitions(record.value or b"[]")]
            transitions.sort(key=_InOrder())
            tell(stage.advance(transitions))

        def expire(now: int) -> None:
            tell(stage.expire(now))

        await self._work(
            "second_level", lane, self._name("alerts"), self._second_state, stage, Convoy(), outbox, hear, expire
        )

    # backbone: what several domains share

    async def backbone(self, lane: Lane) -> None:
        """Decide what the situations that domains have found by themselves have in common."""
        stage, outbox = Backbone(self._graph, self._profiles, self._weights), self._app.outbox()
        situations = self._name("situations")

        def tell(updates: Iterable[SituationUpdate]) -> None:
            for update in updates:
                outbox.add(situations, update.situation.id.encode(), _encode(update))

        def hear(records: Records) -> None:
            news = [each for record in records for each in decode_news(record.value or b"[]")]
            news.sort(key=_InOrder())
            tell(stage.advance(news))

        def expire(now: int) -> None:
            tell(stage.expire(now))

        await self._work(
            "backbone", lane, self._name("shared"), self._backbone_state, stage, Convoy(), outbox, hear, expire
        )

    # response: situations to incidents

    async def response(self, lane: Lane) -> None:
        """Select the response to each situation's news."""
        stage, outbox = ResponseSelection(), self._app.outbox()
        incidents, members = self._name("incidents"), self._name("incident-members")

        def tell(decisions: Iterable[Decision]) -> None:
            for decision in decisions:
                if isinstance(decision, Incident):
                    outbox.add(incidents, decision.id.encode(), _encode(decision))
                    self._metrics.incident_updates({decision.status: 1})
                else:
                    outbox.add(members, decision.incident.encode(), _encode(decision))

        def hear(records: Records) -> None:
            tell(stage.advance([decode_update(record.value) for record in records if record.value is not None]))

        def expire(now: int) -> None:
            tell(stage.expire(now))

        await self._work(
            "response", lane, self._name("situations"), self._response_state, stage, Convoy(), outbox, hear, expire
        )

    # what the stages with state have in common

    async def _work(
        self,
        name: str,
        lane: Lane,
        topic: str,
        table: StateTable,
        stage: Stage,
        convoy: Convoy,
        outbox: Outbox,
        hear: Callable[[Records], None],
        expire: Callable[[int], None],
    ) -> None:
        """Take the partition's state back, then hear its records and let its time pass, saving what changes."""
        applied = -1

        def of_the_stage(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
            nonlocal applied
            for key, value in entries:
                if key == APPLIED:
                    applied = int(value)
                else:
                    yield key, value

        table.restore(lane.partition, lambda entries: stage.restore(of_the_stage(entries)))
        if applied >= (end := await self._app.end_offset(topic, lane.partition)):
            raise RecoveryError(
                f"state {table.name}[{lane.partition}] has applied offset {applied} of {topic}, which ends before "
                f"{end}: the topic was made anew. Delete {table.changelog} with it, or restore the topic"
            )
        clock = _Clock(stage.now)

        async def settle() -> None:
            for key, value in stage.changes():
                table.put(lane.partition, key, value)
            table.put(lane.partition, APPLIED, b"%d" % applied)
            await lane.settle(outbox, table)

        async for work in lane:
            if isinstance(work, Tick):
                due = stage.due()
                if due is not None and due <= clock.now():
                    expire(clock.now())
                    await settle()
            else:
                started = time.perf_counter()
                for until, records in stretches(work.records, _until):
                    await convoy.reach(lane.partition, until)
                    hear([record for record in records if record.offset > applied])
                    applied = records[-1].offset
                    clock.heard(stage.now)
                    await settle()
                convoy.leave(lane.partition)
                self._metrics.batch(name, time.perf_counter() - started)
            self._metrics.state(name, lane.partition, len(stage))
        self._metrics.state(name, lane.partition, 0)


def _until(record: Record) -> int:
    """Up to which event time a pack of events goes; records of the other hops do not say, and are not held back."""
    return next((int(value) for name, value in record.headers if name == UNTIL), 0)


def inputs(topics: TopicSettings) -> list[str]:
    """The topics that events are read from."""
    return [topic.name for topic in topics_of(topics) if topic.entity.name == "events"]
