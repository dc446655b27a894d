"""What the demo has seen: incidents, members, responses and feedback from the topics, where events ended from metrics.

Nothing here talks to Kafka or HTTP: bytes and text come in, and what is worth telling comes out as lines.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from opsbridge.core.feedback import Feedback, Started
from opsbridge.core.records import Incident, IncidentMembers, Response
from opsbridge.demo.scenario import Fate

_decode_incident: Final = msgspec.json.Decoder(Incident).decode
_decode_members: Final = msgspec.json.Decoder(IncidentMembers).decode
_decode_response: Final = msgspec.json.Decoder(Response).decode
_decode_feedback: Final = msgspec.json.Decoder(Feedback).decode


@dataclass(slots=True)
class Audience:
    """Every incident in its last version, with the CIs whose alerts and those whose state it affects."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    """How often an incident opened, re-rooted, merged, resolved or reopened."""
    written: int = 0
    responses: dict[str, Response] = field(default_factory=dict)
    """Every auto-response in its last version."""
    begun: Counter[str] = field(default_factory=Counter)
    """How often executors have begun what each idempotency key stands for."""
    _alerts: dict[str, dict[tuple[str, int], str]] = field(default_factory=dict)
    _affected: dict[str, set[str]] = field(default_factory=dict)
    _services: dict[str, set[str]] = field(default_factory=dict)

    def incident(self, value: bytes) -> list[str]:
        """Take in a snapshot; what it changed, in words."""
        now = _decode_incident(value)
        before = self.incidents.get(now.id)
        self.written += 1
        if before is not None and now.version < before.version:
            return []
        self.incidents[now.id] = now
        told = list(_news(before, now))
        self.counts.update(kind for kind, _ in told)
        return [text for _, text in told]

    def members(self, value: bytes) -> None:
        """Take in who joined and left an incident."""
        news = _decode_members(value)
        moved = news.moved
        alerts = self._alerts.setdefault(news.incident, {})
        for member in moved.left:
            alerts.pop((member.fingerprint, member.occurrence), None)
        for member in moved.joined:
            for others in self._alerts.values():
                others.pop((member.fingerprint, member.occurrence), None)
            alerts[member.fingerprint, member.occurrence] = member.ci
        for kept, left, joined in (
            (self._affected, moved.cis_left, moved.cis_joined),
            (self._services, moved.services_left, moved.services_joined),
        ):
            names = kept.setdefault(news.incident, set())
            names.difference_update(left)
            names.update(joined)

    def response(self, value: bytes) -> list[str]:
        """Take in a snapshot of an auto-response; what it changed, in words."""
        now = _decode_response(value)
        before = self.responses.get(now.id)
        if before is not None and now.version < before.version:
            return []
        self.responses[now.id] = now
        if before is not None and (before.status, before.attempt) == (now.status, now.attempt):
            return []
        attempt = f", attempt {now.attempt} of {now.attempts}" if now.attempt else ""
        return [f"{now.id} {now.status}: {now.action} on {now.ci}{attempt}{_MEANING.get(now.status, '')}"]

    def feedback(self, value: bytes) -> None:
        """Take in what an executor says."""
        said = _decode_feedback(value)
        if isinstance(said, Started):
            self.begun[said.idempotency_key] += 1

    def responses_for(self, ci: str) -> list[Response]:
        """The auto-responses that are about this CI."""
        return [response for response in self.responses.values() if response.ci == ci]

    def told_of_vain(self, ci: str) -> bool:
        """Whether people were told, by an incident, that nothing has helped."""
        return any(
            attempt.status == "escalated"
            for incident in self.standing()
            if incident.root.ci == ci
            for attempt in incident.attempts
        )

    def alerting(self, incident: str) -> set[str]:
        """The CIs whose alerts are in the incident."""
        return set(self._alerts.get(incident, {}).values())

    def affected(self, incident: str) -> set[str]:
        """The CIs that the incident affects, alerting or not."""
        return self._affected.get(incident, set())

    def services(self, incident: str) -> list[str]:
        """The services among them."""
        return sorted(self._services.get(incident, ()))

    def standing(self) -> list[Incident]:
        """The incidents that were not merged into another, in the order of their first reports."""
        return [incident for incident in self.incidents.values() if incident.status != "merged"]


_MEANING: Final = {
    "awaiting_permit": " - do the limits allow it?",
    "requested": " - an executor is asked",
    "verifying": " - it is done; do the alerts end?",
    "waiting": " - the alerts go on; once more",
    "effective": " - the alerts have ended, nobody has to be told",
    "escalated": " - the alerts go on: people are told",
}
"""What a status of an auto-response says to those who see it for the first time."""


def counted(number: int, what: str) -> str:
    """A number of things: `1 alert`, `2 alerts`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _news(before: Incident | None, now: Incident) -> Iterator[tuple[str, str]]:
    root = f"{now.root.ci}{', silent' if now.root.silent else ''} ({now.root.confidence:.0%})"
    if before is None:
        yield "opened", f"{now.id} opened: {now.priority} {now.title}; root {root}, {counted(now.alerts, 'alert')}"
    elif before.root.ci != now.root.ci:
        yield "re-rooted", f"{now.id} re-rooted: {before.root.ci} -> {root}, {counted(now.alerts, 'alert')}"
    if now.status == "merged":
        yield "merged", f"{now.id} merged into {now.merged_into}"
    elif before is not None and before.status != now.status:
        yield now.status, f"{now.id} {now.status}: {now.title}"
    elif before is None and now.status == "resolved":
        yield "resolved", f"{now.id} is resolved already"


@dataclass(frozen=True, slots=True)
class Figures:
    """The worker's counters: where events ended."""

    received: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    expired: int = 0
    dead_letters: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every event that was received has ended somewhere."""
        return self.received == self.fates.total()


def figures(metrics: str) -> Figures:
    """The figures in the text of /metrics."""
    received = expired = dead = 0
    fates: Counter[Fate] = Counter()
    outcomes: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            labels, count = sample.labels, int(sample.value) if sample.name.endswith("_total") else 0
            match sample.name:
                case "opsbridge_events_received_total":
                    received += count
                case "opsbridge_events_rejected_total":
                    fates["rejected", labels["reason"]] += count
                case "opsbridge_events_withheld_total":
                    fates["withheld", labels["place"], labels["reason"]] += count
                case "opsbridge_events_heard_total":
                    fates["heard",] += count
                    outcomes[labels["outcome"]] += count
                case "opsbridge_events_expired_total":
                    expired += count
                case "opsbridge_dead_letters_total":
                    dead += count
                case _:
                    pass
    return Figures(received, +fates, +outcomes, expired, dead)
