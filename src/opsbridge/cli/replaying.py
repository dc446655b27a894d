"""The production core driven from lines: every line of canonical JSON goes through the whole pipeline, alone.

Nothing here knows the command line, files or Kafka; `opsbridge replay` and tests call it. It keeps the id of every
event (the ledger), so memory grows with the input; the stream does not do that.
"""

from collections.abc import Callable, Iterator

import msgspec

from opsbridge.core.classes import Join, Profiles
from opsbridge.core.decisions import Candidate, Discrepancy, Incident, Outcome, Rejected, Root, Withheld
from opsbridge.core.event import Judge, default_fingerprint
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.ledger import Ledger
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.weights import Weights
from opsbridge.sources.canonical import decode

Clock = Callable[[], int]
"""Milliseconds since 1970: the reader's time, which bounds events' times from above."""


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
    """Whether the places add up to what was read, and every alert is in an incident."""


class Replay:
    """One run of the pipeline over one input."""

    def __init__(
        self,
        graph: CIGraph,
        judge: Judge,
        clock: Clock,
        profiles: Profiles | None = None,
        weights: Weights | None = None,
        joins: tuple[Join, ...] = (),
    ) -> None:
        self._graph = graph
        self._clock = clock
        self.pipeline = Pipeline(graph, judge, profiles, weights, joins)
        self.ledger = Ledger()
        self._unknown: set[str] = set()

    def read(self, payload: bytes | Rejected) -> Rejected | None:
        """Take in one event; what was wrong with it, if it is none. A caller may have rejected it unread."""
        report = payload if isinstance(payload, Rejected) else decode(payload)
        decisions = self.pipeline.advance([report], self._clock())
        self.ledger.told(decisions)
        refused = next((each for each in decisions if isinstance(each, Rejected | Withheld)), None)
        if isinstance(report, Report) and refused is None:
            self.ledger.heard(self.pipeline, report.id, self.fingerprint(report))
            self._unknown.update(each.reference for each in decisions if isinstance(each, Discrepancy))
        return refused if isinstance(refused, Rejected) else None

    def fingerprint(self, report: Report) -> str:
        """The alert that the report is of."""
        number = self._graph.numbers.get(report.ci)
        ci = report.ci if number is None else self._graph.cis[number].id
        return report.fingerprint or default_fingerprint(ci, report.class_)

    def finish(self) -> None:
        """The input ends: let everything be settled and reported."""
        self.ledger.told(self.pipeline.finish())

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
        alerts = places.get("alert", {})
        inside = sum(count for outcome, count in alerts.items() if outcome != Outcome.WAITING)
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
        )


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
    )
