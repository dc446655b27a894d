"""Nothing is said to be written that is not; what is under way is bounded; a broker that comes back is used again."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from kafka_server import Kafka
from opsbridge.gateway.producing import DEAD_LETTERS, EVENTS, Busy, Outgoing, Producing
from opsbridge.settings import Settings
from opsbridge.stream.topics import ensure_topics


def settings_of(kafka: Kafka, prefix: str) -> Settings:
    return Settings.model_validate(
        {"kafka": {"bootstrap_servers": kafka.bootstrap_servers}, "topics": {"prefix": prefix, "partitions": 2}}
    )


@asynccontextmanager
async def producing(
    kafka: Kafka, prefix: str = "in.", *, patience: float = 10.0, room: int = 1_000_000
) -> AsyncIterator[Producing]:
    settings = settings_of(kafka, prefix)
    (await ensure_topics(settings)).require()
    made = Producing(settings, bytes_in_flight=room, patience=patience)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def record(number: int, entity: str = EVENTS, size: int = 0) -> Outgoing:
    return Outgoing(entity, b"k%d" % (number % 7), b"%d" % number + b" " * size, [("n", b"%d" % number)])


async def written(kafka: Kafka, topic: str) -> list[int]:
    """The numbers in a topic, partition by partition."""
    places = [TopicPartition(topic, number) for number in range(2)]
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(places)
        ends = sum((await consumer.end_offsets(places)).values())
        found: list[tuple[int, int, int]] = []
        async with asyncio.timeout(20):
            while len(found) < ends:
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    found += [(place.partition, each.offset, int(each.value or b"")) for each in records]
        return [number for _, _, number in sorted(found)]
    finally:
        await consumer.stop()


async def test_what_was_sent_is_there_in_the_order_of_its_key(kafka: Kafka, unique: Callable[[str], str]) -> None:
    prefix = unique("in") + "."
    async with producing(kafka, prefix) as out:
        await asyncio.gather(*(out.send([record(number), record(number, DEAD_LETTERS)]) for number in range(500)))
        assert out.in_flight == 0
        assert out.silent() == 0
        assert await out.answers()
    for topic in (f"{prefix}events.v1", f"{prefix}dead-letters.v1"):
        found = await written(kafka, topic)
        assert sorted(found) == list(range(500))
        for key in range(7):
            of_key = [number for number in found if number % 7 == key]
            assert of_key == sorted(of_key)


async def test_a_record_that_does_not_fit_is_nobodys_loss_but_its_own(
    kafka: Kafka, unique: Callable[[str], str]
) -> None:
    prefix = unique("in") + "."
    async with producing(kafka, prefix) as out:
        assert not out.fits(record(1, size=1_000_000))
        with pytest.raises(ValueError, match=r"1000\d\d\d bytes does not fit \(kafka.max_message_bytes\)"):
            await out.send([record(0), record(1, size=1_000_000)])
        await out.send([record(2, size=999_000)])
        await out.send([])
    assert await written(kafka, f"{prefix}events.v1") == [2]


async def test_a_broker_that_is_away_is_waited_for_and_what_was_begun_arrives_once(own_kafka: Kafka) -> None:
    async with producing(own_kafka, patience=2, room=2_000) as out:
        await out.send([record(0)])
        own_kafka.kill()
        with pytest.raises(Busy, match="did not acknowledge within 2 s") as busy:
            await asyncio.gather(out.send([record(7)]), out.send([record(14)]))
        assert busy.value.retry_after > 0
        with pytest.raises(
            Busy, match="Kafka is silent"
        ):  # at once: nobody waits for a broker that is known to be away
            async with asyncio.timeout(0.1):
                await out.send([record(21)])
        assert out.silent() > 2
        own_kafka.start()
        async with asyncio.timeout(20):
            while out.silent():  # noqa: ASYNC110 # the broker is another process
                await asyncio.sleep(0.02)
        await out.send([record(28)])
        assert out.in_flight == 0
    found = await written(own_kafka, "in.events.v1")
    assert found[0] == 0
    assert found[-1] == 28
    assert len(found) == len(set(found))
    assert set(found) <= {0, 7, 14, 28}, "what nobody waited for any more, and was not begun, was dropped"


async def test_what_is_under_way_is_bounded(kafka: Kafka, unique: Callable[[str], str]) -> None:
    prefix = unique("in") + "."
    async with producing(kafka, prefix, room=50_000) as out:
        told = await asyncio.gather(*(out.send([record(n, size=9_000)]) for n in range(20)), return_exceptions=True)
        refused = [answer for answer in told if isinstance(answer, Busy)]
        assert 0 < len(refused) < 20
        assert {str(answer) for answer in refused} == {"too much is on its way to Kafka"}
        assert out.in_flight == 0
        await out.send([record(99, size=200_000)])  # larger than the room: alone it may go
    assert len(await written(kafka, f"{prefix}events.v1")) == 21 - len(refused)


async def test_whoever_asks_for_a_broker_is_told_in_time(own_kafka: Kafka) -> None:
    """aiokafka leaves the question open when the connection is closed: the gateway would never be ready again."""
    async with producing(own_kafka) as out:
        assert await out.answers()
        own_kafka.kill()
        port = int(own_kafka.bootstrap_servers.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):  # lets in, and says nothing
            asking = asyncio.create_task(out.answers())
            await asyncio.sleep(0.1)
            await out.stop()
            async with asyncio.timeout(20):
                assert not await asking


async def test_the_end_waits_for_what_is_under_way(kafka: Kafka, unique: Callable[[str], str]) -> None:
    prefix = unique("in") + "."
    async with producing(kafka, prefix) as out:
        sending = asyncio.create_task(out.send([record(number) for number in range(2_000)]))
        await asyncio.sleep(0)
    await sending
    assert sorted(await written(kafka, f"{prefix}events.v1")) == list(range(2_000))
