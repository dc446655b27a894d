"""What is remembered of an alert that has gates: its reports in order of time, and what withholds it.

Reports are worked on once no earlier one can come within the lateness, so that the order of arrival makes no difference
to what is withheld and for how long. gates.py asks this, withholding.py keeps it; nothing is told here.
"""

from bisect import insort
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import msgspec

from opsbridge.core.event import Event, Mark
from opsbridge.core.rulebook import Flapping, Gate, Hold

NEVER: Final = -1

Kind = Literal["hold", "flapping", "maintenance"]

_LOG_LIMIT: Final = 64
"""So many reports of one alert are kept until they are complete. Of more, those between two of their kind go: they
would matter only if a report of the other kind came late just there."""


class Release(NamedTuple):
    """When the gates let an opening go."""

    until: int
    """When it may be told; FOREVER if that does not come."""
    opened: int
    """What counts as its beginning then: the end of the last window that withholds it, or its true beginning."""
    gate: Gate | None
    """The last gate to let go; None if none withholds it."""


class Details(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a transition says of the report that caused it; an `Event` has these fields, too."""

    summary: str = ""
    rule: str = ""
    grounds: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()


NO_DETAILS: Final = Details()


class GateState(msgspec.Struct, array_like=True, gc=False):
    """What is remembered of an alert that has gates, beside the alert itself. The order of the fields is the format."""

    gates: tuple[str, ...]
    """Rule ids, from the newest firing report."""
    fired: int = NEVER
    cleared: int = NEVER
    """Newest firing report and resolution, of those that have been worked on."""
    began: int = NEVER
    opener: str = ""
    """When the firing that has been worked on began, and with which event."""
    log: list[tuple[int, str]] = []
    """Reports to be worked on, in order: time * 2, one more for a resolution, and event id."""
    changes: list[int] = []
    """Openings and resolutions worked on, in order, as far back as flapping rules look."""
    flapping: tuple[str, ...] = ()
    """The flapping rules under which the newest of them left the alert flapping."""
    rule: str = ""
    """The gate that withholds the alert, the last to let go of those there are; empty: none does."""
    kind: Kind = "hold"
    due: int = 0
    """When the gates let go, as things stand."""
    asked: int = NEVER
    """The gates are asked from then on: when other gates came, if that was after the beginning."""
    events: int = 0
    """Firing reports withheld that have not been answered for."""
    details: Details = NO_DETAILS
    """Of the newest firing report withheld, for the opening."""

    def note(self, event: Event) -> None:
        """A report arrived."""
        log = self.log
        insort(log, (event.time * 2 + (not event.firing), event.id))
        if len(log) > _LOG_LIMIT:
            for place in range(1, len(log) - 1):
                if log[place - 1][0] & 1 == log[place][0] & 1 == log[place + 1][0] & 1:
                    del log[place]
                    break

    def firing(self) -> tuple[int, str] | None:
        """When the alert began to fire and with which event, as far as is known; None if it does not fire.

        Of the reports that have not been worked on the first firing counts, whatever is to come after it.
        """
        if self.fired > self.cleared:
            return self.began, self.opener
        for code, event in self.log:
            if not code & 1 and code >> 1 > self.cleared:
                return code >> 1, event
        return None

    def ready(self, until: int) -> bool:
        """Whether the first report of the log can be worked on, if all up to that time has arrived.

        Resolutions wait for their firing for as long as they are remembered.
        """
        log = self.log
        if not log or log[0][0] >> 1 > until:
            return False
        return self.fired != NEVER or not all(code & 1 for code, _ in log)

    def step(self, flaps: Iterable[Flapping]) -> int | None:
        """Work on the first report of the log; when the alert was resolved, if that resolved it."""
        code, event = self.log.pop(0)
        time = code >> 1
        fires = self.fired > self.cleared
        if code & 1:
            if time > self.cleared:
                self.cleared = time
                if fires and time >= self.fired:
                    self._changed(time, flaps)
                    return time
            return None
        if fires:
            self.fired = max(self.fired, time)
            if self.cleared < time < self.began:
                self.began, self.opener = time, event
        elif time > self.cleared:
            self.fired = self.began = time
            self.opener = event
            self._changed(time, flaps)
        return None

    def settle(self, until: int, flaps: Iterable[Flapping]) -> None:
        """Work on what is complete, or decided, up to that time."""
        while self.ready(until):
            self.step(flaps)

    def _changed(self, time: int, flaps: Iterable[Flapping]) -> None:
        flaps = tuple(flaps)
        if not flaps:
            self.changes, self.flapping = [], ()
            return
        insort(self.changes, time)
        newest = self.changes[-1]
        oldest = newest - max(flap.within for flap in flaps)
        self.changes = [change for change in self.changes if change > oldest][-max(flap.enter for flap in flaps) - 1 :]
        counts = [(flap, sum(change > newest - flap.within for change in self.changes)) for flap in flaps]
        self.flapping = tuple(
            flap.rule
            for flap, count in counts
            if count >= flap.enter or (flap.rule in self.flapping and count - 1 > flap.leave)
        )

    def ahead(self, began: int, flaps: Iterable[Flapping]) -> "GateState":
        """The state as it will be when the firing that begins then has been worked on."""
        if not self.log or self.log[0][0] > began * 2:
            return self
        copy = msgspec.structs.replace(self, log=list(self.log), changes=list(self.changes))
        while copy.log and copy.log[0][0] <= began * 2:
            copy.step(flaps)
        return copy

    def resolved(self) -> int | None:
        """The time of the first resolution that has not been worked on."""
        return next((code >> 1 for code, _ in self.log if code & 1), None)

    def later(self, than: int | None = NEVER) -> int:
        """How many firing reports that have not been worked on are later than that; none if that is None."""
        return 0 if than is None else sum(not code & 1 and code >> 1 > than for code, _ in self.log)

    def withhold(self, release: Release) -> bool:
        """The gates say so; whether another rule withholds the alert now. If none does, the old one lets go soon."""
        gate = release.gate
        self.due = release.until
        if gate is None or gate.rule == self.rule:
            return False
        self.rule, self.kind = gate.rule, kind_of(gate)
        return True

    def release(self) -> None:
        """Nothing is withheld any more."""
        self.rule, self.due, self.asked, self.events = "", 0, NEVER, 0
        self.details = NO_DETAILS


def kind_of(gate: Gate) -> Kind:
    """The word for it in what is told."""
    return "hold" if isinstance(gate, Hold) else "flapping" if isinstance(gate, Flapping) else "maintenance"
