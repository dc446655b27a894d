"""The law of restart, live: kill -9, workers that come and go, a broker that dies; and failures that end a worker."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from probe import PARTITIONS, Probe, Worker, admin

from kafka_server import Kafka
from opsbridge.stream.tables import APPLIED

CHUNK = 20_000


@pytest.fixture
async def probe(kafka: Kafka, unique: Callable[[str], str]) -> AsyncIterator[Probe]:
    async with Probe(kafka.bootstrap_servers, unique("p")) as probe:
        yield probe


async def test_state_survives_kill_9_at_three_points_and_workers_that_join_and_leave(probe: Probe) -> None:
    await probe.make_topics()
    for share in (0.1, 0.4, 0.8):
        done = probe.counted()
        await probe.feed(CHUNK)
        worker = await probe.worker(max_poll_records=500)
        await probe.progress(lambda done=done, share=share: probe.counted() >= done + CHUNK * share)  # type: ignore[misc]
        await worker.kill()

    stays = await probe.worker(max_poll_records=500)
    await stays.ready()
    joins = await probe.worker(max_poll_records=500)
    await joins.ready()
    for _ in range(2):
        await probe.finished()
        await probe.feed(CHUNK)
    await probe.progress(lambda: probe.counted() >= probe.expected.total() - CHUNK * 0.8)
    assert await joins.stop() == 0, joins.errors
    await probe.feed(CHUNK)
    await probe.finished()
    assert await stays.stop() == 0, stays.errors
    assert joins.report["read"] >= CHUNK / 10
    # Partitions are handed over committed, unless the coordinator had moved on: what is read again then is recognised,
    # or `finished` would have found keys counted twice.
    assert joins.report["again"] < joins.report["read"]
    assert stays.report["recovered"] > joins.report["recovered"]  # its partitions came back and were read again


async def test_state_survives_a_broker_that_is_killed_and_started_again(
    own_kafka: Kafka, unique: Callable[[str], str]
) -> None:
    async with Probe(own_kafka.bootstrap_servers, unique("p")) as probe:
        await probe.make_topics()
        await probe.feed(CHUNK)
        worker = await probe.worker(max_poll_records=500)
        await probe.progress(lambda: probe.counted() >= CHUNK * 0.2)
        await asyncio.to_thread(own_kafka.kill)
        await asyncio.to_thread(own_kafka.start)
        await probe.feed(CHUNK)
        await probe.finished()
        assert await worker.stop() == 0, worker.errors
        assert worker.errors.count("\n") < 100


async def test_a_changelog_record_without_key_ends_the_worker(probe: Probe) -> None:
    await probe.make_topics(cleanup="delete")  # brokers refuse such records where they compact
    await probe.write("counts", 1, [(b"key", b"1,1", None, None), (None, b"stray", None, None)])
    worker = await probe.worker()
    assert await worker.ended() == 1
    assert f"error: changelog {probe.changelog}[1] offset 1: a record without key" in worker.errors
    assert worker.errors.count("a record without key") == 1
    assert not worker.lanes.is_set()


async def test_state_that_cannot_be_decoded_ends_the_worker(probe: Probe) -> None:
    await probe.make_topics()
    await probe.write("counts", 2, [(b"key", b"garbage", None, None), (APPLIED, b"{}", None, None)])
    worker = await probe.worker()
    assert await worker.ended() == 1
    assert "error: stage counting, partition 2: ValueError" in worker.errors


async def test_an_event_that_breaks_the_stage_ends_the_worker_and_is_not_committed(probe: Probe) -> None:
    await probe.make_topics()
    await probe.write("in", 3, [(b"key", b"key 1", None, None), (b"key", b"poison", None, None)])
    for _ in range(2):
        worker = await probe.worker()
        assert await worker.ended() == 1
        assert f"error: stage counting, {probe.prefix}-in[3] offsets 0 to 1: ValueError: poisoned" in worker.errors
        assert worker.errors.count("poisoned") == 1


@pytest.mark.parametrize("partitions", [0, PARTITIONS // 2])
async def test_a_changelog_without_the_partition_ends_the_worker(probe: Probe, partitions: int) -> None:
    await probe.make_topics(changelog_partitions=partitions)
    worker = await probe.worker()
    assert await worker.ended() == 1
    assert f"has topic {probe.changelog} as many partitions" in worker.errors


async def test_a_changelog_that_is_deleted_under_the_worker_ends_it(probe: Probe) -> None:
    await probe.make_topics()
    await probe.feed(1000)
    worker = await probe.worker(delivery_timeout=2.0)
    await probe.finished()
    async with admin(probe.servers) as client:
        await client.delete_topics([probe.changelog])
    await probe.feed(1000)
    assert await worker.ended() == 1
    # Either a write to it fails, or a rebalance comes first and its recovery does.
    unwritten = (
        f"error: stage counting, {probe.prefix}-in" in worker.errors and "were not acknowledged" in worker.errors
    )
    assert unwritten or f"has topic {probe.changelog} as many partitions" in worker.errors, worker.errors


async def test_a_broker_that_cannot_be_reached_is_told_so(unused_tcp_port: int) -> None:
    worker = await Worker.start(f"127.0.0.1:{unused_tcp_port}", "nobody")
    assert await worker.ended() == 3
    assert f"error: no broker at 127.0.0.1:{unused_tcp_port}" in worker.errors
