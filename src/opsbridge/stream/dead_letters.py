"""Dead letters: records that nobody can use, kept as they came, with the place and the reason in headers.

The headers use Kafka Connect's suffixes under `__opsbridge.errors.`: tools for such topics read them with one rename.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from opsbridge.core.decisions import Rejected
from opsbridge.sources.refused import message
from opsbridge.stream.batches import Record
from opsbridge.stream.outbox import Headers, Outbox

PREFIX: Final = "__opsbridge.errors."

KEPT_BYTES: Final = 800_000
"""A longer original is cut here, and says so: the whole of it is still at its topic, partition and offset."""


class Unheard(msgspec.Struct, frozen=True):
    """A record that can be read, and that nobody here has a use for."""

    reason: str
    detail: str


UNKNOWN_TARGET: Final = "unknown_target"
"""Feedback about an incident, response or record that nobody knows."""


def bury(
    outbox: Outbox, topic: str, record: Record, rejected: Rejected | Unheard | Sequence[Rejected], stage: str
) -> None:
    """Send the record to the dead letters `topic` with its original key, value and headers; `stage` refuses it.

    Of a payload that holds several events, all that are refused: one record tells of them, by the first one's reason.
    """
    value = record.value
    refused = rejected if isinstance(rejected, Sequence) else (rejected,)
    reasons = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "stage": stage,
        "reason": refused[0].reason,
        "message": message([each.detail for each in refused]),
        "items": str(len(refused)),
    }
    if value is not None and len(value) > KEPT_BYTES:
        reasons["truncated.from"] = str(len(value))
        value = value[:KEPT_BYTES]
    headers = original_headers(record)
    headers += [(PREFIX + name, text.encode("utf-8", "replace")) for name, text in reasons.items()]
    outbox.add(topic, original_key(record), value, headers=headers, timestamp_ms=record.timestamp)


def original_headers(record: Record) -> Headers:
    """The record's headers; none if they are so long that with ours they might outgrow what may be written."""
    headers: Headers = [(name, content or b"") for name, content in record.headers]
    return headers if sum(len(name) + len(content) for name, content in headers) <= KEPT_BYTES // 10 else []


def original_key(record: Record) -> bytes | None:
    """The record's key; none if it is as long as that."""
    return record.key if record.key is None or len(record.key) <= KEPT_BYTES // 10 else None
