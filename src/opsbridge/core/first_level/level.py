"""First level: per fingerprint, counts duplicates and pairs problems with their resolutions, by event time.

An alert fires while its newest firing report is younger than its newest resolution, so the order of arrival does not
matter: both are maxima. Only changes of state go on to the second level, and the opening of an alert only when no rule
withholds it (withholding.py). Events that rules derive (derivations.py) are reports like any other. What belongs
together is not decided here. The pipeline and the stream's first level call this, one instance per partition; its
state leaves as (key, value) pairs after every batch and comes back through `restore`.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Final

import msgspec

from opsbridge.core.calendar import FOREVER
from opsbridge.core.context import Context
from opsbridge.core.decisions import Discrepancy, Expired, Outcome, Transition, Withheld
from opsbridge.core.event import Event
from opsbridge.core.first_level.alert import Alert, Telling, decode, encode, fingerprint_of, key_of, transition
from opsbridge.core.first_level.alert import Heard as Heard
from opsbridge.core.first_level.derivations import Derivations
from opsbridge.core.first_level.gate_state import NEVER
from opsbridge.core.first_level.gates import Reminders
from opsbridge.core.first_level.withholding import Withholding
from opsbridge.core.rulebook import EMPTY, Rulebook
from opsbridge.core.sharing import copies
from opsbridge.core.state import Change

FORGET_AFTER_MS: Final = 3_600_000
"""A resolved alert is remembered this long, so that late reports still find it."""

RENEW_AFTER_MS: Final = 900_000
"""A firing report after so long without any may tell of the same problem (tools repeat themselves) or of another one
(its resolution was lost): the second level is told, and decides by what else happens."""

WAIT_FOR_FIRING_MS: Final = 60_000
"""How long a resolution without a problem waits for its firing (the lateness that is accepted)."""


_CLOCK: Final = b"\x00clock"
_OF_DERIVATIONS: Final = b"\x01"
"""How keys of other state than alerts begin."""

_encode_clock = msgspec.json.Encoder().encode
_decode_clock = msgspec.json.Decoder(tuple[int, int]).decode


def _as_it_is(event: Event) -> Event:
    return event


def _everything(_text: str) -> bool:
    return True


class FirstLevel:
    """The alerts of one partition.

    `accept` judges events that rules derive; `owns` says whether what hashes by a text (a CI, a group, a rule's id) is
    kept in this partition. `context` has the windows of change records; what it learns counts from the next step on.
    `place` says where an alert that opens now is heard; without it alerts do not say where they are.
    """

    __slots__ = (
        "_alerts",
        "_awaited",
        "_book",
        "_deadlines",
        "_derivations",
        "_dirty",
        "_next",
        "_owns",
        "_place",
        "_reminded",
        "_reminders",
        "_telling",
        "_withholding",
        "now",
    )

    def __init__(
        self,
        book: Rulebook = EMPTY,
        *,
        accept: Callable[[Event], Event | Withheld] = _as_it_is,
        owns: Callable[[str], bool] = _everything,
        context: Context | None = None,
        place: Callable[[Alert], tuple[str, bool]] | None = None,
    ) -> None:
        self.now = 0
        self._book = book
        self._telling = Telling(book.inhibitions, place)
        self._owns = owns
        self._withholding = Withholding(book, context, self._telling)
        self._derivations = Derivations(book, accept, owns)
        self._reminders = Reminders(book.gates, owns)
        self._alerts: dict[str, Alert] = {}
        self._dirty: dict[str, None] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._awaited: set[str] = set()
        """The alerts with a deadline, one each: a flapping alert must not pile them up."""
        self._place = 0
        """Of the newest event heard."""
        self._reminded = False
        """Whether the time has to be saved, though no state may have changed: no reminder is told twice."""
        self._next = self._soonest()
        """When something is due; FOREVER if nothing is."""

    def __len__(self) -> int:
        return len(self._alerts) + len(self._derivations)

    def advance(self, events: Iterable[Event], position: int) -> Heard:
        """What each event meant, and the alerts that changed.

        `position` is the first event's place in the source, the next one's is one more. Places must rise for every
        fingerprint; an event at or below what its alert has applied is answered with REPEATED and changes nothing.
        """
        alerts, dirty = self._alerts, self._dirty
        heard = Heard([], [], [], [])
        if self._withholding.outdated():
            self._learned(heard)
        answer, transitions, find = heard.outcomes.append, heard.transitions, alerts.get
        duplicate, renew = Outcome.DUPLICATE, RENEW_AFTER_MS
        place, now = position - 1, self.now
        for place, event in enumerate(events, position):
            fingerprint, time = event.fingerprint, event.time
            if time > now:
                if self._next <= time:
                    self._pass(time, place - 1 if place > position else self._place, heard)
                self.now = now = time
            marks = event.marks
            if marks:
                self._listen(event, place, heard)
                if event.observed:
                    continue
            alert = find(fingerprint)
            if event.observed:
                self._echoed(alert, event, place, heard)
                continue
            if alert is None:
                alert = alerts[fingerprint] = Alert(
                    event.ci, event.class_, event.known_ci, event.severity, NEVER, NEVER, NEVER, 0, 0, event.id, place
                )
            elif place <= alert.applied:
                answer(Outcome.REPEATED)
                continue
            alert.applied = place
            dirty[fingerprint] = None
            if marks or alert.gated is not None:
                answer(self._marked(alert, event, heard))
            elif not event.firing:
                answer(self._resolved(alert, event, transitions))
            elif alert.cleared < (fired := alert.fired) <= time < fired + renew and event.severity == alert.severity:
                alert.fired = time  # what `_firing` would do, for most events there are
                alert.count += 1
                answer(duplicate)
            else:
                answer(self._firing(alert, event, transitions))
        if place >= position:
            self._place = place
        return heard

    # reports of alerts that no gate withholds

    def _plain(self, alert: Alert, event: Event, transitions: list[Transition]) -> Outcome:
        return (self._firing if event.firing else self._resolved)(alert, event, transitions)

    def _firing(self, alert: Alert, event: Event, transitions: list[Transition]) -> Outcome:
        fingerprint, time = event.fingerprint, event.time
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
            transitions.append(transition("escalated", fingerprint, alert, event, time, self.now, self._telling))
            return Outcome.ESCALATED
        first = alert.fired == NEVER
        if first:
            alert.name(event)
        if time > alert.fired:
            alert.fired = time
        if time <= alert.cleared and not first:
            return Outcome.LATE
        if event.ci == alert.ci:
            alert.known_ci = event.known_ci
        alert.severity = event.severity
        alert.opened = time
        alert.event = event.id
        alert.occurrence += 1
        if not first:
            alert.count = 1
        now, telling = self.now, self._telling
        transitions.append(transition("opened", fingerprint, alert, event, time, now, telling))
        if time <= alert.cleared:  # its resolution came first, and no longer waits
            transitions.append(transition("resolved", fingerprint, alert, event, alert.cleared, now, telling))
            self._await(fingerprint, alert)
        return Outcome.OPENED

    def _renewed(self, alert: Alert, event: Event, transitions: list[Transition]) -> Outcome:
        fingerprint, time = event.fingerprint, event.time
        alert.fired = alert.opened = time
        alert.severity, alert.event = event.severity, event.id
        alert.occurrence += 1
        alert.count = 1
        transitions.append(transition("renewed", fingerprint, alert, event, time, self.now, self._telling))
        return Outcome.RENEWED

    def _resolved(self, alert: Alert, event: Event, transitions: list[Transition]) -> Outcome:
        fingerprint, time = event.fingerprint, event.time
        alert.count += 1
        was_firing = alert.fired > alert.cleared
        if time > alert.cleared:
            alert.cleared = time
            if alert.fired <= time:
                self._await(fingerprint, alert)
        if alert.fired == NEVER:
            self._withholding.wait(alert, event)
            return Outcome.WAITING
        if not was_firing:
            return Outcome.DUPLICATE
        if alert.fired > alert.cleared:
            return Outcome.LATE
        transitions.append(transition("resolved", fingerprint, alert, event, alert.cleared, self.now, self._telling))
        return Outcome.RESOLVED

    def _echoed(self, alert: Alert | None, event: Event, place: int, heard: Heard) -> None:
        """The alert of this name is over, if it is open: the resolution itself is told elsewhere (Intake.echo)."""
        if alert is None or place <= alert.applied or not alert.cleared < alert.fired <= event.time:
            return
        alert.applied = place
        self._dirty[event.fingerprint] = None
        alert.count -= 1
        if alert.gated is not None:
            self._marked(alert, event, heard)
        else:
            self._resolved(alert, event, heard.transitions)

    def _marked(self, alert: Alert, event: Event, heard: Heard) -> Outcome:
        """A report of an alert that may have gates."""
        withholding = self._withholding
        if event.firing and alert.fired == NEVER:
            alert.name(event)
        gated = withholding.gated(alert, event)
        if gated is None:
            return self._plain(alert, event, heard.transitions)
        outcome = withholding.hear(alert, gated, event, self.now, heard)
        if outcome is None:
            outcome = self._plain(alert, event, heard.transitions)
            withholding.told(alert, gated, event, outcome, heard)
        elif alert.fired <= alert.cleared:
            self._await(event.fingerprint, alert)
        self._next = min(self._next, withholding.due())
        return outcome

    # time

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        if self._withholding.outdated():
            return self.now or None
        return (max(self._next, self.now) or None) if self._next < FOREVER else None

    def expire(self, now: int) -> Heard:
        """Nothing was heard until `now` (event time): what follows from that.

        Gates let go, rules notice what did not come, what has been over for long is forgotten, and resolutions whose
        problem never came are answered for.
        """
        heard = Heard([], [], [], [])
        now = max(self.now, now)
        if self._withholding.outdated():
            self._learned(heard)
        if self._next <= now:
            self._pass(now, self._place, heard)
        self.now = now
        return heard

    def _pass(self, time: int, place: int, heard: Heard) -> None:
        """Let time pass moment by moment, so that what happens does not depend on when it is noticed."""
        self._place = place
        if not self._reminders.begun:
            self._reminders.begin(time)
            self._next = self._soonest()
        while (moment := self._next) <= time:
            self.now = max(self.now, moment) or time  # the first time that is known
            if self._derivations.due() <= moment:
                self._derive(heard)
            self._dirty.update(dict.fromkeys(self._withholding.advance(moment, self._alerts, heard)))
            self._forget(moment, heard)
            reminders = self._reminders.advance(moment)
            heard.news.extend(reminders)
            self._reminded = self._reminded or bool(reminders)
            self._next = self._soonest()

    def _learned(self, heard: Heard) -> None:
        """Change records have come or gone; what they no longer withhold is looked at when time goes on."""
        self._dirty.update(dict.fromkeys(self._withholding.learned(self._alerts, self.now, heard)))
        self._next = self._soonest()

    def _soonest(self) -> int:
        forgets = self._deadlines[0][0] if self._deadlines else FOREVER
        return min(forgets, self._withholding.due(), self._derivations.due(), self._reminders.due())

    def _forget(self, moment: int, heard: Heard) -> None:
        while self._deadlines and self._deadlines[0][0] <= moment:
            deadline, fingerprint = heappop(self._deadlines)
            self._awaited.discard(fingerprint)
            alert = self._alerts[fingerprint]
            if alert.fired > alert.cleared:
                continue
            if self._ends(alert) > deadline:  # resolved again since
                self._await(fingerprint, alert)
                continue
            if alert.fired == NEVER:
                heard.news.append(Expired(fingerprint, alert.count))
            del self._alerts[fingerprint]
            self._dirty[fingerprint] = None

    def _await(self, fingerprint: str, alert: Alert) -> None:
        """Look at this alert, which does not fire, when its time is over; its deadline only ever moves away."""
        if fingerprint not in self._awaited:
            self._awaited.add(fingerprint)
            ends = self._ends(alert)
            heappush(self._deadlines, (ends, fingerprint))
            if ends < self._next:
                self._next = ends

    def _ends(self, alert: Alert) -> int:
        """When an alert that does not fire is forgotten, or its resolution given up as one without problem."""
        ends = alert.cleared + (WAIT_FOR_FIRING_MS if alert.fired == NEVER else FORGET_AFTER_MS)
        return ends if alert.gated is None else max(ends, self._withholding.remembers(alert))

    # what rules derive

    def _listen(self, event: Event, place: int, heard: Heard) -> None:
        if not self._book.derivations:
            return
        self._derivations.hear(event, place)
        due = self._derivations.due()
        if due < self._next:
            self._next = due
            if due <= self.now:  # it came late
                self._pass(self.now, place, heard)

    def _derive(self, heard: Heard) -> None:
        produced = self._derivations.advance(self.now)
        heard.news.extend(produced.news)
        for event in produced.events:
            for text, copy in copies(event, self._book):
                if not self._owns(text):
                    heard.elsewhere.append((text, copy))
                elif not copy.observed:
                    self._take(copy, heard)

    def _take(self, event: Event, heard: Heard) -> None:
        """A derived event is a report like any other, but time brings it: no place in the source is its own."""
        alert = self._alerts.get(event.fingerprint)
        if alert is None:
            alert = self._alerts[event.fingerprint] = Alert(
                event.ci, event.class_, event.known_ci, event.severity, NEVER, NEVER, NEVER, 0, 0, event.id, self._place
            )
        alert.applied = max(alert.applied, self._place)
        self._dirty[event.fingerprint] = None
        heard.outcomes.append(self._marked(alert, event, heard))

    # state

    def opener(self, fingerprint: str) -> str | None:
        """The id of the event that opened the alert's newest occurrence; None if no firing of it is known."""
        alert = self._alerts.get(fingerprint)
        return alert.event if alert is not None and alert.occurrence else None

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call.

        Alerts come before what rules remember: if only the first of them are saved, rules derive an alert again. What
        time it is comes last, where rules ask for it.
        """
        get = self._alerts.get
        changed: list[Change] = []
        for fingerprint in self._dirty:
            alert = get(fingerprint)
            changed.append((key_of(fingerprint), None if alert is None else encode(alert)))
        self._dirty.clear()
        changed += self._derivations.changes()
        if (changed or self._reminded) and (self._book.gates or self._book.derivations):
            changed.append((_CLOCK, _encode_clock((self.now, self._place))))
        self._reminded = False
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`."""
        derived: list[tuple[bytes, bytes]] = []
        for key, value in entries:
            if key == _CLOCK:
                now, place = _decode_clock(value)
                self.now, self._place = max(self.now, now), max(self._place, place)
            elif key.startswith(_OF_DERIVATIONS):
                derived.append((key, value))
            else:
                alert = decode(value)
                self._alerts[fingerprint_of(key)] = alert
                self.now = max(self.now, alert.fired, alert.cleared)
                self._place = max(self._place, alert.applied)
        self._derivations.restore(derived)
        if self.now:
            self._reminders.begin(self.now, again=True)
        for fingerprint, alert in self._alerts.items():
            if alert.cleared >= alert.fired:
                self._await(fingerprint, alert)
            self._withholding.restored(fingerprint, alert, self.now)
        self._next = self._soonest()


def unknown_cis(transitions: Iterable[Transition]) -> list[Discrepancy]:
    """What configuration management should know: the CIs of new alerts that the topology does not have."""
    return [
        Discrepancy("unknown_ci", change.ci, change.event, change.time_ms)
        for change in transitions
        if not change.known_ci and change.change == "opened"
    ]
