"""Reading topics from outside: all that was acknowledged, from a time on, and again; errors name them."""

from collections.abc import AsyncIterator

import pytest

from conftest import MakeTopic
from kafka_server import Kafka
from opsbridge.settings import KafkaSettings
from opsbridge.stream.errors import BrokerUnreachableError, TopicsError
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.reading import TopicReader


@pytest.fixture
async def writer(kafka: Kafka) -> AsyncIterator[BatchWriter]:
    writer = BatchWriter(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    await writer.start()
    yield writer
    await writer.stop()


async def rest(reader: TopicReader) -> list[bytes | None]:
    return sorted([record.value async for records in reader.to_the_end() for record in records], key=str)


async def test_everything_is_read_once_to_the_end_of_each_moment(
    kafka: Kafka, writer: BatchWriter, make_topic: MakeTopic
) -> None:
    one, two = await make_topic(2), await make_topic(1)
    outbox = Outbox(writer)
    for number in range(50):
        outbox.add(one if number % 3 else two, b"%d" % number, b"%02d" % number)
    await outbox.flush()
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, max_poll_records=7)
    async with TopicReader(settings, [one, two]) as reader:
        assert await rest(reader) == [b"%02d" % number for number in range(50)]
        assert await rest(reader) == []
        outbox.add(two, b"k", b"more")
        await outbox.flush()
        assert await rest(reader) == [b"more"]


async def test_it_begins_with_a_time(kafka: Kafka, writer: BatchWriter, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    outbox = Outbox(writer)
    for number in range(10):  # a partition that ends before the time has nothing to read
        outbox.add(topic, None, b"%d" % number, partition=0, timestamp_ms=1_000 + number)
        outbox.add(topic, None, b"old", partition=1, timestamp_ms=1_000)
        await outbox.flush()
    async with TopicReader(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers), [topic], since_ms=1_007) as reader:
        assert await rest(reader) == [b"7", b"8", b"9"]
        outbox.add(topic, None, b"new", partition=1, timestamp_ms=2_000)
        await outbox.flush()
        assert await rest(reader) == [b"new"]


async def test_missing_topics_and_brokers_are_named(kafka: Kafka, make_topic: MakeTopic, unused_tcp_port: int) -> None:
    topic = await make_topic(1)
    for servers, error, words in (
        (kafka.bootstrap_servers, TopicsError, "no such topic: no.one, no.two; opsbridge topics --check tells"),
        (f"127.0.0.1:{unused_tcp_port}", BrokerUnreachableError, f"no broker at 127.0.0.1:{unused_tcp_port}: "),
    ):
        with pytest.raises(error, match=f"^{words}"):
            async with TopicReader(KafkaSettings(bootstrap_servers=servers), [topic, "no.one", "no.two"]):
                pass
