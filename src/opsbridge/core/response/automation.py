"""Auto-responses: the closed loop from a rule's wish to the proof that it helped, or to a human.

Each has a life-cycle (TRANSITIONS): permission, request, result, verification by events, next attempt, rollback,
escalation. The stage (selection.py) hands over situations, feedback and answers of coordination, and asks whether an
incident is to wait, and which attempts it has to carry. It lets time come (`expire`) before it hands anything over.
Nothing is executed here; what follows from each thing that happens is in loop.py.
"""

from collections.abc import Iterable

from msgspec.structs import astuple

from opsbridge.core.case import Case
from opsbridge.core.coordination.news import Asked, Denied, Done, Granted
from opsbridge.core.deadlines import Deadlines
from opsbridge.core.feedback import AboutResponse, Approve, Reject, Result, Started
from opsbridge.core.records import Attempt, Notification, Response
from opsbridge.core.response import loop
from opsbridge.core.response.loop_state import LoopState, carried, response_id, snapshot
from opsbridge.core.rulebook import AutoResponse, Respond
from opsbridge.core.state import Change, Kept

Told = Response | Notification | Asked | Done


class Automation:
    """The auto-responses of one partition."""

    __slots__ = ("_deadlines", "_of", "_respond", "_responses", "now")

    def __init__(self, respond: Respond) -> None:
        """`respond`: the rules as they are now; what a response requires is asked of them again before it acts."""
        self.now = 0
        """The stage moves it on, by `expire(now)` or by itself, before it hands anything over."""
        self._respond = respond
        self._responses = Kept(b"a:", LoopState)
        self._of: dict[str, list[str]] = {}  # situation -> its responses
        self._deadlines = Deadlines()

    def __len__(self) -> int:
        return len(self._responses)

    def wanted(self, case: Case, rules: Iterable[AutoResponse]) -> list[Told]:
        """A situation has news, and these rules match it: begin those that are new, each once for a rule, situation
        and reopening; see whether others are proven, or not needed any more."""
        situation = case.situation
        told: list[Told] = []
        for state in self._of_situation(situation.id):
            was = _seen(state)
            told += self._told(state, was, loop.follow(state, situation, self.now))
        for rule in rules if situation.status == "open" else ():
            if response_id(situation.id, rule.rule, situation.reopened) in self._responses:
                continue
            state, asides = loop.begin(rule, case, self.now)
            state.place = len(self._of.get(situation.id, ()))
            self._responses[state.id] = state
            self._list(state)
            told += self._told(state, None, asides)
        return told

    def heard(self, said: AboutResponse) -> tuple[list[Told], str]:
        """What follows from feedback, and why it changed nothing (empty: it did).

        A result that is late is recorded: it is told, and there is a reason.
        """
        state = self._responses.get(said.response)
        if state is None:
            return [], f"there is no response {said.response}, or it was over long ago"
        was = _seen(state)
        asides: list[loop.Aside] = []
        match said:
            case Approve() | Reject():
                asides, reason = loop.decided(state, said, self.now)
            case Started():
                reason = loop.started(state, said)
            case Result():
                asides, reason = loop.result(state, said, self.now)
        return self._told(state, was, asides), reason

    def answered(self, answer: Granted | Denied, case: Case | None) -> list[Told]:
        """What follows from an answer of coordination. A permit that nobody needs any more is given back."""
        state = self._responses.get(answer.response)
        if state is None:
            return [Done(answer.permit, self.now)] if isinstance(answer, Granted) else []
        was = _seen(state)
        refusal = self._refusal(state, case) if isinstance(answer, Granted) else ""
        return self._told(state, was, loop.answered(state, answer, refusal, self.now))

    def _refusal(self, state: LoopState, case: Case | None) -> str:
        """Why what the response requires does not hold now; empty: it does, or it requires nothing."""
        requires = state.plan.requires
        if not requires:
            return ""
        if case is not None:
            for rule in self._respond(case).further:
                if isinstance(rule, AutoResponse) and rule.rule == state.plan.rule:
                    if rule.requires is None or rule.requires(case):
                        return ""
                    return f"what it requires does not hold any more: {requires}"
        return f"its rule does not ask for it any more, so nobody can tell whether this holds: {requires}"

    def knows(self, response: str, situation: str) -> bool:
        """Whether there is such a response to this situation."""
        state = self._responses.get(response)
        return state is not None and state.situation == situation

    def holding(self, situation: str) -> str:
        """The rule whose auto-response keeps the incident back for now, or for good as it was effective; else empty.

        One that was not needed, because the situation cleared by itself, keeps it back as well. Should the situation
        begin again after that, people are told; and so they are when any that kept it back has failed.
        """
        rules: list[str] = []
        for state in self._of_situation(situation):
            if not state.plan.before_incident or state.recurred:
                continue
            match state.status:
                case "escalated" | "refused":
                    return ""
                case "cancelled" if not (state.cleared or state.heir):
                    continue
            rules.append(state.plan.rule)
        return next(iter(rules), "")

    def attempts(self, situation: str) -> tuple[Attempt, ...]:
        """What has been tried for a situation, for its incident."""
        return tuple(map(carried, self._of_situation(situation)))

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return self._deadlines.due()

    def expire(self, now: int) -> tuple[list[Told], list[str]]:
        """What follows as it is so late, and the situations whose responses have changed.

        Everything happens at its own time, so that it is the same however far time moves at once.
        """
        told: list[Told] = []
        changed: dict[str, None] = {}
        for due, response in self._deadlines.met(now):
            self.now = max(self.now, due)
            state = self._responses[response]
            if state.final:
                self._forget(state)
                continue
            was = _seen(state)
            told += self._told(state, was, loop.elapsed(state, self.now))
            changed[state.situation] = None
        self.now = max(self.now, now)
        return told, list(changed)

    # what is kept

    def _of_situation(self, situation: str) -> list[LoopState]:
        return [self._responses[response] for response in self._of.get(situation, ())]

    def _told(self, state: LoopState, was: tuple[object, ...] | None, asides: list[loop.Aside]) -> list[Told]:
        """The response if anything shows, and what is told beside it."""
        if was is not None and was == _seen(state):
            return [*asides]
        self._responses.changed(state.id)
        self._deadlines.set(state.id, state.until)
        if was is not None and was[0] == snapshot(state):
            return [*asides]
        state.version, state.updated = state.version + 1, self.now
        return [snapshot(state), *asides]

    def _list(self, state: LoopState) -> None:
        self._of.setdefault(state.situation, []).append(state.id)

    def _forget(self, state: LoopState) -> None:
        self._responses.drop(state.id)
        of = self._of[state.situation]
        of.remove(state.id)
        if not of:
            del self._of[state.situation]

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call; keys begin with `a:`."""
        return self._responses.changes()

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back; for a new instance. Entries of others are passed over."""
        self._responses.restore(entries)
        for state in sorted(self._responses.values(), key=lambda state: (state.opened, state.place)):
            self._list(state)
            self.now = max(self.now, state.updated)
            self._deadlines.set(state.id, state.until)


def _seen(state: LoopState) -> tuple[object, ...]:
    """What people see of it, and all the rest."""
    return snapshot(state), astuple(state)
