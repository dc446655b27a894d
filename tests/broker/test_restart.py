"""A broker that is killed and started again, on both brokers: what was acknowledged is there, clients go on."""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import logging

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from conftest import create_topic
from kafka_server import Kafka


@pytest.fixture(autouse=True)
def _quiet_clients() -> None:
    """aiokafka logs each failed reconnect; here that is what is meant to happen."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def member(kafka: Kafka) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        "t",
        bootstrap_servers=kafka.bootstrap_servers,
        group_id="g",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        heartbeat_interval_ms=100,
        session_timeout_ms=1000,
        retry_backoff_ms=50,
    )


async def test_records_and_commits_survive_and_clients_go_on(own_kafka: Kafka) -> None:
    await create_topic(own_kafka.bootstrap_servers, "t")
    at = TopicPartition("t", 0)
    address = own_kafka.bootstrap_servers
    producer = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, retry_backoff_ms=50)
    async with asyncio.timeout(60), producer, member(own_kafka) as consumer:
        for i in range(5):
            await producer.send_and_wait("t", b"%d" % i)
        assert [(await consumer.getone()).value for _ in range(5)] == [b"%d" % i for i in range(5)]
        await consumer.commit({at: 3})

        await asyncio.to_thread(own_kafka.kill)
        unsent = await producer.send("t", b"5")
        await asyncio.to_thread(own_kafka.start)
        assert own_kafka.bootstrap_servers == address

        assert (await unsent).offset == 5
        # a member whose session lapsed meanwhile begins again at its commit: 3 and 4 may come once more
        while (again := (await consumer.getone()).value) != b"5":
            assert again in (b"3", b"4")
        await consumer.stop()
    async with asyncio.timeout(60), member(own_kafka) as consumer:
        assert [(await consumer.getone()).value for _ in range(3)] == [b"3", b"4", b"5"]
        assert await consumer.end_offsets([at]) == {at: 6}
