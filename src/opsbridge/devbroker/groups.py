"""One consumer group as a life-cycle table: who is a member, which generation, who waits for what.

Time is an argument (seconds of one monotonic clock) and wake-ups are answers: `due` says when `expire` has something to
do. Joins and syncs that must wait are answered through futures; a future that its connection gave up no longer counts
as waiting. Semantics of Apache Kafka's classic group protocol. Called by group_api.py, one object per group.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeVar

from kio.schema.errors import ErrorCode

from opsbridge.devbroker.settings import RefusedError

_T = TypeVar("_T")


class State(StrEnum):
    """Where a group is; the values are Kafka's names, as DescribeGroups shows them."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


LIFE_CYCLE: Mapping[State, frozenset[State]] = {
    State.EMPTY: frozenset({State.PREPARING, State.DEAD}),
    State.PREPARING: frozenset({State.COMPLETING, State.EMPTY}),
    State.COMPLETING: frozenset({State.STABLE, State.PREPARING}),
    State.STABLE: frozenset({State.PREPARING}),
    State.DEAD: frozenset(),
}


class MemberIdRequiredError(RefusedError):
    """A new dynamic member has to join again under the id it is given here."""

    def __init__(self, member_id: str) -> None:
        super().__init__(ErrorCode.member_id_required, f"join again as {member_id}")
        self.member_id = member_id


@dataclass(frozen=True, slots=True)
class Applicant:
    """What a join request says; times in seconds, `protocols` in the member's order of preference."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout: float
    rebalance_timeout: float
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    confirms_id: bool
    """Whether a new dynamic member can be told its id first (JoinGroup 4 and later)."""


class Joined(NamedTuple):
    """The answer to a join: `members` (id, instance id, subscription) is empty for all but the leader."""

    generation: int
    protocol: str
    leader: str
    member_id: str
    members: tuple[tuple[str, str | None, bytes], ...]


class Committed(NamedTuple):
    """A committed offset with the metadata its consumer left."""

    offset: int
    leader_epoch: int
    metadata: str


@dataclass(slots=True)
class Member:
    """One member; `join` and `sync` are the answers it waits for, `deadline` ends its session while it does not."""

    id: str
    applicant: Applicant
    deadline: float
    assignment: bytes = b""
    join: "asyncio.Future[Joined] | None" = None
    sync: "asyncio.Future[bytes] | None" = None

    @property
    def waiting(self) -> bool:
        """Whether it waits for the broker, so that silence is not its fault."""
        return _open(self.join) or _open(self.sync)

    def heard(self, now: float) -> None:
        """Start its session anew."""
        self.deadline = now + self.applicant.session_timeout


@dataclass(slots=True)
class Group:
    """A group and the offsets it committed."""

    id: str
    collect_for: float
    state: State = State.EMPTY
    generation: int = 0
    protocol_type: str = ""
    protocol: str = ""
    leader: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    promised: dict[str, float] = field(default_factory=dict)
    """Member ids handed out, not yet used, and when they lapse."""
    offsets: dict[tuple[str, int], Committed] = field(default_factory=dict)
    collect_until: float = 0.0
    step_until: float = 0.0
    """When members that have not joined (preparing) or synced (completing) are given up."""

    def join(self, applicant: Applicant, now: float) -> "asyncio.Future[Joined]":
        """Return the answer to come for a member that joins or rejoins; raises `RefusedError` when it cannot be one."""
        self._check_protocols(applicant)
        member, replaced = self._admit(applicant, now)
        unchanged = member.applicant.protocols == applicant.protocols and member.id in self.members
        self.members[member.id] = member
        member.applicant = applicant
        member.heard(now)
        _refuse(member.join, ErrorCode.rebalance_in_progress)
        answer = member.join = asyncio.get_running_loop().create_future()
        was_leader = self.leader in (member.id, replaced)
        if replaced is not None:
            # as on Apache Kafka, a static member that comes back is looked at for its protocol only
            keeps_generation = self.state is State.STABLE and self._elected_protocol() == self.protocol
        else:
            keeps_generation = unchanged and (
                self.state is State.COMPLETING or (self.state is State.STABLE and not was_leader)
            )
        if keeps_generation:
            self._settle_join(member, now, leader=replaced if was_leader and replaced is not None else self.leader)
            if replaced is not None and was_leader:
                self.leader = member.id
        else:
            self._rebalance(now)
        return answer

    def sync(
        self, member_id: str, instance_id: str | None, generation: int, assignments: Mapping[str, bytes], now: float
    ) -> "asyncio.Future[bytes]":
        """Return the member's assignment to come; the leader's call hands out everyone's."""
        member = self._current(member_id, instance_id, generation)
        if self.state is State.PREPARING:
            raise RefusedError(ErrorCode.rebalance_in_progress)
        _refuse(member.sync, ErrorCode.rebalance_in_progress)
        answer = member.sync = asyncio.get_running_loop().create_future()
        member.heard(now)
        if self.state is State.COMPLETING and member_id == self.leader:
            for each in self.members.values():
                each.assignment = assignments.get(each.id, b"")
            self._move(State.STABLE)
        if self.state is State.STABLE:
            for each in self.members.values():
                if _open(each.sync):
                    each.heard(now)
                    _answer(each.sync, each.assignment)
        return answer

    def heartbeat(self, member_id: str, instance_id: str | None, generation: int, now: float) -> None:
        """Keep the member alive; raises `RefusedError` (rebalance in progress) when it has to join again."""
        self._current(member_id, instance_id, generation).heard(now)
        if self.state is State.PREPARING:
            raise RefusedError(ErrorCode.rebalance_in_progress)

    def leave(self, member_id: str, now: float) -> None:
        """Let the member go and rebalance the others."""
        if self.promised.pop(member_id, None) is None:
            if member_id not in self.members:
                raise RefusedError(ErrorCode.unknown_member_id)
            self._remove(member_id)
            self._rebalance(now)
        self._complete(now)

    def may_commit(self, member_id: str, instance_id: str | None, generation: int, now: float) -> None:
        """Raise `RefusedError` unless this member of this generation, or nobody of an empty group, commits."""
        if generation < 0 and self.state is State.EMPTY:
            return
        self._current(member_id, instance_id, generation).heard(now)
        if self.state is State.COMPLETING:
            raise RefusedError(ErrorCode.rebalance_in_progress)

    def due(self) -> float | None:
        """Return when `expire` has something to do, None while nothing can lapse."""
        return min(self._deadlines(), default=None)

    def expire(self, now: float) -> list[str]:
        """Give up whoever is silent for too long, and return their member ids; ends a step whose time is over."""
        self.promised = {member_id: until for member_id, until in self.promised.items() if until > now}
        gone = [member.id for member in self.members.values() if not member.waiting and member.deadline <= now]
        if self.state is State.COMPLETING and self.step_until <= now:
            gone += [member.id for member in self.members.values() if not _open(member.sync) and member.id not in gone]
        for member_id in gone:
            self._remove(member_id)
        if gone:
            self._rebalance(now)
        self._complete(now)
        return gone

    def resume(self, now: float) -> None:
        """Start every session anew after the broker itself was away."""
        for member in self.members.values():
            member.heard(now)
        self.step_until = max(self.step_until, now + self._patience())

    def _deadlines(self) -> Iterator[float]:
        yield from self.promised.values()
        yield from (member.deadline for member in self.members.values() if not member.waiting)
        if self.state is State.PREPARING:
            yield self.step_until if self._absent() or self.promised else self.collect_until
        if self.state is State.COMPLETING:
            yield self.step_until

    def _check_protocols(self, applicant: Applicant) -> None:
        others = [each for each in self.members.values() if each.id != applicant.member_id]
        names = {name for name, _ in applicant.protocols}
        common = names.intersection(*({name for name, _ in each.applicant.protocols} for each in others))
        # of the members, not of the group: that has none before its first generation, when several may come at once
        other_types = {each.applicant.protocol_type for each in others} - {applicant.protocol_type}
        if not applicant.protocol_type or not common or other_types:
            raise RefusedError(ErrorCode.inconsistent_group_protocol)

    def _admit(self, applicant: Applicant, now: float) -> tuple[Member, str | None]:
        """Return the member, new or known, and the id it takes over from an earlier self (static membership)."""
        holder = self._holder(applicant.instance_id)
        if applicant.member_id in self.members:
            if holder is not None and holder.id != applicant.member_id:
                raise RefusedError(ErrorCode.fenced_instance_id)
            return self.members[applicant.member_id], None
        if applicant.member_id:
            if self.promised.pop(applicant.member_id, None) is None:
                raise RefusedError(ErrorCode.fenced_instance_id if holder is not None else ErrorCode.unknown_member_id)
            return Member(applicant.member_id, applicant, now), None
        fresh = f"{applicant.instance_id or applicant.client_id}-{uuid.uuid4()}"
        if holder is not None:
            self._remove(holder.id, ErrorCode.fenced_instance_id)
            successor = Member(fresh, holder.applicant, now, holder.assignment)
            self.members[fresh] = successor
            return successor, holder.id
        if applicant.instance_id is None and applicant.confirms_id:
            self.promised[fresh] = now + applicant.session_timeout
            raise MemberIdRequiredError(fresh)
        return Member(fresh, applicant, now), None

    def _holder(self, instance_id: str | None) -> Member | None:
        if instance_id is None:
            return None
        return next((each for each in self.members.values() if each.applicant.instance_id == instance_id), None)

    def _current(self, member_id: str, instance_id: str | None, generation: int) -> Member:
        holder = self._holder(instance_id)
        if holder is not None and holder.id != member_id:
            raise RefusedError(ErrorCode.fenced_instance_id)
        if member_id not in self.members:
            raise RefusedError(ErrorCode.unknown_member_id)
        if generation != self.generation:
            raise RefusedError(ErrorCode.illegal_generation)
        return self.members[member_id]

    def _remove(self, member_id: str, code: ErrorCode = ErrorCode.unknown_member_id) -> None:
        member = self.members.pop(member_id)
        _refuse(member.join, code)
        _refuse(member.sync, code)

    def _rebalance(self, now: float) -> None:
        """Have everyone join again, unless that is already going on."""
        if self.state is not State.PREPARING:
            self.collect_until = now + (self.collect_for if self.state is State.EMPTY else 0.0)
            self.step_until = now + self._patience()
            self._move(State.PREPARING)
            for member in self.members.values():
                _refuse(member.sync, ErrorCode.rebalance_in_progress)
        self._complete(now)

    def _patience(self) -> float:
        return max((member.applicant.rebalance_timeout for member in self.members.values()), default=0.0)

    def _absent(self) -> list[str]:
        return [member.id for member in self.members.values() if not _open(member.join)]

    def _complete(self, now: float) -> None:
        """Begin the next generation once everyone is here, or with those who are when time is up."""
        if self.state is not State.PREPARING or now < self.collect_until:
            return
        absent = self._absent()
        if (absent or self.promised) and now < self.step_until and self.members:
            return
        for member_id in absent:
            self._remove(member_id)
        self.generation += 1
        if not self.members:
            self.protocol = self.leader = ""
            self._move(State.EMPTY)
            return
        first = next(iter(self.members.values()))
        self.protocol_type = first.applicant.protocol_type
        self.protocol = self._elected_protocol()
        if self.leader not in self.members:
            self.leader = first.id
        self.step_until = now + self._patience()
        self._move(State.COMPLETING)
        for member in self.members.values():
            self._settle_join(member, now, leader=self.leader)

    def _elected_protocol(self) -> str:
        """Return the protocol that all know and most prefer."""
        preferences = [[name for name, _ in member.applicant.protocols] for member in self.members.values()]
        common = set(preferences[0]).intersection(*preferences[1:])
        votes = Counter(next(name for name in names if name in common) for names in preferences)
        return votes.most_common(1)[0][0]

    def _settle_join(self, member: Member, now: float, *, leader: str) -> None:
        member.heard(now)
        roster: tuple[tuple[str, str | None, bytes], ...] = ()
        if member.id == leader:
            roster = tuple(
                (each.id, each.applicant.instance_id, dict(each.applicant.protocols)[self.protocol])
                for each in self.members.values()
            )
        _answer(member.join, Joined(self.generation, self.protocol, leader, member.id, roster))

    def _move(self, to: State) -> None:
        if to not in LIFE_CYCLE[self.state]:
            raise AssertionError(f"group {self.id!r}: no way from {self.state} to {to}")
        self.state = to


def _open(future: "asyncio.Future[_T] | None") -> bool:
    return future is not None and not future.done()


def _answer(future: "asyncio.Future[_T] | None", value: _T) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _refuse(future: "asyncio.Future[_T] | None", code: ErrorCode) -> None:
    if future is not None and not future.done():
        future.set_exception(RefusedError(code))
