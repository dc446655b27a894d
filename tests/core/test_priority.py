"""Priority: the matrix, its thresholds, and that it moves as the impact moves."""

from typing import get_args

import pytest
from incidents import Desk, situation
from msgspec.structs import replace

from opsbridge.core.case import Case
from opsbridge.core.decisions import Impact
from opsbridge.core.graph import CI
from opsbridge.core.records import Level
from opsbridge.core.response.priority import DEFAULT, MATRIX, NAMES, TARGETS, Scale, Threshold, rises


def case(severity: str = "info", **impact: int) -> Case:
    reach = replace(Impact(1, 0, ()), **impact)
    return Case(situation=replace(situation(severity=severity), impact=reach), root=CI("db"))


@pytest.mark.parametrize(
    ("impact", "level"),
    [
        ({}, "low"),
        ({"tier": 0}, "high"),
        ({"tier": 1}, "high"),
        ({"tier": 2}, "medium"),
        ({"tier": 3}, "low"),
        ({"services": 1}, "low"),
        ({"services": 2}, "medium"),
        ({"services": 9}, "medium"),
        ({"services": 10}, "high"),
        ({"users": 99}, "low"),
        ({"users": 100}, "medium"),
        ({"users": 1000}, "high"),
        ({"cis": 100_000}, "low"),
        ({"tier": 3, "services": 2, "users": 5000}, "high"),
    ],
)
def test_how_far_it_reaches_is_its_impact(impact: dict[str, int], level: Level) -> None:
    assert DEFAULT(case("info", **impact)).impact == level


@pytest.mark.parametrize(
    ("severity", "level"),
    [("critical", "high"), ("major", "medium"), ("minor", "low"), ("warning", "low"), ("info", "low")],
)
def test_how_bad_it_is_is_its_urgency(severity: str, level: Level) -> None:
    assert DEFAULT(case(severity)).urgency == level


def test_both_together_are_the_priority_with_its_targets() -> None:
    reach = {"high": 1, "medium": 2, "low": 3}
    bad = {"high": "critical", "medium": "major", "low": "minor"}
    found = {(i, u): DEFAULT(case(bad[u], tier=reach[i])).name for i in reach for u in bad}
    assert found == {
        ("high", "high"): "P1",
        ("high", "medium"): "P2",
        ("high", "low"): "P3",
        ("medium", "high"): "P2",
        ("medium", "medium"): "P3",
        ("medium", "low"): "P4",
        ("low", "high"): "P3",
        ("low", "medium"): "P4",
        ("low", "low"): "P5",
    }
    assert set(MATRIX) == {(i, u) for i in get_args(Level) for u in get_args(Level)}
    assert set(TARGETS) == set(NAMES)
    first = DEFAULT(case("critical", tier=1))
    assert (first.acknowledge_ms, first.resolve_ms, first.warn_at, first.remind_ms) == (
        300_000,
        3_600_000,
        0.8,
        900_000,
    )


def test_a_rule_may_say_otherwise() -> None:
    scale = Scale(
        rule="ours", high=Threshold(cis=5), medium=Threshold(), urgent=3, matrix={**MATRIX, ("high", "high"): "P2"}
    )
    assert (scale(case("major", cis=5)).name, scale(case("major", cis=5)).rule) == ("P2", "ours")
    assert scale(case("major", tier=1, cis=4)).name == "P3"


def test_more_urgent_is_a_rise() -> None:
    assert rises("P3", "P1")
    assert not rises("P1", "P1")
    assert not rises("P1", "P3")
    assert not rises("", "P1")


def test_it_moves_as_the_impact_moves_and_the_targets_with_it() -> None:
    desk = Desk(severity="critical", services=1)
    desk.news()
    assert (desk.incident.priority, desk.incident.impact, desk.incident.urgency) == ("P3", "low", "high")
    by = desk.incident.resolve_by
    desk.news(services=12)
    assert (desk.incident.priority, desk.incident.impact) == ("P1", "high")
    assert by is not None
    assert desk.incident.resolve_by is not None
    assert desk.incident.resolve_by < by
    desk.news(services=1)
    assert desk.incident.priority == "P3"
    assert desk.reasons() == ["opened", "priority"], "only a rise is told"
    assert [each.detail for each in desk.incident.history] == ["", "P3 to P1", "P1 to P3"]
