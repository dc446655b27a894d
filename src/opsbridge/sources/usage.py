"""Which fields of a payload a mapping has no use for: what somebody who writes one may have overlooked.

Called by `opsbridge sources try`; nothing here is asked for events that flow.
"""

from collections.abc import Iterator
from collections.abc import Mapping as Mapped

from opsbridge.sources.language.terms import (
    PAYLOAD,
    Choice,
    Derived,
    First,
    Mapping,
    Path,
    When,
)
from opsbridge.sources.language.walking import paths_in

Way = tuple[str | int, ...]
_ANY = -1
"""Stands for the index of any item."""


def unused(mapping: Mapping, root: object) -> list[str]:
    """The fields of a payload's root that the mapping reads nowhere, each once: `alerts[*].generatorURL`."""
    used = _used(mapping)
    found = {
        shown(way): None
        for way, value in _leaves(root, ())
        if value not in (None, "") and not any(_covers(known, way) for known in used)
    }
    return list(found)


def shown(way: Way) -> str:
    """A way in a payload, `[*]` for each index."""
    return "".join("[*]" if isinstance(step, int) else f".{step}" for step in way).removeprefix(".") or "$"


def _used(mapping: Mapping) -> set[Way]:
    """The ways that the mapping reads, from the payload's root."""
    read: list[object] = [mapping.skip, mapping.labels, *mapping.fields.values()]
    read += [said for said in mapping.lets.values() if not _passes(said)]
    return {way for said in read for path in paths_in(said) for way in _ways(mapping, path)}


def _passes(said: Derived) -> bool:
    """Whether a derived root is a part of the payload as it is: only what is read of it is used."""
    return isinstance(said, Path | When | First | Choice)


def _ways(mapping: Mapping, path: Path) -> Iterator[Way]:
    if path.root in mapping.each:
        for option in mapping.each[path.root]:
            for way in _ways(mapping, option):
                yield (*way, _ANY, *path.steps)
                yield (*way, *path.steps)
    elif path.root in mapping.lets:
        said = mapping.lets[path.root]
        if _passes(said):
            for inner in paths_in(_values(said)):
                for way in _ways(mapping, inner):
                    yield (*way, *path.steps)
    elif path.root == PAYLOAD:
        yield path.steps
    else:
        yield (path.root, *path.steps)


def _values(said: Derived) -> tuple[Derived, ...]:
    """What a choice may come to, without what it is chosen by."""
    match said:
        case First(options) | Choice(options):
            return tuple(inner for option in options for inner in _values(option))
        case When(_, then, otherwise):
            return (*_values(then), *(() if otherwise is None else _values(otherwise)))
    return (said,)


def _covers(known: Way, way: Way) -> bool:
    return len(known) <= len(way) and all(
        one == other or (isinstance(one, int) and isinstance(other, int) and one < 0)
        for one, other in zip(known, way, strict=False)
    )


def _leaves(value: object, way: Way) -> Iterator[tuple[Way, object]]:
    """Every single value in a payload and the way to it."""
    open_: list[tuple[Way, object]] = [(way, value)]
    while open_:
        way, value = open_.pop(0)
        inner: Mapped[str, object] | list[object] | None = value if isinstance(value, dict | list) and value else None
        if isinstance(inner, dict):
            open_[:0] = [((*way, key), held) for key, held in inner.items()]
        elif isinstance(inner, list):
            open_[:0] = [((*way, index), held) for index, held in enumerate(inner)]
        else:
            yield way, value
