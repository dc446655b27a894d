"""Live topology: CIs and dependencies that come, change and go while events flow, by the keys of their records.

A pure model: told records and times, it says whether the graph has to be built anew, and of which documents. Files stay
what they are; a record takes the place of what the files of its origin say of the CI, and comes together with other
origins as files do (merge.py). What does not fit together is no error here: the rest is used, and the misfits are told.
The reader of the `context` topic and a replay with a topology history call this.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

import msgspec
from pydantic import ValidationError

from opsbridge.core.decisions import Discrepancy, DiscrepancyKind, Reject, Rejected
from opsbridge.core.times import milliseconds
from opsbridge.core.topology_records import CIRecord, EdgeRecord, TopologyRecord, stated
from opsbridge.documents import Document, dotted, from_validation
from opsbridge.documents.text import Loc
from opsbridge.topology.conflicts import Conflict, ConflictKind
from opsbridge.topology.domains import DomainAttribute
from opsbridge.topology.links import Stated
from opsbridge.topology.load import Topology, topology_of
from opsbridge.topology.merge import merge
from opsbridge.topology.model import FORMS, PATTERNS, CIEntry, Link, known_fields

OBSERVED_TTL_MS: Final = 86_400_000
"""So long after it was seen last, an observed dependency ages out."""

PLACE: Final = "context"
"""What live records are called where a file would be named."""

_FOREVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class _CI:
    origin: str
    precedence: int
    entry: CIEntry


@dataclass(frozen=True, slots=True)
class _Edge:
    origin: str
    link: Link
    ends: int
    """When it ages out."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What live records say at one time; immutable, so that a thread may build the graph of it."""

    cis: Mapping[str, _CI] = field(default_factory=dict)
    edges: Mapping[str, _Edge] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cis) + len(self.edges)

    def documents(self) -> Iterator[Stated]:
        """One document for each origin and precedence, the same whatever the order of the records was."""
        cis: dict[tuple[str, int], list[CIEntry]] = {}
        links: dict[tuple[str, int], list[Link]] = {}
        for _, ci in sorted(self.cis.items()):
            cis.setdefault((ci.origin, ci.precedence), []).append(ci.entry)
        for _, edge in sorted(self.edges.items()):
            links.setdefault((edge.origin, 0), []).append(edge.link)
        for number, who in enumerate(sorted(cis.keys() | links.keys())):
            yield Stated(Document(PLACE, number, None), cis.get(who, []), links.get(who, []), who[0], who[1])

    def names(self) -> set[tuple[str, str]]:
        """(origin, id) of every CI."""
        return {(ci.origin, ci.entry.id) for ci in self.cis.values()}


NOTHING: Final = Snapshot()


class LiveTopology:
    """The newest record of every key, as far as it still counts."""

    __slots__ = ("_agenda", "_cis", "_edges", "_planned", "_ttl", "aged", "version")

    def __init__(self, observed_ttl_ms: int = OBSERVED_TTL_MS) -> None:
        self._ttl = observed_ttl_ms
        self._cis: dict[str, _CI] = {}
        self._edges: dict[str, _Edge] = {}
        self._agenda: list[tuple[int, str]] = []
        self._planned: dict[str, int] = {}
        """When a dependency is looked at next; what the agenda says besides is no longer meant."""
        self.version = 0
        """Rises with everything that the graph may show; that an edge was seen once more does not."""
        self.aged = 0
        """How many dependencies have aged out."""

    def __len__(self) -> int:
        return len(self._cis) + len(self._edges)

    def learn(self, record: TopologyRecord) -> Rejected | None:
        """The newest version of a record, in the place of those before; or why it cannot be used."""
        if isinstance(record, CIRecord):
            return self._learn_ci(record)
        return self._learn_edge(record)

    def withdraw(self, key: str) -> None:
        """What the key names is gone; of what is not known, nothing happens."""
        if self._cis.pop(key, None) is not None or self._edges.pop(key, None) is not None:
            self.version += 1

    def expire(self, now: int) -> int:
        """Let the dependencies go that are over by then (milliseconds since 1970); how many these are."""
        gone = 0
        while self._agenda and self._agenda[0][0] <= now:
            at, key = heappop(self._agenda)
            if self._planned.get(key) != at:
                continue
            del self._planned[key]
            edge = self._edges.get(key)
            if edge is None:
                continue
            if edge.ends <= now:
                del self._edges[key]
                gone += 1
            else:  # seen again since
                self._plan(key, edge.ends)
        self.aged += gone
        self.version += bool(gone)
        return gone

    def due(self) -> int | None:
        """When `expire` may have something to do next, or None."""
        return self._agenda[0][0] if self._agenda else None

    def snapshot(self) -> Snapshot:
        """All that counts now."""
        return Snapshot(dict(self._cis), dict(self._edges)) if len(self) else NOTHING

    def _learn_ci(self, record: CIRecord) -> Rejected | None:
        try:
            entry = CIEntry.model_validate_json(msgspec.json.encode(stated(record)))
        except ValidationError as invalid:
            return _rejected(invalid, ("cis", 0))
        new = _CI(record.origin, record.precedence if record.origin else 0, entry)
        if self._cis.get(record.key) != new:
            self._cis[record.key] = new
            self.version += 1
        return None

    def _learn_edge(self, record: EdgeRecord) -> Rejected | None:
        said = {"from": record.from_, "on": record.on, "type": record.type, "undirected": record.undirected}
        try:
            link = Link.model_validate(said)
        except ValidationError as invalid:
            return _rejected(invalid, ("depends_on", 0))
        ends = _FOREVER
        if record.expires is not None:
            ends = milliseconds(record.expires)
        elif record.observed and record.seen is not None:
            ends = milliseconds(record.seen) + self._ttl
        key, before = record.key, self._edges.get(record.key)
        new = _Edge(record.origin, link, ends)
        self._edges[key] = new
        if before is None or (before.origin, before.link) != (new.origin, new.link):
            self.version += 1
        self._plan(key, ends)
        return None

    def _plan(self, key: str, at: int) -> None:
        """Look at the dependency then; if that is later than planned, it is put off when it is looked at."""
        if at < self._planned.get(key, _FOREVER):
            self._planned[key] = at
            heappush(self._agenda, (at, key))


def _rejected(invalid: ValidationError, at: tuple[str | int, ...]) -> Rejected:
    """What is wrong with a record, in the words of topology files, with the place in the record."""
    loc, _, message = next(iter(from_validation(invalid, lambda loc: known_fields((*at, *loc)), PATTERNS)))
    place = dotted(tuple(step for step in loc if step not in FORMS))
    return Rejected(Reject.INVALID_FIELD, f"{message} - at `$.{place}`"[:1000])


@dataclass(frozen=True, slots=True)
class Built:
    """The estate of files and live records together."""

    topology: Topology
    misfits: tuple[Discrepancy, ...]
    """What live records say that does not fit, without a time."""


def build(
    files: Sequence[Stated],
    live: Snapshot,
    *,
    edge_costs: Mapping[str, int],
    domain_attribute: DomainAttribute | None = None,
) -> Built:
    """The graph of what valid files and live records say. Takes seconds where there are 100 000 CIs."""
    stated = [*_without(files, live.names()), *live.documents()]
    merged = merge(stated, complete=True, edge_costs=edge_costs, domain_attribute=domain_attribute, hints=False)
    by_document = {part.document: part for part in stated}
    misfits: dict[tuple[str, str], Discrepancy] = {}
    for conflict in merged.conflicts:
        misfit = _misfit(conflict, by_document[conflict.fault.spot.document])
        if misfit is not None:
            misfits.setdefault((misfit.kind, misfit.reference), misfit)
    topology = topology_of(merged)
    topology.graph.passing = _passing(topology, live)
    return Built(topology, tuple(misfits[key] for key in sorted(misfits)))


def _without(files: Iterable[Stated], live: set[tuple[str, str]]) -> Iterator[Stated]:
    """The files, less the entries that live records of the same origin take the place of."""
    for part in files:
        if any(entry is not None and (part.origin, entry.id) in live for entry in part.cis):
            rest = [None if entry is None or (part.origin, entry.id) in live else entry for entry in part.cis]
            yield Stated(part.document, rest, part.depends_on, part.origin, part.precedence)
        else:
            yield part


_KINDS: Final[Mapping[ConflictKind, DiscrepancyKind]] = {
    ConflictKind.ALIAS_OF_TWO: "alias_conflict",
    ConflictKind.SAME_AS_TWO: "alias_conflict",
    ConflictKind.UNKNOWN_END: "unknown_end",
    ConflictKind.DEFINED_TWICE: "unusable",
    ConflictKind.BAD_GROUP: "unusable",
    ConflictKind.BAD_TIME: "unusable",
}
"""What is told of conflicts; what merely says nothing is not."""


def _misfit(conflict: Conflict, said: Stated) -> Discrepancy | None:
    """What configuration management should know of a conflict, and who says what does not fit."""
    kind = _KINDS.get(conflict.kind)
    if kind is None or not conflict.names:
        return None
    spot = conflict.fault.spot
    by = f"said by {said.origin or 'hand'}, {spot.document.path}"
    owner = _owner(spot.loc, said)
    reference = f"{owner} -> {conflict.names[0]}" if kind == "unknown_end" and owner else conflict.names[0]
    message, related = conflict.fault.message, conflict.fault.related
    if related is not None:  # the message ends where the other place is to be named
        message += f" {related.document.path}"
    return Discrepancy(kind, reference, "", 0, (message, f"{by}, of {owner}" if owner else by))


def _owner(loc: Loc, said: Stated) -> str:
    """Whose statement stands there: the dependent of an edge, else the CI."""
    match loc:
        case ("cis", int(index), *_):
            entry = said.cis[index]
            return "" if entry is None else entry.id
        case ("depends_on", int(index), *_):
            link = said.depends_on[index]
            return "" if link is None else link.from_ if isinstance(link, Link) else link[0]
    return ""


def _passing(topology: Topology, live: Snapshot) -> dict[int, bool]:
    """The CIs that live records say the dependencies of, and whether they define them: these may go again."""
    numbers = topology.graph.numbers
    dependents: list[str] = []
    for edge in live.edges.values():
        dependents += (edge.link.from_, edge.link.on) if edge.link.undirected else (edge.link.from_,)
    passing = {numbers[name]: False for name in dependents if name in numbers}
    return passing | {numbers[ci.entry.id]: True for ci in live.cis.values() if ci.entry.id in numbers}
