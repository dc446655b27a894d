"""Every source there is: those that come with OpsBridge, and those of the user's own mapping files."""

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Mapped
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.documents import Nearest
from opsbridge.sources.canonical import decode
from opsbridge.sources.language.reading import SourceError, read_mappings
from opsbridge.sources.mapped import MappedSource
from opsbridge.sources.recognising import Auto
from opsbridge.sources.source import AUTO, CANONICAL, SOURCE_HEADER, Headers, Item, Source

TITLES: Final = {
    AUTO: "Recognises the format of each payload",
    CANONICAL: "OpsBridge's own event, one JSON object",
}
"""Of the sources that are code."""


class Canonical:
    """The source of the canonical event."""

    name = CANONICAL

    def items(self, payload: bytes | None, headers: Headers, arrived_ms: int) -> Sequence[Item]:  # noqa: ARG002
        """The one event of a payload."""
        return (decode(payload),)


class UnknownSourceError(KeyError):
    """No source has this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        self.said = f"unknown source {name[:80]!r}{Nearest(known).hint(name[:80]) or '; known are ' + ', '.join(known)}"
        super().__init__(self.said)

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True, slots=True)
class Described:
    """A source as a list of them tells it."""

    name: str
    title: str
    recognised_by: tuple[str, ...]
    path: str
    """Of its mapping file; empty for those that are code."""
    own: bool = False
    """It is the user's."""


class Sources:
    """The sources by name."""

    def __init__(self, mapped: Iterable[MappedSource] = ()) -> None:
        self.mapped: Final[Mapped[str, MappedSource]] = {source.name: source for source in mapped}
        self.auto: Final = Auto(self.mapped.values())
        self._by_name: dict[str, Source] = {**self.mapped, AUTO: self.auto, CANONICAL: Canonical()}

    @property
    def names(self) -> list[str]:
        """All names, `auto` among them, sorted."""
        return sorted(self._by_name)

    def named(self, name: str) -> Source:
        """The source of this name; UnknownSourceError, a KeyError, that names the nearest if there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownSourceError(name, self._by_name) from None

    def of(self, headers: Headers, default: Source) -> Source | Rejected:
        """The source that a record names in its headers, else `default`; rejected if it names one there is not."""
        for name, value in headers:
            if value is not None and name.lower() == SOURCE_HEADER:
                wanted = value.decode(errors="replace")
                found = self._by_name.get(wanted)
                if found is None:
                    said = str(UnknownSourceError(wanted, self._by_name))
                    return Rejected(Reject.INVALID_FIELD, f"{said} - at header `{SOURCE_HEADER}`")
                return found
        return default

    def described(self) -> list[Described]:
        """Every source, by name."""
        return [
            Described(name, TITLES[name], (), "")
            if name not in self.mapped
            else Described(
                name,
                self.mapped[name].mapping.title,
                tuple(alternative.words for alternative in self.mapped[name].mapping.recognise),
                self.mapped[name].mapping.path,
                own=self.mapped[name] not in shipped_sources(),
            )
            for name in self.names
        ]


def load_sources(paths: Sequence[Path] = ()) -> Sources:
    """The shipped sources and those of mapping files in `paths`; raises SourceError with every place that is wrong.

    A mapping of the user's takes the place of a shipped one of the same name.
    """
    own, _ = read_mappings(paths)
    shipped = shipped_sources()
    return Sources([*(each for each in shipped if each.name not in own), *map(MappedSource, own.values())])


@cache
def shipped_sources() -> tuple[MappedSource, ...]:
    """The sources that come with OpsBridge; they are read once in a process."""
    with as_file(files("opsbridge.sources") / "mappings") as folder:
        mappings, _ = read_mappings([folder])
    return tuple(map(MappedSource, mappings.values()))


__all__ = ["Canonical", "Described", "SourceError", "Sources", "UnknownSourceError", "load_sources", "shipped_sources"]
