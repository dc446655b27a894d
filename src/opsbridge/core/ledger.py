"""The ledger of a replay: for every event id, the one place where it ended; and for every incident, its events.

Only replay and tests keep one, since it grows with the input; the stream counts (metrics) instead of remembering.
"""

from collections.abc import Iterable

from opsbridge.core.decisions import Expired, Incident, IncidentMembers
from opsbridge.core.pipeline import Decision, Pipeline


class Ledger:
    """Follows single events through a pipeline, and members through incidents."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.affected_cis: dict[str, dict[str, None]] = {}
        self.affected_services: dict[str, dict[str, None]] = {}
        self._incident_of: dict[tuple[str, str], str] = {}  # (fingerprint, opening event) -> incident
        self._events_of: dict[tuple[str, str], list[str]] = {}
        self._early: dict[str, list[str]] = {}  # resolutions that came before their firing, by fingerprint

    def heard(self, pipeline: Pipeline, event_id: str, fingerprint: str) -> None:
        """The event was just heard by the pipeline's first level as a report of that alert."""
        opener = pipeline.first.opener(fingerprint)
        if opener is None:
            self._early.setdefault(fingerprint, []).append(event_id)
            return
        events = self._events_of.setdefault((fingerprint, opener), [])
        events += self._early.pop(fingerprint, [])
        events.append(event_id)

    def told(self, decisions: Iterable[Decision]) -> None:
        """Take in what the pipeline decided, before the event that it followed from is `heard`."""
        for decision in decisions:
            if isinstance(decision, Expired):
                self._early.pop(decision.fingerprint, None)
            elif isinstance(decision, Incident):
                self.incidents[decision.id] = decision
            elif isinstance(decision, IncidentMembers):
                self._moved(decision)

    def _moved(self, members: IncidentMembers) -> None:
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
            if self._incident_of.get((member.fingerprint, member.event)) == members.incident:
                del self._incident_of[member.fingerprint, member.event]
        for member in moved.joined:
            self._incident_of[member.fingerprint, member.event] = members.incident

    def events_by_incident(self) -> dict[str, list[str]]:
        """Incident -> the ids of all events collapsed into it, in order of arrival within each alert."""
        events: dict[str, list[str]] = {incident: [] for incident in self.incidents}
        homes = self._homes()
        for alert, ids in self._events_of.items():
            if alert in homes:
                events[homes[alert]] += ids
        return events

    def unexplained(self) -> list[str]:
        """Events of alerts that are in no incident: none should be left after `Pipeline.finish`."""
        homes = self._homes()
        return [event for alert, ids in self._events_of.items() if alert not in homes for event in ids]

    def _homes(self) -> dict[tuple[str, str], str]:
        """The incident that each firing ended in, the heir of one that was merged.

        A firing that was over between two reports has not been told itself; it belongs with the alert's next one.
        """
        homes: dict[tuple[str, str], str] = {}
        later: dict[str, str] = {}  # fingerprint -> incident of its next firing that was told
        for alert in reversed(self._events_of):
            incident = self._incident_of.get(alert, later.get(alert[0]))
            if incident is not None:
                later[alert[0]] = incident
                while (heir := self.incidents[incident].merged_into) is not None:
                    incident = heir
                homes[alert] = incident
        return homes
