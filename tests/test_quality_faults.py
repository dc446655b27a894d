"""The faults of the quality benchmark: seeded estates, a physics that holds, kinds that are what their names say."""

import random
from collections import Counter
from itertools import permutations

import pytest
from benchmarks.quality.alarms import AS_LIKELY
from benchmarks.quality.breaks import Spec, chances_of, reached
from benchmarks.quality.estates import ESTATES, estate
from benchmarks.quality.faults import VARIANTS, Scenario, scenario
from benchmarks.quality.impact import Impact, Level, impacts
from benchmarks.quality.kinds import KINDS
from benchmarks.quality.monitoring import CAUSE_CLASSES, NOISE, UNDECIDED, Signal
from benchmarks.quality.world import FLAWLESS, Draft, Flaws, World, edges_of

from pages import names
from test_quality import tiny

SEED = 7


def of_kind(kind: str, count: int = 12) -> list[Scenario]:
    return [scenario(kind, number, SEED) for number in range(count)]


# estates


@pytest.mark.parametrize("name", ESTATES)
def test_estates_have_a_realistic_size_and_are_the_same_every_time(name: str) -> None:
    for shared in (False, True):
        for variant in range(VARIANTS):
            world = estate(name, variant, shared=shared)
            assert 100 <= len(world.cis) <= 450
            assert world.shown == world.needs
            assert all(world.monitored)
            assert len({ci.id for ci in world.cis}) == len(world.cis)
            assert all(world.cis[dependent].id != world.cis[provider].id for dependent, provider in world.edges_shown())
            assert bool(world.of_type("backbone_router")) is shared
    first = estate(name, 0)
    estate.cache_clear()
    assert estate(name, 0) == first
    assert estate(name, 1) != first


def test_microservices_call_each_other_in_circles_and_nothing_else_does() -> None:
    def circular(world: World) -> bool:
        return any(
            ci in world.above(*(p for need in own for p in need.providers)) for ci, own in enumerate(world.needs)
        )

    assert circular(estate("mesh", 0))
    assert not circular(estate("data_centre", 0))
    assert not circular(estate("fabric", 0))


def test_flaws_are_in_the_topology_shown_only() -> None:
    real = edges_of(estate("mesh", 0).needs)
    poorer = estate("mesh", 0, Flaws(missing=0.2))
    assert edges_of(poorer.needs) == real
    assert len(poorer.edges_shown()) == pytest.approx(0.8 * len(real), rel=0.1)
    assert set(poorer.edges_shown()) < set(real)
    richer = estate("mesh", 0, Flaws(wrong=0.2))
    assert edges_of(richer.needs) == real
    assert len(richer.edges_shown()) == pytest.approx(1.2 * len(real), rel=0.1)
    assert set(richer.edges_shown()) > set(real)
    darker = estate("mesh", 0, Flaws(unmonitored=0.4))
    dark = [number for number, watched in enumerate(darker.monitored) if not watched]
    assert len(dark) == pytest.approx(0.4 * len(darker.cis), rel=0.2)
    marked = {number for number, ci in enumerate(darker.cis) if not ci.monitored}
    assert marked < set(dark)


# what a failure does


def test_a_failure_stops_who_has_no_quorum_left_and_slows_who_calls() -> None:
    draft = Draft(random.Random(1), shared=False)
    tiny(draft)
    world = draft.world("tiny", FLAWLESS, detailed=False)

    def reach(*failed: str, level: Level = Level.DOWN) -> dict[str, Level]:
        numbers = [number for number, ci in enumerate(world.cis) if ci.id in failed]
        return {world.cis[each.ci].id: each.level for each in impacts(world, numbers, level) if each.hop}

    down, degraded, starved = Level.DOWN, Level.DEGRADED, Level.STARVED
    assert reach("one") == {"job": down, "pair": degraded, "store": starved}
    assert reach("two") == {"pair": degraded}
    assert reach("switch") == {
        "one": down,
        "two": down,
        "job": down,
        "pair": down,
        "page": degraded,
        "store": starved,
    }
    assert reach("one", "two")["pair"] == down
    assert reach("store") == {"job": degraded}
    assert reach("store", level=degraded) == {"job": degraded}
    assert reach("pair") == {"page": degraded}


def test_every_reached_ci_is_reached_over_one_before_it() -> None:
    for name in ESTATES:
        world = estate(name, 0)
        for root in range(0, len(world.cis), 7):
            seen: dict[int, float] = {}
            for each in impacts(world, [root], Level.DOWN):
                assert each.ci not in seen
                assert each.chance == pytest.approx(each.step * seen.get(each.via, 1.0))
                assert (each.hop == 0) == (each.ci == root)
                assert each.via in seen or each.ci == root
                seen[each.ci] = each.chance


# faults


@pytest.mark.parametrize("kind", KINDS)
def test_a_scenario_depends_on_its_arguments_alone(kind: str) -> None:
    first = scenario(kind, 3, SEED)
    assert first == scenario(kind, 3, SEED)
    assert first.signals != scenario(kind, 3, SEED + 1).signals
    assert len(first.faults) == KINDS[kind].count(3)
    assert [signal.arrives for signal in first.signals] == sorted(signal.arrives for signal in first.signals)
    assert all(len(first.members(fault)) >= 3 for fault in range(len(first.faults)))
    assert {signal.fault for signal in first.signals} <= {*range(len(first.faults)), NOISE, UNDECIDED}


def own(happened: Scenario, fault: int = 0) -> list[Signal]:
    """What the roots of a fault say themselves."""
    cis = happened.spec.world().cis
    roots = {cis[root].id for root in happened.faults[fault].roots}
    return [signal for signal in happened.members(fault) if signal.ci in roots]


def test_silent_roots_say_nothing_and_late_ones_wait() -> None:
    assert not any(own(happened) for kind in ("silent", "backbone_silent") for happened in of_kind(kind))
    for happened in of_kind("late"):
        (first, *_) = own(happened)
        assert first.class_ in CAUSE_CLASSES
        symptom = min(signal.time for signal in happened.members(0) if signal.ci != first.ci)
        assert 30_000 <= first.time - symptom <= 180_000
    for happened in of_kind("single"):
        assert any(signal.class_ in CAUSE_CLASSES for signal in own(happened))


def test_kinds_are_what_their_names_say() -> None:
    assert all(
        happened.spec.world().cis[min(f.roots)].type == "backbone_router"
        for happened in of_kind("backbone")
        for f in happened.faults
    )
    assert {len(happened.faults) for happened in of_kind("concurrent")} == {2, 3}
    assert all(len(happened.faults[0].breaks) == 2 for happened in of_kind("cascading"))
    assert {len(happened.faults[0].breaks) for happened in of_kind("redundancy")} == {1, 2}
    skewed = [abs(s.time - s.arrives) for happened in of_kind("skew") for s in happened.signals]
    assert 20_000 < max(skewed) <= 40_000
    flaps = [max(Counter((s.ci, s.class_) for s in happened.members(0)).values()) for happened in of_kind("flapping")]
    assert min(flaps) >= 10
    assert max(flaps) >= 100
    noise = [s for happened in of_kind("spurious") for s in happened.signals if s.fault == NOISE]
    assert any(signal.ci.startswith("stray-") for signal in noise)
    assert any(not signal.ci.startswith("stray-") for signal in noise)
    assert all(
        happened.signals[-1].arrives - happened.signals[0].arrives > 3_600_000 for happened in of_kind("chronic")
    )
    starving = [s.class_ for happened in of_kind("starvation", 40) for s in happened.members(0)]
    assert {"NoRequests", "ConsumerIdle"} <= set(starving)
    whole, some = (sum(len(h.members(0)) for h in of_kind(kind, 60)) for kind in ("single", "lost"))
    assert some < 0.85 * whole
    for happened in of_kind("unmonitored"):
        world = happened.spec.world()
        dark = {ci.id for ci, watched in zip(world.cis, world.monitored, strict=True) if not watched}
        assert dark
        assert dark.isdisjoint(signal.ci for signal in happened.signals)


def test_every_alarm_ends() -> None:
    for kind in ("single", "flapping", "chronic", "mixed"):
        for happened in of_kind(kind, 6):
            last: dict[tuple[str, str], Signal] = {}
            for signal in happened.signals:
                last[signal.ci, signal.class_] = max(signal, last.get((signal.ci, signal.class_), signal), key=_when)
            firing = [signal for signal in last.values() if signal.firing]
            assert len(firing) <= (0 if KINDS[kind].lost == 0 else len(last) // 5)


def _when(signal: Signal) -> tuple[int, bool]:
    return signal.time, not signal.firing


def test_faults_of_one_scenario_are_independent() -> None:
    for happened in of_kind("concurrent", 60):
        spec = happened.spec
        alone = [{each.ci for each in _down(spec, fault.roots)} for fault in happened.faults]
        for one, other in permutations(range(len(alone)), 2):
            first, second = happened.faults[one], happened.faults[other]
            assert first.roots.isdisjoint(each.ci for each in reached(spec, second.roots, second.breaks[0].level))
            both = {each.ci for each in _down(spec, first.roots | second.roots)}
            assert both == alone[one] | alone[other]


def _down(spec: Spec, failed: frozenset[int]) -> list[Impact]:
    return [each for each in reached(spec, failed, Level.DOWN) if each.level is Level.DOWN]


def test_nobody_is_judged_by_what_two_things_may_have_caused() -> None:
    undecided = 0
    for happened in of_kind("concurrent", 24):
        cis = happened.spec.world().cis
        chances = [
            {cis[ci].id: chance for ci, chance in chances_of(happened.spec, fault).items()} for fault in happened.faults
        ]
        for signal in happened.signals:
            undecided += signal.fault == UNDECIDED
            if signal.fault >= 0:
                own = chances[signal.fault][signal.ci]
                others = [of.get(signal.ci, 0.0) for number, of in enumerate(chances) if number != signal.fault]
                assert max(others) < own * AS_LIKELY
    assert undecided > 50


def test_what_alarms_all_day_is_undecided_where_a_fault_reaches_it() -> None:
    undecided = 0
    for happened in of_kind("chronic", 24):
        (fault,) = happened.faults
        cis = happened.spec.world().cis
        reach = {cis[ci].id for ci in chances_of(happened.spec, fault)}
        times = range(fault.breaks[0].at, fault.repaired)
        during = [s for s in happened.signals if s.firing and s.time in times and s.ci in reach]
        assert all(signal.fault in (0, UNDECIDED) for signal in during)
        undecided += sum(signal.fault == UNDECIDED for signal in during)
    assert undecided > 10


def test_only_the_loss_of_the_quorum_is_judged() -> None:
    for happened in of_kind("redundancy", 24):
        fault = happened.faults[0]
        first = happened.spec.world().cis[min(fault.breaks[0].failed)].id
        members = happened.members(0)
        if len(fault.breaks) == 2:
            assert fault.breaks[1].newly == fault.roots - fault.breaks[0].failed
            assert first not in {signal.ci for signal in members}
            assert min(signal.time for signal in members) >= fault.breaks[1].at
        else:
            assert first in {signal.ci for signal in members}


def test_every_kind_is_documented() -> None:
    assert names("docs/quality.md", "Kinds of faults") == list(KINDS)


def test_randomness_is_seeded() -> None:
    random.seed(1)
    first = scenario("mixed", 1, SEED)
    random.seed(2)
    estate.cache_clear()
    reached.cache_clear()
    assert scenario("mixed", 1, SEED) == first
    assert first.spec.flaws != FLAWLESS
