"""Where every event that went on has ended: in which firing of its alert, and where that firing ended.

Firings are known from the changes of alerts and from what rules withheld; an event belongs to the newest firing that
had begun by its time. A firing is in an incident, or in a situation that is none, or withheld; or it is not told yet.
What is left over then is unexplained, and a figure that does not add up.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from opsbridge.core.decisions import Suppressed, Transition
from opsbridge.core.first_level.level import FORGET_AFTER_MS, WAIT_FOR_FIRING_MS
from opsbridge.core.pipeline import FINISH_MS
from opsbridge.review.heard import Reported
from opsbridge.review.told import Firing, Told

SETTLE_MS: Final = FINISH_MS + WAIT_FOR_FIRING_MS
"""A firing that began so shortly before the end of what was read may not have been told yet."""

UNTOLD: Final = "not told in full any more"


class Home(NamedTuple):
    """Where a firing, or an event without one, has ended."""

    place: str
    reason: str
    """The incident, the situation, the rule, or why."""


class Places:
    """The fold of `Told`, asked for firings; and the events of each."""

    def __init__(self, told: Told, ends: int) -> None:
        self.homes: dict[Firing, Home] = {}
        self.events: Counter[Firing] = Counter()
        self.nowhere: Counter[Home] = Counter()
        """Events that are in no firing."""
        self._told = told
        self._ends = ends
        self._renewed = {
            (change.fingerprint, change.event) for change in told.transitions.values() if change.change == "renewed"
        }
        self._firings = _firings(told)
        for firings in self._firings.values():
            self._settle(firings)
        self._forgive()

    def hear(self, fingerprint: str, reports: Iterable[Reported]) -> None:
        """The reports of one alert."""
        firings = self._firings.get(fingerprint, [])
        times = [began for began, _ in firings]
        fired = cleared = 0
        for report in sorted(reports, key=lambda one: (one.time, not one.firing)):
            at = bisect_right(times, report.time) - 1
            if not report.firing and (at < 0 or (fired <= cleared and report.time > cleared + FORGET_AFTER_MS > 0)):
                waits = at + 1 < len(times) and times[at + 1] - report.time <= WAIT_FOR_FIRING_MS
                if not waits and (at < 0 or cleared):
                    self.nowhere[Home("expired", "resolution_without_problem")] += 1
                    continue
                at += waits
            if report.firing:
                fired = max(fired, report.time)
            else:
                cleared = max(cleared, report.time)
            if firings:
                self.events[firings[max(at, 0)][1]] += 1
            else:
                self.nowhere[self._unknown(report.time)] += 1

    def _unknown(self, time: int) -> Home:
        return Home("waiting", "not told yet") if time > self._ends - SETTLE_MS else Home("unexplained", "no alert")

    def _settle(self, firings: list[tuple[int, Firing]]) -> None:
        """As the ledger of a replay does: a firing that was over between two reports belongs with the next one."""
        later: str | None = None
        for at in range(len(firings) - 1, -1, -1):
            began, firing = firings[at]
            if (rule := self._withheld(firings, at)) is not None:
                self.homes[firing] = Home("suppressed", rule)
                continue
            later = self._told.situation_of(firing) or later
            self.homes[firing] = self._unknown(began) if later is None else self._of_situation(later)

    def _of_situation(self, situation: str) -> Home:
        incident = self._told.incident_of(situation)
        return Home("incident", incident) if incident else Home("unanswered", self._told.last(situation))

    def _withheld(self, firings: list[tuple[int, Firing]], at: int) -> str | None:
        """The rule that withholds a firing; one that goes on while it is withheld is withheld with it."""
        for earlier in range(at, -1, -1):
            _, firing = firings[earlier]
            if (known := self._told.suppressed.get(firing)) is not None:
                return None if known.state == "released" else known.rule
            if firing not in self._renewed or self._told.situation_of(firing) is not None:
                return None
        return None

    def _forgive(self) -> None:
        """Members of situations that are no incidents are known only while their topic is not compacted.

        The snapshots still say how many alerts there were: so many may be in no place that is known.
        """
        lost = {firing for firing, home in self.homes.items() if home.place == "unexplained"}
        known = Counter(home.reason for home in self.homes.values() if home.place == "unanswered")
        untold = sum(
            max(0, each.alerts - known[name])
            for name, each in self._told.situations.items()
            if each.status != "merged" and not self._told.incident_of(name)
        )
        if len({fingerprint for fingerprint, _ in lost}) <= untold:
            self.homes.update(dict.fromkeys(lost, Home("unanswered", UNTOLD)))


def _firings(told: Told) -> dict[str, list[tuple[int, Firing]]]:
    """The firings of every alert with the times at which they began, in that order."""
    began: dict[Firing, int] = {}
    all_news: list[Transition | Suppressed] = [
        *told.transitions.values(),
        *told.withheld.values(),
        *told.suppressed.values(),
    ]
    for news in all_news:
        firing = news.fingerprint, news.event
        began[firing] = min(began.get(firing, news.opened_ms), news.opened_ms)
    found: dict[str, list[tuple[int, Firing]]] = {}
    for firing, time in sorted(began.items(), key=lambda one: (one[1], one[0])):
        found.setdefault(firing[0], []).append((time, firing))
    return found
