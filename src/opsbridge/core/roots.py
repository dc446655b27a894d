"""Which CI best explains what: the evidence of firing alerts, added up at every CI they depend on.

Each candidate is priced in nats, the cost of believing that it failed: how unlikely a failure is, that it should have said
so itself, and that monitored dependents which would suffer stay silent. Against that stands what it explains: the CIs with
alerts among its dependents. The candidate that explains most per nat is chosen first (greedy weighted set cover, Chvatal
1979). All sums are integers, so neither order nor restart can change them.
"""

from collections.abc import Iterator
from math import exp, log, log1p
from typing import Final

import msgspec

from opsbridge.core.graph import MAX_HOPS, CIGraph

Node = int | str
"""A CI's number in the graph, or the reference that events use for a CI the graph does not know."""

NAT: Final = 1000
"""Costs are integers in thousandths of a nat."""

ALONE: Final = 5 * NAT
"""A CI fails by itself: once in about 150 observation windows (e^-5). Also the price of leaving an alert unexplained."""

UNREPORTED: Final = round(-log(0.1) * NAT)
"""A failed and monitored CI sends no event of its own in one case out of ten (its agent died with it)."""

NOISE: Final = 0.01
"""The chance that a CI alerts in a window for an unrelated reason."""

_PROPAGATES: Final = [max(0.02, 0.9 * 0.5**hops) for hops in range(MAX_HOPS + 1)]
"""The chance that a failure is reported by a given dependent so many hops away: about half of it goes at every hop."""

SILENCE: Final = [round((log(1 - NOISE) - log(1 - p)) * NAT) for p in _PROPAGATES]
"""What one silent, monitored dependent so many hops away speaks against its provider, in NAT."""

WEIGHT: Final = [1000 - 50 * hops for hops in range(MAX_HOPS + 1)]
"""What one CI with alerts counts as explained, in thousandths; of two equal explanations the nearer is better."""

SELF_RATIO: Final = WEIGHT[0] / ALONE
"""What an alert that is its own explanation is worth per NAT: a candidate must do better."""

Rank = tuple[float, int, str]
"""Sorts candidates, best first: minus the ratio, the time of its own first alert, its id."""

_SILENT: Final = 1 << 62


class _Candidate(msgspec.Struct, gc=False):
    silence: int
    """What all its monitored dependents would speak against it if they were silent."""
    price: int
    """What it costs to believe in it, before the silence of its dependents."""
    outspoken: int
    """The price when it alerts itself: silence counts little (by its logarithm) against a failure that is a fact."""
    covered: int = 0
    refund: int = 0
    alerting: int = 0


class Evidence:
    """The CIs with recent alerts, and what that says of every CI they depend on."""

    __slots__ = ("_candidates", "_graph", "alerting")

    def __init__(self, graph: CIGraph) -> None:
        self._graph = graph
        self._candidates: dict[Node, _Candidate] = {}
        self.alerting: dict[Node, int] = {}
        """CI -> time of its first recent alert."""

    def name(self, node: Node) -> str:
        """The CI's id, or the unknown CI's reference."""
        return self._graph.cis[node].id if isinstance(node, int) else node

    def upstream(self, node: Node) -> tuple[tuple[Node, ...], ...]:
        """The CI and its providers by hops; an unknown CI has none."""
        return self._graph.upstream(node) if isinstance(node, int) else ((node,),)

    def explained(self, node: Node) -> Iterator[tuple[int, Node]]:
        """(hops, CI) of all CIs with recent alerts that this CI's failure would explain, nearest first."""
        alerting = self.alerting
        levels = self._graph.downstream(node, MAX_HOPS) if isinstance(node, int) else ((node,),)
        for hops, level in enumerate(levels):
            for number in level:
                if number in alerting:
                    yield hops, number

    def add(self, node: Node, time: int) -> None:
        """A CI that had no recent alert has one, of that time."""
        self.alerting[node] = time
        candidates = self._candidates
        for hops, level in enumerate(self.upstream(node)):
            weight, silence = WEIGHT[hops], SILENCE[hops]
            for number in level:
                candidate = candidates.get(number)
                if candidate is None:
                    candidate = candidates[number] = self._price(number)
                candidate.covered += weight
                candidate.refund += silence
                candidate.alerting += 1

    def withdraw(self, node: Node) -> None:
        """The CI's alerts are no longer recent: forget what they said."""
        del self.alerting[node]
        candidates = self._candidates
        for hops, level in enumerate(self.upstream(node)):
            weight, silence = WEIGHT[hops], SILENCE[hops]
            for number in level:
                candidate = candidates[number]
                candidate.covered -= weight
                candidate.refund -= silence
                candidate.alerting -= 1
                if not candidate.alerting:
                    del candidates[number]

    def _price(self, node: Node) -> _Candidate:
        if not isinstance(node, int):
            return _Candidate(0, ALONE, ALONE)
        cis = self._graph.cis
        silence = sum(
            SILENCE[hops] * sum(cis[number].monitored for number in level)
            for hops, level in enumerate(self._graph.downstream(node, MAX_HOPS))
            if hops
        )
        own = UNREPORTED if cis[node].monitored else 0
        return _Candidate(silence, ALONE + own, ALONE + round(NAT / 2 * log1p(silence / SILENCE[1])))

    def cost(self, node: Node) -> int:
        """The price of believing that this CI failed, in NAT."""
        candidate = self._candidates.get(node)
        if candidate is None:
            candidate = self._price(node)
        if node in self.alerting:
            return candidate.outspoken
        return candidate.price + max(0, candidate.silence - candidate.refund)

    def ratio(self, node: Node) -> float:
        """What the candidate explains of all recent alerts, per NAT of its cost."""
        candidate = self._candidates[node]
        if node in self.alerting:
            return candidate.covered / candidate.outspoken
        silence = candidate.silence - candidate.refund
        return candidate.covered / (candidate.price + silence if silence > 0 else candidate.price)

    def rank(self, node: Node, ratio: float) -> Rank:
        """How a candidate with that ratio sorts among others; of equals, the one that alerted first, then by id."""
        return -ratio, self.alerting.get(node, _SILENT), self.name(node)

    def best(self, node: Node) -> Node:
        """The best explanation of a CI's alerts among itself and all it depends on."""
        best, best_ratio = node, max(SELF_RATIO, self.ratio(node))
        for level in self.upstream(node)[1:]:
            for number in level:
                ratio = self.ratio(number)
                if ratio > best_ratio or (
                    ratio == best_ratio and self.rank(number, ratio) < self.rank(best, best_ratio)
                ):
                    best, best_ratio = number, ratio
        return best

    def scores(self, nodes: list[Node]) -> dict[Node, float]:
        """Log-likelihood ratio (nats) of every candidate for these CIs: it failed, against each failed by itself."""
        covered: dict[Node, int] = {}
        for node in nodes:
            for hops, level in enumerate(self.upstream(node)):
                weight = WEIGHT[hops]
                for number in level:
                    covered[number] = covered.get(number, 0) + weight
        alone = ALONE // WEIGHT[0]
        return {
            node: (weight * alone - (ALONE if weight == WEIGHT[0] and node in self.alerting else self.cost(node))) / NAT
            for node, weight in covered.items()
        }


def confidence(score: float, others: list[float]) -> float:
    """The share of belief in a candidate among all of them, from their scores (a soft maximum)."""
    return 1 / (1 + sum(exp(min(50.0, other - score)) for other in others))
