"""What the second level's prices are by definition, counted naively: the reference for its running sums and searches.

Only the statements that make up a graph are taken, and what alerts. Nothing is kept from one question to the next,
distances are relaxed until nothing changes, and the best explanation is the cheapest of all sets of roots.
"""

import random
from collections.abc import Iterable, Mapping
from math import factorial, log
from typing import NamedTuple

from opsbridge.core.classes import Nature, Profile, Travel
from opsbridge.core.graph import CI, DEFAULT_COST, MAX_COST, REDUNDANT, UNDIRECTED, CIGraph, Edge, Group
from opsbridge.core.second_level.evidence import NEVER, Alerting, Node
from opsbridge.core.weights import Weights


class Statements(NamedTuple):
    """What an estate is made of."""

    cis: list[CI]
    plain: list[tuple[int, int]]
    edges: list[Edge]
    groups: dict[int, list[Group]]
    max_cost: int = MAX_COST

    def graph(self) -> CIGraph:
        return CIGraph(self.cis, self.plain, edges=self.edges, groups=self.groups, max_cost=self.max_cost)


def estate(chance: random.Random, most: int = 7) -> Statements:
    """Up to `most` CIs: cycles, unmonitored ones, costs of all sizes, peers, and groups with and without redundancy."""
    size = chance.randint(2, most)
    cis = [CI(id=f"ci{number}", monitored=chance.random() < 0.8) for number in range(size)]
    plain = [(number, chance.randrange(number)) for number in range(1, size) if chance.random() < 0.8]
    plain += [(chance.randrange(size), chance.randrange(size)) for _ in range(chance.choice((0, 0, 1, 3)))]
    edges = [
        Edge(chance.randrange(size), chance.randrange(size), chance.choice((1, 200, 700, 2500)), chance.random() < 0.5)
        for _ in range(chance.choice((0, 0, 1, 2)))
    ]
    groups: dict[int, list[Group]] = {}
    for _ in range(chance.choice((0, 0, 1, 2))):
        members = chance.sample(range(size), chance.randint(1, min(3, size)))
        weighed = tuple((member, chance.choice((1, 1, 2))) for member in members)
        group = Group(weighed, chance.randint(1, len(members)), chance.choice((DEFAULT_COST, 300)))
        groups.setdefault(chance.randrange(size), []).append(group)
    return Statements(cis, plain, edges, groups)


PROFILES = [Profile(nature, travels) for nature in Nature for travels in Travel]


def alerting(chance: random.Random, span: int = 600_000) -> Alerting:
    """What the alerts of one CI say: one to three of them, at any time."""
    since = chance.randrange(span)
    found = Alerting(
        since,
        chance.choice((NEVER, NEVER, since + chance.randrange(span))),
        occurrence=chance.choice((1, 1, 1, 2, 5, 400)),
        grounds=tuple(sorted(chance.sample(("x", "y"), chance.choice((0, 0, 0, 1, 2))))),
        sealed=chance.random() < 0.1,
    )
    for profile in chance.sample(PROFILES, chance.choice((1, 1, 2, 3))):
        found.include(profile)
    return found


_Place = tuple[int, int, int | None]
"""Where a way has come: a CI, how many hops back it has gone, and the last CI on it that alerts."""


class Reference:
    """The prices of everything, for an estate and what alerts there."""

    def __init__(self, made: Statements, alerts: Mapping[Node, Alerting], weights: Weights) -> None:
        self._alerts = alerts
        self._weights = weights
        self._names = [ci.id for ci in made.cis]
        self._monitored = [ci.monitored for ci in made.cis]
        self._cost, self._needed = _edges(made)
        size = range(len(made.cis))
        self._above = [_within(self._cost, number, made.max_cost) for number in size]
        self.touched = {provider for node in alerts if isinstance(node, int) for provider in self._above[node]}

    def below(self, node: Node) -> int:
        """How many alerting CIs depend on it, itself included."""
        if isinstance(node, str):
            return int(node in self._alerts)
        return sum(node in self._above[other] for other in self._alerts if isinstance(other, int))

    def candidates(self) -> list[Node]:
        return [*self.touched, *(node for node in self._alerts if isinstance(node, str))]

    # prices

    def own(self, node: Node) -> int:
        weights = self._weights
        extra = {Nature.CAUSE: 0, Nature.SYMPTOM: weights.symptomatic, Nature.UNKNOWN: weights.vague}
        return weights.alone + extra[self._alerts[node].nature]

    def alone(self, node: Node) -> int:
        return max(1000, self.own(node) - round(1000 * log(self._alerts[node].occurrence)))

    def price(self, node: Node) -> int:
        if node in self._alerts:
            return self.own(node)
        assert isinstance(node, int), "nobody else blames an unknown CI"
        weights = self._weights
        reached, silent = self.spread(node)
        misfit = _log_factorial(reached + silent + 1) - _log_factorial(reached) - _log_factorial(silent)
        return weights.alone + (weights.unreported if self._monitored[node] else weights.hidden) + misfit

    def spread(self, node: int) -> tuple[int, int]:
        """Touched CIs that depend on this one, and silent monitored ones that need one of these or this one."""
        behind = [other for other in self.touched if node in self._above[other]]
        silent = sum(
            dependent not in self.touched and self._monitored[dependent]
            for other in behind
            for dependent, provider in self._needed
            if provider == other and not (other in self._alerts and self._alerts[other].sealed)
        )
        return len(behind) - 1, silent

    # explanations

    def links(self, root: Node) -> dict[Node, int]:
        """What it costs to explain each alerting CI by the root, where that is less than leaving any CI alone costs."""
        weights = self._weights
        limit = weights.alone + weights.symptomatic
        own = self._alerts.get(root)
        offers: list[tuple[Node, int]] = []
        if isinstance(root, int):
            offers, direct = self._ways(root, limit)
            if direct:  # a silent root failed when the first of what it explains directly began
                since = min(self._alerts[node].since for node in direct)
                until = max(self._alerts[node].until for node in direct)
                offers += [(node, cost + self._time(since, until, node)) for node, cost in direct.items()]
        if own is not None:
            for ground in own.grounds:
                sharing = [node for node, alerting in self._alerts.items() if ground in alerting.grounds]
                if root == min(sharing, key=lambda node: (self._alerts[node].since, self._name(node))):
                    offers += [(node, weights.joined + self._time(own.since, own.until, node)) for node in sharing]
        found: dict[Node, int] = {}
        for node, cost in offers:
            if cost < found.get(node, limit):
                found[node] = max(1, cost)
        if own is not None:
            found[root] = 0
        return found

    def _name(self, node: Node) -> str:
        return self._names[node] if isinstance(node, int) else node

    def _time(self, since: int, until: int, node: Node) -> int:
        """What it costs that the CI began so long after its cause, or before it, or after the cause was over."""
        weights, onset = self._weights, self._alerts[node].since
        late = max(0, onset - since) * 1000 // weights.lag_ms
        early = max(0, since - onset) * 1000 // weights.lead_ms
        over = max(0, onset - until) * 1000 // weights.cleared_ms
        return late + early + over

    def _ways(self, root: int, limit: int) -> tuple[list[tuple[Node, int]], dict[Node, int]]:
        """The ways to other alerting CIs: down to dependents, then up to two providers back.

        First those that lead through CIs that alert, the root among them, with what the time between these costs; then
        the cheapest without any, which nothing tells the time of.
        """
        start = (root, 0, root if root in self._alerts else None)
        cheapest: dict[_Place, int] = {start: 0}
        offers: list[tuple[Node, int]] = []
        direct: dict[Node, int] = {}
        queue = [start]
        while queue:
            place = queue.pop()
            so_far = cheapest[place]
            for node, back, step, behind in self._steps(place):
                if node == root:
                    continue
                if node in self._alerts and so_far + step < limit:
                    if place[2] is None:
                        direct[node] = min(so_far + step, direct.get(node, NEVER))
                    else:
                        offers.append((node, so_far + step))
                there = node, back, node if node in self._alerts else place[2]
                onward = so_far + step // behind
                if onward < cheapest.get(there, limit):
                    cheapest[there] = onward
                    queue.append(there)
        return offers, direct

    def _steps(self, place: _Place) -> Iterable[tuple[int, int, int, int]]:
        """From a place on a way: the next CI, its hops back, what the step costs, and among how many it is shared."""
        node, back, last = place
        for (dependent, provider), edge in self._cost.items():
            if provider == node and not back and dependent in self.touched:
                extra = self._forward(dependent, last)
                yield dependent, 0, edge + extra, self.below(dependent)
            if dependent == node and provider in self.touched and back < 2 and (back or node in self._alerts):
                felt = self._backward(provider, last, first=not back)
                if felt is not None:
                    yield provider, back + 1, edge + felt, 1

    def _forward(self, node: int, last: int | None) -> int:
        """What it costs more to enter a CI from a provider of it."""
        there = self._alerts.get(node)
        if there is None:
            return 0
        unusual = not (there.forward or there.backward)
        cost = (self._weights.caused if there.nature == Nature.CAUSE else 0) + unusual * self._weights.backward
        return cost + self._between(last, node)

    def _backward(self, node: int, last: int | None, *, first: bool) -> int | None:
        """What it costs more to enter a CI from a dependent of it; None if that is impossible."""
        there = self._alerts.get(node)
        against = self._weights.backward if first else 0
        if there is None:
            return against
        if there.starved:
            return self._weights.starved + self._between(last, node)
        if not there.backward:
            return None
        return against + (self._weights.caused if there.nature == Nature.CAUSE else 0) + self._between(last, node)

    def _between(self, last: int | None, node: int) -> int:
        return 0 if last is None else self._time(self._alerts[last].since, self._alerts[last].until, node)

    # the whole

    def least(self) -> int:
        """What the cheapest explanation of everything costs: of all sets of roots, one after the other."""
        nodes = list(self._alerts)
        offers = [(self.price(root), self.links(root)) for root in self.candidates()]
        rows = [(price, [links.get(node, NEVER) for node in nodes]) for price, links in offers]
        sets = [(0, [self.alone(node) for node in nodes])]
        for price, row in rows:
            sets += [(paid + price, list(map(min, costs, row))) for paid, costs in sets]
        return min(paid + sum(costs) for paid, costs in sets)

    def cost(self, groups: Iterable[tuple[Node, Iterable[Node]]]) -> int:
        """What an explanation costs: roots, and the CIs that each of them explains."""
        total = 0
        explained: list[Node] = []
        for root, group in groups:
            nodes = list(group)
            explained += nodes
            if nodes == [root]:
                total += self.alone(root)
            else:
                links = self.links(root)
                total += self.price(root) + sum(links[node] for node in nodes)
        assert sorted(map(str, explained)) == sorted(map(str, self._alerts)), "every alerting CI is explained once"
        return total


def _log_factorial(number: int) -> int:
    return round(1000 * log(factorial(number)))


def _edges(made: Statements) -> tuple[dict[tuple[int, int], int], set[tuple[int, int]]]:
    """(dependent, provider) -> cost, and those edges by which the dependent cannot do without the provider."""
    stated: list[tuple[int, int, int, bool]] = [(a, b, DEFAULT_COST, True) for a, b in made.plain]
    for edge in made.edges:
        if edge.undirected:
            a, b = edge.dependent, edge.provider
            stated += [(a, b, edge.cost + UNDIRECTED, False), (b, a, edge.cost + UNDIRECTED, False)]
        else:
            stated.append((edge.dependent, edge.provider, edge.cost, True))
    for number, groups in made.groups.items():
        for group in groups:
            for member, _ in group.members:
                left = sum(each for other, each in group.members if other != member)
                spared = left >= group.at_least
                stated.append((number, member, group.cost + spared * REDUNDANT, not spared))
    cost: dict[tuple[int, int], int] = {}
    for a, b, each, _ in stated:
        if a != b:
            cost[a, b] = min(each, cost.get((a, b), NEVER))
    return cost, {(a, b) for a, b, _, needed in stated if needed and a != b}


def _within(cost: Mapping[tuple[int, int], int], start: int, most: int) -> dict[int, int]:
    """Everything that `start` depends on by a path of at most that cost, with the cost; itself too."""
    found = {start: 0}
    changed = True
    while changed:
        changed = False
        for (dependent, provider), each in cost.items():
            far = found.get(dependent, NEVER) + each
            if far <= most and far < found.get(provider, NEVER):
                found[provider] = far
                changed = True
    return found
