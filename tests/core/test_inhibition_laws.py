"""Inhibition on random timetables, against a reference that looks at every moment anew; and the laws of every stage.

The reference knows the whole timetable and no state: it asks for each firing of a target, moment by moment, whether a
source inhibits it, as Alertmanager's documentation defines it.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec
from hypothesis import given

from estates import LAW, randoms
from opsbridge.core.decisions import ChangeOf, Shadowed, SituationUpdate, Suppressed, Transition
from opsbridge.core.event import Mark
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.rulebook import EMPTY, SOURCE, TARGET, Inhibition, Rulebook
from opsbridge.core.second_level.inhibition import GRACE_MS, KEEP_MS, REMEMBER_MS, Inhibitor
from opsbridge.core.second_level.level import SecondLevel, Told
from opsbridge.core.second_level.pace import LATENESS_MS, TICK_MS
from opsbridge.core.second_level.parties import INHIBITS_ON_MS

START: Final = 1_790_000_000_000
FAR: Final = 1 << 60
GAPS: Final = (1, 300, 1_000, 2_500, 4_999, 5_000, 5_001, 9_000, 20_000, 70_000)

GRAPH: Final = CIGraph([CI(id=name) for name in ("a1", "a2", "b1")], [(0, 1)], domains=["a", "a", "b"])
CIS: Final = ("a1", "a1", "a2", "b1", "ghost")
RULES: Final = {
    "r0": Inhibition(rule="r0"),
    "r1": Inhibition(rule="r1"),
    "trial": Inhibition(rule="trial", shadow=True),
}
BOOK: Final = Rulebook(inhibitions=RULES)

Line = tuple[int, Transition]
"""When it arrives, and what."""


class Firing(NamedTuple):
    """A firing as the reference sees it: what was said of it when, and when it was over."""

    steps: list[Transition]
    over: int


def marks_of(chance: random.Random) -> tuple[Mark, ...]:
    """Marks as rules give them: source and target of one rule are of one group, since both are the same event's."""
    said = ((), (), (SOURCE,), (SOURCE,), (TARGET,), (TARGET,), (SOURCE, TARGET))
    groups = {rule: chance.choice(("", "g")) for rule in RULES}
    return tuple(Mark(rule, part, groups[rule]) for rule in RULES for part in chance.choice(said))


def alert(chance: random.Random, number: int) -> list[Transition]:
    """What one alert does."""
    fingerprint, ci = f"f{number}", chance.choice(CIS)
    time = START + chance.choice((0, 0, 500, 3_000, 8_000, 30_000))
    occurrence, opened, firing, marks = 0, time, False, marks_of(chance)
    said: list[Transition] = []
    for position in range(chance.choice((1, 2, 3, 5, 9))):
        change: ChangeOf = "opened" if not firing else chance.choice(("resolved", "resolved", "escalated", "renewed"))
        if change != "resolved" and chance.random() < 0.3:
            marks = marks_of(chance)
        if change in ("opened", "renewed"):
            occurrence, opened = occurrence + 1, time
        said.append(
            Transition(
                change,
                fingerprint,
                ci,
                "Down",
                chance.randrange(5),
                time,
                0,
                opened,
                occurrence,
                position,
                f"{fingerprint}-{occurrence}",
                known_ci=ci != "ghost",
                marks=() if change == "resolved" else marks,
            )
        )
        firing = change != "resolved"
        time += chance.choice(GAPS)
    return said


def timetable(chance: random.Random, *, late: bool = True) -> list[Line]:
    """What some alerts do, each heard less than LATENESS_MS late and in its own order."""
    arrivals: list[Line] = []
    for number in range(chance.choice((2, 3, 5, 8))):
        before = 0
        for said in alert(chance, number):
            before = max(before, said.time_ms + (chance.randrange(LATENESS_MS) if late else 0))
            arrivals.append((before, said))
    arrivals.sort(key=lambda line: (line[0], line[1].fingerprint, line[1].position))
    watermark = 0
    heard: list[Line] = []
    for _, said in arrivals:
        watermark = max(watermark, said.time_ms)
        heard.append((watermark, msgspec.structs.replace(said, now_ms=watermark)))
    return heard


# the reference


def tick(time: int) -> int:
    return -(-time // TICK_MS) * TICK_MS


def domain(said: Transition) -> str:
    return {"a1": "a", "a2": "a", "b1": "b"}.get(said.ci, said.ci)


def firings(said: Sequence[Transition]) -> Iterator[Firing]:
    """The firings of one alert. One that is told of already goes on through a renewal."""
    steps: list[Transition] = []
    for each in said:
        if each.change == "resolved":
            yield Firing(steps, each.time_ms)
            steps = []
        else:
            steps.append(each)
    if steps:
        yield Firing(steps, FAR)


def parts(said: Transition, rule: str) -> dict[int, str]:
    return {mark.part: mark.group for mark in said.marks if mark.rule == rule}


class Reference:
    """What should be told of a whole timetable."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.alerts: dict[str, list[Transition]] = {}
        for _, said in lines:
            self.alerts.setdefault(said.fingerprint, []).append(said)
        moments = {said.time_ms for alert in self.alerts.values() for said in alert}
        self._moments = sorted(moments | {moment + INHIBITS_ON_MS for moment in moments})

    def step(self, said: Sequence[Transition], time: int) -> Transition | None:
        return next((each for each in reversed(said) if each.time_ms <= time), None)

    def source(self, rule: str, target: Transition, time: int) -> tuple[int, str] | None:
        """Who inhibits the target then by that rule, and since when: the first of all who do."""
        wanted = parts(target, rule)
        found = []
        for name, said in self.alerts.items():
            spells: list[tuple[int, int, tuple[str, bool] | None]] = []
            for each, after in pairwise([*said, None]):
                assert each is not None
                has = parts(each, rule)
                what = (has[SOURCE], TARGET in has) if SOURCE in has else None
                ends = FAR if after is None else after.time_ms
                if spells and spells[-1][2] == what:
                    spells[-1] = spells[-1][0], ends, what
                else:
                    spells.append((each.time_ms, ends, what))
            for since, until, what in spells:
                if what is None or name == target.fingerprint or domain(said[0]) != domain(target):
                    continue
                group, both = what
                if (
                    group == wanted[TARGET]
                    and not (both and SOURCE in wanted)
                    and since <= time < until + INHIBITS_ON_MS
                ):
                    found.append((since, name))
        return min(found, default=None)

    def inhibited(self, firing: Firing, time: int, *, shadow: bool = False) -> tuple[str, str] | None:
        said = self.step(firing.steps, time)
        assert said is not None
        rules = [name for name, rule in RULES.items() if rule.shadow == shadow and TARGET in parts(said, name)]
        for name in rules:
            source = self.source(name, said, time)
            if source is not None:
                return name, source[1]
        return None

    def told(self) -> list[tuple[int, str, str, str, str, str]]:
        """When, fingerprint, event, state, rule, source."""
        return sorted(line for said in self.alerts.values() for firing in firings(said) for line in self._fate(firing))

    def fate(self, firing: Firing) -> tuple[int | None, int]:
        """When it is withheld, if it is, and when it is explained: FAR if never."""
        opening = firing.steps[0]
        begin = opening.time_ms + GRACE_MS
        if not any(TARGET in parts(opening, name) for name, rule in RULES.items() if not rule.shadow):
            return None, opening.time_ms
        if self.inhibited(firing, begin) is None:
            return None, begin
        moments = [moment for moment in self._moments if moment > begin]
        free = next((moment for moment in moments if self.inhibited(firing, moment) is None), FAR)
        return begin, free if free < firing.over else FAR

    def _fate(self, firing: Firing) -> Iterator[tuple[int, str, str, str, str, str]]:
        begin, free = self.fate(firing)
        if begin is None:
            return
        by = self.inhibited(firing, begin)
        assert by is not None
        name, event = firing.steps[0].fingerprint, firing.steps[0].event
        yield tick(begin + LATENESS_MS), name, event, "withheld", *by
        if free < FAR:
            yield tick(free + LATENESS_MS), name, event, "released", *by
        elif firing.over < FAR:
            yield tick(max(firing.over, begin) + LATENESS_MS), name, event, "resolved", *by

    def trials(self) -> list[tuple[int, str, str]]:
        """When, fingerprint, event."""
        return sorted(
            (tick(begin + LATENESS_MS), firing.steps[0].fingerprint, firing.steps[0].event)
            for said in self.alerts.values()
            for firing in firings(said)
            for begin in [firing.steps[0].time_ms + GRACE_MS]
            if "trial" in {mark.rule for mark in firing.steps[0].marks if mark.part == TARGET}
            and self._tried(firing.steps[0], begin)
        )

    def _tried(self, opening: Transition, time: int) -> bool:
        return self.source("trial", opening, time) is not None

    def explained(self) -> dict[str, int]:
        """Of each alert that fires at the end, when it is explained; FAR if it is withheld."""
        last = {name: list(firings(said))[-1] for name, said in self.alerts.items()}
        return {name: self.fate(firing)[1] for name, firing in last.items() if firing.over == FAR}


def heard_to_the_end(level: SecondLevel, lines: Sequence[Line], wait: int = 30_000) -> list[Told]:
    told: list[Told] = []
    for _, said in lines:
        told += level.advance([said])
    return told + level.expire(lines[-1][0] + wait)


def news(told: Iterable[Told]) -> list[tuple[int, str, str, str, str, str]]:
    return sorted(
        (each.now_ms, each.fingerprint, each.event, each.state, each.rule, each.inhibited_by)
        for each in told
        if isinstance(each, Suppressed)
    )


FOREVER: Final = 200_000


def told_of(level: SecondLevel, fingerprint: str) -> bool:
    """Whether the newest firing of an alert that fires is explained; an earlier one may be."""
    alert = level._memory.alerts.get(fingerprint)
    return alert is not None and alert.firing


@LAW
@given(randoms)
def test_what_is_withheld_released_and_resolved_is_what_the_reference_says(chance: random.Random) -> None:
    lines = timetable(chance)
    level, reference = SecondLevel(GRAPH, BOOK), Reference(lines)
    told = heard_to_the_end(level, lines, FOREVER)
    assert news(told) == reference.told()
    shadows = [each for each in told if isinstance(each, Shadowed)]
    assert {(each.rule, each.would) for each in shadows} <= {("trial", "withhold")}
    assert sorted((each.time_ms, each.fingerprint, each.event) for each in shadows) == reference.trials()
    for name, explained in reference.explained().items():
        assert told_of(level, name) == (explained < FAR), name


@LAW
@given(randoms)
def test_what_is_quiet_is_as_alertmanager_would_have_it(chance: random.Random) -> None:
    """Whatever is withheld matches a target for which a source fires, and all else that does was told of before."""
    lines = timetable(chance)
    level = SecondLevel(GRAPH, BOOK)
    heard_to_the_end(level, lines)
    now = {said.fingerprint: said for _, said in lines}
    begun: dict[str, int] = {}
    for _, said in lines:
        begun[said.fingerprint] = said.time_ms if said.change == "opened" else begun[said.fingerprint]
    firing = [said for said in now.values() if said.change != "resolved"]
    for target in firing:
        sources = [
            source
            for rule in ("r0", "r1")
            for source in firing
            if source is not target
            and domain(source) == domain(target)
            and SOURCE in parts(source, rule)
            and parts(source, rule)[SOURCE] == parts(target, rule).get(TARGET)
            and not (TARGET in parts(source, rule) and SOURCE in parts(target, rule))
        ]
        if not told_of(level, target.fingerprint):
            assert sources, target
        elif sources:
            opening = next(said for _, said in lines if said.fingerprint == target.fingerprint)
            told_before = min(
                min(said.time_ms for _, said in lines if said.fingerprint == source.fingerprint and said.marks)
                for source in sources
            )
            assert told_before > begun[target.fingerprint] or opening.marks != target.marks or _moved(lines, sources)


def _moved(lines: Sequence[Line], sources: Iterable[Transition]) -> bool:
    """Whether one of the sources has not always been one."""
    return any(
        len({said.change for _, said in lines if said.fingerprint == source.fingerprint}) > 1 for source in sources
    )


def situations(told: Iterable[Told]) -> list[bytes]:
    return [msgspec.json.encode(each) for each in told if isinstance(each, SituationUpdate)]


@LAW
@given(randoms)
def test_the_order_of_arrival_within_the_lateness_does_not_matter(chance: random.Random) -> None:
    """What is told of inhibitions is the same to the tick; what was heard in another order has another `now_ms`."""
    seed = chance.randrange(1 << 30)
    lines = timetable(random.Random(seed), late=False)
    said = {(each.fingerprint, each.position): each for _, each in lines}
    arrivals: list[Line] = []
    for name in sorted({name for name, _ in said}):
        before = 0
        for each in sorted(
            (each for each in said.values() if each.fingerprint == name), key=lambda each: each.position
        ):
            before = max(before, each.time_ms + chance.randrange(LATENESS_MS))
            arrivals.append((before, each))
    arrivals.sort(key=lambda line: line[0])
    watermark, heard = 0, []
    for _, each in arrivals:
        watermark = max(watermark, each.time_ms)
        heard.append((watermark, msgspec.structs.replace(each, now_ms=watermark)))
    one, other = SecondLevel(GRAPH, BOOK), SecondLevel(GRAPH, BOOK)
    in_order, shuffled = heard_to_the_end(one, lines, FOREVER), heard_to_the_end(other, heard, FOREVER)
    assert [each for each in in_order if not isinstance(each, SituationUpdate)] == [
        each for each in shuffled if not isinstance(each, SituationUpdate)
    ]
    assert {name: told_of(one, name) for name, _ in said} == {name: told_of(other, name) for name, _ in said}


@LAW
@given(randoms)
def test_batches_and_the_time_between_them_do_not_matter(chance: random.Random) -> None:
    lines = timetable(chance)
    alone = heard_to_the_end(SecondLevel(GRAPH, BOOK), lines)
    level, told, left = SecondLevel(GRAPH, BOOK), [], list(lines)
    while left:
        size = chance.randint(1, 5)
        batch, left = left[:size], left[size:]
        told += level.advance([said for _, said in batch])
        told += level.expire(batch[-1][0] if not left else chance.randint(batch[-1][0], left[0][0]))
    assert told + level.expire(lines[-1][0] + 30_000) == alone


@LAW
@given(randoms)
def test_a_restart_anywhere_or_a_reload_of_the_same_rules_changes_nothing(chance: random.Random) -> None:
    lines = timetable(chance)
    alone = heard_to_the_end(SecondLevel(GRAPH, BOOK), lines, FOREVER)
    saved: dict[bytes, bytes | None] = {}
    level, told = SecondLevel(GRAPH, BOOK), []
    for now, said in [*lines, (lines[-1][0] + FOREVER, None)]:
        told += level.advance([said]) if said is not None else level.expire(now)
        saved.update(level.changes())
        if chance.random() < 0.4:
            level = restored(saved)
    assert [each for each in told if not isinstance(each, SituationUpdate)] == [
        each for each in alone if not isinstance(each, SituationUpdate)
    ]
    assert situations(told) == situations(alone)


def restored(saved: dict[bytes, bytes | None], book: Rulebook = BOOK) -> SecondLevel:
    level = SecondLevel(GRAPH, book)
    level.restore((key, value) for key, value in saved.items() if value is not None)
    return level


@LAW
@given(randoms)
def test_what_was_saved_in_part_and_is_heard_again_is_decided_as_it_was(chance: random.Random) -> None:
    """Killed while the first of its changes were saved, it hears all since the last time they were all saved."""
    lines = timetable(chance)
    reference = Reference(lines)
    saved: dict[bytes, bytes | None] = {}
    level, told = SecondLevel(GRAPH, BOOK), []
    begin = chance.randrange(len(lines))
    end = begin
    while end < len(lines) and lines[end][0] <= lines[begin][0] + 20_000:
        end += 1
    told += level.advance([said for _, said in lines[:begin]])
    saved.update(level.changes())
    told += level.advance([said for _, said in lines[begin:end]])
    changes = level.changes()
    saved.update(changes[: chance.randint(0, len(changes))])
    level = restored(saved)
    told += heard_to_the_end(level, lines[begin:], FOREVER)
    assert {line[1:4] for line in news(told)} == {line[1:4] for line in reference.told()}
    for name, explained in reference.explained().items():
        assert told_of(level, name) == (explained < FAR), name


@LAW
@given(randoms)
def test_what_is_heard_again_changes_nothing_and_what_is_over_is_forgotten(chance: random.Random) -> None:
    lines = timetable(chance)
    level = SecondLevel(GRAPH, BOOK)
    heard_to_the_end(level, lines)
    level.changes()
    remembered = [said for _, said in lines if said.now_ms + KEEP_MS > lines[-1][0] + 30_000]
    assert level.advance(remembered[chance.randrange(len(remembered) + 1) :]) == []
    assert level.changes() == []

    inhibitor = Inhibitor(GRAPH, RULES)
    for _, said in lines:
        inhibitor.hear(said, told_of=False)
    last = {said.fingerprint: said for _, said in lines}
    now = lines[-1][0]
    for said in last.values():
        over = msgspec.structs.replace(said, change="resolved", position=said.position + 1, time_ms=now, now_ms=now)
        inhibitor.hear(over, told_of=False)
    while (due := inhibitor.due()) is not None:
        now = max(now, due)
        list(inhibitor.settle(now))
    assert now <= lines[-1][0] + KEEP_MS + REMEMBER_MS
    assert all(value is None for _, value in inhibitor.changes())
    for slot in ("_parties", "_blocked", "_watched", "_deadlines", "_awaited"):
        assert not getattr(inhibitor, slot), slot
    assert not len(inhibitor._sources)


@LAW
@given(randoms)
def test_rules_that_are_gone_withhold_nothing_and_the_others_as_before(chance: random.Random) -> None:
    lines = timetable(chance)
    saved: dict[bytes, bytes | None] = {}
    level = SecondLevel(GRAPH, BOOK)
    half = chance.randrange(len(lines)) + 1
    told = level.advance([said for _, said in lines[:half]])
    saved.update(level.changes())
    without = msgspec.structs.replace(EMPTY, inhibitions={"r0": RULES["r0"]})
    level = restored(saved, without)
    told += heard_to_the_end(level, lines[half:] or lines[-1:], FOREVER)
    last = {said.fingerprint: said for _, said in lines}
    firing = {name: said for name, said in last.items() if said.change != "resolved"}
    for name, said in firing.items():
        if not told_of(level, name):
            assert any(mark.rule == "r0" and mark.part == TARGET for mark in said.marks), name
