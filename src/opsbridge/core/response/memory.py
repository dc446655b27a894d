"""What the response stage remembers of its incidents, what is kept back of them, and when it has to look at one again.

Bookkeeping only: saving, restoring, forgetting. What happens to an incident is decided in selection.py, the caller.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from opsbridge.core.deadlines import Deadlines
from opsbridge.core.decisions import Moved
from opsbridge.core.policies import ResponsePolicy
from opsbridge.core.response.backlog import Backlog
from opsbridge.core.response.escalation import next_step
from opsbridge.core.response.incident import IncidentState
from opsbridge.core.state import Change

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(IncidentState).decode
_decode_moved = msgspec.json.Decoder(Moved).decode

INCIDENT: Final = b"i:"
KEPT: Final = b"k:"
_SLICE: Final = "\x1f"
"""In the key of what is kept back, between the situation and the number of the slice."""


class Memory:
    """The incidents of one partition, by situation."""

    __slots__ = ("_deadlines", "_dirty", "_policy", "backlogs", "incidents")

    def __init__(self, policy: ResponsePolicy) -> None:
        self._policy = policy
        self.incidents: dict[str, IncidentState] = {}
        self.backlogs: dict[str, Backlog] = {}
        """Of situations of which nobody has been told."""
        self._dirty: dict[str, None] = {}
        self._deadlines = Deadlines()

    def backlog(self, situation: str) -> Backlog:
        """What is kept back of a situation."""
        return self.backlogs.setdefault(situation, Backlog())

    def changed(self, situation: str, now: int) -> None:
        """The incident of this situation is not as it was: it is saved, and looked at when time alone changes it."""
        state = self.incidents[situation]
        state.at = now
        state.shorten(self._policy.history)
        self._dirty.pop(situation, None)  # saved in the order of the last changes: an heir before what it comes from
        self._dirty[situation] = None
        self._plan(situation, state, now)

    def _plan(self, situation: str, state: IncidentState, now: int) -> None:
        step = next_step(state, now)
        time = None if step is None else step.at
        if state.ended is not None:
            time = state.ended + self._policy.forget_after_ms
        self._deadlines.set(situation, time)

    def due(self) -> int | None:
        """When a situation is to be looked at next, or None."""
        return self._deadlines.due()

    def met(self, now: int) -> Iterator[tuple[str, IncidentState]]:
        """The situations whose time has come, but for those that are forgotten now."""
        for _, situation in self._deadlines.met(now):
            state = self.incidents[situation]
            if state.ended is None:
                yield situation, state
            else:
                del self.incidents[situation]
                self._dirty[situation] = None

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call.

        What is kept back comes before the situation's own entry, and goes after it once that says that it is told or
        over: if only a part of these is saved, hearing the updates again makes it whole.
        """
        changed: list[Change] = []
        for situation in self._dirty:
            state = self.incidents.get(situation)
            own = (INCIDENT + situation.encode(), None if state is None else _encode(state))
            kept = self._kept_changes(situation)
            if state is None or _done(state):
                self.backlogs.pop(situation, None)
                changed += [own, *kept]
            else:
                changed += [*kept, own]
        self._dirty.clear()
        return changed

    def _kept_changes(self, situation: str) -> list[Change]:
        backlog = self.backlogs.get(situation)
        if backlog is None:
            return []
        changed: list[Change] = []
        for number in backlog.changed:
            held = backlog.slice(number)
            key = KEPT + f"{situation}{_SLICE}{number}".encode()
            changed.append((key, None if held is None else _encode(held)))
        backlog.changed.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all pairs that were saved, of those that are of this kind."""
        for key, value in entries:
            if key.startswith(INCIDENT):
                situation = key.removeprefix(INCIDENT).decode()
                state = self.incidents[situation] = _decode(value)
                self._plan(situation, state, 0)
            elif key.startswith(KEPT):
                situation, _, number = key.removeprefix(KEPT).decode().partition(_SLICE)
                self.backlog(situation).restore(int(number), _decode_moved(value))
        for situation, backlog in self.backlogs.items():
            known = self.incidents.get(situation)
            if known is not None and _done(known):  # the worker ended before this was forgotten
                backlog.clear()
                self._dirty[situation] = None


def _done(state: IncidentState) -> bool:
    """Whether nothing is kept back of it: it is told, or over."""
    return state.version > 0 or state.ended is not None
