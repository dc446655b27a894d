"""Tests as rule files carry them: what they may say, and what is wrong with them, at its place."""

from pathlib import Path
from textwrap import dedent, indent

import pytest
from rule_files import carried_by, rule_file

from opsbridge.core.event import SEVERITIES
from opsbridge.rules import RuleError
from opsbridge.testing import timetable
from opsbridge.testing.entries import AlertEntry
from opsbridge.testing.load import load_tests
from opsbridge.testing.timetable import DEFAULT_START, known_fields

AN_ALERT = ("expect", 0, "alerts", 0)

DROP = """
- id: drop-debug
  kind: filter
  match: {class: Debug}
  action: drop
  tests:
"""


def with_tests(folder: Path, tests: str) -> Path:
    return rule_file(folder, DROP + indent(dedent(tests).strip("\n"), "    "))


def complaints(folder: Path, tests: str) -> list[str]:
    path = with_tests(folder, tests)
    with pytest.raises(RuleError) as refused:
        load_tests([path])
    return [str(finding).removeprefix(f"{path}:") for finding in refused.value.findings]


def test_what_arrives_is_in_order_of_time_and_has_ids(tmp_path: Path) -> None:
    path = with_tests(
        tmp_path,
        """
        - name: order
          events:
            - {at: 10s, ci: a, class: X, severity: major, labels: {k: v}}
            - {at: 5s, every: 5s, times: 3, ci: b, class: X, severity: info}
            - {at: 0s, ci: c, class: X, state: resolved, id: mine, fingerprint: f, source: s, summary: t}
          expect: [{at: 10s, alerts: []}]
        """,
    )
    (test,) = carried_by(path)
    assert [(report.id, report.ci) for report in test.reports] == [
        ("mine", "c"),
        ("e2.1", "b"),
        ("e1", "a"),
        ("e2.2", "b"),
        ("e2.3", "b"),
    ]
    assert (test.name, test.line, test.timetable.start) == ("drop-debug::order", 8, DEFAULT_START)
    mine, _, first, *_ = test.reports
    assert (mine.state, mine.severity, mine.fingerprint, mine.source, mine.summary) == ("resolved", None, "f", "s", "t")
    assert first.labels == {"k": "v"}
    assert int(first.time.timestamp() * 1000) == DEFAULT_START + 10_000


def test_a_start_says_what_0s_means(tmp_path: Path) -> None:
    path = with_tests(
        tmp_path,
        """
        - name: start
          start: 2026-03-29T02:30:00+01:00
          events: [{at: 500ms, ci: a, class: X, severity: major}]
          expect: [{at: 1s, alerts: []}]
        """,
    )
    assert carried_by(path)[0].reports[0].time.isoformat() == "2026-03-29T01:30:00.500000+00:00"


@pytest.mark.parametrize(
    ("test", "complaint"),
    [
        ("{name: a}", "8:9 : checks nothing: say under expect what should follow"),
        ("{name: a, expect: []}", "8:9 : checks nothing: say under expect what should follow"),
        (
            "{name: a, expect: [{at: 0s}]}",
            (
                "8:28 .expect[0]: checks nothing: give one of alerts, withheld, dropped, incidents, shadow, "
                "responses, changes, requests, notifications, problems"
            ),
        ),
        (
            "{name: a, expect: [{at: 0s, contains: true, alerts: []}]}",
            "8:28 .expect[0]: checks nothing: with contains, a list needs an entry",
        ),
        (
            "{name: a, expect: [{at: 0s, alerts: [{}]}]}",
            "8:46 .expect[0].alerts[0]: says nothing: name at least one field",
        ),
        (
            "{name: a, expect: [{at: 0s, alerts: [{x: y}]}]}",
            "8:47 .expect[0].alerts[0].x: unknown field; known are " + ", ".join(sorted(known_fields(AN_ALERT))),
        ),
        (
            "{name: a, expect: [{at: 0s, alert: []}]}",
            "8:37 .expect[0].alert: unknown field; did you mean 'alerts'?",
        ),
        (
            "{name: a, expect: [{at: 5, alerts: []}]}",
            "8:33 .expect[0].at: must be a duration such as 90s, 5m, 1h30m or 2d, not the number 5; say the unit: 5s",
        ),
        (
            "{name: a, events: [{at: 0s, ci: a, class: X}], expect: [{at: 0s, alerts: []}]}",
            "8:28 .events[0]: a firing event needs a severity",
        ),
        (
            "{name: a, events: [{at: 0s, ci: a, class: X, severity: bad}], expect: [{at: 0s, alerts: []}]}",
            "8:64 .events[0].severity: must be 'info', 'warning', 'minor', 'major' or 'critical', not 'bad'",
        ),
        (
            "{name: a, events: [{at: 0s, every: 1s, ci: a, class: X, state: resolved}]}",
            "8:28 .events[0]: repeats with every and times, both or none",
        ),
        (
            "{name: a, events: [{at: 0s, ci: a, class: X, state: resolved, labels: {n: 3}}]}",
            "8:83 .events[0].labels.n: must be text, not the number 3; put it in quotes",
        ),
        (
            "{name: a, topology: {cis: [{id: a}], depends_on: [[a, b]]}, expect: [{at: 0s, alerts: []}]}",
            "8:63 .topology.depends_on[0][1]: no CI has the id or alias 'b'",
        ),
        (
            "{name: a, topology: {cis: [{id: a}, {id: a}]}, expect: [{at: 0s, alerts: []}]}",
            "8:50 .topology.cis[1].id: 'a' is defined twice, first at PATH:8:41",
        ),
        (
            "{name: a, topology: {nodes: []}, expect: [{at: 0s, alerts: []}]}",
            "8:30 .topology.nodes: unknown field; known are cis, depends_on, origin, precedence",
        ),
        (
            "{name: a, start: 1999-12-31T00:00:00Z, expect: [{at: 0s, alerts: []}]}",
            "8:9 : starts before 2000-01-01",
        ),
        (
            "{name: a, start: 2099-12-31T00:00:00Z, expect: [{at: 5w, alerts: []}]}",
            "8:9 : goes on after 2100-01-01",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_place(tmp_path: Path, test: str, complaint: str) -> None:
    (told,) = complaints(tmp_path, f"- {test}")
    place, _, message = complaint.replace("PATH", str(tmp_path / "rules.yaml")).partition(" ")
    assert told == f"{place}: rule drop-debug: tests[0]{message}"


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    told = complaints(
        tmp_path,
        """
        - {name: a, expect: []}
        - {name: b, events: [{at: 0s}], expect: [{at: 0s, alerts: []}]}
        - {name: b, expect: [{at: 0s, alerts: []}]}
        """,
    )
    assert [line.split(": rule")[0] for line in told] == ["8:9", "9:28", "9:28", "10:16"]
    assert told[-1].endswith(f"tests[2].name: is taken by another test, at {tmp_path}/rules.yaml:9:16")


def test_an_event_that_no_source_could_send_is_refused(tmp_path: Path) -> None:
    long = "x" * 300_000
    (told,) = complaints(
        tmp_path,
        f"- {{name: a, events: [{{at: 0s, ci: a, class: X, severity: info, summary: {long}}}],"
        " expect: [{at: 0s, alerts: []}]}",
    )
    assert told.startswith("8:28: rule drop-debug: tests[0].events[0]: 300")
    assert told.endswith(" bytes, the limit is 262144")


def test_a_rule_file_that_is_wrong_is_refused_before_its_tests(tmp_path: Path) -> None:
    path = rule_file(tmp_path, "- {id: a, kind: filter, match: {class: X}, action: melt, tests: [{name: x}]}")
    with pytest.raises(RuleError, match="action: must be"):
        load_tests([path])


def test_rules_without_tests_are_named(tmp_path: Path) -> None:
    path = rule_file(tmp_path, "- {id: bare, kind: filter, match: {class: X}, action: drop}")
    assert load_tests([path]).untested == ["bare"]


def test_the_schema_says_what_a_test_may_say() -> None:
    schema = timetable.tests_schema()
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    assert set(definitions["Arrival"]["required"]) == {"at", "ci", "class"}
    assert definitions["Timetable"]["additionalProperties"] is False
    severities = AlertEntry.model_json_schema()["properties"]["severity"]["anyOf"][0]["enum"]
    assert tuple(severities) == SEVERITIES
