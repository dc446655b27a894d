"""The contract with Faust 0.15: each override still overrides, each part we replaced is still what it was.

A failure here after an upgrade of Faust means: read the part it names, compare it with ours, then change the test.
"""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import faust
import pytest
from aiokafka.structs import ConsumerRecord
from faust.app import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.threads import ServiceThread
from mode.utils.queues import FlowControlEvent

from opsbridge.settings import Settings
from opsbridge.stream import batches
from opsbridge.stream.app import WorkerApp, create_app
from opsbridge.stream.batches import BatchConsumer, BatchTransport, Fetch, fetch_of
from opsbridge.stream.recovery import StrictRecovery, StrictTables
from opsbridge.stream.tables import StateTable

INPUT = TP("input", 0)


def record(offset: int) -> "ConsumerRecord[bytes | None, bytes | None]":
    return ConsumerRecord("input", 0, offset, 1_000, 0, b"key", b"value", None, 3, 5, ())


@pytest.fixture
async def app() -> WorkerApp:
    return create_app(Settings())


@pytest.fixture
async def consumer(app: WorkerApp) -> BatchConsumer:
    app.consumer_generation_id = 7
    conductor: Any = app.topics
    conductor._acking_topics.add("input")
    found = app.consumer
    assert isinstance(found, BatchConsumer)
    return found


OVERRIDES = [
    (driver.Consumer, BatchConsumer, "_getmany"),
    (driver.Consumer, BatchConsumer, "_to_message"),
    (driver.Consumer, BatchConsumer, "_add_gap"),
    (driver.Consumer, BatchConsumer, "_new_offset"),
    (driver.Consumer, BatchConsumer, "_filter_tps_with_pending_acks"),
    (driver.Consumer, BatchConsumer, "_new_consumer_thread"),
    (driver.Consumer, BatchConsumer, "ack"),
    (driver.Consumer, BatchConsumer, "perform_seek"),
    (driver.Consumer, BatchConsumer, "on_partitions_revoked"),
    (driver.AIOKafkaConsumerThread, batches._ConsumerThread, "_create_worker_consumer"),
    (ServiceThread, batches._ConsumerThread, "on_crash"),
    (Recovery, StrictRecovery, "_slurp_changelogs"),
    (Recovery, StrictRecovery, "_wait"),
    (Recovery, StrictRecovery, "_seek_offsets"),
    (Recovery, StrictRecovery, "_resume_streams"),
    (Recovery, StrictRecovery, "on_recovery_completed"),
    (Recovery, StrictRecovery, "on_rebalance"),
    (TableManager, StrictTables, "recovery"),
    (faust.Table, StateTable, "apply_changelog_batch"),
    (faust.Table, StateTable, "persisted_offset"),
    (faust.Table, StateTable, "on_start"),
    (faust.Table, StateTable, "on_rebalance"),
    (faust.Table, StateTable, "on_recovery_completed"),
    (faust.Table, StateTable, "_changelog_topic_name"),
    (faust.Table, StateTable, "_new_changelog_topic"),
    (App, WorkerApp, "_crash"),
    (App, WorkerApp, "_on_agent_error"),
    (App, WorkerApp, "_create_directories"),
]


@pytest.mark.parametrize(("base", "ours", "name"), OVERRIDES, ids=lambda part: getattr(part, "__name__", part))
def test_each_override_still_overrides_something_of_the_same_shape(base: type, ours: type, name: str) -> None:
    theirs, mine = inspect.getattr_static(base, name), inspect.getattr_static(ours, name)
    assert theirs is not mine
    assert type(theirs) is type(mine)  # a method, a property, a service task
    if inspect.isfunction(theirs):
        assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(mine)
        accepted = inspect.signature(mine).parameters.values()
        open_ended = any(each.kind is each.VAR_KEYWORD for each in accepted)
        places = [each for each in accepted if each.kind is each.POSITIONAL_OR_KEYWORD]
        asked = [
            each for each in inspect.signature(theirs).parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD
        ]
        assert open_ended or len(places) == len(asked)


def fingerprint(part: Callable[..., object]) -> str:
    return hashlib.sha256(inspect.getsource(part).encode()).hexdigest()[:12]


REPLACED: dict[Callable[..., object], str] = {
    Recovery._slurp_changelogs.fun: "7825c7e50f76",
    Recovery._restart_recovery.fun: "6bd8a8558a2d",
    Recovery._wait: "ec7429b70176",
    Recovery._resume_streams: "d986a6710c1a",
    Recovery.on_recovery_completed: "6ef567acf072",
    Recovery._add: "1584a197b11b",
    Recovery.on_rebalance: "aa4d997a1795",
    App._on_partitions_revoked: "d5c895bbe57d",
    faust_consumer.Consumer.getmany: "4b168d84882a",
    faust_consumer.Consumer._wait_next_records: "6218e1969a63",
    faust_consumer.Consumer._commit_tps: "a20e230b05ae",
    faust_consumer.Consumer.on_partitions_revoked: "d04b7ae72c6f",
    faust_consumer.Consumer._drain_messages: "44a2500309e8",
    driver.AIOKafkaConsumerThread._fetch_records: "39a2c6c79fc1",
    FlowControlEvent.resume: "4dcdc1253fd0",
}


@pytest.mark.parametrize(("part", "expected"), REPLACED.items(), ids=lambda part: getattr(part, "__qualname__", ""))
def test_what_we_replaced_or_rely_on_is_still_the_same(part: Callable[..., object], expected: str) -> None:
    assert fingerprint(part) == expected, f"{part.__qualname__} has changed: compare opsbridge.stream with it"


async def test_the_application_uses_our_parts(app: WorkerApp) -> None:
    assert isinstance(app.transport, BatchTransport)
    assert isinstance(app.consumer, BatchConsumer)
    assert isinstance(app.tables, StrictTables)
    assert isinstance(app.tables.recovery, StrictRecovery)


async def test_a_message_carries_the_whole_fetch_and_the_last_offset(consumer: BatchConsumer) -> None:
    fetch = Fetch(0, [record(10), record(17)])  # 11 to 16: compacted, or markers of transactions
    message = consumer._to_message(INPUT, fetch)
    assert isinstance(message, ConsumerMessage)
    assert (message.key, message.offset, message.partition, message.generation_id) == (None, 17, 0, 7)
    assert fetch_of(message) is fetch


async def test_only_acknowledged_batches_are_committed_up_to_their_last_record(consumer: BatchConsumer) -> None:
    first, second = (consumer._to_message(INPUT, Fetch(0, [record(o - 5), record(o)])) for o in (15, 40))
    assert consumer._filter_committable_offsets(consumer._filter_tps_with_pending_acks()) == {}
    assert consumer.ack(first) is False  # what Faust skips in a rebalance must not be committed
    assert consumer._filter_committable_offsets(consumer._filter_tps_with_pending_acks()) == {}
    consumer.acknowledge(first)
    assert consumer._filter_committable_offsets(consumer._filter_tps_with_pending_acks()) == {INPUT: 16}
    consumer.acknowledge(second)
    assert consumer._filter_committable_offsets(consumer._filter_tps_with_pending_acks({"input"})) == {INPUT: 41}
    assert consumer._filter_committable_offsets(consumer._filter_tps_with_pending_acks({"other"})) == {}


async def test_a_batch_of_an_earlier_generation_is_not_acknowledged(consumer: BatchConsumer) -> None:
    message = consumer._to_message(INPUT, Fetch(0, [record(3)]))
    consumer.app.consumer_generation_id = 8
    consumer.acknowledge(message)
    assert consumer._filter_committable_offsets(consumer._filter_tps_with_pending_acks()) == {}


async def test_gaps_are_not_listed(consumer: BatchConsumer) -> None:
    await consumer._add_gap(INPUT, 1, 1_000_000_000)
    assert INPUT not in consumer._gap


async def test_fetches_are_counted_from_zero_after_positioning(consumer: BatchConsumer) -> None:
    assert [consumer._next_number(INPUT) for _ in range(3)] == [0, 1, 2]
    consumer.count_fetches_from_zero([INPUT])
    assert consumer._next_number(INPUT) == 0
