"""What single records come to: each of these reviews hears a few records, as the topics have them."""

import json

import pytest

from opsbridge.core.graph import CIGraph
from opsbridge.core.rulebook import Rulebook
from opsbridge.review.figures import review
from opsbridge.review.model import Review
from opsbridge.review.outages import Known
from opsbridge.review.places import UNTOLD
from opsbridge.review.recorded import ERRORS, Recorded
from opsbridge.review.told import Began, fold
from review.period import at

INCIDENT, SITUATION = "INC-00000000000000aa", "S-00000000000000aa"
ROOT = {"ci": "web", "class": "Down", "silent": False, "confidence": 0.9}


def record(entity: str, content: object) -> Recorded:
    return Recorded(entity, b"key", json.dumps(content).encode())


def incident(**more: object) -> Recorded:
    told = {"id": INCIDENT, "version": 1, "status": "open", "title": "", "severity": "major", "situation": SITUATION}
    told |= {"root": ROOT, "candidates": [], "firing": 1, "alerts": 1, "affected_cis": 1, "affected_services": 0}
    told |= {"services": [], "opened": at(0), "updated": at(20), "resolved": None, "merged_into": None, "because": []}
    return record("incidents", told | more)


def entry(what: str, second: float, refused: str = "") -> dict[str, str]:
    return {"time": at(second), "by": "kim", "what": what, "refused": refused}


def situation(status: str = "open", alerts: int = 0, **moved: object) -> Recorded:
    impact = {"cis": 1, "services": 0, "named": []}
    told = {"id": SITUATION, "version": 1, "status": status, "severity": 3, "root": ROOT, "candidates": []}
    told |= {"firing": 1, "alerts": alerts, "impact": impact, "opened_ms": 0, "updated_ms": 0, "resolved_ms": None}
    told |= {"merged_into": SITUATION[:-1] + "b" if status == "merged" else None, "because": []}
    return record("situations", {"situation": told, "part": 1, "parts": 1, "moved": moved})


def response(**more: object) -> Recorded:
    told = {"id": "RSP-1", "version": 1, "situation": SITUATION, "incident": INCIDENT, "rule": "restart-web"}
    told |= {"root": ROOT, "title": "", "opened": at(0), "updated": at(0), "status": "requested", "ci": "web"}
    return record("responses", told | {"action": "restart", "attempt": 1} | more)


def event(offset: int = 0, topic: str = "") -> Recorded:
    told = {"id": "e1", "time": at(1), "ci": "web", "class": "Down", "state": "firing", "severity": "major"}
    return Recorded("events", None, json.dumps(told).encode(), offset=offset, topic=topic)


def dead_letter(offset: int, topic: str, stage: str) -> Recorded:
    place = {"topic": topic, "partition": "0", "offset": str(offset), "stage": stage, "reason": "odd"}
    return Recorded(
        "dead-letters", None, b"", headers=tuple((ERRORS + name, said.encode()) for name, said in place.items())
    )


def tried(purpose: str, attempt: int = 1, *, late: bool = False) -> dict[str, object]:
    return {"idempotency_key": "k", "purpose": purpose, "attempt": attempt, "requested": at(0), "late": late}


def alert(change: str, event: str, second: int, position: int) -> dict[str, object]:
    time = {"time_ms": second * 1000, "now_ms": second * 1000, "opened_ms": second * 1000}
    told = {"change": change, "fingerprint": "web\x1fDown", "ci": "web", "class": "Down", "severity": 3, **time}
    return told | {"occurrence": 1, "position": position, "event": event}


def withheld(state: str, rule: str = "wait") -> Recorded:
    told = {"state": state, "kind": "hold", "rule": rule, "fingerprint": "web\x1fDown", "ci": "web", "class": "Down"}
    return record("suppressed", told | {"severity": 3, "event": "e1", "opened_ms": 0, "now_ms": 0})


def found(*records: Recorded) -> Review:
    return review(records, CIGraph(()), Rulebook())


@pytest.mark.parametrize(
    ("letter", "topic", "refused"),
    [
        (dead_letter(7, "events.v1", "intake"), "", True),
        (dead_letter(7, "events.v1", "intake"), "events.v1", True),
        (dead_letter(7, "others.v1", "intake"), "events.v1", False),
        (dead_letter(8, "events.v1", "intake"), "events.v1", False),
        (dead_letter(7, "feedback.v1", "response"), "", False),
        (dead_letter(7, "feedback.v1", "response"), "feedback.v1", False),
    ],
)
def test_an_event_was_refused_if_a_dead_letter_of_intake_names_its_place(
    letter: Recorded, topic: str, refused: bool
) -> None:
    told = found(event(7, topic), letter)
    assert told.events.places.get("dead_letter", {}) == ({"odd": 1} if refused else {})
    assert told.dead_letters == {"odd": 1}


def test_events_of_a_change_instead_of_an_incident_are_in_a_change() -> None:
    member = {"fingerprint": "web\x1fDown", "occurrence": 1, "ci": "web", "class": "Down", "event": "e1"}
    change = {"id": "RFC-1", "version": 1, "situation": SITUATION, "incident": INCIDENT, "rule": "ask", "root": ROOT}
    change |= {"title": "", "opened": at(0), "updated": at(0), "status": "open"}
    records = [event(), record("alerts", [alert("opened", "e1", 1, 0)]), situation(joined=[member])]
    without, asked = found(*records).events, found(*records, record("changes", change)).events
    assert without.places == asked.places == {"unanswered": {"automation": 1}}
    assert (without.needed_person.events, without.incident_or_change.events) == (0, 0)
    assert (asked.needed_person.events, asked.incident_or_change.events) == (0, 1)


def test_members_that_are_no_longer_told_are_forgiven_to_situations_and_not_to_incidents() -> None:
    note = {"id": "e9", "time": at(5_000), "ci": "web", "class": "Note", "state": "firing", "severity": "info"}
    records = [event(), record("events", note), record("alerts", [alert("opened", "e1", 1, 0)]), situation(alerts=1)]
    compacted, lost = found(*records), found(*records, incident())
    assert compacted.events.places["unanswered"] == {UNTOLD: 1}
    assert compacted.adds_up
    assert lost.events.places["unexplained"] == {"no alert": 1}
    assert not lost.adds_up


def test_what_newer_versions_no_longer_say_is_remembered() -> None:
    told = fold(
        [
            incident(version=1, acknowledge_by=at(300), resolve_by=at(3_600), history=[entry("opened", 2)]),
            incident(
                version=2, acknowledge_by=at(900), resolve_by=at(900), history=[entry("assign", 3, "is resolved")]
            ),
            incident(version=3, history=[entry("comment", 4), entry("acknowledge", 5), entry("start", 6)]),
        ]
    )
    assert told.began[INCIDENT] == Began(at(2), at(5), at(300), at(900))


@pytest.mark.parametrize(
    ("told", "missed"),
    [
        ({}, (0, 0)),
        ({"acknowledge_by": at(20), "resolve_by": at(20)}, (0, 0)),  # the period ends then
        ({"acknowledge_by": at(19), "resolve_by": at(19)}, (1, 1)),
        ({"acknowledge_by": at(10), "history": [entry("acknowledge", 10)]}, (0, 0)),
        ({"acknowledge_by": at(10), "history": [entry("acknowledge", 11)]}, (1, 0)),
        ({"resolve_by": at(10), "resolved": at(10)}, (0, 0)),
        ({"resolve_by": at(10), "resolved": at(11)}, (0, 1)),
    ],
)
def test_a_target_is_missed_when_it_passes_first(told: dict[str, object], missed: tuple[int, int]) -> None:
    incidents = found(incident(**told)).incidents
    assert incidents.incidents == 1
    assert (incidents.missed_acknowledge, incidents.missed_resolve) == missed


def test_an_incident_that_was_merged_is_counted_as_that() -> None:
    incidents = found(incident(status="merged", merged_into="INC-00000000000000bb")).incidents
    assert (incidents.incidents, incidents.merged) == (0, 1)


@pytest.mark.parametrize(("status", "unanswered"), [("open", 1), ("closed", 1), ("merged", 0)])
def test_a_situation_that_is_no_incident_is_counted(status: str, unanswered: int) -> None:
    assert found(situation(status)).incidents.unanswered_situations == unanswered
    assert found(situation(status), incident()).incidents.unanswered_situations == 0


@pytest.mark.parametrize(("ci", "seen"), [("web", True), ("db", True), ("dns", True), ("far", False)])
def test_an_incident_tells_of_outages_of_its_root_of_alerts_and_of_what_it_ever_affected(ci: str, seen: bool) -> None:
    member = {"fingerprint": "db\x1fDown", "occurrence": 1, "ci": "db", "class": "Down", "event": "e1"}
    moves = [{"joined": [member], "cis_joined": ["dns"]}, {"left": [member], "cis_left": ["dns"]}]
    members = [
        record("incident-members", {"incident": INCIDENT, "version": at, "part": 1, "parts": 1, "moved": moved})
        for at, moved in enumerate(moves, 1)
    ]
    outages = review([incident(), *members], CIGraph(()), Rulebook(), outages=[Known(ci, 0, 1 << 42)]).outages
    assert outages is not None
    assert (outages.without_events, outages.false_alarms) == ((0, 0) if seen else (1, 1))


def test_a_response_counts_for_the_action_that_it_was_selected_for() -> None:
    asked = response(tried=[tried("action", 1)], attempt=2)
    probing = response(version=2, action="probe", status="verifying", tried=[tried("action", 1), tried("probe")])
    (action,) = found(asked, probing).responses.actions
    assert (action.action, action.responses, action.attempts) == ("restart", 1, 1)
    assert found(response(attempt=2)).responses.attempts == 2


def test_rollbacks_and_late_results_are_counted() -> None:
    told = response(tried=[tried("action", late=True), tried("action", 2), tried("rollback", 2)])
    responses = found(told).responses
    assert (responses.attempts, responses.rollbacks, responses.late_results) == (2, 1, 1)


@pytest.mark.parametrize(
    ("status", "final", "effective"),
    [("requested", 0, 0), ("effective", 1, 1), ("escalated", 1, 0), ("refused", 1, 0), ("cancelled", 1, 0)],
)
def test_success_is_the_share_of_those_that_are_over(status: str, final: int, effective: int) -> None:
    alone, with_incident = (
        found(response(status=status)).responses,
        found(response(status=status), incident()).responses,
    )
    assert (alone.final, alone.effective, alone.success) == (final, effective, float(effective) if final else None)
    assert (alone.without_person, with_incident.without_person) == (effective, 0)


def test_an_alert_that_begins_again_is_unsteady_from_three_times_on() -> None:
    changes = [alert("opened", "e1", 1, 0), alert("resolved", "e1", 2, 1), alert("opened", "e2", 3, 2)]
    twice = found(record("alerts", changes)).alerts
    assert (twice.alerts, twice.firings, twice.most_unsteady) == (1, 2, [])
    alerts = found(record("alerts", [*changes, alert("renewed", "e3", 4, 3), alert("escalated", "e3", 5, 4)])).alerts
    assert (alerts.alerts, alerts.firings) == (1, 3)
    assert [(each.ci, each.class_, each.firings) for each in alerts.most_unsteady] == [("web", "Down", 3)]


def test_a_firing_is_withheld_once_by_each_rule_that_ever_did() -> None:
    told = [withheld("withheld"), withheld("withheld", "late"), withheld("withheld"), withheld("released")]
    assert found(*told).alerts.withheld == {"hold": {"late": 1, "wait": 1}}
    assert found(withheld("resolved")).alerts.withheld == {"hold": {"wait": 1}}
    assert found(withheld("released")).alerts.withheld == {}


def test_what_a_rule_in_trial_would_have_done_is_told_of_it() -> None:
    trial = {
        "rule": "shy",
        "would": "drop",
        "ci": "web",
        "class": "Down",
        "event": "e1",
        "fingerprint": "f",
        "time_ms": 1,
    }
    rules = review([record("shadow", trial), record("shadow", trial)], CIGraph(()), Rulebook(), {"shy": "filter"}).rules
    assert [(each.rule, each.kind, each.did) for each in rules] == [("shy", "filter", {"would_drop": 1})]


def test_a_rule_has_a_part_in_the_incident_of_what_it_asked_for() -> None:
    request = {"id": "REQ-1", "version": 1, "situation": SITUATION, "incident": INCIDENT, "rule": "ask", "root": ROOT}
    request |= {"title": "", "opened": at(0), "updated": at(0), "status": "open"}
    notice = {"id": "NTF-1", "reason": "opened", "to": "kim", "text": "", "incident": INCIDENT, "rule": "tell"}
    records = [record("requests", request), record("notifications", notice | {"time": at(0)}), response()]
    did = {each.rule: (each.did, each.incidents) for each in found(*records, incident()).rules}
    assert did["ask"] == ({"requests": 1}, 1)
    assert did["tell"] == ({"notifications": 1}, 1)
    assert did["restart-web"] == ({"responses": 1}, 1)
    without = {each.rule: each.incidents for each in found(*records).rules}
    assert (without["ask"], without["restart-web"]) == (0, 0)
