"""What OpsBridge relies on in a Kafka broker: topics, records and offsets, held against both brokers with aiokafka."""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord

from conftest import MakeTopic
from kafka_server import Kafka

_DAY = 86_400_000
_PATIENCE = 20


def producer(kafka: Kafka, **settings: object) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, **settings)


def reader(kafka: Kafka, *partitions: TopicPartition, **settings: object) -> AIOKafkaConsumer:
    """A consumer without a group that reads these partitions from the start."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False, **settings
    )
    consumer.assign(partitions)
    return consumer


async def take(consumer: AIOKafkaConsumer, count: int) -> list[ConsumerRecord[bytes, bytes]]:
    """The next `count` records, in the order they came."""
    found: list[ConsumerRecord[bytes, bytes]] = []
    async with asyncio.timeout(_PATIENCE):
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += records
    assert len(found) == count
    return found


async def configs_of(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    return await described(admin, ConfigResource(ConfigResourceType.TOPIC, topic))


async def described(admin: AIOKafkaAdminClient, asked: ConfigResource) -> dict[str, str]:
    answer: Any  # aiokafka makes the fields of its responses at run time
    (answer,) = await admin.describe_configs([asked])
    ((code, _message, _kind, _name, entries),) = answer.resources
    assert code == 0
    return {entry[0]: entry[1] for entry in entries}


def refusals(answer: Any) -> list[int]:  # aiokafka makes the fields of its responses at run time
    """The error code of each topic of a CreateTopics answer."""
    return [error[1] for error in answer.topic_errors]


async def test_a_topic_has_the_partitions_and_settings_it_was_made_with(
    admin: AIOKafkaAdminClient, make_topic: MakeTopic
) -> None:
    given = {
        "cleanup.policy": "compact,delete",
        "retention.ms": "86400000",
        "min.compaction.lag.ms": "60000",
        "max.message.bytes": "2000000",
    }
    topic = await make_topic(3, given)
    (described,) = await admin.describe_topics([topic])
    assert sorted(each["partition"] for each in described["partitions"]) == [0, 1, 2]
    assert given.items() <= (await configs_of(admin, topic)).items()


async def test_settings_not_given_have_kafkas_defaults(admin: AIOKafkaAdminClient, make_topic: MakeTopic) -> None:
    found = await configs_of(admin, await make_topic())
    assert found["cleanup.policy"] == "delete"
    assert found["retention.ms"] == "604800000"
    assert found["max.message.bytes"] == "1048588"
    assert found["min.compaction.lag.ms"] == "0"
    assert found["message.timestamp.after.max.ms"] == "3600000"
    assert found["segment.bytes"] == "1073741824"


async def test_describing_asks_for_single_settings_too(admin: AIOKafkaAdminClient, make_topic: MakeTopic) -> None:
    asked = ConfigResource(ConfigResourceType.TOPIC, await make_topic(), configs={"retention.ms": ""})
    assert await described(admin, asked) == {"retention.ms": "604800000"}


@pytest.mark.parametrize(
    ("partitions", "replication", "configs", "code"),
    [
        (0, 1, {}, 37),
        (-2, 1, {}, 37),
        (1, 3, {}, 38),
        (1, 0, {}, 38),
        (1, 1, {"no.such.setting": "1"}, 40),
        (1, 1, {"retention.ms": "soon"}, 40),
        (1, 1, {"cleanup.policy": "shred"}, 40),
    ],
)
async def test_a_topic_that_cannot_be_is_refused(
    admin: AIOKafkaAdminClient,
    unique: Callable[[str], str],
    partitions: int,
    replication: int,
    configs: dict[str, str],
    code: int,
) -> None:
    topic = unique("refused")
    answer = await admin.create_topics([NewTopic(topic, partitions, replication, topic_configs=configs)])
    assert refusals(answer) == [code]
    assert topic not in await admin.list_topics()


@pytest.mark.parametrize("name", ["with space", "slash/ed", "..", "x" * 250])
async def test_a_name_that_cannot_be_is_refused(admin: AIOKafkaAdminClient, name: str) -> None:
    answer = await admin.create_topics([NewTopic(name, 1, 1)])
    assert refusals(answer) == [17]


async def test_a_topic_that_exists_is_said_to_exist(admin: AIOKafkaAdminClient, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    answer = await admin.create_topics([NewTopic(topic, 5, 1)])
    assert refusals(answer) == [36]
    (described,) = await admin.describe_topics([topic])
    assert len(described["partitions"]) == 2


async def test_dots_and_underscores_collide(admin: AIOKafkaAdminClient, unique: Callable[[str], str]) -> None:
    dotted = unique("a.b")
    answers = [await admin.create_topics([NewTopic(name, 1, 1)]) for name in (dotted, dotted.replace(".", "_"))]
    assert [refusals(answer) for answer in answers] == [[0], [17]]


async def test_validate_only_creates_nothing(admin: AIOKafkaAdminClient, unique: Callable[[str], str]) -> None:
    topic = unique("validated")
    answer = await admin.create_topics([NewTopic(topic, 1, 1)], validate_only=True)
    assert refusals(answer) == [0]
    assert topic not in await admin.list_topics()


async def test_partitions_can_be_added(admin: AIOKafkaAdminClient, make_topic: MakeTopic) -> None:
    topic = await make_topic(1)
    await admin.create_partitions({topic: NewPartitions(3)})
    async with asyncio.timeout(_PATIENCE):
        while len((await admin.describe_topics([topic]))[0]["partitions"]) != 3:
            pass


async def test_a_deleted_topic_is_gone(admin: AIOKafkaAdminClient, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    await admin.delete_topics([topic])
    async with asyncio.timeout(_PATIENCE):
        while topic in await admin.list_topics():
            pass
    again: Any = await admin.delete_topics([topic])
    assert again.topic_error_codes == [(topic, 3)]


@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_records_come_back_as_they_went(kafka: Kafka, make_topic: MakeTopic, compression: str | None) -> None:
    topic = await make_topic()
    sent = [
        (b"key-%d" % i, b"v" * i, [("trace", b"%d" % i), ("empty", b"")], int(time.time() * 1000) - _DAY + i)
        for i in range(50)
    ]
    async with producer(kafka, compression_type=compression, linger_ms=20) as out:
        waiting = [
            await out.send(topic, value, key=key, headers=headers, timestamp_ms=at) for key, value, headers, at in sent
        ]
        metadata = await asyncio.gather(*waiting)
    assert [each.offset for each in metadata] == list(range(50))
    async with reader(kafka, TopicPartition(topic, 0)) as consumer:
        found = await take(consumer, 50)
    assert [(each.key, each.value, list(each.headers), each.timestamp) for each in found] == sent
    assert [each.offset for each in found] == list(range(50))
    assert {each.timestamp_type for each in found} == {0}


async def test_null_keys_and_tombstones(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    async with producer(kafka) as out:
        await out.send_and_wait(topic, b"value", key=None)
        await out.send_and_wait(topic, None, key=b"key")
    async with reader(kafka, TopicPartition(topic, 0)) as consumer:
        found = await take(consumer, 2)
    assert [(each.key, each.value) for each in found] == [(None, b"value"), (b"key", None)]


async def test_an_idempotent_producer_writes_each_record_once_in_order(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    async with producer(kafka, enable_idempotence=True, acks="all", max_batch_size=400) as out:
        await asyncio.gather(*[await out.send(topic, b"%d" % i) for i in range(500)])
    async with reader(kafka, TopicPartition(topic, 0)) as consumer:
        assert [each.value for each in await take(consumer, 500)] == [b"%d" % i for i in range(500)]
        assert await consumer.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 500}


async def test_a_built_batch_goes_out_whole(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    async with producer(kafka, enable_idempotence=True) as out:
        built = out.create_batch()
        for i in range(100):
            assert built.append(key=b"k", value=b"%d" % i, timestamp=None) is not None
        metadata = await (await out.send_batch(built, topic, partition=1))
    assert (metadata.partition, metadata.offset) == (1, 0)
    async with reader(kafka, TopicPartition(topic, 1)) as consumer:
        assert [each.value for each in await take(consumer, 100)] == [b"%d" % i for i in range(100)]


@pytest.mark.parametrize("given", [{}, {"max.message.bytes": "5000"}])
async def test_a_batch_beyond_the_limit_is_too_large(
    kafka: Kafka, make_topic: MakeTopic, given: dict[str, str]
) -> None:
    topic = await make_topic(configs=given)
    limit = int(given.get("max.message.bytes", 1_048_588))
    async with producer(kafka, max_request_size=1 << 22, max_batch_size=1 << 22) as out:
        with pytest.raises(MessageSizeTooLargeError):
            await out.send_and_wait(topic, b"x" * limit)
        assert (await out.send_and_wait(topic, b"x" * (limit - 100))).offset == 0


async def test_begin_and_end_offsets(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with producer(kafka) as out:
        for _ in range(3):
            await out.send_and_wait(topic, b"x", partition=0)
    async with reader(kafka, full, empty) as consumer:
        assert await consumer.beginning_offsets([full, empty]) == {full: 0, empty: 0}
        assert await consumer.end_offsets([full, empty]) == {full: 3, empty: 0}


@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_offsets_for_times_look_into_the_batch(
    kafka: Kafka, make_topic: MakeTopic, compression: str | None
) -> None:
    topic = await make_topic()
    at = TopicPartition(topic, 0)
    start = int(time.time() * 1000) - _DAY
    async with producer(kafka, compression_type=compression, linger_ms=50) as out:
        for first in (0, 10):
            await asyncio.gather(
                *[await out.send(topic, b"x", timestamp_ms=start + 100 * i) for i in range(first, first + 10)]
            )
    async with reader(kafka, at) as consumer:
        for asked, offset, timestamp in [(0, 0, 0), (301, 4, 400), (1200, 12, 1200), (950, 10, 1000)]:
            found = (await consumer.offsets_for_times({at: start + asked}))[at]
            assert (found.offset, found.timestamp) == (offset, start + timestamp)
        assert await consumer.offsets_for_times({at: start + _DAY * 2}) == {at: None}


async def test_seek(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    at = TopicPartition(topic, 0)
    async with producer(kafka, linger_ms=20) as out:
        await asyncio.gather(*[await out.send(topic, b"%d" % i) for i in range(20)])
    async with reader(kafka, at) as consumer:
        assert (await take(consumer, 20))[0].offset == 0
        consumer.seek(at, 17)
        assert [each.offset for each in await take(consumer, 3)] == [17, 18, 19]
        await consumer.seek_to_beginning(at)
        assert (await take(consumer, 20))[0].offset == 0


async def test_a_waiting_consumer_wakes_when_a_record_comes(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    async with reader(kafka, TopicPartition(topic, 0), fetch_max_wait_ms=15_000) as consumer, producer(kafka) as out:
        await consumer.position(TopicPartition(topic, 0))
        for i in range(3):
            waiting = asyncio.ensure_future(consumer.getone())
            await out.send_and_wait(topic, b"%d" % i)
            assert (await asyncio.wait_for(waiting, 5)).value == b"%d" % i


async def test_many_partitions(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic(64)
    async with producer(kafka, linger_ms=20) as out:
        await asyncio.gather(*[await out.send(topic, b"%d" % i, partition=i % 64) for i in range(640)])
    async with reader(kafka, *(TopicPartition(topic, i) for i in range(64))) as consumer:
        found = await take(consumer, 640)
    assert sorted(int(each.value or b"") for each in found) == list(range(640))
    assert {int(each.value or b"") % 64 - each.partition for each in found} == {0}
