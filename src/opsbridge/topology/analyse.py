"""What an operator wants to know of a whole estate: sizes, cycles, orphans, and who carries the most.

networkx does the graph work and is imported only when asked (it takes a quarter of a second). Called by
`opsbridge topology check`; nothing on the event path needs this.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from opsbridge.core.graph import CIGraph
from opsbridge.topology.load import Topology

_STEPS: Final = 10_000_000
"""How many CIs and edges may be visited to find the top providers: a few seconds."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A CI that others depend on: how many directly, and how many if everything behind those counts too."""

    ci: str
    type: str
    direct: int
    dependents: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """The estate in figures; tuples are ordered by size, then by name."""

    cis: int
    edges: int
    """Every (dependent, provider); an undirected dependency is two."""
    undirected: int
    groups: int
    """Redundancy groups."""
    aliases: int
    services: int
    unmonitored: int
    timed: int
    """CIs with a service time."""
    types: tuple[tuple[str, int], ...]
    edge_types: tuple[tuple[str, int], ...]
    """Types of dependencies, each with how many are stated; "" if none is."""
    domains: tuple[tuple[str, int], ...]
    """Correlation domains of more than one CI, each with its size."""
    backbone: int
    """CIs that several domains share, or that are in none."""
    cycles: tuple[tuple[str, ...], ...]
    """CIs that depend on each other, directly or not, in a known direction: legal, they fail as one."""
    orphans: tuple[str, ...]
    """CIs without any edge: their alerts are correlated alone."""
    top_providers: tuple[Provider, ...]


def analyse(topology: Topology, *, top: int = 10) -> Analysis:
    """The figures of a topology; `top` is how many providers to name."""
    import networkx

    graph = topology.graph
    digraph = topology.digraph()
    orphans = sorted(networkx.isolates(digraph))
    undirected = _peers(graph)
    digraph.remove_edges_from((graph.cis[one].id, graph.cis[other].id) for one, other in undirected)
    cycles = (sorted(part) for part in networkx.strongly_connected_components(digraph) if len(part) > 1)
    domains = Counter(graph.domains)
    return Analysis(
        cis=len(graph),
        edges=graph.edges,
        undirected=sum((other, one) in undirected for one, other in undirected if one < other),
        groups=sum(map(len, graph.groups)),
        aliases=len(topology.aliases),
        services=sum(ci.service for ci in graph.cis),
        unmonitored=sum(not ci.monitored for ci in graph.cis),
        timed=len(graph.service_times),
        types=_by_size(Counter(ci.type for ci in graph.cis)),
        edge_types=_by_size(Counter(topology.edge_types)),
        domains=_by_size(Counter({domain: size for domain, size in domains.items() if size > 1})),
        backbone=sum(graph.backbone),
        cycles=tuple(sorted(map(tuple, cycles), key=lambda cycle: (-len(cycle), cycle))),
        orphans=tuple(orphans),
        top_providers=_top_providers(graph, top),
    )


def _peers(graph: CIGraph) -> set[tuple[int, int]]:
    """The edges that are there only because a direction is not known, in either order."""
    grouped = {
        (number, member)
        for number, groups in enumerate(graph.groups)
        for group in groups
        for member, _ in group.members
    }
    return {(one, other) for one, many in graph.optional.items() for other in many} - grouped


def _by_size(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _top_providers(graph: CIGraph, top: int) -> tuple[Provider, ...]:
    """Exact in estates of a few thousand CIs; in larger ones among those with the most direct dependents."""
    asked = max(top, _STEPS // (1 + len(graph) + sum(map(len, graph.providers))))
    widest = sorted(range(len(graph)), key=lambda number: (-len(graph.dependents[number]), number))[:asked]
    providers = [
        Provider(
            graph.cis[number].id, graph.cis[number].type, len(graph.dependents[number]), len(graph.impacted(number))
        )
        for number in widest
        if graph.dependents[number]
    ]
    return tuple(sorted(providers, key=lambda provider: (-provider.dependents, provider.ci))[:top])
