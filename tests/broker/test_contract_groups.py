"""Consumer groups, held against both brokers: aiokafka where members behave, raw requests where they do not."""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from kio.schema.delete_groups.v1 import DeleteGroupsRequest, DeleteGroupsResponse
from kio.schema.describe_groups.v3 import DescribeGroupsRequest, DescribeGroupsResponse
from kio.schema.errors import ErrorCode
from kio.schema.heartbeat.v3 import HeartbeatRequest, HeartbeatResponse
from kio.schema.join_group.v5 import JoinGroupRequest, JoinGroupResponse
from kio.schema.join_group.v5.request import JoinGroupRequestProtocol
from kio.schema.leave_group.v1 import LeaveGroupRequest, LeaveGroupResponse
from kio.schema.offset_commit.v7 import OffsetCommitRequest, OffsetCommitResponse
from kio.schema.offset_commit.v7.request import OffsetCommitRequestPartition, OffsetCommitRequestTopic
from kio.schema.sync_group.v3 import SyncGroupRequest, SyncGroupResponse
from kio.schema.sync_group.v3.request import SyncGroupRequestAssignment
from kio.schema.types import GroupId, TopicName
from kio.static.primitive import i32, i64
from raw_client import RawClient, milliseconds

from conftest import MakeTopic
from kafka_server import Kafka

_PATIENCE = 20


def member(kafka: Kafka, group: str, topic: str, **settings: object) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        heartbeat_interval_ms=50,
        session_timeout_ms=6000,
        **settings,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not condition():  # noqa: ASYNC110 - a consumer offers no event for its assignment
            await asyncio.sleep(0.02)


async def fill(kafka: Kafka, topic: str, count: int, partitions: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as out:
        for i in range(count):
            await out.send_and_wait(topic, b"%d" % i, partition=i % partitions)


@pytest.fixture
def group(kafka: Kafka, unique: Callable[[str], str]) -> str:
    """A group's name whose coordinator answers."""
    name = unique("group")
    with RawClient(kafka.bootstrap_servers) as raw:
        raw.await_coordinator(name)
    return name


async def test_a_group_resumes_where_it_committed(kafka: Kafka, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic()
    at = TopicPartition(topic, 0)
    await fill(kafka, topic, 10, 1)
    async with asyncio.timeout(_PATIENCE), member(kafka, group, topic) as consumer:
        assert await consumer.committed(at) is None
        assert [(await consumer.getone()).offset for _ in range(4)] == [0, 1, 2, 3]
        await consumer.commit({at: (4, "four read")})
        assert await consumer.committed(at) == 4
    async with asyncio.timeout(_PATIENCE), member(kafka, group, topic) as consumer:
        assert [(await consumer.getone()).offset for _ in range(6)] == [4, 5, 6, 7, 8, 9]


async def test_partitions_move_when_members_join_and_leave(kafka: Kafka, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(4)
    every = {TopicPartition(topic, i) for i in range(4)}
    async with member(kafka, group, topic) as first:
        await until(lambda: first.assignment() == every)
        async with member(kafka, group, topic) as second:
            await until(lambda: len(first.assignment()) == len(second.assignment()) == 2)
            assert first.assignment() | second.assignment() == every
        await until(lambda: first.assignment() == every)


async def test_a_member_that_falls_silent_loses_its_partitions(kafka: Kafka, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic(2)
    await fill(kafka, topic, 2, 2)
    with RawClient(kafka.bootstrap_servers) as silent:
        joined = join(silent, group, session_ms=500)
        assert synced(silent, group, joined).error_code is ErrorCode.none
        began = time.monotonic()
        async with member(kafka, group, topic) as consumer:
            await until(lambda: len(consumer.assignment()) == 2)
        assert time.monotonic() - began < 10  # far sooner than the silent member's rebalance time-out of a minute
        assert beat(silent, group, joined) is ErrorCode.unknown_member_id


async def test_a_group_is_listed_and_described(
    kafka: Kafka, admin: AIOKafkaAdminClient, make_topic: MakeTopic, group: str
) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        request = DescribeGroupsRequest(groups=(GroupId(group),), include_authorized_operations=False)

        def described() -> tuple[str, str, int]:
            (found,) = raw.ask(request, DescribeGroupsResponse).groups
            return found.group_state, found.protocol_data, len(found.members)

        assert described() == ("Dead", "", 0)
        async with member(kafka, group, topic) as consumer:
            await until(lambda: bool(consumer.assignment()))
            await consumer.commit({TopicPartition(topic, 0): 0})
            assert described() == ("Stable", "roundrobin", 1)
            assert (group, "consumer") in await admin.list_consumer_groups()
        assert described() == ("Empty", "", 0)


async def test_offsets_without_membership(
    kafka: Kafka, admin: AIOKafkaAdminClient, make_topic: MakeTopic, group: str
) -> None:
    topic = await make_topic(3)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, group_id=group, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, i) for i in range(3)])
    async with asyncio.timeout(_PATIENCE), consumer:
        await consumer.commit({TopicPartition(topic, 0): (5, "note"), TopicPartition(topic, 2): 7})
    found = await admin.list_consumer_group_offsets(group)
    assert {(at.topic, at.partition): (kept.offset, kept.metadata) for at, kept in found.items()} == {
        (topic, 0): (5, "note"),
        (topic, 2): (7, ""),
    }


def ask_to_join(
    raw: RawClient,
    group: str,
    member_id: str = "",
    *,
    instance: str | None = None,
    session_ms: int = 10_000,
    subscription: bytes = b"one",
    protocol: str = "mine",
    protocol_type: str = "test",
) -> JoinGroupResponse:
    request = JoinGroupRequest(
        group_id=GroupId(group),
        session_timeout=milliseconds(session_ms),
        rebalance_timeout=milliseconds(60_000),
        member_id=member_id,
        group_instance_id=instance,
        protocol_type=protocol_type,
        protocols=(JoinGroupRequestProtocol(name=protocol, metadata=subscription),),
    )
    answer = raw.ask(request, JoinGroupResponse)
    while answer.error_code is ErrorCode.coordinator_load_in_progress:  # the broker has only just started
        answer = raw.ask(request, JoinGroupResponse)
    return answer


def join(raw: RawClient, group: str, *, session_ms: int = 10_000) -> JoinGroupResponse:
    """Join as a new dynamic member: asked once for an id, once more under it."""

    def asked(member_id: str) -> JoinGroupResponse:
        return ask_to_join(
            raw,
            group,
            member_id,
            session_ms=session_ms,
            subscription=_SUBSCRIPTION,
            protocol="roundrobin",
            protocol_type="consumer",
        )

    first = asked("")
    assert first.error_code is ErrorCode.member_id_required
    again = asked(first.member_id)
    assert again.error_code is ErrorCode.none
    return again


# a consumer's subscription, version 0, to no topic at all and without user data
_SUBSCRIPTION = b"\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"


def synced(
    raw: RawClient, group: str, joined: JoinGroupResponse, assignment: bytes = b"all", instance: str | None = None
) -> SyncGroupResponse:
    mine = SyncGroupRequestAssignment(member_id=joined.member_id, assignment=assignment)
    return raw.ask(
        SyncGroupRequest(
            group_id=GroupId(group),
            generation_id=joined.generation_id,
            member_id=joined.member_id,
            group_instance_id=instance,
            assignments=(mine,) if joined.leader == joined.member_id else (),
        ),
        SyncGroupResponse,
    )


def beat(
    raw: RawClient, group: str, joined: JoinGroupResponse, *, later: int = 0, instance: str | None = None
) -> ErrorCode:
    return raw.ask(
        HeartbeatRequest(
            group_id=GroupId(group),
            generation_id=i32(joined.generation_id + later),
            member_id=joined.member_id,
            group_instance_id=instance,
        ),
        HeartbeatResponse,
    ).error_code


def commit(raw: RawClient, group: str, topic: str, generation: int, member_id: str, partition: int = 0) -> ErrorCode:
    kept = OffsetCommitRequestPartition(
        partition_index=i32(partition), committed_offset=i64(1), committed_metadata=None
    )
    request = OffsetCommitRequest(
        group_id=GroupId(group),
        generation_id_or_member_epoch=i32(generation),
        member_id=member_id,
        topics=(OffsetCommitRequestTopic(name=TopicName(topic), partitions=(kept,)),),
    )
    return raw.ask(request, OffsetCommitResponse).topics[0].partitions[0].error_code


async def test_who_is_not_of_this_generation_is_refused(kafka: Kafka, make_topic: MakeTopic, group: str) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        joined = join(raw, group)
        assert synced(raw, group, joined).assignment == b"all"
        me, now = joined.member_id, joined.generation_id
        assert commit(raw, group, topic, now, me) is ErrorCode.none
        assert commit(raw, group, topic, now + 1, me) is ErrorCode.illegal_generation
        assert commit(raw, group, topic, now, "stranger") is ErrorCode.unknown_member_id
        assert commit(raw, group, topic, -1, "") is ErrorCode.unknown_member_id
        assert commit(raw, group, topic, now, me, partition=9) is ErrorCode.unknown_topic_or_partition
        assert beat(raw, group, joined) is ErrorCode.none
        assert beat(raw, group, joined, later=1) is ErrorCode.illegal_generation
        assert ask_to_join(raw, group, protocol_type="other").error_code is ErrorCode.inconsistent_group_protocol


def test_joins_that_cannot_be_are_refused(kafka: Kafka, group: str) -> None:
    with RawClient(kafka.bootstrap_servers) as raw:
        assert ask_to_join(raw, "").error_code is ErrorCode.invalid_group_id
        assert ask_to_join(raw, group, session_ms=10).error_code is ErrorCode.invalid_session_timeout
        assert ask_to_join(raw, group, session_ms=2**31 - 1).error_code is ErrorCode.invalid_session_timeout
        assert ask_to_join(raw, group, "made-up").error_code is ErrorCode.unknown_member_id


def test_a_static_member_comes_back_without_a_rebalance(kafka: Kafka, group: str) -> None:
    with RawClient(kafka.bootstrap_servers) as raw:
        before = ask_to_join(raw, group, instance="worker-1")
        assert before.error_code is ErrorCode.none
        assert synced(raw, group, before, instance="worker-1").assignment == b"all"
        after = ask_to_join(raw, group, instance="worker-1")
        assert after.error_code is ErrorCode.none
        assert after.generation_id == before.generation_id
        assert after.member_id != before.member_id
        assert synced(raw, group, after, instance="worker-1").assignment == b"all"
        assert beat(raw, group, after, instance="worker-1") is ErrorCode.none
        assert beat(raw, group, before, instance="worker-1") is ErrorCode.fenced_instance_id


def test_a_static_member_with_another_subscription_does_not_rebalance_by_itself(kafka: Kafka, group: str) -> None:
    with RawClient(kafka.bootstrap_servers) as raw:
        before = ask_to_join(raw, group, instance="worker-1")
        synced(raw, group, before, instance="worker-1")
        after = ask_to_join(raw, group, instance="worker-1", subscription=b"two")
        assert after.generation_id == before.generation_id


def test_a_static_member_keeps_to_the_protocols_of_its_former_self(kafka: Kafka, group: str) -> None:
    with RawClient(kafka.bootstrap_servers) as raw:
        before = ask_to_join(raw, group, instance="worker-1")
        synced(raw, group, before, instance="worker-1")
        after = ask_to_join(raw, group, instance="worker-1", protocol="new")
        assert after.error_code is ErrorCode.inconsistent_group_protocol


def test_a_heartbeat_tells_of_a_rebalance(kafka: Kafka, group: str) -> None:
    with RawClient(kafka.bootstrap_servers) as one, RawClient(kafka.bootstrap_servers) as two:
        first = ask_to_join(one, group, instance="a")
        synced(one, group, first, instance="a")
        two.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):  # the second waits for the first to join again
            ask_to_join(two, group, instance="b")
        assert beat(one, group, first, instance="a") is ErrorCode.rebalance_in_progress
        assert synced(one, group, first, instance="a").error_code is ErrorCode.rebalance_in_progress


def test_only_an_empty_group_can_be_deleted(kafka: Kafka, group: str) -> None:
    request = DeleteGroupsRequest(groups_names=(GroupId(group),))
    with RawClient(kafka.bootstrap_servers) as raw:

        def deleted() -> ErrorCode:
            return raw.ask(request, DeleteGroupsResponse).results[0].error_code

        assert deleted() is ErrorCode.group_id_not_found
        joined = join(raw, group)
        assert deleted() is ErrorCode.non_empty_group
        left = raw.ask(LeaveGroupRequest(group_id=GroupId(group), member_id=joined.member_id), LeaveGroupResponse)
        assert left.error_code is ErrorCode.none
        assert deleted() is ErrorCode.none
