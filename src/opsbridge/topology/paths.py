"""Why one CI depends on another, or what they have in common if neither does. Called by `opsbridge topology path`.

A path is the one over which a failure is likeliest to come: edges cost what their kinds say (strength.py), as in the
choice of root causes; here no path is too unlikely to be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise

from opsbridge.core.graph import CIGraph
from opsbridge.topology.dependencies import Dependency, chance, dependencies
from opsbridge.topology.load import Topology

_PARTS = 3
"""So many of the CIs that two have in common are named."""


@dataclass(frozen=True, slots=True)
class Step:
    """One dependency of a path."""

    dependent: str
    provider: str
    kind: str
    groups: tuple[str, ...]
    undirected: bool
    origins: tuple[str, ...]
    chance: float
    """How likely a failure of the provider is felt by the dependent over it."""


@dataclass(frozen=True, slots=True)
class Path:
    """How one CI depends on another."""

    dependent: str
    provider: str
    chance: float
    followed: bool
    """Whether it is likely enough for the choice of root causes to follow it."""
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """A CI that both depend on, or that depends on both, with how many steps it is away from either."""

    ci: str
    from_a: int
    from_b: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What there is between two CIs."""

    a: str
    b: str
    paths: tuple[Path, ...]
    """In either direction, that of A first; two in a cycle, none if neither depends on the other."""
    providers: tuple[Shared, ...] = ()
    """If there is none: what both depend on, the nearest first..."""
    dependents: tuple[Shared, ...] = ()
    """...what depends on both..."""
    connection: tuple[str, ...] = ()
    """...and the shortest way from A to B if directions do not count; empty if nothing connects them."""


def between(topology: Topology, a: int, b: int) -> Answer:
    """The paths between two different CIs, or what is nearest to one."""
    graph = topology.graph
    names = graph.cis[a].id, graph.cis[b].id
    ways = [way for ends in ((a, b), (b, a)) if (way := cheapest(graph, *ends)) is not None]
    if ways:
        told = dependencies(topology, {number for way in ways for number in way})
        return Answer(*names, tuple(_path(graph, told, way) for way in ways))
    return Answer(
        *names,
        (),
        _shared(graph, graph.providers, a, b),
        _shared(graph, graph.dependents, a, b),
        tuple(graph.cis[number].id for number in _connection(graph, a, b)),
    )


def cheapest(graph: CIGraph, dependent: int, provider: int) -> list[int] | None:
    """The CIs on the path that costs least, both ends included; None if there is none."""
    best = {dependent: 0}
    came: dict[int, int] = {}
    agenda = [(0, dependent)]
    while agenda:
        cost, here = heappop(agenda)
        if here == provider:
            way = [here]
            while way[-1] != dependent:
                way.append(came[way[-1]])
            return way[::-1]
        if cost > best[here]:
            continue
        for other, more in zip(graph.providers[here], graph.costs[here], strict=True):
            if cost + more < best.get(other, cost + more + 1):
                best[other], came[other] = cost + more, here
                heappush(agenda, (cost + more, other))
    return None


def _path(graph: CIGraph, told: dict[tuple[int, int], Dependency], way: Sequence[int]) -> Path:
    pairs = list(pairwise(way))
    costs = [graph.cost(*pair) for pair in pairs]
    steps = []
    for (dependent, provider), cost in zip(pairs, costs, strict=True):
        said = told.get((dependent, provider)) or told[provider, dependent]
        steps.append(
            Step(
                graph.cis[dependent].id,
                graph.cis[provider].id,
                said.kind,
                tuple(said.groups),
                said.undirected,
                said.origins,
                round(chance(cost), 3),
            )
        )
    total = sum(costs)
    ends = graph.cis[way[0]].id, graph.cis[way[-1]].id
    return Path(*ends, round(chance(total), 4), total <= graph.max_cost, tuple(steps))


def _shared(graph: CIGraph, beside: Sequence[Sequence[int]], a: int, b: int) -> tuple[Shared, ...]:
    """What both reach over these edges, the nearest first."""
    one, other = _distances(beside, a), _distances(beside, b)
    both = sorted(one.keys() & other.keys(), key=lambda number: (one[number] + other[number], number))
    return tuple(Shared(graph.cis[number].id, one[number], other[number]) for number in both[:_PARTS])


def _distances(beside: Sequence[Sequence[int]], start: int) -> dict[int, int]:
    found = {start: 0}
    frontier = [start]
    while frontier:
        ahead = [other for number in frontier for other in beside[number] if other not in found]
        found.update(
            (other, found[number] + 1) for number in frontier for other in beside[number] if other not in found
        )
        frontier = list(dict.fromkeys(ahead))
    return found


def _connection(graph: CIGraph, a: int, b: int) -> list[int]:
    came = {a: a}
    frontier = [a]
    while frontier and b not in came:
        ahead: dict[int, int] = {}
        for number in frontier:
            for other in (*graph.providers[number], *graph.dependents[number]):
                if other not in came:
                    ahead.setdefault(other, number)
        came.update(ahead)
        frontier = list(ahead)
    if b not in came:
        return []
    way = [b]
    while way[-1] != a:
        way.append(came[way[-1]])
    return way[::-1]
