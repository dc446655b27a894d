"""Many documents, one graph: CIs with their numbers, names and dependencies, and when each is in service.

Nothing here reads files; the loader hands in validated documents (of a document that failed, what could be saved, so
that one wrong field does not make every edge to that file's CIs look wrong too), live topology what was told. Which
entries are one CI is decided in `identity`, what depends on what is read in `links`, what is a domain in `domains`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from opsbridge.core.calendar import ServiceTime
from opsbridge.core.graph import CI, CIGraph
from opsbridge.documents import Fault, Spot
from opsbridge.documents.weekly import in_order, minutes, time_zone
from opsbridge.topology.conflicts import Conflict, ConflictKind, Conflicts
from opsbridge.topology.domains import DomainAttribute, domains
from opsbridge.topology.identity import Known, by_precedence, identify
from opsbridge.topology.links import Stated, links
from opsbridge.topology.model import SERVICE_TYPES, CIEntry


@dataclass(slots=True)
class Merged:
    """The graph, every alias with its CI's id, who says what, and what does not fit together."""

    graph: CIGraph
    aliases: dict[str, str]
    edge_types: Counter[str]
    """How many dependencies are stated of each type."""
    edge_origins: dict[tuple[int, int], tuple[str, ...]]
    """(dependent, provider), by number, to who says so; empty if no document has an origin."""
    ci_origins: dict[int, tuple[str, ...]]
    """CI number to who speaks of it, what counts most first; without those that are written by hand only."""
    conflicts: list[Conflict]
    known: Known
    """Every CI with what is said about it."""

    @property
    def faults(self) -> list[Fault]:
        """The conflicts as what a file's reader is told."""
        return [conflict.fault for conflict in self.conflicts]


def merge(
    stated: Sequence[Stated],
    *,
    complete: bool,
    edge_costs: Mapping[str, int],
    domain_attribute: DomainAttribute | None = None,
    hints: bool = True,
) -> Merged:
    """One graph of all documents, CIs numbered in the order of their ids: it does not matter which file says what.

    What does not fit together is told in `conflicts`, and the graph is what is left without it. Unless `complete`, a
    file could not be parsed and unknown ends are not reported: they may be defined there. `hints`: people read what is
    wrong, so of an unknown name the nearest is told.
    """
    conflicts = Conflicts()
    stated = by_precedence(stated)
    for part in stated:
        if part.precedence and not part.origin:
            spot = Spot(part.document, ("precedence",), key=True)
            conflicts.add(ConflictKind.EMPTY, (), spot, "says nothing without origin", level="warning")
    known = identify(stated, conflicts)
    ids = sorted(known.definitions)
    numbers = {ci: number for number, ci in enumerate(ids)}
    aliases = {alias: numbers[ci] for alias, ci in known.aliases.items()}
    found = links(stated, numbers | aliases, edge_costs, conflicts if complete else Conflicts(), hints=hints)
    entries = [known.entry(ci) for ci in ids]
    cis = [_ci(entry) for entry in entries]
    split = domains(cis, list(found.pairs()), domain_attribute)
    graph = CIGraph(
        cis,
        edges=found.edges,
        groups=found.groups,
        aliases=aliases,
        domains=split.names,
        backbone=split.backbone,
        service_times={numbers[ci]: times for ci, times in _service_times(known, conflicts)},
    )
    return Merged(
        graph,
        {alias: ids[number] for alias, number in aliases.items()},
        found.types,
        found.origins,
        {numbers[ci]: origins for ci, origins in known.origins()},
        conflicts.found,
        known,
    )


def _ci(entry: CIEntry) -> CI:
    service = entry.type in SERVICE_TYPES if entry.service is None else entry.service
    return CI(
        entry.id,
        entry.type,
        entry.name,
        entry.owner,
        entry.environment,
        entry.site,
        entry.tier,
        service,
        entry.monitored,
        entry.group,
        entry.category,
        entry.runbook,
        tuple(entry.links),
        entry.users,
    )


def _service_times(known: Known, conflicts: Conflicts) -> Iterator[tuple[str, ServiceTime]]:
    """The id and service time of every CI that is not always in service, as the first says it that says one."""
    for ci, definitions in known.definitions.items():
        said = next((each for each in definitions if each.entry.service_time), None)
        for each in definitions:
            if not each.entry.service_time and "time_zone" in each.entry.model_fields_set:
                spot = Spot(each.document, ("cis", each.index, "time_zone"), key=True)
                conflicts.add(ConflictKind.EMPTY, [ci], spot, "says nothing without service_time", level="warning")
        if said is not None:
            windows: list[tuple[int, int]] = []
            for position, text in enumerate(said.entry.service_time):
                try:
                    windows += minutes(text)
                except ValueError as empty:
                    spot = Spot(said.document, ("cis", said.index, "service_time", position))
                    conflicts.add(ConflictKind.BAD_TIME, [ci], spot, str(empty))
            try:
                yield ci, ServiceTime(in_order(windows), time_zone(said.entry.time_zone))
            except ValueError as unknown:
                conflicts.add(ConflictKind.BAD_TIME, [ci], said.spot("time_zone"), str(unknown))
