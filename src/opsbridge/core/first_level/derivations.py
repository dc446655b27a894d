"""Derivations: the rules that make alerts of several events, or of their absence, at work in one partition.

Marked events wait until the watermark is `LATENESS_MS` past them and are then worked on in order of time, as are
deadlines; so neither the order of arrival within the lateness nor the cuts of batches matter. At one time, rules that
hear no derived alerts come first, then those that hear theirs: a chain of rules is worked through at once. When a group
fires is for its detector to say (thresholds.py, sequences.py, heartbeats.py, trends.py); the first level (level.py)
calls this and takes the derived events in like any others.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from opsbridge.core.calendar import FOREVER
from opsbridge.core.decisions import Derived, Shadowed, Withheld
from opsbridge.core.event import Event, Mark
from opsbridge.core.first_level.derived import EventTemplate, resolution
from opsbridge.core.first_level.detector import (
    NEVER,
    AlertChange,
    Detector,
    GroupState,
    Sample,
    counts,
    tag_of,
    value_of,
)
from opsbridge.core.first_level.heartbeats import MissedHeartbeat
from opsbridge.core.first_level.lateness import LATENESS_MS
from opsbridge.core.first_level.sequences import sequence
from opsbridge.core.first_level.thresholds import threshold
from opsbridge.core.first_level.trends import LinearTrend
from opsbridge.core.rulebook import Derivation, Heartbeat, Rulebook, Sequence, Threshold, Trend
from opsbridge.core.state import Change

MAX_WAITING: Final = 5_000
"""So many events of one group wait, a thousand a second. Of more, the oldest are worked on early; what comes for an
earlier time after that is late. What a group remembers is saved as one record, which brokers limit to a megabyte."""

PREFIX: Final = b"\x01"
"""Begins the keys of this state, as nothing else in the first level's does."""


class Produced(NamedTuple):
    """What time has brought about. Not to be changed by those who are given it."""

    events: list[Event]
    """Derived events, accepted, in order; each has been heard here by the groups kept here. Those whose own CI, or
    other groups, are kept elsewhere are among them; one that is `observed` is there for these groups only."""
    news: list[Derived | Shadowed | Withheld]


NOTHING: Final = Produced([], [])


class _Rule:
    """A rule at work."""

    __slots__ = ("depth", "detector", "key", "rule", "template")

    def __init__(self, rule: Derivation) -> None:
        self.rule = rule
        self.key = rule.key
        self.depth = rule.depth
        self.detector = _detector(rule)
        self.template = EventTemplate(rule)


class _Group:
    """A group, and when it wants to be looked at: the earliest entries that stand in the agenda for it."""

    __slots__ = ("deadline", "id", "name", "next_event", "rule", "state")

    def __init__(self, rule: _Rule, name: str, state: GroupState) -> None:
        self.id = rule.key, name
        self.rule = rule
        self.name = name
        self.state = state
        self.next_event = FOREVER
        self.deadline = FOREVER


def _detector(rule: Derivation) -> Detector:
    match rule:
        case Threshold():
            return threshold(rule)
        case Sequence():
            return sequence(rule)
        case Heartbeat():
            return MissedHeartbeat(rule)
        case Trend():
            return LinearTrend(rule)
        case _:
            raise TypeError(f"{rule.rule}: no detector for a {type(rule).__name__}")


class Derivations:
    """The rules that keep a memory, and their groups that are kept in this partition."""

    __slots__ = (
        "_accept",
        "_agenda",
        "_dirty",
        "_ended",
        "_events",
        "_expected",
        "_gone",
        "_groups",
        "_news",
        "_next",
        "_owns",
        "_rules",
        "now",
    )

    def __init__(
        self, book: Rulebook, accept: Callable[[Event], Event | Withheld], owns: Callable[[str], bool]
    ) -> None:
        """`accept` judges a derived event; `owns` knows what is kept here, by CI, or by group where that has no CI."""
        self.now = NEVER
        self._accept = accept
        self._owns = owns
        self._rules = {key: _Rule(rule) for key, rule in book.derivations.items()}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._agenda: list[tuple[int, int, str, str]] = []
        """(time, depth, key, group): a heap of when to look at which group; the order in which all is worked on."""
        self._dirty: dict[tuple[str, str], None] = {}
        self._ended: list[bytes] = []
        """Keys of entries that were let go of."""
        self._gone: dict[bytes, bytes] = {}
        """Restored entries that no rule stands behind any more."""
        self._expected = [
            (rule, name)
            for rule in self._rules.values()
            if isinstance(rule.rule, Heartbeat)
            for name in rule.rule.expected
        ]
        self._events: list[Event] = []
        self._news: list[Derived | Shadowed | Withheld] = []
        self._next = 0 if self._expected else FOREVER
        """The `now` at which `advance` has something to do next."""

    def __len__(self) -> int:
        return len(self._groups) + len(self._gone)

    def hear(self, event: Event, place: int) -> None:
        """Take in an event with marks, firing, resolved or observed.

        `place` is its place in the source, and rises; a group that has applied it changes nothing. An event too late
        to wait is worked on now, at its own time; for that to mean the same however batches are cut, `advance` has to
        be called with every new watermark before the next event is heard.
        """
        heard = []
        for mark in event.marks:
            group = self._group(mark)
            if group is not None and group.state.applied < place:
                self._wait(group, event, mark)
                heard.append(group)
        for group in heard:
            group.state.applied = place
            while len(group.state.waiting) > MAX_WAITING:
                self._hurry(group)
        if event.time <= self.now - LATENESS_MS:
            self._work()

    def advance(self, now: int) -> Produced:
        """What follows when the watermark is `now`."""
        if now > self.now:
            self.now = now
        if now < self._next:
            return NOTHING
        if self._expected and now > 0:
            self._expect()
        if self._gone:
            self._resolve_gone()
        self._work()
        produced = Produced(self._events, self._news)
        self._events, self._news = [], []
        self._plan()
        return produced

    def due(self) -> int:
        """The watermark at which `advance` has something to do next; FOREVER if it has not."""
        return self._next

    def _group(self, mark: Mark) -> _Group | None:
        """The group that a mark speaks to, if it is kept here and the mark counts; one that names no CI does not."""
        rule = self._rules.get(mark.rule)
        if rule is None or not counts(rule.detector.takes, mark):
            return None
        group = self._groups.get((mark.rule, mark.group))
        if group is None and rule.rule.about(mark.group) and self._owns(rule.rule.home(mark.group)):
            group = self._add(rule, mark.group, GroupState(shadow=rule.rule.shadow))
        return group

    def _add(self, rule: _Rule, name: str, state: GroupState) -> _Group:
        group = self._groups[rule.key, name] = _Group(rule, name, state)
        return group

    def _wait(self, group: _Group, event: Event, mark: Mark) -> None:
        heappush(group.state.waiting, (event.time, event.id, mark.part, value_of(group.rule.detector.takes, mark)))
        self._dirty[group.id] = None
        self._arm_event(group)

    def _arm_event(self, group: _Group) -> None:
        """See to it that the agenda names the group at its next event."""
        if group.state.waiting and group.state.waiting[0][0] < group.next_event:
            group.next_event = group.state.waiting[0][0]
            self._put(group, group.next_event)

    def _arm_deadline(self, group: _Group, due: int | None) -> None:
        """See to it that the agenda names the group when it is due, or before: what moves away stays."""
        if due is not None and due < group.deadline:
            group.deadline = due
            self._put(group, due)

    def _put(self, group: _Group, time: int) -> None:
        heappush(self._agenda, (time, group.rule.depth, *group.id))
        self._next = min(self._next, time + LATENESS_MS)

    def _plan(self) -> None:
        if self._events or self._news or self._gone or self._expected:
            self._next = 0
        else:
            self._next = self._agenda[0][0] + LATENESS_MS if self._agenda else FOREVER

    def _work(self) -> None:
        """Let everything happen that the lateness leaves behind, in order."""
        horizon, agenda = self.now - LATENESS_MS, self._agenda
        while agenda and agenda[0][0] <= horizon:
            time, _, key, name = heappop(agenda)
            group = self._groups.get((key, name))
            if group is not None:
                self._work_on(group, time)
        self._plan()

    def _hurry(self, group: _Group) -> None:
        """Work on the oldest events of a group, and on the deadlines before them, though others may still come."""
        oldest = group.state.waiting[0][0]
        self._work_on(group, oldest - 1)
        self._work_on(group, oldest)
        self._plan()

    def _work_on(self, group: _Group, time: int) -> None:
        """Work on a group's events up to this time, then on its deadline: an event of the last moment still counts."""
        if group.next_event == time:
            group.next_event = FOREVER
        if group.deadline == time:
            group.deadline = FOREVER
        state, detector = group.state, group.rule.detector
        waiting = state.waiting
        while waiting and waiting[0][0] <= time:
            at, event, part, value = heappop(waiting)
            self._dirty[group.id] = None
            if (change := detector.hear(state, Sample(at, tag_of(event), part, value))) is not None:
                self._raise_or_resolve(group, change)
        while (due := detector.due(state)) is not None and due <= time:
            self._dirty[group.id] = None
            if (change := detector.expire(state, due)) is not None:
                self._raise_or_resolve(group, change)
        if due is None and not waiting and state.raised is None:
            self._dirty[group.id] = None
            del self._groups[group.id]
        else:
            if waiting:
                self._arm_event(group)
            self._arm_deadline(group, due)

    def _raise_or_resolve(self, group: _Group, change: AlertChange) -> None:
        state = group.state
        if change.firing:
            event = state.raised = group.rule.template.event(group.name, change)
        elif state.raised is not None:
            event, state.raised = resolution(state.raised, change.time), None
        else:
            return
        self._tell(event, shadow=state.shadow)

    def _tell(self, event: Event, *, shadow: bool) -> None:
        """Let a derived event be judged, and heard by the rules that hear it."""
        if shadow:
            would = "raise" if event.firing else "resolve"
            self._news.append(
                Shadowed(event.rule, would, event.ci, event.class_, event.id, event.fingerprint, event.time)
            )
            return
        answer = self._accept(event)
        heard = answer.observed if isinstance(answer, Withheld) else answer
        ci = event.ci if heard is None else heard.ci
        self._news.append(Derived(event.rule, event.id, event.fingerprint, ci, event.class_, event.firing, event.time))
        if isinstance(answer, Withheld):
            self._news.append(answer)
        if heard is None:
            return
        away = False
        for mark in heard.marks:
            group = self._group(mark)
            if group is not None:
                self._wait(group, heard, mark)
            away = away or (group is None and mark.rule in self._rules)
        if away or heard is answer:
            self._events.append(heard)

    def _expect(self) -> None:
        """The silence of the expected begins now, unless something is known of them."""
        for rule, name in self._expected:
            if (rule.key, name) not in self._groups and self._owns(name):
                group = self._add(rule, name, GroupState(shadow=rule.rule.shadow, met=self.now))
                self._dirty[group.id] = None
                self._arm_deadline(group, rule.detector.due(group.state))
        self._expected = []

    def _resolve_gone(self) -> None:
        """Resolve what rules raised that are gone; nothing is resolved before it was raised."""
        for key, value in sorted(self._gone.items()):
            state = _decode(value)
            if state.raised is not None:
                over = max(state.raised.time, self.now - LATENESS_MS)
                self._tell(resolution(state.raised, over), shadow=state.shadow)
            if _group_of(key) not in self._groups:  # else it has been heard of again since
                self._ended.append(key)
        self._gone = {}

    # its state

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call.

        Those of deeper rules come first: if only the beginning is saved, what they have heard will be derived again,
        and is known to them then; nothing that they have not heard is lost.
        """
        changed: list[Change] = []
        for key in sorted(self._dirty, key=self._deeper_first):
            group = self._groups.get(key)
            changed.append((_state_key(key), None if group is None else _encode(group.state)))
        changed += [(key, None) for key in self._ended]
        self._dirty.clear()
        self._ended.clear()
        return changed

    def _deeper_first(self, key: tuple[str, str]) -> int:
        return -self._rules[key[0]].depth

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all pairs that were saved; for a new instance, before anything else."""
        for key, value in entries:
            rule_key, name = _group_of(key)
            rule = self._rules.get(rule_key)
            if rule is None:
                self._gone[key] = value
                continue
            state = _decode(value)
            if _expected_no_more(rule.rule, name, state):
                self._gone[key] = value
            else:
                group = self._add(rule, name, state)
                self._arm_event(group)
                self._arm_deadline(group, rule.detector.due(state))
        self._plan()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(GroupState).decode


def _state_key(group: tuple[str, str]) -> bytes:
    return PREFIX + "\x1f".join(group).encode()


def _group_of(key: bytes) -> tuple[str, str]:
    rule, _, name = key.removeprefix(PREFIX).decode().partition("\x1f")
    return rule, name


def _expected_no_more(rule: Derivation, name: str, state: GroupState) -> bool:
    """Whether a CI was only ever expected, and no longer is."""
    never_heard = state.answered == NEVER and not state.waiting
    return isinstance(rule, Heartbeat) and never_heard and name not in rule.expected
