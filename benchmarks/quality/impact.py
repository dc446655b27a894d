"""What a failure does to the rest of an estate, by the real dependencies: the physics that faults are made of.

A CI that stops takes everything with it that needs it hard and has no quorum left. Whoever merely calls it, or runs on
something slow, answers badly, the less surely the farther away. Whoever keeps a quorum but lost its spare may get
slower. Providers that all consumers have left idle. Written from operations, not from any engine.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from heapq import heappop, heappush
from typing import Final

from benchmarks.quality.world import Need, World


class Level(IntEnum):
    """How bad it is for a CI."""

    STARVED = 1
    DEGRADED = 2
    DOWN = 3


@dataclass(frozen=True, slots=True)
class Impact:
    """A CI that a failure reaches: over which other one, how many hops away, and how likely, given that other one."""

    ci: int
    via: int
    hop: int
    level: Level
    step: float
    chance: float
    """How likely it is reached at all."""


CALLER: Final = 0.85
"""A caller answers badly when what it calls is down..."""

SLOW: Final = 0.7
"""...or when something it needs is itself degraded;"""

SPARED: Final = 0.25
"""with a quorum left, it may get slower;"""

IDLE: Final = {1.0: 0.6, 0.5: 0.3}
"""and a provider idles when all, or half, of its consumers are gone."""

LEAST: Final = 0.05
"""What is less likely than this does not happen."""

IDLING: Final = frozenset({"database", "queue", "cache", "service", "app", "load_balancer", "gateway"})
"""What notices that nobody asks anything."""


def impacts(world: World, failed: Iterable[int], level: Level) -> list[Impact]:
    """Whom the failure of these CIs reaches, the failed ones first and everyone after the one it is reached over."""
    roots = sorted(failed)
    if level is Level.DOWN:
        found = _stopped(world, roots)
    else:
        found = {root: Impact(root, root, 0, level, 1.0, 1.0) for root in roots}
    found |= _degraded(world, found)
    for starved in _starved(world, found):
        found[starved.ci] = starved
    return list(found.values())


def _stopped(world: World, roots: list[int]) -> dict[int, Impact]:
    """The CIs that stop, by hops."""
    found = {root: Impact(root, root, 0, Level.DOWN, 1.0, 1.0) for root in roots}
    newest = roots
    hop = 0
    while newest:
        hop += 1
        reached: dict[int, int] = {}
        for provider in newest:
            for ci in world.consumers[provider]:
                if ci not in found and any(_lost(need, provider, found) for need in world.needs[ci] if need.hard):
                    reached.setdefault(ci, provider)
        for ci, via in sorted(reached.items()):
            found[ci] = Impact(ci, via, hop, Level.DOWN, 1.0, 1.0)
        newest = sorted(reached)
    return found


def _lost(need: Need, provider: int, down: dict[int, Impact]) -> bool:
    return provider in need.providers and sum(each not in down for each in need.providers) < need.quorum


def _degraded(world: World, stopped: dict[int, Impact]) -> dict[int, Impact]:
    """The CIs that go on badly: the likeliest way to each."""
    found: dict[int, Impact] = {}
    waiting: list[tuple[float, int, int, int, float]] = []

    def spread(source: Impact) -> None:
        for ci in world.consumers[source.ci]:
            if ci not in stopped and ci not in found:
                step = max(_step(need, source, stopped) for need in world.needs[ci])
                if source.chance * step >= LEAST:
                    heappush(waiting, (-source.chance * step, source.hop + 1, ci, source.ci, step))

    for source in stopped.values():
        spread(source)
    while waiting:
        likely, hop, ci, via, step = heappop(waiting)
        if ci not in found:
            found[ci] = Impact(ci, via, hop, Level.DEGRADED, step, -likely)
            if step != SPARED:
                spread(found[ci])
    return found


def _step(need: Need, source: Impact, stopped: dict[int, Impact]) -> float:
    """How likely a CI suffers in this need from that provider's trouble."""
    if source.ci not in need.providers:
        return 0.0
    if sum(each not in stopped for each in need.providers) < need.quorum:
        return CALLER
    if len(need.providers) > need.quorum:
        return SPARED
    return SLOW


def _starved(world: World, found: dict[int, Impact]) -> Iterator[Impact]:
    """The providers that consumers which stopped no longer ask; how those suffer in turn is not followed."""
    silent = {ci: impact for ci, impact in found.items() if impact.level is Level.DOWN}
    idle: set[int] = set()
    for impact in silent.values():
        for need in world.needs[impact.ci]:
            for provider in need.providers:
                if provider in found or provider in idle or world.cis[provider].type not in IDLING:
                    continue
                consumers = world.consumers[provider]
                share = sum(each in silent for each in consumers) / len(consumers)
                step = next((chance for least, chance in IDLE.items() if share >= least), 0.0)
                if step:
                    idle.add(provider)
                    yield Impact(provider, impact.ci, impact.hop + 1, Level.STARVED, step, step)
