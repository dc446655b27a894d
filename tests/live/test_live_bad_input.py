"""Bad input, live: each record that is no event is in the dead letters with its reason, and the stream goes on."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from installation import Installation

from kafka_server import Kafka

ERRORS = "__opsbridge.errors."
NOW = datetime.now(UTC)


def event(**changes: object) -> bytes:
    """A good event with some fields changed; None takes a field away."""
    good: dict[str, object] = {
        "id": "e",
        "time": NOW,
        "ci": "b",
        "class": "Down",
        "severity": "major",
        "state": "firing",
    }
    return orjson.dumps({key: value for key, value in (good | changes).items() if value is not None})


GOOD = event()
FUTURE = NOW + timedelta(hours=2)

# what is sent -> reason, and words of the message
BAD: dict[str, tuple[bytes | None, str, str]] = {
    "no value": (None, "invalid_json", "no value"),
    "empty": (b"", "invalid_json", "truncated"),
    "broken": (GOOD[:-1], "invalid_json", "truncated"),
    "two documents": (GOOD + GOOD, "invalid_json", "trailing"),
    "nan": (GOOD.replace(b'"major"', b"NaN"), "invalid_json", "malformed"),
    "nan, not JSON at all": (b"NaN", "invalid_json", "malformed"),
    "bad UTF-8": (GOOD.replace(b'"b"', b'"\xff\xfe"'), "invalid_json", "utf"),
    "deeply nested": (b"[" * 100_000, "invalid_field", "array"),
    "deeply nested, not read": (
        GOOD.replace(b"{", b'{"more":' + b"[" * 100_000, 1),
        "invalid_json",
        "nested",
    ),
    "an array": (b"[]", "invalid_field", "array"),
    "a number": (b"1", "invalid_field", "int"),
    "wrong type": (event(id=1), "invalid_field", "$.id"),
    "wrong type of a label": (event(labels={"a": 1}), "invalid_field", "$.labels[...]"),
    "unknown severity": (event(severity="fatal"), "invalid_field", "$.severity"),
    "no severity": (event(severity=None), "invalid_field", "$.severity"),
    "unknown state": (event(state="up"), "invalid_field", "$.state"),
    "no ci": (event(ci=None), "invalid_field", "`ci`"),
    "empty ci": (event(ci=""), "invalid_field", "$.ci"),
    "a ci of 1000 characters": (event(ci="x" * 1000), "invalid_field", "$.ci"),
    "no time": (event(time=None), "invalid_field", "`time`"),
    "no time zone": (event(time="2026-01-01T00:00:00"), "invalid_field", "$.time"),
    "no such day": (event(time="2026-02-30T00:00:00Z"), "invalid_field", "$.time"),
    "in the future": (event(time=FUTURE), "time_in_future", "$.time"),
    "in the year 9999": (event(time="9999-12-31T23:59:59Z"), "time_in_future", "$.time"),
    "before computers": (event(time="0001-01-01T00:00:00Z"), "time_too_old", "$.time"),
    "900 kB": (event(summary="x" * 900_000), "too_large", "900"),
}
KEPT = 800_000


async def test_every_kind_of_bad_record_is_a_dead_letter_and_the_stream_goes_on(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    bad = {name.encode(): case for name, case in BAD.items()}
    topology = b'{"cis": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "depends_on": [["b", "a"], ["c", "a"]]}'
    async with Installation(kafka.bootstrap_servers, unique("i"), tmp_path, topology) as live:
        worker = await live.worker()
        early = NOW - timedelta(seconds=60)
        good = [(b"b", event(id="same", time=early)), (b"c", event(id="same", time=early, ci="c"))]  # ids may repeat
        await live.publish(good)
        await live.publish((key, case[0]) for key, case in bad.items())
        good += [(b"b", event(id="late")), (b"c", event(id="end", ci="c", state="resolved", severity=None))]
        await live.publish(good[2:])
        wanted = live.expected(good, time.time())
        await live.until(lambda: len(live.dead) >= len(bad), worker)
        await live.comes_to(wanted)
        metrics = await worker.metrics()
        assert await worker.stop() == 0, worker.errors

    assert sorted(record.key or b"" for record in live.dead) == sorted(bad)
    for record in live.dead:
        value, reason, words = bad[record.key or b""]
        headers = {name.removeprefix(ERRORS): content.decode() for name, content in record.headers}
        assert headers["reason"] == reason, record.key
        assert words in headers["message"].lower(), (record.key, headers["message"])
        assert record.value == (value and value[:KEPT])
        assert headers.get("truncated.from") == (str(len(value)) if value and len(value) > KEPT else None)
    rejected = sum(n for name, n in metrics.items() if name.startswith("opsbridge_events_rejected_total"))
    written = sum(n for name, n in metrics.items() if name.startswith("opsbridge_dead_letters_total"))
    assert rejected == written == len(bad)
