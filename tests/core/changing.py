"""Random lives on an estate whose topology changes meanwhile: CIs and dependencies that come, change and go."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from timetable import PROFILES

from estates import GAPS, Step, happen
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.topology_records import CIRecord, EdgeRecord, Group, TopologyRecord
from opsbridge.topology.domains import DomainAttribute
from opsbridge.topology.live import LiveTopology, build
from opsbridge.topology.strength import EDGE_COSTS

SITES = ("", "fra1", "fra1", "muc1", "ber1")


@dataclass(frozen=True)
class Life:
    """An estate, and what happens: reports, times that come, and other topologies."""

    first: CIGraph
    steps: list[Step | CIGraph]


def graph_of(live: LiveTopology, domains: DomainAttribute | None) -> CIGraph:
    return build((), live.snapshot(), edge_costs=EDGE_COSTS, domain_attribute=domains).topology.graph


def some_life(chance: random.Random, *, domains: DomainAttribute | None = None, gaps: tuple[int, ...] = GAPS) -> Life:
    live = LiveTopology()
    names = [f"ci{number}" for number in range(chance.randint(4, 16))]
    for record in _estate(chance, names):
        live.learn(record)
    first = graph_of(live, domains)
    steps: list[Step | CIGraph] = []
    for step in happen(chance, first, gaps, lengths=(20, 60)):
        steps.append(step)
        if chance.random() < 0.15:
            for _ in range(chance.choice((1, 1, 3))):
                _change(chance, live, names)
            steps.append(graph_of(live, domains))
    return Life(first, steps)


def _estate(chance: random.Random, names: list[str]) -> Iterator[TopologyRecord]:
    for number, name in enumerate(names):
        yield _ci(chance, name, names[:number])
        for other in names[:number]:
            if chance.random() < 0.2:
                yield EdgeRecord(from_=name, on=other, undirected=chance.random() < 0.1)


def _ci(chance: random.Random, name: str, others: list[str]) -> CIRecord:
    needs = (Group(tuple(chance.sample(others, 2)), name="spare"),) if len(others) > 1 and chance.random() < 0.3 else ()
    return CIRecord(
        id=name,
        site=chance.choice(SITES),
        type=chance.choice(("", "service")),
        monitored=chance.random() < 0.85,
        needs=needs,
    )


def _change(chance: random.Random, live: LiveTopology, names: list[str]) -> None:
    known = [*live.snapshot().cis, *live.snapshot().edges]
    if known and chance.random() < 0.5:
        live.withdraw(chance.choice(known))
        return
    one, other = chance.sample(names, 2)
    live.learn(_ci(chance, one, names[:4]) if chance.random() < 0.4 else EdgeRecord(from_=one, on=other))


def pipeline_on(graph: CIGraph) -> Pipeline:
    return Pipeline(graph, Rulebook(profiles=PROFILES))


def estate(cis: Iterable[str], edges: Iterable[str], **site: str) -> CIGraph:
    """A graph of live records; edges as `a>b`."""
    live = LiveTopology()
    for name in cis:
        live.learn(CIRecord(id=name, site=site.get(name, ""), type="service" if name.startswith("svc") else ""))
    for edge in edges:
        dependent, _, provider = edge.partition(">")
        live.learn(EdgeRecord(from_=dependent, on=provider))
    return graph_of(live, "site" if site else None)


__all__ = ["CI", "Life", "estate", "graph_of", "pipeline_on", "some_life"]
