"""What is no incident: creation is withheld, all is told if it becomes one, and what was told is told to its end."""

import random
from collections.abc import Iterable
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from timetable import FAR, PROFILES, START, Scenario, gathered, report

from estates import CALM_GAPS, LAW, Step, apply, lives, randoms
from opsbridge.core.case import Case
from opsbridge.core.coordination.news import Opened
from opsbridge.core.decisions import Impact, Member, Moved, Root, Situation, SituationUpdate, Status
from opsbridge.core.event import SEVERITY_NUMBER
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.ledger import Ledger
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.policies import ResponsePolicy
from opsbridge.core.records import Incident, IncidentMembers, Unanswered
from opsbridge.core.response.backlog import Backlog
from opsbridge.core.response.selection import ResponseSelection
from opsbridge.core.rulebook import EMPTY, Handling, Rulebook, Selection
from opsbridge.core.second_level.reporting import SLICE, slices
from opsbridge.core.times import rfc3339

MINOR = SEVERITY_NUMBER["minor"]


def calm(case: Case) -> Selection:
    """Minor is nothing, unless it is of tier 1: a rule for that says that it is an incident."""
    if case.root.tier == 1:
        return Selection(Handling("tier-1", "incident"))
    return Selection(Handling("minor", "none") if case.situation.severity <= MINOR else Handling())


def few(case: Case) -> Selection:
    """Changes its mind both ways as a situation goes on."""
    return Selection(Handling("few", "none") if case.situation.firing < 3 else Handling())


CALM = Rulebook(profiles=PROFILES, respond=calm)
FEW = Rulebook(profiles=PROFILES, respond=few)
NOTHING = Rulebook(profiles=PROFILES, respond=lambda _: Selection(Handling("all", "none")))


def test_nobody_is_told_until_it_is_serious_and_then_of_everything() -> None:
    with Scenario("a b c -> sw", CALM) as scenario:
        scenario.play("""
            0s   a HostDown minor
            1s   b HostDown minor
            2s   c HostDown minor
            60s  -
        """).expect(incidents="", news="")
        (first, *later) = [each for each in scenario.decisions if isinstance(each, Unanswered)]
        assert (first.rule, first.root, first.begins) == ("minor", "sw", True)
        assert not any(each.begins for each in later)
        scenario.play("""
            90s  c HostDown major
            120s -
        """).expect(
            incidents="""
                sw silent open major
                  members a:HostDown b:HostDown c:HostDown
                  affects a b c sw
            """,
            events="sw: e1 e2 e3 e4",
        )
        incident = scenario.last()
        assert incident.version == 1
        assert incident.opened == rfc3339(START)
        assert not any("rule" in reason for reason in incident.because)


def test_what_is_over_before_it_counts_was_never_an_incident_and_is_accounted_for() -> None:
    with Scenario("a b", CALM) as scenario:
        scenario.play("""
            0s   a DiskFull minor
            1s   b DiskFull major
            60s  a DiskFull resolved
            61s  b DiskFull resolved
            900s -
        """).expect(
            incidents="""
            b DiskFull closed major
              members b:DiskFull
              affects b
        """
        )
        assert scenario.ledger.events_unanswered() == {"minor": 2}
        assert [each.status for each in scenario.decisions if isinstance(each, Unanswered)][-1] == "closed"


def test_an_incident_is_told_to_its_end_whatever_rules_say_then() -> None:
    with Scenario("a b") as scenario:
        scenario.play("""
            0s   a DiskFull minor
            60s  -
        """).reload(NOTHING).play("""
            61s  b DiskFull critical
            120s a DiskFull resolved
            121s b DiskFull resolved
            600s -
        """).expect(
            news="""
                10s a DiskFull open v1 1/1
                121s a DiskFull resolved v2 0/1
                425s a DiskFull closed v3 0/1
            """
        )


def test_a_rule_that_goes_lets_go_and_one_that_decides_is_named() -> None:
    with Scenario("a", NOTHING) as scenario:
        scenario.play("""
            0s   a DiskFull minor
            60s  -
        """).expect(news="").reload(Rulebook(respond=lambda _: Selection(Handling("all", "incident")))).play("""
            61s  a DiskFull major
            120s -
        """).expect(
            incidents="""
            a DiskFull open major
              members a:DiskFull
              affects a
        """
        )
        assert scenario.last().because[-1] == "rule all makes it an incident"


def test_what_is_closed_does_not_become_an_incident_any_more() -> None:
    with Scenario("a", NOTHING) as scenario:
        scenario.play("""
            0s   a DiskFull minor
            60s  a DiskFull resolved
            100s -
        """).reload(EMPTY).play("900s -").expect(news="")
        assert scenario.ledger.events_unanswered() == {"all": 2}


def test_the_root_is_looked_up_and_may_be_unknown() -> None:
    graph = CIGraph([CI("a", tier=1), CI("b", tier=2)], [])
    with Scenario(graph, CALM) as scenario:
        scenario.play("""
            0s  a    DiskFull minor
            1s  b    DiskFull minor
            2s  gone DiskFull minor
            60s -
        """).expect(events="a: e1")
        assert scenario.last().because[-1] == "rule tier-1 makes it an incident"


# the laws


def ran(graph: CIGraph, steps: list[Step], book: Rulebook) -> list[Decision]:
    pipeline = Pipeline(graph, book)
    decisions = [decision for step in steps for decision in apply(pipeline, step)]
    return decisions + pipeline.finish()


def ends(decisions: Iterable[Decision]) -> dict[str, tuple[Incident, Moved]]:
    """Every incident as last told, and what all that was told of its members adds up to."""
    last: dict[str, Incident] = {}
    moved: dict[str, dict[tuple[int, int], Moved]] = {}
    for each in decisions:
        if isinstance(each, Incident):
            last[each.id] = each
        elif isinstance(each, IncidentMembers):
            moved.setdefault(each.incident, {})[each.version, each.part] = each.moved  # it may come twice
    return {name: (incident, gathered(moved.get(name, {}).values())) for name, incident in last.items()}


def plain(end: tuple[Incident, Moved]) -> tuple[object, ...]:
    """What must be the same whether or not it was withheld for a time."""
    incident, moved = end
    status = "open" if incident.status == "reopened" else incident.status  # it may have been over while it was withheld
    what = (status, incident.title, incident.severity, incident.root, incident.firing, incident.alerts)
    return (*what, *(sorted(map(str, column)) for column in (moved.joined, moved.cis_joined, moved.services_joined)))


@LAW
@given(lives(), st.sampled_from((CALM, FEW, NOTHING)))
def test_what_is_told_in_the_end_is_what_would_have_been_told(life: tuple[CIGraph, list[Step]], book: Rulebook) -> None:
    graph, steps = life
    wanted = ends(ran(graph, steps, Rulebook(profiles=PROFILES)))
    decisions = ran(graph, steps, book)
    told = ends(decisions)
    withheld = {each.incident for each in decisions if isinstance(each, Unanswered)}
    assert set(wanted) == set(told) | withheld
    for name, end in told.items():
        assert plain(end) == plain(wanted[name])
    versions: dict[str, int] = {}
    for each in decisions:
        if isinstance(each, Incident):
            assert each.version == versions.get(each.id, 0) + 1
            versions[each.id] = each.version
        elif isinstance(each, Unanswered):
            assert each.incident not in versions, "an incident that was told is not told any more"


@LAW
@given(lives(), st.sampled_from((CALM, FEW, NOTHING)))
def test_every_event_ends_in_one_place(life: tuple[CIGraph, list[Step]], book: Rulebook) -> None:
    graph, steps = life
    with Scenario(graph, book) as scenario:
        for step in steps:
            if isinstance(step, int):
                scenario.expire(step)
            else:
                scenario.hear(step)
        scenario.checked()


def updates_of(life: tuple[CIGraph, list[Step]]) -> list[SituationUpdate]:
    graph, steps = life
    return [each for each in ran(graph, steps, Rulebook(profiles=PROFILES)) if isinstance(each, SituationUpdate)]


@LAW
@given(lives(CALM_GAPS), st.sampled_from((CALM, FEW)), randoms)
def test_batches_restarts_and_repeats_change_nothing(
    life: tuple[CIGraph, list[Step]], book: Rulebook, chance: random.Random
) -> None:
    graph, updates = life[0], updates_of(life)
    wanted = ResponseSelection(book, graph).advance(updates)
    stage, told = ResponseSelection(book, graph), list[object]()
    saved: dict[bytes, bytes] = {}
    place = 0
    while place < len(updates):
        end = place + chance.randint(1, 5)
        told += stage.advance(updates[place:end])
        assert stage.advance(updates[chance.randint(0, place) : end]) == []
        place = end
        save(saved, stage.changes())
        if chance.random() < 0.5:
            stage = ResponseSelection(book, graph)
            stage.restore(chance.sample(sorted(saved.items()), len(saved)))
    assert told == wanted
    stage.expire(max([each.told_ms for each in updates], default=0) + ResponsePolicy().forget_after_ms)
    save(saved, stage.changes())
    over = {each.situation.id for each in updates if each.situation.status in ("closed", "merged")}
    assert not [key for key in saved if key[2:].split(b"\x1f")[0].decode() in over]


@LAW
@given(lives(CALM_GAPS), st.sampled_from((CALM, FEW)), randoms)
def test_a_worker_that_dies_while_it_saves_loses_nothing(
    life: tuple[CIGraph, list[Step]], book: Rulebook, chance: random.Random
) -> None:
    """Only a part of what changed is saved, and all updates since the last time are heard again."""
    graph, updates = life[0], updates_of(life)
    wanted = ends(ResponseSelection(book, graph).advance(updates))
    stage, told = ResponseSelection(book, graph), list[Decision]()
    saved: dict[bytes, bytes] = {}
    place = 0
    while place < len(updates):
        end = place + chance.randint(1, 8)
        told += stage.advance(updates[place:end])
        changes = stage.changes()
        if chance.random() < 0.4:
            save(saved, changes[: chance.randint(0, len(changes))])
            stage = ResponseSelection(book, graph)
            stage.restore(saved.items())
        else:
            save(saved, changes)
            place = end
    found = ends(told)
    assert {name: plain(end) for name, end in found.items()} == {name: plain(end) for name, end in wanted.items()}


def save(saved: dict[bytes, bytes], changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            saved.pop(key, None)
        else:
            saved[key] = value


# storms


def situation(version: int, severity: str, status: Status = "open") -> Situation:
    root = Root("sw", None, silent=True, confidence=1.0)
    number = SEVERITY_NUMBER[severity]
    return Situation("S-1", version, status, number, root, (), 1, 1, Impact(1, 0, ()), 0, version, None, None, ())


def members(first: int, last: int) -> tuple[Member, ...]:
    return tuple(Member(f"f{number}", 1, f"ci{number}", "Down", f"e{number}") for number in range(first, last))


STORM = [
    *slices(situation(1, "minor"), Moved(members(0, 500), cis_joined=tuple(f"ci{each}" for each in range(700))), 0),
    *slices(situation(2, "minor"), Moved(left=members(100, 450), cis_left=("ci7",)), 0),
]


def test_a_storm_is_kept_back_in_pieces_and_told_in_pieces() -> None:
    stage = ResponseSelection(CALM)
    assert all(isinstance(each, Unanswered | Opened) for each in stage.advance(STORM))
    saved: dict[bytes, bytes] = {}
    save(saved, stage.changes())
    assert all(len(value) < 60_000 for value in saved.values())
    assert len(saved) == 1 + 4
    stage = ResponseSelection(CALM)
    stage.restore(saved.items())
    told = stage.advance(slices(situation(3, "major"), Moved(members(500, 501)), 0))
    assert [type(each) for each in told[4:]] == [Incident]
    parts = [each for each in told if isinstance(each, IncidentMembers)]
    assert [(each.version, each.part, each.parts) for each in parts] == [(1, number, 4) for number in (1, 2, 3, 4)]
    assert max(len(each.moved.cis_joined) for each in parts) == SLICE
    joined = tuple(chain.from_iterable(each.moved.joined for each in parts))
    assert joined == (*members(0, 100), *members(450, 501))
    save(saved, stage.changes())
    assert list(saved) == [b"i:S-1"]


def test_what_another_version_has_saved_is_refused_and_not_forgotten() -> None:
    with pytest.raises(ValueError, match="have other keys"):
        ResponseSelection().restore([(b"S-1", b'[2,1,"c7f5f8945c4bcec6",2,null,""]')])


@pytest.mark.parametrize("whole", [1, 2])
def test_a_version_that_other_rules_hear_the_end_of_is_told_whole(whole: int) -> None:
    """Rules are reloaded between two parts of one version."""
    updates = slices(situation(1, "minor"), Moved(members(0, 450)), 0)
    before = ResponseSelection(NOTHING)
    before.advance(updates[:whole])
    after = ResponseSelection()
    after.restore((key, value) for key, value in before.changes() if value is not None)
    told = after.advance(updates[whole:])
    assert [type(each) for each in told[3:]] == [Incident, Opened]
    assert [(each.version, each.part, each.parts) for each in told if isinstance(each, IncidentMembers)] == [
        (1, 1, 3),
        (1, 2, 3),
        (1, 3, 3),
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[SituationUpdate]:
    """One situation in some versions: alerts join and leave, it becomes serious or not, and ends or not."""
    chance = draw(randoms)
    inside: list[Member] = []
    updates: list[SituationUpdate] = []
    versions = chance.randint(1, 8)
    serious, end = chance.choice((2, 4, 8, 99)), chance.choice(("open", "closed"))
    for version in range(1, versions + 1):
        joined = members(version * 1000, version * 1000 + chance.choice((0, 1, 3, 250)))
        left = tuple(chance.sample(inside, chance.randint(0, len(inside))) if chance.random() < 0.5 else ())
        inside = [*(each for each in inside if each not in left), *joined]
        status: Status = "closed" if version == versions and end == "closed" else "open"
        snapshot = situation(version, "major" if version >= serious else "minor", status)
        updates += slices(snapshot, Moved(joined, left), 0)
    return updates


@LAW
@given(histories(), randoms, st.booleans())
def test_whatever_part_is_saved_of_what_is_kept_back_all_is_told_once(
    updates: list[SituationUpdate], chance: random.Random, torn: bool
) -> None:
    wanted = ResponseSelection(CALM).advance(updates)
    stage, told = ResponseSelection(CALM), list[Decision]()
    saved: dict[bytes, bytes] = {}
    place, tries = 0, 0
    while place < len(updates):
        end = place + chance.randint(1, 4)
        told += stage.advance(updates[place:end])
        changes = stage.changes()
        if torn and tries < 5 and chance.random() < 0.6:
            tries += 1
            save(saved, changes[: chance.randint(0, len(changes))])
        else:
            save(saved, changes)
            place, tries = end, 0
            if chance.random() < 0.5:
                continue
        stage = ResponseSelection(CALM)
        stage.restore(chance.sample(sorted(saved.items()), len(saved)))
    if not torn:
        assert told == wanted
    folded = {name: plain(found) for name, found in ends(told).items()}
    assert folded == {name: plain(found) for name, found in ends(wanted).items()}
    save(saved, stage.changes())
    if folded or updates[-1].situation.status == "closed":
        assert list(saved) == [b"i:S-1"], "what is told, or over, is kept"


def test_what_a_worker_kept_back_before_it_died_is_told_though_rules_have_changed() -> None:
    """Of its last changes, only what was kept back has been saved, and then other rules hear the update again."""
    updates = slices(situation(1, "minor"), Moved(members(0, 1)), 0)
    before = ResponseSelection(NOTHING)
    before.advance(updates)
    kept = [(key, value) for key, value in before.changes() if value is not None and b"\x1f" in key]
    after = ResponseSelection()
    after.restore(kept)
    told = after.advance(updates)
    assert [each.moved.joined for each in told if isinstance(each, IncidentMembers)] == [members(0, 1)]
    saved = dict(kept)
    save(saved, after.changes())
    assert list(saved) == [b"i:S-1"]


def test_what_has_gone_again_takes_no_room() -> None:
    backlog = Backlog()
    for number in range(1000):
        backlog.keep(Moved(members(number, number + 1), cis_joined=("x",)))
        backlog.keep(Moved(left=members(number, number + 1), cis_left=("x",)))
    assert backlog.whole() == Moved()
    assert not any(backlog.slice(number) for number in backlog.changed)


@pytest.mark.parametrize("heir_first", [True, False])
def test_an_incident_that_goes_up_in_one_that_nobody_is_told_of_has_it_told(heir_first: bool) -> None:
    """It takes the place of the one that people know of, whichever is heard of first; the accounts follow it."""
    (member,) = members(0, 1)
    pipeline = Pipeline(CIGraph([], []), EMPTY)
    ledger = Ledger(pipeline)
    pipeline.advance([report(1, "0s ci0 Down critical key=f0")], FAR)
    ledger.heard("e0", pipeline.accepted[0].fingerprint)
    joined = Member(pipeline.accepted[0].fingerprint, 1, "ci0", "Down", "e1")
    other = replace(situation(1, "major"), id="S-2")
    response = ResponseSelection(CALM)
    ledger.told(response.advance(slices(other, Moved((joined,)), 0)))
    assert ledger.events_by_incident() == {"INC-2": ["e0"]}
    merged = slices(replace(other, version=2, status="merged", merged_into="S-1"), Moved(), 0)
    heir = slices(situation(1, "minor"), Moved((member,)), 0)
    told = response.advance([*heir, *merged] if heir_first else [*merged, *heir])
    assert [(each.id, each.status, each.merged_into) for each in told if isinstance(each, Incident)] == [
        ("INC-2", "merged", "INC-1"),
        ("INC-1", "open", None),
    ]
    ledger.told(told)
    assert ledger.incidents["INC-1"].because == ("INC-2 was merged into it, and people had been told of that",)
    assert [entry.what for entry in ledger.incidents["INC-1"].history] == ["merged", "opened"]
    assert ledger.events_by_incident() == {"INC-2": [], "INC-1": ["e0"]}
    assert (ledger.events_unanswered(), ledger.unexplained()) == ({}, [])
    again = response.advance(slices(situation(2, "minor"), Moved(), 0))
    assert [each.version for each in again if isinstance(each, Incident)] == [2], "it is told to its end"


def test_an_heir_that_is_never_heard_of_here_is_forgotten() -> None:
    response = ResponseSelection(CALM)
    response.advance(slices(situation(1, "major"), Moved(), 0))
    (merged,) = response.advance(slices(replace(situation(2, "major", "merged"), merged_into="S-9"), Moved(), 0))
    assert isinstance(merged, Incident)
    assert merged.because == ("whether people are told of INC-9 is decided where its news are heard",)
    assert len(response) == 2
    response.expire(ResponsePolicy().forget_after_ms)
    assert len(response) == 0
    saved: dict[bytes, bytes] = {}
    save(saved, response.changes())
    assert saved == {}


def test_the_accounts_follow_a_situation_that_nobody_is_told_of_into_an_incident() -> None:
    pipeline = Pipeline(CIGraph([], []), EMPTY)
    ledger = Ledger(pipeline)
    pipeline.advance([report(1, "0s ci0 Down critical")], FAR)
    ledger.heard("e1", pipeline.accepted[0].fingerprint)
    joined = Member(pipeline.accepted[0].fingerprint, 1, "ci0", "Down", "e1")
    response = ResponseSelection(CALM)
    ledger.told(response.advance(slices(situation(1, "minor"), Moved((joined,)), 0)))
    assert (ledger.events_by_incident(), ledger.events_unanswered()) == ({}, {"minor": 1})
    ledger.told(response.advance(slices(replace(situation(1, "major"), id="S-2"), Moved(), 0)))
    merged = replace(situation(2, "minor", "merged"), merged_into="S-2")
    ledger.told(response.advance(slices(merged, Moved(), 0)))
    assert (ledger.events_by_incident(), ledger.events_unanswered()) == ({"INC-2": ["e1"]}, {})
