"""What people, executors and change tools say in a rule's test: refused at its place, and heard by what it names."""

from pathlib import Path

import pytest
from rule_files import results
from test_load_tests import complaints

RULES = """\
  - id: restart-web
    kind: respond
    response: auto_response
    action: restart
    match: {root.type: web}
    parameters: {host: "{root.ci}"}
    attempts: 2
  - id: order-part
    kind: respond
    response: request
    title: Part for {root.name}
    match: {root.type: web}
    group: desk
    tests:
      - name: it
        topology: {cis: [{id: web-1, type: web, group: web-team}, {id: web-2, type: web}, {id: db-1}]}
        known_errors:
          - {id: KE-1, title: It hangs, match: {root.ci: web-1}}
        events:
          - {at: 0s, ci: web-1, class: Down, severity: critical}
          - {at: 0s, ci: web-2, class: Down, severity: critical}
"""


def failures(tmp_path: Path, feedback: str, expect: str, more: str = "") -> str:
    """What differs, line by line with - and +; empty: the test passes."""
    said = f"        feedback:\n{feedback}" if feedback else ""
    text = f"{RULES}{more}{said}        expect:\n{expect}"
    (result,) = results(tmp_path, text)
    return "\n".join(line for line in result.difference.splitlines()[2:] if line[:1] in "+-")


def lines(*entries: str) -> str:
    return "".join(f"          - {{{entry}}}\n" for entry in entries)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("{at: 0s, kind: ack}", ".feedback[0].kind: must be 'acknowledge', 'assign', 'start',"),
        ("{at: 0s, kind: acknowledge}", ".feedback[0]: acknowledge needs incident"),
        ("{kind: acknowledge, incident: {root: a}}", ".feedback[0].at: is required"),
        ("{at: 0s, kind: acknowledge, incident: a}", ".feedback[0].incident: must be a mapping, not 'a'"),
        (
            "{at: 0s, kind: acknowledge, incident: {rot: a}}",
            ".feedback[0].incident.rot: unknown field; did you mean 'root'?",
        ),
        ("{at: 0s, kind: start, incident: {root: a}, to: bob}", ".feedback[0]: start has no to"),
        ("{at: 0s, kind: approve, response: {rule: a}, attempt: 1}", ".feedback[0]: approve has no attempt"),
        ("{at: 0s, kind: assign, incident: {root: a}}", ".feedback[0]: assign needs to or group, or both"),
        ("{at: 0s, kind: assign, incident: {root: a}, to: {root: b}}", ".feedback[0]: to must be a person"),
        ("{at: 0s, kind: snooze, incident: {root: a}}", ".feedback[0]: snooze needs until"),
        (
            "{at: 0s, kind: move, incident: {root: a}, alerts: [{ci: a, class: b}], to: b}",
            ".feedback[0]: to must be an incident: {root: CI}",
        ),
        ("{at: 0s, kind: result, response: {rule: a}}", ".feedback[0]: result needs outcome"),
        (
            "{at: 0s, kind: result, response: {rule: a}, outcome: good}",
            ".feedback[0].outcome: must be 'succeeded', 'failed', 'refused' or 'unknown', not 'good'",
        ),
        ("{at: 0s, kind: stop_automation, incident: {root: a}}", ".feedback[0]: stop_automation has no incident"),
    ],
)
def test_feedback_is_refused_at_its_place(tmp_path: Path, entry: str, complaint: str) -> None:
    test = f"{{name: a, feedback: [{entry}], expect: [{{at: 0s, alerts: []}}]}}"
    assert any(f"tests[0]{complaint}" in told for told in complaints(tmp_path, f"- {test}"))


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ("context: [{id: CHG-1}]", ".context[0].cis: is required"),
        ("context: [{id: CHG-1, cis: [a], start: 1m}]", ".context[0].start: unknown field; did you mean 'state'?"),
        ("context: [{id: CHG-1, cis: []}]", ".context[0].cis: must have 1 entries, not 0"),
        (
            "known_errors: [{id: KE-1, title: x, match: {root.c: a}}]",
            ".known_errors: known error KE-1: match.root.c: unknown field; did you mean 'root.ci' or 'root.class'?",
        ),
        ("known_errors: [{id: KE-1, title: x}]", ".known_errors: known error KE-1: match: is required"),
    ],
)
def test_context_and_known_errors_are_refused_at_their_places(tmp_path: Path, part: str, complaint: str) -> None:
    (told,) = complaints(tmp_path, f"- {{name: a, {part}, expect: [{{at: 0s, alerts: []}}]}}")
    assert f"tests[0]{complaint}" in told


def test_people_and_executors_are_heard(tmp_path: Path) -> None:
    feedback = lines(
        "at: 20s, kind: acknowledge, incident: {root: web-1}, by: alice",
        "at: 30s, kind: assign, incident: {root: web-1}, to: alice, group: second-line",
        "at: 30s, kind: result, response: {rule: restart-web, ci: web-2}, outcome: failed",
        "at: 40s, kind: close_record, record: {rule: order-part, ci: web-1}",
    )
    expect = lines(
        "at: 15s, incidents: [{root: web-1, status: open, group: web-team, known_error: KE-1}, {root: web-2}]",
        "at: 50s, incidents: [{root: web-1, status: assigned, assignee: alice, group: second-line},"
        " {root: web-2, status: open}], responses: [{ci: web-1, status: requested, parameters: {host: web-1}},"
        " {ci: web-2, status: waiting}], requests: [{root: web-1, status: closed}, {root: web-2, status: open}]",
    )
    assert failures(tmp_path, feedback, expect) == ""


def test_one_attempt_of_several_is_meant(tmp_path: Path) -> None:
    feedback = lines(
        "at: 30s, kind: result, response: {rule: restart-web, ci: web-1}, outcome: failed",
        "at: 90s, kind: result, response: {rule: restart-web, ci: web-1}, attempt: 1, outcome: succeeded",
    )
    expect = lines("at: 100s, contains: true, responses: [{ci: web-1, status: requested, attempt: 2}]")
    assert failures(tmp_path, feedback, expect) == ""
    now = feedback.replace("attempt: 1, ", "")
    assert failures(tmp_path, now, expect.replace("requested", "verifying")) == ""


@pytest.mark.parametrize(("said", "status"), [("129s", "verifying"), ("131s", "waiting")])
def test_a_deadline_that_passes_before_a_result_is_said_passes_before_it(
    tmp_path: Path, said: str, status: str
) -> None:
    """The request is from 10 s, and has two minutes."""
    feedback = lines(f"at: {said}, kind: result, response: {{rule: restart-web, ci: web-1}}, outcome: succeeded")
    expect = lines(f"at: 132s, contains: true, responses: [{{ci: web-1, status: {status}}}]")
    assert failures(tmp_path, feedback, expect) == ""


def test_what_nobody_can_hear_fails_the_test_once(tmp_path: Path) -> None:
    feedback = lines(
        "at: 30s, kind: acknowledge, incident: {root: db-1}",
        "at: 30s, kind: approve, response: {rule: restart, ci: web-1}, id: mine",
        "at: 30s, kind: close_record, record: {rule: restart-web}",
        "at: 40s, kind: split, incident: {root: web-1}, alerts: [{ci: web-1, class: Up}]",
        "at: 40s, kind: result, response: {rule: restart-web}, attempt: 2, outcome: failed",
    )
    said = failures(
        tmp_path,
        feedback,
        lines("at: 50s, alerts: [{}, {}]".replace("{}", "{class: Down}"), "at: 1m, alerts: [{ci: web-1}, {ci: web-2}]"),
    )
    assert said.splitlines() == [
        "+at 30s, feedback f1 (acknowledge): there is no incident with the root db-1",
        "+at 30s, feedback mine (approve): there is no response of rule restart about web-1",
        "+at 30s, feedback f3 (close_record): there is no problem, change or request of rule restart-web",
        "+at 40s, feedback f4 (split): no alert Up of web-1 has fired",
        "+at 40s, feedback f5 (result): executors have been asked for no attempt 2 by rule restart-web",
    ]


@pytest.mark.parametrize(
    ("said", "known"),
    [("", True), ("at: 0s, begins: 0s, ends: 5s", True), ("at: 20s, begins: 0s", False), ("begins: 1m", False)],
)
def test_a_change_is_learned_at_its_time_and_begins_at_its_own(tmp_path: Path, said: str, *, known: bool) -> None:
    more = "        context:\n" + lines(", ".join(filter(None, ("id: CHG-1, cis: [web-1], title: New release", said))))
    expect = lines("at: 15s, contains: true, incidents: [{root: web-1, changed: CHG-1}]")
    assert (failures(tmp_path, "", expect, more) == "") is known


def test_a_near_miss_shows_what_was_asked_for_and_no_more(tmp_path: Path) -> None:
    expect = lines("at: 15s, contains: true, incidents: [{root: web-1, priority: P1}]")
    assert failures(tmp_path, "", expect).splitlines() == [
        "-  {root: web-1, priority: P1}",
        "+  {root: web-1, priority: P3, class: Down, status: open, severity: critical, alerts: 1, firing: 1}",
    ]
