"""Stages and lanes: one coroutine per stage and owned partition, which never overlaps with itself.

A stage is a function that is started for each partition when its state is complete and ends when the partition leaves:
its local variables are the partition's memory. It loops over its lane, which hands out record batches and, every
`tick_seconds`, a tick; asking for the next one acknowledges the batch before. Why one task per partition inside one
Faust agent: order within a partition is kept by construction, ticks cannot interleave with batches, and while one
partition waits for the broker's acknowledgement the others work.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faust import Stream
from faust.types import EventT, Message

from opsbridge.stream.batches import Fetch, RecordBatch, fetch_of
from opsbridge.stream.errors import StageError
from opsbridge.stream.outbox import Outbox
from opsbridge.stream.tables import StateTable

# Batches waiting in a lane behind the one in work: enough to keep it busy, little to read again.
WAITING_BATCHES = 1


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed and no batch of this partition is in work: `now` is the event loop's clock in seconds."""

    partition: int
    now: float


class Lane:
    """What one partition of a stage has to do, one thing after the other."""

    def __init__(self, partition: int, acknowledge: Callable[[Message], None], tick_seconds: float | None) -> None:
        self.partition = partition
        self._acknowledge = acknowledge
        self._tick_seconds = tick_seconds
        self._waiting: deque[EventT[Any]] = deque()
        self._held: deque[EventT[Any]] = deque()
        self._spans: dict[str, tuple[int, int]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._wake = asyncio.Event()
        self._closed = False
        self._working_on: Message | None = None
        self._fetches: dict[str, int] = {}

    async def __aiter__(self) -> AsyncIterator[RecordBatch | Tick]:
        loop = asyncio.get_running_loop()
        next_tick = loop.time() + self._tick_seconds if self._tick_seconds is not None else None
        while not self._closed:
            if next_tick is not None and self._tick_seconds is not None and (now := loop.time()) >= next_tick:
                next_tick = now + self._tick_seconds
                yield Tick(self.partition, now)
            elif self._waiting:
                message = self._waiting.popleft().message
                self._make_room()
                self._working_on = message
                fetch = fetch_of(message)
                self._require_order(message, fetch)
                yield RecordBatch(message.topic, message.partition, fetch.records)
                self._acknowledge(message)
                self._working_on = None
                if span := self._spans.get(message.topic):
                    self._spans[message.topic] = fetch.records[-1].offset + 1, span[1]
                    self._admit()
            else:
                self._wake.clear()
                try:
                    async with asyncio.timeout_at(next_tick):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def settle(self, outbox: Outbox, table: StateTable | None = None) -> None:
        """Save what the batch or tick has changed together with what it caused to be told, then tell that.

        So nothing is told that another owner of the partition would decide otherwise: it has all that was decided, and
        tells the same once more (`tell_again`).
        """
        if table is not None:
            table.tell(self.partition, outbox.packed())
            await table.flush(self.partition)
        await outbox.flush()

    async def tell_again(self, outbox: Outbox, table: StateTable) -> None:
        """Tell what the partition's last owner has saved and may not have told: the same records in the same order."""
        outbox.take_back(table.telling(self.partition))
        await outbox.flush()

    async def put(self, event: EventT[Any]) -> None:
        """Queue one message of record batches; waits while the lane is full, whatever the topic."""
        await self._room.wait()
        if self._closed:
            return
        if event.message.topic in self._not_yet():
            self._held.append(event)
        else:
            self._waiting.append(event)
            self._make_room()
            self._wake.set()

    def read_in_turn(self, spans: Mapping[str, tuple[int, int]]) -> None:
        """Batches of each of these topics wait until those before it are done to the end of their spans.

        A span is where a topic is read from, and the end that it had then. What waits is not acknowledged; it is kept
        in memory: what was said while the partition was nobody's.
        """
        self._spans = dict(spans)
        self._admit()

    def _not_yet(self) -> list[str]:
        """The topics whose turn has not come: all behind the first that is not read to the end of its span."""
        return list(self._spans)[1:]

    def _admit(self) -> None:
        """Let those that have waited for it have their turn, and hold back those that were too early."""
        while self._spans:
            topic, (reached, end) = next(iter(self._spans.items()))
            if reached < end:
                break
            del self._spans[topic]
        not_yet, both = self._not_yet(), [*self._waiting, *self._held]
        self._waiting = deque(event for event in both if event.message.topic not in not_yet)
        self._held = deque(event for event in both if event.message.topic in not_yet)
        self._make_room()
        self._wake.set()

    def _make_room(self) -> None:
        if len(self._waiting) < WAITING_BATCHES:
            self._room.set()
        else:
            self._room.clear()

    def close(self) -> None:
        """End the loop after the batch in work; what waits is left to the partition's next owner."""
        self._closed = True
        self._waiting.clear()
        self._held.clear()
        self._room.set()
        self._wake.set()

    def _require_order(self, message: Message, fetch: Fetch) -> None:
        """Fetches of a topic come without hole: Faust has dropped some in rebalances, and later ones hid the loss."""
        expected = self._fetches.get(message.topic, 0)
        if fetch.number != expected:
            raise StageError(f"fetch {fetch.number} follows {expected - 1}: records were lost on the way here")
        self._fetches[message.topic] = expected + 1

    @property
    def closed(self) -> bool:
        """Whether the partition is being given up."""
        return self._closed

    def describe(self) -> str:
        """What is being worked on, for an error."""
        if self._working_on is None:
            return f"partition {self.partition}"
        records = fetch_of(self._working_on).records
        return f"{self._working_on.topic}[{self.partition}] offsets {records[0].offset} to {records[-1].offset}"


StageFunction = Callable[[Lane], Awaitable[None]]


@dataclass(slots=True)
class Stage:
    """A named function over lanes, and its lanes while partitions are owned.

    `topics` share a lane where their partition numbers agree, so topics of a stage with state need equal counts.
    """

    name: str
    topics: tuple[str, ...]
    run: StageFunction
    tick_seconds: float | None
    fail: Callable[[BaseException], None]
    _lanes: dict[int, tuple[Lane, asyncio.Task[None]]] = field(default_factory=dict)
    _generation: int | None = None

    def open(self, partitions: Iterable[int], generation: int, acknowledge: Callable[[Message], None]) -> None:
        """Start a lane for each owned partition; its state is complete."""
        if self._lanes:
            self.fail(StageError(f"stage {self.name}: lanes were opened twice"))
            return
        self._generation = generation
        for partition in sorted(set(partitions)):
            lane = Lane(partition, acknowledge, self.tick_seconds)
            task = asyncio.create_task(self._guarded(lane), name=f"{self.name}[{partition}]")
            self._lanes[partition] = lane, task

    async def route(self, stream: "Stream[Any]") -> None:
        """The Faust agent: hand each message to the lane of its partition."""
        async for event in stream.noack().events():
            # Between revocation and recovery nothing is taken: every partition is then read from its committed offset.
            if event.message.generation_id == self._generation:
                lane, _ = self._lanes[event.message.partition]
                await lane.put(event)

    async def close(self, patience: float) -> bool:
        """End all lanes after the batch in work; whether all ended by themselves within `patience` seconds."""
        self._generation = None
        lanes, self._lanes = self._lanes, {}
        if not lanes:
            return True
        for lane, _ in lanes.values():
            lane.close()
        _, unfinished = await asyncio.wait([task for _, task in lanes.values()], timeout=patience)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)
        return not unfinished

    async def _guarded(self, lane: Lane) -> None:
        try:
            await self.run(lane)
            if not lane.closed:
                raise StageError("it returned while its partition is still ours")
        except Exception as error:  # noqa: BLE001 # whatever a stage raises ends the worker, with its place
            self.fail(_placed(self.name, lane, error))


def _placed(stage: str, lane: Lane, error: Exception) -> StageError:
    placed = StageError(f"stage {stage}, {lane.describe()}: {type(error).__name__}: {error}")
    placed.__cause__ = error
    return placed
