"""The explanation of what alerts now: which CIs' failures are behind which alerts, worked out where something changed.

From the CIs that changed it gathers the region that their explanation can depend on: every candidate that could pay,
every CI that such a candidate could explain, and so on until nothing is added. What lies outside cannot change the
answer inside, so the pieces are as good as the whole. The choice itself is choice.py's, the prices are evidence.py's.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from math import exp
from typing import Final

import msgspec

from opsbridge.core.second_level.choice import ITSELF, choose
from opsbridge.core.second_level.evidence import Evidence, Node
from opsbridge.core.weights import NAT

KNOWN: Final = 0.95
"""How often the root is among the candidates at all."""

DEPENDENCE: Final = 2.0
"""By how much the scores overstate the evidence: `make quality` shows confidence beside truth."""

SAMPLE: Final = 200
"""So many CIs of a storm are enough to compare candidates by."""


class Group(msgspec.Struct, gc=False):
    """A root with the CIs that its failure explains, itself included if it alerts."""

    root: Node
    nodes: list[Node]


class Score(msgspec.Struct, frozen=True, gc=False):
    """How well one candidate explains given CIs; all in thousandths of a nat.

    `saved` is what is saved over leaving each CI as its own explanation, `price` what the candidate's failure costs:
    the difference is the log-likelihood ratio. `explained` counts the CIs.
    """

    node: Node
    saved: int
    price: int
    explained: int

    @property
    def ratio(self) -> float:
        """The log-likelihood ratio in nats."""
        return (self.saved - self.price) / NAT


Related = Callable[[Node], list[Collection[Node]]]
"""CIs that belong to a region together with this one, for reasons of the caller's."""


class Region:
    """The part of the evidence that the explanation of some CIs depends on."""

    def __init__(self, evidence: Evidence, related: Related, limit: int | None = None) -> None:
        """`limit` bounds how many CIs are gathered; beyond, `whole` is false and there is no answer."""
        self._evidence = evidence
        self._related = related
        self._limit = limit
        self._links: dict[Node, Mapping[Node, int]] = {}
        self.candidates: set[Node] = set()
        """What its CIs depend on, and what else may explain them."""
        self._taken: dict[int, Collection[Node]] = {}  # what has been taken in as a whole, by identity
        self.nodes: dict[Node, None] = {}
        self.whole = True

    def gather(self, changed: Iterable[Node]) -> None:
        """Take in these alerting CIs and all that their explanation depends on."""
        queue = list(changed)
        alerting = self._evidence.alerting
        while queue:
            node = queue.pop()
            if node in self.nodes or node not in alerting:
                continue
            self.nodes[node] = None
            feeders = self._evidence.feeders(node)
            found: list[Collection[Node]] = [feeders, *self._related(node)]
            for candidate in (*self._evidence.upstream(node), *feeders):
                if candidate not in self.candidates:
                    self.candidates.add(candidate)
                    found += self._consider(candidate)
            if self._limit is not None and max(len(self.nodes), *map(len, found)) > self._limit:
                self.whole = False
                return
            for nodes in found:
                if id(nodes) not in self._taken:
                    self._taken[id(nodes)] = nodes
                    queue += nodes

    def _consider(self, candidate: Node) -> list[Collection[Node]]:
        """What the candidate is a root of, and what it could explain if it pays."""
        evidence = self._evidence
        found = self._related(candidate)
        weights = evidence.weights
        if evidence.shared(candidate):
            return found
        if candidate not in evidence.alerting:
            hope = evidence.below(candidate) * (weights.alone + weights.symptomatic)
            if hope <= weights.alone or hope <= evidence.price(candidate):
                return found
        elif evidence.below(candidate) == 1 and not evidence.felt(candidate):
            return found
        if evidence.saves(candidate) > evidence.price(candidate):
            links = self._links[candidate] = evidence.links(candidate)
            found.append(links)
        return found

    def groups(self) -> list[Group]:
        """The cheapest explanation of the region's CIs: of equals, the root that alerted first, then by id."""
        evidence = self._evidence
        order = evidence.order
        nodes = sorted(self.nodes, key=order)
        index = {node: number for number, node in enumerate(nodes)}
        candidates = sorted(self._links, key=order)
        alone = [evidence.alone(node) for node in nodes]
        roots = [
            (
                evidence.price(candidate),
                {index[node]: cost for node, cost in self._links[candidate].items() if node in index},
            )
            for candidate in candidates
        ]
        groups: dict[Node, Group] = {}
        for node, number in zip(nodes, choose(alone, roots), strict=True):
            root = node if number == ITSELF else candidates[number]
            groups.setdefault(root, Group(root, [])).nodes.append(node)
        return list(groups.values())


def scores(evidence: Evidence, nodes: list[Node]) -> list[Score]:
    """Every candidate for these CIs, the best first; of equals, the one that alerted first.

    Of more than SAMPLE CIs, as many are looked at and stand for all.
    """
    share = -(-len(nodes) // SAMPLE)
    sample = nodes[::share]
    among = set(sample)
    within = {candidate for node in sample for candidate in evidence.upstream(node)}
    found = []
    for candidate in within:
        if evidence.shared(candidate) or (candidate not in evidence.alerting and evidence.below(candidate) < 2):
            continue
        links = {node: cost for node, cost in evidence.links(candidate, within).items() if node in among}
        saved = sum(max(0, evidence.alone(node) - cost) for node, cost in links.items())
        price = evidence.alone(candidate) if among == {candidate} else evidence.price(candidate)
        found.append(Score(candidate, saved * share, price, len(links) * share))
    found.sort(key=lambda score: (score.price - score.saved, *evidence.order(score.node)))
    return found


def confidence(score: float, others: Iterable[float]) -> float:
    """How sure it is that a candidate is the root, from its score and the others' (a soft maximum).

    Alerts of one failure are not as independent as the scores take them, so the differences count by half; and in
    about one case of twenty the truth is none of them: a CI or an edge that the topology does not have.
    """
    return KNOWN / (1 + sum(exp(min(50.0, (other - score) / DEPENDENCE)) for other in others))
