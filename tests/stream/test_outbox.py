"""What is collected leaves once, in order, where Kafka's own clients would put it; what cannot leave is an error."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import ConsumerRecord

from conftest import MakeTopic
from kafka_server import Kafka
from opsbridge.settings import KafkaSettings
from opsbridge.stream.errors import BrokerUnreachableError, DeliveryError
from opsbridge.stream.outbox import EVERY, BatchWriter, Outbox, OutRecord

Read = Callable[[str, int], Awaitable[list["ConsumerRecord[bytes, bytes]"]]]


@pytest.fixture
async def writer(kafka: Kafka) -> AsyncIterator[BatchWriter]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, max_message_bytes=10_000, delivery_timeout=2.0, request_timeout=30.0
    )
    writer = BatchWriter(settings)
    await writer.start()
    yield writer
    await writer.stop()


@pytest.fixture
async def read(kafka: Kafka) -> AsyncIterator[Read]:
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()

    async def everything(topic: str, partition: int) -> list["ConsumerRecord[bytes, bytes]"]:
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        (end,) = (await consumer.end_offsets([tp])).values()
        found: list[ConsumerRecord[bytes, bytes]] = []
        while len(found) < end:
            found += (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])
        return found

    yield everything
    await consumer.stop()


async def test_records_keep_their_order_and_their_parts(writer: BatchWriter, read: Read, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    outbox = Outbox(writer)
    for number in range(100):  # several record batches of at most 10 000 bytes
        outbox.add(
            topic, b"k%d" % number, b"x" * 500, partition=1, headers=[("n", b"%d" % number)], timestamp_ms=number + 1
        )
    assert len(outbox) == 100
    await outbox.flush()
    assert len(outbox) == 0
    await outbox.flush()
    found = await read(topic, 1)
    assert [(r.key, r.headers, r.timestamp) for r in found] == [
        (b"k%d" % n, (("n", b"%d" % n),), n + 1) for n in range(100)
    ]
    assert await read(topic, 0) == []


async def test_what_is_for_every_partition_goes_to_each_in_its_turn(
    writer: BatchWriter, read: Read, make_topic: MakeTopic
) -> None:
    topic = await make_topic(3)
    outbox = Outbox(writer)
    outbox.add(topic, None, b"first", partition=1)
    outbox.add(topic, None, b"all", partition=EVERY, headers=[("h", b"1")])
    outbox.add(topic, None, b"last", partition=1)
    await outbox.flush()
    found = [[record.value for record in await read(topic, partition)] for partition in range(3)]
    assert found == [[b"all"], [b"first", b"all", b"last"], [b"all"]]


async def test_a_key_goes_where_kafkas_own_clients_put_it(
    writer: BatchWriter, read: Read, make_topic: MakeTopic
) -> None:
    topic = await make_topic(3)
    keys = [b"key-%d" % number for number in range(200)]
    outbox = Outbox(writer)
    for key in keys:
        outbox.add(topic, key, None)
    await outbox.flush()
    partitioner = DefaultPartitioner()
    for partition in range(3):
        here = [key for key in keys if partitioner(key, [0, 1, 2], [0, 1, 2]) == partition]
        assert [record.key for record in await read(topic, partition)] == here


async def test_records_without_key_take_turns(writer: BatchWriter, read: Read, make_topic: MakeTopic) -> None:
    topic = await make_topic(3)
    outbox = Outbox(writer)
    for _ in range(9):
        outbox.add(topic, None, b"value")
    await outbox.flush()
    assert [len(await read(topic, partition)) for partition in range(3)] == [3, 3, 3]


async def test_what_does_not_fit_is_named_and_kept(writer: BatchWriter, read: Read, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    outbox = Outbox(writer)
    outbox.add(topic, b"big", b"x" * 10_000)
    with pytest.raises(DeliveryError, match=rf"record of 10043 bytes for {topic}\[0\], key b'big', exceeds .*10000"):
        await outbox.flush()
    assert len(outbox) == 1
    largest = Outbox(writer)
    largest.add(topic, b"fit", b"x" * 9_957)
    await largest.flush()
    assert [record.key for record in await read(topic, 0)] == [b"fit"]


async def test_a_partition_that_does_not_exist_is_named(writer: BatchWriter, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    with pytest.raises(DeliveryError, match=f"topic {topic} has 2 partitions: there is no partition 2"):
        await writer.write(topic, 2, [(b"k", b"v", None, None)])


async def test_a_topic_that_does_not_exist_is_named(kafka: Kafka, unique: Callable[[str], str]) -> None:
    writer = BatchWriter(
        KafkaSettings(
            bootstrap_servers=kafka.bootstrap_servers, request_timeout=1.0, session_timeout=1.0, heartbeat_interval=0.5
        )
    )
    await writer.start()
    name = unique("missing")
    with pytest.raises(DeliveryError, match=f"topic {name} cannot be written to"):
        await writer.partitions(name)
    await writer.stop()


async def test_no_broker_is_told_so(unused_tcp_port: int) -> None:
    writer = BatchWriter(KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}"))
    with pytest.raises(BrokerUnreachableError, match=f"no broker at 127.0.0.1:{unused_tcp_port}"):
        await writer.start()
    with pytest.raises(DeliveryError, match="not running"):
        await writer.partitions("any")


async def test_writing_nothing_is_nothing(writer: BatchWriter, read: Read, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    nothing: list[OutRecord] = []
    assert await writer.write(topic, 0, nothing) == -1
    assert await writer.write(topic, 0, [(b"a", b"1", None, None), (b"b", b"2", None, None)]) == 0
    assert await writer.write(topic, 0, [(b"c", b"3", None, None)]) == 2
    assert len(await read(topic, 0)) == 3


async def test_another_outbox_takes_back_all_that_was_collected() -> None:
    writer = BatchWriter(KafkaSettings())
    one, other = Outbox(writer), Outbox(writer)
    assert one.packed() == b""
    one.add("t", b"\xff", None, partition=EVERY, headers=[("h", b"\x00"), ("none", None)], timestamp_ms=1)  # type: ignore[list-item] # others' headers may be so
    one.add("t", None, b"v")
    other.take_back(one.packed())
    other.take_back(b"")
    assert other._pending == one._pending
    assert len(one) == 2  # it may be sent still
