"""Corrections: what operators say about which alerts belong together holds, whatever the evidence says."""

import random
from collections.abc import Iterable
from typing import Final, Self

import msgspec
from campus import estate
from hypothesis import given
from hypothesis import strategies as st
from timetable import FAR, PROFILES, START, Scenario, graph_of

from estates import LAW, LONG_GAPS, build, happen, randoms
from opsbridge.core.decisions import Member, Regroup, SituationUpdate, Transition
from opsbridge.core.event import Event
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.backbone import Backbone
from opsbridge.core.second_level.level import CLOSE_AFTER_LONGEST_MS, SecondLevel, Told
from opsbridge.core.second_level.regrouping import CORRECTIONS_FORGOTTEN_MS

BOOK: Final = Rulebook(profiles=PROFILES)
FOREVER: Final = CLOSE_AFTER_LONGEST_MS + 4 * 3_600_000

Step = Transition | Regroup | int
"""What a second level hears: an alert, an operator, or the time."""


class Corrected:
    """A second level whose news are kept: every situation as last told, and its members."""

    def __init__(self, stage: SecondLevel) -> None:
        self.stage = stage
        self.news: list[SituationUpdate] = []
        self.last: dict[str, SituationUpdate] = {}
        self.members: dict[str, dict[tuple[str, int], Member]] = {}
        self.saved: dict[bytes, bytes] = {}

    def take(self, step: Step) -> list[Told]:
        told: list[Told]
        match step:
            case Transition():
                told = self.stage.advance([step])
            case Regroup():
                told = self.stage.regroup(step)
            case int():
                told = self.stage.expire(step)
        for update in told:
            assert isinstance(update, SituationUpdate)
            self.news.append(update)
            name = update.situation.id
            self.last[name] = update
            members = self.members.setdefault(name, {})
            for member in update.moved.left:
                del members[member.fingerprint, member.occurrence]
            members.update(((each.fingerprint, each.occurrence), each) for each in update.moved.joined)
        return told

    def save(self) -> None:
        for key, value in self.stage.changes():
            if value is None:
                self.saved.pop(key, None)
            else:
                self.saved[key] = value

    def alerts(self, situation: str) -> list[str]:
        """The fingerprints of a situation's members as told, sorted."""
        return sorted({fingerprint for fingerprint, _ in self.members.get(situation, {})})


class Desk(Scenario):
    """A scenario with an operator, who knows incidents by their roots."""

    corrections = 0

    def said(self, root: str, *alerts: str, into: str = "", again: bool = False) -> Self:
        """These alerts of the incident with that root are split off, or moved `into` another; none: not a duplicate."""
        self.corrections += not again
        correction = Regroup(
            f"f{self.corrections}",
            tuple(alert.replace(":", "\x1f") for alert in alerts),
            self.situation(root),
            self.situation(into) if into else "",
        )
        stages: tuple[SecondLevel | Backbone | None, ...] = self.pipeline.second, self.pipeline.backbone
        for stage in stages:
            if stage is not None:
                assert stage.regroup(correction) == []
        return self

    def situation(self, root: str) -> str:
        """The situation of the newest incident with that root."""
        return [incident.situation for incident in self.ledger.incidents.values() if incident.root.ci == root][-1]


STORM: Final = """
0s vm-1 Down critical
0.1s vm-2 Down critical
0.2s shop Down critical
0.3s web Down critical
0.4s pay Down critical
0.5s crm Down critical
15s -
"""

ESTATE: Final = """
shop web -> vm-1
pay crm -> vm-2
vm-1 vm-2 -> hyp
"""


def test_alerts_that_are_split_off_are_a_situation_of_their_own_and_the_rest_is_explained_anew() -> None:
    with Desk(ESTATE) as desk:
        desk.play(STORM).said("hyp", "vm-2:Down", "pay:Down", "crm:Down").play("17s -").expect(
            news="10s hyp silent open v1 6/6\n16s vm-1 Down open v2 3/3\n16s vm-2 Down open v1 3/3",
            incidents="""
            vm-1 Down open critical
              members shop:Down vm-1:Down web:Down
              affects shop vm-1 web
            vm-2 Down open critical
              members crm:Down pay:Down vm-2:Down
              affects crm pay vm-2
            """,
        )
        own = desk.ledger.incidents["INC" + desk.situation("vm-2")[1:]]
        assert own.because == ("an operator put these alerts together (f1)",)
        assert [candidate.ci for candidate in own.candidates] == ["vm-2", "crm", "pay"]


def test_the_evidence_does_not_pull_them_back_and_what_comes_later_does_not_join_them() -> None:
    with Desk(ESTATE) as desk:
        desk.play(STORM).said("hyp", "vm-2:Down", "pay:Down").play("20s crm Slow major\n21s hyp Down critical\n50s -")
        desk.expect(
            incidents="""
            hyp Down open critical
              members crm:Down crm:Slow hyp:Down shop:Down vm-1:Down web:Down
              affects crm hyp pay shop vm-1 vm-2 web
            vm-2 Down open critical
              members pay:Down vm-2:Down
              affects crm pay vm-2
            """
        )


def test_they_stay_where_they_fire_again_until_that_is_closed() -> None:
    with Desk(ESTATE) as desk:
        desk.play(STORM).said("hyp", "pay:Down").play(
            "20s pay Down resolved\n100s pay Down critical\n120s -\n130s pay Down resolved\n150s -"
        ).expect(
            news="10s hyp silent open v1 6/6\n16s hyp silent open v2 5/5\n16s pay Down open v1 1/1\n"
            "21s pay Down resolved v2 0/1\n101s pay Down reopened v3 1/1\n131s pay Down resolved v4 0/1"
        )
        desk.play("500s -\n510s pay Down critical\n530s -")
        assert desk.news()[-2:] == ["435s pay Down closed v5 0/1", "515s hyp silent open v3 6/6"]
        desk.checked()


def test_what_an_operator_put_together_is_not_taken_up_again_by_others() -> None:
    with Desk("c") as desk:
        desk.play("0s c Down critical\n2s c Slow major\n15s -").said("c", "c:Slow")
        desk.play("1000s c Slow resolved\n1100s c DiskFull major\n1120s -")
        assert [line for line in desk.incidents() if "members" in line] == [
            "  members c:Down",
            "  members c:Slow",
            "  members c:DiskFull",
        ]
        desk.checked()


def test_moved_alerts_belong_where_the_operator_says_and_its_root_does_not_have_to_explain_them() -> None:
    with Desk("a b -> db\nc -> b") as desk:
        desk.play("0s db Down critical\n0s a Down major\n300s c CertificateExpires minor\n320s -")
        desk.said("db", "a:Down", into="c").play("330s -\n331s a Down resolved\n340s a Down major\n360s -").expect(
            incidents="""
            db Down open critical
              members db:Down
              affects a b c db
            c CertificateExpires open major
              members a:Down c:CertificateExpires
              affects c
            """
        )


def test_alerts_move_within_their_domain_only() -> None:
    """The other one may be known elsewhere, so this must not depend on where it is."""
    with Desk(CIGraph([CI("a"), CI("db"), CI("c")], [(0, 1)], domains=("one", "one", "two"))) as desk:
        desk.play("0s db Down critical\n0s a Down major\n3s c Down minor\n20s -")
        desk.said("db", "a:Down", into="c").play("25s -").expect(news="10s db Down open v1 2/2\n13s c Down open v1 1/1")


SWITCHES: Final = "\n".join(f"h{n}1 h{n}2 h{n}3 h{n}4 -> sw{n} -> core" for n in range(1, 21)) + "\nlamp"


def down(switch: int, time: str) -> str:
    return "".join(f"{time} h{switch}{host} Down critical\n" for host in range(1, 5))


MERGING: Final = (
    down(1, "0s")
    + down(2, "1s")
    + "2s lamp CertificateExpires minor\n20s -\n30s core Dead critical\n"
    + "".join(down(n, "30s") for n in range(3, 21))
    + "50s -"
)
"""Two situations that one cause explains in the end, and one that has nothing to do with it."""


def test_what_is_moved_to_a_merged_situation_goes_to_its_heir_and_to_one_that_is_over_nowhere() -> None:
    with Desk(SWITCHES) as desk:
        desk.play(MERGING).said("lamp", "lamp:CertificateExpires", into="sw2").play("52s -")
        lamp = [line for line in desk.incidents() if "lamp" in line]
        assert lamp[0].startswith("  members core:Dead")
        assert lamp[0].endswith(" lamp:CertificateExpires")
        assert lamp[1:] == ["lamp CertificateExpires merged into core minor", "  affects lamp"]
        desk.checked()
    with Desk("a b -> db") as desk:
        desk.play("0s db Slow minor\n20s db Slow resolved\n400s a CertificateExpires minor\n420s -")
        desk.said("a", "a:CertificateExpires", into="db").play("430s -")
        assert desk.news()[-1] == "410s a CertificateExpires open v1 1/1"
        desk.checked()


def test_what_was_no_duplicate_is_a_situation_of_its_own_again() -> None:
    with Desk(SWITCHES) as desk:
        desk.play(MERGING)
        assert "sw2 silent merged into core critical" in desk.incidents()
        desk.said("sw2").play("52s -")
        assert desk.news()[-2:] == ["51s core Dead open v3 77/77", "51s h21 Down open v1 4/4"]
        assert "  members h21:Down h22:Down h23:Down h24:Down" in desk.incidents()
        desk.play("120s h22 Slow major\n140s -")
        assert desk.news()[-1].startswith("125s core Dead open v4 78")
        desk.checked()


def test_the_same_correction_again_changes_nothing() -> None:
    with Desk(ESTATE) as desk:
        desk.play(STORM).said("hyp", "pay:Down").play("17s -").said("pay", "pay:Down", into="hyp").play("19s -")
        news = desk.news()
        assert news[-2:] == ["18s hyp silent open v3 6/6", "18s pay Down merged into hyp v2 0/0"]
        second = desk.pipeline.second
        second.changes()
        second.regroup(Regroup("f1", ("pay\x1fDown",), desk.situation("hyp")))
        assert second.changes() == []
        desk.play("40s -")
        assert desk.news() == news
        desk.checked()


def test_a_correction_concerns_what_was_in_the_situation_that_it_names() -> None:
    with Desk("a -> db\nc") as desk:
        desk.play("0s db Down critical\n0s a Down major\n0s c Down major\n20s -")
        second = desk.pipeline.second
        for situation in (desk.situation("c"), "S-0000000000000000", ""):
            second.regroup(Regroup(f"of {situation}", ("a\x1fDown", "nobody"), situation))
        desk.play("30s -").expect(news="10s db Down open v1 2/2\n10s c Down open v1 1/1")


SITES: Final = estate("core sw1@one sw2@two h1@one h2@one h3@two", "sw1 core", "sw2 core", "h1 sw1", "h2 sw1", "h3 sw2")


def test_what_is_split_off_in_a_domain_with_a_backbone_is_told_as_it_is() -> None:
    """It is nobody's evidence: the core that fails later does not take it in."""
    with Desk(SITES) as desk:
        desk.play("0s h1 Down critical\n0s h2 Down critical\n0s sw1 Down critical\n30s -")
        desk.said("sw1", "h2:Down").play("40s sw2 Down critical\n40s core Down critical\n80s -").expect(
            incidents="""
            core Down open critical
              members core:Down h1:Down sw1:Down sw2:Down
              affects core h1 h2 h3 sw1 sw2
            h2 Down open critical
              members h2:Down
              affects h2
            """
        )


# laws


@st.composite
def lives(draw: st.DrawFn) -> tuple[CIGraph, list[Step], random.Random]:
    """An estate and what its second level hears, corrections among it."""
    chance = draw(randoms)
    graph = build(chance)
    return graph, corrected(chance, graph), chance


def corrected(chance: random.Random, graph: CIGraph) -> list[Step]:
    """What is heard of the first level, with corrections to what has been told until then."""
    pipeline = Pipeline(graph, BOOK)
    desk = Corrected(pipeline.second)
    steps: list[Step] = []
    for happened in happen(chance, graph, LONG_GAPS, (8, 20, 40)):
        if isinstance(happened, Report):
            event = pipeline.intake.accept(happened, FAR)
            heard = pipeline.first.advance([event] if isinstance(event, Event) else [], len(steps))
        else:
            heard = pipeline.first.expire(happened if isinstance(happened, int) else pipeline.first.now)
        new: list[Step] = [*heard.transitions, pipeline.first.now]
        if chance.random() < 0.15 and desk.last:
            new.append(correction(chance, desk, len(steps)))
        for step in new:
            desk.take(step)
        steps += new
    return [*steps, pipeline.first.now + 120_000]


def correction(chance: random.Random, desk: Corrected, number: int) -> Regroup:
    """An operator says something of a situation, perhaps what is out of date."""
    name = chance.choice(sorted(desk.last))
    update = desk.last[name]
    known = desk.alerts(name) or ["nobody"]
    some = tuple(chance.sample(known, chance.randint(1, len(known))))
    if update.situation.status == "merged":
        return Regroup(f"f{number}", (), name)
    return Regroup(f"f{number}", some, name, chance.choice(("", "", chance.choice(sorted(desk.last)))))


def told_by(stage: SecondLevel, steps: Iterable[Step]) -> list[SituationUpdate]:
    desk = Corrected(stage)
    for step in steps:
        desk.take(step)
    return desk.news


@LAW
@given(lives())
def test_a_second_level_restored_at_any_point_goes_on_as_if_nothing_had_happened(
    life: tuple[CIGraph, list[Step], random.Random],
) -> None:
    graph, steps, chance = life
    left, disturbed = Corrected(SecondLevel(graph, BOOK)), Corrected(SecondLevel(graph, BOOK))
    for number, step in enumerate(steps):
        assert disturbed.take(step) == left.take(step), f"after step {number}: {step}"
        disturbed.save()
        if chance.random() < 0.3:
            disturbed.stage = SecondLevel(graph, BOOK)
            disturbed.stage.restore(chance.sample(sorted(disturbed.saved.items()), len(disturbed.saved)))


@LAW
@given(lives())
def test_a_correction_that_comes_again_changes_nothing(life: tuple[CIGraph, list[Step], random.Random]) -> None:
    graph, steps, chance = life
    again: list[Step] = []
    heard: list[tuple[int, Regroup]] = []
    now = 0
    for step in steps:
        now = max(now, step if isinstance(step, int) else step.now_ms if isinstance(step, Transition) else 0)
        again.append(step)
        if isinstance(step, Regroup):
            heard.append((now, step))
        again += [each for at, each in heard if now < at + CORRECTIONS_FORGOTTEN_MS - 1_000 and chance.random() < 0.3]
    assert told_by(SecondLevel(graph, BOOK), again) == told_by(SecondLevel(graph, BOOK), steps)


@LAW
@given(lives())
def test_what_is_told_adds_up(life: tuple[CIGraph, list[Step], random.Random]) -> None:
    """Also of what has been corrected; and as long as one fires, an alert is in one situation that is not over."""
    graph, steps, _ = life
    adds_up(graph, steps)


def test_a_root_that_a_correction_changed_is_scored_before_another_one_takes_its_evidence() -> None:
    chance = random.Random(16681)  # two corrections within a second
    graph = build(chance)
    adds_up(graph, corrected(chance, graph))


def adds_up(graph: CIGraph, steps: list[Step]) -> None:
    desk = Corrected(SecondLevel(graph, BOOK))
    for step in steps:
        desk.take(step)
    for name, update in desk.last.items():
        situation = update.situation
        assert len(desk.alerts(name)) == situation.alerts, situation
        assert situation.firing <= situation.alerts
        if situation.status == "merged":
            assert situation.merged_into in desk.last
        if situation.status == "open":
            assert situation.candidates[0].ci == situation.root.ci


@LAW
@given(lives())
def test_alerts_that_were_split_off_never_return(life: tuple[CIGraph, list[Step], random.Random]) -> None:
    """Until it is over, nothing leaves what an operator has put together but by a word of another operator."""
    graph, steps, _ = life
    stage = SecondLevel(graph, BOOK)
    memory = stage._memory
    pinned: dict[str, str] = {}
    for step in steps:
        if isinstance(step, Regroup):
            stage.regroup(step)
        elif isinstance(step, int):
            stage.expire(step)
        else:
            stage.advance([step])
        for fingerprint, situation in pinned.items():
            if isinstance(step, Regroup):
                break
            alert, home = memory.alerts.get(fingerprint), memory.situations.get(situation)
            if alert is not None and home is not None and home.state.status in ("open", "resolved"):
                assert alert.situation == situation
        pinned = {name: alert.situation for name, alert in memory.alerts.items() if alert.pinned}
        evidence = {id(alert) for there in stage.claims.at.values() for alert in there}
        assert not any(id(memory.alerts[name]) in evidence for name in pinned)
        for node, alerts in stage.claims.at.items():
            assert node in stage.claims.evidence.alerting
            assert all(memory.situation_of(alert) is stage.claims.claimed.get(node) for alert in alerts)


@LAW
@given(lives())
def test_nothing_is_left_in_the_end(life: tuple[CIGraph, list[Step], random.Random]) -> None:
    graph, steps, _ = life
    desk = Corrected(SecondLevel(graph, BOOK))
    firing: dict[str, Transition] = {}
    for step in steps:
        desk.take(step)
        desk.save()
        if isinstance(step, Transition):
            firing.pop(step.fingerprint, None)
            if step.change != "resolved":
                firing[step.fingerprint] = step
    now = max(desk.stage.now, START)
    for alert in firing.values():
        end = msgspec.structs.replace(alert, change="resolved", time_ms=now, now_ms=now, position=1 << 40)
        desk.take(end)
    desk.take(now + FOREVER)
    desk.save()
    assert set(desk.saved) == {b"clock"}
    claims = desk.stage.claims
    assert not any((claims.at, claims.claimed, claims._rooted, claims._settled, claims.evidence.alerting))
    assert not desk.stage._agenda._recurrence._closed


@LAW
@given(lives())
def test_the_order_of_what_has_nothing_to_do_with_each_other_does_not_matter(
    life: tuple[CIGraph, list[Step], random.Random],
) -> None:
    """Corrections of one estate, and what happens on another one beside it that it shares no edge with."""
    graph, steps, chance = life
    other = graph_of("x y -> z")
    cis = [*graph.cis, *other.cis]
    size = len(graph.cis)
    edges = [(dependent, provider) for dependent, there in enumerate(graph.providers) for provider in there]
    edges += [
        (size + dependent, size + provider) for dependent, there in enumerate(other.providers) for provider in there
    ]
    both = CIGraph(cis, edges)
    mixed: list[Step] = []
    now = 0
    for step in steps:
        now = max(now, step if isinstance(step, int) else step.now_ms if isinstance(step, Transition) else 0)
        noise = Transition(
            chance.choice(("opened", "resolved")),
            "noise",
            chance.choice("xyz"),
            "Down",
            3,
            now,
            now,
            now,
            1,
            len(mixed),
            "n",
        )
        mixed += chance.sample([step, noise], 2) if now and isinstance(step, Regroup) else [step]
    domains = {ci.id for ci in other.cis}
    found = [each for each in told_by(SecondLevel(both, BOOK), mixed) if each.situation.root.ci not in domains]
    assert found == told_by(SecondLevel(both, BOOK), steps)
