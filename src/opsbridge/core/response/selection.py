"""Response: decides what a situation's news mean for people, an incident or nothing, and keeps its life-cycle.

Hears the situation updates of one partition, in order; answers with incident snapshots and the members that moved. An
update that was heard before is recognised by version, part and content and answered with nothing.

While rules say that a situation is no incident, what moves is kept back (backlog.py): should it become one, all of it
is told. An incident that has been told goes on being told to its end, whatever rules say then.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Final

import msgspec

from opsbridge.core.case import Case
from opsbridge.core.decisions import Moved, Situation, SituationUpdate
from opsbridge.core.event import SEVERITIES
from opsbridge.core.graph import CIGraph, unknown_ci
from opsbridge.core.records import Incident, IncidentMembers, Unanswered
from opsbridge.core.response.backlog import Backlog
from opsbridge.core.rulebook import EMPTY, Answer, Rulebook
from opsbridge.core.second_level.reporting import slices
from opsbridge.core.state import Change

FORGET_AFTER_MS: Final = 3_600_000
"""How long an ended incident is remembered, so that news of it that come twice are recognised."""


class IncidentState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of one incident. The order of the fields is the format of the changelog."""

    situation_version: int
    part: int
    digest: str
    version: int
    """0: nobody has been told of it."""
    ended: int | None = None
    rule: str = ""
    """The rule that decided; empty: none did."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(IncidentState).decode
_decode_moved = msgspec.json.Decoder(Moved).decode

_SLICE: Final = b"\x1f"
"""In the key of an entry, between a situation and the number of a slice of what is kept back of it."""

_ENDED: Final = ("closed", "merged")

Decision = Incident | IncidentMembers | Unanswered


class ResponseSelection:
    """The incidents of one partition."""

    __slots__ = ("_backlogs", "_deadlines", "_dirty", "_graph", "_incidents", "_respond", "now")

    def __init__(self, book: Rulebook = EMPTY, graph: CIGraph | None = None) -> None:
        self.now = 0
        self._respond = book.respond
        self._graph = CIGraph([], []) if graph is None else graph
        self._backlogs: dict[str, Backlog] = {}  # of situations of which nobody has been told
        self._incidents: dict[str, IncidentState] = {}
        self._dirty: dict[str, None] = {}
        self._deadlines: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._incidents)

    def advance(self, updates: Iterable[SituationUpdate]) -> list[Decision]:
        """The snapshots and member lists that follow from these updates, in order."""
        decisions: list[Decision] = []
        for update in updates:
            situation = update.situation
            if situation.updated_ms > self.now:
                self.expire(situation.updated_ms)
            state = self._incidents.get(situation.id)
            digest = blake2b(_encode(update), digest_size=8).hexdigest()
            place = (situation.version, update.part)
            if state is not None and (
                place < (state.situation_version, state.part)
                or (place == (state.situation_version, state.part) and digest == state.digest)
            ):
                continue
            if state is None:
                state = self._incidents[situation.id] = IncidentState(0, 0, "", 0)
            decisions += self._answer(update, state)
            state.situation_version, state.part, state.digest = situation.version, update.part, digest
            self._dirty[situation.id] = None
            if update.part == update.parts and situation.status in _ENDED:
                state.ended = self.now
                heappush(self._deadlines, (self.now + FORGET_AFTER_MS, situation.id))
        return decisions

    def _answer(self, update: SituationUpdate, state: IncidentState) -> list[Decision]:
        if state.version:
            if update.part == 1:
                state.version += 1
            return self._tell(update, state)
        situation = update.situation
        begins = state.situation_version == 0
        answer = self._asked(situation)
        over = situation.status in _ENDED and not begins
        if answer.response == "incident" and not over:
            if begins and situation.id not in self._backlogs:
                state.version, state.rule = 1, answer.rule
                return self._tell(update, state)
            return self._make_up_for(update, state, answer)
        if answer.response == "none":
            state.rule = answer.rule
        return [self._keep_back(update, state.rule, begins=begins)]

    def _asked(self, situation: Situation) -> Answer:
        root = situation.root.ci
        number = self._graph.numbers.get(root)
        ci = unknown_ci(root) if number is None else self._graph.cis[number]
        return self._respond(Case(situation=situation, root=ci)).incident

    def _keep_back(self, update: SituationUpdate, rule: str, *, begins: bool) -> Unanswered:
        situation = update.situation
        backlog = self._backlogs.setdefault(situation.id, Backlog())
        backlog.keep(update.moved)
        if update.part == update.parts and situation.status in _ENDED:
            backlog.clear()
        return Unanswered(
            incident=incident_id(situation.id),
            situation=situation.id,
            rule=rule,
            root=situation.root.ci,
            status=situation.status,
            merged_into=None if situation.merged_into is None else incident_id(situation.merged_into),
            begins=begins,
            moved=update.moved,
        )

    def _make_up_for(self, update: SituationUpdate, state: IncidentState, answer: Answer) -> list[Decision]:
        """It is an incident after all: all that was kept back, once the update is whole."""
        backlog = self._backlogs.setdefault(update.situation.id, Backlog())
        backlog.keep(update.moved)
        if update.part < update.parts:
            return []
        state.version, state.rule = 1, answer.rule
        whole = slices(update.situation, backlog.whole(), update.told_ms)
        backlog.clear()
        return [decision for each in whole for decision in self._tell(each, state)]

    def _tell(self, update: SituationUpdate, state: IncidentState) -> list[Decision]:
        decisions: list[Decision] = []
        situation = update.situation
        if update.moved.anything():
            incident = incident_id(situation.id)
            decisions.append(IncidentMembers(incident, state.version, update.part, update.parts, update.moved))
        if update.part == update.parts:
            decisions.append(_incident(situation, state))
        return decisions

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now: int) -> list[Decision]:
        """Forget incidents that ended long ago."""
        self.now = max(self.now, now)
        while self._deadlines and self._deadlines[0][0] <= self.now:
            _, situation = heappop(self._deadlines)
            if self._incidents.pop(situation, None) is not None:
                self._dirty[situation] = None
        return []

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call.

        What is kept back comes before the situation's own entry, and goes after it once that says that it is told or
        over: if only a part of these is saved, hearing the updates again makes it whole.
        """
        changed: list[Change] = []
        for situation in self._dirty:
            state = self._incidents.get(situation)
            own = (situation.encode(), None if state is None else _encode(state))
            kept = self._kept_changes(situation)
            if state is None or _done(state):
                self._backlogs.pop(situation, None)
                changed += [own, *kept]
            else:
                changed += [*kept, own]
        self._dirty.clear()
        return changed

    def _kept_changes(self, situation: str) -> list[Change]:
        backlog = self._backlogs.get(situation)
        if backlog is None:
            return []
        changed: list[Change] = []
        for number in backlog.changed:
            held = backlog.slice(number)
            key = b"%s%s%d" % (situation.encode(), _SLICE, number)
            changed.append((key, None if held is None else _encode(held)))
        backlog.changed.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`."""
        kept: list[tuple[bytes, bytes]] = []
        for key, value in entries:
            if _SLICE in key:
                kept.append((key, value))
                continue
            state = _decode(value)
            self._incidents[key.decode()] = state
            if state.ended is not None:
                heappush(self._deadlines, (state.ended + FORGET_AFTER_MS, key.decode()))
        for key, value in kept:
            situation, _, number = key.decode().partition(_SLICE.decode())
            self._backlogs.setdefault(situation, Backlog()).restore(int(number), _decode_moved(value))
        for situation, backlog in self._backlogs.items():
            known = self._incidents.get(situation)
            if known is not None and _done(known):  # the worker ended before this was forgotten
                backlog.clear()
                self._dirty[situation] = None


def _done(state: IncidentState) -> bool:
    """Whether nothing is kept back of it: it is told, or over."""
    return state.version > 0 or state.ended is not None


def incident_id(situation: str) -> str:
    """The incident of a situation has the situation's id with another letter, so either is found from the other."""
    return "INC" + situation[1:]


def _incident(situation: Situation, state: IncidentState) -> Incident:
    root = situation.root
    what = root.class_ or "silent failure"
    impact = situation.impact
    title = f"{what} on {root.ci}"
    if impact.cis > 1:
        title += f" affects {impact.cis - 1} dependent CIs"
    return Incident(
        id=incident_id(situation.id),
        version=state.version,
        status=situation.status,
        title=title,
        severity=SEVERITIES[situation.severity],
        situation=situation.id,
        root=root,
        candidates=situation.candidates,
        firing=situation.firing,
        alerts=situation.alerts,
        affected_cis=impact.cis,
        affected_services=impact.services,
        services=impact.named,
        opened=rfc3339(situation.opened_ms),
        updated=rfc3339(situation.updated_ms),
        resolved=None if situation.resolved_ms is None else rfc3339(situation.resolved_ms),
        merged_into=None if situation.merged_into is None else incident_id(situation.merged_into),
        because=(*situation.because, f"rule {state.rule} makes it an incident") if state.rule else situation.because,
    )


def rfc3339(time_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
