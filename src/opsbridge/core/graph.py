"""The compact CI graph that the core asks: integers for CIs, tuples for edges, closures worked out once and kept.

`a depends_on b` makes b a provider of a, and a a dependent of b; a failing provider impacts its dependents. Cycles are
legal. Every edge has a cost: how unlikely it is that a failure of the provider is felt by the dependent. The topology
room loads, checks and analyses files and builds this; nothing here reads or validates anything. What follows from
failures through redundancy is worked out in impact.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from math import log
from typing import Final, NamedTuple

import msgspec

from opsbridge.core.calendar import ServiceTime


class CI(msgspec.Struct, frozen=True, gc=False):
    """A configuration item as rules and incidents see it."""

    id: str
    type: str = ""
    name: str = ""
    owner: str = ""
    environment: str = ""
    site: str = ""
    tier: int | None = None
    service: bool = False
    """A (business) service: named in an incident's affected services."""
    monitored: bool = True
    """False: nothing watches this CI, so its silence says nothing."""
    group: str = ""
    """The assignment group of its incidents; empty: its owner."""
    category: str = ""
    runbook: str = ""
    """Where it is written what to do."""
    links: tuple[str, ...] = ()
    """Dashboards and pages about it."""
    users: int = 0
    """How many people use it, of a service; 0: not known."""


def unknown_ci(reference: str) -> CI:
    """A CI that events name and the topology does not: it has no edges and is correlated alone."""
    return CI(id=reference)


NAT: Final = 1000
"""Costs are integers in thousandths of a nat: minus the logarithm of a chance."""

DEFAULT_COST: Final = round(-log(0.5) * NAT)
"""A failure is felt one CI further in about one case out of two, unless the edge says more."""

UNDIRECTED: Final = round(-log(0.5) * NAT)
"""What an edge costs more whose direction nobody knows: which of the two ends is the provider is a coin toss."""

REDUNDANT: Final = round(-log(0.2) * NAT)
"""What an edge costs more into a group that can spare the provider: in four cases out of five the others carry on."""

MAX_COST: Final = 8 * NAT
"""How unlikely a path may be and still be followed: one failure in 3000 that comes so far explains nothing."""

KEPT: Final = 5_000_000
"""So many pairs of CI and cost are kept in closures (eight bytes each, and little more), then all are forgotten."""

_DEEP: Final = 16
"""So deep closures are put together from those of the providers."""

_FAR: Final = 1 << 62

Levels = tuple[tuple[int, ...], ...]
"""CIs by distance: item h holds the numbers of the CIs that are h hops away."""

Reach = tuple[tuple[int, int], ...]
"""(CI, cost of the cheapest path to it), the cheapest first, of equals the smaller number."""


class Edge(NamedTuple):
    """A dependency that says more than its ends: what its kind costs (at least 1), and whether the ends are peers."""

    dependent: int
    provider: int
    cost: int = DEFAULT_COST
    undirected: bool = False
    """Which end is the provider is not known: a failure may travel either way, and neither end needs the other."""


class Group(msgspec.Struct, frozen=True, gc=False):
    """Providers of which some can be spared: while the weights of those available reach `at_least`, the group holds."""

    members: tuple[tuple[int, int], ...]
    """(CI, weight), every CI once."""
    at_least: int = 1
    cost: int = DEFAULT_COST
    """What the kind of the edges to the members costs."""
    name: str = ""

    def spares(self, weight: int) -> bool:
        """Whether the group holds without a member of that weight."""
        return sum(each for _, each in self.members) - weight >= self.at_least


class CIGraph:
    """CI numbers, their names and edges; immutable after it is built, shared by every partition of a worker."""

    __slots__ = (
        "_beyond",
        "_closures",
        "_expects",
        "_homes",
        "_kept",
        "_pairs",
        "backbone",
        "cis",
        "costs",
        "dependents",
        "digest",
        "domains",
        "groups",
        "max_cost",
        "numbers",
        "optional",
        "passing",
        "providers",
        "service_times",
    )

    def __init__(
        self,
        cis: Sequence[CI],
        depends_on: Iterable[tuple[int, int]] = (),
        *,
        edges: Iterable[Edge] = (),
        groups: Mapping[int, Sequence[Group]] | None = None,
        aliases: Mapping[str, int] | None = None,
        domains: Sequence[str] | None = None,
        backbone: Sequence[bool] | None = None,
        service_times: Mapping[int, ServiceTime] | None = None,
        max_cost: int = MAX_COST,
    ) -> None:
        """Take CIs in order (their index is their number), what they depend on, and further names of CIs.

        `depends_on` has plain edges (dependent, provider), `edges` those that say more; an edge that is stated twice
        has the lower cost. `groups` gives the redundancy groups of a CI; their members are its providers too.
        `domains` gives each CI's correlation domain; without it, every CI is in one domain. `backbone` tells the CIs
        that several domains share, `service_times` when a CI is in service, if not always.
        """
        self.cis: tuple[CI, ...] = tuple(cis)
        self.groups: tuple[tuple[Group, ...], ...] = _per_ci(self.cis, groups or {})
        """Of each CI, the redundancy groups it needs."""
        costs_of = dict.fromkeys(depends_on, DEFAULT_COST)
        peers: list[Edge] = []
        for edge in edges:
            if edge.undirected:
                peers.append(edge)
            else:
                _state(costs_of, edge.dependent, edge.provider, edge.cost)
        spare = _spare_edges(peers, self.groups)
        self.optional: dict[int, frozenset[int]] = _by_dependent(spare.keys() - costs_of.keys())
        """Of a CI, the providers whose loss alone does not decide: peers, and members of its groups."""
        for (dependent, provider), cost in spare.items():
            _state(costs_of, dependent, provider, cost)
        providers: list[list[int]] = [[] for _ in cis]
        costs: list[list[int]] = [[] for _ in cis]
        dependents: list[list[int]] = [[] for _ in cis]
        for dependent, provider in sorted(costs_of):
            if dependent != provider:
                providers[dependent].append(provider)
                costs[dependent].append(costs_of[dependent, provider])
                dependents[provider].append(dependent)
        self.providers: tuple[tuple[int, ...], ...] = _shared(providers)
        self.costs: tuple[tuple[int, ...], ...] = _shared(costs)
        """What the edges to the providers cost, in their order."""
        self.dependents: tuple[tuple[int, ...], ...] = tuple(map(tuple, dependents))
        self.numbers: dict[str, int] = {ci.id: number for number, ci in enumerate(cis)}
        self.numbers.update(aliases or {})
        self.domains: tuple[str, ...] = tuple(domains) if domains is not None else ("",) * len(self.cis)
        self.backbone: tuple[bool, ...] = tuple(backbone) if backbone is not None else (False,) * len(self.cis)
        """Whether CIs of more than one domain depend on it, or it is in none."""
        self.service_times: dict[int, ServiceTime] = dict(service_times or {})
        self.max_cost = max_cost
        self.digest = ""
        """Names this topology; empty: nobody has named it."""
        self.passing: Mapping[int, bool] = {}
        """CIs whose dependencies may go while situations are open, and whether they may go themselves (holding.py)."""
        self._homes = _homes(self) if any(self.backbone) else {}
        self._expects: dict[int, tuple[int, ...]] = {}
        self._beyond: list[Reach | None] = [None] * len(self.cis)
        self._closures: dict[tuple[tuple[int, ...], tuple[int, ...]], Reach] = {}  # by providers and their costs
        self._pairs = _Pairs()  # equal pairs of all closures are one object
        self._kept = 0  # how many pairs all closures have

    def altered(self, **parts: object) -> "CIGraph":
        """A graph like this one in which these attributes are others, and what is worked out from them is not known."""
        new = object.__new__(CIGraph)
        for slot in self.__slots__:
            setattr(new, slot, parts.get(slot, getattr(self, slot)))
        new._expects = {}
        new._beyond = [None] * len(new.cis)
        new._closures, new._pairs, new._kept = {}, _Pairs(), 0
        return new

    def __len__(self) -> int:
        return len(self.cis)

    @property
    def edges(self) -> int:
        """How many dependencies there are; an undirected edge is two."""
        return sum(map(len, self.providers))

    def shared_by(self, domain: str) -> str:
        """The backbone domain that a domain has dependencies with; empty if it stands alone, or is backbone itself."""
        return self._homes.get(domain, "")

    @property
    def grouped(self) -> bool:
        """Whether any CI has a redundancy group."""
        return bool(self.optional)

    def connected(self, number: int) -> bool:
        """Whether any edge touches the CI."""
        return bool(self.providers[number] or self.dependents[number])

    def home(self, number: int) -> str:
        """The backbone domain where it is decided what a failure of this CI has to do with others; empty if in its own.

        A CI that is connected with nothing has its own, whoever else is in its domain.
        """
        if not self._homes or not self.connected(number):
            return ""
        domain = self.domains[number]
        return domain if self.backbone[number] else self.shared_by(domain)

    def downstream(self, number: int) -> Levels:
        """The CI itself and all that depends on it, each once: item h holds the CIs that are h hops away; not kept."""
        return _levels(self.dependents, number)

    def impacted(self, number: int) -> list[int]:
        """Every CI that depends on this one, however far, without the CI itself; nearest first.

        Redundancy is not asked: this is whom the failure may reach. Whom it does reach tells impact.py.
        """
        return [ci for level in self.downstream(number)[1:] for ci in level]

    def reach(self, number: int) -> Reach:
        """The CI itself (cost 0) and all it depends on by paths of at most `max_cost`, the cheapest first."""
        return ((number, 0), *self.beyond(number))

    def beyond(self, number: int) -> Reach:
        """`reach` without the CI itself; CIs with the same edges share it."""
        found = self._beyond[number]
        return self._closure(number, 0) if found is None else found

    def _closure(self, number: int, depth: int) -> Reach:
        """Put together from what is beyond the providers; deep down, and so in a cycle, searched for."""
        signature = self.providers[number], self.costs[number]
        closure = self._closures.get(signature)
        if closure is None:
            full = self._kept > KEPT
            if full and not depth:
                self._forget()
            search = depth == _DEEP or (full and depth)
            best = _cheapest(self, *signature) if search else self._merged(*signature, depth + 1)
            codes = sorted([cost << 32 | other for other, cost in best.items()])
            closure = tuple(map(self._pairs.__getitem__, codes))
            self._closures[signature] = closure
            self._kept += len(closure)
            in_cycle = number in best
        else:
            in_cycle = any(other == number for other, _ in closure)
        if in_cycle:  # other CIs with the same edges may not be in it
            closure = tuple(pair for pair in closure if pair[0] != number)
        self._beyond[number] = closure
        return closure

    def _merged(self, providers: tuple[int, ...], costs: tuple[int, ...], depth: int) -> dict[int, int]:
        """CI -> cost of the cheapest path over these edges."""
        best: dict[int, int] = {}
        most = self.max_cost
        for provider, first in zip(providers, costs, strict=True):
            if first <= best.get(provider, most):
                best[provider] = first
            further = self._beyond[provider]
            for number, cost in self._closure(provider, depth) if further is None else further:
                cost += first
                if cost > most:
                    break
                if number not in best or cost < best[number]:
                    best[number] = cost
        return best

    def _forget(self) -> None:
        """Begin anew with the closures, so that an estate of long chains does not fill the memory."""
        self._closures.clear()
        self._pairs.clear()
        self._beyond = [None] * len(self.cis)
        self._kept = 0

    def path(self, dependent: int, provider: int) -> tuple[int, ...]:
        """The CIs on the cheapest path, both ends included; empty if there is none of at most `max_cost`."""
        cheapest = {dependent: 0} | dict(self.beyond(dependent))
        if provider not in cheapest:
            return ()
        found = [provider]
        while found[-1] != dependent:
            here = found[-1]
            found.append(
                min(
                    other
                    for other in self.dependents[here]
                    if other in cheapest and cheapest[other] + self.cost(other, here) == cheapest[here]
                )
            )
        return tuple(reversed(found))

    def cost(self, dependent: int, provider: int) -> int:
        """What the edge costs; ValueError if there is none."""
        return self.costs[dependent][self.providers[dependent].index(provider)]

    def expects(self, number: int, now: int | None = None) -> tuple[int, ...]:
        """The dependents whose silence speaks against a failure of this CI.

        Monitored, direct, by an edge whose direction is known, and not able to do without this CI; with `now`
        (milliseconds since 1970) only those in service then.
        """
        found = self._expects.get(number)
        if found is None:
            found = self._expects[number] = tuple(
                other for other in self.dependents[number] if self.cis[other].monitored and self._needs(other, number)
            )
        if now is not None and self.service_times:
            return tuple(other for other in found if self.in_service(other, now))
        return found

    def _needs(self, dependent: int, provider: int) -> bool:
        return provider not in self.optional.get(dependent, ()) or any(
            member == provider and not group.spares(weight)
            for group in self.groups[dependent]
            for member, weight in group.members
        )

    def in_service(self, number: int, now: int) -> bool:
        """Whether the CI is in its service time then (milliseconds since 1970)."""
        times = self.service_times.get(number)
        return times is None or times.covers(now)


def _homes(graph: CIGraph) -> dict[str, str]:
    """Domain -> the backbone domain with which it has dependencies; ValueError if these are several."""
    homes: dict[str, str] = {}
    for dependent, providers in enumerate(graph.providers):
        for provider in providers:
            if graph.backbone[dependent] != graph.backbone[provider]:
                inner, outer = (dependent, provider) if graph.backbone[provider] else (provider, dependent)
                domain, home = graph.domains[inner], graph.domains[outer]
                if homes.setdefault(domain, home) != home:
                    raise ValueError(f"domain {domain!r} has dependencies with two backbones: {homes[domain]}, {home}")
    return homes


_Costs = dict[tuple[int, int], int]
"""(dependent, provider) -> cost."""


def _state(costs: _Costs, dependent: int, provider: int, cost: int) -> None:
    """An edge of that cost; of two statements about one edge, the cheaper holds."""
    edge = dependent, provider
    costs[edge] = min(cost, costs.get(edge, cost))


def _spare_edges(peers: Iterable[Edge], groups: Sequence[Sequence[Group]]) -> _Costs:
    """The edges whose provider's loss alone does not decide: between peers, and into groups."""
    spare: _Costs = {}
    for edge in peers:
        _state(spare, edge.dependent, edge.provider, edge.cost + UNDIRECTED)
        _state(spare, edge.provider, edge.dependent, edge.cost + UNDIRECTED)
    for number, needed in enumerate(groups):
        for group in needed:
            for member, weight in group.members:
                _state(spare, number, member, group.cost + (REDUNDANT if group.spares(weight) else 0))
    return spare


def _per_ci(cis: Sequence[CI], groups: Mapping[int, Sequence[Group]]) -> tuple[tuple[Group, ...], ...]:
    return tuple(tuple(groups.get(number, ())) for number in range(len(cis)))


def _by_dependent(edges: Iterable[tuple[int, int]]) -> dict[int, frozenset[int]]:
    providers: dict[int, list[int]] = {}
    for dependent, provider in edges:
        providers.setdefault(dependent, []).append(provider)
    return {dependent: frozenset(many) for dependent, many in providers.items()}


def _shared(lists: Iterable[list[int]]) -> tuple[tuple[int, ...], ...]:
    """The lists as tuples, equal ones the same object: everything behind a switch has the same providers."""
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    return tuple(known.setdefault(each, each) for each in map(tuple, lists))


class _Pairs(dict[int, tuple[int, int]]):
    """cost * 2^32 + CI -> (CI, cost): sorts like Reach, and makes every pair once."""

    def __missing__(self, code: int) -> tuple[int, int]:
        pair = self[code] = code & 0xFFFF_FFFF, code >> 32
        return pair


def _cheapest(graph: CIGraph, providers: tuple[int, ...], costs: tuple[int, ...]) -> dict[int, int]:
    """CI -> cost of the cheapest path over these edges (Dijkstra)."""
    best = {provider: cost for provider, cost in zip(providers, costs, strict=True) if cost <= graph.max_cost}
    queue = sorted((cost, number) for number, cost in best.items())
    while queue:
        so_far, number = heappop(queue)
        if best[number] != so_far:
            continue
        for provider, cost in zip(graph.providers[number], graph.costs[number], strict=True):
            cost += so_far
            if cost <= graph.max_cost and cost < best.get(provider, _FAR):
                best[provider] = cost
                heappush(queue, (cost, provider))
    return best


def _levels(edges: Sequence[tuple[int, ...]], start: int) -> Levels:
    """Breadth first from `start` along `edges`; a cycle ends where a CI has been seen at fewer hops."""
    seen = {start}
    levels: list[tuple[int, ...]] = []
    edge: tuple[int, ...] = (start,)
    while edge:
        levels.append(edge)
        reached: dict[int, None] = {}
        for number in edge:
            for neighbour in edges[number]:
                if neighbour not in seen:
                    seen.add(neighbour)
                    reached[neighbour] = None
        edge = tuple(reached)
    return tuple(levels)
