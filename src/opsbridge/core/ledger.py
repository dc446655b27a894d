"""The ledger of a replay: for every event id, the one place where it ended; and for every incident, its events.

Only replay and tests keep one, since it grows with the input; the stream counts (metrics) instead of remembering.
"""

from collections.abc import Iterable

from opsbridge.core.decisions import Incident, IncidentMembers
from opsbridge.core.pipeline import Decision, Pipeline


class Ledger:
    """Follows single events through a pipeline, and members through incidents."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.affected: dict[str, dict[str, None]] = {}
        """Incident -> its affected CIs."""
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
        """Take in what the pipeline decided."""
        for decision in decisions:
            if isinstance(decision, Incident):
                self.incidents[decision.id] = decision
            elif isinstance(decision, IncidentMembers):
                self._moved(decision)

    def _moved(self, members: IncidentMembers) -> None:
        affected = self.affected.setdefault(members.incident, {})
        for ci in members.cis_left:
            affected.pop(ci, None)
        affected.update(dict.fromkeys(members.cis_joined))
        for member in members.left:
            if self._incident_of.get((member.fingerprint, member.event)) == members.incident:
                del self._incident_of[member.fingerprint, member.event]
        for member in members.joined:
            self._incident_of[member.fingerprint, member.event] = members.incident

    def events_by_incident(self) -> dict[str, list[str]]:
        """Incident -> the ids of all events collapsed into it, in order of arrival within each alert."""
        events: dict[str, list[str]] = {incident: [] for incident in self.incidents}
        for alert, ids in self._events_of.items():
            incident = self._incident_of.get(alert)
            if incident is not None:
                events[incident] += ids
        return events

    def unexplained(self) -> list[str]:
        """Events of alerts that are in no incident: none should be left after `Pipeline.finish`."""
        return [event for alert, ids in self._events_of.items() if alert not in self._incident_of for event in ids]
