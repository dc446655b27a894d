"""What an engine's incidents are worth against the truth: one `FaultScore` per fault, one `RunScore` per scenario.

`docs/quality.md` defines every figure in words; this is the definition in code. It knows neither engines nor kinds.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.quality.engine import Found
from benchmarks.quality.faults import Scenario
from benchmarks.quality.monitoring import UNDECIDED, Signal
from benchmarks.quality.world import World

TOGETHER: Final = 0.9
"""A fault whose matched incident holds less of it is split..."""

PIECE: Final = 2
"""...and so is one of which another incident holds this many events."""


Blamed = Literal["right", "above", "below", "beside", "nothing"]
"""Which CI was called the root: the right one, one that it depends on, one that depends on it, another, or none."""


@dataclass(frozen=True, slots=True)
class FaultScore:
    """How one fault was told."""

    first: bool
    """The root of the matched incident is right..."""
    third: bool
    """...or among its first three candidates."""
    confidence: float | None
    split: bool
    outside: float
    """The share of the fault's firing events that are not in the matched incident."""
    strangers: float
    """The share of the matched incident's firing events that are another fault's, or noise."""
    incidents: int
    """In how many incidents the fault's events are."""
    events: int
    waited_ms: int
    blamed: Blamed


@dataclass(frozen=True, slots=True)
class RunScore:
    """How one scenario was told. Pairs are of firing events, at least one of them a fault's."""

    faults: tuple[FaultScore, ...]
    together: int
    """Pairs of one fault in one incident."""
    wrongly: int
    """Pairs in one incident that have not one fault."""
    apart: int
    """Pairs of one fault that are not in one incident."""
    incidents: int
    """Incidents that hold events of a fault..."""
    merged: int
    """...and of another fault as well."""


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def score(scenario: Scenario, found: list[Found]) -> RunScore:
    """Hold an engine's incidents against the truth. An event that is in no incident is alone."""
    truth = {signal.id: signal.fault for signal in scenario.signals if signal.firing and signal.fault != UNDECIDED}
    inside = [Counter(truth[event] for event in incident.events if event in truth) for incident in found]
    numbers = range(len(scenario.faults))
    members = {number: scenario.members(number) for number in numbers}
    together = sum(_pairs(counts[number]) for counts in inside for number in numbers)
    wrongly = sum(_pairs(counts.total()) - sum(map(_pairs, counts.values())) for counts in inside)
    holding = [[number for number in numbers if counts[number]] for counts in inside]
    return RunScore(
        faults=tuple(_told(scenario, number, members[number], found, inside) for number in numbers),
        together=together,
        wrongly=wrongly,
        apart=sum(_pairs(len(events)) for events in members.values()) - together,
        incidents=sum(bool(each) for each in holding),
        merged=sum(len(each) > 1 for each in holding),
    )


def _told(
    scenario: Scenario, number: int, members: list[Signal], found: list[Found], inside: list[Counter[int]]
) -> FaultScore:
    """One fault against the incident that holds most of it: most alerts, then most events, then the first told."""
    held = [counts[number] for counts in inside]
    if not any(held):
        return _untold(len(members))
    alert = {signal.id: (signal.ci, signal.class_) for signal in members}
    alerts = [len({alert[event] for event in incident.events if event in alert}) for incident in found]
    matched = max(range(len(found)), key=lambda place: (alerts[place], held[place], -found[place].told))
    incident = found[matched]
    most = held[matched]
    world = scenario.spec.world()
    roots = {world.cis[root].id for root in scenario.faults[number].roots}
    outside = 1 - most / len(members)
    pieces = sum(count >= PIECE for place, count in enumerate(held) if place != matched)
    return FaultScore(
        first=incident.root in roots,
        third=not roots.isdisjoint(incident.candidates[:3]),
        confidence=incident.confidence,
        split=outside > 1 - TOGETHER or pieces > 0,
        outside=outside,
        strangers=1 - most / inside[matched].total(),
        incidents=sum(count > 0 for count in held),
        events=len(members),
        waited_ms=max(0, incident.told - members[0].arrives),
        blamed="right" if incident.root in roots else _where(world, incident.root, scenario.faults[number].roots),
    )


def _untold(events: int) -> FaultScore:
    """A fault of which no incident holds anything."""
    return FaultScore(
        first=False,
        third=False,
        confidence=None,
        split=True,
        outside=1.0,
        strangers=0.0,
        incidents=0,
        events=events,
        waited_ms=0,
        blamed="nothing",
    )


def _where(world: World, blamed: str, roots: frozenset[int]) -> Blamed:
    """Where a CI that is not the root stands to it in the real estate."""
    numbers = {ci.id: number for number, ci in enumerate(world.cis)}
    if blamed in numbers:
        if not roots.isdisjoint(world.above(numbers[blamed])):
            return "below"
        if any(numbers[blamed] in world.above(root) for root in roots):
            return "above"
    return "beside"
