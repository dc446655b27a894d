"""The quality benchmark is what it says: seeded estates and faults, a physics that holds, scores with a meaning."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from benchmarks.quality.breaks import Break, Fault, Spec, reached
from benchmarks.quality.engine import Found, opsbridge
from benchmarks.quality.estates import ESTATES, estate
from benchmarks.quality.faults import Scenario, scenario
from benchmarks.quality.identify import standing
from benchmarks.quality.impact import Level
from benchmarks.quality.kinds import KINDS
from benchmarks.quality.monitoring import NOISE, START, UNDECIDED, Signal
from benchmarks.quality.naive import ENGINES, neighbourhood, suppression, time_gap
from benchmarks.quality.report import calibration, f1, precision, recall, report, told
from benchmarks.quality.runs import OURS, Run, run_all, tasks
from benchmarks.quality.scores import score
from benchmarks.quality.world import Draft, Flaws, Need, World

from pages import ROOT

SEED = 7
TINY = Spec("tiny", 0)


def tiny(draft: Draft) -> None:
    """Two servers behind a switch, a pair on both, a job on the first with a store of its own, a caller of the pair."""
    switch = draft.add("access_switch", "switch")
    one, two = (draft.add("server", name, Need((switch,))) for name in ("one", "two"))
    pair = draft.add("app", "pair", Need((one, two)))
    store = draft.add("database", "store")
    draft.add("app", "job", Need((one,)), Need((store,), 1, hard=False))
    draft.calls(draft.add("business_service", "page"), [pair])
    draft.add("rack", "twin")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setitem(ESTATES, "tiny", tiny)
    yield Spec("tiny", 0).world()
    estate.cache_clear()
    reached.cache_clear()


def happening(*lines: str, roots: dict[int, int] | None = None, spec: Spec = TINY) -> Scenario:
    """A scenario in the tiny estate: lines `SECOND CI CLASS FAULT`, a class with `-` before it is resolved."""
    signals = []
    for number, line in enumerate(lines, 1):
        second, ci, class_, fault = line.split()
        time = START + int(second) * 1000
        firing = not class_.startswith("-")
        signals.append(Signal(f"e{number}", time, time, ci, class_.lstrip("-"), "major", firing, int(fault)))
    faults = tuple(
        Fault(
            frozenset({root}), (Break(frozenset({root}), frozenset({root}), "PowerFailure", Level.DOWN, START),), START
        )
        for root in (roots or {0: 0}).values()
    )
    return Scenario("single", 0, spec, faults, tuple(signals))


def perfect(happened: Scenario) -> list[Found]:
    """What an engine would say that knew the truth."""
    cis = happened.spec.world().cis
    found = []
    for number, fault in enumerate(happened.faults):
        members = happened.members(number)
        roots = tuple(cis[root].id for root in sorted(fault.roots))
        found.append(Found(roots[0], roots, frozenset(each.id for each in members), members[0].arrives, 1.0))
    return found


def everything(happened: Scenario) -> list[Found]:
    """One incident for all that is heard, with the first CI as root."""
    firing = [signal for signal in happened.signals if signal.firing]
    return [Found(firing[0].ci, (firing[0].ci,), frozenset(each.id for each in firing), firing[0].arrives)]


def nothing_together(happened: Scenario) -> list[Found]:
    """An incident for every event."""
    firing = [signal for signal in happened.signals if signal.firing]
    return [Found(each.ci, (each.ci,), frozenset({each.id}), each.arrives) for each in firing]


def of_kind(kind: str, count: int = 12) -> list[Scenario]:
    return [scenario(kind, number, SEED) for number in range(count)]


# scores


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_scores_one_and_everything_in_one_incident_what_it_must(kind: str) -> None:
    for number in range(3):
        happened = scenario(kind, number, SEED)
        best = score(happened, perfect(happened))
        assert (precision(best), recall(best), f1(best)) == (1.0, 1.0, 1.0)
        assert (best.merged, best.incidents) == (0, len(happened.faults))
        for fault in best.faults:
            assert fault.first
            assert fault.third
            assert not fault.split
            assert (fault.outside, fault.strangers, fault.incidents, fault.waited_ms) == (0.0, 0.0, 1, 0)
        one = score(happened, everything(happened))
        assert recall(one) == 1.0
        assert (one.incidents, one.merged) == (1, int(len(happened.faults) > 1))
        assert not any(fault.split for fault in one.faults)
        sizes = Counter(s.fault for s in happened.signals if s.firing and s.fault != UNDECIDED)
        pairs = {fault: count * (count - 1) // 2 for fault, count in sizes.items()}
        total = sizes.total() * (sizes.total() - 1) // 2
        right = sum(pairs[fault] for fault in pairs if fault != NOISE)
        assert precision(one) == pytest.approx(right / (total - pairs.get(NOISE, 0)))
        apart = score(happened, nothing_together(happened))
        assert (recall(apart), precision(apart), apart.merged) == (0.0, 1.0, 0)
        assert all(fault.split for fault in apart.faults)


def test_a_fault_that_nobody_told_of_is_split_and_wrong(world: World) -> None:
    happened = happening("0 one HardwareFault 0", "5 job HostDown 0", "9 pair HighLatency 0", roots={0: 1})
    (fault,) = score(happened, []).faults
    assert (fault.first, fault.third, fault.split, fault.outside, fault.blamed) == (False, False, True, 1.0, "nothing")


def test_where_a_wrong_root_stands_is_told(world: World) -> None:
    happened = happening("0 one HardwareFault 0", "5 job HostDown 0", "9 pair HighLatency 0", roots={0: 1})
    events = frozenset({"e1", "e2", "e3"})
    blamed = {
        root: score(happened, [Found(root, (root,), events, START)]).faults[0].blamed
        for root in ("one", "switch", "job", "two", "stray-1")
    }
    assert blamed == {"one": "right", "switch": "above", "job": "below", "two": "beside", "stray-1": "beside"}


def test_the_matched_incident_holds_most_alerts_not_most_flaps(world: World) -> None:
    happened = happening(*["0 one HardwareFault 0", "1 job HostDown 0"], *(["2 pair HighLatency 0"] * 9), roots={0: 1})
    flapping = Found("pair", ("pair",), frozenset(f"e{n}" for n in range(3, 12)), START + 5_000)
    rest = Found("one", ("one",), frozenset({"e1", "e2"}), START + 6_000)
    (fault,) = score(happened, [flapping, rest]).faults
    assert (fault.first, fault.split, fault.incidents, fault.waited_ms) == (True, True, 2, 6_000)
    assert fault.outside == pytest.approx(9 / 11)


def test_two_events_elsewhere_split_a_fault_however_large_it_is(world: World) -> None:
    classes = ("HardwareFault", "HostDown", "Unreachable", "PowerFailure") * 10
    lines = [*(f"1 one {class_} 0" for class_ in classes), "2 job HostDown 0", "3 pair Timeouts 0"]
    happened = happening(*lines, roots={0: 1})
    most = Found("one", ("one",), frozenset(f"e{n}" for n in range(1, 41)), START)
    job, pair = (Found("job", ("job",), frozenset({event}), START + 9_000) for event in ("e41", "e42"))
    both = Found("job", ("job",), job.events | pair.events, START + 9_000)
    assert not score(happened, [most, job, pair]).faults[0].split
    assert score(happened, [most, both]).faults[0].split


# what can be known


def test_two_silent_cis_with_the_same_dependents_cannot_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def twins(draft: Draft) -> None:
        rack, pdu = draft.add("rack", "rack"), draft.add("pdu", "pdu")
        for number in range(3):
            draft.add("server", f"server-{number}", Need((rack,)), Need((pdu,)))

    monkeypatch.setitem(ESTATES, "tiny", twins)
    estate.cache_clear()
    reached.cache_clear()
    symptoms = [f"{number} server-{number} HostDown 0" for number in range(3)]
    assert standing(happening(*symptoms, roots={0: 1}), 0) == "tied"
    assert standing(happening(*symptoms, "4 pdu PowerFailure 0", roots={0: 1}), 0) == "alone"
    assert standing(happening(*symptoms, "4 pdu PowerFailure 0", roots={0: 0}), 0) == "beaten"
    specs = (Spec("tiny", variant, Flaws(unmonitored=0.3)) for variant in range(1000))
    dark_rack = next(spec for spec in specs if spec.world().monitored == (False, True, True, True, True))
    assert standing(happening(*symptoms, roots={0: 0}, spec=dark_rack), 0) == "alone"
    assert standing(happening(*symptoms, roots={0: 1}, spec=dark_rack), 0) == "beaten"
    estate.cache_clear()
    reached.cache_clear()


def test_what_idles_is_not_broken_by_its_consumer(world: World) -> None:
    both = ("0 store OutOfMemory 0", "200 job ProcessDown 0")
    names = [ci.id for ci in world.cis]
    assert standing(happening(*both, roots={0: names.index("store")}), 0) == "alone"
    assert standing(happening(*both, roots={0: names.index("job")}), 0) == "beaten"


def test_roots_that_report_themselves_are_mostly_identifiable_and_silent_ones_less() -> None:
    def alone(kind: str) -> int:
        return sum(standing(happened, 0) == "alone" for happened in of_kind(kind, 30))

    assert alone("single") >= 27
    assert 10 <= alone("silent") < alone("single")


# naive engines


def groups(found: list[Found]) -> list[tuple[str, list[str]]]:
    return sorted((each.root, sorted(each.events)) for each in found)


def test_naive_engines_do_what_they_are_known_for(world: World) -> None:
    happened = happening(
        "0 job HostDown 0",
        "5 one HardwareFault 0",
        "8 job Timeouts 0",
        "10 twin PowerFailure -1",
        "60 one -HardwareFault 0",
        "90 page HighLatency 0",
        roots={0: 1},
    )
    assert groups(time_gap(60)(happened)) == [("job", ["e1", "e2", "e3", "e4"]), ("page", ["e6"])]
    assert groups(time_gap(300)(happened)) == [("job", ["e1", "e2", "e3", "e4", "e6"])]
    assert groups(neighbourhood(happened)) == [("one", ["e1", "e2", "e3", "e6"]), ("twin", ["e4"])]
    assert groups(suppression(happened)) == [
        ("job", ["e1"]),
        ("one", ["e2", "e3"]),
        ("page", ["e6"]),
        ("twin", ["e4"]),
    ]


@pytest.mark.parametrize("kind", ["mixed", "redundancy"])
def test_every_engine_puts_every_firing_event_into_one_incident(kind: str) -> None:
    for number in range(3):
        happened = scenario(kind, number, SEED)
        firing = sorted(signal.id for signal in happened.signals if signal.firing)
        for engine in (opsbridge, *ENGINES.values()):
            found = engine(happened)
            assert sorted(event for incident in found for event in incident.events) == firing
            assert all(incident.candidates[0] == incident.root for incident in found)


def test_opsbridge_finds_what_reports_itself() -> None:
    scores = [score(happened, opsbridge(happened)).faults[0] for happened in of_kind("single")]
    assert sum(fault.first for fault in scores) >= 10
    assert all(0.0 <= fault.confidence <= 1.0 for fault in scores if fault.confidence is not None)
    assert any(fault.confidence is not None for fault in scores)


# the report


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return list(run_all(tasks(["single", "concurrent"], 4, SEED, tuple(ESTATES)), workers=1))


def test_other_processes_come_to_the_same_figures(runs: list[Run]) -> None:
    assert list(run_all(tasks(["single", "concurrent"], 4, SEED, tuple(ESTATES)), workers=2)) == runs


def test_the_report_names_kinds_engines_and_its_command(runs: list[Run]) -> None:
    text = "\n".join(report(runs, "make something"))
    assert "`make something`" in text
    assert all(f"| {kind} |" in text for kind in ("single", "concurrent", "all"))
    assert all(engine in text for engine in (OURS, *ENGINES))
    assert "broke down" not in text


def test_calibration_counts_every_fault_once(runs: list[Run]) -> None:
    faults = told(runs, OURS)
    rows, gap = calibration(faults)
    assert sum(int(row[1]) for row in rows) == sum(fault.score.confidence is not None for fault in faults) > 0
    assert 0.0 <= gap <= 1.0


def test_tasks_are_enough_for_the_faults_asked_for() -> None:
    wanted = list(tasks(["single", "concurrent"], 10, SEED, ("mesh",)))
    made = Counter[str]()
    for kind, number, _, _ in wanted:
        made[kind] += KINDS[kind].count(number)
    assert made["single"] == 10
    assert made["concurrent"] in (10, 11)


def test_a_scenario_is_shown_to_people() -> None:
    command = [sys.executable, "-m", "benchmarks.quality", "--show", "silent", "2"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "Events in order of arrival" in shown
    assert "the oracle's best" in shown
    wrong = subprocess.run(
        [*command[:-2], "loud", "2"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert wrong.returncode == 2
    assert "not 'loud 2'" in wrong.stderr
