"""First level: per fingerprint, counts duplicates and pairs problems with their resolutions, by event time.

An alert fires while its newest firing report is younger than its newest resolution, so the order of arrival does not
matter: both are maxima. Only changes of state go on to the second level. One instance per partition; its state leaves
as (key, value) pairs after every batch and comes back through `restore`.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from opsbridge.core.decisions import ChangeOf, Discrepancy, Expired, Outcome, Transition
from opsbridge.core.event import Event

NEVER: Final = -1

FORGET_AFTER_MS: Final = 3_600_000
"""A resolved alert is remembered this long, so that late reports still find it."""

RENEW_AFTER_MS: Final = 900_000
"""A firing report after so long without any may tell of the same problem (tools repeat themselves) or of another one
(its resolution was lost): the second level is told, and decides by what else happens."""

WAIT_FOR_FIRING_MS: Final = 60_000
"""How long a resolution without a problem waits for its firing (the lateness that is accepted)."""


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


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Alert).decode

Change = tuple[bytes, bytes | None]
"""A state entry to save: its key and its value, None to delete it."""


class Heard(NamedTuple):
    """What the first level answers: an outcome per event, the alerts that changed, and what was waited for in vain."""

    outcomes: list[Outcome]
    transitions: list[Transition]
    expired: list[Expired]


class FirstLevel:
    """The alerts of one partition."""

    __slots__ = ("_alerts", "_awaited", "_deadlines", "_dirty", "now")

    def __init__(self) -> None:
        self.now = 0
        self._alerts: dict[str, Alert] = {}
        self._dirty: dict[str, None] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._awaited: set[str] = set()
        """The alerts with a deadline, one each: a flapping alert must not pile them up."""

    def __len__(self) -> int:
        return len(self._alerts)

    def advance(self, events: Iterable[Event], position: int) -> Heard:
        """What each event meant, and the alerts that changed.

        `position` is the first event's place in the source, the next one's is one more. Places must rise for every
        fingerprint; an event at or below what its alert has applied is answered with REPEATED and changes nothing.
        """
        alerts, dirty, deadlines = self._alerts, self._dirty, self._deadlines
        outcomes: list[Outcome] = []
        transitions: list[Transition] = []
        expired: list[Expired] = []
        duplicate = Outcome.DUPLICATE
        for place, event in enumerate(events, position):
            fingerprint, time = event.fingerprint, event.time
            if time > self.now:
                self.now = time
                if deadlines and deadlines[0][0] <= time:
                    expired += self.expire(time)
            alert = alerts.get(fingerprint)
            if alert is None:
                alert = alerts[fingerprint] = Alert(
                    event.ci, event.class_, event.known_ci, event.severity, NEVER, NEVER, NEVER, 0, 0, event.id, place
                )
            elif place <= alert.applied:
                outcomes.append(Outcome.REPEATED)
                continue
            alert.applied = place
            dirty[fingerprint] = None
            if not event.firing:
                outcomes.append(self._resolved(alert, event, transitions))
            elif (
                alert.cleared < alert.fired <= time < alert.fired + RENEW_AFTER_MS and event.severity == alert.severity
            ):
                alert.fired = time  # what `_firing` would do, for most events there are
                alert.count += 1
                outcomes.append(duplicate)
            else:
                outcomes.append(self._firing(alert, event, transitions))
        return Heard(outcomes, transitions, expired)

    def _firing(self, alert: Alert, event: Event, transitions: list[Transition]) -> Outcome:
        time = event.time
        alert.count += 1
        if alert.fired > alert.cleared:
            newer = time > alert.fired
            if time >= alert.fired + RENEW_AFTER_MS:
                return self._renewed(alert, event, transitions)
            if newer:
                alert.fired = time
            elif alert.cleared < time < alert.opened:
                alert.opened = time
            if event.severity == alert.severity or not (
                newer or (time == alert.fired and event.severity > alert.severity)
            ):
                return Outcome.DUPLICATE
            alert.severity = event.severity
            transitions.append(self._transition("escalated", alert, event))
            return Outcome.ESCALATED
        first = alert.fired == NEVER
        if time > alert.fired:
            alert.fired = time
        if time <= alert.cleared and not first:
            return Outcome.LATE
        alert.severity = event.severity
        alert.opened = time
        alert.event = event.id
        alert.occurrence += 1
        if not first:
            alert.count = 1
        transitions.append(self._transition("opened", alert, event))
        if time <= alert.cleared:  # its resolution came first, and no longer waits
            transitions.append(self._transition("resolved", alert, event))
            self._await(event.fingerprint, alert)
        return Outcome.OPENED

    def _renewed(self, alert: Alert, event: Event, transitions: list[Transition]) -> Outcome:
        alert.fired = alert.opened = event.time
        alert.severity, alert.event = event.severity, event.id
        alert.occurrence += 1
        alert.count = 1
        transitions.append(self._transition("renewed", alert, event))
        return Outcome.RENEWED

    def _resolved(self, alert: Alert, event: Event, transitions: list[Transition]) -> Outcome:
        time = event.time
        alert.count += 1
        was_firing = alert.fired > alert.cleared
        if time > alert.cleared:
            alert.cleared = time
            if alert.fired <= time:
                self._await(event.fingerprint, alert)
        if alert.fired == NEVER:
            return Outcome.WAITING
        if not was_firing:
            return Outcome.DUPLICATE
        if alert.fired > alert.cleared:
            return Outcome.LATE
        transitions.append(self._transition("resolved", alert, event))
        return Outcome.RESOLVED

    def _transition(self, change: ChangeOf, alert: Alert, event: Event) -> Transition:
        resolved = change == "resolved"
        return Transition(
            change,
            event.fingerprint,
            alert.ci,
            alert.class_,
            alert.severity,
            alert.cleared if resolved and alert.cleared > event.time else event.time,
            self.now,
            alert.opened,
            alert.occurrence,
            alert.applied * 2 + resolved,  # one event may open an alert and resolve it
            alert.event,
            alert.known_ci,
            alert.count,
            event.summary,
            event.rule,
            event.grounds,
        )

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now: int) -> list[Expired]:
        """Forget what has been over for long; answer for the resolutions whose problem never came."""
        self.now = max(self.now, now)
        expired = []
        while self._deadlines and self._deadlines[0][0] <= self.now:
            deadline, fingerprint = heappop(self._deadlines)
            self._awaited.discard(fingerprint)
            alert = self._alerts[fingerprint]
            if alert.fired > alert.cleared:
                continue
            if _ends(alert) != deadline:  # resolved again since; with its true time also where both are over: for order
                self._await(fingerprint, alert)
                continue
            if alert.fired == NEVER:
                expired.append(Expired(fingerprint, alert.count))
            del self._alerts[fingerprint]
            self._dirty[fingerprint] = None
        return expired

    def _await(self, fingerprint: str, alert: Alert) -> None:
        """Look at this alert, which does not fire, when its time is over; its deadline only ever moves away."""
        if fingerprint not in self._awaited:
            self._awaited.add(fingerprint)
            heappush(self._deadlines, (_ends(alert), fingerprint))

    def opener(self, fingerprint: str) -> str | None:
        """The id of the event that opened the alert's newest occurrence; None if no firing of it is known."""
        alert = self._alerts.get(fingerprint)
        return alert.event if alert is not None and alert.occurrence else None

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        get = self._alerts.get
        changed: list[Change] = []
        for fingerprint in self._dirty:
            alert = get(fingerprint)
            changed.append((fingerprint.encode(), None if alert is None else _encode(alert)))
        self._dirty.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`."""
        for key, value in entries:
            fingerprint, alert = key.decode(), _decode(value)
            self._alerts[fingerprint] = alert
            self.now = max(self.now, alert.fired, alert.cleared)
            if alert.cleared >= alert.fired:
                self._await(fingerprint, alert)


def _ends(alert: Alert) -> int:
    """When an alert that does not fire is forgotten, or its resolution given up as one without problem."""
    return alert.cleared + (WAIT_FOR_FIRING_MS if alert.fired == NEVER else FORGET_AFTER_MS)


def unknown_cis(transitions: Iterable[Transition]) -> list[Discrepancy]:
    """What configuration management should know: the CIs of new alerts that the topology does not have."""
    return [
        Discrepancy("unknown_ci", change.ci, change.event, change.time_ms)
        for change in transitions
        if not change.known_ci and change.change == "opened"
    ]
