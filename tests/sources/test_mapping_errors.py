"""What is wrong with a mapping file is told with its place and in words: each message is printed here once."""

from pathlib import Path

import pytest
from mappings import complaints, sources_of, written

from opsbridge.core.decisions import Rejected
from opsbridge.core.intake import Report
from opsbridge.sources.catalogue import load_sources
from opsbridge.sources.language.reading import SourceError

WRONG: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    # complaint about: (fields, the rest of the file, message)
    "an unknown field": ({}, {"pattrns": []}, "pattrns: unknown field; did you mean 'patterns'?"),
    "an unknown field of the event": ({"sevrity": "a"}, {}, "fields.sevrity: unknown field; did you mean 'severity'?"),
    "a field that is missing": ({"state": None}, {}, "fields.state: is required"),
    "no CI": ({"ci": None}, {}, "fields: has no ci, which every event needs (with `by_key`, not resolutions)"),
    "a number for a path": ({"ci": 5}, {}, "fields.ci: must be a path, a list or a mapping, not the number 5; a constant is {const: ...}"),
    "a path with a blank": ({"ci": "free space"}, {}, "fields.ci: 'free space' is no path: ' space' is not understood; names with dots or blanks are \"quoted\""),
    "an empty path": ({"ci": ""}, {}, "fields.ci: '' is no path: it is not understood; names with dots or blanks are \"quoted\""),
    "a path in the middle of nothing": ({"ci": "a..b"}, {}, "fields.ci: 'a..b' is no path: '..b' is not understood; names with dots or blanks are \"quoted\""),
    "an empty list": ({"ci": []}, {}, "fields.ci: is an empty list: nothing to choose from"),
    "an unknown form": ({"ci": {"off": "a", "host": True}}, {}, "fields.ci: says none of const, template, hash, when, of; did you mean 'of'?"),
    "no operation": ({"ci": {"of": "a", "hots": True}}, {}, "fields.ci: does nothing to `of`; say one of map, ranges, pattern, mod, div, hex, host, lower, json; did you mean 'host'?"),
    "two operations": ({"ci": {"of": "a", "host": True, "lower": True}}, {}, "fields.ci: does host and lower to `of`; say one of map, ranges, pattern, mod, div, hex, host, lower, json"),
    "more than a constant": ({"ci": {"const": "a", "of": "b"}}, {}, "fields.ci.of: unknown field; known are const"),
    "an empty constant": ({"ci": {"const": ""}}, {}, "fields.ci.const: must not be empty"),
    "a constant of a list": ({"ci": {"const": ["a"]}}, {}, "fields.ci.const: must be text, not a list"),
    "a brace by itself": ({"ci": {"template": "{a} }"}}, {}, "fields.ci.template: has a } by itself; say }} for the character"),
    "a hash of a text": ({"id": {"hash": "a"}}, {}, "fields.id.hash: must be a list of expressions, not 'a'"),
    "an unknown field of the event in use": ({"id": "$name"}, {}, "fields.id: there is no $name; known are $source, $ci, $class, $time, $state, $severity, $summary, $fingerprint, $id"),
    "a field of the event too early": ({"ci": "$state"}, {}, "fields.ci: $state is not known yet here; so far there are $source"),
    "a key twice": ({"ci": {"of": "a", "map": {"A": "x", "a": "y"}}}, {}, "fields.ci.map.a: is there twice: keys are compared in lower case"),
    "an empty table": ({"ci": {"of": "a", "map": {}}}, {}, "fields.ci.map: must be a mapping of values to values, not a mapping"),
    "ranges of words": ({"ci": {"of": "a", "ranges": {"low": "x"}}}, {}, "fields.ci.ranges.low: must be a number, not 'low'"),
    "host: false": ({"ci": {"of": "a", "host": False}}, {}, "fields.ci.host: must be true, not false"),
    "a remainder of nothing": ({"ci": {"of": "a", "mod": 0}}, {}, "fields.ci.mod: must be a whole number above 0, not the number 0"),
    "no regular expression": ({"ci": {"of": "a", "pattern": "(a"}}, {}, "fields.ci.pattern: is no regular expression of RE2: missing ): (a"),
    "two groups": ({"ci": {"of": "a", "pattern": "(a)(b)"}}, {}, "fields.ci.pattern: must have one group, the part that is wanted; it has 2 groups, 0 of them named"),
    "a long expression": ({"ci": {"of": "a", "pattern": "a" * 2001}}, {}, "fields.ci.pattern: is longer than 2000 characters; patterns may be split: the first that fits counts"),
    "when without then": ({"ci": {"when": {"a": 1}, "else": "b"}}, {}, "fields.ci: says `when` without `then`"),
    "when nothing": ({"ci": {"when": {}, "then": "b"}}, {}, "fields.ci.when: must be a mapping of paths to what is wanted, not empty"),
    "wanted in two ways": ({"ci": {"when": {"a": {"not": 1, "pattern": "b"}}, "then": "b"}}, {}, "fields.ci.when.a: must say `not` or `pattern`, and nothing else"),
    "wanted: one of none": ({"ci": {"when": {"a": []}, "then": "b"}}, {}, "fields.ci.when.a: is an empty list, which nothing is in"),
    "an unknown time": ({"time": {"of": "a", "as": "epoc"}}, {}, "fields.time.as: must be one of rfc3339, epoch, epoch_ms, epoch_ns, rfc3164, not 'epoc'"),
    "a time of nothing": ({"time": {"as": "epoch"}}, {}, "fields.time: says how a time is written, and not `of` what"),
    "no zone": ({"time": {"of": "a", "zone": "Mars/Base"}}, {}, "fields.time.zone: 'Mars/Base' is no IANA time zone, as Europe/Berlin is"),
    "a state of others": ({"state": {"of": "a", "map": {"up": "ok"}}}, {}, "fields.state: can be 'ok'; known are firing, resolved"),
    "a severity of others": ({"severity": [{"of": "a", "ranges": {"1": "high"}}, {"const": "info"}]}, {}, "fields.severity: can be 'high'; known are critical, info, major, minor, warning"),
    "a reason of several words": ({}, {"skip": [{"reason": "a b", "when": {"a": 1}}]}, "skip[0].reason: must be a word of a-z, 0-9 and _; it is 'a b'"),
    "patterns of JSON": ({}, {"patterns": ["(?P<a>.)"]}, "patterns: are for `payload: text`, which needs at least one"),
    "text without patterns": ({}, {"payload": "text"}, "patterns: are for `payload: text`, which needs at least one"),
    "a group that there is not": ({"id": "text", "ci": "hots"}, {"payload": "text", "patterns": ["(?P<host>.)"]}, "fields.ci: hots is no group of the patterns, nor a name of `let`"),
    "a broken pattern": ({"id": "text", "ci": "text"}, {"payload": "text", "patterns": ["*"]}, "patterns[0]: is no regular expression of RE2: no argument for repetition operator: *"),
    "a name twice": ({}, {"each": {"a": "b"}, "let": {"a": "c"}}, "let.a: is the name of another root"),
    "a name that is taken": ({}, {"let": {"headers": "c"}}, "let.headers: is the name of another root"),
    "items of a later list": ({}, {"each": {"a": "b.x", "b": "c"}}, "each.a: refers to b, whose items come later"),
    "a root of a later one": ({}, {"let": {"a": "b.x", "b": "c"}}, "let.a: refers to b, which is derived later"),
    "pairs without a name": ({}, {"let": {"a": {"pairs": "b", "value": "v"}}}, "let.a: pairs needs `key`"),
    "groups without names": ({}, {"let": {"a": {"match": "b", "pattern": "(.)"}}}, "let.a.pattern: must have named groups, as (?P<name>...); it has 1 groups, 0 of them named"),
    "keys without a key": ({"ci": None, "class": None}, {"by_key": True}, "by_key: needs `fields.fingerprint`, the key that alerts are kept by"),
    "too deep": ({"ci": [[[[[[[[[[[[[[[[[[[[["a"]]]]]]]]]]]]]]]]]]]]]}, {}, "fields.ci" + "[0]" * 19 + ": is nested too deeply"),
}  # fmt: skip
# ruff: noqa: E501  # a line for each complaint reads better than five


@pytest.mark.parametrize("name", WRONG)
def test_a_mapping_that_is_wrong_is_told_what_and_where(name: str, tmp_path: Path) -> None:
    fields, more, message = WRONG[name]
    assert message in complaints(tmp_path, fields, **more)


def test_names_that_are_built_in_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="source: auto is built in; choose another name"):
        load_sources([written(tmp_path, "auto")])


def test_a_mapping_is_called_as_its_file(tmp_path: Path) -> None:
    path = written(tmp_path).rename(tmp_path / "other.json")
    with pytest.raises(SourceError, match=r"other.json:1:12: source tool: source: is tool, and the file other"):
        load_sources([path])


def test_two_files_of_one_name_are_told_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    written(tmp_path)
    written(tmp_path / "more")
    with pytest.raises(SourceError, match=r"source tool: is told by another file, at .*tool\.json:1:12"):
        load_sources([tmp_path])


def test_all_that_is_wrong_is_told_at_once_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "tool.yaml"
    path.write_text(
        "source: tool\ntitle: T\nfields:\n  id: a b\n  time: arrival\n  ci: {of: a}\n"
        "  class: c\n  state: {const: on}\n  source: {const: t}\n"
    )
    with pytest.raises(SourceError) as raised:
        load_sources([path])
    places = [(finding.line, finding.column) for finding in raised.value.findings]
    assert places == [(4, 7), (6, 7), (8, 10)]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        load_sources([tmp_path / "none.yaml"])


def test_a_directory_may_have_samples_and_hidden_files(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "tool.samples.yaml").write_text("[nonsense")
    (tmp_path / ".tool.yaml").write_text("[nonsense")
    assert "tool" in load_sources([tmp_path]).names


def test_a_file_of_the_users_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    sources = load_sources([written(tmp_path, "zabbix")])
    assert sources.mapped["zabbix"].mapping.title == "A tool"
    assert [each.name for each in sources.described() if each.own] == ["zabbix"]


def test_nothing_of_a_file_is_code(tmp_path: Path) -> None:
    hostile = "x\"'{__import__('os').abort()}\\"
    path = '"{__import__(1)}\\"'
    fields: dict[str, object] = {
        "ci": [path, {"const": hostile}],
        "summary": {"template": "x\"'{{__import__('os').abort()}}\\"},
        "class": {"of": "a", "map": {hostile: hostile}, "default": hostile},
        "labels": {"add": {hostile: "a"}, "without": [hostile + "2"]},
    }
    tool = sources_of(tmp_path, fields).named("tool")
    (event,) = tool.items(b'{"id": "1", "a": "y"}', (), 0)
    assert isinstance(event, Report)
    assert event.ci == event.summary == event.class_ == hostile
    assert event.labels == {hostile: "y"}
    (refused,) = tool.items(b'{"id": "1", "{__import__(1)}\\\\": []}', (), 0)
    assert isinstance(refused, Rejected)
    assert refused.detail == "is a list, a single value is wanted - at `$.{__import__(1)}\\`"
