"""The whole core in one chain: canonical reports and feedback in, decisions out. Replay, tests and benchmarks drive it.

The stream runs the same stages in agents of their own with topics between them; what they decide is the same. What the
response side and coordination do by time alone happens in order of time, however far time moves at once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from opsbridge.core.context import ChangeRecord, Context
from opsbridge.core.coordination.news import Answer, BelongsTo, Denied, Granted, Halted, ProblemClosed
from opsbridge.core.coordination.news import News as ResponseNews
from opsbridge.core.coordination.stage import Coordination
from opsbridge.core.decisions import (
    Derived,
    Discrepancy,
    Expired,
    Outcome,
    Regroup,
    Rejected,
    Reminder,
    Shadowed,
    SituationUpdate,
    Suppressed,
    Transition,
    Withheld,
)
from opsbridge.core.event import Event
from opsbridge.core.feedback import CloseRecord, Feedback, ResumeAutomation, StopAutomation
from opsbridge.core.first_level.level import FirstLevel, Heard, unknown_cis
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Intake, Report
from opsbridge.core.policies import Policies
from opsbridge.core.records import Problem
from opsbridge.core.response.selection import Decision as Selected
from opsbridge.core.response.selection import ResponseSelection
from opsbridge.core.rulebook import EMPTY, Rulebook
from opsbridge.core.second_level.backbone import LATENESS_MS as BACKBONE_LATENESS_MS
from opsbridge.core.second_level.backbone import Backbone, News, home, time_of
from opsbridge.core.second_level.inhibition import GRACE_MS
from opsbridge.core.second_level.level import LATENESS_MS, LONGEST_SILENCE_MS, QUIET_MS, TICK_MS, SecondLevel, Told
from opsbridge.core.sharing import opens_at
from opsbridge.core.state import Change
from opsbridge.core.weights import Weights

Decision = (
    Rejected
    | Withheld
    | Expired
    | Suppressed
    | Derived
    | Shadowed
    | Reminder
    | Discrepancy
    | Transition
    | SituationUpdate
    | Selected
    | Answer
    | Problem
)

FINISH_MS: Final = GRACE_MS + LATENESS_MS + QUIET_MS + LONGEST_SILENCE_MS + 2 * TICK_MS
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
    """Where every event went (law of conservation): what was read or derived equals the sum of the places."""

    __slots__ = ("places", "read")

    def __init__(self) -> None:
        self.read = 0
        self.places: Counter[tuple[str, str]] = Counter()
        """(place, reason) -> events: dead_letter, informational, suppressed, routed, alert (by outcome), expired."""

    def refused(self, answer: Rejected | Withheld) -> None:
        """An event that intake or its source did not let through."""
        self.places[place_of(answer)] += 1

    def heard(self, heard: Heard) -> None:
        """Events that the first level heard and derived, and what it has decided about earlier ones."""
        for outcome, events in Counter(heard.outcomes).items():
            self.places["alert", outcome] += events
        for news in heard.news:
            match news:
                case Expired():  # a resolution that waited in vain
                    self._move(news.events, Outcome.WAITING, ("expired", news.reason))
                case Suppressed(state="resolved"):
                    self._move(news.events, Outcome.WITHHELD, ("suppressed", news.rule))
                case Suppressed(state="released"):
                    self._move(news.events, Outcome.WITHHELD, ("alert", Outcome.RELEASED))
                case Derived():
                    self.read += 1
                case Withheld():
                    self.refused(news)

    def _move(self, events: int, waited: Outcome, place: tuple[str, str]) -> None:
        self.places["alert", waited] -= events
        self.places[place] += events

    def balanced(self) -> bool:
        """Whether every event read is in one place."""
        return self.read == sum(self.places.values()) and all(count >= 0 for count in self.places.values())


def place_of(answer: Rejected | Withheld) -> tuple[str, str]:
    """(place, reason) where an event ends that intake or its source does not let through."""
    return ("dead_letter", answer.reason) if isinstance(answer, Rejected) else (answer.place, answer.reason)


class Pipeline:
    """Intake, first level, second level, backbone and response of one estate, in one place."""

    def __init__(
        self,
        graph: CIGraph,
        book: Rulebook = EMPTY,
        weights: Weights | None = None,
        *,
        policies: Policies = Policies(),  # noqa: B008 - frozen
        context: Context | None = None,
        shares: bool = False,
        misfits: Iterable[Discrepancy] = (),
    ) -> None:
        """`context`: what is known about CIs besides their events; without one, it is what is learned (`learn`).

        `misfits`: what live topology says that does not fit; coordination tells it once. `shares`: a backbone has
        decided before, and goes on with that whether or not this graph has one.
        """
        self.context = Context(graph) if context is None else context
        reopen = policies.reopen_within_ms
        self.intake = Intake(graph, book)
        self.first = FirstLevel(
            book,
            accept=self.intake.derived,
            context=self.context,
            place=lambda alert: opens_at(graph, alert.ci, alert.grounds, known=alert.known_ci),
        )
        self.second = SecondLevel(graph, book, weights, context=self.context, reopen_within_ms=reopen)
        self.backbone = (
            Backbone(graph, book, weights, context=self.context, reopen_within_ms=reopen)
            if shares or any(graph.backbone)
            else None
        )
        self.response = ResponseSelection(book, graph, policies.response)
        self.coordination = Coordination(policies.automation, graph, misfits)
        self.accounts = Accounts()
        self._graph = graph
        self._weights = weights
        self._policies = policies
        self._position = 0
        self._saved: dict[bytes, bytes | None] = {}  # what a reload brought
        self.accepted: list[Event] = []
        """The events of the last `advance` that went on as reports of alerts."""

    def advance(self, items: Iterable[Report | Withheld | Rejected], now: int) -> list[Decision]:
        """What follows from these items, as sources made them of payloads: reports, and what they let not become one.

        `now` is the clock of the reader and only bounds the events' times.
        """
        decisions: list[Decision] = []
        events: list[Event] = []
        accept = self.intake.accept
        read = 0
        for item in items:
            read += 1
            answer = accept(item, now) if isinstance(item, Report) else item
            if isinstance(answer, Event):
                events.append(answer)
                if not answer.firing and (echo := self.intake.echo()) is not None:
                    events.append(echo)
            else:
                self.accounts.refused(answer)
                decisions.append(answer)
                if isinstance(answer, Withheld) and answer.observed is not None:
                    events.append(answer.observed)
        self.accounts.read += read
        decisions += self.intake.trials()
        heard = self.first.advance(events, self._position)
        self._position += len(events)
        self.accepted = [event for event in events if not event.observed]
        decisions += self._correlate(heard)
        return decisions

    def _correlate(self, heard: Heard) -> Iterator[Decision]:
        self.accounts.heard(heard)
        for news in heard.news:
            if not isinstance(news, Withheld):  # of a derived event; what is told of it is that it was derived
                yield news
        yield from self.intake.trials()
        transitions = heard.transitions
        yield from unknown_cis(transitions)
        yield from transitions
        yield from self._explained(transitions, self.first.now)

    def _explained(self, transitions: list[Transition], now: int) -> Iterator[Decision]:
        told = self._explain(transitions, now)
        yield from told
        yield from self._responded(told)
        yield from self._until(now)

    def _explain(self, transitions: list[Transition], now: int) -> list[Told]:
        if self.backbone is None:
            return self.second.advance(transitions) + self.second.expire(now)
        news: list[News] = []
        own: list[Transition] = []
        for transition in transitions:
            (news if home(self._graph, transition) else own).append(transition)
        return self._decided_there(self.second.advance(own) + self.second.expire(now), news, now)

    def _decided_there(self, found: list[Told], news: list[News], now: int) -> list[Told]:
        """What is told after the backbone has heard its part of what the second level found, and these news."""
        if self.backbone is None:
            return found
        told: list[Told] = []
        shared: list[News] = []
        for each in found:
            if isinstance(each, SituationUpdate) and home(self._graph, each):
                shared.append(each)
            else:
                told.append(each)
        # What was told at a tick comes before what is heard then: no tick is told of after its time was heard.
        told += self.backbone.advance(sorted([*shared, *news], key=time_of))
        told += self.backbone.expire(now)
        return sorted(told, key=time_of)

    # response and coordination

    def _responded(self, told: Iterable[Told]) -> Iterator[Decision]:
        for each in told:
            if isinstance(each, SituationUpdate):
                yield from self._until(each.told_ms)
                yield from self._agreed(self.response.advance([each]))

    def _until(self, now: int) -> Iterator[Decision]:
        """What response and coordination do by time alone until then, in order of time."""
        response, coordination = self.response, self.coordination
        while (due := _earliest(response.due(), coordination.due())) is not None and due <= now:
            yield from self._answered(coordination.expire(due))
            yield from self._agreed(response.expire(due))
        yield from self._answered(coordination.expire(now))
        yield from self._agreed(response.expire(now))

    def _agreed(self, decisions: list[Selected]) -> Iterator[Decision]:
        """What the response stage has decided, and then what follows from it where others hear of it."""
        yield from decisions
        for decision in decisions:
            if isinstance(decision, Regroup):
                yield from self._regrouped(decision)
            elif isinstance(decision, ResponseNews):
                yield from self._answered(self.coordination.advance([decision]))

    def _answered(self, told: Iterable[Answer | Problem | Discrepancy]) -> Iterator[Decision]:
        for each in told:
            yield each
            if isinstance(each, Granted | Denied | BelongsTo):
                yield from self._agreed(self.response.answered(each))

    def _regrouped(self, correction: Regroup) -> Iterator[Decision]:
        told = self._decided_there(self.second.regroup(correction), [], self.second.now)
        if self.backbone is not None:
            told += self.backbone.regroup(correction)
        yield from told
        yield from self._responded(told)

    def heard(self, said: Feedback) -> list[Decision] | str:
        """What follows from what somebody says, at the time that has come; or why nobody knows what it is about."""
        match said:
            case StopAutomation() | ResumeAutomation():
                stopped = isinstance(said, StopAutomation)
                halted = Halted(stopped, said.id, said.by, self.response.now)
                return list(self._answered(self.coordination.advance([halted])))
            case CloseRecord() if said.record.startswith("PRB-"):
                closed = ProblemClosed(said.record, said.id, said.by, self.response.now)
                return list(self._answered(self.coordination.advance([closed])))
        answer = self.response.heard(said)
        return answer if isinstance(answer, str) else list(self._agreed(answer))

    def learn(self, record: ChangeRecord) -> None:
        """What is known about CIs from now on; it shows in what is decided then."""
        self.context.learn(record)

    def expire(self, now: int) -> list[Decision]:
        """Nothing was heard until `now` (event time): what follows from that."""
        return list(self._correlate(self.first.expire(now)))

    def finish(self) -> list[Decision]:
        """The input ends: wait just long enough, in event time, for everything to be settled and reported.

        What is to be done about incidents later than that (targets, reminders, deadlines) is left undone.
        """
        wait = FINISH_MS + (BACKBONE_LATENESS_MS if self.backbone is not None else 0)
        heard = self.first.expire(self.first.now + wait)
        decisions = list(self._correlate(heard))
        if heard.transitions:  # told in that time, so they are explained in as much again; rules are not asked any more
            decisions += self._explained([], self.first.now + wait)
        return decisions

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call, of all stages."""
        changed: list[Change] = [(b"position", b"%d" % self._position)]
        for name, stage in self._stages():
            changed += [(name + key, value) for key, value in stage.changes()]
        return changed

    def reloaded(self, book: Rulebook, graph: CIGraph | None = None, misfits: Iterable[Discrepancy] = ()) -> "Pipeline":
        """A pipeline with other rules that goes on where this one is: open alerts and running windows are kept.

        `graph`: the estate as it is from now on, where rules have changed what its edges cost, or its topology has
        changed. This pipeline is not to be used any more; it must be one whose `changes` nobody else has taken.
        """
        if graph is not None:
            self.context.bind(graph)
        shares = self.backbone is not None
        new = Pipeline(
            self._graph if graph is None else graph,
            book,
            self._weights,
            policies=self._policies,
            context=self.context,
            shares=shares,
            misfits=misfits,
        )
        saved = self._saved | dict(self.changes())
        new._saved = {key: value for key, value in saved.items() if value is not None}
        new.restore((key, value) for key, value in saved.items() if value is not None)
        new.accounts = self.accounts
        return new

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new pipeline on the same estate."""
        saved = dict(entries)
        self._position = int(saved.pop(b"position", b"0"))
        for name, stage in self._stages():
            stage.restore([(key[len(name) :], value) for key, value in saved.items() if key.startswith(name)])
        self.first.now = max(self.first.now, self.second.now)  # its alerts do not tell of time that passed in silence
        self.response.now = max(self.response.now, self.first.now)  # nor do incidents

    def _stages(self) -> tuple[tuple[bytes, Stage], ...]:
        backbone = ((b"backbone:", self.backbone),) if self.backbone is not None else ()
        return (
            (b"first:", self.first),
            (b"second:", self.second),
            *backbone,
            (b"response:", self.response),
            (b"coordination:", self.coordination),
        )


def _earliest(one: int | None, other: int | None) -> int | None:
    return min((due for due in (one, other) if due is not None), default=None)
