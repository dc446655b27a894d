"""The canonical event: one immutable report about one CI at one time, as every stage of the core hears it.

Sources decode what tools send into this; nothing downstream knows a wire format. Times are integers, milliseconds since
1970 UTC; severities are integers so that they compare; the names an operator reads are in the tables below.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from opsbridge.core.graph import CI

SEVERITIES: Final = ("info", "warning", "minor", "major", "critical")
"""Severity names, weakest first; an event carries the index."""

SEVERITY_NUMBER: Final = {name: number for number, name in enumerate(SEVERITIES)}

SIGNIFICANCES: Final = ("informational", "warning", "exception")
"""ITIL's decision about an event, in rising order; a verdict carries the index."""

INFORMATIONAL: Final = 0

DEFAULT_SIGNIFICANCE: Final = (0, 1, 2, 2, 2)
"""Significance by severity when no rule says otherwise: info is logged only, warning warns, the rest are exceptions."""


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A rule that keeps a memory wants to hear of this event (rulebook.py): which one, and as what."""

    rule: str
    """A derivation's key, or the id of another rule."""
    part: int = 0
    """The step of a sequence, or which side of an inhibition; else 0."""
    group: str = ""
    """The values of the rule's `group_by` or `equal`, joined by \\x1f."""
    value: float | str | None = None
    """What a threshold or trend measures; None if the event has no such value."""


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One report. Packed as a JSON array between stages, so the order of the fields is part of the internal format."""

    id: str
    time: int
    ci: str
    class_: str
    severity: int
    firing: bool
    fingerprint: str
    known_ci: bool = False
    source: str = ""
    summary: str = ""
    labels: dict[str, str] = {}
    rule: str = ""
    grounds: tuple[str, ...] = ()
    """Why it may belong with alerts that no edge connects it with: rule and value (see classes.Join)."""
    marks: tuple[Mark, ...] = ()
    """Of the rules with a memory that it concerns."""
    observed: bool = False
    """It is no report of an alert: rules hear of it (informational, or a copy for another partition), or, if it has no
    marks, an alert that opened under a name that has become an alias (Intake.echo)."""
    by_key: bool = False
    """Its alert is kept where its fingerprint is, not where its CI is: a resolution need not name a CI."""

    @property
    def home(self) -> str:
        """The text whose hash decides in which partition its alert is kept."""
        return self.fingerprint if self.by_key else self.ci


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What the rules say of one firing event: withhold it, or let it pass with another severity or significance."""

    rule: str = ""
    """The rule that decides about the event; empty if none does, and only marks or shadows are told."""
    drop: bool = False
    severity: int | None = None
    significance: int | None = None
    route: str = ""
    """Where it goes instead of being correlated; empty: nowhere."""
    marks: tuple[Mark, ...] = ()
    shadows: tuple[str, ...] = ()
    """Rules in trial that match it and would have decided."""


Judge = Callable[[Event, CI], Verdict | None]
"""A compiled rule set: asked for every firing event; None means that no rule has anything to say."""


def default_fingerprint(ci: str, class_: str) -> str:
    """The identity of an alert whose source gave no key of its own: CI and class, which cannot collide with another."""
    return f"{ci}\x1f{class_}"
