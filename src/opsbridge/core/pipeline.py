"""The whole core in one chain: canonical reports in, decisions out. Replay, tests and benchmarks drive it.

The stream runs the same stages in agents of their own with topics between them; what they decide is the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from opsbridge.core.alerts import Change, FirstLevel, Heard, unknown_cis
from opsbridge.core.backbone import LATENESS_MS as BACKBONE_LATENESS_MS
from opsbridge.core.backbone import Backbone, News, home, time_of
from opsbridge.core.classes import Join, Profiles
from opsbridge.core.decisions import (
    Discrepancy,
    Expired,
    Incident,
    IncidentMembers,
    Outcome,
    Rejected,
    SituationUpdate,
    Transition,
    Withheld,
)
from opsbridge.core.event import Event, Judge
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Intake, Report
from opsbridge.core.response import ResponseSelection
from opsbridge.core.second_level import LATENESS_MS, LONGEST_SILENCE_MS, QUIET_MS, TICK_MS, SecondLevel
from opsbridge.core.weights import Weights

Decision = Rejected | Withheld | Expired | Discrepancy | Transition | SituationUpdate | Incident | IncidentMembers

FINISH_MS: Final = LATENESS_MS + QUIET_MS + LONGEST_SILENCE_MS + 2 * TICK_MS
"""So long after the last event everything is explained, also in a storm, and has been told."""


class Stage(Protocol):
    """What the stages with state have in common: time moves on, and state leaves and comes back as key and value."""

    now: int

    def __len__(self) -> int:
        """How many alerts, situations or incidents are remembered."""

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all pairs that were saved."""


class Accounts:
    """Where every event went (law of conservation): what was read equals the sum of the places."""

    __slots__ = ("places", "read")

    def __init__(self) -> None:
        self.read = 0
        self.places: Counter[tuple[str, str]] = Counter()
        """(place, reason) -> events: dead_letter, informational, suppressed, alert (by outcome), expired."""

    def refused(self, answer: Rejected | Withheld) -> None:
        """An event that intake did not let through."""
        self.places[_place_of(answer)] += 1

    def heard(self, heard: Heard) -> None:
        """Events that the first level heard. A resolution that waited in vain moves from its alert to `expired`."""
        for outcome, events in Counter(heard.outcomes).items():
            self.places["alert", outcome] += events
        self.expired(heard.expired)

    def expired(self, expired: Iterable[Expired]) -> None:
        """Move the events of alerts that never fired to the place where they ended."""
        for over in expired:
            self.places["expired", over.reason] += over.events
            self.places["alert", Outcome.WAITING] -= over.events

    def balanced(self) -> bool:
        """Whether every event read is in one place."""
        return self.read == sum(self.places.values()) and all(count >= 0 for count in self.places.values())


def _place_of(answer: Rejected | Withheld) -> tuple[str, str]:
    return ("dead_letter", answer.reason) if isinstance(answer, Rejected) else (answer.place, answer.reason)


class Pipeline:
    """Intake, first level, second level, backbone and response of one estate, in one place."""

    def __init__(
        self,
        graph: CIGraph,
        judge: Judge,
        profiles: Profiles | None = None,
        weights: Weights | None = None,
        joins: tuple[Join, ...] = (),
    ) -> None:
        self.intake = Intake(graph, judge, joins)
        self.first = FirstLevel()
        self.second = SecondLevel(graph, profiles, weights)
        self.backbone = Backbone(graph, profiles, weights) if any(graph.backbone) else None
        self.response = ResponseSelection()
        self.accounts = Accounts()
        self._graph = graph
        self._position = 0

    def advance(self, reports: Iterable[Report | Rejected], now: int) -> list[Decision]:
        """What follows from these reports; `now` is the clock of the reader and only bounds the events' times."""
        decisions: list[Decision] = []
        events: list[Event] = []
        accept = self.intake.accept
        read = 0
        for report in reports:
            read += 1
            answer = accept(report, now) if isinstance(report, Report) else report
            if isinstance(answer, Event):
                events.append(answer)
            else:
                self.accounts.refused(answer)
                decisions.append(answer)
        self.accounts.read += read
        heard = self.first.advance(events, self._position)
        self._position += len(events)
        self.accounts.heard(heard)
        decisions += heard.expired
        decisions += self._correlate(heard.transitions)
        return decisions

    def _correlate(self, transitions: list[Transition]) -> Iterator[Decision]:
        yield from unknown_cis(transitions)
        yield from transitions
        updates = self._explain(transitions)
        yield from updates
        yield from self.response.advance(updates)
        self.response.expire(self.first.now)

    def _explain(self, transitions: list[Transition]) -> list[SituationUpdate]:
        if self.backbone is None:
            return self.second.advance(transitions) + self.second.expire(self.first.now)
        news: list[News] = []
        updates: list[SituationUpdate] = []
        own: list[Transition] = []
        for transition in transitions:
            (news if home(self._graph, transition) else own).append(transition)
        shared: list[News] = []
        for update in self.second.advance(own) + self.second.expire(self.first.now):
            (shared if home(self._graph, update) else updates).append(update)
        # What was told at a tick comes before what is heard then: no tick is told of after its time was heard.
        updates += self.backbone.advance(sorted([*shared, *news], key=time_of))
        updates += self.backbone.expire(self.first.now)
        return sorted(updates, key=time_of)

    def expire(self, now: int) -> list[Decision]:
        """Nothing was heard until `now` (event time): what follows from that."""
        expired = self.first.expire(now)
        self.accounts.expired(expired)
        return [*expired, *self._correlate([])]

    def finish(self) -> list[Decision]:
        """The input ends: wait just long enough, in event time, for everything to be settled and reported."""
        return self.expire(self.first.now + FINISH_MS + (BACKBONE_LATENESS_MS if self.backbone is not None else 0))

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call, of all stages."""
        changed: list[Change] = [(b"position", b"%d" % self._position)]
        for name, stage in self._stages():
            changed += [(name + key, value) for key, value in stage.changes()]
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new pipeline on the same estate."""
        saved = dict(entries)
        self._position = int(saved.pop(b"position", b"0"))
        for name, stage in self._stages():
            stage.restore([(key[len(name) :], value) for key, value in saved.items() if key.startswith(name)])
        self.first.now = max(self.first.now, self.second.now)  # its alerts do not tell of time that passed in silence

    def _stages(self) -> tuple[tuple[bytes, Stage], ...]:
        backbone = ((b"backbone:", self.backbone),) if self.backbone is not None else ()
        return (b"first:", self.first), (b"second:", self.second), *backbone, (b"response:", self.response)
