"""What no client library would send, held against both brokers: repeats, gaps, damage, limits, order and garbage."""

import random
import struct
import time

import pytest
from aiokafka.record.memory_records import MemoryRecords
from kio.schema.api_versions.v0 import ApiVersionsRequest as OldestApiVersionsRequest
from kio.schema.api_versions.v0 import ApiVersionsResponse as OldestApiVersionsResponse
from kio.schema.api_versions.v2 import ApiVersionsRequest, ApiVersionsResponse
from kio.schema.errors import ErrorCode
from kio.schema.fetch.v11 import FetchRequest, FetchResponse
from kio.schema.fetch.v11.request import FetchPartition, FetchTopic
from kio.schema.fetch.v11.response import PartitionData
from kio.schema.init_producer_id.v1 import InitProducerIdRequest, InitProducerIdResponse
from kio.schema.list_offsets.v5 import ListOffsetsRequest, ListOffsetsResponse
from kio.schema.list_offsets.v5.request import ListOffsetsPartition, ListOffsetsTopic
from kio.schema.metadata.v5 import MetadataRequest, MetadataResponse
from kio.schema.metadata.v5.request import MetadataRequestTopic
from kio.schema.types import BrokerId, TopicName
from kio.serial import entity_reader
from kio.static.primitive import i8, i16, i32, i64
from raw_client import RawClient, batch, milliseconds, produce_request

from conftest import MakeTopic
from kafka_server import Kafka

_HOUR = 3_600_000
_LATEST = -1


def fetch_request(
    topic: str,
    offset: int = 0,
    *,
    wait_ms: int = 0,
    min_bytes: int = 1,
    partition_max: int = 1 << 20,
    total_max: int = 1 << 22,
    partitions: tuple[int, ...] = (0,),
) -> FetchRequest:
    return FetchRequest(
        max_wait=milliseconds(wait_ms),
        min_bytes=i32(min_bytes),
        max_bytes=i32(total_max),
        isolation_level=i8(0),
        topics=(
            FetchTopic(
                topic=TopicName(topic),
                partitions=tuple(
                    FetchPartition(
                        partition=i32(each), fetch_offset=i64(offset), partition_max_bytes=i32(partition_max)
                    )
                    for each in partitions
                ),
            ),
        ),
        forgotten_topics_data=(),
    )


def fetched(answer: FetchResponse) -> list[PartitionData]:
    return [partition for topic in answer.responses for partition in topic.partitions]


def bases(partition: PartitionData) -> list[int]:
    """The base offsets of the whole batches in a fetched partition; a cut-off one at the end does not count."""
    records, found = bytes(partition.records or b""), []
    while len(records) >= 12:
        base, length = struct.unpack_from(">qi", records)
        if len(records) < length + 12:
            break
        found.append(base)
        records = records[length + 12 :]
    return found


def end_offset(raw: RawClient, topic: str) -> int:
    asked = ListOffsetsPartition(partition_index=i32(0), timestamp=i64(_LATEST))
    request = ListOffsetsRequest(
        replica_id=BrokerId(-1),
        isolation_level=i8(0),
        topics=(ListOffsetsTopic(name=TopicName(topic), partitions=(asked,)),),
    )
    return raw.ask(request, ListOffsetsResponse).topics[0].partitions[0].offset


def producer_id(raw: RawClient) -> int:
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout=milliseconds(60_000))
    answer = raw.ask(request, InitProducerIdResponse)
    until = time.monotonic() + 20
    while answer.error_code is ErrorCode.coordinator_load_in_progress:  # a fresh Apache Kafka has no ids yet
        assert time.monotonic() < until
        answer = raw.ask(request, InitProducerIdResponse)
    assert answer.error_code is ErrorCode.none
    assert answer.producer_epoch == 0
    return answer.producer_id


async def test_a_repeated_batch_gets_its_first_offset_and_is_kept_once(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        me = producer_id(raw)
        batches = [batch([b"%d" % i] * 3, producer_id=me, epoch=0, sequence=3 * i) for i in range(5)]
        assert [raw.produce(topic, each).base_offset for each in batches] == [0, 3, 6, 9, 12]
        repeats = [raw.produce(topic, each) for each in batches]
        assert [(each.error_code, each.base_offset) for each in repeats] == [
            (ErrorCode.none, offset) for offset in (0, 3, 6, 9, 12)
        ]
        assert end_offset(raw, topic) == 15


async def test_a_gap_in_the_sequence_is_refused_until_it_is_filled(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        me = producer_id(raw)
        first, second, third = (batch([b"x"] * 2, producer_id=me, epoch=0, sequence=each) for each in (0, 2, 4))
        assert raw.produce(topic, first).base_offset == 0
        assert raw.produce(topic, third).error_code is ErrorCode.out_of_order_sequence_number
        assert raw.produce(topic, second).base_offset == 2
        assert raw.produce(topic, third).base_offset == 4


async def test_a_repeat_too_old_to_be_known_is_out_of_order(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        me = producer_id(raw)
        batches = [batch([b"x"], producer_id=me, epoch=0, sequence=each) for each in range(6)]
        for each in batches:
            assert raw.produce(topic, each).error_code is ErrorCode.none
        assert raw.produce(topic, batches[0]).error_code is ErrorCode.out_of_order_sequence_number
        assert raw.produce(topic, batches[1]).base_offset == 1


async def test_epochs_of_a_producer(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        me = producer_id(raw)

        def answer(epoch: int, sequence: int) -> tuple[ErrorCode, int]:
            found = raw.produce(topic, batch([b"x"], producer_id=me, epoch=epoch, sequence=sequence))
            return found.error_code, found.base_offset

        assert answer(0, 0) == (ErrorCode.none, 0)
        assert answer(1, 7) == (ErrorCode.out_of_order_sequence_number, -1)
        assert answer(1, 0) == (ErrorCode.none, 1)
        assert answer(0, 1) == (ErrorCode.invalid_producer_epoch, -1)


async def test_sequences_wrap(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        me = producer_id(raw)
        for sequence, offset in ((2**31 - 2, 0), (1, 3)):
            sent = batch([b"x"] * 3, producer_id=me, epoch=0, sequence=sequence)
            assert raw.produce(topic, sent).base_offset == offset


async def test_damaged_and_odd_batches_are_refused(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    good = batch([b"x" * 100])
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    future = batch([b"x"], timestamp=int(time.time() * 1000) + 2 * _HOUR)
    with RawClient(kafka.bootstrap_servers) as raw:
        codes = [raw.produce(topic, each).error_code for each in (damaged, good + good, future, good)]
        assert codes == [
            ErrorCode.corrupt_message,
            ErrorCode.invalid_record,
            ErrorCode.invalid_timestamp,
            ErrorCode.none,
        ]
        assert raw.produce(topic, good, acks=5).error_code is ErrorCode.invalid_required_acks
        assert end_offset(raw, topic) == 1


@pytest.mark.parametrize("codec", [0, 1])
async def test_a_compacted_topic_takes_no_record_without_a_key(kafka: Kafka, make_topic: MakeTopic, codec: int) -> None:
    topic = await make_topic(configs={"cleanup.policy": "compact"})
    with RawClient(kafka.bootstrap_servers) as raw:
        assert raw.produce(topic, batch([b"x"], key=None, codec=codec)).error_code is ErrorCode.invalid_record
        assert raw.produce(topic, batch([b"x"], key=b"", codec=codec)).error_code is ErrorCode.none


async def test_acks_0_is_written_and_not_answered(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        raw.send(produce_request(topic, batch([b"x"]), acks=0))
        assert end_offset(raw, topic) == 1


async def test_what_came_before_the_client_hung_up_is_written(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        for _ in range(20):
            raw.send(produce_request(topic, batch([b"x"]), acks=0))
    with RawClient(kafka.bootstrap_servers) as raw:
        until = time.monotonic() + 10
        while end_offset(raw, topic) < 20:
            assert time.monotonic() < until


async def test_unknown_topics_and_partitions_are_said_to_be_unknown(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        metadata = MetadataRequest(
            topics=(MetadataRequestTopic(name=TopicName("no-such-topic")),), allow_auto_topic_creation=True
        )
        (found,) = raw.ask(metadata, MetadataResponse).topics
        assert found.error_code is ErrorCode.unknown_topic_or_partition
        assert raw.produce("no-such-topic", batch([b"x"])).error_code is ErrorCode.unknown_topic_or_partition
        assert raw.produce(topic, batch([b"x"]), partition=7).error_code is ErrorCode.unknown_topic_or_partition
        asked = time.monotonic()
        answer = raw.ask(fetch_request(topic, partitions=(7,), wait_ms=10_000), FetchResponse)
        assert [each.error_code for each in fetched(answer)] == [ErrorCode.unknown_topic_or_partition]
        assert time.monotonic() - asked < 5


async def test_an_unknown_partition_does_not_hurry_a_fetch_of_known_ones(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        asked = time.monotonic()
        answer = raw.ask(fetch_request(topic, partitions=(0, 7), wait_ms=300), FetchResponse)
        assert time.monotonic() - asked > 0.25
        assert {each.partition_index: each.error_code for each in fetched(answer)} == {
            0: ErrorCode.none,
            7: ErrorCode.unknown_topic_or_partition,
        }


async def test_a_fetch_beyond_the_end_is_out_of_range(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        raw.produce(topic, batch([b"x"] * 3))
        codes = [fetched(raw.ask(fetch_request(topic, offset), FetchResponse))[0].error_code for offset in (0, 2, 3, 4)]
        assert codes == [ErrorCode.none, ErrorCode.none, ErrorCode.none, ErrorCode.offset_out_of_range]


async def test_a_fetch_returns_the_whole_batch_that_holds_the_offset(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        for _ in range(3):
            raw.produce(topic, batch([b"x"] * 5))
        (found,) = fetched(raw.ask(fetch_request(topic, 7), FetchResponse))
        assert bases(found) == [5, 10]
        assert found.high_watermark == 15
        assert found.last_stable_offset == 15


async def test_limits_cut_a_fetch_but_never_the_first_batch(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic(2)
    with RawClient(kafka.bootstrap_servers) as raw:
        for partition in (0, 0, 1, 1):
            raw.produce(topic, batch([b"x" * 1000]), partition=partition)

        def whole(partition_max: int, total_max: int) -> list[list[int]]:
            """What each partition gives, the luckier one first: which one that is, is the broker's choice."""
            request = fetch_request(topic, partitions=(0, 1), partition_max=partition_max, total_max=total_max)
            return sorted((bases(each) for each in fetched(raw.ask(request, FetchResponse))), reverse=True)

        assert whole(10, 1 << 20) == [[0], []]
        assert whole(1500, 1 << 20) == [[0], [0]]
        assert whole(1 << 20, 10) == [[0], []]
        assert whole(1 << 20, 3500) == [[0, 1], [0]]
        assert whole(1 << 20, 1 << 20) == [[0, 1], [0, 1]]


async def test_a_fetch_waits_for_its_minimum_or_its_time(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    one = batch([b"x" * 1000])
    with RawClient(kafka.bootstrap_servers) as waiting, RawClient(kafka.bootstrap_servers) as raw:
        asked = time.monotonic()
        assert bases(fetched(waiting.ask(fetch_request(topic, wait_ms=300), FetchResponse))[0]) == []
        assert 0.25 < time.monotonic() - asked < 5
        raw.produce(topic, one)
        waiting.send(fetch_request(topic, wait_ms=15_000, min_bytes=len(one) + 1))
        asked = time.monotonic()
        raw.produce(topic, one)
        _, body = waiting.receive_frame()
        assert time.monotonic() - asked < 5
        answer, _ = entity_reader(FetchResponse)(body, 0)
        assert bases(fetched(answer)[0]) == [0, 1]


async def test_what_was_stored_reads_as_it_was_sent_but_for_its_offset(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        raw.produce(topic, batch([b"first"]))
        sent = batch([b"a", b"b"])
        raw.produce(topic, sent)
        (found,) = fetched(raw.ask(fetch_request(topic, 1), FetchResponse))
        stored = bytes(found.records or b"")
        assert struct.unpack_from(">q", stored) == (1,)
        assert stored[16:] == sent[16:]
        read = MemoryRecords(stored).next_batch()
        assert read is not None
        assert read.validate_crc()


async def test_answers_come_in_the_order_of_the_requests(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        sent = [
            raw.send(fetch_request(topic, wait_ms=200)),
            raw.send(ApiVersionsRequest()),
            raw.send(produce_request(topic, batch([b"x"]))),
            raw.send(fetch_request(topic, wait_ms=200)),
        ]
        assert [raw.receive_frame()[0] for _ in sent] == sent


def test_every_advertised_version_begins_where_the_clients_can(kafka: Kafka) -> None:
    with RawClient(kafka.bootstrap_servers) as raw:
        answer = raw.ask(ApiVersionsRequest(), ApiVersionsResponse)
    versions = {each.api_key: range(each.min_version, each.max_version + 1) for each in answer.api_keys}
    spoken_by_aiokafka = {0: 8, 1: 11, 2: 5, 3: 5, 8: 3, 9: 3, 10: 1, 11: 5, 12: 1, 13: 1, 14: 3, 15: 3, 16: 2, 18: 2}
    assert {key: version for key, version in spoken_by_aiokafka.items() if version not in versions[i16(key)]} == {}


def test_a_newer_api_versions_is_answered_in_version_0(kafka: Kafka) -> None:
    with RawClient(kafka.bootstrap_servers) as raw:
        raw.send_frame(struct.pack(">hhihbbbb", 18, 99, 5, -1, 0, 1, 1, 0))
        correlation, body = raw.receive_frame()
        assert correlation == 5
        answer, _ = entity_reader(OldestApiVersionsResponse)(body, 0)
        assert answer.error_code is ErrorCode.unsupported_version
        assert 18 in {each.api_key for each in answer.api_keys}
        assert raw.ask(OldestApiVersionsRequest(), OldestApiVersionsResponse).error_code is ErrorCode.none


_GARBAGE = {
    "a length of 2 GiB": struct.pack(">i", 2**31 - 1) + b"x" * 100,
    "a negative length": struct.pack(">i", -5) + b"x" * 100,
    "an unknown API": struct.pack(">ihhih", 10, 999, 0, 1, -1),
    "an unknown version": struct.pack(">ihhih", 10, 3, 999, 1, -1),
    "a body cut short": struct.pack(">ihhihh", 12, 0, 8, 1, -1, 500),
    "an array of 2 billion": struct.pack(">ihhihi", 14, 3, 1, 1, -1, 2**31 - 1),
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "noise": random.Random(7).randbytes(4096),
}


@pytest.mark.parametrize("garbage", _GARBAGE.values(), ids=_GARBAGE)
async def test_garbage_closes_its_own_connection_only(kafka: Kafka, make_topic: MakeTopic, garbage: bytes) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as bystander, RawClient(kafka.bootstrap_servers) as vandal:
        bystander.produce(topic, batch([b"x"]))
        vandal.socket.sendall(garbage)
        assert vandal.hung_up()
        assert bystander.produce(topic, batch([b"x"])).base_offset == 1


async def test_half_a_frame_disturbs_nobody(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = await make_topic()
    with RawClient(kafka.bootstrap_servers) as raw:
        with RawClient(kafka.bootstrap_servers) as quitter:
            quitter.socket.sendall(struct.pack(">ihh", 1000, 0, 8))
        assert raw.produce(topic, batch([b"x"])).base_offset == 0
