"""What the scenarios' tables do not show: reasons, late results, requirements, held incidents, forgetting, storms."""

from collections import Counter

import msgspec
import pytest
from automating import PROBE, UNDO, Desk, rule, situation_id
from test_automation_scenarios import check_permits, once
from timetable import START

from opsbridge.core.coordination.news import Asked, Denied, Done, Granted
from opsbridge.core.policies import AutomationPolicy
from opsbridge.core.records import Response, Tried
from opsbridge.core.response.loop_state import OUTPUT, bounded
from opsbridge.core.rulebook import AutoResponse, BlastRadius
from opsbridge.core.times import rfc3339


def test_a_reason_is_given_for_what_changes_nothing() -> None:
    desk = Desk(rule()).play("""
        0s  open
        5s  succeeded
        6s  failed
        7s  started
        8s  succeeded action:2
        9s  approve
        10s resolved
    """)
    (response,) = desk.responses()
    assert desk.reasons == [
        "",
        "its result has been heard before: attempt 1 succeeded",
        "attempt 1 succeeded, and has been begun by exec",
        f"nothing was requested with the key {response.id}:action:2",
        "it does not wait for approval: it is verifying",
    ]
    assert response.status == "effective"


def test_a_late_result_is_recorded_and_changes_nothing() -> None:
    desk = Desk(rule()).play("""
        0s   open
        60s  -
        90s  succeeded
        91s  failed
    """)
    (response,) = desk.responses()
    (tried,) = response.tried
    assert (tried.outcome, tried.late, tried.by) == ("succeeded", True, "exec")
    assert response.status == "escalated"
    assert desk.reasons[0] == f"too late: nobody waits for {response.id}:action:1 any more; it is only recorded"
    assert desk.reasons[1].startswith("its result has been heard before: attempt 1 had no result in time (too late")


def test_what_was_printed_is_bounded_and_the_oldest_goes_first() -> None:
    tried = [Tried(f"k:{n}", "action", n, "", output="\x01" * OUTPUT) for n in range(20)]
    kept = bounded(tried)
    assert [each.output == "" for each in kept] == [True] * 12 + [False] * 8
    assert [each.idempotency_key for each in kept] == [each.idempotency_key for each in tried]
    assert len(msgspec.json.encode(kept)) < 110_000


def test_what_is_asked_of_executors() -> None:
    desk = Desk(rule(verify="probe", probe=PROBE, rollback=UNDO, verify_ms=1_000)).play("""
        0s  open
        5s  succeeded
        6s  failed
        9s  succeeded
    """)
    asked = [(each.status, each.action, each.parameters, each.idempotency_key, each.deadline) for each in told(desk)]
    name = desk.responses()[0].id
    host = {"host": "ci1"}
    assert asked == [
        ("awaiting_permit", "restart", host, "", None),
        ("requested", "restart", host, f"{name}:action:1", rfc3339(START + 60_000)),
        ("verifying", "ping", host, f"{name}:probe:1", rfc3339(START + 15_000)),
        ("rolling_back", "start", host, "", None),
        ("rolling_back", "start", host, f"{name}:rollback:1", rfc3339(START + 66_000)),
        ("escalated", "restart", host, "", None),
    ]
    assert [(each.purpose, each.outcome) for each in desk.responses()[0].tried] == [
        ("action", "succeeded"),
        ("probe", "failed"),
        ("rollback", "succeeded"),
    ]


def told(desk: Desk) -> list[Response]:
    return [each for _, each in desk.told if isinstance(each, Response)]


@pytest.mark.parametrize("restarts", [False, True], ids=["", "restarts"])
@pytest.mark.parametrize(
    ("timetable", "end"),
    [
        (["0s holds no", "1s open"], "1s refused (what it requires does not hold: tier: 3)"),
        (
            ["0s open", "10s holds no", "20s approve"],
            "20s refused (what it requires does not hold any more: tier: 3)",
        ),
        (
            ["0s open", "10s approve", "20s holds no", "21s failed", "51s -"],
            "51s escalated (what it requires does not hold any more: tier: 3; attempt 1 failed)",
        ),
        (
            ["0s open", "10s approve", "20s holds no", "21s succeeded", "51s resolved"],
            "51s effective (the situation cleared)",
        ),
    ],
)
def test_what_it_requires_has_to_hold_whenever_it_is_about_to_act(
    timetable: list[str], end: str, restarts: bool
) -> None:
    desk = Desk(restarts=restarts)
    desk.rules = (rule(requires=desk.requires, requires_text="tier: 3", attempts=2, approval_group="leads"),)
    desk.play("\n".join(timetable))
    assert [line for line in desk.story() if " tells " not in line][-1] == end
    check_permits(desk)


def test_a_reload_changes_nothing_under_way_but_what_is_required_is_asked_of_the_new_rules() -> None:
    desk = Desk(rule(attempts=2)).play("0s open")
    desk.rules = (rule(attempts=9, call=PROBE),)
    desk.play("""
        5s  failed
        35s -
        40s failed
    """)
    (response,) = desk.responses()
    assert (response.status, response.attempts, response.action) == ("escalated", 2, "restart")
    desk = Desk()
    desk.rules = (rule(requires=desk.requires, requires_text="tier: 3", approval_group="leads"),)
    desk.play("0s open")
    desk.rules = ()
    desk.play("5s approve")
    assert desk.story()[-1] == (
        "5s refused (its rule does not ask for it any more, so nobody can tell whether this holds: tier: 3)"
    )


@pytest.mark.parametrize(
    ("rules", "timetable", "held"),
    [
        ([rule(before_incident=True)], "0s open", "fix"),
        ([rule()], "0s open", ""),
        ([rule(before_incident=True)], "0s open\n1s started\n2s succeeded\n3s resolved", "fix"),
        ([rule(before_incident=True)], "0s open\n1s failed", ""),
        ([rule(before_incident=True, rollback=UNDO)], "0s open\n1s failed", "fix"),
        ([rule(before_incident=True)], "0s stop\n1s open", ""),
        ([rule(before_incident=True)], "0s open\n2s succeeded\n3s resolved\n9s open", ""),
        ([rule(before_incident=True)], "0s open\n2s succeeded\n3s resolved\n9s closed\n10s reopened", "fix"),
        ([rule(before_incident=True, approval_group="leads")], "0s open\n2s resolved", "fix"),
        ([rule(before_incident=True, approval_group="leads")], "0s open\n2s resolved\n3s open", ""),
        ([rule(before_incident=True, verify="result")], "0s open\n2s succeeded", "fix"),
        ([rule("a", before_incident=True), rule("b", before_incident=True)], "0s open\n2s failed", ""),
        ([rule("a"), rule("b", before_incident=True)], "0s open", "b"),
    ],
)
def test_an_incident_is_held_back(rules: list[AutoResponse], timetable: str, held: str) -> None:
    for restarts in (False, True):
        desk = Desk(*rules, restarts=restarts).play(timetable)
        assert desk.automation.holding(situation_id(1)) == held


def test_the_incident_carries_what_was_tried() -> None:
    desk = Desk(rule("a", attempts=2), rule("b", limits=BlastRadius(per_ci=once()))).play("""
        0s  open
        5s  failed action:1
    """)
    assert [
        (each.action, each.status, each.attempt, each.detail) for each in desk.automation.attempts(situation_id(1))
    ] == [
        ("restart", "requested", 1, "attempt 1 goes on"),
        ("restart", "refused", 0, "denied (per_ci): restart on ci1: 1 requested of at most 1 within 10m"),
    ]


def test_once_for_a_rule_a_situation_and_a_reopening() -> None:
    desk = Desk(rule("a"), rule("b")).play("""
        0s  open
        1s  open
        2s  resolved
        3s  open
    """)
    assert len(desk.responses()) == 2
    assert len([each for _, each in desk.told if isinstance(each, Asked)]) == 2
    desk.play("""
        4s  closed
        5s  reopened
        6s  open
    """)
    assert len({each.id for each in desk.responses()}) == 4


def test_answers_that_come_again_or_too_late_change_nothing() -> None:
    desk = Desk(rule()).play("0s open")
    (asked,) = [each for _, each in desk.told if isinstance(each, Asked)]
    granted = Granted(asked.situation, asked.response, asked.permit, START)
    denied = Denied(asked.situation, asked.response, asked.permit, "per_hour", "", START)
    assert desk.automation.answered(granted, None) == []
    assert desk.automation.answered(denied, None) == []
    desk.play("9s failed")
    assert desk.automation.answered(granted, None) == [Done(asked.permit, desk.now)]
    assert desk.automation.answered(denied, None) == []
    gone = Granted(asked.situation, "RSP-0000000000000000", "RSP-0000000000000000:action:1", START)
    assert desk.automation.answered(gone, None) == [Done(gone.permit, desk.now)], "a permit that nobody needs"


def test_an_hour_after_its_end_and_that_of_its_situation_it_is_forgotten() -> None:
    desk = Desk(rule(verify="result")).play("""
        0s    open
        9s    succeeded
        5h    -
    """)
    assert len(desk.automation) == 1, "its situation goes on"
    desk.play("""
        6h    closed
        6.9h  -
    """)
    assert len(desk.automation) == 1
    desk.restart()
    desk.play("7h -")
    assert len(desk.automation) == 0
    assert [value for _, value in desk.automation.changes()] == [None]
    assert desk.automation.due() is None
    desk = Desk(rule(approval_group="leads", approval_ms=2 * 3_600_000, verify="result")).play("""
        0s    open
        1s    approve
        2s    closed
        30s   succeeded
        3601s -
    """)
    assert len(desk.automation) == 1
    assert len(desk.play("3631s -").automation) == 0


# storms and limits


@pytest.mark.parametrize(
    ("policy", "limits", "granted", "reason"),
    [
        (AutomationPolicy(), BlastRadius(concurrent=3), 3, "restart: 3 under way of at most 3"),
        (AutomationPolicy(), BlastRadius(per_action=once(7)), 7, "restart: 7 requested of at most 7 within 10m"),
        (AutomationPolicy(), BlastRadius(), 10, "all auto-responses: 10 under way of at most 10"),
        (
            AutomationPolicy(concurrent=999),
            BlastRadius(),
            60,
            "all auto-responses: 60 requested of at most 60 within 1h",
        ),
        (
            AutomationPolicy(enabled=False),
            BlastRadius(),
            0,
            "automation is switched off by the setting automation.enabled",
        ),
    ],
)
def test_a_storm_asks_for_the_same_action(
    policy: AutomationPolicy, limits: BlastRadius, granted: int, reason: str
) -> None:
    desk = Desk(rule(limits=limits), policy=policy)
    for number in range(500):
        desk.happens(START + number, "open", number=number)
    last = {each.id: each for each in told(desk)}.values()
    assert Counter(each.status for each in last) == Counter({"requested": granted, "refused": 500 - granted})
    (found,) = {each.outcome.partition(": ")[2] for each in last if each.status == "refused"}
    assert found == reason
    for number in range(granted):
        desk.reported(situation_id(number), "succeeded")
        desk.situation(number, "resolved")
    last = {each.id: each for each in told(desk)}.values()
    assert Counter(each.status for each in last) == Counter({"effective": granted, "refused": 500 - granted})
    check_permits(desk)
