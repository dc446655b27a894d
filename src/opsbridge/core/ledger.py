"""The ledger of a replay: for every event id, the one place where it ended; for every incident, its events; and every
record in its newest version.

Only replay and tests keep one, since it grows with the input; the stream counts (metrics) instead of remembering.
"""

from collections import Counter
from collections.abc import Iterable

from opsbridge.core.decisions import Derived, Expired, Suppressed, Transition
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.records import (
    ChangeRequest,
    Incident,
    IncidentMembers,
    Notification,
    Problem,
    Response,
    ServiceRequest,
    Unanswered,
)


class Ledger:
    """Follows single events through a pipeline, and members through incidents."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        """May be replaced by the one that goes on in its place."""
        self.incidents: dict[str, Incident] = {}
        self.unanswered: dict[str, Unanswered] = {}
        """By the incident that it would be: situations of which nobody is told."""
        self.responses: dict[str, Response] = {}
        self.problems: dict[str, Problem] = {}
        self.changes: dict[str, ChangeRequest] = {}
        self.requests: dict[str, ServiceRequest] = {}
        """By id, in their newest versions."""
        self.notifications: dict[str, Notification] = {}
        """By id, in the order in which they were told."""
        self.affected_cis: dict[str, dict[str, None]] = {}
        self.affected_services: dict[str, dict[str, None]] = {}
        # (fingerprint, opening event) -> the incidents that have it, the newest last: news of what it has left may come
        # after those of what it has joined
        self._incidents_of: dict[tuple[str, str], dict[str, None]] = {}
        self._events_of: dict[tuple[str, str], list[str]] = {}
        self.suppressed: dict[tuple[str, str], Suppressed] = {}
        """(fingerprint, opening event) -> why it is withheld, or was until it was over."""
        self._newest: dict[str, str] = {}  # fingerprint -> opening event of its newest firing
        self._goes_on: dict[tuple[str, str], tuple[str, str]] = {}  # a firing told as renewed -> the one before it
        self._early: dict[str, list[str]] = {}  # resolutions that came before their firing, by fingerprint

    def heard(self, event_id: str, fingerprint: str) -> None:
        """The event was just heard by the pipeline's first level as a report of that alert."""
        opener = self.pipeline.first.opener(fingerprint)
        if opener is None:
            self._early.setdefault(fingerprint, []).append(event_id)
            return
        events = self._events_of.setdefault((fingerprint, opener), [])
        events += self._early.pop(fingerprint, [])
        events.append(event_id)

    def told(self, decisions: Iterable[Decision]) -> None:
        """Take in what the pipeline decided, before the event that it followed from is `heard`."""
        for decision in decisions:
            match decision:
                case Expired():
                    self._early.pop(decision.fingerprint, None)
                case Derived():
                    self.heard(decision.event, decision.fingerprint)
                case Transition():
                    self._fired(decision)
                case Suppressed():
                    self._suppress(decision)
                case Incident():
                    self.incidents[decision.id] = decision
                    self.unanswered.pop(decision.id, None)
                case Unanswered():
                    self.unanswered[decision.incident] = decision
                    self._moved(decision)
                case IncidentMembers():
                    if decision.part == 1 and decision.incident in self.unanswered:  # all that was kept back is told
                        self._forget(decision.incident)
                    self._moved(decision)
                case Response():
                    self.responses[decision.id] = decision
                case Problem():
                    self.problems[decision.id] = decision
                case ChangeRequest():
                    self.changes[decision.id] = decision
                case ServiceRequest():
                    self.requests[decision.id] = decision
                case Notification():
                    self.notifications[decision.id] = decision

    def _fired(self, news: Transition) -> None:
        if news.change == "renewed" and news.fingerprint in self._newest:
            self._goes_on[news.fingerprint, news.event] = news.fingerprint, self._newest[news.fingerprint]
        self._newest[news.fingerprint] = news.event

    def _suppress(self, news: Suppressed) -> None:
        if news.state == "released":
            self.suppressed.pop((news.fingerprint, news.event), None)
        else:
            self.suppressed[news.fingerprint, news.event] = news

    def _moved(self, members: IncidentMembers | Unanswered) -> None:
        moved = members.moved
        for names, left, joined in (
            (self.affected_cis, moved.cis_left, moved.cis_joined),
            (self.affected_services, moved.services_left, moved.services_joined),
        ):
            affected = names.setdefault(members.incident, {})
            for ci in left:
                affected.pop(ci, None)
            affected.update(dict.fromkeys(joined))
        for member in moved.left:
            self._incidents_of.get((member.fingerprint, member.event), {}).pop(members.incident, None)
        for member in moved.joined:
            there = self._incidents_of.setdefault((member.fingerprint, member.event), {})
            there.pop(members.incident, None)
            there[members.incident] = None

    def _forget(self, incident: str) -> None:
        """It is told from the beginning: what it affected while it was kept back counts no more."""
        del self.unanswered[incident]
        self.affected_cis.pop(incident, None)
        self.affected_services.pop(incident, None)

    def events_by_incident(self) -> dict[str, list[str]]:
        """Incident -> the ids of all events collapsed into it, in order of arrival within each alert."""
        events: dict[str, list[str]] = {incident: [] for incident in self.incidents}
        homes = self._homes()
        for alert, ids in self._events_of.items():
            if (home := homes.get(alert)) in self.incidents:
                events[home] += ids
        return events

    def events_unanswered(self) -> Counter[str]:
        """Rule -> events of alerts in situations of which it says that nobody is told."""
        events: Counter[str] = Counter()
        for alert, home in self._homes().items():
            if home in self.unanswered:
                events[self.unanswered[home].rule] += len(self._events_of[alert])
        return events

    def unexplained(self) -> list[str]:
        """Events of alerts in no situation that has been decided about: none are left after `Pipeline.finish`."""
        homes = self._homes()
        return [
            event
            for alert, ids in self._events_of.items()
            if alert not in homes and not self._is_suppressed(alert)
            for event in ids
        ]

    def _homes(self) -> dict[tuple[str, str], str]:
        """The incident that each firing ended in, the heir of one that was merged; of some, nobody is told.

        A firing that was over between two reports has not been told itself; it belongs with the alert's next one.
        """
        homes: dict[tuple[str, str], str] = {}
        later: dict[str, str] = {}  # fingerprint -> incident of its next firing that was told
        for alert in reversed(self._events_of):
            if self._is_suppressed(alert):
                continue
            incident = next(reversed(self._incidents_of.get(alert, {})), later.get(alert[0]))
            if incident is not None:
                later[alert[0]] = incident
                while (heir := self._heir(incident)) is not None:
                    incident = heir
                homes[alert] = incident
        return homes

    def _is_suppressed(self, alert: tuple[str, str]) -> bool:
        """Whether the firing is withheld; one that goes on while it is, is withheld with it."""
        while alert not in self.suppressed and not self._incidents_of.get(alert) and alert in self._goes_on:
            alert = self._goes_on[alert]
        return alert in self.suppressed

    def _heir(self, incident: str) -> str | None:
        told = self.incidents.get(incident) or self.unanswered.get(incident)
        return None if told is None else told.merged_into
