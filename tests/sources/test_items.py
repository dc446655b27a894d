"""Several events in a payload: each by itself, each with its place; and what a payload as a whole can get wrong."""

from pathlib import Path

import msgspec
import pytest
from mappings import ARRIVED_MS, sources_of, told

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.intake import Report
from opsbridge.sources import canonical
from opsbridge.sources.language.support import MOST_ITEMS
from opsbridge.sources.source import MAX_BYTES

EACH = {"item": "items"}
FIELDS: dict[str, object] = {"id": "item.id", "ci": "item.ci"}


def ids(came: list[dict[str, object] | str]) -> list[object]:
    return [each["id"] if isinstance(each, dict) else each for each in came]


def test_each_item_is_accounted_for_by_itself(tmp_path: Path) -> None:
    payload = {
        "items": [{"id": "1", "ci": "x"}, {"id": "2"}, 7, {"id": "3", "ci": "x", "soft": True}, {"id": "4", "ci": "x"}]
    }
    skip = [{"reason": "soft", "when": {"item.soft": True}}]
    assert ids(told(tmp_path, payload, FIELDS, each=EACH, skip=skip)) == [
        "1",
        "rejected: no ci: item.ci is missing - at `$.items[1]`",
        "rejected: is the number 7, an object is wanted - at `$.items[2]`",
        "withheld: tool/soft",
        "4",
    ]


@pytest.mark.parametrize(
    ("items", "detail"),
    [
        ([], "is an empty list: no items"),
        (None, "is missing, a list of items is wanted"),
        ({}, "is a mapping, a list of items is wanted"),
        ("x", "is 'x', a list of items is wanted"),
        ([{}] * (MOST_ITEMS + 1), f"{MOST_ITEMS + 1} items, the limit is {MOST_ITEMS}"),
    ],
)
def test_a_list_of_items_that_is_none_is_one_rejection(items: object, detail: str, tmp_path: Path) -> None:
    assert told(tmp_path, {"items": items}, FIELDS, each=EACH) == [f"rejected: {detail} - at `$.items`"]


def test_lists_in_lists(tmp_path: Path) -> None:
    each = {"group": "groups", "item": "group.items"}
    let = {"name": [{"of": "group.name", "lower": True}, {"const": "nobody"}]}
    payload = {"groups": [{"name": "A", "items": [{"id": "1"}, {"id": "2"}]}, {"items": [{}]}, 5, {"items": []}]}
    fields: dict[str, object] = {"id": "item.id", "ci": "name"}
    came = told(tmp_path, payload, fields, each=each, let=let)
    assert ids(came) == [
        "1",
        "2",
        "rejected: no id: item.id is missing - at `$.groups[1].items[0]`",
        "rejected: is the number 5, an object is wanted - at `$.groups[2]`",
        "rejected: is an empty list: no items - at `$.groups[3].items`",
    ]
    assert [each["ci"] for each in came if isinstance(each, dict)] == ["a", "a"]


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        ({"items": [{"ci": "x"}]}, "$.items[0]"),
        ({"object": {"ci": "x"}}, "$.object"),
        ({"ci": "x"}, "$"),
        ({"items": None, "object": [{"ci": "x"}]}, "$.object[0]"),
    ],
)
def test_items_may_stand_in_several_places(payload: object, place: str, tmp_path: Path) -> None:
    each = {"item": ["items", "object", "$"]}
    assert told(tmp_path, payload, FIELDS, each=each) == [f"rejected: no id: item.id is missing - at `{place}`"]
    held = {"id": "1", "ci": "x"}
    assert ids(told(tmp_path, {"object": held}, FIELDS, each=each)) == ["1"]
    assert ids(told(tmp_path, held, FIELDS, each=each)) == ["1"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, Reject.INVALID_JSON),
        (b"{", Reject.INVALID_JSON),
        (b"\xff", Reject.INVALID_JSON),
        (b"[" * 2000 + b"]" * 2000, Reject.INVALID_JSON),
        (b" " * (MAX_BYTES + 1), Reject.TOO_LARGE),
        (b"null", Reject.INVALID_FIELD),
    ],
)
def test_a_payload_that_is_none_is_rejected(payload: bytes | None, reason: Reject, tmp_path: Path) -> None:
    (item,) = sources_of(tmp_path).named("tool").items(payload, (), ARRIVED_MS)
    assert isinstance(item, Rejected)
    assert item.reason is reason


def test_labels_are_merged_added_and_left_out(tmp_path: Path) -> None:
    labels = {"from": ["a", "b.c", "gone"], "add": {"d": "d", "e": "gone", "l": "l"}, "without": ["y"]}
    payload = {"id": "1", "ci": "x", "a": {"x": 1, "y": 2}, "b": {"c": {"x": "3"}}, "d": True, "l": ["p", {"q": 1}]}
    (event,) = told(tmp_path, payload, {"labels": labels})
    assert isinstance(event, dict)
    assert event["labels"] == {"x": "3", "d": "true", "l": 'p,{"q":1}'}


@pytest.mark.parametrize("add", [{}, {"more": "ci"}])
def test_the_largest_event_that_a_mapping_makes_is_a_canonical_event(add: dict[str, object], tmp_path: Path) -> None:
    fields: dict[str, object] = {"summary": "s", "fingerprint": "f", "labels": {"from": ["a"], "add": add}}
    names = {f"{number}{'n' * 1100}": "\x00" * 1100 for number in range(100)}
    payload = {"id": "\x00" * 512, "ci": "\x00" * 512, "f": "\x00" * 512, "s": "\x00" * 9000, "a": names}
    (item,) = sources_of(tmp_path, fields).named("tool").items(msgspec.json.encode(payload), (), ARRIVED_MS)
    assert isinstance(item, Report)
    assert len(item.summary) == 4000
    assert 10 < len(item.labels) <= 100
    assert max(len(text) for pair in item.labels.items() for text in pair) == 1000
    assert canonical.decode(msgspec.json.encode(item)) == item


def test_a_resolution_by_key_may_name_nothing_else(tmp_path: Path) -> None:
    fields: dict[str, object] = {
        "class": "class",
        "fingerprint": "key",
        "severity": "severity",
        "state": {"of": "up", "map": {"true": "resolved", "false": "firing"}},
    }
    (event,) = told(tmp_path, {"id": "1", "key": "k", "up": True}, fields, by_key=True)
    assert isinstance(event, dict)
    assert (event["ci"], event["class"], event["severity"], event["by_key"]) == ("", "", None, True)
    assert told(tmp_path, {"id": "1", "key": "k", "up": False}, fields, by_key=True) == [
        "rejected: no ci: ci is missing - at `$`"
    ]
    assert told(tmp_path, {"id": "1", "ci": "x", "class": "c", "up": True}, fields, by_key=True) == [
        "rejected: no fingerprint: key is missing - at `$`"
    ]


def test_texts_are_read_by_the_first_pattern_that_fits(tmp_path: Path) -> None:
    fields: dict[str, object] = {"id": {"hash": ["text"]}, "ci": "host", "summary": ["words", "text"]}
    patterns = ["^(?P<host>\\S+): (?P<words>.*)", "^!(?P<host>.+)$"]
    (first,) = told(tmp_path, "db-1: a\nb ä".encode() + b"\xff", fields, payload="text", patterns=patterns)
    (second,) = told(tmp_path, b"!db-2", fields, payload="text", patterns=patterns)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["ci"], first["summary"], second["ci"], second["summary"]) == ("db-1", "a\nb ä\ufffd", "db-2", "!db-2")
    assert told(tmp_path, b"?", fields, payload="text", patterns=patterns) == [
        "rejected: no pattern of tool fits - at `$`"
    ]


def test_headers_are_a_root(tmp_path: Path) -> None:
    fields: dict[str, object] = {"id": "headers.ce_id", "ci": 'headers."x-host"'}
    headers = (("CE-Id", b"7"), ("X-Host", b"db-1"), ("empty", None))
    assert ids(told(tmp_path, {}, fields, headers)) == ["7"]
