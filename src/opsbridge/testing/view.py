"""What is so at a time, told by all that the pipeline has decided until then: the lists that expectations look at.

Every row has all the fields that an entry of its list may ask for (timetable.py), under the same names; what is empty
is left out. Only `run` calls this.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeVar

from opsbridge.core.decisions import Shadowed, Suppressed, Transition, Withheld
from opsbridge.core.event import SEVERITIES, default_fingerprint
from opsbridge.core.pipeline import Decision
from opsbridge.core.records import ChangeRequest, Incident, Notification, Problem, Response, ServiceRequest
from opsbridge.testing.compare import Said
from opsbridge.testing.entries import IncidentEntry, told
from opsbridge.testing.words import readable

_T = TypeVar("_T")
_Record = Incident | Response | ChangeRequest | ServiceRequest | Problem


class View:
    """Alerts, what is withheld, what went no further, trials, and the newest version of every record."""

    def __init__(self) -> None:
        self._firing: dict[str, Transition] = {}
        self._withheld: dict[str, Suppressed] = {}
        self._dropped: list[tuple[str, Withheld]] = []
        self._shadowed: list[Shadowed] = []
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._records: dict[str, _Record] = {}  # in the order in which they were told first
        self._notifications: dict[str, Notification] = {}

    def hear(self, decisions: Iterable[Decision], event: str = "") -> None:
        """Take in what was decided; `event` is the id of the event that was heard, if one was."""
        for decision in decisions:
            match decision:
                case Transition(change="resolved"):
                    self._firing.pop(decision.fingerprint, None)
                case Transition():
                    self._firing[decision.fingerprint] = decision
                    self._fingerprints[decision.ci, decision.class_] = decision.fingerprint
                case Suppressed(state="withheld"):
                    self._withheld[decision.fingerprint] = decision
                case Suppressed():
                    self._withheld.pop(decision.fingerprint, None)
                case Withheld():
                    self._dropped.append((event, decision))
                case Shadowed():
                    self._shadowed.append(decision)
                case Notification():
                    self._notifications[decision.id] = decision
                case Incident() | Response() | ChangeRequest() | ServiceRequest() | Problem():
                    self._records[decision.id] = decision

    def rows(self, title: str, asked: Collection[str]) -> list[Said]:
        """One of the lists; details only if they are asked for."""
        hidden = _DETAILS.get(title, frozenset()).difference(asked)
        return [
            {name: value for name, value in row.items() if value != "" and name not in hidden}
            for row in _LISTS[title](self)
        ]

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

    def records(self, kind: type[_T]) -> list[_T]:
        """The newest version of every record of this kind, in the order in which they were told first."""
        return [record for record in self._records.values() if isinstance(record, kind)]

    def fingerprint(self, ci: str, class_: str) -> str | None:
        """The fingerprint of an alert that has fired."""
        return self._fingerprints.get((ci, class_))

    def _told_incidents(self) -> Iterable[Said]:
        for incident in self.records(Incident):
            if incident.status != "merged":
                problem = self._records.get(incident.problem)
                yield {
                    "root": incident.root.ci,
                    "class": incident.root.class_ or "",
                    "status": incident.status,
                    "severity": incident.severity,
                    "alerts": incident.alerts,
                    "firing": incident.firing,
                    "priority": incident.priority,
                    "impact": incident.impact,
                    "urgency": incident.urgency,
                    "category": incident.category,
                    "group": incident.group,
                    "assignee": incident.assignee,
                    "runbook": incident.runbook,
                    "known_error": ", ".join(error.id for error in incident.known_errors),
                    "changed": ", ".join(change.id for change in incident.changes),
                    "problem": problem.rule if isinstance(problem, Problem) else incident.problem,
                    "reopened": incident.reopened,
                    "escalations": incident.escalations,
                }

    def _responses(self) -> Iterable[Said]:
        for response in self.records(Response):
            yield {
                "rule": response.rule,
                "ci": response.ci,
                "action": response.action,
                "status": response.status,
                "attempt": response.attempt,
                "parameters": told(response.parameters),
                "group": response.approval_group,
                "outcome": response.outcome,
            }

    def _tickets(self, kind: type[ChangeRequest | ServiceRequest]) -> Iterable[Said]:
        for ticket in self.records(kind):
            yield {
                "rule": ticket.rule,
                "root": ticket.root.ci,
                "status": ticket.status,
                "title": ticket.title,
                "priority": ticket.priority,
                "category": ticket.category,
                "group": ticket.group,
            }

    def _told_notifications(self) -> Iterable[Said]:
        for notification in self._notifications.values():
            incident = self._records.get(notification.incident)
            yield {
                "reason": notification.reason,
                "to": notification.to,
                "rule": notification.rule,
                "root": incident.root.ci if isinstance(incident, Incident) else "",
                "priority": notification.priority,
                "level": notification.level,
                "text": notification.text,
            }

    def _problems(self) -> Iterable[Said]:
        for problem in self.records(Problem):
            yield {
                "rule": problem.rule,
                "same": ", ".join(problem.same),
                "status": problem.status,
                "count": problem.count,
                "title": problem.title,
                "category": problem.category,
                "group": problem.group,
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


_DETAILS: Final = {
    "incidents": frozenset(IncidentEntry.model_fields) - {"root", "class_", "status", "severity", "alerts", "firing"},
    "responses": frozenset({"parameters", "group"}),
    "changes": frozenset({"priority", "category", "group"}),
    "requests": frozenset({"priority", "category", "group"}),
    "notifications": frozenset({"priority", "level", "text"}),
    "problems": frozenset({"category", "group"}),
}
"""What would hide the rest of a line."""

_LISTS: Final[dict[str, Callable[[View], Iterable[Said]]]] = {
    "alerts": View._alerts,
    "withheld": View._withheld_alerts,
    "dropped": View._dropped_events,
    "incidents": View._told_incidents,
    "shadow": View._trials,
    "responses": View._responses,
    "changes": lambda view: view._tickets(ChangeRequest),
    "requests": lambda view: view._tickets(ServiceRequest),
    "notifications": View._told_notifications,
    "problems": View._problems,
}
