"""Many documents, one graph: who is defined where, which names mean whom, when each CI is in service.

Nothing here reads files; the loader hands in validated documents (of a document that failed, what could be saved, so
that one wrong field does not make every edge to that file's CIs look wrong too). What depends on what is read in
`links`, what is a domain in `domains`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from opsbridge.core.calendar import ServiceTime
from opsbridge.core.graph import CI, CIGraph
from opsbridge.documents import Document, Fault, Spot, dotted
from opsbridge.documents.weekly import in_order, minutes, time_zone
from opsbridge.topology.domains import DomainAttribute, domains
from opsbridge.topology.links import Stated, links
from opsbridge.topology.model import SERVICE_TYPES, CIEntry

_Definition = tuple[CIEntry, Document, int]
"""An entry, and where it stands: its document and its index there."""


@dataclass(slots=True)
class Merged:
    """The graph, every alias with its CI's id, and what there is to say about how the documents fit together."""

    graph: CIGraph
    aliases: dict[str, str]
    edge_types: Counter[str]
    """How many dependencies are stated of each type."""
    faults: list[Fault] = field(default_factory=list)


def merge(
    stated: Sequence[Stated],
    *,
    complete: bool,
    edge_costs: Mapping[str, int],
    domain_attribute: DomainAttribute | None = None,
) -> Merged:
    """One graph of all documents, CIs numbered in the order of their ids: it does not matter which file says what.

    Unless `complete`, a file could not be parsed and unknown ends are not reported: they may be defined there.
    """
    faults: list[Fault] = []
    entries = _defined(stated, faults)
    ids = sorted(entries)
    numbers = {ci: number for number, ci in enumerate(ids)}
    aliases = {alias: numbers[ci] for alias, ci in _aliases(stated, entries, faults).items()}
    names = numbers | aliases
    found = links(stated, names, edge_costs, faults if complete else [])
    cis = [_ci(entries[ci][0]) for ci in ids]
    split = domains(cis, list(found.pairs()), domain_attribute)
    graph = CIGraph(
        cis,
        edges=found.edges,
        groups=found.groups,
        aliases=aliases,
        domains=split.names,
        backbone=split.backbone,
        service_times={numbers[ci]: times for ci, times in _service_times(entries.values(), faults)},
    )
    return Merged(graph, {alias: ids[number] for alias, number in aliases.items()}, found.types, faults)


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


def _defined(stated: Sequence[Stated], faults: list[Fault]) -> dict[str, _Definition]:
    """Every id with its first definition; a second one is a fault."""
    entries: dict[str, _Definition] = {}
    for part in stated:
        for index, entry in enumerate(part.cis):
            if entry is None:
                continue
            if entry.id not in entries:
                entries[entry.id] = entry, part.document, index
            else:
                spot = Spot(part.document, ("cis", index, "id"))
                message = f"{entry.id!r} is defined twice, first at"
                faults.append(Fault(spot, dotted(spot.loc), message, related=_spot(entries[entry.id])))
    return entries


def _spot(definition: _Definition) -> Spot:
    return Spot(definition[1], ("cis", definition[2], "id"))


def _aliases(stated: Sequence[Stated], entries: dict[str, _Definition], faults: list[Fault]) -> dict[str, str]:
    """Every alias with the id of its one CI."""
    aliases: dict[str, str] = {}

    def check(alias: str, entry: CIEntry, spot: Spot) -> None:
        if alias == entry.id or aliases.get(alias) == entry.id:
            faults.append(Fault(spot, dotted(spot.loc), f"{alias!r} already is a name of this CI", "warning"))
        elif alias in entries:
            message = f"{alias!r} is the id of another CI, defined at"
            faults.append(Fault(spot, dotted(spot.loc), message, related=_spot(entries[alias])))
        else:
            message = f"{alias!r} is already an alias of {aliases[alias]!r}, defined at"
            faults.append(Fault(spot, dotted(spot.loc), message, related=_spot(entries[aliases[alias]])))

    for part in stated:
        for index, entry in enumerate(part.cis):
            if entry is None:
                continue
            for position, alias in enumerate(entry.aliases):
                if alias in aliases or alias in entries:
                    check(alias, entry, Spot(part.document, ("cis", index, "aliases", position)))
                else:
                    aliases[alias] = entry.id
    return aliases


def _service_times(definitions: Iterable[_Definition], faults: list[Fault]) -> Iterator[tuple[str, ServiceTime]]:
    """The id and service time of every CI that is not always in service."""
    for entry, document, index in definitions:
        if not entry.service_time:
            if "time_zone" in entry.model_fields_set:
                spot = Spot(document, ("cis", index, "time_zone"), key=True)
                faults.append(Fault(spot, dotted(spot.loc), "says nothing without service_time", "warning"))
            continue
        windows: list[tuple[int, int]] = []
        for position, text in enumerate(entry.service_time):
            try:
                windows += minutes(text)
            except ValueError as empty:
                spot = Spot(document, ("cis", index, "service_time", position))
                faults.append(Fault(spot, dotted(spot.loc), str(empty)))
        try:
            yield entry.id, ServiceTime(in_order(windows), time_zone(entry.time_zone))
        except ValueError as unknown:
            spot = Spot(document, ("cis", index, "time_zone"))
            faults.append(Fault(spot, dotted(spot.loc), str(unknown)))
