"""How rules read a field of an event or its CI as text: for groups, fingerprints, tables and what is measured.

A severity is its name, a tier its digits; a label or tier that is not there is None, and empty where texts are joined.
`judge` and `prepare` ask once for each rule and keep the function.
"""

from collections.abc import Callable, Sequence
from typing import Final

from opsbridge.core.event import SEVERITIES, Event
from opsbridge.core.graph import CI
from opsbridge.rules.matching.conditions import LABELS

Read = Callable[[Event, CI], str | None]

SEPARATOR: Final = "\x1f"
"""Stands between the values of a group or a fingerprint."""

_READ: Final[dict[str, Read]] = {
    "class": lambda event, _: event.class_,
    "ci": lambda event, _: event.ci,
    "source": lambda event, _: event.source,
    "severity": lambda event, _: SEVERITIES[event.severity],
    "ci.type": lambda _, ci: ci.type,
    "ci.owner": lambda _, ci: ci.owner,
    "ci.environment": lambda _, ci: ci.environment,
    "ci.site": lambda _, ci: ci.site,
    "ci.tier": lambda _, ci: None if ci.tier is None else str(ci.tier),
    "fingerprint": lambda event, _: event.fingerprint,
    "summary": lambda event, _: event.summary,
}


def reader(field: str) -> Read:
    """What a field holds, as text."""
    if field.startswith(LABELS):
        name = field.removeprefix(LABELS)
        return lambda event, _: event.labels.get(name)
    return _READ[field]


def joined(fields: Sequence[str]) -> Callable[[Event, CI], str]:
    """The values of these fields, with \\x1f between them."""
    reads = [reader(field) for field in fields]
    if len(reads) == 1:
        (read,) = reads
        return lambda event, ci: read(event, ci) or ""
    return lambda event, ci: SEPARATOR.join([read(event, ci) or "" for read in reads])
