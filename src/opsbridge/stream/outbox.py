"""Batched, idempotent writing: what stages send out and what state tables write to their changelogs.

One `BatchWriter` per worker owns the producer. Records of a partition leave in order in as few Kafka record batches as
fit; a write returns when the broker has acknowledged all of it, or raises. There is no retry here: aiokafka repeats
what may be repeated under the same sequence numbers, and whatever it gives up on must stop the worker.
"""

import asyncio
import itertools
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Protocol, cast

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.structs import RecordMetadata

from opsbridge.settings import KafkaSettings
from opsbridge.stream.connection import client_options
from opsbridge.stream.errors import BrokerUnreachableError, DeliveryError

Headers = list[tuple[str, bytes]]
OutRecord = tuple[bytes | None, bytes | None, Headers | None, int | None]
"""Key, value, headers and timestamp in milliseconds (none: the time of sending)."""

# Lengths, attributes, deltas and header count around key and value: never more than this in Kafka's format v2.
RECORD_OVERHEAD = 40


EVERY: Final = -1
"""In place of a partition: the record goes to each of the topic's."""


PIECE_BYTES: Final = 400_000
"""What is longer than a record may be is written in pieces of this size, or half of what a record may have."""

KEPT_KEY_BYTES: Final = 1_000
"""Longer keys are not kept with their hash: dead letters have the keys that others have chosen."""


def _key_hash(key: bytes) -> int:
    """Kafka's default hash."""
    return int(murmur2(key)) & 0x7FFFFFFF


_kept_key_hash = lru_cache(maxsize=1 << 16)(_key_hash)  # aiokafka computes it in Python, and keys repeat


def home_of(key: bytes, partitions: int) -> int:
    """The partition of `key`: Kafka's default choice."""
    return (_kept_key_hash(key) if len(key) <= KEPT_KEY_BYTES else _key_hash(key)) % partitions


class _Batch(Protocol):
    """A Kafka record batch that is being filled."""

    def append(
        self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Headers | None
    ) -> object: ...
    def record_count(self) -> int: ...
    def close(self) -> None: ...


class _Client(Protocol):
    """What is used of a producer's connection to the cluster."""

    async def force_metadata_update(self) -> bool: ...


class _Producer(Protocol):
    """What is used of aiokafka's producer, which has no types."""

    client: _Client

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def partitions_for(self, topic: str) -> set[int]: ...
    def create_batch(self) -> _Batch: ...
    async def send_batch(self, batch: _Batch, topic: str, *, partition: int) -> "asyncio.Future[RecordMetadata]": ...


class BatchWriter:
    """The worker's producer: start it once, share it, stop it last."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._limit = kafka.max_message_bytes
        self._producer: _Producer | None = None
        self._partitions: dict[str, int] = {}
        self._round_robin = itertools.count()

    @property
    def piece_bytes(self) -> int:
        """How much of something long goes into one record."""
        return min(PIECE_BYTES, self._limit // 2)

    async def start(self) -> None:
        """Connect; raises `BrokerUnreachableError`."""
        producer = cast(
            "_Producer",
            AIOKafkaProducer(
                **client_options(self._kafka),
                acks="all",
                enable_idempotence=True,
                compression_type=None if self._kafka.compression == "none" else self._kafka.compression,
                max_batch_size=self._limit,
                linger_ms=int(self._kafka.linger * 1000),
            ),
        )
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            raise BrokerUnreachableError(f"no broker at {self._kafka.bootstrap_servers}: {error}") from error
        self._producer = producer

    async def stop(self) -> None:
        """Close the connection; what was not awaited may be lost."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def partitions(self, topic: str) -> int:
        """How many partitions `topic` has; asked once per topic."""
        count = self._partitions.get(topic)
        if count is None:
            try:
                async with asyncio.timeout(self._kafka.request_timeout):
                    count = len(await self._running.partitions_for(topic))
            except (KafkaError, TimeoutError) as error:
                raise DeliveryError(f"topic {topic} cannot be written to: {_reason(error)}") from error
            self._partitions[topic] = count
        return count

    async def broker_answers(self) -> bool:
        """Whether a broker tells us of the cluster now."""
        return await self._running.client.force_metadata_update()

    def partition_of(self, key: bytes | None, count: int) -> int:
        """The partition of `key` among `count`: Kafka's default choice; records without key take turns."""
        return home_of(key, count) if key is not None else next(self._round_robin) % count

    async def write(self, topic: str, partition: int, records: Iterable[OutRecord]) -> int:
        """Send `records` to one partition in order; the offset of the first one of the last batch, or -1 if unknown.

        Returns when all are acknowledged. Raises `DeliveryError` if one is too large, the partition does not exist, or
        the broker does not acknowledge within `delivery_timeout`; then any number of them may have been written.
        """
        count = await self.partitions(topic)
        if not 0 <= partition < count:
            raise DeliveryError(f"topic {topic} has {count} partitions: there is no partition {partition}")
        sent: list[asyncio.Future[RecordMetadata]] = []
        try:
            async with asyncio.timeout(self._kafka.delivery_timeout):
                await self._submit(topic, partition, records, sent)
                metadata = await asyncio.gather(*sent)
        except (KafkaError, TimeoutError) as error:
            raise DeliveryError(f"{topic}[{partition}]: records were not acknowledged: {_reason(error)}") from error
        finally:
            for future in sent:
                # One reason is enough: without this each further failed batch would complain at garbage collection.
                future.add_done_callback(lambda done: done.cancelled() or done.exception())
        last = metadata[-1] if metadata else None
        return last.offset if last is not None else -1

    async def _submit(
        self,
        topic: str,
        partition: int,
        records: Iterable[OutRecord],
        sent: list["asyncio.Future[RecordMetadata]"],
    ) -> None:
        producer, limit = self._running, self._limit
        builder = producer.create_batch()
        append = builder.append
        for key, value, headers, timestamp in records:
            size = len(key or b"") + len(value or b"") + RECORD_OVERHEAD
            if headers:
                size += sum(len(name) + len(content) + 10 for name, content in headers)
            if size > limit:
                raise DeliveryError(
                    f"record of {size} bytes for {topic}[{partition}], key {(key or b'')[:80]!r}, "
                    f"exceeds kafka.max_message_bytes ({limit})"
                )
            if append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
                sent.append(await producer.send_batch(builder, topic, partition=partition))
                builder = producer.create_batch()
                append = builder.append
                append(timestamp=timestamp, key=key, value=value, headers=headers)
        if builder.record_count():
            builder.close()  # an open batch would linger for more, or take in records that are sent one by one
            sent.append(await producer.send_batch(builder, topic, partition=partition))

    @property
    def _running(self) -> _Producer:
        if self._producer is None:
            raise DeliveryError("the writer is not running")
        return self._producer


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


_Pending = tuple[str, int | None, OutRecord]
_ForeignHeaders = list[tuple[str, bytes | None]]
"""Headers of others' records that are sent on may have no value."""
_Packed = list[tuple[str, int | None, tuple[bytes | None, bytes | None, _ForeignHeaders | None, int | None]]]

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(_Packed).decode


class Outbox:
    """Records that one stage wants to send for the batch it works on; not shared between lanes."""

    def __init__(self, writer: BatchWriter) -> None:
        self._writer = writer
        self._pending: list[_Pending] = []

    def add(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Collect one record; without `partition` its key decides, as Kafka's own clients would; or it is `EVERY`."""
        self._pending.append((topic, partition, (key, value, headers, timestamp_ms)))

    def __len__(self) -> int:
        return len(self._pending)

    def packed(self) -> bytes:
        """Everything collected, as `take_back` understands it; empty if that is nothing."""
        return _pack(self._pending) if self._pending else b""

    def take_back(self, packed: bytes) -> None:
        """Collect what another outbox had collected."""
        if packed:
            self._pending += cast("list[_Pending]", _unpack(packed))

    async def flush(self) -> None:
        """Send everything collected, each partition in order and all partitions at once; keeps it if that fails.

        Raises `DeliveryError`; some of it may have been written then, and will be written again by whoever reprocesses.
        """
        if not self._pending:
            return
        by_partition: dict[tuple[str, int], list[OutRecord]] = {}
        counts = {topic: await self._writer.partitions(topic) for topic in {topic for topic, _, _ in self._pending}}
        partition_of = self._writer.partition_of
        for topic, partition, record in self._pending:
            if partition is None:
                partition = partition_of(record[0], counts[topic])
            for each in range(counts[topic]) if partition == EVERY else (partition,):
                by_partition.setdefault((topic, each), []).append(record)
        write = self._writer.write
        await asyncio.gather(
            *(write(topic, partition, records) for (topic, partition), records in by_partition.items())
        )
        self._pending.clear()
