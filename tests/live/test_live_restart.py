"""The law of restart, live: whatever is killed in the middle of a storm, the incidents end up as if undisturbed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from installation import Installation
from storm import Storm, storm

from kafka_server import Kafka

SIZES = {"embedded": 3_000, "apache": 10_000}


@pytest.fixture
def sent(kafka: Kafka) -> Storm:
    return storm(SIZES[kafka.name], end=time.time())


@pytest.fixture
async def live(kafka: Kafka, unique: Callable[[str], str], tmp_path: Path, sent: Storm) -> AsyncIterator[Installation]:
    async with Installation(kafka.bootstrap_servers, unique("i"), tmp_path, sent.topology) as live:
        yield live


async def test_kill_9_at_three_points_of_the_storm(live: Installation, sent: Storm) -> None:
    wanted = live.expected(sent.records, time.time())
    first, second, third, fourth = sent.parts(4)

    await live.publish(first)
    worker = await live.worker()
    await live.written_above("first-level-state", 0)  # it is saved what has been heard, but not yet committed
    await worker.kill()

    await live.publish(second)
    worker = await live.worker()
    await live.written_above("second-level-state", await live.written("second-level-state"))
    await worker.kill()

    await live.publish(third)
    worker = await live.worker()
    await live.written_above("situations", 0)  # the first snapshots are out, their state may not be
    await worker.kill()

    worker = await live.worker()
    await live.publish(fourth)
    await live.comes_to(wanted)
    assert await worker.stop() == 0, worker.errors


async def test_workers_that_join_leave_and_are_killed(live: Installation, sent: Storm) -> None:
    wanted = live.expected(sent.records, time.time())
    first, second, third, fourth = sent.parts(4)
    stays = await live.worker()
    await live.publish(first)
    joins = await live.worker()
    await joins.joined()
    await live.publish(second)
    await joins.at_work()
    assert await joins.stop() == 0, joins.errors
    dies = await live.worker()
    await dies.joined()
    await live.publish(third)
    await dies.at_work()
    await dies.kill()
    await live.publish(fourth)
    await live.comes_to(wanted)
    assert await stays.stop() == 0, stays.errors


async def test_the_broker_is_killed_and_started_again(
    own_kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    sent = storm(SIZES[own_kafka.name], end=time.time())
    async with Installation(own_kafka.bootstrap_servers, unique("i"), tmp_path, sent.topology) as live:
        wanted = live.expected(sent.records, time.time())
        first, second = sent.parts(2)
        worker = await live.worker()
        await live.publish(first)
        await live.written_above("second-level-state", 0)
        await asyncio.to_thread(own_kafka.kill)
        await asyncio.to_thread(own_kafka.start)
        await live.publish(second)
        await live.comes_to(wanted)
        assert await worker.stop() == 0, worker.errors  # the same one: it went on by itself
