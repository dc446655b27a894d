"""What rules make of one event: told condition by condition, and never otherwise than the compiled rules decide."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rule_files import rule_file

from opsbridge.cli.rules_explain import text
from opsbridge.core.decisions import Rejected, Withheld
from opsbridge.core.event import SEVERITIES, Event, Verdict
from opsbridge.core.graph import CI, CIGraph, Edge
from opsbridge.core.intake import Intake, Report
from opsbridge.rules import compile_rules, load_rules
from opsbridge.sources.canonical import decode
from opsbridge.testing.explain import Explanation, NoEventError, RuleAnswer, explain
from opsbridge.testing.words import readable, similar

ESTATE: Final = CIGraph(
    [CI("app", site="x"), CI("db", type="database", owner="dba", tier=1), CI("host", type="host")],
    edges=[Edge(0, 1), Edge(1, 2)],
)


def report(**said: object) -> Report:
    found = decode(json.dumps({"id": "e", "time": "2026-01-05T12:00:00Z", "ci": "db", "class": "Down"} | said).encode())
    assert not isinstance(found, Rejected), found
    return found


def told(folder: Path, rules: str, **said: object) -> Explanation:
    files = load_rules([rule_file(folder, rules)])
    said = {"state": "firing", "severity": "major"} | said
    return explain(report(**said), compile_rules(files.rules, ESTATE), ESTATE)


def of(explanation: Explanation, rule: str) -> RuleAnswer:
    return next(answer for answer in explanation.rules if answer.rule == rule)


def conditions(answer: RuleAnswer, question: int = 0) -> list[str]:
    """What was asked, and the answers, as lines."""
    return [
        f"{'+' if each.holds else '-'} {each.field} {each.condition}: {each.had}"
        for each in answer.answers[question].tested
    ]


def test_conditions_are_told_in_words_with_what_the_event_had(tmp_path: Path) -> None:
    explanation = told(
        tmp_path,
        """
        - id: words
          kind: filter
          match:
            class: [Up, Down]
            ci: {glob: ["db*", web]}
            source: {not: [a, b]}
            severity: {gte: minor, lt: critical}
            ci.tier: 1
            ci.owner: {not: {glob: "x*"}}
            labels.days_left: {lte: 3}
            labels.host: {regex: "h[0-9]+"}
            summary: {not: full}
          action: drop
        """,
        labels={"days_left": "7"},
        summary="disk full",
    )
    answer = of(explanation, "words")
    assert sorted(conditions(answer)) == sorted(
        [
            "+ class is one of 'Up', 'Down': Down",
            "+ ci is like 'db*' or 'web': db",
            "+ source is none of 'a', 'b': ",
            "+ severity >= 'minor' and < 'critical': major",
            "+ ci.tier is 1: 1",
            "+ ci.owner not (is like 'x*'): dba",
            "- labels.days_left <= 3: 7",
            "- labels.host matches regex 'h[0-9]+': None",
            "+ summary is not 'full': disk full",
        ]
    )
    assert (answer.matches, answer.missing, answer.near(1), answer.near(2)) == (False, 2, False, True)
    assert answer.answers[0].effect == "drops the event"
    assert (explanation.outcome, explanation.decided_by) == ("goes on", "")


DECIDING = """
- {id: trial, kind: filter, match: {class: Down}, action: drop, shadow: true}
- {id: keep, kind: filter, match: {labels.keep: "yes"}, action: keep}
- {id: route, kind: filter, match: {labels.to: audit}, action: route, to: audit}
- {id: drop, kind: filter, match: {class: Down}, action: drop}
- {id: drop-too, kind: filter, match: {ci: db}, action: drop}
- {id: log, kind: classify, match: {labels.log: "yes"}, significance: informational}
- {id: minor, kind: classify, match: {class: Down}, severity: minor}
- {id: hold, kind: hold, match: {class: Down}, for: 1m}
"""


@pytest.mark.parametrize(
    ("labels", "outcome", "decided", "severity", "deciding"),
    [
        ({}, "suppressed", "drop", "major", ["drop"]),
        ({"to": "audit"}, "routed", "route", "major", ["route"]),
        ({"keep": "yes"}, "goes on", "minor", "minor", ["keep", "minor", "hold"]),
        ({"keep": "yes", "log": "yes"}, "informational", "log", "major", ["keep", "log"]),
    ],
)
def test_who_decides_is_told_and_who_came_too_late(  # a row of the table
    tmp_path: Path, labels: dict[str, str], outcome: str, decided: str, severity: str, deciding: list[str]
) -> None:
    explanation = told(tmp_path, DECIDING, labels=labels)
    assert (explanation.outcome, explanation.decided_by) == (outcome, decided)
    assert explanation.severity_after == severity
    assert [answer.rule for answer in explanation.rules if answer.decides] == deciding
    late = of(explanation, "drop-too")
    assert late.matches
    assert late.note == f"{deciding[0]} {'comes' if 'keep' in labels else 'takes the event away'} before"
    assert of(explanation, "trial").note.startswith("in trial")


def test_labels_and_fingerprint_are_told_before_and_after(tmp_path: Path) -> None:
    explanation = told(
        tmp_path,
        """
        - id: owner
          kind: enrich
          match: {class: Down}
          set: {labels.team: {from: ci.owner}, labels.env: prod}
        - id: other
          kind: enrich
          match: {ci: db}
          set: {labels.team: web, labels.site: {from: ci.site}}
        - {id: by-team, kind: dedup, match: {labels.team: dba}, fingerprint: [ci, labels.team]}
        - {id: by-ci, kind: dedup, match: {ci: db}, fingerprint: [ci]}
        """,
        labels={"env": "test"},
    )
    assert explanation.labels_before == {"env": "test"}
    assert explanation.labels_after == {"env": "prod", "team": "dba"}
    assert explanation.fingerprint_before == "db\x1fDown"
    assert explanation.fingerprint_after.endswith("labels.team\x1fdb\x1fdba")
    assert "  fingerprint: db|Down -> ci=db, labels.team=dba" in text(explanation, near=1)
    assert of(explanation, "owner").note == "labels.team: dba; labels.env: prod"
    assert of(explanation, "other").note == "labels.team: web (another rule before says dba); nothing for labels.site"
    assert of(explanation, "by-team").decides
    assert of(explanation, "by-ci").note == "by-team comes before"


REMEMBERING = """
- id: many
  kind: threshold
  type: value_sum
  match: {class: Down}
  group_by: [ci, labels.user]
  timespan: 5m
  condition: {gte: 30, field: labels.ms}
  raise: {class: Many, severity: major}
- id: steps
  kind: sequence
  type: temporal_ordered
  steps: [{match: {class: Up}}, {match: {class: Down}}]
  timespan: 1h
  raise: {class: Restarted, severity: minor}
- id: alive
  kind: heartbeat
  match: {class: Down}
  every: 1m
  grace: 30s
  raise: {class: Silent, severity: major}
- id: filling
  kind: trend
  match: {class: Down}
  field: labels.ms
  limit: 90
  crosses_within: 4h
  over: 1h
  raise: {class: Filling, severity: major}
- {id: calm, kind: flapping, match: {class: Down}, within: 10m, enter: 6, leave: 2}
- {id: below, kind: inhibit, source: {class: Down}, target: {class: Lost}, equal: [ci]}
"""


VALUE: Final = "takes its labels.ms for a value"


def test_who_remembers_the_event_and_as_what(tmp_path: Path) -> None:
    explanation = told(tmp_path, REMEMBERING, labels={"user": "eve", "ms": "12.5"})
    effects = {
        answer.rule: [(each.effect, each.group, each.value) for each in answer.answers if each.matches]
        for answer in explanation.rules
    }
    assert effects == {
        "many": [
            (
                "counts it: raises Many (major) when the sum of labels.ms within 5m are >= 30",
                {"ci": "db", "labels.user": "eve"},
                12.5,
            )
        ],
        "steps": [
            (
                "takes it for step 2 of 2: raises Restarted (minor) when all come within 1h, in this order",
                {"ci": "db"},
                None,
            )
        ],
        "alive": [
            (
                "takes it for a sign of life: raises Silent (major) when the next does not come within 1m30s",
                {"ci": "db"},
                None,
            )
        ],
        "filling": [
            (
                f"{VALUE}: raises Filling (major) when 3 values or more within 1h are rising to 90 within 4h",
                {"ci": "db", "class": "Down"},
                12.5,
            )
        ],
        "calm": [("withholds its alert from 6 changes within 10m on, until there are 2 or fewer", {}, None)],
        "below": [("withholds targets of the same group while its alert fires", {"ci": "db"}, None)],
    }
    assert [each.place for each in of(explanation, "steps").answers] == ["steps[0]", "steps[1]"]
    assert [each.place for each in of(explanation, "below").answers] == ["source", "target"]


def test_a_resolution_is_asked_only_where_resolutions_are_heard(tmp_path: Path) -> None:
    explanation = told(tmp_path, REMEMBERING + DECIDING, state="resolved", severity=None, labels={"ms": "1"})
    assert [answer.rule for answer in explanation.rules if answer.matches] == ["alive"]
    assert of(explanation, "drop").answers[0].hears == "firing"
    assert not of(explanation, "drop").answers[0].heard
    assert of(explanation, "alive").answers[0].hears == "firing, resolved"
    assert explanation.outcome == "goes on"


UNCOUNTED = """
- id: average
  kind: threshold
  type: value_avg
  match: {class: Down}
  timespan: 5m
  condition: {gte: 30, field: labels.v}
  raise: {class: Slow, severity: major}
- id: different
  kind: threshold
  type: value_count
  match: {class: Down}
  timespan: 5m
  condition: {gte: 3, field: labels.user}
  raise: {class: Many, severity: major}
- id: filling
  kind: trend
  match: {class: Down}
  field: labels.v
  limit: 90
  crosses_within: 4h
  over: 1h
  raise: {class: Filling, severity: major}
- id: by-node
  kind: threshold
  type: event_count
  match: {class: Down}
  group_by: [labels.user, labels.node]
  timespan: 5m
  condition: {gte: 3}
  raise: {class: Often, severity: major, ci: "{labels.node}"}
"""


@pytest.mark.parametrize(
    ("labels", "reasons"),
    [
        (
            {"v": "high"},
            {
                "average": "labels.v is no number: 'high'",
                "different": "there is no labels.user",
                "filling": "labels.v is no number: 'high'",
                "by-node": "its group names no CI: labels.node is empty",
            },
        ),
        (
            {"user": "eve"},
            {
                "average": "there is no labels.v",
                "different": "",
                "filling": "there is no labels.v",
                "by-node": "its group names no CI: labels.node is empty",
            },
        ),
        (
            {"v": "", "user": "eve", "node": ""},
            {
                "average": "labels.v is no number: ''",
                "different": "",
                "filling": "labels.v is no number: ''",
                "by-node": "its group names no CI: labels.node is empty",
            },
        ),
        ({"v": "1e1", "user": "eve", "node": "n"}, dict.fromkeys(["average", "different", "filling", "by-node"], "")),
    ],
)
def test_why_an_event_that_matches_is_not_counted(
    tmp_path: Path, labels: dict[str, str], reasons: dict[str, str]
) -> None:
    explanation = told(tmp_path, UNCOUNTED, labels=labels)
    assert {answer.rule: answer.answers[0].uncounted for answer in explanation.rules} == reasons
    assert {answer.rule for answer in explanation.rules if answer.decides} == {
        rule for rule, reason in reasons.items() if not reason
    }
    lines = list(text(explanation, near=1))
    for rule, reason in reasons.items():
        first = next(number for number, line in enumerate(lines) if line.startswith(f"+ {rule} "))
        assert ("does not count it" in lines[first]) == bool(reason)
        assert lines[first + 2].startswith(f"    => not counted: {reason}") == bool(reason)


WINDOW = """
- {id: work, kind: maintenance, cis: {ci.type: host}, windows: [{from: 2026-01-05T11:00:00Z, to: 2026-01-05T13:00:00Z}]}
- id: later
  kind: maintenance
  cis: {ci: db}
  inherit: false
  windows: [{weekly: "Sun 22:00-24:00", zone: Europe/Berlin}]
- {id: past, kind: maintenance, cis: {ci: db}, windows: [{from: 2026-01-04T11:00:00Z, to: 2026-01-04T13:00:00Z}]}
"""
OPEN: Final = "a window is open until 2026-01-05T13:00:00Z"
NEXT: Final = "no window is open, the next begins 2026-01-11T21:00:00Z (2026-01-11 22:00 Europe/Berlin)"


@pytest.mark.parametrize(
    ("ci", "notes", "inherited"),
    [
        ("host", {"work": OPEN}, ""),
        ("db", {"work": OPEN, "later": NEXT, "past": "no window is open, nor will be"}, "host"),
        ("app", {"work": OPEN, "past": "no window is open, nor will be"}, "host"),
        ("nobody", {}, ""),
    ],
)
def test_of_a_maintenance_its_window_is_told_and_from_whom_it_is_inherited(
    tmp_path: Path, ci: str, notes: dict[str, str], inherited: str
) -> None:
    explanation = told(tmp_path, WINDOW, ci=ci)
    covering = {answer.rule: answer for answer in explanation.rules if answer.matches}
    assert {rule: answer.note for rule, answer in covering.items()} == notes
    assert {rule for rule, answer in covering.items() if answer.decides} == ({"work"} if notes else set())
    assert of(explanation, "work").answers[0].inherited == inherited
    lines = list(text(explanation, near=1))
    for rule, note in notes.items():
        assert any(line.startswith(f"+ {rule} (maintenance) covers it; {note}  ") for line in lines)
    assert ("    + inherited: it is lost without host" in lines) == bool(inherited)
    assert "    - ci.type is 'host': 'database'" not in lines


def test_who_is_not_asked_because_there_is_no_alert_says_so_once(tmp_path: Path) -> None:
    log = "- {id: log, kind: classify, match: {class: Down}, significance: informational}"
    lines = list(text(told(tmp_path, f"{log}\n{WINDOW}", ci="host"), near=1))
    (work,) = [number for number, line in enumerate(lines) if line.startswith("+ work")]
    assert lines[work].startswith("+ work (maintenance) covers it; the event is informational: there is no alert")
    assert lines[work + 1] == "    + ci.type is 'host': 'host'"


def test_a_window_that_is_only_tried_says_when_it_opens_too(tmp_path: Path) -> None:
    trial = WINDOW.replace("inherit: false", "shadow: true")
    assert of(told(tmp_path, trial), "later").note == f"{NEXT}; in trial: it only reports what it would do"


NEARLY = """
- {id: spelled, kind: filter, match: {class: [DiskFull, Up]}, action: drop}
- {id: other-class, kind: filter, match: {class: NetworkDown, ci: db}, action: drop}
- {id: this-class, kind: filter, match: {class: diskfull, ci: web}, action: drop}
- {id: no-class, kind: filter, match: {ci: db, labels.x: "1"}, action: drop}
- {id: far, kind: filter, match: {ci: db, labels.x: "1", labels.y: "1"}, action: drop}
- {id: only-not, kind: heartbeat, match: {class: {not: S}, ci: web}, every: 1m, raise: {class: S, severity: major}}
"""


def test_near_is_what_is_about_such_events(tmp_path: Path) -> None:
    explanation = told(tmp_path, NEARLY, **{"class": "diskfull"})
    near = {most: [rule.rule for rule in explanation.rules if rule.near(most)] for most in (0, 1, 2)}
    assert near == {
        0: [],
        1: ["spelled", "this-class", "no-class"],
        2: ["spelled", "this-class", "no-class", "far"],
    }
    default, whole = list(text(explanation, near=1)), list(text(explanation, near=None))
    assert "      nearly: 'diskfull' is spelled 'DiskFull' in the rule" in default
    assert default[-1] == "3 rules do not come near; --all shows all"
    assert set(default[:-1]) <= set(whole)
    short = {line.split()[1]: line.partition("match, ")[2].partition("  ")[0] for line in whole if line[:2] == "- "}
    assert short == {
        "spelled": "1 short",
        "other-class": "1 short, and is not about such events",
        "this-class": "1 short",
        "no-class": "1 short",
        "far": "2 short",
        "only-not": "1 short, and is not about such events",
    }


def test_short_is_counted_of_the_question_that_is_about_such_events(tmp_path: Path) -> None:
    steps = "[{match: {class: Up}}, {match: {class: Down, labels.x: '1', labels.y: '1'}}]"
    fires = "timespan: 1h, raise: {class: S, severity: major}"
    explanation = told(tmp_path, f"- {{id: steps, kind: sequence, type: temporal, steps: {steps}, {fires}}}")
    answer = of(explanation, "steps")
    assert (answer.missing, answer.near(1), answer.near(2)) == (2, False, True)


@pytest.mark.parametrize(
    ("had", "asked", "name"),
    [
        ("disk_full", ["DiskFull"], "DiskFull"),
        ("LinkDwon", ["LinkUp", "LinkDown"], "LinkDown"),
        ("LinkUp", ["LinkDown"], ""),
        ("Down", [], ""),
    ],
)
def test_names_that_are_spelled_nearly_the_same(had: str, asked: list[str], name: str) -> None:
    assert similar(had, asked) == name


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1fclass,labels.port\x1fLinkDown\x1f1", "class=LinkDown, labels.port=1"),
        ("\x1flabels.port\x1f", "labels.port="),
        ("\x1fclass\x1fLink\x1fDown", "|class|Link|Down"),
        ("rule\x1fmany\x1fdb", "rule|many|db"),
        ("a key", "a key"),
    ],
)
def test_fingerprints_for_people(raw: str, shown: str) -> None:
    assert readable(raw) == shown


def test_what_its_class_means_is_told_and_who_asks_no_event(tmp_path: Path) -> None:
    mine = "- {id: mine, kind: correlate, classes: [Down], nature: cause, travels: both}"
    quiet = "- {id: quiet, kind: respond, match: {severity: info}, response: none}"
    explanation = told(tmp_path, f"{mine}\n{quiet}")
    assert explanation.meaning.nature == "cause"
    assert (explanation.meaning.travels, explanation.meaning.rule) == ("both", "mine")
    assert explanation.not_asked == {"correlate": ("mine",), "priority": (), "respond": ("quiet",)}
    assert explanation.rules == ()
    assert list(text(explanation, near=1))[-2:] == [
        "1 rule of kind correlate, not asked of events: what the class means stands above",
        "1 rule of kind respond, asked of situations: quiet",
    ]


def test_what_intake_refuses_is_no_event(tmp_path: Path) -> None:
    with pytest.raises(NoEventError, match=r"needs a severity - at `\$.severity`"):
        told(tmp_path, WINDOW, severity=None)


# against the compiled rules

FIELDS = st.sampled_from(["class", "ci", "labels.x", "source", "ci.type", "severity"])
TEXTS = st.sampled_from(["a", "b", "app", "db", "host", "database"])


def condition(field: str) -> st.SearchStrategy[object]:
    value = st.sampled_from(SEVERITIES) if field == "severity" else TEXTS
    operators = {"gte": value} if field == "severity" else {"glob": st.sampled_from(["a*", "*b", "?", "*"])}
    return (
        value
        | st.lists(value, min_size=1, max_size=2)
        | st.fixed_dictionaries({}, optional={"not": value, **operators}).filter(bool)
    )


MATCHES = st.lists(FIELDS, min_size=1, max_size=2, unique=True).flatmap(
    lambda fields: st.fixed_dictionaries({field: condition(field) for field in fields})
)
RAISE = {"class": "Raised", "severity": "major"}
SHAPES: Final[tuple[Mapping[str, object], ...]] = (
    {"kind": "filter", "action": "drop"},
    {"kind": "filter", "action": "keep"},
    {"kind": "filter", "action": "route", "to": "there"},
    {"kind": "filter", "action": "drop", "shadow": True},
    {"kind": "classify", "severity": "critical"},
    {"kind": "classify", "significance": "informational"},
    {"kind": "hold", "for": "1m"},
    {"kind": "flapping", "within": "1m", "enter": 3, "leave": 1},
)
RULES = st.lists(st.tuples(st.sampled_from(SHAPES), MATCHES), min_size=1, max_size=6)
REPORTS = st.builds(
    report,
    ci=st.sampled_from(["app", "db", "host", "b"]),
    **{"class": TEXTS},
    source=TEXTS,
    state=st.just("firing"),
    severity=st.sampled_from(SEVERITIES),
    labels=st.dictionaries(st.just("x"), TEXTS),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(RULES, st.lists(REPORTS, min_size=1, max_size=4))
def test_it_says_what_the_compiled_rules_decide(
    tmp_path: Path, said: list[tuple[Mapping[str, object], Mapping[str, object]]], reports: list[Report]
) -> None:
    path = tmp_path / "rules.json"
    rules = [{"id": f"r{number}", "match": match, **shape} for number, (shape, match) in enumerate(said)]
    path.write_text(json.dumps({"version": 1, "rules": rules}))
    compiled = compile_rules(load_rules([path]).rules, ESTATE)
    for each in reports:
        explanation = explain(each, compiled, ESTATE)
        number = ESTATE.numbers.get(each.ci)
        ci = CI(each.ci) if number is None else ESTATE.cis[number]
        verdict = compiled.book.judge(event_of(each), ci) or Verdict()
        answer = Intake(ESTATE, compiled.book).accept(each, int(each.time.timestamp() * 1000))
        holding = [rule for rule in explanation.rules if all(test.holds for test in rule.answers[0].tested)]
        assert [rule for rule in explanation.rules if rule.matches] == holding
        deciding = {rule.kind: rule.rule for rule in holding if rule.decides and rule.kind in ("filter", "classify")}
        keeping = [rule.rule for rule in holding if rule.answers[0].effect.startswith("keeps")]
        assert verdict.rule == next((rule for rule in deciding.values() if rule not in keeping), "")
        taken = verdict.drop or verdict.route
        remembering = [rule.rule for rule in holding if rule.kind in ("hold", "flapping")]
        assert [mark.rule for mark in verdict.marks] == ([] if taken else remembering)
        alert = explanation.outcome == "goes on"
        having_a_say = [rule.rule for rule in holding if rule.decides and rule.rule in remembering]
        assert having_a_say == (remembering if alert else [])
        assert explanation.outcome == (answer.place if isinstance(answer, Withheld) else "goes on")


def event_of(said: Report) -> Event:
    severity = SEVERITIES.index(said.severity or "info")
    return Event(
        "e", 0, said.ci, said.class_, severity, firing=True, fingerprint="", source=said.source, labels=said.labels
    )
