"""How rules read a field of an event or its CI: as conditions want it, or as text.

Text is for groups, fingerprints, tables and what is measured: a severity is its name, a tier its digits; a label or
tier that is not there is None, and empty where texts are joined. `judge` and `prepare` ask once for each rule and keep
the function; conditions are compiled (`questions`), so their values are read here for explaining only.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final

from opsbridge.core.event import SEVERITIES, Event
from opsbridge.core.graph import CI
from opsbridge.rules.matching.conditions import FIELDS, LABELS, Kind, Value

Read = Callable[[Event, CI], str | None]

SEPARATOR: Final = "\x1f"
"""Stands between the values of a group or a fingerprint."""


def value_of(field: str, event: Event, ci: CI) -> Value:
    """What a field holds, as conditions want it."""
    if field.startswith(LABELS):
        return event.labels.get(field.removeprefix(LABELS))
    owner, _, attribute = FIELDS[field][0].partition(".")
    found: Value = getattr(event if owner == "event" else ci, attribute)
    return found


def reader(field: str) -> Read:
    """What a field holds, as text."""
    if field.startswith(LABELS):
        name = field.removeprefix(LABELS)
        return lambda event, _: event.labels.get(name)
    source, kind = FIELDS[field]
    owner, _, attribute = source.partition(".")
    held = attrgetter(attribute)
    match owner, kind:
        case "event", Kind.SEVERITY:
            return lambda event, _: SEVERITIES[held(event)]
        case "event", _:
            return lambda event, _: held(event)
        case _, Kind.NUMBER:
            return lambda _, ci: None if (number := held(ci)) is None else str(number)
    return lambda _, ci: held(ci)


def joined(fields: Sequence[str]) -> Callable[[Event, CI], str]:
    """The values of these fields, with \\x1f between them."""
    reads = [reader(field) for field in fields]
    if len(reads) == 1:
        (read,) = reads
        return lambda event, ci: read(event, ci) or ""
    return lambda event, ci: SEPARATOR.join([(read(event, ci) or "").replace(SEPARATOR, " ") for read in reads])
