"""What breaks: the CIs that fail together or one after the other, when and why, and whom the failure reaches.

Each public function below `chances_of` draws one fault for an estate, or nothing if what it drew would hardly be
noticed.
"""

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from benchmarks.quality.estates import estate
from benchmarks.quality.impact import Impact, Level, impacts
from benchmarks.quality.monitoring import CAUSES
from benchmarks.quality.world import FLAWLESS, Flaws, World

FEWEST: Final = 3
"""A fault has at least so many firing events of its own; less is nothing to correlate."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Which estate a scenario happens in; its world is built once in a process."""

    name: str
    variant: int
    flaws: Flaws = FLAWLESS
    shared: bool = False

    def world(self) -> World:
        """The estate itself."""
        return estate(self.name, self.variant, self.flaws, shared=self.shared)


@lru_cache(maxsize=20_000)
def reached(spec: Spec, failed: frozenset[int], level: Level) -> tuple[Impact, ...]:
    """Whom this failure reaches, the failed CIs first."""
    return tuple(impacts(spec.world(), failed, level))


@dataclass(frozen=True, slots=True)
class Break:
    """Some CIs break at one moment, for a reason, in one way; `failed` also has what was already broken then."""

    failed: frozenset[int]
    newly: frozenset[int]
    class_: str
    level: Level
    at: int
    judged: bool = True
    """Whether its alarms must be in the fault's incident."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The truth of one fault: the CIs that may rightly be called its root, and what broke when, the first one first."""

    roots: frozenset[int]
    breaks: tuple[Break, ...]
    repaired: int


def chances_of(spec: Spec, fault: Fault) -> dict[int, float]:
    """How likely a fault reaches each CI."""
    chances: dict[int, float] = {}
    for part in fault.breaks:
        for each in reached(spec, part.failed, part.level):
            chances[each.ci] = max(each.chance, chances.get(each.ci, 0.0))
    return chances


def _watched(spec: Spec, failed: frozenset[int], level: Level) -> list[Impact]:
    """Who would say something if these failed, without themselves."""
    monitored = spec.world().monitored
    return [each for each in reached(spec, failed, level) if each.hop and monitored[each.ci]]


def _candidate(spec: Spec, rng: random.Random) -> tuple[int, str, Level]:
    """A CI that may break, all types alike, with the reason."""
    world = spec.world()
    present = sorted({ci.type for ci in world.cis} & CAUSES.keys())
    type_ = rng.choice(present)
    cause = rng.choice(CAUSES[type_])
    return rng.choice(world.of_type(type_)), cause.rstrip("-"), Level.DEGRADED if cause.endswith("-") else Level.DOWN


def _repaired(at: int, rng: random.Random) -> int:
    return at + rng.randint(480_000, 1_200_000)


def plain(spec: Spec, at: int, rng: random.Random) -> Fault | None:
    root, class_, level = _candidate(spec, rng)
    failed = frozenset({root})
    if sum(each.chance for each in _watched(spec, failed, level)) < FEWEST:
        return None
    return Fault(failed, (Break(failed, failed, class_, level, at),), _repaired(at, rng))


def starving(spec: Spec, at: int, rng: random.Random) -> Fault | None:
    found = plain(spec, at, rng)
    if found is None or not any(
        each.level is Level.STARVED for each in reached(spec, found.roots, found.breaks[0].level)
    ):
        return None
    return found


def backbone(spec: Spec, at: int, rng: random.Random) -> Fault | None:
    world = spec.world()
    failed = frozenset(world.of_type("backbone_router"))
    class_ = rng.choice(CAUSES["backbone_router"])
    return Fault(failed, (Break(failed, failed, class_, Level.DOWN, at),), _repaired(at, rng))


def cascading(spec: Spec, at: int, rng: random.Random) -> Fault | None:
    """A goes on badly, and minutes later B, which depends on it, breaks for a reason of its own that A gave it."""
    root, class_, level = _candidate(spec, rng)
    if level is not Level.DEGRADED:
        return None
    failed = frozenset({root})
    near = [
        each.ci
        for each in reached(spec, failed, Level.DEGRADED)
        if 1 <= each.hop <= 2 and spec.world().cis[each.ci].type in CAUSES
    ]
    if not near:
        return None
    second = frozenset({rng.choice(near)})
    if len(_watched(spec, second, Level.DOWN)) < 2:
        return None
    reason = rng.choice([cause for cause in CAUSES[spec.world().cis[min(second)].type] if not cause.endswith("-")])
    then = at + rng.randint(120_000, 360_000)
    breaks = (
        Break(failed, failed, class_, Level.DEGRADED, at),
        Break(second, second, reason, Level.DOWN, then),
    )
    return Fault(failed, breaks, _repaired(then, rng))


def redundancy(spec: Spec, at: int, rng: random.Random) -> Fault | None:
    """One of several that stand in for each other fails; in half of the faults so many more that the quorum is lost.

    Then it is the loss of the quorum that is judged: what the first one said alone may be told by itself.
    """
    world = spec.world()
    spared = sorted(
        {need for own in world.needs for need in own if len(need.providers) > need.quorum},
        key=lambda need: need.providers,
    )
    need = rng.choice(spared)
    spare = len(need.providers) - need.quorum
    order = rng.sample(need.providers, spare + 1)
    causes = [cause for cause in CAUSES[world.cis[order[0]].type] if not cause.endswith("-")]
    first = frozenset(order[:1])
    lost = rng.random() < 0.5
    breaks = [Break(first, first, rng.choice(causes), Level.DOWN, at, judged=not lost)]
    if lost:
        then = at + rng.randint(20_000, 240_000)
        every = frozenset(order)
        breaks.append(Break(every, every - first, rng.choice(causes), Level.DOWN, then))
    if len(_watched(spec, breaks[-1].failed, Level.DOWN)) < (FEWEST if lost else 2):
        return None
    return Fault(breaks[-1].failed, tuple(breaks), _repaired(breaks[-1].at, rng))
