"""One partition's log: record batches kept as they came, found by offset or by time.

A batch is judged by its 61-byte header and its checksum; its base offset and leader epoch are rewritten in place (the
checksum starts after them) and its records stay as the producer packed them. Called by data_api.py; whoever waits for
more registers in `watchers` and is woken by the next append.
"""

import asyncio
import gzip
import struct
import zlib
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from crc32c import crc32c
from kio.schema.errors import ErrorCode
from kio.serial.errors import SerialError
from kio.serial.readers import read_signed_varint, read_signed_varlong

from opsbridge.devbroker.settings import RefusedError

# base offset, length, leader epoch, magic, crc, attributes, last offset delta, base and max timestamp,
# producer id and epoch, base sequence, count (https://kafka.apache.org/documentation/#recordbatch)
_HEADER = struct.Struct(">qiibIhiqqqhii")
_FRONT = struct.Struct(">qii")
_UNCHECKED = 21
"""Where the part that the checksum covers begins."""
_CODEC_MASK, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20
_SEQUENCES = 2**31
_REMEMBERED_BATCHES = 5
NO_PRODUCER = -1


class Batch(NamedTuple):
    """The fields of a batch header, in wire order."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int


class Terms(NamedTuple):
    """What a topic asks of a batch: its size in bytes, the latest timestamp (ms), whether every record has a key."""

    max_bytes: int
    not_after: int
    keyed: bool


class Written(NamedTuple):
    """A batch that an idempotent producer wrote: its first and last sequence number and where it went."""

    first: int
    last: int
    offset: int


@dataclass(slots=True)
class Producer:
    """What a partition remembers of one idempotent producer: enough to recognise its last five batches."""

    epoch: int
    written: deque[Written] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_BATCHES))


@dataclass(slots=True)
class PartitionLog:
    """Batches in offset order; `bases` and `latest` (running maximum of timestamps, ms) are what they are found by."""

    batches: list[bytes] = field(default_factory=list)
    bases: list[int] = field(default_factory=list)
    latest: list[int] = field(default_factory=list)
    end: int = 0
    """The next offset to be given."""
    producers: dict[int, Producer] = field(default_factory=dict)
    watchers: set["asyncio.Future[None]"] = field(default_factory=set)

    def append(self, records: bytes, terms: Terms) -> int:
        """Append one batch and return its base offset, or the first one's if a producer repeats itself.

        Raises `RefusedError` with Kafka's code for a batch that a real broker would not keep on these terms.
        """
        batch = _judged(records, terms)
        repeated = self._sequence(batch)
        if repeated is not None:
            return repeated
        stored = bytearray(records)
        _FRONT.pack_into(stored, 0, self.end, batch.length, 0)
        self.batches.append(bytes(stored))
        self.bases.append(self.end)
        self.latest.append(max(batch.max_timestamp, self.latest[-1]) if self.latest else batch.max_timestamp)
        base, self.end = self.end, self.end + batch.last_offset_delta + 1
        self.wake()
        return base

    def read(self, offset: int, limit: int, *, at_least_one: bool) -> list[bytes]:
        """Return whole batches from the one that holds `offset` on, within `limit` bytes.

        With `at_least_one` the first is returned even when it alone exceeds the limit. Raises `RefusedError` for an
        offset that is not between the log's start and its end.
        """
        if not 0 <= offset <= self.end:
            raise RefusedError(ErrorCode.offset_out_of_range, f"{offset} is not between 0 and {self.end}")
        found: list[bytes] = []
        size = 0
        if offset == self.end:
            return found
        for index in range(bisect_right(self.bases, offset) - 1, len(self.batches)):
            size += len(self.batches[index])
            if size > limit and not (at_least_one and not found):
                break
            found.append(self.batches[index])
        return found

    def offset_at(self, timestamp: int) -> tuple[int, int] | None:
        """Return (offset, timestamp) of the first record at or after `timestamp` (ms), None if there is none.

        Looks into the batch if its codec is none or gzip; else the batch's first offset stands for the record's.
        """
        index = bisect_left(self.latest, timestamp)
        if index == len(self.batches):
            return None
        batch = Batch(*_HEADER.unpack_from(self.batches[index]))
        for front in _fronts(self.batches[index], batch):
            if front.timestamp >= timestamp:
                return batch.base_offset + front.offset_delta, front.timestamp
        return batch.base_offset, batch.base_timestamp

    def wake(self) -> None:
        """Wake everyone who waits for this partition."""
        for watcher in self.watchers:
            if not watcher.done():
                watcher.set_result(None)
        self.watchers.clear()

    def _sequence(self, batch: Batch) -> int | None:
        """Return the offset of a batch this producer already wrote, None after noting a new one."""
        if batch.producer_id == NO_PRODUCER:
            return None
        first = batch.base_sequence
        last = (first + batch.last_offset_delta) % _SEQUENCES
        known = self.producers.get(batch.producer_id)
        if known is not None:
            if batch.producer_epoch < known.epoch:
                raise RefusedError(
                    ErrorCode.invalid_producer_epoch, f"epoch {batch.producer_epoch} is before {known.epoch}"
                )
            if batch.producer_epoch == known.epoch:
                for written in known.written:
                    if (written.first, written.last) == (first, last):
                        return written.offset
                expected = (known.written[-1].last + 1) % _SEQUENCES
            else:
                expected = 0
            if first != expected:
                raise RefusedError(
                    ErrorCode.out_of_order_sequence_number, f"sequence {first} came, {expected} was next"
                )
        if known is None or known.epoch != batch.producer_epoch:
            known = self.producers[batch.producer_id] = Producer(batch.producer_epoch)
        known.written.append(Written(first, last, self.end))
        return None


def _judged(records: bytes, terms: Terms) -> Batch:
    """Return the header of the one batch in `records`; raises `RefusedError` unless a real broker would keep it."""
    if len(records) < _HEADER.size:
        raise RefusedError(ErrorCode.corrupt_message, f"{len(records)} bytes are no record batch")
    batch = Batch(*_HEADER.unpack_from(records))
    whole = batch.length + 12
    if batch.magic != 2:
        raise RefusedError(ErrorCode.unsupported_for_message_format, f"magic {batch.magic} is not 2")
    if whole < len(records):
        raise RefusedError(ErrorCode.invalid_record, "more than one batch for a partition in one request")
    if whole > terms.max_bytes:
        raise RefusedError(
            ErrorCode.message_too_large, f"a batch of {whole} bytes, max.message.bytes is {terms.max_bytes}"
        )
    if whole > len(records) or crc32c(memoryview(records)[_UNCHECKED:]) != batch.crc:
        raise RefusedError(ErrorCode.corrupt_message, "the checksum or the length of the batch is wrong")
    if batch.records < 1 or batch.records != batch.last_offset_delta + 1 or batch.attributes & _CONTROL:
        raise RefusedError(ErrorCode.invalid_record, "the record count does not fit the offsets, or a control batch")
    if batch.attributes & _TRANSACTIONAL:
        raise RefusedError(ErrorCode.invalid_txn_state, "the dev broker has no transactions")
    if batch.max_timestamp > terms.not_after:
        raise RefusedError(ErrorCode.invalid_timestamp, f"timestamp {batch.max_timestamp} is too far in the future")
    if terms.keyed and not all(front.keyed for front in _fronts(records, batch)):
        raise RefusedError(ErrorCode.invalid_record, "a compacted topic takes no record without a key")
    return batch


class _Front(NamedTuple):
    """What is read of a single record: where it is in the batch, when it was (ms), and whether it has a key."""

    offset_delta: int
    timestamp: int
    keyed: bool


def _fronts(stored: bytes, batch: Batch) -> Iterator[_Front]:
    """Yield the front of each record; nothing for a codec or content that cannot be read."""
    packed = memoryview(stored)[_HEADER.size :]
    try:
        match batch.attributes & _CODEC_MASK:
            case 0:
                records = bytes(packed)
            case 1:
                records = gzip.decompress(packed)
            case _:
                return
        position = 0
        for _ in range(batch.records):
            length, size = read_signed_varint(records, position)
            start = position + size
            timestamp_delta, times = read_signed_varlong(records, start + 1)
            offset_delta, offsets = read_signed_varint(records, start + 1 + times)
            key_length, _size = read_signed_varint(records, start + 1 + times + offsets)
            yield _Front(offset_delta, batch.base_timestamp + timestamp_delta, key_length >= 0)
            position = start + length
    except (SerialError, ValueError, OSError, EOFError, zlib.error):
        return
