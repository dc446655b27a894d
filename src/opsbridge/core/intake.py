"""Intake: binds an event to its CI, asks the rules, and decides whether it goes on to the first level.

Stateless: the same report gives the same answer anywhere, so any worker may do it. Decoding bytes is the sources' work.
Rules judge firing events only: the creation of an alert may be withheld, its resolution never is. Events that rules
derive from others go the same way once more (`derived`).
"""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec

from opsbridge.core.decisions import Reject, Rejected, Shadowed, Withheld
from opsbridge.core.event import (
    DEFAULT_SIGNIFICANCE,
    INFORMATIONAL,
    SEVERITY_NUMBER,
    Event,
    Verdict,
    default_fingerprint,
)
from opsbridge.core.graph import CI, CIGraph, unknown_ci
from opsbridge.core.rulebook import EMPTY, Rulebook

MAX_FUTURE_MS: Final = 600_000
"""How far a source's clock may be ahead; one event from next year must not end every window of today."""

OLDEST_MS: Final = 946_684_800_000
"""2000-01-01: an event before that has a broken clock."""

UNKNOWN: Final = "unknown"
"""What a source says as the CI if its tool names none, unless the topology has a CI of this name."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Report(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename={"class_": "class"}):
    """The canonical event as a source delivers it (docs/events.md): names for severity and state, RFC 3339 time.

    `fingerprint` is the source's own key for the alert; without it CI and class identify the alert.
    """

    id: _Name
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    ci: _Name = ""
    class_: _Name = ""
    """CI and class may be missing only where `incomplete` has nothing against it."""
    state: Literal["firing", "resolved"]
    severity: Literal["info", "warning", "minor", "major", "critical"] | None = None
    source: str = ""
    summary: str = ""
    labels: dict[str, str] = {}
    fingerprint: _Name | None = None
    by_key: bool = False
    """The alert is kept by its fingerprint and not by its CI, so that a resolution may name nothing else."""


def incomplete(report: Report) -> Rejected | None:
    """Why a report without CI or class is no event; None: it has both, or is a resolution whose key says enough."""
    if report.ci and report.class_:
        return None
    if report.by_key and report.state == "resolved":
        return None if report.fingerprint else _NO_KEY
    return _NO_CLASS if report.ci else _NO_CI


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SEVERITY_OF: Final[dict[str | None, int]] = {None: -1} | SEVERITY_NUMBER
_INFORMATIONAL: Final = Withheld("informational", "severity")
_NO_SEVERITY: Final = Rejected(Reject.INVALID_FIELD, "a firing event needs a severity - at `$.severity`")
_NO_CI: Final = Rejected(Reject.INVALID_FIELD, "Object missing required field `ci`")
_NO_CLASS: Final = Rejected(Reject.INVALID_FIELD, "Object missing required field `class`")
_NO_KEY: Final = Rejected(
    Reject.INVALID_FIELD, "a resolution by key needs the fingerprint, or CI and class - at `$.fingerprint`"
)


def _stand_in(report: Report) -> str:
    """The CI of a report that names none: one of its alert's own, so that not all of them are the alerts of one CI.

    The topology may have it as an alias. A resolution by key says nothing by it: CI and class are its alert's.
    """
    if report.by_key and report.fingerprint and report.state == "resolved":
        return ""
    return f"{UNKNOWN}/{report.fingerprint or report.class_}"


class Intake:
    """The graph and rules that every report is held against."""

    __slots__ = ("_cis", "_echo", "_graph", "_joins", "_judge", "_listen", "_numbers", "_prepare", "_trials", "book")

    def __init__(self, graph: CIGraph, book: Rulebook = EMPTY) -> None:
        self._graph = graph
        self._cis = graph.cis
        self._numbers = graph.numbers
        self.book = book
        self._joins = book.joins
        self._judge, self._prepare, self._listen = book.judge, book.prepare, book.listen
        self._trials: list[Shadowed] = []
        self._echo: Event | None = None

    def accept(self, report: Report, now: int) -> Event | Withheld | Rejected:
        """The event that goes on to the first level, or why there is none. `now` bounds the event's time from above."""
        since = report.time - _EPOCH  # a third cheaper than `timestamp`, and exact
        time = (since.days * 86_400 + since.seconds) * 1000 + (since.microseconds + 500) // 1000
        if not OLDEST_MS <= time <= now + MAX_FUTURE_MS:
            return _broken_clock(report.time, time)
        reference, class_ = report.ci, report.class_
        number = self._numbers.get(reference)
        if (number is None or not class_) and (lacking := incomplete(report)) is not None:
            return lacking
        if number is None and reference == UNKNOWN:
            reference = _stand_in(report)
            number = self._numbers.get(reference)
        item = unknown_ci(reference) if number is None else self._cis[number]
        ci = item.id
        firing = report.state == "firing"
        severity = _SEVERITY_OF[report.severity]
        if severity < 0:
            if firing:
                return _NO_SEVERITY
            severity = 0
        event = Event(
            report.id,
            time,
            ci,
            class_,
            severity,
            firing,
            report.fingerprint or f"{ci}\x1f{class_}",  # `default_fingerprint`, without the call
            number is not None,
            report.source,
            report.summary,
            report.labels,
        )
        if report.by_key:
            return self._decided(self._kept_by_key(event, item), item, number)
        if not firing and reference != ci:
            self._echo = self._as_before(event, reference, report.fingerprint)
        if self._prepare is not None:
            event = self._prepare(event, item)
        return self._decided(event, item, number)

    def _kept_by_key(self, event: Event, item: CI) -> Event:
        """Its identity is the source's: what rules would make it of, a resolution need not have."""
        prepared = event if self._prepare is None else self._prepare(event, item)
        return msgspec.structs.replace(prepared, fingerprint=event.fingerprint, by_key=True)

    def derived(self, event: Event) -> Event | Withheld:
        """The same for an event that a rule made of others; its identity is the rule's and stays."""
        number = self._numbers.get(event.ci)
        item = unknown_ci(event.ci) if number is None else self._cis[number]
        event = msgspec.structs.replace(event, ci=item.id, known_ci=number is not None)
        if self._prepare is not None:
            event = msgspec.structs.replace(self._prepare(event, item), fingerprint=event.fingerprint)
        return self._decided(event, item, number)

    def _as_before(self, event: Event, reference: str, fingerprint: str | None) -> Event:
        """A resolution under an alias as it was before anybody knew whose alias that is."""
        echo = msgspec.structs.replace(
            event,
            ci=reference,
            fingerprint=fingerprint or default_fingerprint(reference, event.class_),
            known_ci=False,
            observed=True,
        )
        return echo if self._prepare is None else self._prepare(echo, unknown_ci(reference))

    def echo(self) -> Event | None:
        """If the last report was a resolution under an alias: its echo, for an alert that opened under the bare name.

        Heard right behind it, so that it does not matter how the input is cut. It is no report of its own: it ends an
        alert that is still open under that name, and nothing else.
        """
        echo, self._echo = self._echo, None
        return echo

    def trials(self) -> list[Shadowed]:
        """What rules in trial would have done with the events since the last call."""
        trials, self._trials = self._trials, []
        return trials

    def _decided(self, event: Event, item: CI, number: int | None) -> Event | Withheld:
        if not event.firing:
            marks = self._listen(event, item) if self._listen is not None else ()
            return msgspec.structs.replace(event, marks=marks) if marks else event
        if self._joins and (number is None or not self._graph.connected(number)):
            for join in self._joins:
                if ground := join.ground(event, item):
                    event = msgspec.structs.replace(event, grounds=(ground,))
                    break
        verdict = self._judge(event, item)
        if verdict is not None:
            return self._judged(event, verdict)
        return event if DEFAULT_SIGNIFICANCE[event.severity] != INFORMATIONAL else _INFORMATIONAL

    def _judged(self, event: Event, verdict: Verdict) -> Event | Withheld:
        if verdict.shadows:
            self._trials += [
                Shadowed(rule, self.book.trials[rule], event.ci, event.class_, event.id, event.fingerprint, event.time)
                for rule in verdict.shadows
            ]
        if verdict.drop:
            return Withheld("suppressed", verdict.rule)
        if verdict.route:
            return Withheld("routed", verdict.rule, verdict.route)
        severity = event.severity if verdict.severity is None else verdict.severity
        significance = DEFAULT_SIGNIFICANCE[severity] if verdict.significance is None else verdict.significance
        if significance == INFORMATIONAL:
            reason = verdict.rule or _INFORMATIONAL.reason
            counted = tuple(mark for mark in verdict.marks if mark.rule in self.book.derivations)
            if not counted:
                return Withheld("informational", reason)
            return Withheld(
                "informational",
                reason,
                observed=msgspec.structs.replace(event, severity=severity, marks=counted, observed=True),
            )
        return msgspec.structs.replace(event, severity=severity, rule=verdict.rule or event.rule, marks=verdict.marks)


def _broken_clock(moment: datetime, time: int) -> Rejected:
    if time < OLDEST_MS:
        return Rejected(Reject.TIME_TOO_OLD, f"{moment.isoformat()} is before 2000 - at `$.time`")
    return Rejected(Reject.TIME_IN_FUTURE, f"{moment.isoformat()} is in the future - at `$.time`")
