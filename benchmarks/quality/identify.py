"""Whether the alerts of a fault leave exactly one best candidate, for an oracle that knows the real estate.

The oracle is told which events belong to the fault, knows the real dependencies, what is really monitored and how
likely each symptom is, and weighs every CI as the root by likelihood. Where another CI is as likely or likelier, no
engine can be blamed for choosing it. It does not look at times, so an engine that does may at times do better.
"""

from math import inf, log
from typing import Final, Literal

from benchmarks.quality.breaks import Spec, reached
from benchmarks.quality.faults import Scenario
from benchmarks.quality.impact import Level
from benchmarks.quality.monitoring import CAUSE_CLASSES, NOTICED

OWN: Final = 0.9
"""How likely a watched CI reports what broke it, before anything is known of the kind of fault."""

LEAK: Final = 0.01
"""How likely a CI alarms that the failure does not reach."""

BROKEN: Final = 0.05
"""How likely a CI that the root reaches breaks for a cause that it reports itself..."""

ASTRAY: Final = 0.005
"""...and one that the root does not reach."""

SAME: Final = 1e-6
"""Scores closer than this are the same."""

Failed = frozenset[int]

Standing = Literal["alone", "tied", "beaten"]
"""The real root is the best candidate, as good as another CI, or worse than another."""


def standing(scenario: Scenario, fault: int) -> Standing:
    """How the real root stands to all other CIs; a fault is identifiable where it is the best alone."""
    truth = scenario.faults[fault].roots
    ranked = oracle(scenario, fault)
    right = max(score for failed, score in ranked.items() if failed <= truth)
    other = max((score for failed, score in ranked.items() if not failed <= truth), default=-inf)
    if right > other + SAME:
        return "alone"
    return "tied" if right > other - SAME else "beaten"


def oracle(scenario: Scenario, fault: int) -> dict[Failed, float]:
    """The score of everything that could have failed, in nats; the real one is among them."""
    spec = scenario.spec
    world = spec.world()
    number_of = {ci.id: number for number, ci in enumerate(world.cis)}
    causes: set[int] = set()
    symptoms: set[int] = set()
    for signal in scenario.members(fault):
        (causes if signal.class_ in CAUSE_CLASSES else symptoms).add(number_of[signal.ci])
    candidates = {frozenset({ci}) for ci in _around(spec, causes | symptoms)}
    candidates |= {part.failed for part in scenario.faults[fault].breaks}
    return {
        failed: max(_score(spec, failed, level, causes, symptoms) for level in (Level.DOWN, Level.DEGRADED))
        for failed in candidates
    }


def _around(spec: Spec, alarming: set[int]) -> set[int]:
    """Everything that alarming CIs depend on, and who needs them."""
    world = spec.world()
    return world.above(*alarming, *(consumer for ci in alarming for consumer in world.consumers[ci]))


def _score(spec: Spec, failed: Failed, level: Level, causes: set[int], symptoms: set[int]) -> float:
    monitored = spec.world().monitored
    score = sum(log(OWN if root in causes else 1 - OWN) for root in failed if monitored[root])
    chances = _chances(spec, failed, level)
    suffering = {each.ci for each in reached(spec, failed, level) if each.level is not Level.STARVED}
    broken = (causes & suffering) - failed  # what idles does not break of it
    for second in sorted(broken):  # what the root has broken breaks others
        for ci, chance in _chances(spec, frozenset({second}), Level.DOWN).items():
            chances[ci] = max(chance, chances.get(ci, 0.0))
    for ci in sorted(chances.keys() - failed - broken):
        if monitored[ci]:
            score += log(chances[ci]) if ci in symptoms else log(1 - chances[ci])
    score += log(LEAK) * len(symptoms - chances.keys())
    return score + log(BROKEN) * len(broken) + log(ASTRAY) * len(causes - failed - broken)


def _chances(spec: Spec, failed: Failed, level: Level) -> dict[int, float]:
    """How likely every CI that this reaches alarms, the failed ones included."""
    return {each.ci: each.chance * NOTICED[each.level] for each in reached(spec, failed, level)}
