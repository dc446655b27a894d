"""A graph with what has gone from it and is still held on to: CIs, dependencies and groups by name, put back in.

The graph is that of all partitions and is not changed: the answer shares all that it has in common with it. Called when
a lane takes over another topology or its saved state (holding.py says what is held).
"""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from opsbridge.core.graph import CI, REDUNDANT, CIGraph, Group


class HeldGroup(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A redundancy group by the names of its members."""

    members: tuple[tuple[str, int], ...]
    at_least: int
    cost: int
    name: str


class HeldCI(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A CI that a situation uses, with what it needs of others that it uses."""

    ci: CI
    domain: str
    backbone: bool
    providers: tuple[tuple[str, int, bool], ...] = ()
    """Id, cost, and whether its loss alone does not decide."""
    groups: tuple[HeldGroup, ...] = ()


def held_cis(graph: CIGraph, numbers: Iterable[int], among: Collection[int]) -> tuple[HeldCI, ...]:
    """Of these CIs, those that may go or have: what they need of those `among` which it is, and their groups whole."""
    passing, cis = graph.passing, graph.cis
    found: dict[int, HeldCI] = {}
    members: dict[int, None] = {}
    for number in numbers:
        if number not in passing:
            continue
        optional = graph.optional.get(number, frozenset())
        providers = sorted(
            (cis[other].id, cost, other in optional)
            for other, cost in zip(graph.providers[number], graph.costs[number], strict=True)
            if other in among
        )
        groups = tuple(
            HeldGroup(
                tuple(sorted((cis[member].id, weight) for member, weight in group.members)),
                group.at_least,
                group.cost,
                group.name,
            )
            for group in graph.groups[number]
        )
        if not (providers or groups or passing[number]):
            continue
        found[number] = HeldCI(cis[number], graph.domains[number], graph.backbone[number], tuple(providers), groups)
        members.update((member, None) for group in graph.groups[number] for member, _ in group.members)
    for number in members:
        if passing.get(number) and number not in found:
            found[number] = HeldCI(cis[number], graph.domains[number], graph.backbone[number])
    return tuple(sorted(found.values(), key=lambda held: held.ci.id))  # numbers differ from graph to graph


def alike(one: Iterable[HeldCI], other: Iterable[HeldCI]) -> bool:
    """Whether both are the same CIs with the same needs, whatever domains they are in."""
    shapes = ([(held.ci, held.providers, held.groups) for held in each] for each in (one, other))
    return next(shapes) == next(shapes)


def with_held(graph: CIGraph, held: Iterable[HeldCI]) -> CIGraph:
    """The graph with all of this in it; the graph itself if it has all of it."""
    growing = _Growing(graph)
    held = sorted(held, key=lambda each: (each.ci.id, each.domain))  # whoever holds it
    for each in held:
        growing.ci(each)
    for each in held:
        growing.needs(each)
    return growing.grown()


class _Growing:
    """What a graph has, and what has been put in."""

    def __init__(self, graph: CIGraph) -> None:
        self._graph = graph
        self._new: list[HeldCI] = []
        self._numbers: dict[str, int] = {}
        self._edges: dict[tuple[int, int], tuple[int, bool]] = {}
        self._groups: dict[int, tuple[Group, ...]] = {}

    def ci(self, held: HeldCI) -> None:
        name = held.ci.id
        if name not in self._graph.numbers and name not in self._numbers:
            self._numbers[name] = len(self._graph) + len(self._new)
            self._new.append(held)

    def needs(self, held: HeldCI) -> None:
        number = self._number(held.ci.id)
        if number is None:
            return
        for name, cost, optional in held.providers:
            self._edge(number, self._number(name), cost, optional=optional)
        for group in held.groups:
            self._group(number, group)

    def _number(self, name: str) -> int | None:
        known = self._graph.numbers.get(name)
        return self._numbers.get(name) if known is None else known

    def _edge(self, dependent: int, provider: int | None, cost: int, *, optional: bool) -> None:
        if provider is None or provider == dependent:
            return
        if dependent < len(self._graph) and provider in self._graph.providers[dependent]:
            return
        known = self._edges.get((dependent, provider))
        if known is not None:
            cost, optional = min(cost, known[0]), optional and known[1]
        self._edges[dependent, provider] = cost, optional

    def _group(self, number: int, held: HeldGroup) -> None:
        """A group that has gone stays; one of the same name that has changed has the members of both."""
        there = self._groups.get(number)
        if there is None:
            there = self._graph.groups[number] if number < len(self._graph) else ()
        members = {at: weight for name, weight in held.members if (at := self._number(name)) is not None}
        same = next((each for each in there if each.name == held.name and (each.name or _overlap(each, members))), None)
        if same is not None and members.keys() <= dict(same.members).keys():
            return
        others = tuple(each for each in there if each is not same)
        together = members if same is None else {**members, **dict(same.members)}
        at_least = min(held.at_least if same is None else same.at_least, sum(together.values()))
        group = Group(tuple(sorted(together.items())), at_least, held.cost, held.name)
        self._groups[number] = (*others, group)
        for member, weight in group.members:
            self._edge(number, member, group.cost + (REDUNDANT if group.spares(weight) else 0), optional=True)

    def grown(self) -> CIGraph:
        graph = self._graph
        if not (self._new or self._edges or self._groups):
            return graph
        return _put_together(graph, self._new, self._numbers, self._edges, self._groups)


def _overlap(group: Group, members: Collection[int]) -> bool:
    return any(member in members for member, _ in group.members)


def _put_together(
    graph: CIGraph,
    new: Sequence[HeldCI],
    numbers: dict[str, int],
    edges: dict[tuple[int, int], tuple[int, bool]],
    groups: dict[int, tuple[Group, ...]],
) -> CIGraph:
    providers, costs = [*graph.providers, *[()] * len(new)], [*graph.costs, *[()] * len(new)]
    dependents, needed = [*graph.dependents, *[()] * len(new)], [*graph.groups, *[()] * len(new)]
    optional = dict(graph.optional)
    by_dependent: dict[int, dict[int, int]] = {}
    by_provider: dict[int, list[int]] = {}
    for (dependent, provider), (cost, is_optional) in edges.items():
        by_dependent.setdefault(dependent, {})[provider] = cost
        by_provider.setdefault(provider, []).append(dependent)
        if is_optional:
            optional[dependent] = optional.get(dependent, frozenset()) | {provider}
    for dependent, added in by_dependent.items():
        known = dict(zip(providers[dependent], costs[dependent], strict=True)) | added
        providers[dependent] = tuple(sorted(known))
        costs[dependent] = tuple(known[provider] for provider in providers[dependent])
    for provider, others in by_provider.items():
        dependents[provider] = tuple(sorted({*dependents[provider], *others}))
    for number, those in groups.items():
        needed[number] = those
    stay = dict.fromkeys((*by_dependent, *groups), False)
    passing = stay | dict(graph.passing) | dict.fromkeys(numbers.values(), True)
    return graph.altered(
        cis=(*graph.cis, *(each.ci for each in new)),
        numbers={**graph.numbers, **numbers} if new else graph.numbers,
        providers=tuple(providers),
        costs=tuple(costs),
        dependents=tuple(dependents),
        groups=tuple(needed),
        optional=optional,
        domains=(*graph.domains, *(each.domain for each in new)),
        backbone=(*graph.backbone, *(each.backbone for each in new)),
        passing=passing,
    )
