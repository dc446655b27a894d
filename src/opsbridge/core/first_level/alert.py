"""One alert as the first level remembers it, and what the first level answers.

Here is the form of what is saved and told; what happens to an alert is decided in `level.py`, and while a gate
withholds it in `withholding.py`.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from opsbridge.core.decisions import (
    ChangeOf,
    Derived,
    Expired,
    Outcome,
    Reminder,
    Shadowed,
    Suppressed,
    Transition,
    Withheld,
)
from opsbridge.core.event import Event
from opsbridge.core.first_level.gate_state import Details, GateState


class Alert(msgspec.Struct, array_like=True, gc=False):
    """What is remembered of one fingerprint. The order of the fields is the format of the changelog."""

    ci: str
    class_: str
    known_ci: bool
    severity: int
    fired: int
    """Event time of the newest firing report; NEVER while only resolutions have been heard."""
    cleared: int
    """Event time of the newest resolution, or NEVER."""
    opened: int
    """Event time of the first firing report of this occurrence."""
    occurrence: int
    count: int
    """Reports of this occurrence, firing and resolved."""
    event: str
    """Id of the event that opened this occurrence."""
    applied: int
    """Position in the source of the newest report that has been applied."""
    position: int = -1
    """Of the newest transition told."""
    gated: GateState | None = None
    """What its gates need to know; None if it has none."""
    grounds: tuple[str, ...] = ()
    """Of the report that opened this occurrence: where its changes are heard must not depend on later reports."""
    domain: str = ""
    """Where this occurrence is heard, whatever becomes of the topology meanwhile; empty: where its CI is..."""
    shared: bool = False
    """...and whether that is a backbone."""

    def name(self, event: Event) -> None:
        """The first firing says what a resolution that came before it need not have said."""
        if not self.ci:
            self.ci, self.known_ci = event.ci, event.known_ci
        if not self.class_:
            self.class_ = event.class_


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Alert).decode

_ESCAPE: Final = b"\x02"
"""Keys of alerts are their fingerprints; this comes before one that begins with a byte that means something else."""


def key_of(fingerprint: str) -> bytes:
    """The key of the alert's state entry."""
    key = fingerprint.encode()
    return key if key >= b"\x03" else _ESCAPE + key


def fingerprint_of(key: bytes) -> str:
    """The alert whose state entry has that key."""
    return key.removeprefix(_ESCAPE).decode()


News = Expired | Suppressed | Derived | Shadowed | Reminder | Withheld


class Heard(NamedTuple):
    """What the first level answers."""

    outcomes: list[Outcome]
    """Of every event that is a report of an alert, derived ones too; what rules only observe has none."""
    transitions: list[Transition]
    """The alerts that changed."""
    news: list[News]
    """What was waited for in vain, withheld, let go, derived, or would have been."""
    elsewhere: list[tuple[str, Event]]
    """Derived events, or observed copies of them, that belong to other partitions: each with the text that says where
    (sharing.py)."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What has to be known beside an alert to tell of it."""

    inhibitions: Container[str]
    place: Callable[[Alert], tuple[str, bool]] | None = None
    """Where an alert that opens now is heard (sharing.opens_at)."""


def transition(
    change: ChangeOf,
    fingerprint: str,
    alert: Alert,
    report: Event | Details,
    time: int,
    now: int,
    telling: Telling,
) -> Transition:
    """The alert changed at that time, as `report` says; its position rises, also where one event causes several.

    Of the report's marks those of inhibitions go on: no other rule is asked in the second level.
    """
    position, last = alert.applied * 2, alert.position
    alert.position = position = position if position > last else last + 1
    if change == "opened":
        alert.grounds = report.grounds
        if telling.place is not None:
            alert.domain, alert.shared = telling.place(alert)
    marks = report.marks
    return Transition(
        change,
        fingerprint,
        alert.ci,
        alert.class_,
        alert.severity,
        time,
        now,
        alert.opened,
        alert.occurrence,
        position,
        alert.event,
        alert.known_ci,
        alert.count,
        report.summary,
        report.rule,
        alert.grounds,
        tuple(mark for mark in marks if mark.rule in telling.inhibitions) if marks else (),
        alert.domain,
        alert.shared,
    )
