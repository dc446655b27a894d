"""Bytes that are no event: each is rejected with its reason and place, and none raises."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timetable import FAR, graph_of

from estates import LAW
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.event import Event
from opsbridge.core.intake import Intake, Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.rulebook import EMPTY
from opsbridge.sources.canonical import MAX_BYTES, decode

NOW = 1_790_000_000_000
GOOD: dict[str, object] = {
    "id": "1",
    "time": "2026-09-21T14:00:00Z",
    "ci": "db",
    "class": "DiskFull",
    "state": "firing",
    "severity": "major",
}


def payload(**fields: object) -> bytes:
    """A good event with these fields in the place of its own; None leaves a field out."""
    return json.dumps({name: value for name, value in {**GOOD, **fields}.items() if value is not None}).encode()


def raw(extra: bytes) -> bytes:
    """A good event with more bytes before its closing brace."""
    return payload()[:-1] + b", " + extra + b"}"


def answer(value: bytes | None) -> Event | Rejected:
    """What becomes of a payload on an estate of one CI, at NOW."""
    report = decode(value)
    if isinstance(report, Rejected):
        return report
    found = Intake(graph_of("db"), EMPTY).accept(report, NOW)
    assert isinstance(found, Event | Rejected)
    return found


def test_the_good_event_is_good() -> None:
    assert isinstance(answer(payload()), Event)


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, Reject.INVALID_JSON, "no value"),
        (b"", Reject.INVALID_JSON, "truncated"),
        (b"   ", Reject.INVALID_JSON, "truncated"),
        (b'{"id": "1", ', Reject.INVALID_JSON, "truncated"),
        (b"{'id': 1}", Reject.INVALID_JSON, "malformed"),
        (payload() + b" x", Reject.INVALID_JSON, "trailing characters"),
        (payload() + payload(), Reject.INVALID_JSON, "trailing characters"),
        (b"\xef\xbb\xbf" + payload(), Reject.INVALID_JSON, "byte 0"),
        (payload().decode().encode("utf-16"), Reject.INVALID_JSON, "byte 0"),
        (b"NaN", Reject.INVALID_JSON, "byte 0"),
        (b"Infinity", Reject.INVALID_JSON, "byte 0"),
        (raw(b'"value": NaN'), Reject.INVALID_JSON, "byte"),
        (raw(b'"value": -Infinity'), Reject.INVALID_JSON, "byte"),
        (raw(b'"summary": "\xff"'), Reject.INVALID_JSON, "0xff"),
        (raw(b'"summary": "\xed\xa0\x80"'), Reject.INVALID_JSON, "0xed"),
        (raw(b'"summary": "\\ud800"'), Reject.INVALID_JSON, ""),
        (raw(b'"summary": "\\udc00\\ud800"'), Reject.INVALID_JSON, ""),
        (raw(b'"nested": ' + b"[" * 100_000 + b"]" * 100_000), Reject.INVALID_JSON, "nested too deeply"),
        (raw(b'"nested": ' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000), Reject.INVALID_JSON, "nested too deeply"),
        (b"[" * 100_000, Reject.INVALID_FIELD, "got `array`"),
        (b"x" * 10_000_000, Reject.TOO_LARGE, "10000000 bytes"),
        (raw(b'"summary": "' + b"x" * MAX_BYTES + b'"'), Reject.TOO_LARGE, f"the limit is {MAX_BYTES}"),
    ],
)
def test_what_is_no_json_is_rejected(value: bytes | None, reason: Reject, detail: str) -> None:
    rejected = answer(value)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert rejected.detail
    assert detail in rejected.detail


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (b"null", "got `null`"),
        (b"[]", "got `array`"),
        (b'"event"', "got `str`"),
        (b"1", "got `int`"),
        (payload(id=None), "`id`"),
        (payload(time=None), "`time`"),
        (payload(ci=None), "`ci`"),
        (payload(**{"class": None}), "`class`"),
        (payload(state=None), "`state`"),
        (payload(severity=None), "`$.severity`"),
        (raw(b'"ci": null'), "`$.ci`"),
        (payload(id=1), "`$.id`"),
        (payload(id=""), "`$.id`"),
        (payload(ci=""), "`$.ci`"),
        (payload(ci="x" * 513), "`$.ci`"),
        (payload(**{"class": ["DiskFull"]}), "`$.class`"),
        (payload(fingerprint=""), "`$.fingerprint`"),
        (payload(state="broken"), "`$.state`"),
        (payload(state="FIRING"), "`$.state`"),
        (payload(severity="worst"), "`$.severity`"),
        (payload(severity=4), "`$.severity`"),
        (payload(labels=[]), "`$.labels`"),
        (payload(labels={"a": 1}), "`$.labels[...]`"),
        (payload(labels={"a": {"b": "c"}}), "`$.labels[...]`"),
        (payload(time=1_790_000_000), "`$.time`"),
        (payload(time=""), "`$.time`"),
        (payload(time="yesterday"), "`$.time`"),
        (payload(time="2026-09-21"), "`$.time`"),
        (payload(time="2026-09-21T14:00:00"), "timezone"),
        (payload(time="2026-02-30T14:00:00Z"), "`$.time`"),
        (payload(time="2026-09-21T24:00:00Z"), "`$.time`"),
        (payload(time="2016-12-31T23:59:60Z"), "`$.time`"),
        (payload(time="2026-09-21T14:00:00+99:00"), "`$.time`"),
        (payload(time="0000-01-01T00:00:00Z"), "`$.time`"),
    ],
)
def test_a_wrong_field_is_rejected_with_its_place(value: bytes, place: str) -> None:
    rejected = answer(value)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == Reject.INVALID_FIELD
    assert place in rejected.detail


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ("0001-01-01T00:00:00Z", Reject.TIME_TOO_OLD),
        ("0001-01-01T00:00:00+14:00", Reject.TIME_TOO_OLD),
        ("1970-01-01T00:00:00Z", Reject.TIME_TOO_OLD),
        ("1999-12-31T23:59:59.999Z", Reject.TIME_TOO_OLD),
        ("2026-09-21T14:23:20.001Z", Reject.TIME_IN_FUTURE),
        ("9999-12-31T23:59:59Z", Reject.TIME_IN_FUTURE),
        ("9999-12-31T23:59:59.999999-14:00", Reject.TIME_IN_FUTURE),
    ],
)
def test_an_absurd_time_is_rejected(time: str, reason: Reject) -> None:
    rejected = answer(payload(time=time))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert "`$.time`" in rejected.detail


@pytest.mark.parametrize(
    ("time", "milliseconds"),
    [
        ("2000-01-01T00:00:00Z", 946_684_800_000),
        ("2026-09-21T14:23:20Z", NOW + 600_000),
        ("2026-09-21T16:13:20+02:00", NOW),
        ("2026-09-21T08:43:20-05:30", NOW),
        ("2026-09-21T14:13:20.123456789Z", NOW + 123),
    ],
)
def test_any_other_time_is_taken_to_the_millisecond(time: str, milliseconds: int) -> None:
    event = answer(payload(time=time))
    assert isinstance(event, Event)
    assert event.time == milliseconds


def test_what_is_only_odd_is_accepted() -> None:
    labels = {f"label-{number}": "x" * 100 for number in range(1_500)}
    event = answer(payload(labels=labels, summary="", more={"of": ["everything", None, 1.5]}))
    assert isinstance(event, Event)
    assert len(event.labels) == 1_500
    twice = answer(raw(b'"id": "2"'))
    assert isinstance(twice, Event)
    assert twice.id == "2", "of two keys of one name the last counts, as in most readers of JSON"


def never_raises(value: bytes) -> None:
    """Whatever the bytes, they end in one place, and what follows is told."""
    pipeline = Pipeline(graph_of("db"))
    report = decode(value)
    assert isinstance(report, Report | Rejected)
    pipeline.advance([report], FAR)
    pipeline.finish()
    assert pipeline.accounts.read == 1
    assert pipeline.accounts.balanced()
    pipeline.changes()


@LAW
@given(st.binary(max_size=200))
def test_any_bytes(value: bytes) -> None:
    never_raises(value)


@LAW
@given(st.data())
def test_any_bytes_in_a_good_event(data: st.DataObject) -> None:
    whole = payload()
    at = data.draw(st.integers(0, len(whole)))
    never_raises(whole[:at] + data.draw(st.binary(max_size=5)) + whole[at + data.draw(st.integers(0, 5)) :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@LAW
@given(st.dictionaries(st.sampled_from([*GOOD, "source", "summary", "labels", "fingerprint"]), json_values))
def test_any_values_in_the_fields(fields: dict[str, object]) -> None:
    never_raises(json.dumps({**GOOD, **fields}).encode())


@LAW
@given(st.text(min_size=1, max_size=512), st.text(min_size=1, max_size=512), st.datetimes(timezones=st.just(UTC)))
def test_any_names_and_times(ci: str, class_: str, time: datetime) -> None:
    never_raises(payload(ci=ci, time=time.isoformat(), **{"class": class_}))
