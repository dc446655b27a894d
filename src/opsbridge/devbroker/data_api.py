"""Records in and out: Produce, Fetch, ListOffsets and the ids of idempotent producers.

Turns requests into calls of the partition logs and `RefusedError` into Kafka's error codes, partition by partition. A
fetch that finds less than it asked for sleeps until one of its partitions grows. Part of broker.py's table.
"""

import asyncio
import itertools
import time
from typing import NamedTuple

from kio.schema.errors import ErrorCode
from kio.schema.fetch.v11 import FetchRequest, FetchResponse
from kio.schema.fetch.v11.request import FetchPartition
from kio.schema.fetch.v11.response import FetchableTopicResponse, PartitionData
from kio.schema.init_producer_id.v1 import InitProducerIdRequest, InitProducerIdResponse
from kio.schema.list_offsets.v5 import ListOffsetsRequest, ListOffsetsResponse
from kio.schema.list_offsets.v5.request import ListOffsetsPartition
from kio.schema.list_offsets.v5.response import ListOffsetsPartitionResponse, ListOffsetsTopicResponse
from kio.schema.produce.v8 import ProduceRequest, ProduceResponse
from kio.schema.produce.v8.request import PartitionProduceData
from kio.schema.produce.v8.response import PartitionProduceResponse, TopicProduceResponse
from kio.schema.types import ProducerId, TopicName
from kio.static.primitive import Records, i16, i32, i64

from opsbridge.devbroker.calls import NO_THROTTLE, Call, Handlers
from opsbridge.devbroker.log import PartitionLog
from opsbridge.devbroker.settings import RefusedError, Settings
from opsbridge.devbroker.topics import Topics

_NO_OFFSET = i64(-1)
_ACKS = (-1, 0, 1)


class _Slice(NamedTuple):
    """What one partition gives to a fetch: its log and whole batches, or why not."""

    asked: FetchPartition
    log: PartitionLog | None
    batches: list[bytes]
    code: ErrorCode


class DataApi:
    """The handlers that touch records."""

    def __init__(self, topics: Topics, settings: Settings) -> None:
        self._topics = topics
        self._settings = settings
        self._producer_ids = itertools.count(1000)
        self.handlers: Handlers = {
            0: self.produce,
            1: self.fetch,
            2: self.list_offsets,
            22: self.init_producer_id,
        }

    async def produce(self, _call: Call, request: ProduceRequest) -> ProduceResponse | None:
        """Append each partition's batch; no answer at all for acks=0."""
        responses = tuple(
            TopicProduceResponse(
                name=topic.name,
                partition_responses=tuple(
                    self._appended(topic.name, partition, request.acks) for partition in topic.partition_data
                ),
            )
            for topic in request.topic_data
        )
        return ProduceResponse(responses=responses) if request.acks != 0 else None

    def _appended(self, name: str, partition: PartitionProduceData, acks: int) -> PartitionProduceResponse:
        try:
            if acks not in _ACKS:
                raise RefusedError(ErrorCode.invalid_required_acks, f"acks {acks} is none of {_ACKS}")
            log = self._topics.log(name, partition.index)
            offset = log.append(partition.records or b"", self._topics.topic(name).terms(int(time.time() * 1000)))
        except RefusedError as refused:
            return PartitionProduceResponse(
                index=partition.index,
                error_code=refused.code,
                base_offset=_NO_OFFSET,
                record_errors=(),
                error_message=refused.reason,
            )
        return PartitionProduceResponse(
            index=partition.index,
            error_code=ErrorCode.none,
            base_offset=i64(offset),
            log_start_offset=i64(0),
            record_errors=(),
        )

    async def fetch(self, call: Call, request: FetchRequest) -> FetchResponse:
        """Return what is there once it is `min_bytes` or `max_wait` is over, or at once what cannot be read.

        As on Apache Kafka an unknown partition does not hurry those that are known.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + request.max_wait.total_seconds()
        while True:
            found = self._slices(request)
            size = sum(len(batch) for _, slices in found for each in slices for batch in each.batches)
            logs = [each.log for _, slices in found for each in slices if each.log is not None]
            unreadable = any(each.code is ErrorCode.offset_out_of_range for _, slices in found for each in slices)
            if size >= request.min_bytes or unreadable or not logs or loop.time() >= until:
                return _fetched(found)
            await _growth(call, logs, until - loop.time())

    def _slices(self, request: FetchRequest) -> list[tuple[TopicName, list[_Slice]]]:
        left = min(request.max_bytes, self._settings.fetch_max_bytes)
        nothing_yet = True
        found: list[tuple[TopicName, list[_Slice]]] = []
        for topic in request.topics:
            slices: list[_Slice] = []
            for asked in topic.partitions:
                try:
                    log = self._topics.log(topic.topic, asked.partition)
                    limit = min(asked.partition_max_bytes, left)
                    batches = log.read(asked.fetch_offset, limit, at_least_one=nothing_yet)
                except RefusedError as refused:
                    slices.append(_Slice(asked, None, [], refused.code))
                    continue
                nothing_yet = nothing_yet and not batches
                left -= sum(map(len, batches))
                slices.append(_Slice(asked, log, batches, ErrorCode.none))
            found.append((topic.topic, slices))
        return found

    async def list_offsets(self, _call: Call, request: ListOffsetsRequest) -> ListOffsetsResponse:
        """Return the first, the next, or the first offset at or after a time, for each partition."""
        return ListOffsetsResponse(
            throttle_time=NO_THROTTLE,
            topics=tuple(
                ListOffsetsTopicResponse(
                    name=topic.name, partitions=tuple(self._offset(topic.name, asked) for asked in topic.partitions)
                )
                for topic in request.topics
            ),
        )

    def _offset(self, name: str, asked: ListOffsetsPartition) -> ListOffsetsPartitionResponse:
        try:
            log = self._topics.log(name, asked.partition_index)
        except RefusedError as refused:
            return ListOffsetsPartitionResponse(partition_index=asked.partition_index, error_code=refused.code)
        match asked.timestamp:
            case -1:  # the next offset
                offset, timestamp = log.end, -1
            case -2:  # the first offset
                offset, timestamp = 0, -1
            case _:
                offset, timestamp = log.offset_at(asked.timestamp) or (-1, -1)
        return ListOffsetsPartitionResponse(
            partition_index=asked.partition_index,
            error_code=ErrorCode.none,
            timestamp=i64(timestamp),
            offset=i64(offset),
            leader_epoch=i32(0),
        )

    async def init_producer_id(self, _call: Call, request: InitProducerIdRequest) -> InitProducerIdResponse:
        """Return a fresh producer id; a transactional one is refused."""
        if request.transactional_id is not None:
            return InitProducerIdResponse(
                throttle_time=NO_THROTTLE, error_code=ErrorCode.unsupported_version, producer_epoch=i16(-1)
            )
        return InitProducerIdResponse(
            throttle_time=NO_THROTTLE,
            error_code=ErrorCode.none,
            producer_id=ProducerId(next(self._producer_ids)),
            producer_epoch=i16(0),
        )


async def _growth(call: Call, logs: list[PartitionLog], patience: float) -> None:
    """Return when one of the logs has grown or `patience` (seconds) is over."""
    grown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for log in logs:
        log.watchers.add(grown)
    try:
        await call.wait(grown, patience)
    except TimeoutError:
        pass
    finally:
        for log in logs:
            log.watchers.discard(grown)


def _fetched(found: list[tuple[TopicName, list[_Slice]]]) -> FetchResponse:
    return FetchResponse(
        throttle_time=NO_THROTTLE,
        error_code=ErrorCode.none,
        responses=tuple(
            FetchableTopicResponse(topic=topic, partitions=tuple(_partition(each) for each in slices))
            for topic, slices in found
        ),
    )


def _partition(each: _Slice) -> PartitionData:
    end = _NO_OFFSET if each.log is None else i64(each.log.end)
    return PartitionData(
        partition_index=each.asked.partition,
        error_code=each.code,
        high_watermark=end,
        last_stable_offset=end,
        log_start_offset=_NO_OFFSET if each.log is None else i64(0),
        aborted_transactions=None,
        records=Records(b"".join(each.batches)),
    )
