"""Every form of a value expression, a time, a condition and a derived root: what it comes to, and what it refuses."""

from hashlib import sha256
from pathlib import Path

import pytest
from mappings import told

TEXTS: dict[str, tuple[object, object, object]] = {
    # name: (expression, payload besides id and ci, the summary that comes of it)
    "a path": ("a.b", {"a": {"b": "x"}}, "x"),
    "a quoted path": ('a."free space"."x.y"', {"a": {"free space": {"x.y": "1%"}}}, "1%"),
    "a field with a dot, an at sign and dashes": ("@a-b/c_d", {"@a-b/c_d": "x"}, "x"),
    "the first item": ("a[0].b", {"a": [{"b": "x"}, {"b": "y"}]}, "x"),
    "the last item": ("a[-1]", {"a": ["x", "y"]}, "y"),
    "an item that is not there": ("a[2]", {"a": ["x"]}, ""),
    "an item before the first": ("a[-2]", {"a": ["x"]}, ""),
    "an item of no list": ("a[0]", {"a": "x"}, ""),
    "below a text": ("a.b", {"a": "x"}, ""),
    "null": ("a", {"a": None}, ""),
    "the payload": ("$.a", {"a": "x"}, "x"),
    "a whole number": ("a", {"a": 7}, "7"),
    "zero": (["a", {"const": "none"}], {"a": 0}, "0"),
    "false": (["a", {"const": "none"}], {"a": False}, "false"),
    "a number without a fraction": ("a", {"a": 2.0}, "2"),
    "a number with one": ("a", {"a": 2.5}, "2.5"),
    "the first that is present": (["a", "b", "c"], {"a": "", "c": "x"}, "x"),
    "none that is present": (["a", "b"], {}, ""),
    "a constant": ({"const": 5}, {}, "5"),
    "a template": ({"template": "{a}: {{{b.c}}} {$class}"}, {"a": 1, "b": {"c": "x"}}, "1: {x} C"),
    "a template without a part": ({"template": "{a} {b}"}, {"a": 1}, ""),
    "a template with quotes and backslashes": ({"template": "\"'\\n{a}\n"}, {"a": "x"}, "\"'\\nx\n"),
    "a template of nothing else": ({"template": "plain"}, {}, "plain"),
    "a hash": ({"hash": ["a", "b", {"const": 'c"{'}]}, {"a": "x"}, sha256(b'x\x1f\x1fc"{').hexdigest()[:16]),
    "a table": ({"of": "a", "map": {"UP": "x", "down": "y"}}, {"a": "Up"}, "x"),
    "a table of numbers": ({"of": "a", "map": {"1": "x"}}, {"a": 1.0}, "x"),
    "a table that says missing": ([{"of": "a", "map": {"up": None}}, {"const": "z"}], {"a": "up"}, "z"),
    "a table's default": ({"of": "a", "map": {"up": "x"}, "default": "z"}, {"a": "left"}, "z"),
    "a table's default that is an expression": (
        {"of": "a", "map": {"up": "x"}, "default": ["b"]},
        {"a": "?", "b": 1},
        "1",
    ),
    "a default is not for what is missing": ([{"of": "a", "map": {"up": "x"}, "default": "z"}, "b"], {"b": "y"}, "y"),
    "a range": ({"of": "a", "ranges": {"1": "low", "9": "mid", "13": "high"}}, {"a": 12.9}, "mid"),
    "the top range": ({"of": "a", "ranges": {"1": "low", "13": "high"}}, {"a": "400"}, "high"),
    "below all ranges": ({"of": "a", "ranges": {"1": "low"}, "default": "none"}, {"a": 0}, "none"),
    "a range of nothing": ({"of": "a", "ranges": {"1": "low"}, "default": "none"}, {}, ""),
    "a host with a port": ({"of": "a", "host": True}, {"a": "db-1:9100"}, "db-1"),
    "a host without": ({"of": "a", "host": True}, {"a": "db-1"}, "db-1"),
    "an address in brackets": ({"of": "a", "host": True}, {"a": "[2001:db8::1]:9100"}, "2001:db8::1"),
    "an address by itself": ({"of": "a", "host": True}, {"a": "2001:db8::1"}, "2001:db8::1"),
    "a URL": ({"of": "a", "host": True}, {"a": "https://user:p@shop.example.net:8443/x?y=1"}, "shop.example.net"),
    "a URL of an address": ({"of": "a", "host": True}, {"a": "http://[2001:db8::1]/"}, "2001:db8::1"),
    "a pattern": ({"of": "a", "pattern": "host=(\\S+)"}, {"a": "x host=db-1 y"}, "db-1"),
    "a pattern that does not fit": ([{"of": "a", "pattern": "^(\\d+)$"}, "a"], {"a": "x"}, "x"),
    "lower case": ({"of": "a", "lower": True}, {"a": "ÄB"}, "äb"),
    "JSON": ({"of": "a", "json": True}, {"a": {"b": [1, None]}}, '{"b":[1,null]}'),
    "JSON of a text": ({"of": "a", "json": True}, {"a": "x"}, "x"),
    "a remainder": ({"of": "a", "mod": 8}, {"a": 165}, "5"),
    "a quotient": ({"of": "a", "div": 8}, {"a": "165"}, "20"),
    "hexadecimal": ({"of": "a", "hex": 16}, {"a": 10187108434560004865}, "8d5fe125ca55b301"),
    "hexadecimal of a text": ({"of": "a", "hex": 4}, {"a": "10187108434560004865"}, "8d5fe125ca55b301"),
    "one of two": ({"when": {"a": "up"}, "then": "b", "else": "c"}, {"a": "UP", "b": "x", "c": "y"}, "x"),
    "the other": ({"when": {"a": "up"}, "then": "b", "else": "c"}, {"a": "?", "b": "x", "c": "y"}, "y"),
    "neither": ([{"when": {"a": "up"}, "then": "b"}, {"const": "z"}], {"b": "x"}, "z"),
    "what was computed": (
        {"when": {"$state": "firing", "$severity": {"not": "minor"}}, "then": "$time"},
        {},
        "2026-03-01T08:00:00.000Z",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_value_expression_comes_to(name: str, tmp_path: Path) -> None:
    expression, payload, text = TEXTS[name]
    (event,) = told(tmp_path, {"id": "1", "ci": "x", **payload}, {"summary": expression})  # type: ignore[dict-item]
    assert isinstance(event, dict), event
    assert event["summary"] == text


WANTED: dict[str, tuple[object, object, bool]] = {
    # name: (wanted of `a`, payload besides id and ci, does it hold)
    "present": ("present", {"a": 0}, True),
    "not present": ("present", {"a": ""}, False),
    "absent": ("absent", {"a": None}, True),
    "not absent": ("absent", {"a": []}, False),
    "this": ("Up", {"a": "uP"}, True),
    "not this": ("up", {}, False),
    "a number": (0, {"a": "0"}, True),
    "true": (True, {"a": True}, True),
    "one of these": ([0, "soft"], {"a": "SOFT"}, True),
    "none of these": ([0, "soft"], {"a": {"b": 1}}, False),
    "not": ({"not": [0, ""]}, {"a": 1}, True),
    "not, but missing": ({"not": [0]}, {}, False),
    "not not": ({"not": 0}, {"a": 0}, False),
    "a pattern": ({"pattern": "^arn:"}, {"a": "arn:x"}, True),
    "not that pattern": ({"pattern": "^arn:"}, {"a": 7}, False),
}


@pytest.mark.parametrize("name", WANTED)
def test_a_condition_holds_or_not(name: str, tmp_path: Path) -> None:
    wanted, payload, holds = WANTED[name]
    skip = [{"reason": "so_it_is", "when": {"a": wanted}}]
    (came,) = told(tmp_path, {"id": "1", "ci": "x", **payload}, skip=skip)  # type: ignore[dict-item]
    assert (came == "withheld: tool/so_it_is") is holds


def test_all_conditions_must_hold(tmp_path: Path) -> None:
    skip = [{"reason": "both", "when": {"a": 1, "b": 2}}]
    assert told(tmp_path, {"id": "1", "ci": "x", "a": 1, "b": 2}, skip=skip) == ["withheld: tool/both"]
    (event,) = told(tmp_path, {"id": "1", "ci": "x", "a": 1, "b": 3}, skip=skip)
    assert isinstance(event, dict)


TIMES: dict[str, tuple[object, object, str]] = {
    # name: (expression, the payload's `t`, the time that comes of it)
    "RFC 3339": ("t", "2026-03-01T09:00:00.5+01:00", "2026-03-01T08:00:00.500Z"),
    "an offset without a colon": ("t", "2026-03-01T08:00:00.236+0000", "2026-03-01T08:00:00.236Z"),
    "nanoseconds are cut": ("t", "2026-03-01T08:00:00.123456789Z", "2026-03-01T08:00:00.123Z"),
    "a zone that is said": ({"of": "t", "zone": "Europe/Berlin"}, "2026-03-01 09:00:00", "2026-03-01T08:00:00.000Z"),
    "seconds": ({"of": "t", "as": "epoch"}, 1772352000, "2026-03-01T08:00:00.000Z"),
    "seconds as text": ({"of": "t", "as": "epoch"}, "1772352000", "2026-03-01T08:00:00.000Z"),
    "seconds with decimals": ({"of": "t", "as": "epoch"}, 1772352000.72, "2026-03-01T08:00:00.720Z"),
    "milliseconds": ({"of": "t", "as": "epoch_ms"}, 1772352000123, "2026-03-01T08:00:00.123Z"),
    "nanoseconds": ({"of": "t", "as": "epoch_ns"}, "1772352000123456789", "2026-03-01T08:00:00.123Z"),
    "seconds and nanoseconds": ({"epoch": "t", "nanoseconds": "n"}, 1772352000, "2026-03-01T08:00:00.987Z"),
    "this year": ({"of": "t", "as": "rfc3164"}, "Feb 28 23:59:59", "2026-02-28T23:59:59.000Z"),
    "last year": ({"of": "t", "as": "rfc3164"}, "Dec  1 08:00:00", "2025-12-01T08:00:00.000Z"),
    "with a zone": (
        {"of": "t", "as": "rfc3164", "zone": "Europe/Berlin"},
        "Mar  1 09:00:00.25",
        "2026-03-01T08:00:00.250Z",
    ),
    "a leap day": ({"of": "t", "as": "rfc3164"}, "Mar  1 00:00:00", "2026-03-01T00:00:00.000Z"),
    "a value that counts as missing": (
        [{"of": "t", "not": ["0001-01-01T00:00:00Z"]}, "arrival"],
        "0001-01-01T00:00:00Z",
        "2026-03-01T08:00:00.000Z",
    ),
    "zero that counts as missing": ([{"of": "t", "as": "epoch", "not": 0}, "arrival"], 0, "2026-03-01T08:00:00.000Z"),
    "missing": (["t", "arrival"], None, "2026-03-01T08:00:00.000Z"),
    "one of two": (
        {"when": {"t": "present"}, "then": {"of": "t", "as": "epoch"}, "else": "arrival"},
        1772352001,
        "2026-03-01T08:00:01.000Z",
    ),
}


@pytest.mark.parametrize("name", TIMES)
def test_a_time_comes_to(name: str, tmp_path: Path) -> None:
    expression, value, moment = TIMES[name]
    (event,) = told(tmp_path, {"id": "1", "ci": "x", "t": value, "n": 987654321}, {"time": expression})
    assert isinstance(event, dict), event
    assert event["time"] == moment


LETS: dict[str, tuple[object, object, object]] = {
    # name: (derived root `r`, the payload's `a`, labels that come of it)
    "JSON in a text": ({"json": "a"}, '{"x": 1}', {"x": "1"}),
    "no JSON": ({"json": "a"}, "{", {}),
    "pairs": ({"pairs": "a", "key": "k", "value": "v"}, [{"k": "x", "v": 1}, {"k": "x", "v": 2}, 7, {}], {"x": "1,2"}),
    "pairs that are a mapping": ({"pairs": "a", "key": "k", "value": "v"}, {"x": "1"}, {"x": "1"}),
    "pairs of OpenTelemetry": (
        {"pairs": "a", "key": "key", "value": "otlp"},
        [
            {"key": "s", "value": {"stringValue": "x"}},
            {"key": "i", "value": {"intValue": "7"}},
            {"key": "l", "value": {"arrayValue": {"values": [{"boolValue": True}, {"doubleValue": 1.5}]}}},
            {"key": "m", "value": {"kvlistValue": {"values": [{"key": "x", "value": {"stringValue": "y"}}]}}},
            {"key": "n", "value": {}},
        ],
        {"s": "x", "i": "7", "l": "true,1.5", "m.x": "y"},
    ),
    "a list in a text": ({"split": "a"}, "env:prod,role:db:main,up", {"env": "prod", "role": "db:main", "up": ""}),
    "other separators": ({"split": "a", "by": ";", "of": "="}, "env=prod; x=1", {"env": "prod", "x": "1"}),
    "a list of texts": ({"split": "a"}, ["env:prod", "up"], {"env": "prod", "up": ""}),
    "the same name twice": ({"split": "a"}, "x:1,x:2", {"x": "1,2"}),
    "groups": ({"match": "a", "pattern": "(?P<x>[a-z]+)-(?P<y>\\d+)?"}, "db-", {"x": "db"}),
    "groups that do not fit": ({"match": "a", "pattern": "(?P<x>[a-z]+)$"}, "1", {}),
    "every place": (
        {"scan": "a", "pattern": '(\\w+)="((?:[^"\\\\]|\\\\.)*)"'},
        'x="1" y="a\\"b\\]"',
        {"x": "1", "y": 'a"b]'},
    ),
    "a choice": ([{"json": "a"}, "b"], "no", {"z": "1"}),
    "a mapping": ("a", {"x": {"y": [1, None, "z"]}, "n": None, "e": ""}, {"x.y": "1,,z", "e": ""}),
    "what is no mapping": ("a", 7, {"r": "7"}),
    "by the key": ({"value_of": "a"}, {"up": {"x": 1}}, {"x": "1"}),
    "by a key of several": ({"value_of": "a"}, {"up": {"x": 1}, "down": {}}, {}),
}


@pytest.mark.parametrize("name", LETS)
def test_a_derived_root_comes_to(name: str, tmp_path: Path) -> None:
    let, value, labels = LETS[name]
    payload = {"id": "1", "ci": "x", "a": value, "b": {"z": "1"}}
    (event,) = told(tmp_path, payload, {"labels": {"from": ["r"]}}, let={"r": let})
    assert isinstance(event, dict), event
    assert event["labels"] == labels


def test_the_single_key_of_an_object_is_a_text(tmp_path: Path) -> None:
    fields: dict[str, object] = {"summary": {"template": "{kind} {held.name}"}}
    let = {"kind": {"key_of": "data"}, "held": {"value_of": "data"}}
    (event,) = told(tmp_path, {"id": "1", "ci": "x", "data": {"up": {"name": "n"}}}, fields, let=let)
    assert isinstance(event, dict)
    assert event["summary"] == "up n"


REFUSED: dict[str, tuple[dict[str, object], object, str]] = {
    # name: (fields, payload, detail)
    "no field": ({"ci": ["a.b", "c"]}, {"id": "1"}, "no ci: none of a.b, c - at `$`"),
    "no field of one path": ({}, {"id": "1"}, "no ci: ci is missing - at `$`"),
    "no severity": ({"severity": "s"}, {"id": "1", "ci": "x"}, "no severity: s is missing - at `$`"),
    "a list for a text": ({}, {"id": "1", "ci": ["x"]}, "is a list, a single value is wanted - at `$.ci`"),
    "an object for a text": (
        {"ci": "a[0].b"},
        {"id": "1", "a": [{"b": {}}]},
        "is a mapping, a single value is wanted - at `$.a[0].b`",
    ),
    "an unknown value": (
        {"severity": {"of": "s", "map": {"A": "major", "b": "minor"}}},
        {"id": "1", "ci": "x", "s": "c"},
        "is 'c'; known are a, b - at `$.s`",
    ),
    "below the ranges": (
        {"severity": {"of": "s", "ranges": {"1": "major"}}},
        {"id": "1", "ci": "x", "s": 0},
        "is 0, the least that is known is 1 - at `$.s`",
    ),
    "no number": (
        {"severity": {"of": "s", "ranges": {"1": "major"}}},
        {"id": "1", "ci": "x", "s": "c"},
        "is 'c', a number is wanted - at `$.s`",
    ),
    "no number either": (
        {"severity": {"of": "s", "ranges": {"1": "major"}}},
        {"id": "1", "ci": "x", "s": True},
        "is true, a number is wanted - at `$.s`",
    ),
    "not even infinity": (
        {"severity": {"of": "s", "ranges": {"1": "major"}}},
        {"id": "1", "ci": "x", "s": "inf"},
        "is 'inf', a number is wanted - at `$.s`",
    ),
    "no severity of ours": (
        {"severity": "s"},
        {"id": "1", "ci": "x", "s": "high"},
        "is 'high'; known are critical, info, major, minor, warning - at `$.s`",
    ),
    "no state of ours": (
        {"state": "s"},
        {"id": "1", "ci": "x", "s": "up"},
        "is 'up'; known are firing, resolved - at `$.s`",
    ),
    "no time": ({"time": "t"}, {"id": "1", "ci": "x", "t": "soon"}, "is 'soon', an RFC 3339 time is wanted - at `$.t`"),
    "no offset": (
        {"time": "t"},
        {"id": "1", "ci": "x", "t": "2026-03-01"},
        "is '2026-03-01', a time without an offset; say its `zone` in the mapping - at `$.t`",
    ),
    "a time before all": (
        {"time": {"of": "t", "as": "epoch"}},
        {"id": "1", "ci": "x", "t": -1},
        "is the number -1, a time from 1970 on in units of 1/1 s is wanted - at `$.t`",
    ),
    "no nanoseconds": (
        {"time": {"epoch": "t", "nanoseconds": "n"}},
        {"id": "1", "ci": "x", "t": 1, "n": 10**9},
        "has the number 1000000000 nanoseconds - at `$.t`",
    ),
    "no BSD time": (
        {"time": {"of": "t", "as": "rfc3164"}},
        {"id": "1", "ci": "x", "t": "Foo 1 1"},
        "is 'Foo 1 1', a time as `Oct  1 22:14:15` is wanted - at `$.t`",
    ),
    "a day that no year has": (
        {"time": {"of": "t", "as": "rfc3164"}},
        {"id": "1", "ci": "x", "t": "Feb 30 00:00:00"},
        "is 'Feb 30 00:00:00', which no year near 2026 has - at `$.t`",
    ),
    "too long an id": ({}, {"id": "i" * 513, "ci": "x"}, "id has 513 characters, the limit is 512 - at `$`"),
    "too long a CI": ({}, {"id": "1", "ci": "x" * 600}, "ci has 600 characters, the limit is 512 - at `$`"),
    "too long a fingerprint": (
        {"fingerprint": "f"},
        {"id": "1", "ci": "x", "f": "f" * 600},
        "fingerprint has 600 characters, the limit is 512 - at `$`",
    ),
    "no object": ({}, [1], "is a list, an object is wanted - at `$`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    fields, payload, detail = REFUSED[name]
    assert told(tmp_path, payload, fields) == [f"rejected: {detail}"]
