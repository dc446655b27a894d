"""Routed events: what a filter sends elsewhere, as it came, with the rule that did so in the headers.

Events that rules derived have no original, and one of several in a payload has none of its own; they are written as
canonical events (docs/events.md).
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


def forward(outbox: Outbox, topic: str, record: Record, withheld: Withheld, one: Report | None = None) -> None:
    """Send the record on with its original value and headers; the route is the key.

    Of a payload that holds several events, the `one` that is routed goes on, as a canonical event; the headers that
    say what the payload is do not.
    """
    headers = original_headers(record) if one is None else []
    value = record.value if one is None else _encode(one)
    headers.append((PREFIX + "rule", withheld.reason.encode()))
    if (key := original_key(record)) is not None:
        headers.append((PREFIX + "key", key))
    places = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    headers += [(PREFIX + name, str(place).encode()) for name, place in places.items()]
    outbox.add(topic, withheld.route.encode(), value, headers=headers, timestamp_ms=record.timestamp)


def forward_derived(outbox: Outbox, topic: str, event: Event, withheld: Withheld) -> None:
    """Send an event that a rule made."""
    headers: Headers = [(PREFIX + "rule", withheld.reason.encode())]
    outbox.add(topic, withheld.route.encode(), _encode(_report(event)), headers=headers, timestamp_ms=event.time)


def _report(event: Event) -> Report:
    return Report(
        id=event.id,
        time=datetime.fromtimestamp(event.time / 1000, UTC),
        ci=event.ci,
        class_=event.class_,
        state="firing" if event.firing else "resolved",
        severity=SEVERITIES[event.severity],
        source=event.source,
        summary=event.summary,
        labels=event.labels,
        fingerprint=event.fingerprint,
    )
