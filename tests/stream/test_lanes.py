"""Lanes: one thing at a time, acknowledged when done, ticks in between, nothing lost unnoticed; and quiet logs."""

import asyncio
import itertools
import logging

import pytest
from aiokafka.structs import ConsumerRecord
from faust import Event
from faust.types import ConsumerMessage, Message

from opsbridge.settings import Settings
from opsbridge.stream.app import WorkerApp, create_app
from opsbridge.stream.batches import BatchConsumer, Fetch, RecordBatch
from opsbridge.stream.errors import StageError
from opsbridge.stream.lanes import Lane, Stage, Tick
from opsbridge.stream.logs import RepeatFilter


class Bench:
    """A stage without a broker: events are put in, acknowledgements and failures come out."""

    def __init__(self, app: WorkerApp) -> None:
        self.app = app
        self.acknowledged: list[int] = []
        self.failures: list[BaseException] = []
        app.consumer_generation_id = 1

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message.offset)

    def lane(self, tick_seconds: float | None = None) -> Lane:
        return Lane(0, self.acknowledge, tick_seconds)

    def event(self, number: int, topic: str = "in") -> Event:
        record: ConsumerRecord[bytes | None, bytes | None] = ConsumerRecord(
            topic, 0, number, 0, 0, b"k", b"v", None, 1, 1, ()
        )
        consumer = self.app.consumer
        assert isinstance(consumer, BatchConsumer)
        message = consumer._to_message((topic, 0), Fetch(number, [record]))  # type: ignore[arg-type] # only carried
        assert isinstance(message, ConsumerMessage)
        return Event(self.app, None, None, None, message)

    def stage(self, run: object, tick_seconds: float | None = None) -> Stage:
        return Stage("work", ("in",), run, tick_seconds, self.failures.append)  # type: ignore[arg-type]


@pytest.fixture
async def bench() -> Bench:
    return Bench(create_app(Settings()))


async def test_a_batch_is_acknowledged_when_the_next_is_asked_for(bench: Bench) -> None:
    lane = bench.lane()
    seen: list[tuple[int, list[int]]] = []

    async def work() -> None:
        async for batch in lane:
            assert isinstance(batch, RecordBatch)
            seen.append((batch.records[0].offset, list(bench.acknowledged)))
            if len(seen) == 3:
                lane.close()

    task = asyncio.create_task(work())
    for number in range(3):
        await lane.put(bench.event(number))
    await task
    assert seen == [(0, []), (1, [0]), (2, [0, 1])]
    assert bench.acknowledged == [0, 1, 2]


async def test_a_batch_whose_work_fails_is_not_acknowledged_and_is_named(bench: Bench) -> None:
    async def run(lane: Lane) -> None:
        async for _ in lane:
            raise ValueError("no")

    stage = bench.stage(run)
    stage.open([0], 1, bench.acknowledge)
    lane, task = stage._lanes[0]
    await lane.put(bench.event(0))
    await task
    (failure,) = bench.failures
    assert isinstance(failure, StageError)
    assert str(failure) == "stage work, in[0] offsets 0 to 0: ValueError: no"
    assert bench.acknowledged == []
    await stage.close(1)


async def test_a_stage_that_returns_early_is_a_failure(bench: Bench) -> None:
    async def run(lane: Lane) -> None:
        return

    stage = bench.stage(run)
    stage.open([0], 1, bench.acknowledge)
    await stage._lanes[0][1]
    assert "returned while its partition is still ours" in str(bench.failures)


async def test_a_hole_in_the_fetches_is_a_failure(bench: Bench) -> None:
    async def run(lane: Lane) -> None:
        async for _ in lane:
            pass

    stage = bench.stage(run)
    stage.open([0], 1, bench.acknowledge)
    lane, task = stage._lanes[0]
    await lane.put(bench.event(0))
    await lane.put(bench.event(2))
    await asyncio.wait_for(task, 5)
    assert "fetch 2 follows 0: records were lost" in str(bench.failures)
    assert bench.acknowledged == [0]


async def test_ticks_come_while_idle_and_never_inside_a_batch(bench: Bench) -> None:
    lane = bench.lane(tick_seconds=0.01)
    release, busy = asyncio.Event(), asyncio.Event()
    ticks: list[float] = []
    enough = asyncio.Event()

    async def work() -> None:
        async for turn in lane:
            assert not busy.is_set()
            if isinstance(turn, Tick):
                ticks.append(turn.now)
                if len(ticks) == 3:
                    enough.set()
            else:
                busy.set()
                await release.wait()
                busy.clear()

    task = asyncio.create_task(work())
    await enough.wait()
    assert all(later - earlier >= 0.01 for earlier, later in itertools.pairwise(ticks))
    await lane.put(bench.event(0))
    await busy.wait()
    before = len(ticks)
    due = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, due.set_result, None)
    await due
    assert len(ticks) == before
    release.set()
    lane.close()
    await task
    assert bench.acknowledged == [0]


async def test_closing_lets_the_batch_in_work_finish_and_leaves_the_rest(bench: Bench) -> None:
    working, release = asyncio.Event(), asyncio.Event()

    async def run(lane: Lane) -> None:
        async for _ in lane:
            working.set()
            await release.wait()

    stage = bench.stage(run)
    stage.open([0], 1, bench.acknowledge)
    lane, _ = stage._lanes[0]
    await lane.put(bench.event(0))
    await working.wait()
    await lane.put(bench.event(1))
    blocked = asyncio.create_task(lane.put(bench.event(2)))
    closing = asyncio.create_task(stage.close(5))
    await blocked  # the router is not held up by a lane that closes
    release.set()
    assert await closing is True
    assert bench.acknowledged == [0]
    assert bench.failures == []


async def test_topics_are_read_in_turn_to_where_each_of_them_ended(bench: Bench) -> None:
    lane = bench.lane()
    seen: list[tuple[str, int]] = []
    await lane.put(bench.event(0, "second"))  # before anybody could say that it is to wait
    lane.read_in_turn({"in": (0, 2), "second": (0, 2), "third": (0, 2)})
    for number in range(3):  # nobody takes them: the router is not held up by what has to wait
        await lane.put(bench.event(number, "third"))
    await lane.put(bench.event(1, "second"))

    async def work() -> None:
        async for batch in lane:
            assert isinstance(batch, RecordBatch)
            seen.append((batch.topic, batch.records[0].offset))
            if seen[-1] == ("third", 2):
                lane.close()

    task = asyncio.create_task(work())
    await lane.put(bench.event(0))
    await lane.put(bench.event(1))
    await asyncio.wait_for(task, 5)
    assert seen == [("in", 0), ("in", 1), ("second", 0), ("second", 1), ("third", 0), ("third", 1), ("third", 2)]
    assert len(bench.acknowledged) == len(seen)


async def test_topics_that_have_nothing_left_to_read_hold_back_no_other(bench: Bench) -> None:
    lane = bench.lane()
    lane.read_in_turn({"in": (7, 7), "second": (3, 3)})
    await lane.put(bench.event(0, "second"))
    async for batch in lane:
        assert isinstance(batch, RecordBatch)
        assert batch.topic == "second"
        lane.close()


async def test_what_waited_for_room_has_its_turn_like_the_rest(bench: Bench) -> None:
    """More than one batch may have come before it was said whose turn it is."""
    lane = bench.lane()
    await lane.put(bench.event(0, "second"))
    waiting = asyncio.create_task(lane.put(bench.event(1, "second")))
    await asyncio.sleep(0)  # it waits for room
    assert not waiting.done()
    lane.read_in_turn({"in": (0, 1), "second": (0, 1)})
    async with asyncio.timeout(5):
        await waiting
        await lane.put(bench.event(0))
    seen: list[tuple[str, int]] = []
    async for batch in lane:
        assert isinstance(batch, RecordBatch)
        seen.append((batch.topic, batch.records[0].offset))
        if len(seen) == 3:
            lane.close()
    assert seen == [("in", 0), ("second", 0), ("second", 1)]


async def test_a_lane_with_much_to_do_takes_nothing_more(bench: Bench) -> None:
    """What had to wait comes all at once; until it is worked off, there is no room."""
    lane = bench.lane()
    lane.read_in_turn({"in": (0, 1), "second": (0, 3)})
    for number in range(3):
        await lane.put(bench.event(number, "second"))
    await lane.put(bench.event(0))
    more = asyncio.create_task(lane.put(bench.event(1)))
    seen: list[str] = []
    async for batch in lane:
        assert isinstance(batch, RecordBatch)
        seen.append(batch.topic)
        if len(seen) > 1:  # "in" is done, and what had to wait is there
            await asyncio.sleep(0)
            assert more.done() == (len(seen) >= 4)
        if len(seen) == 5:
            lane.close()
    assert seen == ["in", "second", "second", "second", "in"]


async def test_what_has_to_wait_is_left_to_the_next_owner(bench: Bench) -> None:
    lane = bench.lane()
    lane.read_in_turn({"in": (0, 1), "second": (0, 1)})
    await lane.put(bench.event(0, "second"))
    lane.close()
    assert [batch async for batch in lane] == []
    assert bench.acknowledged == []


async def test_a_lane_that_does_not_finish_is_cancelled_and_told(bench: Bench) -> None:
    working = asyncio.Event()

    async def run(lane: Lane) -> None:
        async for _ in lane:
            working.set()
            await asyncio.Event().wait()

    stage = bench.stage(run)
    stage.open([0], 1, bench.acknowledge)
    lane, task = stage._lanes[0]
    await lane.put(bench.event(0))
    await working.wait()
    assert await stage.close(0.01) is False
    assert task.cancelled()
    assert bench.acknowledged == []


async def test_a_stop_in_a_revocation_waits_until_lanes_have_saved(bench: Bench) -> None:
    table = bench.app.add_table("work", "work-state")
    table.complete({0: -1})
    working, go_on = asyncio.Event(), asyncio.Event()

    async def run(lane: Lane) -> None:
        async for _ in lane:
            working.set()
            await go_on.wait()
        table.put(0, b"k", b"v")  # an error, once the partition is forgotten

    stage = bench.stage(run)
    bench.app.stages.append(stage)
    stage.open([0], 1, bench.acknowledge)
    lane, _ = stage._lanes[0]
    await lane.put(bench.event(0))
    await working.wait()
    revoked, stopped = (asyncio.create_task(bench.app.release_partitions()) for _ in range(2))
    done, _ = await asyncio.wait([stopped], timeout=0.05)
    assert not done
    go_on.set()
    await asyncio.gather(revoked, stopped)
    assert (bench.failures, bench.app.failure) == ([], None)


def test_repeated_lines_are_held_back_and_counted() -> None:
    now = 0.0
    limit = RepeatFilter(burst=2, window=10.0, clock=lambda: now)

    def passes(message: str, level: int = logging.ERROR) -> str | None:
        record = logging.LogRecord("aiokafka", level, "", 0, message, None, None)
        return record.getMessage() if limit.filter(record) else None

    lines = [passes("Unable to connect to broker") for _ in range(1990)]
    assert [line for line in lines if line] == ["Unable to connect to broker"] * 2
    assert passes("Another thing") == "Another thing"
    assert passes("Unable to connect to broker", logging.INFO) is not None
    assert passes("Crashed reason=%r") is None
    now = 11.0
    assert passes("Unable to connect to broker") == "Unable to connect to broker (1988 more like this in the last 10 s)"
    assert passes("Unable to connect to broker") == "Unable to connect to broker"
    assert passes("Unable to connect to broker") is None
