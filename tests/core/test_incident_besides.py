"""What is done about a situation besides its incident: tickets, notifications, problems, what is known, automation."""

from datetime import UTC, datetime

import msgspec
import pytest
from incidents import ESTATE, HOUR, INCIDENT, MINUTE, SITUATION, START, Desk, situation
from timetable import FAR, Scenario

from opsbridge.core.case import Case
from opsbridge.core.context import ChangeRecord
from opsbridge.core.coordination.news import Asked, BelongsTo, Counted, Denied, Ended, Granted, Opened
from opsbridge.core.decisions import Moved, RecentChange
from opsbridge.core.feedback import CloseRecord, Feedback, Result, Split, StopAutomation
from opsbridge.core.ids import derived_id
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.policies import AutomationPolicy, Policies
from opsbridge.core.records import (
    ChangeRequest,
    Incident,
    IncidentMembers,
    KnownError,
    Notification,
    Problem,
    Response,
    ServiceRequest,
    Unanswered,
)
from opsbridge.core.response.selection import ResponseSelection
from opsbridge.core.response.tickets import KEPT_MS
from opsbridge.core.rulebook import (
    ActionCall,
    AutoResponse,
    Further,
    Handling,
    Notify,
    ProblemWatch,
    Rulebook,
    Selection,
    Ticket,
)
from opsbridge.core.second_level.reporting import slices
from opsbridge.core.times import rfc3339

NOW = datetime(2026, 9, 21, tzinfo=UTC)


def book(*further: Further, answer: Handling = Handling()) -> Rulebook:  # noqa: B008 - frozen
    return Rulebook(respond=lambda _: Selection(answer, further))


def tickets(desk: Desk) -> list[ChangeRequest | ServiceRequest]:
    return [each for each in desk.told if isinstance(each, ChangeRequest | ServiceRequest)]


def close(record: str) -> CloseRecord:
    return CloseRecord(id=f"close {record}", time=NOW, by="jo", note="done", record=record, situation=SITUATION)


# what an incident is told with


def test_category_group_runbook_and_links_come_from_the_rule_and_then_from_the_root() -> None:
    desk = Desk()
    desk.news()
    told = desk.incident
    assert (told.category, told.group, told.runbook, told.links) == (
        "database",
        "dba",
        "https://run/db",
        ("https://d",),
    )
    answer = Handling("mine", category="own", group="{root.ci}-team", links=("https://x/{incident}",))
    desk = Desk(book(answer=answer))
    desk.news()
    told = desk.incident
    assert (told.category, told.group, told.runbook) == ("own", "db-team", "https://run/db")
    assert told.links == (f"https://x/{INCIDENT}", "https://d")


def test_known_errors_and_recent_changes_are_attached_and_rules_may_ask_for_them() -> None:
    leak = KnownError("KE-1", "Leaks memory", "restart it")
    cases: list[Case] = []

    def respond(case: Case) -> Selection:
        cases.append(case)
        return Selection()

    desk = Desk(Rulebook(known_errors=lambda _: (leak,), respond=respond))
    change = RecentChange("CHG-1", "db", "new version", START - MINUTE)
    snapshot = msgspec.structs.replace(situation(), changes=(change,))
    desk.take(desk.stage.advance(slices(snapshot, Moved(), START)))
    assert desk.incident.known_errors == (leak,)
    assert [(each.id, each.began, each.ended) for each in desk.incident.changes] == [
        ("CHG-1", "2026-09-21T14:12:20.000Z", None)
    ]
    assert [(each.known_errors, each.changes, each.priority) for each in cases] == [(("KE-1",), ("CHG-1",), "P4")]


def test_what_is_learned_of_changes_is_on_the_incident() -> None:
    with Scenario("db") as scenario:
        scenario.pipeline.learn(
            ChangeRecord(id="CHG-1", cis=("db",), title="new version", begins=datetime.fromtimestamp(START / 1000, UTC))
        )
        scenario.play("5s db Down critical\n30s -")
        assert [change.id for change in scenario.last().changes] == ["CHG-1"]
        scenario.checked()


# tickets


def test_a_ticket_is_raised_once_and_told_anew_when_root_or_priority_change() -> None:
    desk = Desk(
        book(Ticket("swap", "change", "swap {root.ci}", links=("https://{root.ci}",)), Ticket("ask", "request"))
    )
    desk.news()
    desk.news()
    assert [(each.id[:4], each.version, each.title, each.priority, each.status) for each in tickets(desk)] == [
        ("RFC-", 1, "swap db", "P4", "open"),
        ("REQ-", 1, "Down on db", "P4", "open"),
    ]
    assert tickets(desk)[0].id == derived_id("RFC", SITUATION, "swap")
    assert (tickets(desk)[0].group, tickets(desk)[0].links) == ("dba", ("https://db",))
    desk.news(severity="critical", services=20)
    desk.news(root="sw")
    assert [(each.id[:4], each.version, each.priority, each.root.ci) for each in tickets(desk)[2:]] == [
        ("REQ-", 2, "P1", "db"),
        ("RFC-", 2, "P1", "db"),
        ("REQ-", 3, "P4", "sw"),
        ("RFC-", 3, "P4", "sw"),
    ]


def test_a_ticket_outlives_its_incident_until_somebody_closes_it() -> None:
    desk = Desk(book(Ticket("swap", "change")))
    desk.news()
    desk.news("resolved")
    desk.news("closed")
    desk.wait(24 * HOUR)
    desk.restart()
    record = tickets(desk)[0].id
    desk.hear(close(record))
    assert [(each.version, each.status, each.because) for each in tickets(desk)] == [
        (1, "open", ("rule swap asks for it",)),
        (2, "closed", ("rule swap asks for it", "jo has closed it: done")),
    ]
    desk.hear(close(record))
    assert len(tickets(desk)) == 2
    desk.wait(HOUR)
    assert desk.stage.heard(close(record)) == f"there is no record {record}"


def test_who_closes_a_ticket_is_in_the_history_of_its_incident() -> None:
    desk = Desk(book(Ticket("swap", "change")))
    desk.news()
    desk.hear(close(tickets(desk)[0].id))
    assert (desk.incident.version, desk.incident.history[-1].what) == (2, "close_record")


def test_a_ticket_that_nobody_closes_is_forgotten_in_the_end() -> None:
    desk = Desk(book(Ticket("swap", "change")))
    desk.news()
    desk.news("closed")
    desk.wait(KEPT_MS)
    assert isinstance(desk.stage.heard(close(tickets(desk)[0].id)), str)
    assert desk.stage.due() is None


def test_a_situation_that_begins_again_has_its_ticket_unless_that_is_closed() -> None:
    desk = Desk(book(Ticket("swap", "change")))
    desk.news()
    desk.news("closed")
    desk.news(reopened=1)
    assert len(tickets(desk)) == 1
    desk.hear(close(tickets(desk)[0].id))
    desk.news("closed")
    desk.news(reopened=2)
    assert [(each.id, each.status) for each in tickets(desk)][2:] == [(derived_id("RFC", SITUATION, "swap", 2), "open")]


def test_a_ticket_that_is_closed_is_not_raised_again_however_long_its_situation_goes_on() -> None:
    desk = Desk(book(Ticket("swap", "change")))
    desk.news()
    desk.hear(close(tickets(desk)[0].id))
    desk.wait(KEPT_MS)
    desk.restart()
    desk.news()
    assert [(each.version, each.status) for each in tickets(desk)] == [(1, "open"), (2, "closed")]
    desk.news("closed")
    desk.wait(HOUR)
    assert desk.stage.due() is None


def test_tickets_come_in_the_same_order_after_a_restart() -> None:
    first, second = Desk(rules := book(*(Ticket(f"rule{n}", "change") for n in range(8)))), Desk(rules)
    for desk in (first, second):
        desk.news()
    second.restart()
    for desk in (first, second):
        desk.news(severity="critical")
    assert tickets(first) == tickets(second)


def test_a_stage_that_has_nothing_but_tickets_left_knows_how_late_it_is() -> None:
    desk = Desk(book(Ticket("swap", "change")))
    desk.news()
    desk.news("closed")
    desk.wait(24 * HOUR)
    desk.restart()
    alone = ResponseSelection()
    alone.restore(desk.saved())
    assert alone.now == START
    closed = alone.heard(close(tickets(desk)[0].id))
    assert [each.updated for each in closed if isinstance(each, ChangeRequest)] == [rfc3339(START)]


@pytest.mark.parametrize("heir_has_one", [True, False])
def test_the_ticket_of_what_is_merged_is_the_heirs(heir_has_one: bool) -> None:
    heir = "S-00000000000000ff"
    desk = Desk(book(Ticket("swap", "change")))
    desk.news()
    if heir_has_one:
        desk.news(name=heir)
    desk.news("merged", merged_into=heir)
    merged = tickets(desk)[-1]
    wanted = derived_id("RFC", heir, "swap") if heir_has_one else "INC-00000000000000ff"
    assert (merged.id, merged.status, merged.merged_into) == (derived_id("RFC", SITUATION, "swap"), "merged", wanted)


# notifications and problems


def test_a_rule_may_tell_somebody_once_also_where_there_is_no_incident() -> None:
    rule = Notify("page", "{root.group}", "look at {root.ci}")
    desk = Desk(book(rule, answer=Handling("quiet", "none")))
    desk.news()
    desk.news()
    desk.news("closed")
    desk.news(reopened=1)
    assert [(each.to, each.text, each.rule, each.incident) for each in desk.notices()] == [
        ("dba", "look at db", "page", "")
    ] * 2
    assert len({each.id for each in desk.notices()}) == 2


def test_coordination_hears_of_each_beginning_and_of_rules_that_count_it_later_and_of_the_end() -> None:
    watch = ProblemWatch("again", ("root.ci", "root.class"), 3, HOUR, "{root.ci} fails")

    def respond(case: Case) -> Selection:
        return Selection(further=(watch,) if case.situation.severity > 3 else ())

    desk = Desk(Rulebook(respond=respond))
    desk.news()
    desk.news(severity="critical")
    desk.news(severity="critical")
    desk.news("closed")
    desk.news(reopened=1, severity="critical")
    counted = (Counted("again", ("db", "Down"), 3, HOUR, "db fails"),)
    assert [(each.again, each.counted) for each in desk.told if isinstance(each, Opened)] == [
        (0, ()),
        (0, counted),
        (1, counted),
    ]
    assert [each.situation for each in desk.told if isinstance(each, Ended)] == [SITUATION]


def test_the_incident_names_its_problem() -> None:
    desk = Desk()
    desk.news()
    desk.take(desk.stage.answered(BelongsTo(SITUATION, "PRB-1", START)))
    assert (desk.incident.problem, desk.incident.version) == ("PRB-1", 2)
    assert desk.stage.answered(BelongsTo(SITUATION, "PRB-1", START)) == []
    assert desk.stage.answered(BelongsTo("S-unknown", "PRB-1", START)) == []


def test_through_the_core_what_recurs_becomes_a_problem() -> None:
    watch = ProblemWatch("again", ("root.ci",), 2, 24 * HOUR)
    with Scenario("db", book(watch)) as scenario:
        scenario.play("0s db Down critical\n60s db Down resolved\n1800s db Down critical\n1900s -")
        problems = [each for each in scenario.decisions if isinstance(each, Problem)]
        assert [len(each.incidents) for each in problems] == [2]
        assert {each.problem for each in scenario.ledger.incidents.values()} == {problems[0].id}
        assert [each.status for each in scenario.ledger.problems.values()] == ["open"]
        said = CloseRecord(id="c", time=NOW, by="jo", record=problems[0].id)
        told = scenario.pipeline.heard(said)
        assert [each.status for each in told if isinstance(each, Problem)] == ["closed"]
        scenario.checked()


# automation


RESTART = AutoResponse(rule="fix", call=ActionCall("restart", {"ci": "{root.ci}"}), verify="result")


def hear(scenario: Scenario, said: Feedback) -> list[Decision]:
    told = scenario.pipeline.heard(said)
    assert not isinstance(told, str), told
    scenario._take(told)
    return told


def responses(scenario: Scenario) -> list[Response]:
    return [each for each in scenario.decisions if isinstance(each, Response)]


def result(response: Response, outcome: str) -> Feedback:
    said = {
        "kind": "result",
        "id": f"{response.idempotency_key} {outcome}",
        "time": NOW,
        "by": "executor",
        "response": response.id,
        "situation": response.situation,
        "idempotency_key": response.idempotency_key,
        "outcome": outcome,
    }
    return msgspec.convert(said, Result)


@pytest.mark.parametrize("dies", [False, True])
def test_through_the_core_an_incident_carries_its_attempts(dies: bool) -> None:
    with Scenario("db", book(RESTART)) as scenario:
        scenario.play("0s db Down critical\n30s -")
        if dies:
            scenario.restart()
        assert [each.status for each in responses(scenario)] == ["awaiting_permit", "requested"]
        kinds = [type(each) for each in scenario.decisions]
        assert kinds.index(Incident) < kinds.index(Granted), "the incident is told before what follows from a permit"
        asked = responses(scenario)[-1]
        assert [(each.response, each.status) for each in scenario.last().attempts] == [(asked.id, "requested")]
        hear(scenario, result(asked, "succeeded"))
        assert [each.status for each in scenario.last().attempts] == ["effective"]
        assert [(each.by, each.what) for each in scenario.last().history] == [
            ("opsbridge", "opened"),
            ("opsbridge", "response"),
            ("executor", "result"),
            ("opsbridge", "response"),
        ]
        assert hear(scenario, result(asked, "succeeded")) == []
        scenario.checked()


def test_through_the_core_an_incident_waits_for_automation_and_is_made_up_for_if_that_fails() -> None:
    first = msgspec.structs.replace(RESTART, before_incident=True)
    with Scenario("a b -> sw", book(first)) as scenario:
        scenario.play("0s a HostDown critical\n1s b HostDown critical\n30s -").expect(incidents="")
        assert {each.rule for each in scenario.decisions if isinstance(each, Unanswered)} == {"fix"}
        hear(scenario, result(responses(scenario)[-1], "failed"))
        scenario.expect(
            incidents="""
            sw silent open critical
              members a:HostDown b:HostDown
              affects a b sw
            """
        )
        assert [each.status for each in scenario.last().attempts] == ["escalated"]


def test_through_the_core_nobody_is_told_of_what_automation_has_put_right() -> None:
    first = msgspec.structs.replace(RESTART, before_incident=True)
    with Scenario("db", book(first)) as scenario:
        scenario.play("0s db Down critical\n30s -")
        hear(scenario, result(responses(scenario)[-1], "succeeded"))
        scenario.play("60s db Down resolved\n900s -").expect(incidents="")
        assert not any(isinstance(each, Incident | IncidentMembers) for each in scenario.decisions)
        assert responses(scenario)[-1].status == "effective"


def test_through_the_core_automation_that_is_stopped_asks_nobody_to_do_anything() -> None:
    with Scenario("db", book(RESTART)) as scenario:
        hear(scenario, StopAutomation(id="stop", time=NOW, by="jo"))
        scenario.play("0s db Down critical\n30s -")
        assert [each.reason for each in scenario.decisions if isinstance(each, Denied)] == ["stopped"]
        assert "requested" not in {each.status for each in responses(scenario)}
        scenario.checked()


def test_policies_reach_the_stages() -> None:
    pipeline = Pipeline(ESTATE, book(RESTART), policies=Policies(automation=AutomationPolicy(enabled=False)))
    scenario = Scenario(ESTATE, book(RESTART))
    scenario.pipeline = pipeline
    scenario.ledger.pipeline = pipeline
    scenario.play("0s db Down critical\n30s -")
    assert [each.reason for each in scenario.decisions if isinstance(each, Denied)] == ["disabled"]
    assert any(isinstance(each, Asked) for each in scenario.decisions)


def test_nobody_knows_of_a_response_that_there_is_not() -> None:
    desk = Desk()
    said = result(msgspec.structs.replace(_A_RESPONSE, id="RSP-0000000000000001", situation=SITUATION), "succeeded")
    assert desk.stage.heard(said) == f"there is no response RSP-0000000000000001 to {SITUATION}"
    assert isinstance(desk.stage.heard(StopAutomation(id="stop", time=NOW, by="jo")), str)


def test_what_is_said_of_a_response_to_another_situation_is_not_heard() -> None:
    """Else what follows would be in the history of an incident that is not told anew."""
    desk = Desk(book(RESTART))
    desk.news()
    asked = next(each for each in desk.told if isinstance(each, Response))
    said = result(msgspec.structs.replace(asked, situation="S-00000000000000aa", idempotency_key="k"), "succeeded")
    assert desk.stage.heard(said) == f"there is no response {asked.id} to S-00000000000000aa"


_A_RESPONSE = Response(
    id="",
    version=1,
    situation="",
    incident="",
    rule="",
    root=situation().root,
    title="",
    opened="",
    updated="",
    status="requested",
    ci="db",
    action="restart",
    idempotency_key="k",
)


# what belongs together, through the core


def test_through_the_core_what_people_split_off_is_an_incident_of_its_own() -> None:
    with Scenario("a b -> sw") as scenario:
        scenario.play("0s a HostDown critical\n1s b HostDown critical\n30s -")
        both = scenario.last()
        alerts = [f"{ci}\x1fHostDown" for ci in ("a",)]
        said = msgspec.convert(
            {"kind": "split", "id": "1", "time": NOW, "by": "jo", "incident": both.id, "alerts": alerts}, Split
        )
        hear(scenario, said)
        scenario.play("60s -")
        assert sorted(len(scenario.moved(each).joined) for each in scenario.ledger.incidents) == [1, 1]
        assert scenario.ledger.incidents[both.id].history[-1].by == "jo"
        scenario.checked()


# time, through the core


@pytest.mark.parametrize("jump", [1, 60, 5000])
def test_through_the_core_deadlines_come_in_order_of_time_however_far_it_jumps(jump: int) -> None:
    """The deadline of a request at two minutes, escalations at five and ten: the same whatever the steps."""
    scenario = Scenario(ESTATE, book(RESTART, answer=Handling("r", group="net")))
    scenario.play("0s db Down critical\n20s -")
    for now in range(20, 5020, jump):
        scenario.expire(START + 1000 * now)
    scenario.expire(START + 5_020_000)
    times = [each.time for each in scenario.decisions if isinstance(each, Notification)]
    assert times == sorted(times)
    assert [each.reason for each in scenario.decisions if isinstance(each, Notification)] == [
        "opened",
        "not_effective",
        "unacknowledged",
    ]
    assert scenario.last().history[-1].time == "2026-09-21T15:13:30.000Z"
    scenario.checked()


def test_through_the_core_the_end_of_the_input_does_not_escalate_for_ever() -> None:
    scenario = Scenario(ESTATE)
    scenario.play("0s db Down critical")
    scenario.finish()
    told = [each for each in scenario.decisions if isinstance(each, Notification)]
    assert [each.reason for each in told] == ["opened"]
    assert FAR
    assert scenario.pipeline.response.due() is not None
