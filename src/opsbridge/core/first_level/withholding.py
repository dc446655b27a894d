"""Alerts that rules withhold: what is told of them, when their gates let go, and what has happened by then.

Only an opening is withheld, and it is listed at once. While it is, reports are worked on in order of time when they are
complete: firings that are over before they count are resolved, and one that lasts is told when its last gate lets go,
the lateness after that. level.py asks for every alert with gates; what no gate withholds it tells itself. Whether
and until when a gate withholds is for gates.py to say.
"""

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Literal

from opsbridge.core.calendar import FOREVER
from opsbridge.core.context import Context
from opsbridge.core.decisions import ChangeOf, Outcome, Shadowed, Suppressed, Transition
from opsbridge.core.event import Event
from opsbridge.core.first_level.alert import Alert, Heard, Telling, transition
from opsbridge.core.first_level.gate_state import NEVER, Details, GateState, Release
from opsbridge.core.first_level.gates import Gates
from opsbridge.core.first_level.lateness import LATENESS_MS
from opsbridge.core.rulebook import Rulebook


class Withholding:
    """The gates of one partition, and when its withheld alerts are looked at next."""

    __slots__ = ("_by_changes", "_context", "_gates", "_planned", "_reviews", "_telling", "_version", "now")

    def __init__(self, book: Rulebook, context: Context | None = None, telling: Telling | None = None) -> None:
        self.now = 0
        self._context = context
        self._version = 0  # of the context that the gates were asked with
        self._gates = Gates(book.gates, context)
        self._telling = telling or Telling(book.inhibitions)
        self._reviews: list[tuple[int, str]] = []
        self._planned: dict[str, int] = {}
        """When a withheld alert is looked at next; reviews at other times are no longer meant."""
        self._by_changes: dict[str, None] = {}
        """The withheld alerts that change records may withhold or let go."""

    def gated(self, alert: Alert, event: Event) -> GateState | None:
        """What is remembered for the alert's gates, those of its newest firing report; None if it has none."""
        gated = alert.gated
        if not event.firing or event.time < alert.fired:
            return gated
        gates = self._gates.of(event.marks)
        if gated is None:
            if not gates:
                return None
            if alert.fired != NEVER:
                gated = alert.gated = GateState(gates, alert.fired, alert.cleared, alert.opened, alert.event)
            else:
                waiting = [(alert.cleared * 2 + 1, "")] if alert.cleared != NEVER else []
                gated = alert.gated = GateState(gates, log=waiting)
        elif not gates and not gated.rule:
            gated = alert.gated = None
        elif gates != gated.gates:
            if gated.rule:
                gated.asked = event.time
            gated.gates = gates
        return gated

    def wait(self, alert: Alert, event: Event) -> None:
        """A resolution came before its firing, which may have gates."""
        if alert.gated is None and self._gates:
            alert.gated = GateState(())
            alert.gated.note(event)

    def hear(self, alert: Alert, gated: GateState, event: Event, now: int, heard: Heard) -> Outcome | None:
        """What the report means to an alert that is withheld, or is now; None if it is for the first level to say."""
        self.now = now
        gated.note(event)
        if not gated.rule:
            gated.settle(now - LATENESS_MS, self._gates.flaps(gated))
            run = gated.firing() if event.firing and alert.fired <= alert.cleared else None
            if run is None or (release := self._gates.ask(gated, alert.ci, run[0])).gate is None:
                return None
            alert.count = 0 if alert.fired != NEVER else alert.count
            outcome = _take_in(alert, gated, event)
            self._withhold(event.fingerprint, alert, gated, run, release, heard)
        else:
            outcome = _take_in(alert, gated, event)
        self._review(event.fingerprint, alert, gated, heard)
        return outcome

    def told(self, alert: Alert, gated: GateState, event: Event, outcome: Outcome, heard: Heard) -> None:
        """What the first level told of a report that no gate withholds is decided, whatever comes late."""
        if outcome == Outcome.OPENED:
            self._tried(event.fingerprint, alert, gated, event.time, heard)
        if outcome in (Outcome.OPENED, Outcome.RESOLVED) and alert.fired <= alert.cleared:
            gated.settle(alert.cleared, self._gates.flaps(gated))

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
                if alert.gated is not None:
                    self._review(fingerprint, alert, alert.gated, heard)
                    seen.append(fingerprint)
        return seen

    def outdated(self) -> bool:
        """Whether change records have come or gone that may have to do with what is withheld."""
        return bool(self._by_changes) and self._context is not None and self._version != self._context.version

    def learned(self, alerts: Mapping[str, Alert], now: int, heard: Heard) -> list[str]:
        """Ask the gates again because of news of changes; which alerts were asked for.

        A window that is withdrawn, or was to end later, lets go at once. Of one that is now known to end at another
        time to come it is told until when.
        """
        if self._context is None:
            return []
        self._version, self.now = self._context.version, now
        asked = list(self._by_changes)
        for fingerprint in asked:
            alert = alerts[fingerprint]
            gated = alert.gated
            if gated is None or (run := gated.firing()) is None:
                continue
            before = gated.due
            self.resume(fingerprint, alert, now)
            release = self._gates.ask(gated, alert.ci, run[0])
            if release.gate is not None and release.until != before:
                gated.withhold(release)
                heard.news.append(self._suppressed("withheld", fingerprint, alert, gated, gated.events))
        return asked

    def restored(self, fingerprint: str, alert: Alert, now: int) -> None:
        """After a restart or reload: go on with an alert that is withheld.

        Where change records have a say, that is at the next step, as it would have been (`learned`).
        """
        gated = alert.gated
        if gated is not None and gated.rule and self._gates.follows_changes(gated) and self._knows_changes():
            self._plan(fingerprint, gated)
        else:
            self.resume(fingerprint, alert, now)

    def _knows_changes(self) -> bool:
        return self._context is not None and self._context.version > 0

    def resume(self, fingerprint: str, alert: Alert, now: int) -> None:
        """After a restart or reload, or news of changes: go on with an alert that is withheld."""
        gated = alert.gated
        if gated is None or not gated.rule or (run := gated.firing()) is None:
            return
        self._gates.resume(gated, alert.ci, run[0], now - LATENESS_MS)
        gate = self._gates.ask(gated, alert.ci, run[0]).gate
        self._plan(fingerprint, gated, now if gate is None or gate.rule != gated.rule else FOREVER)

    def remembers(self, alert: Alert) -> int:
        """Until when an alert is remembered for flapping rules to look back at; NEVER: not for them."""
        if alert.gated is None or not alert.gated.changes:
            return NEVER
        return alert.gated.changes[-1] + max((flap.within for flap in self._gates.flaps(alert.gated)), default=0)

    def _withhold(
        self, fingerprint: str, alert: Alert, gated: GateState, run: tuple[int, str], release: Release, heard: Heard
    ) -> None:
        """A firing begins that a gate withholds: it is listed."""
        alert.opened, alert.event = run
        alert.occurrence += 1
        gated.withhold(release)
        heard.news.append(self._suppressed("withheld", fingerprint, alert, gated, gated.events))
        self._tried(fingerprint, alert, gated, run[0], heard)

    def _review(self, fingerprint: str, alert: Alert, gated: GateState, heard: Heard) -> None:
        """Work on what is complete of a withheld alert, in order of time: what ends it, and its gates letting go."""
        complete = self.now - LATENESS_MS
        flaps = self._gates.flaps(gated)
        while gated.rule and (run := gated.firing()) is not None:
            alert.opened, alert.event = run
            release = self._gates.ask(gated, alert.ci, run[0])
            if gated.withhold(release):
                heard.news.append(self._suppressed("withheld", fingerprint, alert, gated, gated.events))
            if gated.ready(min(complete, release.until)):
                over = gated.step(flaps)
                if over is not None:
                    heard.transitions.append(self._told_later("resolved", fingerprint, alert, gated, over))
                    later = gated.later()
                    heard.news.append(self._suppressed("resolved", fingerprint, alert, gated, gated.events - later))
                    self._go_on(fingerprint, alert, gated, later, heard)
            elif release.until <= complete:
                self._release(fingerprint, alert, gated, release, heard)
            else:
                break
        self._plan(fingerprint, gated)
        if not (gated.gates or gated.rule):
            alert.gated = None

    def _release(self, fingerprint: str, alert: Alert, gated: GateState, release: Release, heard: Heard) -> None:
        """The gates let go of an alert that fires; what is known of the time since then happens at once."""
        over = gated.resolved()
        later = gated.later(over)
        heard.news.append(self._suppressed("released", fingerprint, alert, gated, gated.events - later))
        gone = release.gate is None and gated.kind == "maintenance" and gated.asked > alert.opened
        alert.opened = release.until if gone else release.opened
        heard.transitions.append(self._told_later("opened", fingerprint, alert, gated, release.until))
        if over is not None:
            heard.transitions.append(self._told_later("resolved", fingerprint, alert, gated, over))
            gated.settle(over, self._gates.flaps(gated))
        self._go_on(fingerprint, alert, gated, later, heard)

    def _go_on(self, fingerprint: str, alert: Alert, gated: GateState, later: int, heard: Heard) -> None:
        """One firing is answered for; what has been heard of a next one is withheld until that is complete."""
        run = gated.firing()
        if run is None or not later:
            gated.release()
            return
        gated.events, gated.asked = later, NEVER
        alert.count = len(gated.log)
        self._withhold(fingerprint, alert, gated, run, self._gates.ask(gated, alert.ci, run[0]), heard)

    def _told_later(self, change: ChangeOf, fingerprint: str, alert: Alert, gated: GateState, time: int) -> Transition:
        return transition(change, fingerprint, alert, gated.details, time, self.now, self._telling)

    def _suppressed(
        self,
        state: Literal["withheld", "released", "resolved"],
        fingerprint: str,
        alert: Alert,
        gated: GateState,
        events: int,
    ) -> Suppressed:
        return Suppressed(
            state,
            gated.kind,
            gated.rule,
            fingerprint,
            alert.ci,
            alert.class_,
            alert.severity,
            alert.event,
            alert.opened,
            self.now,
            until_ms=gated.due if state == "withheld" and gated.due < FOREVER else None,
            events=events,
            known_ci=alert.known_ci,
        )

    def _tried(self, fingerprint: str, alert: Alert, gated: GateState, began: int, heard: Heard) -> None:
        heard.news.extend(
            Shadowed(rule, "withhold", alert.ci, alert.class_, alert.event, fingerprint, began)
            for rule in self._gates.trials(gated, alert.ci, began)
        )

    def _plan(self, fingerprint: str, gated: GateState, earliest: int = FOREVER) -> None:
        """Look at the alert again when its next resolution is complete, its gates let go, or that time comes."""
        if not gated.rule:
            self._planned.pop(fingerprint, None)
            self._by_changes.pop(fingerprint, None)
            return
        if self._gates.follows_changes(gated):
            self._by_changes[fingerprint] = None
        else:
            self._by_changes.pop(fingerprint, None)
        over = gated.resolved()
        at = min(earliest, (gated.due if over is None else min(over, gated.due)) + LATENESS_MS)
        planned = self._planned.get(fingerprint, FOREVER)
        if at < planned:
            self._planned[fingerprint] = at
            heappush(self._reviews, (at, fingerprint))


def _take_in(alert: Alert, gated: GateState, event: Event) -> Outcome:
    """What a report is while its alert is withheld."""
    alert.count += 1
    fired = alert.fired > alert.cleared
    if event.firing:
        if event.time > alert.fired or (event.time == alert.fired and event.severity > alert.severity):
            alert.fired, alert.severity = event.time, event.severity
            gated.details = Details(event.summary, event.rule, event.grounds, event.marks)
        gated.events += 1
        return Outcome.WITHHELD
    alert.cleared = max(alert.cleared, event.time)
    if alert.fired > alert.cleared:
        return Outcome.LATE
    return Outcome.RESOLVED if fired else Outcome.DUPLICATE
