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
    aliases: int
    services: int
    unmonitored: int
    types: tuple[tuple[str, int], ...]
    domains: tuple[tuple[str, int], ...]
    """Connected components of more than one CI, each named after its smallest id, with its size."""
    cycles: tuple[tuple[str, ...], ...]
    """CIs that depend on each other, directly or not: legal, they fail as one."""
    orphans: tuple[str, ...]
    """CIs without any edge: their alerts are correlated alone."""
    top_providers: tuple[Provider, ...]


def analyse(topology: Topology, *, top: int = 10) -> Analysis:
    """The figures of a topology; `top` is how many providers to name."""
    import networkx

    graph = topology.graph
    digraph = topology.digraph()
    cycles = (sorted(part) for part in networkx.strongly_connected_components(digraph) if len(part) > 1)
    domains = Counter(graph.domains)
    return Analysis(
        cis=len(graph),
        edges=digraph.number_of_edges(),
        aliases=len(topology.aliases),
        services=sum(ci.service for ci in graph.cis),
        unmonitored=sum(not ci.monitored for ci in graph.cis),
        types=_by_size(Counter(ci.type for ci in graph.cis)),
        domains=_by_size(Counter({domain: size for domain, size in domains.items() if size > 1})),
        cycles=tuple(sorted(map(tuple, cycles), key=lambda cycle: (-len(cycle), cycle))),
        orphans=tuple(sorted(networkx.isolates(digraph))),
        top_providers=_top_providers(graph, top),
    )


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
