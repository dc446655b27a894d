"""Rules of kinds respond and priority: what they say once loaded, whom they match, what they are odd about."""

from pathlib import Path

import pytest
from cases import case
from msgspec.structs import replace

from opsbridge.core.case import Case, fill
from opsbridge.core.decisions import Impact
from opsbridge.core.graph import CI
from opsbridge.core.response.priority import DEFAULT
from opsbridge.core.rulebook import (
    ActionCall,
    AutoResponse,
    BlastRadius,
    Handling,
    Limit,
    Notify,
    Priority,
    ProblemWatch,
    Rulebook,
    Selection,
    Ticket,
)
from opsbridge.rules import compile_rules, lint, load_rules

SOUND = Path(__file__).parent / "sound"
MINUTE = 60_000
HOUR = 60 * MINUTE
TOP = "version: 1\nrules:\n"

IN_A_HOME = CI(
    "prn-1",
    type="printer",
    owner="team-7",
    group="desk",
    category="hardware",
    environment="office",
    site="home",
    tier=3,
)
PRINTER = case(IN_A_HOME, priority="P5")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sound(kind: str) -> Rulebook:
    return compile_rules(load_rules([SOUND / f"{kind}.yaml"]).rules).book


def book(*rules: str) -> Rulebook:
    Path("a.yaml").write_text(TOP + "".join(f"  - {{{rule}}}\n" for rule in rules))
    return compile_rules(load_rules(["a.yaml"]).rules).book


def warnings(*rules: str) -> list[str]:
    book(*rules)
    return [str(finding) for finding in lint(load_rules(["a.yaml"]))]


def test_nothing_is_said_without_rules() -> None:
    empty = compile_rules([]).book
    assert (empty.respond(PRINTER), empty.known_errors(PRINTER), empty.prioritise) == (Selection(), (), None)


def test_all_shapes_say_what_they_say() -> None:
    answers = sound("respond").respond(PRINTER)
    assert answers.handling == Handling("a", "none")
    auto, notify, problem, often = answers.further
    assert isinstance(auto, AutoResponse)
    assert auto.requires is not None
    assert (auto.requires(PRINTER), auto.requires(case(IN_A_HOME, firing=0))) == (True, False)
    assert replace(auto, requires=None) == AutoResponse(
        rule="e",
        call=ActionCall("restart-printer", {"printer": "{root.ci}", "incident": "{incident}"}, MINUTE),
        requires_text="firing: {gte: 1}, root.ci: [prn-1, prn-2]",
        approval_group="{root.owner}",
        approval_ms=5 * MINUTE,
        attempts=3,
        retry_ms=2 * MINUTE,
        verify="probe",
        verify_ms=4 * MINUTE,
        probe=ActionCall("print-page", {"text": '{"a": 1}'}, MINUTE // 2),
        rollback=ActionCall("reset-printer", {"printer": "{root.ci}"}, 3 * MINUTE),
        before_incident=True,
        limits=BlastRadius(Limit(2, HOUR), Limit(10, 24 * HOUR), 3),
    )
    assert notify == Notify("g", "office-{root.site}", "{root.name} ({alerts} alerts)")
    week = 7 * 24 * HOUR
    assert problem == ProblemWatch("h", ("root.ci", "root.class"), 3, week, "{root.name} again", "hardware", "desk")
    assert often == ProblemWatch("i", ("root.ci",), 10, 24 * HOUR)


def test_what_is_not_said_of_an_auto_response_is_as_the_core_has_it() -> None:
    (auto,) = sound("respond").respond(case(CI("plt-1", type="plotter"))).further
    assert auto == AutoResponse(rule="f", call=ActionCall("restart-printer"), verify="result")


def test_the_first_that_says_so_decides_whether_it_is_an_incident_and_the_last_one_ends_the_search() -> None:
    answers = sound("respond").respond(replaced_case(PRINTER, known_errors=("KE-9", "KE-22"), severity=3))
    links = ("https://graphs.example.org/d/{root.ci}", '{"not": "a placeholder"}')
    wiki = "https://wiki.example.org/{root.class}"
    assert answers == Selection(
        Handling("b", "incident", "{root.category}", "{root.group}", wiki, links),
        (Ticket("c", "change", "Replace {root.name}", "hardware", "desk", ("{root.runbook}",)), Ticket("d", "request")),
    )


def replaced_case(of: Case, **other: object) -> Case:
    """The case with another situation, root, or whatever else is known."""
    known = {name: other.pop(name) for name in list(other) if name in of.__struct_fields__ and name != "root"}
    situation = {name: other.pop(name) for name in list(other) if name in of.situation.__struct_fields__}
    root = {name: other.pop(name) for name in list(other) if name in of.root.__struct_fields__}
    return replace(of, situation=replace(of.situation, **situation), root=replace(of.root, **root), **known)


@pytest.mark.parametrize(
    "other",
    [
        {"severity": 3},
        {"priority": "P3"},
        {"priority": ""},
        {"status": "closed"},
        {"type": "plotter"},
        {"owner": "x"},
        {"group": "team"},
        {"category": ""},
        {"environment": "production"},
        {"site": ""},
        {"tier": 2},
        {"tier": None},
        {"alerts": 6},
        {"firing": 0},
        {"impact": Impact(1, 1, ("shop",))},
        {"impact": Impact(1, 0, (), users=10)},
        {"impact": Impact(1, 0, (), tier=1)},
        {"impact": Impact(4, 0, ())},
        {"known_errors": ("PE-1", "KE-1")},
        {"changes": ("CHG-1",)},
        {"reopened": 2},
        {"root": replace(PRINTER.situation.root, ci="prn-spare")},
        {"root": replace(PRINTER.situation.root, class_="PrinterJam")},
        {"root": replace(PRINTER.situation.root, silent=False)},
        {"root": replace(PRINTER.situation.root, confidence=0.5)},
    ],
    ids=str,
)
def test_each_condition_must_hold(other: dict[str, object]) -> None:
    respond = sound("respond").respond
    assert respond(PRINTER).handling == Handling("a", "none")
    changed = replaced_case(PRINTER, **other)
    assert respond(changed).handling != Handling("a", "none")


def test_without_a_group_the_owner_is_asked_for() -> None:
    respond = book("id: a, kind: respond, response: none, match: {root.group: team-7}").respond
    assert respond(case(CI("x", owner="team-7"))).handling.rule == "a"
    assert respond(case(CI("x", owner="team-7", group="desk"))).handling.rule == ""


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("KE-1", [False, True, True, False]),
        ("{not: KE-1}", [True, False, False, True]),
        ("[KE-2, KE-3]", [False, False, True, True]),
        ("{not: [KE-2, KE-1]}", [True, False, False, True]),
        ('{glob: "*"}', [False, True, True, True]),
        ('{not: {glob: "*"}}', [True, False, False, False]),
        ('{regex: "KE-[12]"}', [False, True, True, False]),
        ('{glob: "*-1", not: KE-2}', [False, True, False, False]),
    ],
)
def test_one_known_error_is_enough_and_not_means_none(condition: str, expected: list[bool]) -> None:
    respond = book(f"id: a, kind: respond, response: none, match: {{known_error: {condition}}}").respond
    known: list[tuple[str, ...]] = [(), ("KE-1",), ("KE-1", "KE-2"), ("KE-3",)]
    assert [respond(case(known_errors=each)).handling.rule == "a" for each in known] == expected


def test_texts_are_filled_in() -> None:
    said = case(IN_A_HOME, class_="PrinterJam", priority="P4", known_errors=("KE-1", "KE-2"))
    text = "{root.name} {root.class} {priority} {root.group} {known_error} {incident} {alerts}/{services} {x}"
    assert fill(text, said) == "prn-1 PrinterJam P4 desk KE-1 INC-0123456789abcdef 5/0 {x}"


# priority


@pytest.mark.parametrize(
    ("severity", "impact", "expected"),
    [
        (4, Impact(1, 0, (), tier=0), ("P1", "high", "high")),
        (4, Impact(1, 0, (), tier=1), ("P3", "low", "high")),
        (3, Impact(1, 20, ()), ("P1", "high", "high")),
        (3, Impact(1, 19, ()), ("P3", "low", "high")),
        (2, Impact(1, 0, (), users=5000), ("P2", "high", "medium")),
        (2, Impact(1, 0, (), users=4999), ("P3", "medium", "medium")),
        (1, Impact(1, 0, (), users=500), ("P4", "medium", "low")),
        (1, Impact(99, 0, (), users=499), ("P5", "low", "low")),
        (1, Impact(100, 0, ()), ("P3", "high", "low")),
    ],
)
def test_thresholds_of_impact_and_urgency(severity: int, impact: Impact, expected: tuple[str, str, str]) -> None:
    prioritise = sound("priority").prioritise
    assert prioritise is not None
    found = prioritise(case(severity=severity, impact=impact))
    assert (found.name, found.impact, found.urgency, found.rule) == (*expected, "b")


def test_the_matrix_cell_by_cell() -> None:
    prioritise = sound("priority").prioritise
    assert prioritise is not None
    test = CI("t-1", environment="test")
    reaches = [Impact(1, 0, (), tier=1), Impact(1, 2, ()), Impact(1, 0, ())]
    names = [[prioritise(case(test, severity=by, impact=reach)).name for by in (4, 3, 2)] for reach in reaches]
    assert names == [["P4", "P4", "P5"], ["P5", "P3", "P4"], ["P3", "P4", "P5"]]


def test_targets_field_by_field() -> None:
    prioritise = sound("priority").prioritise
    assert prioritise is not None
    first = prioritise(case(severity=4, impact=Impact(1, 0, (), tier=0)))
    assert first == Priority(
        *("P1", "high", "high", "b"),
        acknowledge_ms=2 * MINUTE,
        resolve_ms=30 * MINUTE,
        warn_at=0.5,
        remind_ms=None,
        escalate_to=("duty", "head-of-operations"),
    )
    last = prioritise(case(severity=0))
    assert (last.name, last.acknowledge_ms, last.resolve_ms, last.warn_at) == ("P5", None, 30 * 24 * HOUR, 0.8)
    assert prioritise(case(severity=2, impact=Impact(100, 0, ()))).resolve_ms == 4 * HOUR


def test_situations_that_no_rule_matches_have_the_default_priority() -> None:
    prioritise = book("id: a, kind: priority, match: {root.type: none}, urgency: {high: info}").prioritise
    assert prioritise is not None
    for severity in range(5):
        said = case(severity=severity, impact=Impact(1, severity, ()))
        assert prioritise(said) == DEFAULT(said)


# lint


def respond(name: str, match: str, more: str = "response: none") -> str:
    return f"id: {name}, kind: respond, match: {{{match}}}, {more}"


ALL = 'root.ci: {glob: "*"}'
RESTART = "response: auto_response, action: restart"
NEVER = "can never apply: every situation is decided by a rule before it, at"


def test_rules_behind_one_that_is_the_last_for_all() -> None:
    assert warnings(
        respond("a", "alerts: 1, " + ALL, "response: none, last: true"),
        respond("b", f"{ALL}, severity: {{gte: info}}", "response: change, last: true"),
        respond("c", "alerts: 1"),
        respond("d", "alerts: 2", "response: notification, to: x"),
    ) == [f"a.yaml:5:5: rule c: {NEVER} a.yaml:4:5", f"a.yaml:6:5: rule d: {NEVER} a.yaml:4:5"]


def test_decisions_behind_one_for_all() -> None:
    assert warnings(
        respond("a", ALL),
        respond("b", "alerts: 1", "response: change"),
        respond("c", "alerts: 1", "response: incident"),
    ) == [f"a.yaml:5:5: rule c: {NEVER} a.yaml:3:5"]


def test_a_known_error_of_any_name_is_not_everything() -> None:
    assert warnings(respond("a", 'known_error: {glob: "*"}', "response: none, last: true"), respond("b", ALL)) == []


def test_the_same_asked_twice() -> None:
    (said,) = warnings(respond("a", "alerts: 1"), respond("b", "alerts: 1", "response: incident"))
    assert said == (
        "a.yaml:4:28: rule b: match: has no effect: an earlier rule of this kind asks for the same, at a.yaml:3:5"
    )
    assert warnings(respond("a", "alerts: 1", "response: change"), respond("b", "alerts: 1", "response: change")) == []


def test_priorities_behind_one_for_all() -> None:
    say = "urgency: {high: major}"
    assert warnings(f"id: a, kind: priority, {say}", f"id: b, kind: priority, match: {{alerts: 1}}, {say}") == [
        f"a.yaml:4:5: rule b: {NEVER} a.yaml:3:5"
    ]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("retry_after: 1m", "retry_after: says nothing: there is one attempt (`attempts: 2` or more has others)"),
        (
            "rollback: {action: restart}",
            "rollback.action: is the action itself, with the same parameters: it undoes nothing",
        ),
        (
            "verify: {by: probe, action: restart}",
            (
                "verify.action: is the action itself, with the same parameters: it would be done again to see whether "
                "it helped"
            ),
        ),
        (
            "verify: {by: result}, before_incident: true",
            (
                "before_incident: with `verify: {by: result}`, nobody is told of a situation although nothing shows "
                "that it ended"
            ),
        ),
    ],
)
def test_odd_automation(more: str, expected: str) -> None:
    (said,) = warnings(respond("a", "alerts: 1", f"{RESTART}, {more}"))
    assert said.partition(": rule a: ")[2] == expected


@pytest.mark.parametrize(
    "more",
    [
        "attempts: 2, retry_after: 1m",
        "rollback: {action: restart, parameters: {mode: safe}}",
        "verify: {by: probe, action: look}",
        "verify: {by: cleared}, before_incident: true",
    ],
)
def test_automation_that_is_not_odd(more: str) -> None:
    assert warnings(respond("a", "alerts: 1", f"{RESTART}, {more}")) == []


def test_the_same_done_twice() -> None:
    assert warnings(
        respond("a", "alerts: 1", RESTART),
        respond("b", "alerts: 1", f"{RESTART}, attempts: 2"),
        respond("c", "alerts: 2", RESTART),
        respond("d", "alerts: 1", f"{RESTART}, parameters: {{mode: safe}}"),
    ) == ["a.yaml:4:81: rule b: action: does the same for the same situations as another rule, at a.yaml:3:5"]
