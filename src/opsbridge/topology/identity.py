"""Which entries of all documents are one CI, what it is called, and which of several statements about it counts.

An origin (a tool, a list; the files without one are written by hand) defines a CI once. What several origins say
about one CI comes together: it is one if they give it the same id, or if one gives the id as an alias that the other
one uses as id. Only `merge` calls this.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from opsbridge.documents import Document, Level, Spot
from opsbridge.topology.conflicts import ConflictKind, Conflicts
from opsbridge.topology.links import Stated
from opsbridge.topology.model import CIEntry


@dataclass(frozen=True, slots=True)
class Definition:
    """An entry, who says so and where it stands."""

    entry: CIEntry
    document: Document
    index: int
    origin: str
    rank: int
    """The smaller, the more it counts."""

    def spot(self, field: str = "id") -> Spot:
        """Where that field of it is said."""
        return Spot(self.document, ("cis", self.index, field))


@dataclass(slots=True)
class Known:
    """Every CI with what is said about it, what counts most first, and every further name with its CI's id."""

    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def entry(self, ci: str) -> CIEntry:
        """The one entry of what all origins say: each field from the first that says it; dependencies are not in it."""
        definitions = self.definitions[ci]
        first = definitions[0].entry
        if len(definitions) == 1:
            return first
        said: dict[str, object] = {}
        for each in reversed(definitions):
            entry = each.entry
            fields = entry.model_fields_set - _TOGETHER
            if entry.service_time:
                fields |= {"service_time", "time_zone"}
            said.update((name, getattr(entry, name)) for name in fields)
        return CIEntry.model_construct(**{**said, "id": ci})  # type: ignore[arg-type]  # the fields of valid entries

    def origins(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every CI that an origin speaks of, with all that speak of it, what counts most first."""
        for ci, definitions in self.definitions.items():
            if len(definitions) > 1 or definitions[0].origin:
                yield ci, tuple(dict.fromkeys(each.origin for each in definitions))


_TOGETHER = frozenset({"id", "aliases", "depends_on", "needs", "service_time", "time_zone"})
"""What is not taken field by field: names and dependencies of all origins count, a time zone goes with its times."""


def by_precedence(stated: Sequence[Stated]) -> list[Stated]:
    """What is written by hand first, then origins of falling precedence, then by their names."""
    return sorted(stated, key=lambda part: (part.origin != "", -part.precedence if part.origin else 0, part.origin))


def identify(stated: Sequence[Stated], conflicts: Conflicts) -> Known:
    """All CIs and their names; `stated` in the order of precedence."""
    by_id = _defined(stated, conflicts)
    name_of = _one_ci(by_id, conflicts)
    known = Known(by_id)
    if name_of:
        known.definitions = {}
        for ci, definitions in by_id.items():
            known.definitions.setdefault(name_of.get(ci, ci), []).extend(definitions)
        for definitions in known.definitions.values():
            if len(definitions) > 1:
                definitions.sort(key=_rank)
    _aliases(known, by_id, name_of, conflicts)
    return known


def _rank(definition: Definition) -> int:
    return definition.rank


def _defined(stated: Sequence[Stated], conflicts: Conflicts) -> dict[str, list[Definition]]:
    """Every id with what each origin says; a second definition of one origin is a conflict."""
    by_id: dict[str, list[Definition]] = {}
    for rank, part in enumerate(stated):
        origin = part.origin
        for index, entry in enumerate(part.cis):
            if entry is None:
                continue
            new = Definition(entry, part.document, index, origin, rank)
            there = by_id.get(entry.id)
            if there is None:
                by_id[entry.id] = [new]
            elif (first := next((each for each in there if each.origin == origin), None)) is None:
                there.append(new)
            else:
                message = f"{entry.id!r} is defined twice, first at"
                conflicts.add(ConflictKind.DEFINED_TWICE, [entry.id], new.spot(), message, related=first.spot())
    return by_id


def _one_ci(by_id: dict[str, list[Definition]], conflicts: Conflicts) -> dict[str, str]:
    """Id to the id of the CI that it is, for those that are another one's alias in another origin.

    The id that counts is the one of the origin that counts most. Two ids of one origin are never one CI.
    """
    of: dict[str, str] = {}
    ids_in: dict[str, dict[str, str]] = {}  # of a CI that has several ids: origin to the id there

    def spoken_of(ci: str) -> dict[str, str]:
        return ids_in.get(ci) or {each.origin: ci for each in by_id[ci]}

    for definitions in list(by_id.values()):
        for said in definitions:
            for position, alias in enumerate(said.entry.aliases):
                others = by_id.get(alias)
                if others is None or alias == said.entry.id or any(each.origin == said.origin for each in others):
                    continue
                one, other = of.get(said.entry.id, said.entry.id), of.get(alias, alias)
                if one == other:
                    continue
                ours, theirs = spoken_of(one), spoken_of(other)
                if apart := sorted(ours.keys() & theirs.keys()):
                    ids = ours[apart[0]], theirs[apart[0]]
                    kept_by = f"the origin {apart[0]!r}" if apart[0] else "what is written by hand"
                    message = f"{alias!r} would make one CI of {ids[0]!r} and {ids[1]!r}, which {kept_by} keeps apart"
                    spot = Spot(said.document, ("cis", said.index, "aliases", position))
                    level: Level = "warning" if said.origin else "error"
                    conflicts.add(ConflictKind.SAME_AS_TWO, [alias, *ids], spot, message, level=level)
                    continue
                kept, gone = sorted((one, other), key=lambda ci: by_id[ci][0].rank)
                ids_in[kept] = ours | theirs
                for ci in [gone, *(ids_in.pop(gone, {}).values())]:
                    of[ci] = kept
    return of


def _aliases(known: Known, by_id: dict[str, list[Definition]], name_of: dict[str, str], conflicts: Conflicts) -> None:
    """Every further name with its CI: of the statements about a name, the one that counts most."""
    aliases = known.aliases
    aliases.update(name_of)
    said_by: dict[str, Definition] = {}
    everything = [(said, ci) for ci, definitions in known.definitions.items() for said in definitions]
    if name_of:
        everything.sort(key=lambda each: each[0].rank)
    for said, ci in everything:
        mine: set[str] = set()
        for position, alias in enumerate(said.entry.aliases):
            spot = Spot(said.document, ("cis", said.index, "aliases", position))
            if alias == said.entry.id or alias in mine:
                message = f"{alias!r} already is a name of this CI"
                conflicts.add(ConflictKind.EMPTY, [said.entry.id], spot, message, level="warning")
                continue
            mine.add(alias)
            first = said_by.get(alias)
            if alias not in by_id and alias not in aliases:
                aliases[alias], said_by[alias] = ci, said
            elif alias == ci or aliases.get(alias) == ci:
                continue
            elif first is not None:
                names = alias, aliases[alias], ci
                message = f"{alias!r} is already an alias of {names[1]!r}, defined at"
                level: Level = "error" if first.origin == said.origin else "warning"
                conflicts.add(ConflictKind.ALIAS_OF_TWO, names, spot, message, level=level, related=first.spot())
            elif any(each.origin == said.origin for each in by_id[alias]):
                message = f"{alias!r} is the id of another CI, defined at"
                related = by_id[alias][0].spot()
                conflicts.add(ConflictKind.ALIAS_OF_TWO, [alias, alias, ci], spot, message, related=related)
