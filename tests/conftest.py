"""Brokers for tests: every test that takes `kafka` or `own_kafka` runs on the embedded broker and on Apache Kafka.

`KAFKA_TESTS=require` runs both and fails where Apache Kafka cannot be had (`make kafka-test`, CI); without it the
Apache half is skipped and says so, so that plain `pytest` needs nothing but pip. `TOOLS_TESTS=require` does the same
for the tests that run monitoring tools (`make recipes-test`).
"""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from kafka_server import ApacheKafka, Kafka
from opsbridge.devbroker import Settings, ThreadedDevBroker

_CHOICE = "KAFKA_TESTS"
_TOOLS = "TOOLS_TESTS"
_BROKERS = ["embedded", pytest.param("apache", marks=pytest.mark.kafka)]
_counter = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    for choice in (_CHOICE, _TOOLS):
        if os.environ.get(choice, "") not in ("", "require"):
            raise pytest.UsageError(f"{choice} may be 'require' or unset, not {os.environ[choice]!r}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("kafka") and not os.environ.get(_CHOICE):
            item.add_marker(pytest.mark.skip(reason="needs Apache Kafka: run make kafka-test"))
        if item.get_closest_marker("tools") and not os.environ.get(_TOOLS):
            item.add_marker(pytest.mark.skip(reason="needs Debian's monitoring tools: run make recipes-test"))


def _broker(kind: str) -> ApacheKafka | ThreadedDevBroker:
    if kind == "apache":
        return ApacheKafka()
    return ThreadedDevBroker(settings=Settings(min_session_timeout=0.1, initial_rebalance_delay=0.0))


@pytest.fixture(scope="session", params=_BROKERS)
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """A running broker that all tests share: take names from `unique`, do not stop it."""
    with _broker(request.param) as broker:
        yield broker


@pytest.fixture(params=_BROKERS)
def own_kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """A running broker of the test's own, to be killed and started at will."""
    with _broker(request.param) as broker:
        yield broker


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Returns names for topics and groups that no other test has: `unique("events")`."""
    test = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")[:60]

    def name(stem: str) -> str:
        return f"{test}-{os.getpid()}-{next(_counter)}-{stem}"

    return name


class MakeTopic(Protocol):
    """Creates a topic of the shared broker and returns its name once its leaders serve."""

    def __call__(self, partitions: int = 1, configs: Mapping[str, str] | None = None) -> Awaitable[str]: ...


@pytest.fixture
async def admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client of the shared broker."""
    async with _admin(kafka.bootstrap_servers) as client:
        yield client


@pytest.fixture
def make_topic(kafka: Kafka, unique: Callable[[str], str]) -> MakeTopic:
    async def make(partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        return await create_topic(kafka.bootstrap_servers, unique("topic"), partitions, configs)

    return make


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create_topic(
    bootstrap_servers: str, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None
) -> str:
    """Create a topic, see it succeed, and wait until its leaders serve."""
    async with asyncio.timeout(30), _admin(bootstrap_servers) as admin:
        answer: Any = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dict(configs or {}))])
        assert [error[1] for error in answer.topic_errors] == [0], answer
        while True:
            (found,) = await admin.describe_topics([name])
            if sum(each["error_code"] == 0 and each["leader"] >= 0 for each in found["partitions"]) == partitions:
                break
    # Apache Kafka names a leader a moment before that leader serves; asking for offsets retries until it does
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
        await consumer.end_offsets([TopicPartition(name, partition) for partition in range(partitions)])
    return name
