"""The production core driven from lines: every line of canonical JSON goes through the whole pipeline, alone.

Nothing here knows the command line, files or Kafka; `opsbridge replay` and tests call it. It keeps the id of every
event (the ledger), so memory grows with the input; the stream does not do that.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from opsbridge.cli.inputs import Saying
from opsbridge.core.context import ChangeRecord
from opsbridge.core.decisions import (
    Candidate,
    Derived,
    Discrepancy,
    Rejected,
    Root,
    Shadowed,
    Suppressed,
    Withheld,
)
from opsbridge.core.feedback import situation_of
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import MAX_FUTURE_MS, OLDEST_MS, Report
from opsbridge.core.ledger import Ledger
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.records import Attempt, Incident, KnownError, RelatedChange
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.weights import Weights
from opsbridge.review.recorded import Recorded
from opsbridge.review.written import Writing
from opsbridge.sources.canonical import decode

Clock = Callable[[], int]
"""Milliseconds since 1970: the reader's time, which bounds events' times from above."""


_STAGES: Final = {"feedback": "response", "context": "context"}
"""Who refuses what is no feedback and no context."""


class FinalIncident(msgspec.Struct, frozen=True):
    """One incident in its last version with everything that belongs to it: a line of replay's output."""

    id: str
    version: int
    status: str
    title: str
    severity: str
    root: Root
    candidates: tuple[Candidate, ...]
    events: tuple[str, ...]
    """Ids of all events collapsed into it, duplicates and resolutions too, each once."""
    affected_cis: tuple[str, ...]
    affected_services: tuple[str, ...]
    opened: str
    updated: str
    resolved: str | None
    because: tuple[str, ...]
    priority: str = ""
    group: str = ""
    problem: str = ""
    known_errors: tuple[KnownError, ...] = ()
    changes: tuple[RelatedChange, ...] = ()
    attempts: tuple[Attempt, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """Where every line that was read ended."""

    read: int
    places: dict[str, dict[str, int]]
    """Place -> reason -> events: dead_letter, informational, suppressed, alert (by outcome), expired."""
    incidents: int
    merged: int
    """Incidents that were reported and turned out to be part of another; their events are there."""
    events_in_incidents: int
    collapse_ratio: float | None
    """Events per incident; None without incidents."""
    unknown_cis: int
    unexplained: int
    balanced: bool
    """Whether the places add up to what was read and derived, and every alert is in an incident or withheld."""
    derived: dict[str, int] = {}
    """Rule -> alerts that it raised; their events are among those read."""
    withheld: dict[str, dict[str, int]] = {}
    """Kind (hold, flapping, maintenance, inhibit) -> rule -> alerts that it withheld, for a time or to their end."""
    unanswered: dict[str, int] = {}
    """Rule -> events of alerts in situations that it made no incidents."""
    shadow: dict[str, dict[str, int]] = {}
    """Rule in trial -> what it would have done -> how often."""


class Tally:
    """How often rules made alerts, withheld them, or would have done something: counted as the pipeline tells it."""

    def __init__(self) -> None:
        self.derived: Counter[str] = Counter()
        self.withheld: Counter[tuple[str, str]] = Counter()
        """(kind, rule) -> alerts."""
        self.shadow: Counter[tuple[str, str]] = Counter()
        """(rule, what it would have done) -> how often."""

    def told(self, decision: Decision) -> None:
        """Count a decision, if it is one of these."""
        match decision:
            case Derived(firing=True):
                self.derived[decision.rule] += 1
            case Suppressed(state="withheld"):
                self.withheld[decision.kind, decision.rule] += 1
            case Shadowed():
                self.shadow[decision.rule, decision.would] += 1


class Replay:
    """One run of the pipeline over one input."""

    def __init__(
        self,
        graph: CIGraph,
        book: Rulebook,
        clock: Clock,
        weights: Weights | None = None,
        suppressed: Callable[[Suppressed], None] | None = None,
        records: Callable[[Recorded], None] | None = None,
    ) -> None:
        """`suppressed` and `records` are told what rules withhold, and all that the topics would have."""
        self._clock = clock
        self._suppressed = suppressed
        self._writing = None if records is None else Writing(graph, records)
        self._unsaid: deque[Saying] = deque()
        self._unheard: Callable[[Saying, str], None] | None = None
        self.pipeline = Pipeline(graph, book, weights)
        self.ledger = Ledger(self.pipeline)
        self.tally = Tally()
        self._unknown: set[str] = set()

    def say(self, sayings: Sequence[Saying], unheard: Callable[[Saying, str], None] | None = None) -> None:
        """People and tools will say this, in order of time: each after the events of its time, before later ones.

        `unheard` is told what is about something that nobody knows, and why.
        """
        self._unsaid.extend(sayings)
        self._unheard = unheard

    def learn(self, record: ChangeRecord, content: bytes) -> None:
        """Something is known about CIs, from the beginning: what counts are the times that the record names."""
        self._write("context", content, f"change:{record.id}")
        self.pipeline.learn(record)

    def refuse(self, entity: str, content: bytes, reason: str, detail: str) -> None:
        """Feedback or context that is none was read."""
        offset = self._write(entity, content)
        if self._writing is not None:
            self._writing.refused(entity, offset, content, reason, detail, _STAGES[entity])

    def read(self, payload: bytes | Report | Rejected, content: bytes = b"") -> Rejected | None:
        """Take in one event; what was wrong with it, if it is none. A caller may have decoded or rejected it.

        `content`: its bytes, where they are not the payload and records are wanted.
        """
        report = decode(payload) if isinstance(payload, bytes) else payload
        if self._unsaid and isinstance(report, Report):
            self._say(round(report.time.timestamp() * 1000))
        content = payload if isinstance(payload, bytes) else content
        offset = self._write("events", content)
        decisions = self.pipeline.advance([report], self._clock())
        answer = next((each for each in decisions if isinstance(each, Rejected | Withheld)), None)
        if self._writing is not None and isinstance(answer, Rejected):
            self._writing.refused("events", offset, content, answer.reason, answer.detail)
        elif self._writing is not None and isinstance(answer, Withheld) and answer.route:
            self._writing.routed(content, answer)
        self._told(decisions)
        for event in self.pipeline.accepted:
            self.ledger.heard(event.id, event.fingerprint)
        return answer if isinstance(answer, Rejected) else None

    def finish(self) -> None:
        """The input ends: let all be said, and everything be settled and reported."""
        self._say(None)
        self._told(self.pipeline.finish())

    def _say(self, before: int | None) -> None:
        """Let be said what was said before that time, which comes now; None: all. A broken clock brings no time."""
        if before is not None and not OLDEST_MS <= before <= self._clock() + MAX_FUTURE_MS:
            return
        while self._unsaid and (before is None or self._unsaid[0].time < before):
            saying = self._unsaid.popleft()
            if 0 < self.pipeline.first.now < saying.time:
                self._told(self.pipeline.expire(saying.time))
            offset = self._write("feedback", saying.line.content, situation_of(saying.said) or None)
            answer = self.pipeline.heard(saying.said)
            if not isinstance(answer, str):
                self._told(answer)
                continue
            if self._writing is not None:
                self._writing.refused("feedback", offset, saying.line.content, "unknown_target", answer, "response")
            if self._unheard is not None:
                self._unheard(saying, answer)

    def _write(self, entity: str, content: bytes, key: str | None = None) -> int:
        if self._writing is None:
            return 0
        self._writing.now = self.pipeline.first.now
        return self._writing.read(entity, content, key)

    def reload(self, book: Rulebook, graph: CIGraph | None = None) -> None:
        """Go on with other rules (and the same estate, where they have changed what its edges cost)."""
        self.pipeline = self.ledger.pipeline = self.pipeline.reloaded(book, graph)

    def _told(self, decisions: Iterable[Decision]) -> None:
        decisions = list(decisions)
        self.ledger.told(decisions)
        if self._writing is not None:
            self._writing.now = self.pipeline.first.now
            for decision in decisions:
                self._writing.told(decision)
        for decision in decisions:
            if isinstance(decision, Discrepancy):
                self._unknown.add(decision.reference)
            else:
                self.tally.told(decision)
                if self._suppressed is not None and isinstance(decision, Suppressed):
                    self._suppressed(decision)

    def incidents(self) -> Iterator[FinalIncident]:
        """Every incident that was not merged into another, in the order in which they were first reported."""
        ledger = self.ledger
        events = ledger.events_by_incident()
        for incident in ledger.incidents.values():
            if incident.status != "merged":
                yield _final(
                    incident,
                    events[incident.id],
                    ledger.affected_cis.get(incident.id, {}),
                    ledger.affected_services.get(incident.id, {}),
                )

    def summary(self) -> Summary:
        """The figures of the run so far."""
        accounts = self.pipeline.accounts
        places: dict[str, dict[str, int]] = {}
        for (place, reason), count in sorted(accounts.places.items()):
            if count:
                places.setdefault(place, {})[str(reason)] = count
        merged = sum(incident.status == "merged" for incident in self.ledger.incidents.values())
        incidents = len(self.ledger.incidents) - merged
        unanswered = self.ledger.events_unanswered()
        inside = sum(map(len, self.ledger.events_by_incident().values()))
        unexplained = len(self.ledger.unexplained())
        return Summary(
            read=accounts.read,
            places=places,
            incidents=incidents,
            merged=merged,
            events_in_incidents=inside,
            collapse_ratio=round(inside / incidents, 2) if incidents else None,
            unknown_cis=len(self._unknown),
            unexplained=unexplained,
            balanced=accounts.balanced() and not unexplained,
            derived=dict(sorted(self.tally.derived.items())),
            withheld=_nested(self.tally.withheld),
            unanswered=dict(sorted(unanswered.items())),
            shadow=_nested(self.tally.shadow),
        )


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (first, second), count in sorted(counts.items()):
        found.setdefault(first, {})[second] = count
    return found


def _final(incident: Incident, events: list[str], cis: dict[str, None], services: dict[str, None]) -> FinalIncident:
    return FinalIncident(
        incident.id,
        incident.version,
        incident.status,
        incident.title,
        incident.severity,
        incident.root,
        incident.candidates,
        tuple(dict.fromkeys(events)),
        tuple(cis),
        tuple(services),
        incident.opened,
        incident.updated,
        incident.resolved,
        incident.because,
        incident.priority,
        incident.group,
        incident.problem,
        incident.known_errors,
        incident.changes,
        incident.attempts,
    )
