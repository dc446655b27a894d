"""Alerts that rules withhold: what is told of them, when their gates let go, and what has happened by then.

Only an opening is withheld, and it is listed at once. While it is, reports are worked on in order of time when they are
complete: firings that are over before they count are resolved, and one that lasts is told when its last gate lets go,
the lateness after that. The first level asks for every alert with gates; what no gate withholds it tells itself.
"""

from collections.abc import Container, Mapping
from heapq import heappop, heappush
from typing import Final, Literal

from opsbridge.core.calendar import FOREVER
from opsbridge.core.decisions import ChangeOf, Outcome, Shadowed, Suppressed, Transition
from opsbridge.core.event import Event, Mark
from opsbridge.core.first_level.alert import Alert, Heard, transition
from opsbridge.core.first_level.gates import Gates
from opsbridge.core.first_level.trail import NEVER, Answer, Trail
from opsbridge.core.rulebook import Rulebook

LATENESS_MS: Final = 5_000
"""How late a report may come and still be worked on in its place where a gate withholds the alert."""


def inhibiting(marks: tuple[Mark, ...], inhibitions: Container[str]) -> tuple[Mark, ...]:
    """The marks that the second level hears of."""
    return tuple(mark for mark in marks if mark.rule in inhibitions) if marks else ()


class Withholding:
    """The gates of one partition, and when its withheld alerts are looked at next."""

    __slots__ = ("_gates", "_inhibitions", "_planned", "_reviews", "now")

    def __init__(self, book: Rulebook) -> None:
        self.now = 0
        self._gates = Gates(book.gates)
        self._inhibitions = book.inhibitions
        self._reviews: list[tuple[int, str]] = []
        self._planned: dict[str, int] = {}
        """When a withheld alert is looked at next; reviews at other times are no longer meant."""

    def trail(self, alert: Alert, event: Event) -> Trail | None:
        """What is remembered for the alert's gates, those of its newest firing report; None if it has none."""
        trail = alert.trail
        if not event.firing:
            return trail
        if event.time < alert.fired:
            return trail
        gates = self._gates.of(event.marks)
        if trail is None:
            if not gates:
                return None
            if alert.fired != NEVER:
                trail = alert.trail = Trail(gates, alert.fired, alert.cleared, alert.opened, alert.event)
            else:
                waiting = [(alert.cleared * 2 + 1, "")] if alert.cleared != NEVER else []
                trail = alert.trail = Trail(gates, log=waiting)
        elif not gates and not trail.rule:
            trail = alert.trail = None
        elif gates != trail.gates:
            if trail.rule:
                trail.asked = event.time
            trail.gates = gates
        return trail

    def wait(self, alert: Alert, event: Event) -> None:
        """A resolution came before its firing, which may have gates."""
        if alert.trail is None and self._gates:
            alert.trail = Trail(())
            alert.trail.note(event)

    def hear(self, alert: Alert, trail: Trail, event: Event, now: int, heard: Heard) -> Outcome | None:
        """What the report means to an alert that is withheld, or is now; None if it is for the first level to say."""
        self.now = now
        trail.note(event)
        if not trail.rule:
            trail.settle(now - LATENESS_MS, self._gates.flaps(trail))
            run = trail.firing() if event.firing and alert.fired <= alert.cleared else None
            answer = None if run is None else self._gates.ask(trail, run[0])
            if run is None or answer is None or answer.gate is None:
                return None
            alert.count = 0 if alert.fired != NEVER else alert.count
            outcome = _take_in(alert, trail, event)
            self._withhold(event.fingerprint, alert, trail, run, answer, heard)
        else:
            outcome = _take_in(alert, trail, event)
        self._review(event.fingerprint, alert, trail, heard)
        return outcome

    def told(self, alert: Alert, trail: Trail, event: Event, outcome: Outcome, heard: Heard) -> None:
        """What the first level told of a report that no gate withholds is decided, whatever comes late."""
        if outcome == Outcome.OPENED:
            self._tried(event.fingerprint, alert, trail, event.time, heard)
        if outcome in (Outcome.OPENED, Outcome.RESOLVED) and alert.fired <= alert.cleared:
            trail.settle(alert.cleared, self._gates.flaps(trail))

    def due(self) -> int:
        """When `advance` has something to do next; FOREVER if it has not."""
        return self._reviews[0][0] if self._reviews else FOREVER

    def advance(self, now: int, alerts: Mapping[str, Alert], heard: Heard) -> list[str]:
        """Look at the alerts whose time has come; which they are."""
        self.now = now
        seen: list[str] = []
        while self._reviews and self._reviews[0][0] <= now:
            at, fingerprint = heappop(self._reviews)
            if self._planned.get(fingerprint) == at:
                del self._planned[fingerprint]
                alert = alerts[fingerprint]
                if alert.trail is not None:
                    self._review(fingerprint, alert, alert.trail, heard)
                    seen.append(fingerprint)
        return seen

    def resume(self, fingerprint: str, alert: Alert, now: int) -> None:
        """After a restart or reload: go on with an alert that is withheld."""
        trail = alert.trail
        if trail is None or not trail.rule or (run := trail.firing()) is None:
            return
        self._gates.resume(trail, run[0], now - LATENESS_MS)
        gate = self._gates.ask(trail, run[0]).gate
        self._plan(fingerprint, trail, now if gate is None or gate.rule != trail.rule else FOREVER)

    def remembers(self, alert: Alert) -> int:
        """Until when an alert is remembered for flapping rules to look back at; NEVER: not for them."""
        if alert.trail is None or not alert.trail.changes:
            return NEVER
        return alert.trail.changes[-1] + max((flap.within for flap in self._gates.flaps(alert.trail)), default=0)

    def _withhold(
        self, fingerprint: str, alert: Alert, trail: Trail, run: tuple[int, str], answer: Answer, heard: Heard
    ) -> None:
        """A firing begins that a gate withholds: it is listed."""
        alert.opened, alert.event = run
        alert.occurrence += 1
        trail.withhold(answer)
        heard.news.append(self._suppressed("withheld", fingerprint, alert, trail, trail.events))
        self._tried(fingerprint, alert, trail, run[0], heard)

    def _review(self, fingerprint: str, alert: Alert, trail: Trail, heard: Heard) -> None:
        """Work on what is complete of a withheld alert, in order of time: what ends it, and its gates letting go."""
        complete = self.now - LATENESS_MS
        flaps = self._gates.flaps(trail)
        while trail.rule and (run := trail.firing()) is not None:
            alert.opened, alert.event = run
            answer = self._gates.ask(trail, run[0])
            if trail.withhold(answer):
                heard.news.append(self._suppressed("withheld", fingerprint, alert, trail, trail.events))
            if trail.ready(min(complete, answer.until)):
                over = trail.step(flaps)
                if over is not None:
                    heard.transitions.append(self._told_later("resolved", fingerprint, alert, trail, over))
                    later = trail.later()
                    heard.news.append(self._suppressed("resolved", fingerprint, alert, trail, trail.events - later))
                    self._go_on(fingerprint, alert, trail, later, heard)
            elif answer.until <= complete:
                self._release(fingerprint, alert, trail, answer, heard)
            else:
                break
        self._plan(fingerprint, trail)
        if not (trail.gates or trail.rule):
            alert.trail = None

    def _release(self, fingerprint: str, alert: Alert, trail: Trail, answer: Answer, heard: Heard) -> None:
        """The gates let go of an alert that fires; what is known of the time since then happens at once."""
        over = trail.resolved()
        later = trail.later(over)
        heard.news.append(self._suppressed("released", fingerprint, alert, trail, trail.events - later))
        gone = answer.gate is None and trail.kind == "maintenance" and trail.asked > alert.opened
        alert.opened = answer.until if gone else answer.opened
        heard.transitions.append(self._told_later("opened", fingerprint, alert, trail, answer.until))
        if over is not None:
            heard.transitions.append(self._told_later("resolved", fingerprint, alert, trail, over))
            trail.settle(over, self._gates.flaps(trail))
        self._go_on(fingerprint, alert, trail, later, heard)

    def _go_on(self, fingerprint: str, alert: Alert, trail: Trail, later: int, heard: Heard) -> None:
        """One firing is answered for; what has been heard of a next one is withheld until that is complete."""
        run = trail.firing()
        if run is None or not later:
            trail.release()
            return
        trail.events, trail.asked = later, NEVER
        alert.count = len(trail.log)
        self._withhold(fingerprint, alert, trail, run, self._gates.ask(trail, run[0]), heard)

    def _told_later(self, change: ChangeOf, fingerprint: str, alert: Alert, trail: Trail, time: int) -> Transition:
        marks = inhibiting(trail.marks, self._inhibitions)
        return transition(change, fingerprint, alert, time, self.now, trail.summary, trail.said, trail.grounds, marks)

    def _suppressed(
        self,
        state: Literal["withheld", "released", "resolved"],
        fingerprint: str,
        alert: Alert,
        trail: Trail,
        events: int,
    ) -> Suppressed:
        return Suppressed(
            state,
            trail.kind,
            trail.rule,
            fingerprint,
            alert.ci,
            alert.class_,
            alert.severity,
            alert.event,
            alert.opened,
            self.now,
            until_ms=trail.due if state == "withheld" and trail.due < FOREVER else None,
            events=events,
            known_ci=alert.known_ci,
        )

    def _tried(self, fingerprint: str, alert: Alert, trail: Trail, began: int, heard: Heard) -> None:
        heard.news.extend(
            Shadowed(rule, "withhold", alert.ci, alert.class_, alert.event, fingerprint, began)
            for rule in self._gates.trials(trail, began)
        )

    def _plan(self, fingerprint: str, trail: Trail, earliest: int = FOREVER) -> None:
        """Look at the alert again when its next resolution is complete, its gates let go, or that time comes."""
        if not trail.rule:
            self._planned.pop(fingerprint, None)
            return
        over = trail.resolved()
        at = min(earliest, (trail.due if over is None else min(over, trail.due)) + LATENESS_MS)
        planned = self._planned.get(fingerprint, FOREVER)
        if at < planned:
            self._planned[fingerprint] = at
            heappush(self._reviews, (at, fingerprint))


def _take_in(alert: Alert, trail: Trail, event: Event) -> Outcome:
    """What a report is while its alert is withheld."""
    alert.count += 1
    fired = alert.fired > alert.cleared
    if event.firing:
        if event.time > alert.fired or (event.time == alert.fired and event.severity > alert.severity):
            alert.fired, alert.severity = event.time, event.severity
            trail.summary, trail.said, trail.grounds, trail.marks = (
                event.summary,
                event.rule,
                event.grounds,
                event.marks,
            )
        trail.events += 1
        return Outcome.WITHHELD
    alert.cleared = max(alert.cleared, event.time)
    if alert.fired > alert.cleared:
        return Outcome.LATE
    return Outcome.RESOLVED if fired else Outcome.DUPLICATE
