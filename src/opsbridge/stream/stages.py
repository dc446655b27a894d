"""The stages of the stream, each a loop over one partition's lane.

Intake, first level, second level, response; the backbone between the last two, for what several domains share; and
coordination beside the last one, for what can only be decided with all situations in view.

Each hands record batches to the stage of the core with the same name, sends what that answers, and saves what that
changed; it decides nothing. While a partition is quiet its event time moves on with the wall clock. When rules have
been reloaded, or the topology is another one, each lane goes on with a new stage, made of the same saved state, before
its next batch or tick.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import Final

import msgspec

from opsbridge.core.coordination.stage import Coordination
from opsbridge.stream.app import WorkerApp
from opsbridge.stream.batches import Record
from opsbridge.stream.convoy import Convoy, stretches
from opsbridge.stream.dispatch import UNTIL, Dispatch
from opsbridge.stream.errors import RecoveryError
from opsbridge.stream.estate import Estate
from opsbridge.stream.intake import homes, input_topics, take_in
from opsbridge.stream.lanes import Lane, Tick
from opsbridge.stream.steps import (
    MakeStep,
    Share,
    Step,
    backbone,
    coordination,
    first_level,
    response,
    second_level,
)
from opsbridge.stream.tables import APPLIED, StateTable
from opsbridge.stream.topics import topic_name
from opsbridge.web.metrics import Metrics

TICK_SECONDS: Final = 0.5

SILENT_MS: Final = 10_000
"""A partition that has never heard anything lives in the present, where rules expect something, after so long."""

STEPS: Final[tuple[tuple[str, tuple[str, ...], MakeStep], ...]] = (
    ("first-level", ("detected",), first_level),
    ("second-level", ("alerts", "corrections"), second_level),
    ("backbone", ("shared", "backbone-corrections"), backbone),
    ("response", ("situations", "answers", "feedback"), response),
    ("coordination", ("coordination",), coordination),
)
"""Stages with state: name, which is also that of the state, the entities that are heard, and what is done with them.

A lane that begins reads its topics up to where they end one after the other, in this order: after a kill, feedback may
have come long ago that refers to what has been told and not been saved.
"""

UNTIMED: Final = frozenset({"answers", "feedback", "corrections", "backbone-corrections"})
"""Records of these do not say how late it is."""

_decode_offsets = msgspec.json.Decoder(int | dict[str, int]).decode


class _Clock:
    """Event time of one partition while nothing arrives: what it was, plus the time that has passed since."""

    __slots__ = ("_since", "event_time")

    def __init__(self, event_time: int) -> None:
        self.heard(event_time)

    def heard(self, event_time: int) -> None:
        self.event_time, self._since = event_time, time.monotonic()

    def now(self) -> int:
        return self.event_time + self.silent()

    def silent(self) -> int:
        return int((time.monotonic() - self._since) * 1000)


class Stages:
    """What the stages of one worker share: the estate that they decide by now, the topics and the metrics."""

    def __init__(self, app: WorkerApp, estate: Estate, metrics: Metrics) -> None:
        self.estate = estate
        """May be replaced at any time: each lane takes the new one over before its next batch or tick."""
        self._app = app
        self._metrics = metrics
        self._topics = app.settings.topics
        app.add_stage("intake", input_topics(self._topics), self.intake)
        for name, entities, make in STEPS:
            table = app.add_table(name, self._name(f"{name}-state"))
            topics = {self._name(entity): entity for entity in entities}
            run = partial(self._work, name, topics, table, make, Convoy())
            app.add_stage(name, list(topics), run, tick_seconds=TICK_SECONDS)
        self._intake_convoy = Convoy()

    def _name(self, entity: str) -> str:
        return topic_name(self._topics, entity)

    def _dispatch(self) -> Dispatch:
        return Dispatch(self._app.outbox(), self._topics, self._metrics)

    # intake: bytes to canonical events

    async def intake(self, lane: Lane) -> None:
        """Decode, bind and judge raw payloads; pack what goes on by the partition where it is heard."""
        dispatch = self._dispatch()
        partitions = await self._app.writer.partitions(self._name("detected"))
        async for batch in lane:
            if isinstance(batch, Tick):
                continue
            started = time.perf_counter()
            book = self.estate.book
            events = take_in(batch, self.estate, dispatch, self._metrics)
            self._metrics.batch("intake", time.perf_counter() - started)
            for until, stretch in stretches(events, attrgetter("time")):
                await self._intake_convoy.reach(lane.partition, until)
                dispatch.events(homes(stretch, book), partitions, until)
                await lane.settle(dispatch.outbox)
            self._intake_convoy.leave(lane.partition)
            await lane.settle(dispatch.outbox)
            dispatch.settled()

    # the stages with state

    async def _work(
        self, name: str, topics: Mapping[str, str], table: StateTable, make: MakeStep, convoy: Convoy, lane: Lane
    ) -> None:
        """Take the partition's state back, then hear its records and let its time pass, saving what changes."""
        dispatch, metric = self._dispatch(), name.replace("-", "_")
        share = Share(lane.partition, await self._app.writer.partitions(next(iter(topics))))
        applied = dict.fromkeys(topics.values(), -1)

        def of_the_stage(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
            for key, value in entries:
                if key == APPLIED:
                    applied.update(_offsets(value, next(iter(applied))))
                else:
                    yield key, value

        def made() -> Step:
            step = make(self.estate, dispatch, share)
            try:
                table.restore(lane.partition, lambda entries: step.stage.restore(of_the_stage(entries)))
            except (msgspec.DecodeError, ValueError) as error:
                raise RecoveryError(
                    f"changelog {table.changelog}[{lane.partition}]: not a record of this state: {error}. Something "
                    "else has written it, or another version"
                ) from error
            return step

        async def settle() -> None:
            for key, value in step.stage.changes():
                table.put(lane.partition, key, value)
            table.put(lane.partition, APPLIED, msgspec.json.encode(applied))
            await lane.settle(dispatch.outbox, table)
            dispatch.settled()

        estate, step = self.estate, made()
        spans = self._app.spans(topics, lane.partition)
        for topic, (begin, end) in spans.items():
            if (last := applied[topics[topic]]) >= end:
                raise RecoveryError(
                    f"state {table.name}[{lane.partition}] has applied offset {last} of {topic}, which ends before "
                    f"{end}: the topic was made anew. Delete {table.changelog} with it, or restore the topic"
                )
            spans[topic] = max(begin, last + 1), end
        await lane.tell_again(dispatch.outbox, table)
        if table.pending(lane.partition) or table.telling(lane.partition):
            await settle()
        lane.read_in_turn(spans)
        clock = _Clock(step.stage.now)
        made_anew = True
        async for work in lane:
            if estate is not self.estate:
                if not estate.decides_as(self.estate, tells=isinstance(step.stage, Coordination)):
                    step = made()
                    made_anew = True
                estate = self.estate
            if isinstance(work, Tick):
                if step.stage.now == 0 and step.expects and clock.silent() >= SILENT_MS:
                    clock.heard(time.time_ns() // 1_000_000)
                due = step.stage.due()
                if (due is not None and due <= clock.now()) or (made_anew and clock.event_time):
                    step.expire(clock.now())
                    made_anew = False
                    await settle()
                elif table.telling(lane.partition):  # told by now: nobody is to tell it again
                    await settle()
            else:
                started, entity = time.perf_counter(), topics[work.topic]
                time_of = _until if entity == "detected" else _untold  # what others write may have any header
                for until, records in stretches(work.records, time_of):
                    await convoy.reach(lane.partition, until)
                    fresh = [record for record in records if record.offset > applied[entity]]
                    if clock.event_time and fresh and entity in UNTIMED:
                        step.expire(clock.now())
                    step.hear[entity](fresh)
                    applied[entity] = records[-1].offset
                    clock.heard(step.stage.now)
                    await settle()
                convoy.leave(lane.partition)
                self._metrics.batch(metric, time.perf_counter() - started)
            self._metrics.state(metric, lane.partition, len(step.stage))
            if isinstance(step.stage, Coordination):
                self._metrics.automation_stopped(lane.partition, stopped=step.stage.stopped)
        if table.telling(lane.partition):
            await settle()
        self._metrics.state(metric, lane.partition, 0)
        if isinstance(step.stage, Coordination):
            self._metrics.automation_stopped(lane.partition, stopped=False)


def _until(record: Record) -> int:
    """Up to which event time a pack of events goes; those that the first level sends to other partitions do not say."""
    return next((int(value) for name, value in record.headers if name == UNTIL), 0)


def _untold(_record: Record) -> int:
    """The same of records of the other hops: they do not say, and are not held back."""
    return 0


def _offsets(value: bytes, first: str) -> dict[str, int]:
    """What the entry `APPLIED` says; where stages heard one topic only, it was a number."""
    found = _decode_offsets(value)
    return {first: found} if isinstance(found, int) else found
