"""What time alone does to an incident: escalations, targets, reminders and snoozing, in virtual time."""

from datetime import UTC, datetime
from textwrap import dedent

import pytest
from incidents import ESTATE, HOUR, MINUTE, START, Desk

from opsbridge.core.case import Case
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.response.priority import DEFAULT, TARGETS, Scale, Targets
from opsbridge.core.rulebook import Priority, Rulebook


def urgent(book: Rulebook | None = None, graph: CIGraph = ESTATE) -> Desk:
    """A P1: to be acknowledged within 5 minutes and resolved within an hour; reminders every 15 minutes."""
    desk = Desk(book or Rulebook(), graph, severity="critical", services=20)
    desk.news()
    return desk


def expect(desk: Desk, timetable: str) -> None:
    assert desk.timetable() == dedent(timetable).strip().splitlines()


def targets(desk: Desk) -> tuple[str | None, str | None]:
    return desk.incident.acknowledge_by, desk.incident.resolve_by


def snoozed(desk: Desk) -> str | None:
    return desk.incident.snoozed_until


NOBODY_LOOKS = """
    0m00s opened dba
    5m00s unacknowledged dba 1
    10m00s unacknowledged dba 2
    15m00s unacknowledged dba 3
    15m00s reminder dba
    20m00s unacknowledged dba 4
    25m00s unacknowledged dba 5
    30m00s reminder dba
    45m00s reminder dba
    48m00s target_nears dba
    60m00s target_missed dba
    60m00s reminder dba
    75m00s reminder dba
"""


@pytest.mark.parametrize("stride", [1_000, 7 * MINUTE, 80 * MINUTE])
def test_what_nobody_looks_at_is_escalated_and_each_at_its_time_however_far_time_jumps(stride: int) -> None:
    desk = urgent()
    while desk.now < START + 80 * MINUTE:
        desk.until(min(desk.now - START + stride, 80 * MINUTE))
    expect(desk, NOBODY_LOOKS)
    incident = desk.incident
    assert (incident.priority, incident.escalations) == ("P1", 5)
    assert [each.what for each in incident.history] == ["opened", *["escalated"] * 7]
    assert incident.version == 8, "a reminder is no news of the incident"


def test_a_restart_at_any_time_changes_nothing() -> None:
    desk = urgent()
    for minute in range(1, 80):
        desk.until(minute * MINUTE)
        desk.restart()
    desk.until(80 * MINUTE)
    expect(desk, NOBODY_LOOKS)


def test_who_acknowledges_is_only_reminded_and_told_of_the_target() -> None:
    desk = urgent()
    desk.until(7 * MINUTE)
    assert targets(desk) == ("2026-09-21T14:18:20.000Z", "2026-09-21T15:13:20.000Z")
    desk.say("acknowledge")
    assert targets(desk) == (None, "2026-09-21T15:13:20.000Z")
    desk.until(59 * MINUTE)
    desk.say("resolve")
    desk.until(4 * HOUR)
    expect(
        desk,
        """
        0m00s opened dba
        5m00s unacknowledged dba 1
        15m00s reminder dba
        30m00s reminder dba
        45m00s reminder dba
        48m00s target_nears dba
        59m00s resolved dba
        """,
    )
    assert (desk.incident.resolve_by, desk.incident.resolved) == (None, "2026-09-21T15:12:20.000Z")


def test_reminders_go_to_whoever_has_it() -> None:
    desk = urgent()
    desk.say("assign", to="kim")
    desk.until(20 * MINUTE)
    assert desk.timetable() == ["0m00s opened dba", "15m00s reminder kim"]


def test_it_escalates_along_the_line_that_the_priority_names() -> None:
    scale = Scale(targets={**TARGETS, "P1": Targets(5 * MINUTE, escalate_to=("lead", "boss"))})
    desk = urgent(Rulebook(prioritise=scale))
    desk.until(HOUR)
    assert desk.timetable() == [
        "0m00s opened dba",
        "5m00s unacknowledged lead 1",
        "10m00s unacknowledged boss 2",
        "15m00s unacknowledged boss 3",
        "20m00s unacknowledged boss 4",
        "25m00s unacknowledged boss 5",
    ]


def test_without_a_group_the_first_of_the_line_is_told() -> None:
    scale = Scale(targets={**TARGETS, "P1": Targets(50 * MINUTE, HOUR, escalate_to=("lead", "boss"))})
    desk = urgent(Rulebook(prioritise=scale), graph=CIGraph([], []))
    desk.until(HOUR)
    assert desk.timetable() == [
        "0m00s opened lead",
        "48m00s target_nears lead",
        "50m00s unacknowledged lead 1",
        "60m00s target_missed lead",
    ]


def test_where_there_is_nobody_to_tell_nothing_comes_though_the_targets_stand() -> None:
    desk = urgent(graph=CIGraph([], []))
    desk.until(2 * HOUR)
    assert (desk.notices(), desk.stage.due()) == ([], None)
    assert desk.incident.resolve_by is not None
    desk.say("assign", group="net")
    desk.until(2 * HOUR + 1)
    assert [each.to for each in desk.notices()] == ["net"] * 2, "what is overdue comes when there is somebody to tell"


def test_who_snoozes_has_rest_until_it_wakes_and_what_has_come_due_comes_once() -> None:
    desk = urgent()
    desk.until(2 * MINUTE)
    desk.say("snooze", until=datetime.fromtimestamp(START / 1000 + 1800, UTC))
    assert desk.incident.snoozed_until == "2026-09-21T14:43:20.000Z"
    desk.until(46 * MINUTE)
    expect(
        desk,
        """
        0m00s opened dba
        30m00s woke dba
        30m00s unacknowledged dba 1
        35m00s unacknowledged dba 2
        40m00s unacknowledged dba 3
        45m00s unacknowledged dba 4
        45m00s reminder dba
        """,
    )
    assert snoozed(desk) is None


def test_it_is_woken_by_hand_or_by_a_priority_that_rises() -> None:
    late = datetime.fromtimestamp(START / 1000 + 36_000, UTC)
    desk = Desk(severity="major", services=20)
    desk.news()
    desk.say("wake")
    assert desk.incident.history[-1].refused == "not_snoozed"
    desk.say("snooze", until=late)
    desk.say("wake")
    assert snoozed(desk) is None
    desk.say("snooze", until=late)
    desk.news(severity="minor")
    assert snoozed(desk) is not None, "it has become less urgent"
    desk.news(severity="critical")
    assert snoozed(desk) is None
    assert desk.reasons() == ["opened", "priority"]
    assert [(each.what, each.detail) for each in desk.incident.history][-3:] == [
        ("priority", "P2 to P3"),
        ("priority", "P3 to P1"),
        ("woke", "its priority has risen"),
    ]


def test_what_is_resolved_needs_no_waking() -> None:
    desk = urgent()
    desk.say("snooze", until=datetime.fromtimestamp(START / 1000 + 600, UTC))
    desk.news("resolved")
    desk.until(HOUR)
    assert snoozed(desk) is None
    assert desk.reasons() == ["opened", "resolved"]


def test_when_it_is_reopened_all_targets_begin_anew() -> None:
    desk = urgent()
    desk.until(50 * MINUTE)
    desk.news("resolved")
    desk.until(55 * MINUTE)
    desk.news(joined=1)
    told = len(desk.timetable())
    desk.until(70 * MINUTE)
    assert desk.timetable()[told - 1 :] == [
        "55m00s reopened dba",
        "60m00s unacknowledged dba 1",
        "65m00s unacknowledged dba 2",
        "70m00s unacknowledged dba 3",
        "70m00s reminder dba",
    ]
    assert desk.incident.escalations == 8, "in all"


def test_of_what_is_overdue_at_once_the_worse_is_told() -> None:
    """Its priority rises long after both times have passed."""
    desk = Desk(severity="minor", services=1)
    desk.news()
    desk.until(3 * HOUR)
    desk.news(severity="critical", services=20)
    desk.until(3 * HOUR + MINUTE)
    assert desk.reasons() == ["opened", "priority", "target_missed", "unacknowledged", "reminder"]


def test_no_priority_is_asked_for_once_it_is_over() -> None:
    asked: list[str] = []

    def ask(case: Case) -> Priority:
        asked.append(case.situation.status)
        return DEFAULT(case)

    desk = Desk(Rulebook(prioritise=ask), severity="critical")
    desk.news()
    desk.news("resolved", severity="info")
    assert desk.incident.priority == "P3"
    assert [each.what for each in desk.incident.history] == ["opened", "resolved"]


def test_who_owns_the_root_is_told_if_it_has_no_group() -> None:
    desk = Desk(graph=CIGraph([CI("db", owner="ann")], []))
    desk.news()
    assert (desk.incident.group, desk.timetable()) == ("ann", ["0m00s opened ann"])
