"""The closed loop, scenario by scenario: what happens, and all that people and executors are told because of it.

Each is played twice: at one go, and with a restart of the lane and of coordination before everything that happens.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from automating import PROBE, UNDO, Desk, rule

from opsbridge.core.coordination.news import Asked, Denied, Done
from opsbridge.core.records import Notification, Response
from opsbridge.core.response.loop_state import TRANSITIONS
from opsbridge.core.rulebook import AutoResponse, BlastRadius, Limit


@dataclass
class Scenario:
    """What happens to one rule's response, and what people and executors are told."""

    name: str
    rule: AutoResponse
    table: str
    """`TIME WHAT -> TOLD; TOLD; ...`: what happens, and what is told until then and because of it."""


def once(times: int = 1) -> Limit:
    return Limit(times, 600_000)


SCENARIOS = [
    Scenario(
        "effective",
        rule(),
        """
        0s open      -> awaiting_permit; requested action:1
        2s started   -> running action:1
        9s succeeded -> verifying
        40s resolved -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "failed, then not proven, then escalated",
        rule(attempts=2),
        """
        0s open       -> awaiting_permit; requested action:1
        5s failed     -> waiting
        35s -         -> awaiting_permit; requested action:2
        40s started   -> running action:2
        50s succeeded -> verifying
        350s -        -> escalated (attempt 1 failed; attempt 2 succeeded, but nothing cleared in time); tells ops not_effective
        400s resolved
        """,  # noqa: E501
    ),
    Scenario(
        "the second attempt is effective",
        rule(attempts=3),
        """
        0s open       -> awaiting_permit; requested action:1
        5s unknown    -> waiting
        40s succeeded -> 35s awaiting_permit; 35s requested action:2; verifying
        60s resolved  -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "the clear came before the result",
        rule(),
        """
        0s open      -> awaiting_permit; requested action:1
        3s resolved
        9s succeeded -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "the executor is dead",
        rule(),
        """
        0s open -> awaiting_permit; requested action:1
        60s -   -> escalated (attempt 1 had no result in time); tells ops not_effective
        """,
    ),
    Scenario(
        "the executor dies after it began",
        rule(attempts=2),
        """
        0s open       -> awaiting_permit; requested action:1
        1s started    -> running action:1
        60s -         -> waiting
        90s -         -> awaiting_permit; requested action:2
        95s succeeded -> verifying
        99s resolved  -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "result late",
        rule(attempts=2),
        """
        0s open                -> awaiting_permit; requested action:1
        60s -                  -> waiting
        70s succeeded action:1 -> waiting
        95s succeeded          -> 90s awaiting_permit; 90s requested action:2; verifying
        99s resolved           -> effective (the situation cleared)
        99s failed action:2
        """,
    ),
    Scenario(
        "result after the end",
        rule(),
        """
        0s open       -> awaiting_permit; requested action:1
        60s -         -> escalated (attempt 1 had no result in time); tells ops not_effective
        90s succeeded -> escalated (attempt 1 had no result in time)
        91s succeeded
        """,
    ),
    Scenario(
        "result twice",
        rule(),
        """
        0s open      -> awaiting_permit; requested action:1
        9s succeeded -> verifying
        10s failed
        11s started
        40s resolved -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "a key that nobody knows",
        rule(),
        """
        0s open               -> awaiting_permit; requested action:1
        9s succeeded action:7
        10s started probe:1
        60s -                 -> escalated (attempt 1 had no result in time); tells ops not_effective
        """,
    ),
    Scenario(
        "refused by executor",
        rule(attempts=3, rollback=UNDO),
        """
        0s open    -> awaiting_permit; requested action:1
        2s refused -> escalated (attempt 1 was refused by the executor); tells ops not_effective
        99s -
        """,
    ),
    Scenario(
        "rollback works",
        rule(rollback=UNDO),
        """
        0s open      -> awaiting_permit; requested action:1
        5s failed    -> rolling_back; rolling_back rollback:1
        8s started   -> rolling_back rollback:1
        9s succeeded -> escalated (attempt 1 failed; rolled back); tells ops not_effective
        20s resolved
        """,
    ),
    Scenario(
        "rollback fails",
        rule(rollback=UNDO),
        """
        0s open   -> awaiting_permit; requested action:1
        5s failed -> rolling_back; rolling_back rollback:1
        9s failed -> escalated (attempt 1 failed; rollback 1 failed); tells ops not_effective
        """,
    ),
    Scenario(
        "rollback is never answered",
        rule(rollback=UNDO),
        """
        0s open       -> awaiting_permit; requested action:1
        5s failed     -> rolling_back; rolling_back rollback:1
        65s -         -> escalated (attempt 1 failed; rollback 1 had no result in time); tells ops not_effective
        70s succeeded -> escalated (attempt 1 failed; rollback 1 had no result in time)
        """,
    ),
    Scenario(
        "rollback stopped",
        rule(rollback=UNDO),
        """
        0s open   -> awaiting_permit; requested action:1
        1s stop
        5s failed -> rolling_back; escalated (attempt 1 failed; no rollback: denied (stopped)); tells ops not_effective
        """,
    ),
    Scenario(
        "rollback not limited",
        rule(rollback=UNDO, limits=BlastRadius(per_ci=once(), per_action=once(), concurrent=1)),
        """
        0s open      -> awaiting_permit; requested action:1
        5s failed    -> rolling_back; rolling_back rollback:1
        9s succeeded -> escalated (attempt 1 failed; rolled back); tells ops not_effective
        """,
    ),
    Scenario(
        "per_ci hit in second attempt",
        rule(attempts=2, limits=BlastRadius(per_ci=once())),
        """
        0s open   -> awaiting_permit; requested action:1
        5s failed -> waiting
        35s -     -> awaiting_permit; escalated (denied (per_ci); attempt 1 failed); tells ops not_effective
        """,
    ),
    Scenario(
        "stopped",
        rule(),
        """
        0s stop
        1s open   -> awaiting_permit; refused (denied (stopped))
        2s resume
        """,
    ),
    Scenario(
        "stopped between attempts",
        rule(attempts=2),
        """
        0s open   -> awaiting_permit; requested action:1
        1s stop
        5s failed -> waiting
        35s -     -> awaiting_permit; escalated (denied (stopped); attempt 1 failed); tells ops not_effective
        """,
    ),
    Scenario(
        "approval given",
        rule(approval_group="leads"),
        """
        0s open       -> awaiting_approval; tells leads approval
        30s approve   -> awaiting_permit; requested action:1
        31s approve
        32s reject
        35s succeeded -> verifying
        40s resolved  -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "approval refused",
        rule(approval_group="leads"),
        """
        0s open     -> awaiting_approval; tells leads approval
        30s reject  -> refused (rejected by ann)
        31s approve
        """,
    ),
    Scenario(
        "approval too late",
        rule(approval_group="leads"),
        """
        0s open      -> awaiting_approval; tells leads approval
        600s approve -> refused (nobody approved it within 10m)
        """,
    ),
    Scenario(
        "cleared during approval",
        rule(approval_group="leads"),
        """
        0s open      -> awaiting_approval; tells leads approval
        60s resolved -> cancelled (the situation is over)
        70s approve
        80s open
        """,
    ),
    Scenario(
        "probe",
        rule(verify="probe", probe=PROBE),
        """
        0s open      -> awaiting_permit; requested action:1
        5s succeeded -> verifying probe:1
        6s started   -> verifying probe:1
        7s succeeded -> effective (probe 1 succeeded)
        """,
    ),
    Scenario(
        "probe later",
        rule(verify="probe", probe=PROBE),
        """
        0s open        -> awaiting_permit; requested action:1
        5s succeeded   -> verifying probe:1
        7s failed      -> verifying
        67s -          -> verifying probe:2
        70s resolved
        77s -          -> verifying
        137s -         -> verifying probe:3
        140s succeeded -> effective (probe 3 succeeded)
        """,
    ),
    Scenario(
        "probes all fail",
        rule(verify="probe", probe=PROBE, verify_ms=100_000, rollback=UNDO),
        """
        0s open        -> awaiting_permit; requested action:1
        10s succeeded  -> verifying probe:1
        20s -          -> verifying
        45s failed     -> 40s verifying probe:2; verifying
        70s failed     -> 65s verifying probe:3; verifying
        95s failed     -> 90s verifying probe:4; verifying
        110s -         -> verifying probe:5
        112s failed    -> rolling_back; rolling_back rollback:1
        113s succeeded -> escalated (attempt 1 succeeded, but probe 5 failed; rolled back); tells ops not_effective
        """,
    ),
    Scenario(
        "probe fails, but over",
        rule(verify="probe", probe=PROBE, verify_ms=10_000),
        """
        0s open       -> awaiting_permit; requested action:1
        10s succeeded -> verifying probe:1
        13s resolved
        20s -         -> cancelled (the situation is over; attempt 1 succeeded, but probe 1 had no result in time)
        22s failed    -> cancelled (the situation is over; attempt 1 succeeded, but probe 1 had no result in time)
        """,
    ),
    Scenario(
        "result proof",
        rule(verify="result"),
        """
        0s open       -> awaiting_permit; requested action:1
        10s succeeded -> effective (it was done, which is taken as proof)
        """,
    ),
    Scenario(
        "cleared by itself while waiting",
        rule(attempts=2),
        """
        0s open      -> awaiting_permit; requested action:1
        10s failed   -> waiting
        20s resolved -> cancelled (the situation is over; attempt 1 failed)
        90s -
        """,
    ),
    Scenario(
        "cleared, no result",
        rule(attempts=2, rollback=UNDO),
        """
        0s open      -> awaiting_permit; requested action:1
        10s resolved
        60s -        -> cancelled (the situation is over; attempt 1 had no result in time)
        """,
    ),
    Scenario(
        "merged before approval",
        rule(approval_group="leads"),
        """
        0s open    -> awaiting_approval; tells leads approval
        10s merged -> cancelled (the situation was merged into S-63)
        """,
    ),
    Scenario(
        "merged while running",
        rule(attempts=2),
        """
        0s open       -> awaiting_permit; requested action:1
        10s merged
        20s succeeded -> cancelled (the situation was merged into S-63; attempt 1 succeeded, but was not proven)
        """,
    ),
    Scenario(
        "merged while verifying",
        rule(attempts=2),
        """
        0s open       -> awaiting_permit; requested action:1
        10s succeeded -> verifying
        20s merged    -> cancelled (the situation was merged into S-63; attempt 1 succeeded, but was not proven)
        """,
    ),
    Scenario(
        "merged and failed",
        rule(attempts=2, rollback=UNDO),
        """
        0s open       -> awaiting_permit; requested action:1
        10s merged
        20s failed    -> rolling_back; rolling_back rollback:1
        30s succeeded -> escalated (attempt 1 failed; rolled back); tells ops not_effective
        """,
    ),
    Scenario(
        "coordination out",
        rule(),
        """
        0s coordination out
        1s open               -> awaiting_permit
        70s coordination back
        130s succeeded        -> 121s requested action:1; verifying
        140s resolved         -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "coordination out for good",
        rule(),
        """
        0s coordination out
        1s open                -> awaiting_permit
        700s coordination back -> 601s refused (coordination has not answered for 10m)
        """,
    ),
    Scenario(
        "reopened",
        rule(),
        """
        0s open       -> awaiting_permit; requested action:1
        9s succeeded  -> verifying
        20s resolved  -> effective (the situation cleared)
        30s closed
        40s reopened  -> awaiting_permit; requested action:1
        49s succeeded -> verifying
        60s resolved  -> effective (the situation cleared)
        61s closed
        4000s -
        """,
    ),
    Scenario(
        "clears and fires again before result",
        rule(),
        """
        0s open      -> awaiting_permit; requested action:1
        5s resolved
        7s open
        9s succeeded -> verifying
        20s resolved -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "first the action, at once effective when its executor had begun",
        rule(verify="result"),
        """
        0s open       -> awaiting_permit; requested action:1
        1s started    -> running action:1
        10s succeeded -> effective (it was done, which is taken as proof)
        """,
    ),
    Scenario(
        "rollback after it had begun, second attempt denied",
        rule(attempts=2, rollback=UNDO, limits=BlastRadius(per_ci=once())),
        """
        0s open       -> awaiting_permit; requested action:1
        5s failed     -> waiting
        35s -         -> awaiting_permit; rolling_back; rolling_back rollback:1
        40s succeeded -> escalated (denied (per_ci); attempt 1 failed; rolled back); tells ops not_effective
        """,
    ),
    Scenario(
        "begun and failed, and over",
        rule(),
        """
        0s open     -> awaiting_permit; requested action:1
        1s started  -> running action:1
        2s resolved
        3s failed   -> cancelled (the situation is over; attempt 1 failed)
        """,
    ),
    Scenario(
        "begun, failed, rolled back",
        rule(rollback=UNDO),
        """
        0s open      -> awaiting_permit; requested action:1
        1s started   -> running action:1
        3s failed    -> rolling_back; rolling_back rollback:1
        4s succeeded -> escalated (attempt 1 failed; rolled back); tells ops not_effective
        """,
    ),
    Scenario(
        "begun, failed, escalated",
        rule(),
        """
        0s open    -> awaiting_permit; requested action:1
        1s started -> running action:1
        3s failed  -> escalated (attempt 1 failed); tells ops not_effective
        """,
    ),
    Scenario(
        "cleared while the second permit is waited for",
        rule(attempts=2),
        """
        0s open               -> awaiting_permit; requested action:1
        1s failed             -> waiting
        2s coordination out
        31s -                 -> awaiting_permit
        40s resolved          -> cancelled (the situation is over; attempt 1 failed)
        41s coordination back
        """,
    ),
    Scenario(
        "not proven, then again",
        rule(attempts=2, verify_ms=20_000),
        """
        0s open       -> awaiting_permit; requested action:1
        1s succeeded  -> verifying
        21s -         -> waiting
        52s succeeded -> 51s awaiting_permit; 51s requested action:2; verifying
        60s resolved  -> effective (the situation cleared)
        """,
    ),
    Scenario(
        "over when it is first told of",
        rule(),
        """
        0s resolved
        9s closed
        """,
    ),
    Scenario(
        "no probe to prove it by: the clear does",
        rule(verify="probe"),
        """
        0s open      -> awaiting_permit; requested action:1
        9s succeeded -> verifying
        20s resolved -> effective (the situation cleared)
        """,
    ),
]


@pytest.mark.parametrize("restarts", [False, True], ids=["", "restarts"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_is_told(scenario: Scenario, restarts: bool) -> None:
    desk = Desk(scenario.rule, restarts=restarts)
    wanted = [[part.strip() for part in f"{line} -> ".split("->")[:2]] for line in scenario.table.strip().splitlines()]
    assert [[line, desk.follows(line)] for line, _ in wanted] == wanted
    check_ends(desk)
    check_permits(desk)


def check_ends(desk: Desk) -> None:
    """Versions follow one another, each status is one that may follow, and every response ends at most once."""
    for last in desk.responses():
        told = [each for _, each in desk.told if isinstance(each, Response) and each.id == last.id]
        assert [each.version for each in told] == [*range(1, len(told) + 1)]
        moves = [(one.status, other.status) for one, other in pairwise(told) if one.status != other.status]
        assert all(other in TRANSITIONS[one] for one, other in moves)
        keys = [each.idempotency_key for each in last.tried]
        assert len(set(keys)) == len(keys), "something was requested twice"
        reasons = [each.reason for _, each in desk.told if isinstance(each, Notification) and each.response == last.id]
        assert len(set(reasons)) == len(reasons), "somebody was told twice"
        assert ("not_effective" in reasons) == (last.status == "escalated")


def check_permits(desk: Desk) -> None:
    """Every permit was given back once, when its attempt had ended; what was denied was not."""
    denied = {each.permit for each in desk.answers if isinstance(each, Denied)}
    asked = {each.permit for _, each in desk.told if isinstance(each, Asked)} - denied
    back = [each.permit for _, each in desk.told if isinstance(each, Done)]
    assert sorted(back) == sorted(asked)


def test_every_transition_has_a_scenario() -> None:
    found: set[tuple[str, str]] = set()
    for scenario in SCENARIOS:
        desk = Desk(scenario.rule).play(re.sub("->.*", "", scenario.table))
        told = [each for _, each in desk.told if isinstance(each, Response)]
        found |= {(one.status, other.status) for one, other in pairwise(told) if one.id == other.id}
    assert {(one, other) for one, other in found if one != other} == {
        (one, other) for one, following in TRANSITIONS.items() for other in following
    }
