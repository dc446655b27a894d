"""What sound rules say once they are loaded: groups, windows, depths, keys, tests, and what is odd about them."""

import json
from pathlib import Path
from typing import TypeVar

import pytest

from opsbridge.core.calendar import AnyOf, ServiceTime, Span
from opsbridge.core.event import Verdict
from opsbridge.core.rulebook import (
    SOURCE,
    TARGET,
    Derivation,
    Flapping,
    Heartbeat,
    Hold,
    Inhibition,
    Maintenance,
    Raise,
    Sequence,
    Threshold,
    Trend,
)
from opsbridge.rules import Rule, RuleError, RuleFiles, lint, load_rules
from opsbridge.rules.language.durations import milliseconds, moment, written
from opsbridge.rules.matching.conditions import measured
from opsbridge.rules.rule import Constant, Enrich, FromField, FromTable, Identify, Keep, Planned

SOUND = Path(__file__).parent / "sound"
MINUTE = 60_000
_Says = TypeVar("_Says")


def sound(kind: str) -> list[Rule]:
    return list(load_rules([SOUND / f"{kind}.yaml"]).rules)


def says(rule: Rule, what: type[_Says]) -> _Says:
    assert isinstance(rule.says, what)
    return rule.says


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str) -> RuleFiles:
    Path("a.yaml").write_text(text)
    return load_rules(["a.yaml"])


def test_maintenance_by_change_records() -> None:
    *_, planned = (says(rule, Planned) for rule in sound("maintenance"))
    assert planned.gate == Maintenance(rule="c", windows=AnyOf(()), changes=True, remind_ms=30 * MINUTE)
    assert (set(planned.cis), planned.inherit) == (set(), False)


def test_filters() -> None:
    drop, route, keep = sound("filter")
    assert (drop.says, route.says, keep.says) == (Verdict("f1", drop=True), Verdict("f2", route="big-data"), Keep())
    assert [rule.shadow for rule in (drop, route, keep)] == [False, True, False]
    assert (keep.title, keep.description, keep.path, keep.line) == ("t", "d", str(SOUND / "filter.yaml"), 16)
    (ask,) = drop.asks
    assert (ask.firing, ask.resolved) == (True, False)
    holds = ask.match["class"].holds
    assert [text for text in ("A", "B", "Bx", "acd", "ac", "D1", "D", "xD1") if holds(text)] == [
        "A",
        "B",
        "Bx",
        "acd",
        "D1",
    ]


@pytest.mark.parametrize(
    ("label", "holds"),
    [("3", True), ("0.6", True), (" 2 ", True), ("1e0", True), ("0.5", False), ("3.01", False), ("-1", False)]
    + [(text, False) for text in ("", "three", "nan", "inf", "0_1", "2 days")]
    + [(None, False)],
)
def test_labels_compare_as_numbers(label: str | None, holds: bool) -> None:
    assert sound("filter")[1].asks[0].match["labels.days"].holds(label) is holds


def test_what_a_label_measures() -> None:
    assert [measured(value) for value in ("5", "-2.5", "x", "", None, 5, "1e400")] == [
        5,
        -2.5,
        None,
        None,
        None,
        None,
        None,
    ]


def test_labels_and_identities_are_asked_for_with_every_report() -> None:
    (enrich,), (dedup,) = sound("enrich"), sound("dedup")
    assert enrich.says == Enrich(
        {
            "a": Constant("text"),
            "b": FromField("ci.owner"),
            "c": FromTable({"fra": "net", "ber": "ops"}, "ci.site"),
        }
    )
    assert dedup.says == Identify(("ci", "class", "labels.interface"))
    assert [(ask.firing, ask.resolved) for rule in (enrich, dedup) for ask in rule.asks] == [(True, True)] * 2


def test_gates() -> None:
    assert sound("hold")[0].says == Hold(rule="a", for_ms=90 * MINUTE)
    assert sound("flapping")[0].says == Flapping(rule="a", enter=6, leave=2, within=10 * MINUTE)
    planned, everywhere, _ = (says(rule, Planned) for rule in sound("maintenance"))
    assert isinstance(planned.gate, Maintenance)
    assert planned.gate.remind_ms == 30 * MINUTE
    assert isinstance(planned.gate.windows, AnyOf)
    once, weekly, mondays = planned.gate.windows.windows
    assert once == Span(moment("2026-03-01T21:00:00Z"), moment("2026-03-02T04:00:00.500Z"))
    assert isinstance(weekly, ServiceTime)
    assert (str(weekly.zone), weekly.windows) == ("Europe/Berlin", ((0, 240), (8520, 8880), (9960, 10080)))
    assert isinstance(mondays, ServiceTime)
    assert (str(mondays.zone), mondays.windows) == ("UTC", ((0, 1440),))
    assert (list(planned.cis), planned.inherit) == (["ci.site"], False)
    assert (everywhere.cis, everywhere.inherit) == ({}, True)


def test_inhibitions() -> None:
    near, anywhere = sound("inhibit")
    assert near.says == Inhibition(rule="a")
    assert anywhere.says == Inhibition(rule="b", shadow=True)
    assert [(ask.part, ask.group_by) for ask in near.asks] == [
        (SOURCE, ("ci.site", "labels.rack")),
        (TARGET, ("ci.site", "labels.rack")),
    ]
    assert [ask.group_by for ask in anywhere.asks] == [(), ()]


def test_heartbeats_hear_all_events_if_nothing_else_is_said() -> None:
    expecting, firing = sound("heartbeat")
    assert says(expecting, Heartbeat).overdue_after == MINUTE
    assert expecting.expects is not None
    assert list(expecting.expects) == ["ci.type"]
    assert firing.expects is None
    assert [(ask.firing, ask.resolved) for rule in (expecting, firing) for ask in rule.asks] == [
        (True, True),
        (True, False),
    ]
    assert "state" not in firing.asks[0].match


def test_thresholds() -> None:
    events, values, percentile = (says(rule, Threshold) for rule in sound("threshold"))
    assert events.raises == Raise("B", 3, "{labels.u} {count} of {value}", "", 1)
    assert (events.group_by, events.timespan, events.resolve_after) == (("labels.u", "labels.host"), 300_000, 0)
    assert (events.at_least, values.at_least, percentile.at_least) == (3, 4, 0)
    assert [value for value in (2, 3, 3.0, 4) if events.holds(value)] == [3, 3.0, 4]
    assert [value for value in (3, 3.0, 4) if values.holds(value)] == [4]
    assert [value for value in (-2, -1.5, 999, 1000) if percentile.holds(value)] == [-1.5, 999]
    assert (percentile.percentile, percentile.resolve_after) == (99.9, 86_400_000)
    asks = [rule.asks[0] for rule in sound("threshold")]
    assert [(ask.measures, ask.as_number, ask.resolved) for ask in asks] == [
        ("", False, False),
        ("ci.site", False, False),
        ("labels.ms", True, True),
    ]


def test_sequences_and_trends() -> None:
    (sequence,), (trend,) = sound("sequence"), sound("trend")
    said = says(sequence, Sequence)
    assert (said.steps, said.ordered, said.missing, said.timespan, said.group_by) == (
        2,
        True,
        True,
        60 * MINUTE,
        ("ci",),
    )
    assert [(ask.part, ask.group_by, ask.firing, ask.resolved) for ask in sequence.asks] == [
        (0, ("ci",), True, False),
        (1, ("labels.host",), False, True),
    ]
    line = says(trend, Trend)
    assert (line.limit, line.rising, line.horizon, line.over, line.samples) == (95, False, 240 * MINUTE, 60 * MINUTE, 5)
    assert line.group_by == ("ci", "class")
    assert (trend.asks[0].measures, trend.asks[0].as_number) == ("labels.used", True)


def threshold(name: str, hears: str, raises: str, more: str = "") -> str:
    return (
        f"  - {{id: {name}, kind: threshold, type: event_count, match: {{{hears}}}, timespan: 5m, {more}\n"
        f"     condition: {{gte: 3}}, raise: {{class: {raises}, severity: major}}}}\n"
    )


TOP = "version: 1\nrules:\n"


def test_a_rule_is_deeper_than_those_it_hears(here: Path) -> None:
    files = load(
        TOP
        + threshold("top", "class: [C, X]", "D")
        + threshold("middle", "class: {glob: 'B*'}", "C")
        + threshold("low", "class: A", "B")
        + threshold("other", "class: A, labels.x: y", "X")
    )
    assert {rule.id: says(rule, Derivation).depth for rule in files.rules} == {
        "top": 2,
        "middle": 1,
        "low": 0,
        "other": 0,
    }


def test_a_rule_about_one_ci_is_not_heard_where_another_is_asked_for(here: Path) -> None:
    rule = threshold("a", "ci: {not: lab}", "B").replace("raise: {", "raise: {ci: lab, ")
    assert load(TOP + rule).rules
    with pytest.raises(RuleError, match="feed themselves"):
        load(TOP + rule.replace("ci: lab,", "ci: web,"))


@pytest.mark.parametrize(
    "hears",
    [
        "class: {not: [A, B]}",
        "source: icinga",
        "severity: {lt: major}",
        "labels.user: eve",
        "labels.user: {glob: '*'}, class: {glob: '*'}",
        "class: {regex: '[a-z]+'}",
    ],
)
def test_what_cannot_be_heard_makes_no_circle(hears: str, here: Path) -> None:
    (rule,) = load(TOP + threshold("a", hears, "B")).rules
    assert says(rule, Derivation).depth == 0


def test_a_label_that_is_added_may_be_heard(here: Path) -> None:
    enrich = "  - {id: e, kind: enrich, match: {class: x}, set: {labels.user: eve}}\n"
    with pytest.raises(RuleError, match="raises alerts that feed themselves"):
        load(TOP + threshold("a", "labels.user: eve", "B") + enrich)


def test_a_rule_s_key_changes_with_what_it_says_and_not_with_what_is_said_about_it(here: Path) -> None:
    def key(more: str, raises: str = "B") -> str:
        (rule,) = load(TOP + threshold("a", "class: A", raises, more)).rules
        return says(rule, Derivation).key

    first = key("")
    assert first.startswith("a@")
    assert len(first) == 14
    assert key("title: t, description: d, tests: [{name: n}],") == first
    assert key("group_by: [ci],") == first
    assert (
        len({first, key("group_by: [class, ci],"), key("resolve_after: 1h,"), key("shadow: true,"), key("", "C")}) == 5
    )


def test_the_text_of_a_rule_has_its_tables_and_not_its_tests(here: Path) -> None:
    def text(tables: str, tests: str = "") -> str:
        rule = "set: {labels.x: {table: t, by: ci}}"
        (loaded,) = load(f"tables: {tables}\n{TOP}  - {{id: a, kind: enrich, match: {{ci: x}}, {rule}{tests}}}\n").rules
        return loaded.text

    assert json.loads(text("{t: {a: b}}"))["tables"] == {"t": {"a": "b"}}
    assert text("{t: {a: b}}") == text("{t: {a: b}, u: {}}", ", tests: [{name: n}]")
    assert text("{t: {a: b}}") != text("{t: {a: c}}")


def test_tests_are_kept_with_their_place(here: Path) -> None:
    files = load(TOP + "  - {id: a, kind: hold, for: 1m, match: {class: A}, tests: [{name: one}, {events: 3}]}\n")
    (tests,) = files.tests
    assert (tests.rule, tests.said) == ("a", ({"name": "one"}, {"events": 3}))
    assert (tests.spot.document.path, tests.spot.loc) == ("a.yaml", ("rules", 0, "tests"))


def test_a_pattern_that_would_backtrack_takes_no_time(here: Path) -> None:
    files = load(TOP + "  - {id: a, kind: filter, action: drop, match: {summary: {regex: '(a+)+$'}}}\n")
    holds = files.rules[0].asks[0].match["summary"].holds
    assert holds("a" * 100_000)
    assert not holds("a" * 100_000 + "!")
    assert not holds(None)
    assert holds("a\na") is False


def test_a_point_of_a_regex_is_also_a_line_end_and_any_character(here: Path) -> None:
    files = load(TOP + "  - {id: a, kind: filter, action: drop, match: {summary: {regex: 'a.b'}}}\n")
    holds = files.rules[0].asks[0].match["summary"].holds
    assert [text for text in ("a\nb", "aäb", "a🧨b", "a\ud800b", "ab", "xaxb", "axbx") if holds(text)] == [
        "a\nb",
        "aäb",
        "a🧨b",
        "a\ud800b",
    ]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", 90_000),
        ("1d1ms", 86_400_001),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        ("500ms", 500),
        ("1w", 604_800_000),
    ],
)
def test_durations(text: str, length: int) -> None:
    assert milliseconds(text) == length
    assert milliseconds(written(length)) == length
    assert written(0) == "0s"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t01:00:00+01:00", 0),
        ("1969-12-31 19:00:00.25-05:00", 250),
        ("1970-01-01T00:00:00.123456789z", 123),
    ],
)
def test_moments(text: str, utc: int) -> None:
    assert moment(text) == utc


def warnings(text: str, now: int | None = None) -> list[str]:
    return [f"{finding.level} {finding}" for finding in lint(load(text), now)]


def test_rules_without_effect_are_seen(here: Path) -> None:
    drop, keep = "action: drop, match: {class: A, ci: b}", "action: keep, match: {ci: b, class: A}"
    earlier = "has no effect: an earlier rule of this kind asks for the same, at a.yaml:3:5"
    assert warnings(TOP + f"  - {{id: a, kind: filter, {keep}}}\n  - {{id: b, kind: filter, {drop}}}\n") == [
        f"warning a.yaml:4:41: rule b: match: {earlier}"
    ]
    assert (
        warnings(TOP + f"  - {{id: a, kind: filter, shadow: true, {keep}}}\n  - {{id: b, kind: filter, {drop}}}\n")
        == []
    )
    sets = "  - {{id: {}, kind: enrich, match: {{class: A}}, set: {{labels.{}: x}}}}\n"
    assert warnings(TOP + sets.format("a", "x") + sets.format("b", "y")) == []
    assert warnings(TOP + sets.format("a", "x") + sets.format("b", "y") + sets.format("c", "x")) == [
        f"warning a.yaml:5:27: rule c: match: {earlier}"
    ]


def test_tables_that_nobody_uses_are_seen(here: Path) -> None:
    rule = "  - {id: a, kind: enrich, match: {ci: x}, set: {labels.x: {table: t, by: ci}}}\n"
    assert warnings("tables: {t: {}, u: {}}\n" + TOP + rule) == [
        "warning a.yaml:1:17: tables.u: is used by no rule of this file"
    ]


def test_windows_that_are_over_are_seen_by_those_who_say_what_time_it_is(here: Path) -> None:
    window = "{from: 2026-03-01T00:00:00Z, to: 2026-03-02T00:00:00Z}"
    text = TOP + f"  - {{id: a, kind: maintenance, cis: {{ci: x}}, windows: [{window}, {{weekly: Sat 01:00-02:00}}]}}\n"
    assert warnings(text) == []
    assert warnings(text, moment("2026-03-01T23:59:59Z")) == []
    assert warnings(text, moment("2026-03-02T00:00:00Z")) == [
        "warning a.yaml:3:89: rule a: windows[0].to: this window is over; the rule can go when all of its windows are"
    ]


def test_alerts_that_are_raised_for_nobody_are_seen(here: Path) -> None:
    text = TOP + threshold("a", "class: A", "B")
    assert warnings(text) == []
    assert warnings(text.replace("severity: major", "severity: info")) == [
        (
            "warning a.yaml:4:55: rule a: raise.severity: is informational, so it is logged only and never correlated; "
            "`warning` and above are alerts"
        )
    ]


def test_warnings_about_a_file_that_is_gone_have_no_line(here: Path) -> None:
    files = load("tables: {u: {}}\n" + TOP + threshold("a", "class: A", "B"))
    Path("a.yaml").unlink()
    assert [str(finding) for finding in lint(files)] == ["a.yaml: tables.u: is used by no rule of this file"]
