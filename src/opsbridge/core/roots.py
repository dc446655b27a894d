"""What recent alerts say about every CI they depend on: how much a candidate explains, what it costs to believe.

Costs are nats: how unlikely a failure is, that a monitored CI should have said so itself, and how badly one and the
same chance of spreading explains which dependents suffer and which are silent. A silent CI speaks once for everything
behind it, at the edge of what alerts. The choice is a weighted set cover (grouping.py). All sums are integers, so
neither order nor restart can change them.
"""

from math import exp, lgamma, log
from typing import Final

import msgspec

from opsbridge.core.graph import MAX_HOPS, CIGraph

Node = int | str
"""A CI's number in the graph, or the reference that events use for a CI the graph does not know."""

NAT: Final = 1000
"""Costs are integers in thousandths of a nat."""

ALONE: Final = 6 * NAT
"""A CI fails by itself in about one of 400 observation windows (e^-6): the price of any root, and of leaving an alert
as its own explanation."""

UNREPORTED: Final = round(-log(0.1) * NAT)
"""A failed and monitored CI sends no event of its own in one case out of ten (its agent died with it)."""

WEIGHT: Final = [1000 - 20 * hops for hops in range(MAX_HOPS + 1)]
"""What a CI with alerts counts as explained, in thousandths; of two equal explanations the nearer is better."""

SAMPLE: Final = 200
"""So many CIs of a storm are enough to compare candidates by."""

Rank = tuple[float, int, str]
"""Sorts candidates, best first: minus what they explain per cost, the time of their own first alert, their id."""

_NO_ALERT: Final = 1 << 62

_REACHED: Final = 1 << 32

_LOG_FACTORIAL: Final[list[int]] = []
"""log n! in NAT, as far as it has been needed."""


class _Candidate(msgspec.Struct, gc=False):
    price: int
    """What it costs to believe in it while it says nothing, before the silence of dependents."""
    alerting: int = 0
    """CIs with recent alerts that depend on it, itself included."""


class Evidence:
    """The CIs with recent alerts, and what that says of every CI they depend on.

    A CI is touched while an alert depends on it. Of what depends on something touched behind a candidate, the failure
    has reached what is touched too, and stopped at what is not: `_spread` counts both.
    """

    __slots__ = ("_candidates", "_graph", "_owed", "_spread", "alerting")

    def __init__(self, graph: CIGraph) -> None:
        self._graph = graph
        self._candidates: dict[Node, _Candidate] = {}
        self._spread: dict[
            int, int
        ] = {}  # CI -> touched CIs behind it and itself * _REACHED + silent ones at their edge
        self._owed: dict[int, int] = {}  # CI -> what it has to add to the spread of all it depends on
        self.alerting: dict[Node, int] = {}
        """CI -> time of its first recent alert."""

    def name(self, node: Node) -> str:
        """The CI's id, or the unknown CI's reference."""
        return self._graph.cis[node].id if isinstance(node, int) else node

    def upstream(self, node: Node) -> tuple[tuple[Node, ...], ...]:
        """The CI and its providers by hops; an unknown CI has none."""
        return self._graph.upstream(node) if isinstance(node, int) else ((node,),)

    def add(self, node: Node, time: int) -> None:
        """A CI that had no recent alert has one, of that time."""
        self.alerting[node] = time
        candidates = self._candidates
        touched: list[Node] = []
        for level in self.upstream(node):
            for number in level:
                candidate = candidates.get(number)
                if candidate is None:
                    candidate = candidates[number] = self._candidate(number)
                    touched.append(number)
                candidate.alerting += 1
        self._touch(touched, 1)

    def withdraw(self, node: Node) -> None:
        """The CI's alerts are no longer recent: forget what they said."""
        del self.alerting[node]
        candidates = self._candidates
        released: list[Node] = []
        for level in self.upstream(node):
            for number in level:
                candidate = candidates[number]
                candidate.alerting -= 1
                if not candidate.alerting:
                    released.append(number)
        self._touch(released, -1)
        for number in released:
            del candidates[number]

    def _touch(self, moved: list[Node], sign: int) -> None:
        """These CIs are touched (1) or about to be released (-1)."""
        candidates, graph, owed = self._candidates, self._graph, self._owed
        among = set(moved)
        for number in moved:
            if not isinstance(number, int):
                continue
            silent = sum(d not in candidates and graph.cis[d].monitored for d in graph.dependents[number])
            owed[number] = owed.get(number, 0) + sign * (_REACHED + silent)
            if graph.cis[number].monitored:
                for provider in graph.providers[number]:
                    if provider in candidates and provider not in among:
                        owed[provider] = owed.get(provider, 0) - sign

    def _pay(self) -> None:
        """Carry what CIs owe to the spread of all that they depend on; asked for once per tick, not once per alert."""
        spread = self._spread
        for number, amount in self._owed.items():
            if amount:
                for level in self._graph.upstream(number):
                    for provider in level:
                        left = spread.get(provider, 0) + amount
                        if left:
                            spread[provider] = left
                        else:
                            del spread[provider]
        self._owed.clear()

    def _candidate(self, node: Node) -> _Candidate:
        monitored = isinstance(node, int) and self._graph.cis[node].monitored
        return _Candidate(ALONE + UNREPORTED if monitored else ALONE)

    def cost(self, node: Node) -> int:
        """The price of believing that this CI's failure is behind the alerts of its dependents, in NAT."""
        price = ALONE if node in self.alerting else self._candidates[node].price
        return price + self._misfit(node)

    def _misfit(self, node: Node) -> int:
        """How badly a single chance of spreading, whichever it is, explains how far the failure has come.

        With k dependents reached out of n: -log of the integral of p^k (1-p)^(n-k) over all p, which is
        log((n+1) * n! / (k! (n-k)!)). All or nothing is cheap, some here and some there is dear.
        """
        if self._owed:
            self._pay()
        if not isinstance(node, int):
            return 0
        reached, silent = divmod(self._spread[node], _REACHED)
        reached -= 1
        total = reached + silent
        while len(_LOG_FACTORIAL) <= total + 1:
            _LOG_FACTORIAL.append(round(lgamma(len(_LOG_FACTORIAL) + 1) * NAT))
        return _LOG_FACTORIAL[total + 1] - _LOG_FACTORIAL[reached] - _LOG_FACTORIAL[silent]

    def rank(self, node: Node, ratio: float) -> Rank:
        """How a candidate with that ratio sorts among others; of equals, the one that alerted first, then by id."""
        return -ratio, self.alerting.get(node, _NO_ALERT), self.name(node)

    def scores(self, nodes: list[Node]) -> dict[Node, float]:
        """Log-likelihood ratio (nats) of every candidate for these CIs: it failed, against each failed by itself.

        Of more than SAMPLE CIs, as many are looked at and stand for all.
        """
        share = max(1, -(-len(nodes) // SAMPLE))
        sample = nodes[::share]
        covered: dict[Node, int] = {}
        for node in sample:
            for weight, level in zip(WEIGHT, self.upstream(node), strict=False):
                for number in level:
                    covered[number] = covered.get(number, 0) + weight
        each = ALONE * len(nodes) // len(sample)
        return {node: (weight * each // 1000 - self._cost_for(node, weight)) / NAT for node, weight in covered.items()}

    def _cost_for(self, node: Node, weight: int) -> int:
        """Whose own alert is all it explains need not have spread: the silence of its dependents says nothing."""
        return ALONE if weight == WEIGHT[0] and node in self.alerting else self.cost(node)


def confidence(score: float, others: list[float]) -> float:
    """The share of belief in a candidate among all of them, from their scores (a soft maximum)."""
    return 1 / (1 + sum(exp(min(50.0, other - score)) for other in others))
