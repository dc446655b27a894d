"""What depends on what, in numbers: edges and redundancy groups of all documents, and whether every end exists.

Names become CI numbers here, types become costs, and what cannot be met (a group that asks for more than it has) is a
fault. Only `merge` calls this.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from opsbridge.core.graph import DEFAULT_COST, Edge, Group
from opsbridge.documents import Document, Nearest, Spot
from opsbridge.documents.text import Loc
from opsbridge.topology.conflicts import ConflictKind, Conflicts
from opsbridge.topology.model import CIEntry, Dependency, Link, Member, Need


@dataclass(frozen=True, slots=True)
class Stated:
    """What one document states; entries and edges keep their index in it, None where nothing could be saved.

    An empty name stands for one that could not be saved.
    """

    document: Document
    cis: Sequence[CIEntry | None]
    depends_on: Sequence[Sequence[str] | Link | None]
    origin: str = ""
    """Who says so; empty: written by hand."""
    precedence: int = 0


@dataclass(slots=True)
class Links:
    """All dependencies, by CI number."""

    edges: list[Edge] = field(default_factory=list)
    groups: dict[int, list[Group]] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    """How many dependencies are stated of each type."""
    origins: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    """(dependent, provider), of peers in both orders, to who says so; kept only if any document has an origin."""

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Every (dependent, provider); peers in either order, a member of a group with who needs the group."""
        for edge in self.edges:
            yield edge.dependent, edge.provider
            if edge.undirected:
                yield edge.provider, edge.dependent
        for number, groups in self.groups.items():
            yield from ((number, member) for group in groups for member, _ in group.members)


def links(
    stated: Sequence[Stated],
    names: Mapping[str, int],
    edge_costs: Mapping[str, int],
    conflicts: Conflicts,
    *,
    hints: bool = True,
) -> Links:
    """The dependencies of all documents; `names` has every id and alias, `conflicts` is told what is wrong.

    `hints`: of an unknown name the nearest is looked for, which takes long among very many.
    """
    found = Links()
    nearest = Nearest(names.keys() if hints else ())
    by_origin = any(part.origin for part in stated)
    for part in stated:
        origin = part.origin if by_origin else None
        reader = _Reader(part.document, origin, names, nearest, edge_costs, found, conflicts)
        for index, entry in enumerate(part.cis):
            if entry is not None:
                reader.entry(index, entry)
        for index, link in enumerate(part.depends_on):
            if link is not None:
                reader.link(index, link)
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns what one document says into edges and groups, or into faults."""

    document: Document
    origin: str | None
    """None: nobody asks."""
    names: Mapping[str, int]
    nearest: Nearest
    costs: Mapping[str, int]
    links: Links
    conflicts: Conflicts

    def entry(self, index: int, entry: CIEntry) -> None:
        """What a CI says of its own providers."""
        dependent = self.names[entry.id]
        for position, said in enumerate(entry.depends_on):
            place = ("cis", index, "depends_on", position)
            if isinstance(said, Dependency):
                self._edge(place, dependent, self._number((*place, "on"), said.on), said.on, said.type)
            else:
                self._edge(place, dependent, self._number(place, said), said)
        for position, need in enumerate(entry.needs):
            group = self._group(("cis", index, "needs", position), dependent, need)
            if group is not None:
                self._keep(dependent, group, need.type)

    def link(self, index: int, link: Sequence[str] | Link) -> None:
        """A dependency that stands by itself."""
        place = ("depends_on", index)
        if isinstance(link, Link):
            one, other = self._number((*place, "from"), link.from_), self._number((*place, "on"), link.on)
            self._edge(place, one, other, link.from_, link.type, undirected=link.undirected)
        else:
            one, other = self._number((*place, 0), link[0]), self._number((*place, 1), link[1])
            self._edge(place, one, other, link[0])

    def _edge(
        self,
        place: Loc,
        dependent: int | None,
        provider: int | None,
        name: str,
        kind: str = "",
        *,
        undirected: bool = False,
    ) -> None:
        if dependent is None or provider is None:
            return
        if dependent == provider:
            message = f"{name!r} depends on itself; ignored"
            self.conflicts.add(ConflictKind.EMPTY, [name], Spot(self.document, place), message, level="warning")
            return
        self.links.types[kind] += 1
        self.links.edges.append(Edge(dependent, provider, self.costs.get(kind, DEFAULT_COST), undirected))
        if self.origin is not None:
            self._remember(dependent, provider, self.origin)
            if undirected:
                self._remember(provider, dependent, self.origin)

    def _keep(self, dependent: int, group: Group, kind: str) -> None:
        """A group once, whoever says so."""
        groups = self.links.groups.setdefault(dependent, [])
        if self.origin is not None:
            for member, _ in group.members:
                self._remember(dependent, member, self.origin)
            same = (group.members, group.at_least, group.cost)
            if any((each.members, each.at_least, each.cost) == same for each in groups):
                return
        groups.append(group)
        self.links.types[kind] += len(group.members)

    def _remember(self, dependent: int, provider: int, origin: str) -> None:
        ends = dependent, provider
        there = self.links.origins.get(ends, ())
        if origin not in there:
            self.links.origins[ends] = _shared(there, origin)

    def _group(self, place: Loc, dependent: int, need: Need) -> Group | None:
        """The group, or None if something is wrong with it."""
        members = self._members((*place, "of"), dependent, need)
        if members is None:
            return None
        total = sum(members.values())
        if not members:
            self._bad((*place, "of"), need, "must name at least one CI")
        elif not 1 <= need.at_least <= total:
            message = f"must be from 1 to {total}, the weight of the whole group, not {need.at_least}"
            self._bad((*place, "at_least"), need, message)
        else:
            cost = self.costs.get(need.type, DEFAULT_COST)
            return Group(tuple(sorted(members.items())), need.at_least, cost, need.name)
        return None

    def _members(self, place: Loc, dependent: int, need: Need) -> dict[int, int] | None:
        """CI -> weight, or None if something is wrong with a member."""
        members: dict[int, int] = {}
        for position, said in enumerate(need.of):
            spot: Loc = (*place, position)
            at, name, weight = ((*spot, "ci"), said.ci, said.weight) if isinstance(said, Member) else (spot, said, 1)
            number = self._number(at, name)
            if number is None:
                continue
            if number == dependent:
                self._bad(at, need, f"{name!r} cannot be in a group that it needs itself")
            elif number in members:
                self._bad(at, need, f"{name!r} is in this group already")
            elif weight < 1:
                self._bad((*spot, "weight"), need, f"must be at least 1, not {weight}")
            else:
                members[number] = weight
        return members if len(members) == len(need.of) else None

    def _number(self, place: Loc, name: str) -> int | None:
        found = self.names.get(name)
        if found is None and name:
            message = f"no CI has the id or alias {name!r}{self.nearest.hint(name)}"
            self.conflicts.add(ConflictKind.UNKNOWN_END, [name], Spot(self.document, place), message)
        return found

    def _bad(self, place: Loc, need: Need, message: str) -> None:
        names = (each.ci if isinstance(each, Member) else each for each in need.of)
        self.conflicts.add(ConflictKind.BAD_GROUP, names, Spot(self.document, place), message)


@cache
def _shared(there: tuple[str, ...], origin: str) -> tuple[str, ...]:
    """One tuple for all edges that the same origins state."""
    return (*there, origin)
