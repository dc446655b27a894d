"""Response: decides what a situation's news mean for people and machines, and keeps the life-cycle of its incident.

Hears the situation updates of one partition in order, what people and executors say, and what coordination answers;
tells incidents, the members that moved, tickets, notifications and auto-responses, and what coordination and second
level have to know. What was heard before is recognised and answered with nothing. Rules say whether a situation is an
incident (judging.py); while it is none, what moves is kept back (backlog.py): should it become one, all of it is told.
An incident that has been told goes on being told to its end, whatever rules say then.

Time is event time: the newest `told_ms` heard, or that `expire` was called with. What people say counts from then on.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from opsbridge.core.case import Case
from opsbridge.core.coordination.news import Answer, BelongsTo, News
from opsbridge.core.decisions import Moved, Regroup, Situation, SituationUpdate
from opsbridge.core.feedback import (
    AboutIncident,
    AboutResponse,
    CloseRecord,
    Feedback,
    Move,
    OfIncident,
    OfResponse,
    Result,
)
from opsbridge.core.graph import CIGraph
from opsbridge.core.ids import digest, incident_id, situation_of_incident
from opsbridge.core.policies import ResponsePolicy
from opsbridge.core.records import (
    ChangeRequest,
    Incident,
    IncidentMembers,
    Notification,
    Response,
    ResponseStatus,
    ServiceRequest,
    Unanswered,
)
from opsbridge.core.response.automation import Automation, Told
from opsbridge.core.response.besides import ended, notified, opened
from opsbridge.core.response.escalation import come, next_step
from opsbridge.core.response.hearing import entry_of, follow, hear, is_new
from opsbridge.core.response.incident import IncidentState, notice_of_status, record
from opsbridge.core.response.judging import Judge, Judgement
from opsbridge.core.response.lifecycle import ENDED
from opsbridge.core.response.memory import Memory
from opsbridge.core.response.tickets import Tickets
from opsbridge.core.rulebook import EMPTY, AutoResponse, Rulebook, Ticket
from opsbridge.core.second_level.reporting import slices
from opsbridge.core.state import Change

_encode = msgspec.json.Encoder().encode

_IN_HISTORY: Final[frozenset[ResponseStatus]] = frozenset(
    {"awaiting_approval", "requested", "rolling_back", "effective", "escalated", "refused", "cancelled"}
)
"""What an incident's history has of its auto-responses."""

_KINDS: Final = (b"i:", b"k:", b"a:", b"t:")
"""How the keys of what is saved begin: incidents and what is kept back of them, automation, tickets."""

Decision = (
    Incident | IncidentMembers | Unanswered | ChangeRequest | ServiceRequest | Response | Notification | Regroup | News
)


class ResponseSelection:
    """The incidents of one partition, and what is done about them."""

    __slots__ = ("_automation", "_judge", "_memory", "_tickets", "now")

    def __init__(
        self,
        book: Rulebook = EMPTY,
        graph: CIGraph | None = None,
        policy: ResponsePolicy = ResponsePolicy(),  # noqa: B008 - frozen
    ) -> None:
        self.now = 0
        self._judge = Judge(book, graph)
        self._automation = Automation(book.respond)
        self._memory = Memory(policy)
        self._tickets = Tickets(policy.forget_after_ms)

    def __len__(self) -> int:
        return len(self._memory.incidents)

    # what is heard

    def advance(self, updates: Iterable[SituationUpdate]) -> list[Decision]:
        """What follows from these updates, in order."""
        decisions: list[Decision] = []
        for update in updates:
            if update.told_ms > self.now:
                decisions += self.expire(update.told_ms)
            name, mark = update.situation.id, digest(_encode(update))
            state = self._memory.incidents.setdefault(name, IncidentState())
            if state.has_heard(update, mark):
                continue
            decisions += self._hear(update, state)
            state.digest = mark
            self._memory.changed(name, self.now)
            if (due := self.due()) is not None and due <= self.now:  # overdue, by the priority that it has now
                decisions += self.expire(self.now)
        return decisions

    def heard(self, said: Feedback) -> list[Decision] | str:
        """What follows from what somebody says; or why nobody here knows what it is about."""
        told = self._heard(said)
        return told if isinstance(told, str) else told + self.expire(self.now)

    def _heard(self, said: Feedback) -> list[Decision] | str:
        match said:
            case OfIncident():
                return self._heard_of_incident(said)
            case OfResponse():
                return self._heard_of_response(said)
            case CloseRecord():
                return self._closed(said)
        return "it is about all automation, which coordination sees to"

    def _heard_of_incident(self, said: AboutIncident) -> list[Decision] | str:
        situation = situation_of_incident(said.incident)
        state = self._memory.incidents.get(situation)
        if state is None or state.priority is None:
            return f"nobody has been told of an incident {said.incident}"
        if not is_new(state, said):
            return []
        before = state.status
        target = self._memory.incidents.get(situation_of_incident(said.to)) if isinstance(said, Move) else None
        entry, regroup = hear(state, situation, said, self.now, target)
        state.history.append(entry)
        notices = [] if state.status == before else notice_of_status(state, self.now)
        return [*self._again(situation, state), *notices, *([] if regroup is None else [regroup])]

    def _closed(self, said: CloseRecord) -> list[Decision] | str:
        told = self._tickets.closed(said, self.now)
        if isinstance(told, str):
            return told
        state = self._memory.incidents.get(said.situation)
        if state is None or not is_new(state, said):
            return [*told]
        state.history.append(entry_of(said, "close_record", said.record))
        return [*told, *self._told_again(said.situation)]

    def _heard_of_response(self, said: AboutResponse) -> list[Decision] | str:
        if not self._automation.knows(said.response, said.situation):
            return f"there is no response {said.response} to {said.situation}"
        state = self._memory.incidents.get(said.situation)
        if state is not None and not is_new(state, said):
            return []
        told, refused = self._automation.heard(said)
        if state is not None:
            detail = said.response + (f" {said.outcome}" if isinstance(said, Result) else "")
            what = str(type(said).__struct_config__.tag)
            state.history.append(entry_of(said, what, detail, refused))
        return [*self._acted(told), *self._told_again(said.situation)]

    def answered(self, answer: Answer) -> list[Decision]:
        """What follows from an answer of coordination."""
        return self._answered(answer) + self.expire(self.now)

    def _answered(self, answer: Answer) -> list[Decision]:
        state = self._memory.incidents.get(answer.situation)
        if isinstance(answer, BelongsTo):
            if state is None or state.problem == answer.problem:
                return []
            state.problem = answer.problem
            return self._told_again(answer.situation)
        before = self._automation.attempts(answer.situation)
        told = self._acted(self._automation.answered(answer, self._case(answer.situation)))
        if told or self._automation.attempts(answer.situation) != before:
            told += self._told_again(answer.situation)
        return told

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        parts = (self._memory, self._automation, self._tickets)
        return min((due for part in parts if (due := part.due()) is not None), default=None)

    def expire(self, now: int) -> list[Decision]:
        """Let the time come, and what is due until then happen at its own time."""
        decisions: list[Decision] = []
        while (due := self.due()) is not None and due <= now:
            self.now = max(self.now, due)
            decisions += self._time_came()
        self.now = max(self.now, now)
        self._automation.expire(self.now)  # nothing is due; it has no other clock
        return decisions

    def _time_came(self) -> list[Decision]:
        told, changed = self._automation.expire(self.now)
        decisions = self._acted(told)
        for situation in changed:
            decisions += self._told_again(situation)
        self._tickets.expire(self.now)
        for situation, state in self._memory.met(self.now):
            decisions += self._step(situation, state)
        return decisions

    def _step(self, situation: str, state: IncidentState) -> list[Decision]:
        """What time alone does to an incident has come."""
        step = next_step(state, self.now)
        if step is None or step.at > self.now:
            self._memory.changed(situation, self.now)
            return []
        told = come(state, step, self.now)
        if step.reason == "reminder":  # which is no news of the incident
            self._memory.changed(situation, self.now)
            return [*told]
        return [*self._again(situation, state), *told]

    # situations

    def _hear(self, update: SituationUpdate, state: IncidentState) -> list[Decision]:
        situation = update.situation
        begins = state.situation_version == 0
        state.take_in(update)
        judged = self._judge(situation, state.root)
        if self._judge.may_go(judged.case.root):
            state.root = judged.case.root
        decisions: list[Decision] = []
        if update.part == 1:
            decisions += self._acted(self._automation.wanted(judged.case, judged.asked(AutoResponse)))
        over = situation.status in ENDED and not begins
        if state.version:
            if update.part == 1:
                state.version += 1
                state.telling = state.version
            return decisions + self._tell(update, state, judged)
        if self._concerns_people(state, judged) and not over:
            if begins and situation.id not in self._memory.backlogs:
                state.version = state.telling = 1
                return decisions + self._tell(update, state, judged)
            return decisions + self._make_up_for(update, state, judged)
        return decisions + self._keep_back(update, state, judged, begins=begins)

    def _concerns_people(self, state: IncidentState, judged: Judgement) -> bool:
        """Whether people are to be told of it, and now."""
        if state.absorbed:
            return True
        situation = judged.case.situation.id
        return judged.handling.response == "incident" and not self._automation.holding(situation)

    def _keep_back(
        self, update: SituationUpdate, state: IncidentState, judged: Judgement, *, begins: bool
    ) -> list[Decision]:
        situation = update.situation
        if judged.handling.response == "none":
            state.rule = judged.handling.rule
        backlog = self._memory.backlog(situation.id)
        backlog.keep(update.moved)
        unanswered = Unanswered(
            incident=incident_id(situation.id),
            situation=situation.id,
            rule=self._automation.holding(situation.id) or state.rule,
            root=situation.root.ci,
            status=situation.status,
            merged_into=None if situation.merged_into is None else incident_id(situation.merged_into),
            begins=begins,
            moved=update.moved,
        )
        if not state.whole:
            return [unanswered]
        if situation.status in ENDED:
            backlog.clear()
        return [unanswered, *self._settle(situation, state, judged)]

    def _make_up_for(self, update: SituationUpdate, state: IncidentState, judged: Judgement) -> list[Decision]:
        """It is an incident after all: all that was kept back, once the update is whole."""
        backlog = self._memory.backlog(update.situation.id)
        backlog.keep(update.moved)
        if not state.whole:
            return []
        state.version = state.telling = 1
        whole = slices(update.situation, backlog.whole(), update.told_ms)
        backlog.clear()
        return [decision for each in whole for decision in self._tell(each, state, judged)]

    def _tell(self, update: SituationUpdate, state: IncidentState, judged: Judgement) -> list[Decision]:
        decisions: list[Decision] = []
        situation = update.situation
        if update.moved.anything():
            incident = incident_id(situation.id)
            decisions.append(IncidentMembers(incident, state.telling, update.part, update.parts, update.moved))
        if update.part == update.parts:
            if state.version != state.telling:  # somebody said something while the parts came
                state.version += 1
            heir = situation.merged_into
            state.heir_elsewhere = heir is not None and heir not in self._memory.incidents
            notices = follow(state, situation, judged, self.now)
            decisions += [self._record(situation.id, state), *notices]
            decisions += self._settle(situation, state, judged)
        return decisions

    # what is done besides

    def _settle(self, situation: Situation, state: IncidentState, judged: Judgement) -> list[Decision]:
        """All of a version has been heard: tickets, notifications, and what others have to know."""
        if state.occurrence != situation.reopened:
            state.occurrence, state.announced, state.counted, state.notified = situation.reopened, False, (), ()
        state.situation = situation
        if situation.status in ENDED:
            state.ended = self.now
            self._tickets.over(situation.id, self.now)
            return self._ended(situation, state)
        return [
            *self._tickets.wanted(judged.case, judged.asked(Ticket), self.now),
            *notified(state, judged, self.now),
            *opened(state, judged, self.now),
        ]

    def _ended(self, situation: Situation, state: IncidentState) -> list[Decision]:
        if situation.merged_into is None:
            return [*ended(state, situation, self.now)]
        decisions: list[Decision] = [*self._tickets.merged(situation.id, situation.merged_into, self.now)]
        return decisions + (self._inherited(situation, situation.merged_into, state) if state.version else [])

    def _inherited(self, situation: Situation, heir: str, state: IncidentState) -> list[Decision]:
        """People have been told of it, so they are told of its heir, whatever rules say, as far as it is known here."""
        name = incident_id(situation.id)
        other = self._memory.incidents.get(heir)
        if other is None:  # it may be about to be heard of; if it is not, it is forgotten
            other = self._memory.incidents[heir] = IncidentState(ended=self.now)
        had = ", ".join(part for part in (state.assignee, state.assigned_group) if part)
        other.log(self.now, "merged", f"{name}{f' ({had})' if had else ''} into this")
        decisions: list[Decision] = []
        if other.version == 0:
            other.absorbed = other.absorbed or name
            decisions = self._release(other)
        self._memory.changed(heir, self.now)
        return decisions

    # new versions without news of the situation

    def _acted(self, told: Iterable[Told]) -> list[Decision]:
        """What automation tells; the incident's history has what it did."""
        decisions: list[Decision] = []
        for each in told:
            decisions.append(each)
            if isinstance(each, Response) and each.status in _IN_HISTORY:
                state = self._memory.incidents.get(each.situation)
                if state is not None:
                    detail = f"{each.action} of rule {each.rule}: {each.outcome or each.status}"
                    state.log(self.now, "response", detail)
        return decisions

    def _told_again(self, situation: str) -> list[Decision]:
        """Something has changed that its incident carries, or that has kept it back."""
        state = self._memory.incidents.get(situation)
        if state is None:
            return []
        if state.priority is not None:
            return self._again(situation, state)
        decisions = self._release(state)
        self._memory.changed(situation, self.now)
        return decisions

    def _again(self, situation: str, state: IncidentState) -> list[Decision]:
        """The incident in a new version."""
        state.version += 1
        state.updated = self.now
        return [self._record(situation, state)]

    def _record(self, situation: str, state: IncidentState) -> Incident:
        self._memory.changed(situation, self.now)
        return record(state, self._automation.attempts(situation))

    def _release(self, state: IncidentState) -> list[Decision]:
        """Tell people of what has been kept back, if they are to be told now."""
        snapshot = state.situation
        if state.version or snapshot is None or not state.whole or snapshot.status in ENDED:
            return []
        judged = self._judge(snapshot, state.root)
        if not self._concerns_people(state, judged):
            return []
        return self._make_up_for(SituationUpdate(snapshot, 1, 1, Moved(), self.now), state, judged)

    def _case(self, situation: str) -> Case | None:
        state = self._memory.incidents.get(situation)
        return None if state is None or state.situation is None else self._judge(state.situation, state.root).case

    # state

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call.

        Automation and tickets come before the incidents, which say what has been heard: if only a part of these is
        saved, hearing it again makes it whole.
        """
        return [*self._automation.changes(), *self._tickets.changes(), *self._memory.changes()]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`.

        Raises ValueError if any of it is of another version: what it says must not be forgotten silently.
        """
        saved: list[tuple[bytes, bytes]] = []
        for key, value in entries:
            if not key.startswith(_KINDS):
                raise ValueError("incidents, what is kept back of them, responses and tickets have other keys")
            saved.append((key, value))
        self._automation.restore(saved)
        self._tickets.restore(saved)
        self._memory.restore(saved)
        heard = max((state.at for state in self._memory.incidents.values()), default=0)
        self.now = self._automation.now = max(heard, self._automation.now, self._tickets.newest())
