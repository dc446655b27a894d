"""What is so at a time, told by all that the pipeline has decided until then: the lists that expectations look at.

Every row has all the fields that an entry of its list may ask for (timetable.py), under the same names; what is empty
is left out. Only `run` calls this.
"""

from collections.abc import Callable, Iterable
from typing import Final

from opsbridge.core.decisions import Shadowed, Suppressed, Transition, Withheld
from opsbridge.core.event import SEVERITIES, default_fingerprint
from opsbridge.core.pipeline import Decision
from opsbridge.core.records import Incident
from opsbridge.testing.compare import Said
from opsbridge.testing.words import readable


class View:
    """Alerts, what is withheld, what went no further, incidents and trials."""

    def __init__(self) -> None:
        self._firing: dict[str, Transition] = {}
        self._withheld: dict[str, Suppressed] = {}
        self._dropped: list[tuple[str, Withheld]] = []
        self._incidents: dict[str, Incident] = {}
        self._shadowed: list[Shadowed] = []

    def hear(self, decisions: Iterable[Decision], event: str = "") -> None:
        """Take in what was decided; `event` is the id of the event that was heard, if one was."""
        for decision in decisions:
            match decision:
                case Transition(change="resolved"):
                    self._firing.pop(decision.fingerprint, None)
                case Transition():
                    self._firing[decision.fingerprint] = decision
                case Suppressed(state="withheld"):
                    self._withheld[decision.fingerprint] = decision
                case Suppressed():
                    self._withheld.pop(decision.fingerprint, None)
                case Withheld():
                    self._dropped.append((event, decision))
                case Incident():
                    self._incidents[decision.id] = decision
                case Shadowed():
                    self._shadowed.append(decision)

    def rows(self, title: str) -> list[Said]:
        """One of the lists."""
        return [{name: value for name, value in row.items() if value != ""} for row in _LISTS[title](self)]

    def _alerts(self) -> Iterable[Said]:
        for alert in self._firing.values():
            if alert.fingerprint not in self._withheld:
                yield {
                    "ci": alert.ci,
                    "class": alert.class_,
                    "severity": SEVERITIES[alert.severity],
                    "summary": alert.summary,
                    "rule": alert.rule,
                    "fingerprint": _own(alert),
                }

    def _withheld_alerts(self) -> Iterable[Said]:
        for alert in self._withheld.values():
            yield {
                "ci": alert.ci,
                "class": alert.class_,
                "severity": SEVERITIES[alert.severity],
                "by": alert.rule,
                "kind": alert.kind,
                "fingerprint": _own(alert),
            }

    def _dropped_events(self) -> Iterable[Said]:
        for event, answer in self._dropped:
            yield {"event": event, "by": answer.reason, "as": answer.place, "to": answer.route}

    def _told_incidents(self) -> Iterable[Said]:
        for incident in self._incidents.values():
            if incident.status != "merged":
                yield {
                    "root": incident.root.ci,
                    "class": incident.root.class_ or "",
                    "status": incident.status,
                    "severity": incident.severity,
                    "alerts": incident.alerts,
                    "firing": incident.firing,
                }

    def _trials(self) -> Iterable[Said]:
        for trial in self._shadowed:
            yield {
                "rule": trial.rule,
                "would": trial.would,
                "ci": trial.ci,
                "class": trial.class_,
                "event": trial.event,
            }


def _own(alert: Transition | Suppressed) -> str:
    """The alert's fingerprint for people, if it says more than CI and class."""
    return "" if alert.fingerprint == default_fingerprint(alert.ci, alert.class_) else readable(alert.fingerprint)


_LISTS: Final[dict[str, Callable[[View], Iterable[Said]]]] = {
    "alerts": View._alerts,
    "withheld": View._withheld_alerts,
    "dropped": View._dropped_events,
    "incidents": View._told_incidents,
    "shadow": View._trials,
}
