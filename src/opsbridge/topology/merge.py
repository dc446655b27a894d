"""Many documents, one graph: who is defined where, which names mean whom, and whether both ends of every edge exist.

Nothing here reads files; the loader hands in validated documents (of a document that failed, what could be saved, so
that one wrong field does not make every edge to that file's CIs look wrong too).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from opsbridge.core.graph import CI, CIGraph
from opsbridge.documents import Document, Fault, Nearest, Spot, dotted
from opsbridge.topology.model import SERVICE_TYPES, CIEntry

_Definition = tuple[CIEntry, Document, int]
"""An entry, and where it stands: its document and its index there."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What one document states; entries and edges keep their index in it, None where nothing could be saved."""

    document: Document
    cis: Sequence[CIEntry | None]
    depends_on: Sequence[Sequence[str] | None]


@dataclass(slots=True)
class Merged:
    """The graph, every alias with its CI's id, and what there is to say about how the documents fit together."""

    graph: CIGraph
    aliases: dict[str, str]
    faults: list[Fault] = field(default_factory=list)


def merge(stated: Sequence[Stated], *, complete: bool) -> Merged:
    """One graph of all documents, CIs numbered in the order of their ids: it does not matter which file says what.

    Unless `complete`, a file could not be parsed and unknown ends are not reported: they may be defined there.
    """
    faults: list[Fault] = []
    entries = _defined(stated, faults)
    ids = sorted(entries)
    numbers = {ci: number for number, ci in enumerate(ids)}
    aliases = {alias: numbers[ci] for alias, ci in _aliases(stated, entries, faults).items()}
    names = numbers | aliases
    edges = list(_edges(stated, names, faults if complete else []))
    graph = CIGraph([_ci(entries[ci][0]) for ci in ids], edges, aliases=aliases, domains=_domains(ids, edges))
    return Merged(graph, {alias: ids[number] for alias, number in aliases.items()}, faults)


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


def _edges(stated: Sequence[Stated], names: dict[str, int], faults: list[Fault]) -> Iterator[tuple[int, int]]:
    """(dependent, provider) in numbers; unknown ends and self-dependencies become faults."""
    nearest = Nearest(names)

    def number(name: str, part: Stated, *loc: str | int) -> int | None:
        found = names.get(name)
        if found is None:
            message = f"no CI has the id or alias {name!r}{nearest.hint(name)}"
            faults.append(Fault(Spot(part.document, loc), dotted(loc), message))
        return found

    for part in stated:
        for index, entry in enumerate(part.cis):
            if entry is None:
                continue
            dependent = names[entry.id]
            for position, name in enumerate(entry.depends_on):
                loc = ("cis", index, "depends_on", position)
                provider = number(name, part, *loc)
                if provider == dependent:
                    faults.append(_itself(part, loc, name))
                elif provider is not None:
                    yield dependent, provider
        for index, pair in enumerate(part.depends_on):
            if pair is None:
                continue
            ends = [number(name, part, "depends_on", index, position) for position, name in enumerate(pair)]
            if None not in ends and ends[0] == ends[1]:
                faults.append(_itself(part, ("depends_on", index), pair[0]))
            elif None not in ends:
                yield ends[0], ends[1]  # type: ignore[misc]  # neither is None


def _itself(part: Stated, loc: tuple[str | int, ...], name: str) -> Fault:
    return Fault(Spot(part.document, loc), dotted(loc), f"{name!r} depends on itself; ignored", "warning")


def _domains(ids: Sequence[str], edges: Iterable[tuple[int, int]]) -> list[str]:
    """The correlation domain of each CI: its connected component, named after the component's smallest id."""
    parent = list(range(len(ids)))

    def top(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    for edge in edges:
        one, other = sorted(map(top, edge))
        parent[other] = one
    return [ids[top(number)] for number in range(len(ids))]
