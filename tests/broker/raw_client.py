"""A client that sends what it is told: for requests that no decent client library would send.

Blocking, one connection, over the codecs of kio; responses come back as kio entities of the request's version.
"""

import io
import socket
import struct
import time
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from kio.index import load_response_schema
from kio.schema.errors import ErrorCode
from kio.schema.find_coordinator.v1 import FindCoordinatorRequest, FindCoordinatorResponse
from kio.schema.produce.v8 import ProduceRequest, ProduceResponse
from kio.schema.produce.v8.request import PartitionProduceData, TopicProduceData
from kio.schema.produce.v8.response import PartitionProduceResponse
from kio.schema.types import TopicName
from kio.serial import entity_reader, entity_writer
from kio.static.primitive import Records, i8, i16, i32, i32Timedelta
from kio.static.protocol import Payload, RequestPayload

_R = TypeVar("_R", bound=Payload)
_PATIENCE = 20.0


class RawClient:
    def __init__(self, bootstrap_servers: str) -> None:
        host, port = bootstrap_servers.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=_PATIENCE)
        self._stream = self.socket.makefile("rb")
        self._correlation = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self.socket.close()

    def send(self, request: RequestPayload) -> int:
        """Send a request and return its correlation id."""
        self._correlation += 1
        header = struct.pack(">hhih3s", request.__api_key__, request.__version__, self._correlation, 3, b"raw")
        self.send_frame(header + payload(request))
        return self._correlation

    def send_frame(self, frame: bytes) -> None:
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive_frame(self) -> tuple[int, bytes]:
        """Return the next answer's correlation id and body; raises `EOFError` when the broker hung up."""
        prefix = self._read(4)
        frame = self._read(struct.unpack(">i", prefix)[0])
        return struct.unpack_from(">i", frame)[0], frame[4:]

    def ask(self, request: RequestPayload, kind: type[_R]) -> _R:
        """Send a request and return its answer."""
        assert load_response_schema(request.__api_key__, request.__version__) is kind
        sent = self.send(request)
        correlation, body = self.receive_frame()
        assert correlation == sent
        answer, size = entity_reader(kind)(body, 0)
        assert size == len(body)
        return answer

    def hung_up(self) -> bool:
        """Whether the broker closes the connection without a further answer; waits for it."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def produce(self, topic: str, records: bytes, *, acks: int = -1, partition: int = 0) -> PartitionProduceResponse:
        """Produce bytes to one partition and return its part of the answer."""
        return (
            self.ask(produce_request(topic, records, acks, partition), ProduceResponse)
            .responses[0]
            .partition_responses[0]
        )

    def await_coordinator(self, group: str) -> None:
        """Return once the group's coordinator can be named: a fresh Apache Kafka needs a moment for its first one."""
        until = time.monotonic() + _PATIENCE
        request = FindCoordinatorRequest(key=group, key_type=i8(0))
        while self.ask(request, FindCoordinatorResponse).error_code is not ErrorCode.none:
            assert time.monotonic() < until
            time.sleep(0.05)

    def _read(self, size: int) -> bytes:
        found = self._stream.read(size)
        if len(found) < size:
            raise EOFError("the broker hung up")
        return found


def payload(request: RequestPayload) -> bytes:
    """Return a request's body."""
    buffer = io.BytesIO()
    entity_writer(type(request))(buffer, request)
    return buffer.getvalue()


def milliseconds(count: int) -> i32Timedelta:
    return i32Timedelta.parse(timedelta(milliseconds=count))


def produce_request(topic: str, records: bytes, acks: int = -1, partition: int = 0) -> ProduceRequest:
    return ProduceRequest(
        transactional_id=None,
        acks=i16(acks),
        timeout=milliseconds(5000),
        topic_data=(
            TopicProduceData(
                name=TopicName(topic),
                partition_data=(PartitionProduceData(index=i32(partition), records=Records(records)),),
            ),
        ),
    )


def batch(
    values: list[bytes],
    *,
    producer_id: int = -1,
    epoch: int = -1,
    sequence: int = -1,
    timestamp: int | None = None,
    key: bytes | None = b"k",
    codec: int = 0,
) -> bytes:
    """Return a record batch; timestamps in ms count up from `timestamp` (now)."""
    start = int(time.time() * 1000) if timestamp is None else timestamp
    builder = DefaultRecordBatchBuilder(2, codec, 0, producer_id, epoch, sequence, 1 << 22)
    for offset, value in enumerate(values):
        assert builder.append(offset, start + offset, key, value, []) is not None
    return bytes(builder.build())
