"""Scenarios with known truth: what fails in an estate, what monitoring says of it, and which event belongs to what.

`scenario(kind, number, seed)` makes one, the same everywhere for the same arguments.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.quality.alarms import alarms_of
from benchmarks.quality.breaks import FEWEST, Fault, Spec, chances_of, reached
from benchmarks.quality.estates import ESTATES
from benchmarks.quality.impact import Level
from benchmarks.quality.kinds import KINDS, Kind
from benchmarks.quality.monitoring import START, Signal, signals

VARIANTS: Final = 8
"""How many estates there are of each name."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that happens in one run, and the truth about it."""

    kind: str
    number: int
    spec: Spec
    faults: tuple[Fault, ...]
    signals: tuple[Signal, ...]

    def members(self, fault: int) -> list[Signal]:
        """The firing events of a fault."""
        return [signal for signal in self.signals if signal.firing and signal.fault == fault]


def scenario(kind: str, number: int, seed: int, names: Sequence[str] = tuple(ESTATES)) -> Scenario:
    """The scenario of this kind and number, in the estates of these names by turns. KeyError for an unknown kind."""
    what = KINDS[kind]
    rng = random.Random(f"{seed}/{number}")  # kinds break the same things where they can, to be comparable
    spec = Spec(names[number % len(names)], number // len(names) % VARIANTS, what.flaws, what.shared)
    begins = START + (7_200_000 if what.chronic else 60_000)
    count = what.count(number)
    while True:
        faults = _independent(spec, what, begins, count, rng)
        alarms = alarms_of(spec, what, faults, rng)
        skew = {ci.id: rng.randint(-what.skew_ms, what.skew_ms) for ci in spec.world().cis} if what.skew_ms else {}
        found = Scenario(kind, number, spec, faults, signals(alarms, skew, what.lost, rng))
        if all(len(found.members(fault)) >= FEWEST for fault in range(count)):
            return found


def _independent(spec: Spec, what: Kind, begins: int, count: int, rng: random.Random) -> tuple[Fault, ...]:
    """Faults of which none reaches the root of another."""
    while True:
        drawn = (what.draw(spec, begins + rng.randint(0, 60_000), rng) for _ in range(60))
        faults: list[Fault] = []
        for found in drawn:
            if found is not None and not any(_related(spec, found, other) for other in faults):
                faults.append(found)
            if len(faults) == count:
                return tuple(faults)


def _related(spec: Spec, one: Fault, other: Fault) -> bool:
    """Whether one reaches a root of the other, or both together stop what neither stops alone."""
    alone = [chances_of(spec, fault) for fault in (one, other)]
    if not one.roots.isdisjoint(alone[1]) or not other.roots.isdisjoint(alone[0]):
        return True
    both = reached(spec, one.breaks[-1].failed | other.breaks[-1].failed, Level.DOWN)
    stopped = {
        each.ci
        for fault in (one, other)
        for each in reached(spec, fault.breaks[-1].failed, Level.DOWN)
        if each.level is Level.DOWN
    }
    return any(each.level is Level.DOWN and each.ci not in stopped for each in both)
