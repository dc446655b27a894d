"""`auto`: what a payload is, by what that was seen, and what is said of one that nobody knows."""

import json
from pathlib import Path

import pytest
from mappings import ARRIVED_MS, sources_of, written

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.intake import Report
from opsbridge.sources.catalogue import Sources, UnknownSourceError, load_sources
from opsbridge.sources.recognising import Recognised
from opsbridge.sources.source import AUTO, CANONICAL, SOURCE_HEADER, Headers

EVENT = {"id": "1", "time": "2026-03-01T08:00:00Z", "ci": "x", "class": "c", "state": "resolved"}


def recognised(sources: Sources, payload: object, headers: Headers = ()) -> Recognised | Rejected:
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return sources.auto.recognise(content, headers)


def test_the_canonical_event_is_recognised_first(tmp_path: Path) -> None:
    sources = sources_of(tmp_path, recognise=[{"id": "present"}], priority=9)
    assert recognised(sources, EVENT) == Recognised(
        CANONICAL, "id, time, ci, class, state and what an event needs besides"
    )
    (report,) = sources.auto.items(json.dumps(EVENT).encode(), (), ARRIVED_MS)
    assert isinstance(report, Report)


def test_a_format_is_recognised_and_told_by_what(tmp_path: Path) -> None:
    sources = sources_of(tmp_path, recognise=[{"never": "present"}, {"kind": ["Alpha", "Beta"], "old": "absent"}])
    assert recognised(sources, {"kind": "beta"}) == Recognised("tool", "kind is Alpha or Beta, old is absent")
    assert isinstance(recognised(sources, {"kind": "beta", "old": 1}), Rejected)


def test_priority_goes_before_the_name(tmp_path: Path) -> None:
    for name, priority in (("aaa", 0), ("bbb", 5), ("ccc", 5)):
        written(tmp_path, name, recognise=[{"kind": "present"}], priority=priority)
    assert recognised(load_sources([tmp_path]), {"kind": 1}) == Recognised("bbb", "kind is present")


def test_headers_are_a_part_of_what_is_recognised(tmp_path: Path) -> None:
    sources = sources_of(tmp_path, recognise=[{"headers.x-tool": "acme", "$": "present"}])
    assert recognised(sources, {}, [("X-Tool", b"Acme")]) == Recognised("tool", "headers.x-tool is acme, $ is present")
    assert isinstance(recognised(sources, {}), Rejected)


def test_a_cloud_event_whose_data_is_canonical_is_a_cloud_event() -> None:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"7"),
        ("ce_type", b"t"),
        ("ce_source", b"/s"),
        ("ce_subject", b"db-1"),
    ]
    for spelling in ("ce_", "ce-"):
        spelt = [(name.replace("ce_", spelling), value) for name, value in headers]
        found = recognised(load_sources(), EVENT, spelt)
        assert isinstance(found, Recognised)
        assert found.source == "cloudevents"


def test_texts_are_recognised_by_their_patterns() -> None:
    found = recognised(load_sources(), b"<165>1 2026-03-01T08:00:00Z db-1 app - ID47 - hello")
    assert isinstance(found, Recognised)
    assert found.source == "syslog"


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (b"{", Reject.INVALID_JSON, "Input data was truncated"),
        (b"hello", Reject.INVALID_JSON, "JSON is malformed: invalid character (byte 0)"),
        (b"[]", Reject.INVALID_FIELD, "Expected `object`, got `array`"),
        (EVENT | {"ci": 5}, Reject.INVALID_FIELD, "Expected `str`, got `int` - at `$.ci`"),
        ({"id": "1", "class": "c"}, Reject.INVALID_FIELD, "Object missing required field `time`"),
    ],
)
def test_what_looks_like_a_canonical_event_is_told_what_that_lacks(
    payload: object, reason: Reject, detail: str
) -> None:
    assert recognised(load_sources(), payload) == Rejected(reason, detail)


def test_what_nobody_knows_is_told_what_came_nearest() -> None:
    found = recognised(load_sources(), {"eventid": 1, "clock": 2})
    assert isinstance(found, Rejected)
    assert found.reason is Reject.INVALID_FIELD
    assert found.detail.startswith("recognised by no source (alertmanager, ")
    assert "; nearest is zabbix, which wants value present; as a canonical event: Object missing" in found.detail
    nothing = recognised(load_sources(), {"x": 1})
    assert isinstance(nothing, Rejected)
    assert "; none comes near; as a canonical event: " in nothing.detail


def test_a_header_names_the_source_of_a_record(tmp_path: Path) -> None:
    sources = sources_of(tmp_path)
    default = sources.named(AUTO)
    assert sources.of((), default) is default
    assert sources.of((("x", b"tool"), (SOURCE_HEADER, None)), default) is default
    assert sources.of((("OpsBridge-Source", b"tool"),), default) is sources.named("tool")
    refused = sources.of(((SOURCE_HEADER, b"toll"),), default)
    assert refused == Rejected(
        Reject.INVALID_FIELD, "unknown source 'toll'; did you mean 'tool'? - at header `opsbridge-source`"
    )


def test_a_source_that_there_is_not_is_told_with_all(tmp_path: Path) -> None:
    with pytest.raises(UnknownSourceError, match=r"unknown source 'xyz'; known are alertmanager, .*, zabbix"):
        sources_of(tmp_path).named("xyz")
