"""What recent alerts say about every CI they depend on: how much a candidate explains, what it costs to believe.

Costs are nats: how unlikely a failure is, that a monitored CI should have said so itself, and that dependents which
would suffer are silent. A silent CI speaks once for everything behind it, at the edge of what alerts. The choice itself
is a weighted set cover (grouping.py). All sums are integers, so neither order nor restart can change them.
"""

from math import exp, log
from typing import Final

import msgspec

from opsbridge.core.graph import MAX_HOPS, CIGraph

Node = int | str
"""A CI's number in the graph, or the reference that events use for a CI the graph does not know."""

NAT: Final = 1000
"""Costs are integers in thousandths of a nat."""

ALONE: Final = 5 * NAT
"""A CI fails by itself in about one of 150 observation windows (e^-5): the price of any root, and of leaving an alert
as its own explanation."""

UNREPORTED: Final = round(-log(0.1) * NAT)
"""A failed and monitored CI sends no event of its own in one case out of ten (its agent died with it)."""

SILENT: Final = round((log(0.99) - log(0.75)) * NAT)
"""What one silent dependent speaks against its provider: a quarter of the dependents would alert because of it, one in
a hundred alerts anyway."""

WEIGHT: Final = [1000 - 20 * hops for hops in range(MAX_HOPS + 1)]
"""What a CI with alerts counts as explained, in thousandths; of two equal explanations the nearer is better."""

Rank = tuple[float, int, str]
"""Sorts candidates, best first: minus what they explain per cost, the time of their own first alert, their id."""

_NO_ALERT: Final = 1 << 62


class _Candidate(msgspec.Struct, gc=False):
    price: int
    """What it costs to believe in it while it says nothing, before the silence of dependents."""
    covered: int = 0
    alerting: int = 0
    arrived: int = 0
    """CIs behind it that have had a first recent alert, ever."""
    worth: int = -1
    """The most it was worth when it was last refused, and `arrived` of then; -1 if it was not."""
    worth_at: int = 0


class Evidence:
    """The CIs with recent alerts, and what that says of every CI they depend on.

    A CI is touched while an alert depends on it. Against a candidate speaks every silent, monitored CI that depends
    directly on something touched behind the candidate.
    """

    __slots__ = ("_candidates", "_edge", "_graph", "alerting")

    def __init__(self, graph: CIGraph) -> None:
        self._graph = graph
        self._candidates: dict[Node, _Candidate] = {}
        self._edge: dict[Node, int] = {}
        self.alerting: dict[Node, int] = {}
        """CI -> time of its first recent alert."""

    def name(self, node: Node) -> str:
        """The CI's id, or the unknown CI's reference."""
        return self._graph.cis[node].id if isinstance(node, int) else node

    def upstream(self, node: Node) -> tuple[tuple[Node, ...], ...]:
        """The CI and its providers by hops; an unknown CI has none."""
        return self._graph.upstream(node) if isinstance(node, int) else ((node,),)

    def explained(self, node: Node) -> list[tuple[int, Node]]:
        """(hops, CI) of all CIs with recent alerts that this CI's failure would explain, nearest first.

        Only what is touched is walked through: behind anything else, nothing alerts.
        """
        alerting, candidates = self.alerting, self._candidates
        if not isinstance(node, int):
            return [(0, node)] if node in alerting else []
        dependents = self._graph.dependents
        found: list[tuple[int, Node]] = []
        seen = {node}
        level = [node]
        for hops in range(MAX_HOPS + 1):
            found += [(hops, number) for number in level if number in alerting]
            reached: list[int] = []
            for number in level:
                for dependent in dependents[number]:
                    if dependent in candidates and dependent not in seen:
                        seen.add(dependent)
                        reached.append(dependent)
            if not reached:
                break
            level = reached
        return found

    def add(self, node: Node, time: int) -> None:
        """A CI that had no recent alert has one, of that time."""
        self.alerting[node] = time
        candidates = self._candidates
        touched: list[Node] = []
        for weight, level in zip(WEIGHT, self.upstream(node), strict=False):
            for number in level:
                candidate = candidates.get(number)
                if candidate is None:
                    candidate = candidates[number] = self._candidate(number)
                    touched.append(number)
                candidate.covered += weight
                candidate.alerting += 1
                candidate.arrived += 1
        self._move_edge(touched, 1)

    def withdraw(self, node: Node) -> None:
        """The CI's alerts are no longer recent: forget what they said."""
        del self.alerting[node]
        candidates = self._candidates
        released: list[Node] = []
        for weight, level in zip(WEIGHT, self.upstream(node), strict=False):
            for number in level:
                candidate = candidates[number]
                candidate.covered -= weight
                candidate.alerting -= 1
                if not candidate.alerting:
                    released.append(number)
        self._move_edge(released, -1)
        for number in released:
            del candidates[number]

    def _move_edge(self, moved: list[Node], sign: int) -> None:
        """The moved CIs are touched (1) or about to be released (-1): their silent dependents count or no longer do."""
        candidates, graph = self._candidates, self._graph
        among = set(moved)
        for number in moved:
            if not isinstance(number, int):
                continue
            silent = sum(d not in candidates and graph.cis[d].monitored for d in graph.dependents[number])
            self._shift(number, sign * silent)
            if graph.cis[number].monitored:
                for provider in graph.providers[number]:
                    if provider in candidates and provider not in among:
                        self._shift(provider, -sign)

    def _shift(self, number: int, by: int) -> None:
        if by:
            edge = self._edge
            for level in self._graph.upstream(number):
                for candidate in level:
                    count = edge.get(candidate, 0) + by
                    if count:
                        edge[candidate] = count
                    else:
                        del edge[candidate]

    def _candidate(self, node: Node) -> _Candidate:
        monitored = isinstance(node, int) and self._graph.cis[node].monitored
        return _Candidate(ALONE + UNREPORTED if monitored else ALONE)

    def covers(self, node: Node) -> int:
        """How many CIs with recent alerts depend on this one, itself included."""
        candidate = self._candidates.get(node)
        return candidate.alerting if candidate else 0

    def cost(self, node: Node) -> int:
        """The price of believing that this CI's failure is behind the alerts of its dependents, in NAT."""
        price = ALONE if node in self.alerting else self._candidates[node].price
        return price + SILENT * self._edge.get(node, 0)

    def promise(self, node: Node) -> float:
        """The most that the candidate can be worth per cost: as if nothing else explained what it explains."""
        return self._candidates[node].covered * (ALONE // 1000) / self.cost(node)

    def worth_trying(self, node: Node) -> bool:
        """Whether more than one CI and enough for its cost may speak for the candidate.

        Since it was last refused, it can have gained no more than the price of each CI that came after.
        """
        candidate = self._candidates.get(node)
        if candidate is None or candidate.alerting < 2:
            return False
        most = candidate.covered * (ALONE // 1000)
        if candidate.worth >= 0:
            most = min(most, candidate.worth + ALONE * (candidate.arrived - candidate.worth_at))
        return most > self.cost(node)

    def refuse(self, node: Node, worth: int) -> None:
        """The candidate was looked at in vain: it was worth at most that much."""
        candidate = self._candidates[node]
        candidate.worth, candidate.worth_at = worth, candidate.arrived

    def rank(self, node: Node, ratio: float) -> Rank:
        """How a candidate with that ratio sorts among others; of equals, the one that alerted first, then by id."""
        return -ratio, self.alerting.get(node, _NO_ALERT), self.name(node)

    def scores(self, nodes: list[Node]) -> dict[Node, float]:
        """Log-likelihood ratio (nats) of every candidate for these CIs: it failed, against each failed by itself."""
        covered: dict[Node, int] = {}
        for node in nodes:
            for weight, level in zip(WEIGHT, self.upstream(node), strict=False):
                for number in level:
                    covered[number] = covered.get(number, 0) + weight
        return {
            node: (weight * (ALONE // 1000) - self._cost_for(node, weight)) / NAT for node, weight in covered.items()
        }

    def _cost_for(self, node: Node, weight: int) -> int:
        """Whose own alert is all it explains need not have spread: the silence of its dependents says nothing."""
        return ALONE if weight == WEIGHT[0] and node in self.alerting else self.cost(node)


def confidence(score: float, others: list[float]) -> float:
    """The share of belief in a candidate among all of them, from their scores (a soft maximum)."""
    return 1 / (1 + sum(exp(min(50.0, other - score)) for other in others))
