"""The production core driven from payloads: each of their events goes through the whole pipeline, alone.

Nothing here knows the command line, files or Kafka; `opsbridge replay` and tests call it. It keeps the id of every
event (the ledger), so memory grows with the input; the stream does not do that.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from opsbridge.cli.inputs import Refused, Saying
from opsbridge.cli.payloads import Payload
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
from opsbridge.rules.compile import RuleSet
from opsbridge.sources.canonical import decode
from opsbridge.sources.refused import one_of, placed
from opsbridge.sources.source import Item

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
    """Where every event that was read ended."""

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


class Estate(Protocol):
    """What a run decides by."""

    @property
    def graph(self) -> CIGraph:
        """The topology."""

    @property
    def rules(self) -> RuleSet:
        """The rules, as far as they ask for CIs by that."""

    @property
    def misfits(self) -> tuple[Discrepancy, ...]:
        """What of the topology does not fit."""


class Written(Protocol):
    """A record of the topology, as it was read."""

    @property
    def time(self) -> int:
        """Milliseconds since 1970."""

    @property
    def key(self) -> str:
        """Of the record."""

    @property
    def content(self) -> bytes | None:
        """Its value; None: it was withdrawn."""


class Changing(Protocol):
    """A topology that changes with event time (history.py)."""

    def due(self) -> int | None:
        """When it is another one next."""

    def advance(self, now: int) -> tuple[Sequence[Written], Estate | None]:
        """What was told until then, and the estate of that time, if it is another one."""


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
        self._topology: Changing | None = None
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

    def follow(self, topology: "Changing") -> None:
        """The topology is as this says, as of event time."""
        self._topology = topology

    def refuse(self, entity: str, refused: Refused) -> None:
        """Feedback or context that is none was read."""
        content = refused.line.content
        offset = self._write(entity, content)
        if self._writing is not None:
            self._writing.refused(entity, offset, content, [refused], _STAGES[entity])

    def read(self, payload: Payload) -> list[Rejected]:
        """Take in the events of one payload, one after the other; what was wrong with those that are none."""
        first = next((item for item in payload.items if isinstance(item, Report)), None)
        self._as_of(first)
        self._let_say(first)
        offset = self._received(payload)
        refused: list[Rejected] = []
        for item in payload.items:
            answer = self.take(item)
            if isinstance(answer, Rejected):
                refused.append(placed(item, payload.items, answer))
            elif self._writing is not None and answer is not None and answer.route:
                one = one_of(payload.items, item)
                self._writing.routed(payload.content if one is None else msgspec.json.encode(one), answer)
        if refused and self._writing is not None:
            self._writing.refused("events", offset, payload.content, refused)
        return refused

    def take(self, item: Item) -> Rejected | Withheld | None:
        """Take in one event; why it is not heard, if it is not."""
        self._as_of(item)
        self._let_say(item)
        decisions = self.pipeline.advance([item], self._clock())
        self._told(decisions)
        for event in self.pipeline.accepted:
            self.ledger.heard(event.id, event.fingerprint)
        return next((each for each in decisions if isinstance(each, Rejected | Withheld)), None)

    def finish(self) -> None:
        """The input ends: let all be said, and everything be settled and reported."""
        self._say(None)
        self._told(self.pipeline.finish())

    def _as_of(self, item: Item | None) -> None:
        """Let the topology be what it was at the event's time; a broken clock brings no time."""
        topology = self._topology
        if topology is None or not isinstance(item, Report):
            return
        now = round(item.time.timestamp() * 1000)
        if not OLDEST_MS <= now <= self._clock() + MAX_FUTURE_MS:
            return
        while (due := topology.due()) is not None and due <= now:
            if 0 < self.pipeline.first.now < due:
                self._told(self.pipeline.expire(due))
            told, estate = topology.advance(due)
            for changed in told:
                if self._writing is not None:
                    self._writing.now = changed.time
                    self._writing.read("context", changed.content, changed.key)
            if estate is not None:
                self.reload(estate.rules.book, estate.graph, estate.misfits)

    def _let_say(self, item: Item | None) -> None:
        if self._unsaid and isinstance(item, Report):
            self._say(round(item.time.timestamp() * 1000))

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
                self._writing.refused("feedback", offset, saying.line.content, [saying.refused(answer)], "response")
            if self._unheard is not None:
                self._unheard(saying, answer)

    def _write(self, entity: str, content: bytes, key: str | None = None) -> int:
        if self._writing is None:
            return 0
        self._writing.now = self.pipeline.first.now
        return self._writing.read(entity, content, key)

    def _received(self, payload: Payload) -> int:
        """Its timestamp is event time, as of all that is written; but for what may need to know when it arrived."""
        if self._writing is None:
            return 0
        self._writing.now = self.pipeline.first.now
        needed = any(not isinstance(item, Rejected) for item in payload.items) and isinstance(
            decode(payload.content), Rejected
        )
        return self._writing.received(payload.content, payload.headers, payload.arrived_ms if needed else None)

    def reload(self, book: Rulebook, graph: CIGraph | None = None, misfits: Iterable[Discrepancy] = ()) -> None:
        """Go on with other rules, or another topology, of which `misfits` do not fit."""
        self.pipeline = self.ledger.pipeline = self.pipeline.reloaded(book, graph, misfits)
        if self._writing is not None and graph is not None:
            self._writing.graph = graph

    def _told(self, decisions: Iterable[Decision]) -> None:
        decisions = list(decisions)
        self.ledger.told(decisions)
        if self._writing is not None:
            self._writing.now = self.pipeline.first.now
            for decision in decisions:
                self._writing.told(decision)
        for decision in decisions:
            if isinstance(decision, Discrepancy):
                if decision.kind == "unknown_ci":
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
