"""Routed events: what a filter sends elsewhere, as it came, with the rule that did so in the headers.

Events that rules derived have no original; they are written as canonical events (docs/events.md).
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from opsbridge.core.decisions import Withheld
from opsbridge.core.event import SEVERITIES, Event
from opsbridge.core.intake import Report
from opsbridge.stream.batches import Record
from opsbridge.stream.dead_letters import original_headers, original_key
from opsbridge.stream.outbox import Headers, Outbox

PREFIX: Final = "__opsbridge."

_encode = msgspec.json.Encoder().encode


def forward(outbox: Outbox, topic: str, record: Record, withheld: Withheld) -> None:
    """Send the record on with its original value and headers; the route is the key."""
    headers = original_headers(record)
    headers.append((PREFIX + "rule", withheld.reason.encode()))
    if (key := original_key(record)) is not None:
        headers.append((PREFIX + "key", key))
    places = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    headers += [(PREFIX + name, str(place).encode()) for name, place in places.items()]
    outbox.add(topic, withheld.route.encode(), record.value, headers=headers, timestamp_ms=record.timestamp)


def forward_derived(outbox: Outbox, topic: str, event: Event, withheld: Withheld) -> None:
    """Send an event that a rule made."""
    headers: Headers = [(PREFIX + "rule", withheld.reason.encode())]
    outbox.add(topic, withheld.route.encode(), _encode(_report(event)), headers=headers, timestamp_ms=event.time)


def _report(event: Event) -> Report:
    return Report(
        event.id,
        datetime.fromtimestamp(event.time / 1000, UTC),
        event.ci,
        event.class_,
        "firing" if event.firing else "resolved",
        SEVERITIES[event.severity],
        event.source,
        event.summary,
        event.labels,
        event.fingerprint,
    )
