"""Recurrence: what was closed begins again under its old id if the same root fails again soon, and else it does not."""

import random
from typing import Final

import pytest
from campus import campus
from hypothesis import given
from timetable import PROFILES, Scenario, gathered

from estates import LAW, LONG_GAPS, Step, apply, build, happen, randoms
from opsbridge.core.decisions import Moved, Regroup, Situation, SituationUpdate
from opsbridge.core.graph import CIGraph
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.policies import Policies
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.situations import LiveSituation, SituationState

AGAIN: Final = Policies(reopen_within_ms=600_000)
ONCE: Final = "0s db Down critical\n0s web Down major\n20s db Down resolved\n20s web Down resolved\n325s -\n"
LIFE: Final = "10s db Down open v1 2/2\n21s db Down resolved v2 0/2\n325s db Down closed v3 0/2"
ESTATE: Final = "web shop -> db"


def told(scenario: Scenario) -> list[Situation]:
    return [each.situation for each in scenario.decisions if isinstance(each, SituationUpdate)]


def test_the_same_root_soon_after_is_the_old_situation_with_what_it_had() -> None:
    with Scenario(ESTATE, policies=AGAIN) as scenario:
        scenario.play(ONCE + "500s db Down critical\n500s shop Down major\n520s -").expect(
            news=LIFE + "\n510s db Down reopened v4 2/3",
            incidents="""
            db Down reopened critical
              members db:Down shop:Down web:Down
              affects db shop web
            """,
            events="db: e1 e3 e2 e4 e5 e6",
        )
        assert [each.reopened for each in told(scenario)] == [0, 0, 0, 1]
        assert told(scenario)[-1].opened_ms == told(scenario)[0].opened_ms
        scenario.play("530s db Down resolved\n530s shop Down resolved\n900s db Down major\n920s -")
        assert [(each.status, each.version, each.reopened) for each in told(scenario)[-3:]] == [
            ("resolved", 5, 1),
            ("closed", 6, 1),
            ("open", 7, 2),
        ]
        assert len(scenario.ledger.incidents) == 1
        scenario.checked()


def test_an_alert_of_it_that_fires_again_is_told_again_and_counted_once() -> None:
    with Scenario(ESTATE, policies=AGAIN) as scenario:
        scenario.play(ONCE + "500s db Down critical\n520s -\n521s web Down major\n540s -").expect(
            news=LIFE + "\n510s db Down reopened v4 1/2\n522s db Down reopened v5 2/2\n527s db Down reopened v6 2/2"
        )


@pytest.mark.parametrize(
    ("again", "news"),
    [
        ("500s db DiskFull critical\n520s -", "510s db DiskFull open v1 1/1"),
        ("500s web Down critical\n520s -", "510s web Down open v1 1/1"),
        ("500s web Down critical\n500s shop Down critical\n520s -", "510s db silent open v1 2/2"),
        ("916s db Down critical\n940s -", "926s db Down open v1 1/1"),
    ],
    ids=["another class", "another root", "silent now", "too late"],
)
def test_what_is_another_failure_is_another_situation(again: str, news: str) -> None:
    with Scenario(ESTATE, policies=AGAIN) as scenario:
        scenario.play(ONCE + again).expect(news=f"{LIFE}\n{news}")


def test_at_the_last_moment_it_is_the_old_one_still() -> None:
    with Scenario(ESTATE, policies=AGAIN) as scenario:
        scenario.play(ONCE + "914s db Down critical\n930s -").expect(news=LIFE + "\n924s db Down reopened v4 1/2")


def test_a_silent_root_is_the_same_as_a_silent_one() -> None:
    fails, recovers = (
        "{0}s web Down critical\n{0}s shop Down critical\n",
        "{0}s web Down resolved\n{0}s shop Down resolved\n",
    )
    with Scenario(ESTATE, policies=AGAIN) as scenario:
        scenario.play(fails.format(0) + recovers.format(20) + "325s -\n" + fails.format(400) + "420s -").expect(
            news="10s db silent open v1 2/2\n21s db silent resolved v2 0/2\n"
            "325s db silent closed v3 0/2\n410s db silent reopened v4 2/2"
        )


def test_it_survives_a_restart_wherever_it_is() -> None:
    lines = (ONCE + "500s db Down critical\n500s shop Down major\n520s -\n530s shop Down resolved\n540s -").splitlines()
    with Scenario(ESTATE, policies=AGAIN) as scenario:
        for line in lines:
            scenario.play(line).restart()
        scenario.expect(news=LIFE + "\n510s db Down reopened v4 2/3\n531s db Down reopened v5 1/3")


def test_what_has_been_closed_is_forgotten_in_time() -> None:
    with Scenario(ESTATE, policies=AGAIN) as scenario:
        second = scenario.play(ONCE).pipeline.second
        assert (len(second), list(second.situations)) == (1, [])
        assert second.holder("db\x1fDown") is None
        scenario.play("924s -")
        assert len(second) == 1
        scenario.play("925s -")
        assert (len(second), second._memory.alerts, second._agenda._recurrence._closed) == (0, {}, {})
        scenario.checked()


def test_without_a_time_nothing_begins_again() -> None:
    with Scenario(ESTATE) as scenario:
        scenario.play(ONCE)
        assert len(scenario.pipeline.second) == 0
        scenario.play("330s db Down critical\n350s -").expect(news=LIFE + "\n340s db Down open v1 1/1")


def test_the_life_cycle_has_no_other_way_back() -> None:
    situation = LiveSituation(SituationState("S-0", "db", False, "closed", 0, 0, 0), "db")
    with pytest.raises(ValueError, match="no step from closed to resolved"):
        situation.become("resolved")
    situation.become("open")


def test_who_leaves_after_it_began_again_leaves_the_firing_that_was_told_of_before() -> None:
    """`web` belonged to its first life: it is still counted there when what fires now is put elsewhere."""
    with Scenario(ESTATE, policies=AGAIN) as scenario:
        scenario.play(ONCE + "500s db Down critical\n500s web Down major\n520s -")
        (incident,) = scenario.ledger.incidents.values()
        assert (incident.version, incident.alerts) == (4, 2)
        scenario.pipeline.second.regroup(Regroup("f1", ("web\x1fDown",), incident.situation))
        scenario.play("540s -")
        (of_db, alone) = scenario.ledger.incidents.values()
        assert [(each.root.ci, each.firing, each.alerts) for each in (of_db, alone)] == [("db", 1, 2), ("web", 1, 1)]
        joined = scenario.moved(incident.id).joined
        assert sorted(map(str, joined)) == ["db\x1fDown", "web\x1fDown"]
        scenario.checked()


@pytest.mark.parametrize("restarted", [False, True])
def test_what_several_domains_share_begins_again_with_all_the_members_that_it_had(restarted: bool) -> None:
    """What the domains find is always new; the situation that people know goes on."""
    fails = "{0}s a-host0 Unreachable critical\n{0}s a-host1 Unreachable critical\n{0}s a-host2 Unreachable critical\n"
    over = fails.format(20).replace("critical", "resolved")
    again = fails.format(500).replace("a-host0", "a-host3")
    with Scenario(campus(2), policies=AGAIN) as scenario:
        for piece in (fails.format(0), over, "325s -", "400s -", again, "530s -"):
            scenario.play(piece)
            if restarted:
                scenario.restart()
        (incident,) = scenario.ledger.incidents.values()
        assert (incident.root.ci, incident.firing, incident.alerts) == ("a-switch", 3, 4)
        assert sorted(map(str, scenario.moved(incident.id).joined)) == [
            f"a-host{number}\x1fUnreachable" for number in range(4)
        ]
        assert told(scenario)[-1].reopened == 1
        scenario.play(
            "540s a-host1 Unreachable resolved\n540s a-host2 Unreachable resolved\n540s a-host3 Unreachable resolved"
        )
        scenario.play("2000s -").checked()
        assert scenario.pipeline.backbone is not None
        assert not scenario.pipeline.backbone._findings._earlier


# laws


def decided(graph: CIGraph, steps: list[Step]) -> list[Decision]:
    pipeline = Pipeline(graph, Rulebook(profiles=PROFILES), policies=AGAIN)
    return [decision for step in steps for decision in apply(pipeline, step)] + pipeline.finish()


@LAW
@given(randoms)
def test_a_situation_goes_on_where_it_was(chance: random.Random) -> None:
    """Versions rise one by one, it begins again soon after it was closed and not else, and what is told adds up."""
    graph = build(chance)
    steps = happen(chance, graph, (*LONG_GAPS, 150_000, 301_000, 301_000))
    last: dict[str, SituationUpdate] = {}
    moves: dict[str, list[Moved]] = {}
    for update in decided(graph, steps):
        if not isinstance(update, SituationUpdate):
            continue
        situation = update.situation
        before = last.get(situation.id)
        moves.setdefault(situation.id, []).append(update.moved)
        last[situation.id] = update
        if before is not None and before.part < before.parts:
            continue
        assert situation.version == (1 if before is None else before.situation.version + 1)
        again = situation.reopened - (0 if before is None else before.situation.reopened)
        assert again == (before is not None and before.situation.status == "closed")
        if again:
            assert before is not None
            assert update.told_ms < before.told_ms + AGAIN.reopen_within_ms
            assert situation.root.ci == before.situation.root.ci
            assert situation.root.class_ == before.situation.root.class_
    for name, update in last.items():
        assert len(gathered(moves[name]).joined) == update.situation.alerts, update


@LAW
@given(randoms)
def test_nothing_else_depends_on_it(chance: random.Random) -> None:
    """Without names, versions and what is counted of earlier lives, the same is told as if nothing began again."""
    graph = build(chance)
    steps = happen(chance, graph, (*LONG_GAPS, 150_000, 301_000))
    book = Rulebook(profiles=PROFILES)
    with_it, without = Pipeline(graph, book, policies=AGAIN), Pipeline(graph, book)
    for step in steps:
        found, wanted = (
            sorted(
                (each.told_ms, each.situation.root.ci, each.situation.firing)
                for each in apply(pipeline, step)
                if isinstance(each, SituationUpdate) and each.situation.version == 1
            )
            for pipeline in (with_it, without)
        )
        assert len(found) <= len(wanted)
        assert set(found) <= set(wanted)
