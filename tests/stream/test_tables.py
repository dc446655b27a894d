"""State tables: complete or not handed out, saved or still pending, forgotten when partitions move."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord
from faust import Event
from faust.types import TP, ConsumerMessage

from conftest import MakeTopic, create_topic
from kafka_server import Kafka
from opsbridge.settings import Settings
from opsbridge.stream.app import WorkerApp, create_app
from opsbridge.stream.batches import Fetch, Records
from opsbridge.stream.errors import DeliveryError, RecoveryError
from opsbridge.stream.tables import APPLIED, StateTable

Pair = tuple[bytes | None, bytes | None]
END: Pair = (APPLIED, b"{}")
"""What ends a flush."""


def settings_for(servers: str) -> Settings:
    kafka = {"bootstrap_servers": servers, "delivery_timeout": 2.0, "max_message_bytes": 10_000}
    return Settings(kafka=kafka)  # type: ignore[arg-type] # checked by pydantic


@pytest.fixture
async def app() -> WorkerApp:
    return create_app(settings_for("127.0.0.1:9"))


@pytest.fixture
def table(app: WorkerApp) -> StateTable:
    return app.add_table("state", "log")


def read(table: StateTable, partition: int, number: int, first: int, pairs: list[Pair]) -> None:
    """What recovery does with one fetch."""
    tp = TP("log", partition)
    records: Records = [
        ConsumerRecord("log", partition, first + at, 0, 0, key, value, None, 0, 0, ())
        for at, (key, value) in enumerate(pairs)
    ]
    consumer = table.app.consumer
    message = consumer._to_message(tp, Fetch(number, records))  # type: ignore[attr-defined]
    assert isinstance(message, ConsumerMessage)
    table.apply_changelog_batch([Event(table.app, None, None, None, message)])


async def test_a_partition_is_handed_out_only_when_it_is_complete(table: StateTable) -> None:
    read(table, 0, 0, 0, [(b"a", b"1"), (b"b", b"1"), END])
    for use in (table.view, lambda partition: table.put(partition, b"k", b"v")):
        with pytest.raises(RecoveryError, match=r"state state\[0\] is not here"):
            use(0)
    read(table, 0, 1, 5, [(b"a", b"2"), (b"b", None), (b"gone", None), END])
    table.complete({0: 8, 1: -1})
    assert table.view(0) == dict([(b"a", b"2"), END])
    assert table.view(1) == {}
    with pytest.raises(RecoveryError, match=r"state\[2\] is not here \(recovered partitions: \[0, 1\]\)"):
        table.view(2)


@pytest.mark.parametrize("last", [3, None])
async def test_recovery_that_ends_early_is_an_error(table: StateTable, last: int | None) -> None:
    read(table, 0, 0, 0, [(b"a", b"1")])
    with pytest.raises(RecoveryError, match=r"log\[0\]: recovery ended at offset 0"):
        table.complete({0: last})
    with pytest.raises(RecoveryError):
        table.view(0)


async def test_offsets_without_records_at_the_end_may_be_passed_over(table: StateTable) -> None:
    read(table, 0, 0, 0, [(b"a", b"1"), END])
    table.pass_over(0, 3)
    table.complete({0: 3})
    assert table.view(0) == dict([(b"a", b"1"), END])


async def test_a_flush_that_was_not_saved_whole_counts_for_nothing(table: StateTable) -> None:
    read(table, 0, 0, 0, [(b"a", b"1"), (b"b", b"1"), END, (b"a", b"2")])
    read(table, 0, 1, 4, [(b"b", None), (b"c", b"2")])
    table.complete({0: 5})
    assert table.view(0) == dict([(b"a", b"1"), (b"b", b"1"), END])
    assert table._pending[0] == {b"a": b"1", b"b": b"1", b"c": None}  # undone for whoever reads it next


async def test_a_first_flush_that_was_not_saved_whole_leaves_nothing(table: StateTable) -> None:
    read(table, 0, 0, 0, [(b"a", b"1"), (b"b", b"1")])
    table.complete({0: 1})
    assert table.view(0) == {}


async def test_what_is_to_be_told_is_kept_until_there_is_something_else(table: StateTable) -> None:
    table.complete({0: -1})
    assert table.telling(0) == b""
    for told in (b"x" * 12_345, b"", b"y" * 5_000, b"z" * 5_001):
        table.tell(0, told)
        assert table.telling(0) == told
    assert max(len(value) for value in table.view(0).values()) <= 5_000  # half of what a record may have
    found: dict[bytes, bytes] = {}
    table.restore(0, found.update)
    assert found == {}


async def test_a_fetch_that_was_lost_on_the_way_is_noticed(table: StateTable) -> None:
    read(table, 0, 0, 0, [(b"a", b"1")])
    with pytest.raises(RecoveryError, match="fetch 2 follows 0"):
        read(table, 0, 2, 9, [(b"a", b"2")])


async def test_a_record_without_key_is_an_error_with_its_place(table: StateTable) -> None:
    with pytest.raises(RecoveryError, match=r"log\[0\] offset 8: a record without key"):
        read(table, 0, 0, 7, [(b"a", b"1"), (None, b"1")])


async def test_changes_are_seen_at_once_and_forgotten_with_the_partition(table: StateTable) -> None:
    read(table, 0, 0, 0, [(b"a", b"1"), (b"b", b"1"), END])
    table.complete({0: 2})
    table.put(0, b"a", None)
    table.put(0, b"c", b"1")
    table.put(0, b"c", b"2")
    assert table.view(0) == dict([(b"b", b"1"), END, (b"c", b"2")])
    assert table.pending(0) == 2
    assert table.persisted_offset(TP("log", 0)) == 2
    table.forget()
    assert table.pending(0) == 0
    assert table.persisted_offset(TP("log", 0)) == -1
    with pytest.raises(RecoveryError):
        table.view(0)
    table.complete({0: -1})
    assert table.view(0) == {}


async def test_state_is_restored_as_often_as_its_owner_is_made_anew(table: StateTable) -> None:
    read(table, 0, 0, 0, [(b"a", b"1"), (b"b", b"1"), END])
    table.complete({0: 2})
    found: dict[bytes, bytes] = {}
    table.restore(0, found.update)
    assert found == dict([(b"a", b"1"), (b"b", b"1"), END])
    table.put(0, b"a", b"2")
    table.put(0, b"b", None)
    found.clear()
    table.restore(0, found.update)
    assert found == dict([(b"a", b"2"), END])
    assert table.pending(0) == 2


async def test_an_entry_that_its_owner_cannot_read_is_named(table: StateTable) -> None:
    def reads_numbers(entries: Iterable[tuple[bytes, bytes]]) -> None:
        for _, value in entries:
            int(value)

    read(table, 0, 0, 0, [(b"a", b"1"), (b"b", b"x"), END])
    table.complete({0: 2})
    with pytest.raises(RecoveryError, match=r"changelog log\[0\] offset 1, key b'b': not a record of this state"):
        table.restore(0, reads_numbers)
    with pytest.raises(RecoveryError, match=r"changelog log\[0\], key b'b': not a record of this state"):
        table.restore(0, reads_numbers)


# On brokers.


@pytest.fixture
async def live(kafka: Kafka) -> AsyncIterator[WorkerApp]:
    app = create_app(settings_for(kafka.bootstrap_servers))
    await app.writer.start()
    yield app
    await app.writer.stop()


async def log_of(kafka: Kafka, topic: str, partition: int) -> list[Pair]:
    tp = TopicPartition(topic, partition)
    client: Any = AIOKafkaConsumer
    async with client(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest") as consumer:
        consumer.assign([tp])
        (end,) = (await consumer.end_offsets([tp])).values()
        found: list[Pair] = []
        while len(found) < end:
            found += [(r.key, r.value) for r in (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])]
        return found


async def test_a_flush_writes_each_changed_key_once(kafka: Kafka, live: WorkerApp, make_topic: MakeTopic) -> None:
    topic = await make_topic(2, {"cleanup.policy": "compact"})
    table = live.add_table("state", topic)
    table.complete({0: -1, 1: -1})
    for number in range(50):  # more than fits one record batch
        table.put(1, b"k%d" % number, b"old")
        table.put(1, b"k%d" % number, b"x" * 500)
    table.put(1, b"k0", None)
    await table.flush(1)
    await table.flush(1)
    await table.flush(0)
    assert await log_of(kafka, topic, 1) == [(b"k0", None), *((b"k%d" % n, b"x" * 500) for n in range(1, 50)), END]
    assert await log_of(kafka, topic, 0) == []


async def test_a_failed_flush_keeps_its_changes(kafka: Kafka, live: WorkerApp, make_topic: MakeTopic) -> None:
    topic = await make_topic(1, {"cleanup.policy": "compact"})
    table = live.add_table("state", topic)
    table.complete({0: -1})
    table.put(0, b"a", b"1")
    table.put(0, b"big", b"x" * 10_000)
    with pytest.raises(DeliveryError, match="key b'big', exceeds"):
        await table.flush(0)
    assert table.pending(0) == 3  # with what ends it
    table.put(0, b"big", b"small")
    await table.flush(0)
    assert await log_of(kafka, topic, 0) == [(b"a", b"1"), (b"big", b"small"), END]


async def test_a_changelog_that_was_deleted_and_made_again_is_noticed(
    kafka: Kafka, live: WorkerApp, admin: AIOKafkaAdminClient, unique: Callable[[str], str]
) -> None:
    topic = await create_topic(kafka.bootstrap_servers, unique("log"), 1, {"cleanup.policy": "compact"})
    table = live.add_table("state", topic)
    table.complete({0: -1})
    for number in range(3):
        table.put(0, b"k", b"%d" % number)
        await table.flush(0)
    await admin.delete_topics([topic])
    await create_topic(kafka.bootstrap_servers, topic, 1, {"cleanup.policy": "compact"})
    table.put(0, b"k", b"3")
    with pytest.raises(DeliveryError, match=r"lost records: offset 4 existed and 0 is new|were not acknowledged"):
        await table.flush(0)
    assert table.pending(0) in {0, 2}
