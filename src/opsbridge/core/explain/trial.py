"""The evidence of one moment, to look at closely and to try things out on without changing what it is a copy of.

because.py asks it why each alert belongs to its root, whatif.py what other alerts would have meant. Prices and links
are evidence.py's; here it is shown by which way a link goes, and what a candidate explains of one situation.
"""

from collections.abc import Collection, Iterable, Mapping
from heapq import heappop, heappush
from typing import Final

import msgspec

from opsbridge.core.classes import Profiles
from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.evidence import BACK_HOPS, NEVER, Alerting, Evidence, Node
from opsbridge.core.second_level.explanation import scores
from opsbridge.core.second_level.situations import AlertState
from opsbridge.core.weights import NAT

CANDIDATES: Final = 5
"""How many candidates are explained, the root among them."""


_State = tuple[int, int]
"""A CI, and by how many hops along providers it was reached at last."""


class Hop(msgspec.Struct, frozen=True, gc=False):
    """A step of a failure from one CI to the next; costs in thousandths of a nat."""

    start: int
    end: int
    edge: int
    """The edge's cost, less what other alerts pay of it..."""
    shared: int
    """...so many alerting CIs, together; all of it if the way ends here."""
    extra: int
    """What it costs besides, for the nature of the alerts at its end."""
    backward: bool
    """Felt on a provider, not on a dependent."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """How a root's failure explains an alerting CI; the root explains itself by no hop."""

    hops: tuple[Hop, ...] = ()
    joined: int = 0
    """What it costs that no edge connects them..."""
    ground: str = ""
    """...but this does (`Alerting.grounds`)."""
    time: int = 0
    """What it costs that one began so much later than the other, or earlier, or when the other was over."""
    after: int = 0
    """Milliseconds from the root's onset (of a silent one: the first it explains) to this one's."""
    over: bool = False
    """Whether the root's alerts were over by then."""

    @property
    def cost(self) -> int:
        """What the link costs."""
        return sum(hop.edge + hop.extra for hop in self.hops) + self.joined + self.time


class Trial(Evidence):
    """A copy of evidence."""

    __slots__ = ()

    def __init__(self, evidence: Evidence) -> None:
        for slot in Evidence.__slots__:
            value = getattr(evidence, slot)
            setattr(self, slot, value.copy() if isinstance(value, dict | set | list) else value)

    @property
    def graph(self) -> CIGraph:
        """The estate."""
        return self._graph

    def suppose(self, node: Node, alerting: Alerting | None) -> Alerting | None:
        """Let the CI's alerts say this (None: it sent nothing); what they said before, to be supposed again."""
        before = self.alerting.get(node)
        if before is not None and alerting is not None:
            self.change(node, alerting)
        elif alerting is not None:
            self.add(node, alerting)
        elif before is not None:
            self.withdraw(node)
        return before

    def silent(self, node: Node) -> list[int]:
        """The monitored dependents that should feel a failure of this CI, and behind which nothing alerts."""
        if not isinstance(node, int):
            return []
        return [number for number in self._graph.expects(node) if not self.below(number)]

    def routes(self, root: Node) -> dict[Node, Route]:
        """By which way `links` explains each CI by a failure of `root`."""
        links, onsets = self.links(root), self.alerting
        own = onsets.get(root)
        times = [onsets[node] for node in links] if own is None else [own]
        since = min((each.since for each in times), default=0)
        until = max((each.until for each in times), default=NEVER)
        grounds = {} if own is None else self._grounds_of(root, own)
        ways = self._ways_to(root, links.keys()) if isinstance(root, int) else {}
        found: dict[Node, Route] = {}
        for node, cost in links.items():
            onset = onsets[node].since
            ground, hops = grounds.get(node, ""), ways.get(node, ())
            if ground and (not hops or self.weights.joined < sum(hop.edge + hop.extra for hop in hops)):
                bare = Route((), self.weights.joined, ground, 0, onset - since, onset > until)
            else:
                bare = Route(hops, 0, "", 0, onset - since, onset > until)
            found[node] = msgspec.structs.replace(bare, time=cost - bare.cost)
        return found if own is None else found | {root: Route()}

    def _ways_to(self, root: int, wanted: Collection[Node]) -> dict[Node, tuple[Hop, ...]]:
        """The cheapest way to each of these CIs, as `links` finds it; what times cost is left out."""
        arrived: dict[Node, tuple[int, _State, Hop]] = {}
        origin: dict[_State, tuple[_State, Hop]] = {}
        best = {(root, 0): 0}
        queue = [(0, root, 0)]
        while queue:
            cost, node, back = heappop(queue)
            if best[node, back] != cost:
                continue
            for hop in self._steps(node, back):
                number, total = hop.end, cost + hop.edge + hop.extra
                if number == root:
                    continue
                if number in wanted and (number not in arrived or total < arrived[number][0]):
                    arrived[number] = total, (node, back), hop
                shared = 1 if hop.backward else self.below(number)
                at = number, back + hop.backward
                onward = cost + (hop.edge + hop.extra) // shared
                if at not in best or onward < best[at]:
                    edge = hop.edge // shared
                    extra = (hop.edge + hop.extra) // shared - edge
                    origin[at] = (node, back), Hop(node, number, edge, shared, extra, hop.backward)
                    best[at] = onward
                    heappush(queue, (onward, *at))
        return {node: (*_hops(origin, at), hop) for node, (_, at, hop) in arrived.items()}

    def _steps(self, node: int, back: int) -> list[Hop]:
        """Where a failure that is felt here is felt next, by hops that nothing shares yet."""
        graph, alerting = self._graph, self.alerting
        steps: list[Hop] = []
        for number in graph.dependents[node] if not back else ():
            if self.below(number):
                there = alerting.get(number)
                extra = 0 if there is None else self._felt_forward(there)
                steps.append(Hop(node, number, graph.cost(number, node), 1, extra, backward=False))
        if back == BACK_HOPS or not (back or node in alerting):
            return steps
        for number in graph.providers[node]:
            if self.below(number):
                there = alerting.get(number)
                felt = (
                    self._felt_backward(there, back + 1) if there is not None else 0 if back else self.weights.backward
                )
                if felt is not None:
                    steps.append(Hop(node, number, graph.cost(node, number), 1, felt, backward=True))
        return steps

    def _grounds_of(self, root: Node, own: Alerting) -> dict[Node, str]:
        """The CIs that the root may be the reason of without an edge, and why."""
        return {
            node: ground
            for ground in own.grounds
            if self._first(ground) == root
            for node in self._grounded[ground]
            if node != root
        }


def _hops(origin: Mapping[_State, tuple[_State, Hop]], at: _State) -> tuple[Hop, ...]:
    """The way to a CI, from its root on."""
    hops: list[Hop] = []
    while at in origin:
        at, hop = origin[at]
        hops.append(hop)
    return tuple(reversed(hops))


class Scene(msgspec.Struct, frozen=True):
    """What is known at the moment of an explanation."""

    trial: Trial
    at: Mapping[Node, list[AlertState]]
    """Recent alerts by CI."""
    profiles: Profiles
    now: int

    def sent(self, node: Node) -> tuple[str, ...]:
        """The classes of the CI's recent alerts; what a domain found with a silent root has none."""
        return tuple(sorted({alert.class_ for alert in self.at.get(node, ()) if alert.class_}))


class Candidate(msgspec.Struct, frozen=True):
    """A candidate with its links, before it is put in words; thousandths of a nat."""

    node: Node
    links: dict[Node, int]
    """The situation's CIs that it explains for less than they cost alone."""
    saved: int
    price: int

    @property
    def ratio(self) -> float:
        """The log-likelihood ratio in nats."""
        return (self.saved - self.price) / NAT


def candidate(evidence: Evidence, node: Node, nodes: Iterable[Node]) -> Candidate:
    """How well a CI's failure explains these."""
    nodes = list(nodes)
    every = evidence.links(node)
    links = {each: every[each] for each in nodes if each in every and every[each] < evidence.alone(each)}
    saved = sum(evidence.alone(each) - cost for each, cost in links.items())
    price = evidence.alone(node) if nodes == [node] else evidence.price(node)
    return Candidate(node, links, saved, price)


def runners_up(evidence: Evidence, root: Node, nodes: list[Node]) -> list[Candidate]:
    """The next best candidates, the best first."""
    found = [candidate(evidence, score.node, nodes) for score in scores(evidence, nodes) if score.node != root]
    return [each for each in found[: CANDIDATES - 1] if each.links]
