"""What recent alerts say about every CI they depend on: what its failure would cost, and explain.

Costs are nats (weights.py). A failure spreads to dependents, an edge at a time; edges that alerts share cost once. From
a CI that alerts it may also be felt on providers, by classes that travel there. A silent CI has to answer for the
dependents that stay silent too: one and the same chance of spreading must explain who suffers and who does not. All
sums are integers, so neither order nor restart can change them. explanation.py chooses among what is priced here.
"""

from collections.abc import Collection, Container, Iterable, Iterator
from heapq import heappop, heappush
from math import lgamma, log
from typing import Final

import msgspec

from opsbridge.core.classes import Nature, Profile, Travel
from opsbridge.core.context import Context
from opsbridge.core.graph import CIGraph
from opsbridge.core.weights import NAT, Weights

Node = int | str
"""A CI's number in the graph, or the reference that events use for a CI the graph does not know."""

NEVER: Final = 1 << 62
"""Later than any time."""

BACK_HOPS: Final = 2
"""How far from a CI that alerts its providers may feel it: the next one, and what stands behind a mere address."""

_REACHED: Final = 1 << 32

_LOG_FACTORIAL: Final[list[int]] = []
"""log n! in NAT, as far as it has been needed."""


class Alerting(msgspec.Struct, gc=False):
    """A CI with recent alerts, all of them together."""

    since: int
    """When the first of them began."""
    until: int = NEVER
    """When the last of them was resolved; NEVER while one fires."""
    nature: Nature = Nature.SYMPTOM
    """CAUSE if any of them is cause-like, SYMPTOM if all are symptom-like."""
    forward: bool = False
    """An alert of it may come from a provider..."""
    backward: bool = False
    """...or, by load, from a dependent..."""
    starved: bool = False
    """...or from a dependent that no longer asks for anything."""
    grounds: tuple[str, ...] = ()
    """Why it may belong with CIs that no edge connects it with."""
    sealed: bool = False
    """What depends on it is accounted for elsewhere: its silence says nothing."""
    occurrence: int = 1
    """How often the one that has fired least often has fired."""

    def equals(self, other: "Alerting") -> bool:
        """Whether both say the same of what caused them."""
        return msgspec.structs.replace(self, until=other.until) == other

    def feels(self) -> bool:
        """Whether a dependent may be the reason of it."""
        return self.backward or self.starved

    def include(self, profile: Profile) -> None:
        """Count an alert of that profile in."""
        nature, travels = profile.nature, profile.travels
        if nature == Nature.CAUSE or (nature == Nature.UNKNOWN and self.nature == Nature.SYMPTOM):
            self.nature = nature
        self.forward = self.forward or travels in (Travel.DEPENDENTS, Travel.BOTH)
        self.backward = self.backward or travels == Travel.BOTH
        self.starved = self.starved or travels == Travel.PROVIDERS


class Evidence:
    """The CIs with recent alerts, and what that says of every CI they depend on.

    A CI is touched while an alert depends on it. Of what depends on something touched behind a candidate, the failure
    has reached what is touched too, and stopped at what is not: `_spread` counts both.
    """

    __slots__ = (
        "_below",
        "_changed",
        "_feeling",
        "_firsts",
        "_graph",
        "_grounded",
        "_links",
        "_owed",
        "_owns_backbone",
        "_saved",
        "_sealed",
        "_spread",
        "_version",
        "alerting",
        "context",
        "weights",
    )

    def __init__(
        self, graph: CIGraph, weights: Weights, *, owns_backbone: bool = False, context: Context | None = None
    ) -> None:
        """`owns_backbone`: backbone CIs are candidates too. `context` knows which CIs have been changed."""
        self.context = context
        self._changed: Collection[str] = () if context is None else context.cis
        self._version = 0  # of the context that `_saved` goes by
        self._owns_backbone = owns_backbone
        self.weights = weights
        self._graph = graph
        self._below: dict[Node, int] = {}  # touched CI -> alerting CIs that depend on it, itself included
        self._spread: dict[
            int, int
        ] = {}  # CI -> touched CIs behind it and itself * _REACHED + silent ones at their edge
        self._owed: dict[int, int] = {}  # CI -> what it has to add to the spread of all it depends on
        self._feeling: set[Node] = set()  # alerting CIs that a dependent may be the reason of
        self._grounded: dict[str, dict[Node, None]] = {}  # CIs by the grounds they have, in the order they came
        self._firsts: dict[str, Node] = {}
        self._links: dict[Node, dict[Node, int]] = {}  # answers of `links` since the last change...
        self._saved: dict[Node, int] = {}  # ...and of `saves`
        self._sealed: set[Node] = set()
        self.alerting: dict[Node, Alerting] = {}

    def name(self, node: Node) -> str:
        """The CI's id, or the unknown CI's reference."""
        return self._graph.cis[node].id if isinstance(node, int) else node

    def shared(self, node: Node) -> bool:
        """Whether the CI is backbone and somebody else decides about it."""
        if self._owns_backbone or not isinstance(node, int) or not self._graph.backbone[node]:
            return False
        return bool(self._graph.home(node))

    def upstream(self, node: Node) -> list[Node]:
        """The CI itself and all it depends on, the nearest first; an unknown CI has only itself."""
        return [node, *(provider for provider, _ in self._graph.beyond(node))] if isinstance(node, int) else [node]

    def order(self, node: Node) -> tuple[int, str]:
        """How candidates sort that are as good as each other: the one that alerted first, then by id."""
        alerting = self.alerting.get(node)
        return (NEVER if alerting is None else alerting.since), self.name(node)

    def feeders(self, node: Node) -> list[Node]:
        """The alerting CIs through which a failure may be felt here by load or starvation, or on other grounds."""
        here = self.alerting[node]
        found: list[Node] = [self._first(ground) for ground in here.grounds]
        if not isinstance(node, int) or not here.feels():
            return found
        edge = [node]
        for _ in range(BACK_HOPS):
            edge = [number for each in edge for number in self._graph.dependents[each] if number in self._below]
            found += [number for number in edge if number in self.alerting]
        return found

    def roots_of(self, node: Node) -> Iterator[tuple[Node, int]]:
        """What the CI depends on, with about what it would cost that one to explain it: shared edges are not known."""
        here = self.alerting[node]
        if isinstance(node, int):
            extra = self._felt_forward(here)
            for provider, cost in self._graph.beyond(node):
                own = self.alerting.get(provider)
                yield provider, cost + extra + (0 if own is None else self._lag(own.since, own.until, here.since))

    def felt(self, node: Node) -> bool:
        """Whether something alerts nearby that this CI could be the reason of, though it does not depend on it."""
        if any(self._first(ground) == node for ground in self.alerting[node].grounds):
            return True
        if not self._feeling or not isinstance(node, int):
            return False
        edge: Iterable[int] = [node]
        for _ in range(BACK_HOPS):
            edge = [provider for number in edge for provider in self._graph.providers[number]]
            for number in edge:
                there = self.alerting.get(number)
                if there is not None and there.feels():
                    return True
        return False

    def below(self, node: Node) -> int:
        """How many CIs with recent alerts depend on this one, itself included."""
        return self._below.get(node, 0)

    def add(self, node: Node, alerting: Alerting) -> None:
        """A CI that had no recent alert has one."""
        self.alerting[node] = alerting
        if alerting.feels():
            self._feeling.add(node)
        self._ground(node, alerting)
        self._forget_links()
        below = self._below
        touched: list[Node] = []
        for number in self.upstream(node):
            count = below.get(number, 0)
            if not count:
                touched.append(number)
            below[number] = count + 1
        if touched:
            self._touch(touched, 1)
        if alerting.sealed:
            self._seal(node, 1)

    def change(self, node: Node, alerting: Alerting) -> None:
        """The alerts of a CI say something else than before."""
        before = self.alerting[node]
        (self._feeling.add if alerting.feels() else self._feeling.discard)(node)
        self._unground(node, before)
        self._ground(node, alerting)
        self.alerting[node] = alerting
        self._forget_links()

    def withdraw(self, node: Node) -> None:
        """The CI's alerts are no longer recent: forget what they said."""
        if node in self._sealed:
            self._seal(node, -1)
        alerting = self.alerting.pop(node)
        self._feeling.discard(node)
        self._unground(node, alerting)
        self._forget_links()
        below = self._below
        released: list[Node] = []
        for number in self.upstream(node):
            below[number] -= 1
            if not below[number]:
                released.append(number)
        if released:
            self._touch(released, -1)
            for number in released:
                del below[number]

    def _forget_links(self) -> None:
        self._links.clear()
        self._saved.clear()

    def _ground(self, node: Node, alerting: Alerting) -> None:
        for ground in alerting.grounds:
            self._grounded.setdefault(ground, {})[node] = None
            self._firsts.pop(ground, None)

    def _unground(self, node: Node, alerting: Alerting) -> None:
        for ground in alerting.grounds:
            others = self._grounded[ground]
            self._firsts.pop(ground, None)
            del others[node]
            if not others:
                del self._grounded[ground]

    def _first(self, ground: str) -> Node:
        """Of the CIs that share a ground, the one that may be the reason of the others: nothing but time tells."""
        first = self._firsts.get(ground)
        if first is None:
            first = self._firsts[ground] = min(self._grounded[ground], key=self.order)
        return first

    def _touch(self, moved: list[Node], sign: int) -> None:
        """These CIs are touched (1) or about to be released (-1)."""
        below, graph, owed = self._below, self._graph, self._owed
        among = set(moved)
        for number in moved:
            if not isinstance(number, int):
                continue
            owed[number] = owed.get(number, 0) + sign * (_REACHED + self._silent(number))
            for provider in graph.providers[number]:
                if provider in below and provider not in among and number in graph.expects(provider):
                    owed[provider] = owed.get(provider, 0) - sign * (provider not in self._sealed)

    def _silent(self, number: int) -> int:
        """How many dependents of the CI should have felt its failure and did not."""
        return sum(dependent not in self._below for dependent in self._graph.expects(number))

    def _seal(self, node: Node, sign: int) -> None:
        """From now on (1), or no longer (-1), the silence of what depends on this touched CI says nothing."""
        if sign > 0:
            self._sealed.add(node)
        else:
            self._sealed.discard(node)
        if isinstance(node, int):
            self._owed[node] = self._owed.get(node, 0) - sign * self._silent(node)

    def _pay(self) -> None:
        """Carry what CIs owe to the spread of all that they depend on; asked for once per tick, not once per alert."""
        spread = self._spread
        for number, amount in self._owed.items():
            if amount:
                for provider, _ in self._graph.reach(number):
                    left = spread.get(provider, 0) + amount
                    if left:
                        spread[provider] = left
                    else:
                        del spread[provider]
        self._owed.clear()

    # prices

    def alone(self, node: Node) -> int:
        """The price of leaving an alerting CI as its own explanation: what fails often is no surprise."""
        alerting = self.alerting[node]
        relief = round(log(alerting.occurrence) * NAT) if alerting.occurrence > 1 else 0
        if self._changed:
            relief += self.relief(node)
        return max(NAT, self._own(alerting) - relief)

    def price(self, node: Node) -> int:
        """The price of believing that this CI's failure is behind alerts of other CIs."""
        return self._unchanged(node) - (self.relief(node) if self._changed else 0)

    def relief(self, node: Node) -> int:
        """How much cheaper the CI's failure is because it was changed shortly before; no price falls below a nat.

        Before its own first alert; of a silent CI, before the first alert that it could explain.
        """
        context = self.context
        if context is None or self.name(node) not in self._changed:
            return 0
        own = self.alerting.get(node)
        onsets = (self.alerting[each].since for each in self.links(node)) if own is None else (own.since,)
        first = min(onsets, default=None)
        if first is None or not context.changed(self.name(node), first):
            return 0
        return max(0, min(self.weights.changed, self._unchanged(node) - NAT))

    def _unchanged(self, node: Node) -> int:
        """The price of a failure if nothing is known of changes."""
        alerting = self.alerting.get(node)
        if alerting is not None:
            return self._own(alerting)
        weights = self.weights
        monitored = isinstance(node, int) and self._graph.cis[node].monitored
        return weights.alone + (weights.unreported if monitored else weights.hidden) + self._misfit(node)

    def _own(self, alerting: Alerting) -> int:
        weights = self.weights
        if alerting.nature == Nature.CAUSE:
            return weights.alone
        return weights.alone + (weights.symptomatic if alerting.nature == Nature.SYMPTOM else weights.vague)

    def spread(self, node: Node) -> tuple[int, int]:
        """How many CIs behind this one are touched, and how many at their edge are monitored and silent."""
        if self._owed:
            self._pay()
        if not isinstance(node, int):
            return 0, 0
        reached, silent = divmod(self._spread.get(node, _REACHED), _REACHED)
        return reached - 1, silent

    def _misfit(self, node: Node) -> int:
        """How badly a single chance of spreading, whichever it is, explains how far the failure has come.

        With k dependents reached out of n: -log of the integral of p^k (1-p)^(n-k) over all p, which is
        log((n+1) * n! / (k! (n-k)!)). All or nothing is cheap, some here and some there is dear.
        """
        reached, silent = self.spread(node)
        total = reached + silent
        while len(_LOG_FACTORIAL) <= total + 1:
            _LOG_FACTORIAL.append(round(lgamma(len(_LOG_FACTORIAL) + 1) * NAT))
        return _LOG_FACTORIAL[total + 1] - _LOG_FACTORIAL[reached] - _LOG_FACTORIAL[silent]

    # explanations

    def saves(self, root: Node) -> int:
        """What a failure of `root` would save over leaving all that it can explain alone, its price not counted."""
        if self.context is not None and self._version != self.context.version:
            self._version = self.context.version
            self._saved.clear()
        saved = self._saved.get(root)
        if saved is None:
            links = self.links(root)
            saved = self._saved[root] = sum(max(0, self.alone(node) - cost) for node, cost in links.items())
        return saved

    def links(self, root: Node, within: set[Node] | None = None) -> dict[Node, int]:
        """What it costs to explain each alerting CI by a failure of `root`: its own costs nothing, others at least 1.

        The cheapest way from the root: along dependents, and from a CI that alerts up to BACK_HOPS along providers. A
        step costs what its edge costs; one to a CI that alerts also what its alerts make of it, and how long they came
        after or before those of the last CI on the way that alerts. All alerts behind a CI share what the way to it
        costs. `within` bounds the search. CIs that are dearer to explain than any CI is to leave alone are not named.
        """
        if within is None and root in self._links:
            return self._links[root]
        own = self.alerting.get(root)
        found: dict[Node, int] = {}
        if isinstance(root, int):
            found, untimed = self._ways(root, self._below if within is None else within)
            if untimed:  # a silent root failed when the first of what it explains began
                since = min(self.alerting[node].since for node in untimed)
                until = max(self.alerting[node].until for node in untimed)
                for node, cost in untimed.items():
                    cost += self._lag(since, until, self.alerting[node].since)
                    found[node] = min(cost, found.get(node, cost))
        for ground in () if own is None else own.grounds:
            if own is not None and self._first(ground) == root:
                for node in self._grounded[ground]:
                    cost = self.weights.joined + self._lag(own.since, own.until, self.alerting[node].since)
                    found[node] = min(cost, found.get(node, cost))
        limit = self.weights.alone + self.weights.symptomatic
        found = {node: max(1, cost) for node, cost in found.items() if cost < limit}
        if own is not None:
            found[root] = 0
        if within is None:
            self._links[root] = found
        return found

    def _ways(self, root: int, touched: Container[Node]) -> tuple[dict[Node, int], dict[Node, int]]:
        """The cost of the cheapest way to each alerting CI from `root` (Dijkstra): by CIs that alert, and by none.

        The latter are not in time with anything yet: the root is silent.
        """
        graph, alerting, below = self._graph, self.alerting, self._below
        limit = self.weights.alone + self.weights.symptomatic
        found: dict[Node, int] = {}
        untimed: dict[Node, int] = {}
        best = {(root, 0, root): 0}
        queue = [(0, root, 0, root)]  # cost, CI, hops back, the last CI on the way that alerts
        while queue:
            cost, node, back, last = heappop(queue)
            if best[node, back, last] != cost:
                continue
            before = alerting.get(last)
            steps = (
                [(number, graph.cost(number, node), 0) for number in graph.dependents[node] if number in touched]
                if not back
                else []
            )
            if back < BACK_HOPS and self._feeling and (back or node in alerting):
                steps += [
                    (number, edge, back + 1)
                    for number, edge in zip(graph.providers[node], graph.costs[node], strict=True)
                    if self._leads_back(number, back + 1)
                ]
            for number, edge, backward in steps:
                if number == root:
                    continue
                there = alerting.get(number)
                behind = 1 if backward else below[number]
                step = edge
                if there is None:
                    step += self.weights.backward if backward == 1 else 0
                else:
                    nature = self._felt_backward(there, backward) if backward else self._felt_forward(there)
                    if nature is None:
                        continue
                    step += nature
                    if before is not None:
                        step += self._lag(before.since, before.until, there.since)
                    explained = untimed if before is None else found
                    if cost + step < explained.get(number, limit):
                        explained[number] = cost + step
                    if below[number] == 1 and not self._feeling:
                        continue  # nothing goes on from here
                onward = cost + step // behind
                at = number, backward, last if there is None else number
                if onward < best.get(at, limit):
                    best[at] = onward
                    heappush(queue, (onward, *at))
        return found, untimed

    def _leads_back(self, number: int, back: int) -> bool:
        """Whether it alerts in a way that a dependent may be the reason of, or stands right before what does."""
        if number in self._feeling:
            return True
        if back >= BACK_HOPS or number in self.alerting:
            return False
        return not self._feeling.isdisjoint(self._graph.providers[number])

    def _felt_forward(self, there: Alerting) -> int:
        """What it costs that a failing provider makes a CI alert like that."""
        cost = self.weights.caused if there.nature == Nature.CAUSE else 0
        return cost if there.forward or there.backward else cost + self.weights.backward

    def _felt_backward(self, there: Alerting, back: int) -> int | None:
        """What it costs that a failing dependent does; None if it cannot."""
        if there.starved:
            return self.weights.starved
        if not there.backward:
            return None
        cost = self.weights.caused if there.nature == Nature.CAUSE else 0
        return cost + (self.weights.backward if back == 1 else 0)

    def _lag(self, since: int, until: int, onset: int) -> int:
        """What it costs that a symptom begins that long after its cause, before it, or after the cause was over."""
        weights = self.weights
        late = onset - since
        cost = late * NAT // weights.lag_ms if late >= 0 else -late * NAT // weights.lead_ms
        return cost + (onset - until) * NAT // weights.cleared_ms if onset > until else cost
