"""Where every event that went on has ended: in which firing of its alert, and where that firing ended.

Firings are known from the changes of alerts and from what rules withheld; an event belongs to the newest firing that
had begun by its time. A firing is in an incident, or in a situation that is none, or withheld; or it is not told yet.
What is left over then is unexplained, and a figure that does not add up.
"""

from bisect import bisect_right
from collections import Counter
from typing import Final, NamedTuple

from opsbridge.core.first_level.level import FORGET_AFTER_MS, WAIT_FOR_FIRING_MS
from opsbridge.core.pipeline import FINISH_MS
from opsbridge.review.heard import Reported
from opsbridge.review.told import Told

SETTLE_MS: Final = FINISH_MS + WAIT_FOR_FIRING_MS
"""A firing that began so shortly before the end of what was read may not have been told yet."""

UNTOLD: Final = "not told in full any more"


class Firing(NamedTuple):
    """One firing of an alert."""

    fingerprint: str
    event: str
    """The event that opened it."""
    began: int
    renewed: bool = False


class Home(NamedTuple):
    """Where a firing ended."""

    place: str
    reason: str
    """The incident, the situation, or the rule."""


class Places:
    """The fold of `Told`, asked for firings; and the events of each."""

    def __init__(self, told: Told, ends: int) -> None:
        self.homes: dict[Firing, Home] = {}
        self.events: Counter[Firing] = Counter()
        self.nowhere: Counter[Home] = Counter()
        """Events that are in no firing."""
        self.firings = _firings(told)
        self._told = told
        self._ends = ends
        for firings in self.firings.values():
            self._settle(firings)
        self._forgive()
        self._by_event = {(firing.fingerprint, firing.event): home for firing, home in self.homes.items()}

    def home_of(self, alert: tuple[str, str]) -> Home | None:
        """Where a firing ended, told by fingerprint and opening event."""
        return self._by_event.get(alert)

    def hear(self, fingerprint: str, reports: list[Reported]) -> None:
        """The reports of one alert."""
        firings = self.firings.get(fingerprint, [])
        began = [firing.began for firing in firings]
        fired = cleared = 0
        for report in sorted(reports, key=lambda one: (one.time, not one.firing)):
            at = bisect_right(began, report.time) - 1
            if not report.firing and (at < 0 or (fired <= cleared and report.time > cleared + FORGET_AFTER_MS > 0)):
                waits = at + 1 < len(began) and began[at + 1] - report.time <= WAIT_FOR_FIRING_MS
                if not waits and (at < 0 or cleared):
                    self.nowhere[Home("expired", "resolution_without_problem")] += 1
                    continue
                at += waits
            if report.firing:
                fired = max(fired, report.time)
            else:
                cleared = max(cleared, report.time)
            if firings:
                self.events[firings[max(at, 0)]] += 1
            else:
                self.nowhere[self._unknown(report.time)] += 1

    def _unknown(self, time: int) -> Home:
        return Home("waiting", "not told yet") if time > self._ends - SETTLE_MS else Home("unexplained", "no alert")

    def _settle(self, firings: list[Firing]) -> None:
        """As the ledger of a replay does: a firing that was over between two reports belongs with the next one."""
        later: str | None = None
        for at in range(len(firings) - 1, -1, -1):
            firing = firings[at]
            if (withheld := self._withheld(firings, at)) is not None:
                self.homes[firing] = withheld
                continue
            alert = firing.fingerprint, firing.event
            found = self._told.situation_of(alert) or later
            if found is None:
                self.homes[firing] = self._unknown(firing.began)
                continue
            later = found
            self.homes[firing] = self._of_situation(self._told.last(found))

    def _of_situation(self, situation: str) -> Home:
        incident = "INC" + situation.removeprefix("S")
        return Home("incident", incident) if incident in self._told.incidents else Home("unanswered", situation)

    def _withheld(self, firings: list[Firing], at: int) -> Home | None:
        while True:
            firing = firings[at]
            alert = firing.fingerprint, firing.event
            known = self._told.suppressed.get(alert)
            if known is not None:
                return None if known.state == "released" else Home("suppressed", known.rule)
            if at == 0 or not firing.renewed or self._told.situation_of(alert) is not None:
                return None
            at -= 1

    def _forgive(self) -> None:
        """Members of situations that are no incidents are known only while their topic is not compacted.

        The snapshots still say how many alerts there were: so many may be in no place that is known.
        """
        lost = {firing.fingerprint for firing, home in self.homes.items() if home.place == "unexplained"}
        known = Counter(home.reason for home in self.homes.values() if home.place == "unanswered")
        untold = sum(
            max(0, each.alerts - known[name])
            for name, each in self._told.situations.items()
            if each.status != "merged" and "INC" + name[1:] not in self._told.incidents
        )
        if len(lost) <= untold:
            for firing, home in self.homes.items():
                if home.place == "unexplained":
                    self.homes[firing] = Home("unanswered", UNTOLD)


def _firings(told: Told) -> dict[str, list[Firing]]:
    """The firings of every alert in the order in which they began."""
    began: dict[tuple[str, str], int] = {}
    renewed: set[tuple[str, str]] = set()
    for change in told.transitions.values():
        alert = change.fingerprint, change.event
        began[alert] = min(began.get(alert, change.opened_ms), change.opened_ms)
        if change.change == "renewed":
            renewed.add(alert)
    for withheld in (*told.withheld.values(), *told.suppressed.values()):
        alert = withheld.fingerprint, withheld.event
        began[alert] = min(began.get(alert, withheld.opened_ms), withheld.opened_ms)
    found: dict[str, list[Firing]] = {}
    for (fingerprint, event), time in began.items():
        found.setdefault(fingerprint, []).append(Firing(fingerprint, event, time, (fingerprint, event) in renewed))
    for firings in found.values():
        firings.sort(key=lambda one: (one.began, one.event))
    return found
