"""What one file says, gathered while an importer reads it: CIs, dependencies, and findings about the rest.

Every importer fills a `Gathering`; a wrong entry is a finding and never loses the others. Which names of several
files mean one CI is decided later, in `uniting`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import ValidationError

from opsbridge.documents import Finding, Level, dotted, from_validation
from opsbridge.documents.text import Loc
from opsbridge.topology.model import FORMS, PATTERNS, CIEntry, Link, Need, TopologyDocument, known_fields

Direction = Literal["source-depends-on-target", "target-depends-on-source"]
"""Which end of an edge is the dependent, where a file does not say."""

Place = int | Loc
"""A line that counts from 1, or the way to a value in a parsed file; 0 and () are the file."""

MOST_ALIKE: Final = 20
"""So many findings of one kind are told one by one; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a user says about the files of an import."""

    origin: str = ""
    """Empty: the format's name; what is native keeps its own."""
    precedence: int | None = None
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One document of a file: what the native format would say."""

    path: str
    document: TopologyDocument
    implied: frozenset[str] = frozenset()
    """Ids of CIs that are only mentioned, as an end of a dependency: another file may define them under another id."""
    gone: frozenset[str] = frozenset()
    """Names of CIs that are there no more: to mention one brings nothing back."""
    lines: tuple[int, ...] = ()
    """Where each of the document's `depends_on` stands; 0: not known."""
    finish: Callable[[TopologyDocument], None] | None = None
    """What is left to decide once all files of the origin are one document."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file says, in the native format, and what could not be used."""

    format: str
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]

    @property
    def documents(self) -> tuple[TopologyDocument, ...]:
        """The parts as the native documents that they are."""
        return tuple(part.document for part in self.parts)


@dataclass(slots=True)
class Gathering:
    """What has been read so far."""

    path: str
    options: Options = Options()
    locate: Callable[[set[Loc]], Mapping[Loc, tuple[int, int]]] | None = None
    """Finds lines and columns of places in a parsed file."""
    cis: dict[str, CIEntry] = field(default_factory=dict)
    implied: dict[str, CIEntry] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    links: list[Link] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    finish: Callable[[TopologyDocument], None] | None = None
    _places: dict[str, Place] = field(default_factory=dict)
    _told: list[tuple[Place, str, str, Level]] = field(default_factory=list)
    _alike: dict[str, int] = field(default_factory=dict)

    def ci(self, place: Place, said: Mapping[str, object]) -> str:
        """Add a CI; what is empty is not said. Its id, or an empty text if it cannot be used."""
        entry = self._entry(place, {name: value for name, value in said.items() if value not in _NOTHING})
        if entry is None:
            return ""
        if entry.id in self.cis:
            there = self._places[entry.id]
            where = f" in line {there}" if there and isinstance(there, int) else f" as {dotted(there)}" if there else ""
            self.warn(place, entry.id, f"is defined twice, first{where}; the first counts", alike="defined twice")
            return ""
        self.cis[entry.id] = entry
        self._places[entry.id] = place
        return entry.id

    def native(self, place: Loc, said: Mapping[str, object]) -> None:
        """Add a CI that says exactly what it says, empty or not."""
        entry = self._entry(place, said)
        if entry is not None and self.cis.setdefault(entry.id, entry) is not entry:
            self.warn(place, entry.id, "is defined twice; the first counts", alike="defined twice")

    def mention(self, place: Place, ci: str, *aliases: str, kind: str = "") -> bool:
        """A CI that is only named here; whether the name can be one."""
        if ci in self.implied or (ci in self.cis and not aliases):
            return True
        said: dict[str, object] = {"id": ci}
        if aliases:
            said["aliases"] = [alias for alias in aliases if alias and alias != ci]
        if kind:
            said["type"] = kind
        entry = self._entry(place, said)
        if entry is None:
            return False
        self.implied[ci] = entry
        return True

    def depends(self, place: Place, dependent: str, provider: str, kind: str = "", *, undirected: bool = False) -> None:
        """One dependency; its ends are ids or aliases that this file or another one knows."""
        if not dependent or not provider:
            self.warn(place, "", "a dependency without both of its ends", alike="no ends")
            return
        self.links.append(
            Link.model_construct(
                _fields_set={"from_", "on"} | ({"type"} if kind else set()) | ({"undirected"} if undirected else set()),
                from_=dependent,
                on=provider,
                type=kind,
                undirected=undirected,
            )
        )
        self.lines.append(place if isinstance(place, int) else 0)

    def needs(
        self, place: Place, dependent: str, members: Iterable[str], at_least: int = 1, kind: str = "", name: str = ""
    ) -> None:
        """A group of providers of which some can be spared; of a single one, a dependency."""
        of = sorted(set(members))
        if len(of) == 1:
            self.depends(place, dependent, of[0], kind)
        elif of and self.mention(place, dependent):
            entry = self.cis.get(dependent) or self.implied[dependent]
            said: dict[str, object] = {"of": of}
            said |= {"at_least": at_least} if at_least != 1 else {}
            said |= {"type": kind} if kind else {}
            said |= {"name": name} if name else {}
            try:
                entry.needs = [*entry.needs, Need.model_validate(said)]
            except ValidationError as invalid:
                for loc, _, message in from_validation(invalid, known_fields, PATTERNS):
                    self.warn(place, f"{dependent}.needs.{dotted(loc)}", message, alike="needs")

    def warn(self, place: Place, subject: str, message: str, *, alike: str = "", level: Level = "warning") -> None:
        """A finding; of those that are `alike` the first are told and the rest is counted."""
        if alike:
            self._alike[alike] = self._alike.get(alike, 0) + 1
            if self._alike[alike] > MOST_ALIKE:
                return
        self._told.append((place, subject, message, level))

    def findings(self) -> list[Finding]:
        """All that there is to say, with lines where they can be known."""
        wanted = {place for place, *_ in self._told if not isinstance(place, int)}
        wanted |= {place[:length] for place in wanted for length in range(1, len(place))}
        known = self.locate(wanted) if self.locate and wanted else {}
        findings = []
        for place, subject, message, level in self._told:
            if isinstance(place, int):
                line, column = place, 1 if place else 0
            else:
                while place and place not in known:
                    place = place[:-1]
                line, column = known.get(place, (0, 0))
            findings.append(Finding(self.path, line, column, subject, message, level))
        for kind, count in self._alike.items():
            if count > MOST_ALIKE:
                findings.append(
                    Finding(self.path, 0, 0, "", f"and {count - MOST_ALIKE} more like those ({kind})", "warning")
                )
        return findings

    def close(self, origin: str = "", precedence: int = 0) -> None:
        """What has been gathered so far is one document; what comes now is the next."""
        for ci in self.implied.keys() & self.cis.keys():
            defined, entry = self.cis[ci], self.implied[ci]
            if entry.aliases:
                defined.aliases = [*dict.fromkeys([*defined.aliases, *entry.aliases])]
            if entry.needs:
                defined.needs = [*defined.needs, *entry.needs]
        implied = {ci: entry for ci, entry in self.implied.items() if ci not in self.cis}
        document = TopologyDocument.model_construct(
            _fields_set={"origin", "precedence", "cis", "depends_on"},
            origin=origin,
            precedence=precedence,
            cis=[*self.cis.values(), *implied.values()],
            depends_on=self.links,
        )
        gone = frozenset(self.gone)
        self.parts.append(Part(self.path, document, frozenset(implied), gone, tuple(self.lines), self.finish))
        self.cis, self.implied, self.links, self.lines, self._places = {}, {}, [], [], {}

    def _entry(self, place: Place, said: Mapping[str, object]) -> CIEntry | None:
        """The entry, without what of it is wrong; None without an id."""
        try:
            return CIEntry.model_validate(said)
        except ValidationError as invalid:
            wrong = [
                (tuple(step for step in loc if step not in FORMS), message)
                for loc, _, message in from_validation(invalid, _known, PATTERNS)
            ]
        name = said.get("id")
        subject = name if isinstance(name, str) else "a CI"
        for loc, message in wrong:
            lost = "the CI is left out" if loc[:1] in ((), ("id",)) else "left out"
            where = place if isinstance(place, int) else (*place, *loc)
            self.warn(where, f"{subject}: {dotted(loc)}", f"{message}; {lost}", alike=f"wrong {dotted(loc[:1])}")
        rest = {field: _without(value, field, wrong) for field, value in said.items() if (field,) not in _fields(wrong)}
        try:
            return CIEntry.model_validate(rest) if "id" in rest else None
        except ValidationError:
            return None


_NOTHING: Final[tuple[object, ...]] = ("", None, [], {})


def _known(loc: Loc) -> Collection[str]:
    return known_fields(("cis", 0, *loc))


def _fields(wrong: Iterable[tuple[Loc, str]]) -> set[Loc]:
    """The fields that are wrong as a whole."""
    return {loc for loc, _ in wrong if len(loc) == 1}


def _without(value: object, field: str, wrong: Iterable[tuple[Loc, str]]) -> object:
    """The list without its wrong entries; anything else as it is."""
    gone = {loc[1] for loc, _ in wrong if len(loc) > 1 and loc[0] == field}
    return [each for index, each in enumerate(value) if index not in gone] if isinstance(value, list) else value
