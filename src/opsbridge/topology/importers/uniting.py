"""What several files say, as one document per origin: each CI and dependency once, in an order that diffs.

A CI that a file only mentions is the one that another file defines under that name. A name that two CIs claim belongs
to neither, and dependencies whose end nobody defines are left out; both are told. Between origins nothing is decided
here: `identity` does that when the documents are loaded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from opsbridge.documents import Document, Finding, Level
from opsbridge.topology.conflicts import ConflictKind, Conflicts
from opsbridge.topology.identity import by_precedence, identify
from opsbridge.topology.importers.gathering import MOST_ALIKE, Part
from opsbridge.topology.links import Stated
from opsbridge.topology.model import CIEntry, Dependency, Link, Member, Need, TopologyDocument

_Edge = tuple[str, str, str, bool, str, int]
"""dependent, provider, type, undirected, path, line."""


def unite(parts: Sequence[Part]) -> tuple[list[TopologyDocument], list[Finding]]:
    """Documents by precedence, what is written by hand first, and what could not be used of the parts."""
    by_origin: dict[tuple[str, int], list[Part]] = {}
    for part in parts:
        by_origin.setdefault((part.document.origin, part.document.precedence), []).append(part)
    order = sorted(by_origin, key=lambda each: (each[0] != "", -each[1], each[0]))
    told = _Told()
    origins = [_Origin(name, precedence, told) for name, precedence in order]
    for origin in origins:
        origin.define(by_origin[origin.name, origin.precedence])
    for origin in origins:
        others = [other for other in origins if other is not origin]
        origin.connect(by_origin[origin.name, origin.precedence], others)
    documents = [origin.document() for origin in origins]
    for origin, document in zip(origins, documents, strict=True):
        for finish in dict.fromkeys(part.finish for part in by_origin[origin.name, origin.precedence] if part.finish):
            finish(document)
    if len(documents) > 1:
        _settle(documents, told)
    return documents, told.all()


def _settle(documents: Sequence[TopologyDocument], told: "_Told") -> None:
    """Take away what would keep the documents from being loaded together: a name that two origins give to two CIs."""
    stated = [
        Stated(
            Document(document.origin, 0, None), document.cis, document.depends_on, document.origin, document.precedence
        )
        for document in documents
    ]
    conflicts = Conflicts()
    identify(by_precedence(stated), conflicts)
    by_document = {id(part.document): document for part, document in zip(stated, documents, strict=True)}
    for conflict in conflicts.found:
        spot = conflict.fault.spot
        if conflict.kind in (ConflictKind.ALIAS_OF_TWO, ConflictKind.SAME_AS_TWO):
            entry = by_document[id(spot.document)].cis[cast("int", spot.loc[1])]
            entry.aliases = [alias for alias in entry.aliases if alias != conflict.names[0]]
            origin = spot.document.path or "what is written by hand"
            others = " and ".join(map(repr, conflict.names[1:]))
            message = f"the alias {conflict.names[0]!r} is left out: it would be a name of {others}"
            told.add(origin, 0, entry.id, message, "names of two CIs")


@dataclass(slots=True)
class _Told:
    """Findings; of many alike the first are told and the rest is counted."""

    findings: list[Finding] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, path: str, line: int, subject: str, message: str, alike: str, level: Level = "warning") -> None:
        count = self.counts[path, alike] = self.counts.get((path, alike), 0) + 1
        if count <= MOST_ALIKE:
            self.findings.append(Finding(path, line, 1 if line else 0, subject, message, level))

    def all(self) -> list[Finding]:
        more = [
            Finding(path, 0, 0, "", f"and {count - MOST_ALIKE} more like those ({alike})", "warning")
            for (path, alike), count in self.counts.items()
            if count > MOST_ALIKE
        ]
        return sorted(self.findings + more)


@dataclass(slots=True)
class _Origin:
    """What one origin says."""

    name: str
    precedence: int
    told: _Told
    cis: dict[str, CIEntry] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    ambiguous: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    only_named: dict[str, str] = field(default_factory=dict)
    """CIs of which nothing is known but that a dependency names them, and the file that does."""
    edges: list[_Edge] = field(default_factory=list)
    peers: list[Link] = field(default_factory=list)
    _paths: dict[str, str] = field(default_factory=dict)

    def define(self, parts: Sequence[Part]) -> None:
        """All CIs, each once, and whose each name is."""
        mentioned: list[tuple[CIEntry, str]] = []
        for part in parts:
            for entry in part.document.cis:
                if entry.id in part.implied:
                    mentioned.append((entry, part.path))
                elif entry.id in self.cis:
                    self._again(entry, part.path)
                else:
                    self.cis[entry.id] = entry
                    self._paths[entry.id] = part.path
        for ci in sorted(self.cis):
            self._name(self.cis[ci])
        defined = bool(self.cis)
        gone = {name for part in parts for name in part.gone}
        for entry, path in sorted(mentioned, key=lambda each: (not each[0].aliases, each[0].id)):
            known = self._known(entry)
            lost = gone.issuperset((entry.id, *entry.aliases))
            if lost and (entry.aliases or known is None):  # a name alone may be a newer one's as well
                self.gone |= {entry.id, *entry.aliases}
            elif known is not None:
                self._fold(known, entry)
            elif entry.id in self.ambiguous:
                self.told.add(
                    path, 0, entry.id, "is a name of several CIs; what is said of it is left out", "ambiguous"
                )
            else:
                self.cis[entry.id] = entry
                self._paths[entry.id] = path
                self._name(entry)
                if defined and not entry.type:
                    self.only_named[entry.id] = path

    def _again(self, entry: CIEntry, path: str) -> None:
        """A second definition, from another file: what the first does not say is taken from it."""
        first = self.cis[entry.id]
        more = entry.model_fields_set - {"id", "aliases", "depends_on", "needs"}
        contrary = sorted(
            name for name in more & first.model_fields_set if getattr(entry, name) != getattr(first, name)
        )
        if contrary:
            message = f"another {', '.join(contrary)} than in {self._paths[entry.id]}, which counts"
            self.told.add(path, 0, entry.id, message, "contrary")
        for name in more - first.model_fields_set:
            setattr(first, name, getattr(entry, name))
        if entry.depends_on:
            first.depends_on = [*first.depends_on, *entry.depends_on]
        self._fold(first, entry)

    def _fold(self, known: CIEntry, entry: CIEntry) -> None:
        """Names and groups of a mention go to the CI that it means."""
        if entry.needs:
            known.needs = [*known.needs, *entry.needs]
        names = [*entry.aliases, entry.id]
        if new := [name for name in names if name not in known.aliases and name not in self.cis]:
            known.aliases = [*known.aliases, *new]
            self._name(known)
        if "type" in entry.model_fields_set and not known.type:
            known.type = entry.type

    def _known(self, entry: CIEntry) -> CIEntry | None:
        """The CI that a mention means: by a further name before the name, which may be another one's too."""
        for name in (*entry.aliases, entry.id):
            ci = name if name in self.cis else self.aliases.get(name)
            if ci is not None and name not in self.ambiguous:
                return self.cis[ci]
        return None

    def _name(self, entry: CIEntry) -> None:
        """Register the aliases of a CI; one that another CI has belongs to neither from now on."""
        kept: list[str] = []
        for alias in dict.fromkeys(entry.aliases):
            if alias == entry.id or alias in self.ambiguous:
                continue
            owner = alias if alias in self.cis else self.aliases.get(alias, entry.id)
            if owner == entry.id:
                self.aliases[alias] = entry.id
                kept.append(alias)
                continue
            path, message = (
                self._paths.get(entry.id, ""),
                f"the alias {alias!r} is a name of {owner!r} as well; left out",
            )
            self.told.add(path, 0, entry.id, message, "names of two CIs")
            if alias != owner:
                self.ambiguous.add(alias)
                del self.aliases[alias]
                other = self.cis[owner]
                other.aliases = [each for each in other.aliases if each != alias]
        if kept != entry.aliases:
            entry.aliases = kept

    def resolve(self, name: str) -> str | None:
        """The id of the CI of that name."""
        return name if name in self.cis else self.aliases.get(name)

    def connect(self, parts: Iterable[Part], others: Sequence["_Origin"]) -> None:
        """All dependencies between CIs that there are."""
        said: dict[str, set[tuple[str, str]]] = {}
        peers: set[tuple[str, str, str]] = set()
        for dependent, provider, kind, undirected, path, line in self._stated(parts):
            ends = [self._end(name, others, path, line) for name in (dependent, provider)]
            if ends[0] is None or ends[1] is None:
                continue
            one, other = ends[0], ends[1]
            if one == other:
                self.told.add(path, line, one, "depends on itself; left out", "itself")
            elif undirected:
                peers.add((min(one, other), max(one, other), kind))
            else:
                said.setdefault(one, set()).add((other, kind))
        for ci, providers in said.items():
            if ci in self.cis:
                self.cis[ci].depends_on = [
                    Dependency.model_construct(_fields_set={"on", "type"}, on=on, type=kind) if kind else on
                    for on, kind in sorted(providers)
                ]
            else:  # another origin's CI
                self.peers += [_link(ci, on, kind) for on, kind in sorted(providers)]
        self.peers += [_link(one, other, kind, undirected=True) for one, other, kind in sorted(peers)]
        self._tell_only_named(others)
        for ci, entry in self.cis.items():
            if entry.needs:
                found = [self._need(ci, need, others) for need in entry.needs]
                entry.needs = _once(need for need in found if need is not None)

    def _stated(self, parts: Iterable[Part]) -> Iterator[_Edge]:
        """Every dependency that is said anywhere; the lists of CIs are emptied, to be filled again."""
        for ci, entry in self.cis.items():
            if entry.depends_on:
                for said in entry.depends_on:
                    on, kind = (said.on, said.type) if isinstance(said, Dependency) else (said, "")
                    yield ci, on, kind, False, self._paths[ci], 0
                entry.depends_on = []
        for part in parts:
            lines = part.lines or (0,) * len(part.document.depends_on)
            for link, line in zip(part.document.depends_on, lines, strict=True):
                if isinstance(link, Link):
                    yield link.from_, link.on, link.type, link.undirected, part.path, line
                else:
                    yield link[0], link[1], "", False, part.path, line

    def _end(self, name: str, others: Sequence["_Origin"], path: str, line: int) -> str | None:
        """The id of an end, the name itself if another origin knows it, None if nobody does."""
        found = self.resolve(name)
        if found is not None or any(other.resolve(name) is not None for other in others):
            return found or name
        if name in self.gone:
            self.told.add(path, line, name, "is left out as its own record says; so is its dependency", "gone", "info")
            return None
        why = "is a name of several CIs" if name in self.ambiguous else "no CI has this id or alias"
        self.told.add(path, line, name, f"{why}; its dependency is left out", why)
        return None

    def _tell_only_named(self, others: Sequence["_Origin"]) -> None:
        """A name that only dependencies have may be a wrong one."""
        by_path: dict[str, list[str]] = {}
        for ci, path in self.only_named.items():
            if not any(other.resolve(ci) is not None for other in others):
                by_path.setdefault(path, []).append(ci)
        for path, names in by_path.items():
            named = f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
            counted = "1 CI is" if len(names) == 1 else f"{len(names)} CIs are"
            self.told.add(path, 0, "", f"{counted} known only as an end of a dependency: {named}", "only named", "info")

    def _need(self, ci: str, need: Need, others: Sequence["_Origin"]) -> Need | None:
        """The group without members that nobody knows; None if nothing is left."""
        weights: dict[str, int] = {}
        for said in need.of:
            name, weight = (said.ci, said.weight) if isinstance(said, Member) else (said, 1)
            found = self._end(name, others, self._paths[ci], 0)
            if found is not None and found != ci and weight > 0:
                weights.setdefault(found, weight)
        if not weights:
            self.told.add(self._paths[ci], 0, ci, "a group without members; left out", "empty groups")
            return None
        most = sum(weights.values())
        at_least = min(max(need.at_least, 1), most)
        if at_least != need.at_least:
            message = f"a group asks for {need.at_least} of {most}; it is taken to ask for {at_least}"
            self.told.add(self._paths[ci], 0, ci, message, "groups that cannot be met")
        of = [
            Member.model_construct(_fields_set={"ci", "weight"}, ci=name, weight=weight) if weight != 1 else name
            for name, weight in sorted(weights.items())
        ]
        fields = {"of", *(name for name, said in (("name", need.name), ("type", need.type)) if said)}
        fields |= {"at_least"} if at_least != 1 else set()
        return Need.model_construct(_fields_set=fields, name=need.name, of=of, at_least=at_least, type=need.type)

    def document(self) -> TopologyDocument:
        """All that this origin says, in the order of ids."""
        for entry in self.cis.values():
            if len(entry.aliases) > 1:
                entry.aliases = sorted(entry.aliases)
            for name in ("aliases", "depends_on", "needs"):
                if not getattr(entry, name):
                    entry.model_fields_set.discard(name)
        return TopologyDocument.model_construct(
            _fields_set={"cis"}
            | ({"origin"} if self.name else set())
            | ({"precedence"} if self.precedence else set())
            | ({"depends_on"} if self.peers else set()),
            origin=self.name,
            precedence=self.precedence,
            cis=[self.cis[ci] for ci in sorted(self.cis)],
            depends_on=self.peers,
        )


def _link(one: str, other: str, kind: str, *, undirected: bool = False) -> Link:
    fields = {"from_", "on"} | ({"type"} if kind else set()) | ({"undirected"} if undirected else set())
    return Link.model_construct(_fields_set=fields, from_=one, on=other, type=kind, undirected=undirected)


def _once(needs: Iterable[Need]) -> list[Need]:
    """Each group once, by name and members."""
    by_content = {need.model_dump_json(): need for need in needs}
    return [by_content[key] for key in sorted(by_content, key=lambda key: (by_content[key].name, key))]
