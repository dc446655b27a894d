"""What the response stage remembers of its incidents, what is kept back of them, and when it has to look at one again.

Bookkeeping only: saving, restoring, forgetting. What happens to an incident is decided in selection.py, the caller.
"""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Final

import msgspec

from opsbridge.core.decisions import Moved
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

    __slots__ = ("_awaited", "_deadlines", "_dirty", "_forget_after", "backlogs", "incidents")

    def __init__(self, forget_after_ms: int) -> None:
        self._forget_after = forget_after_ms
        self.incidents: dict[str, IncidentState] = {}
        self.backlogs: dict[str, Backlog] = {}
        """Of situations of which nobody has been told."""
        self._dirty: dict[str, None] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._awaited: dict[str, int] = {}  # when a situation is looked at; other deadlines of it have been overtaken

    def backlog(self, situation: str) -> Backlog:
        """What is kept back of a situation."""
        return self.backlogs.setdefault(situation, Backlog())

    def changed(self, situation: str, now: int) -> None:
        """The incident of this situation is not as it was: it is saved, and looked at when time alone changes it."""
        state = self.incidents[situation]
        state.at = now
        self._dirty.pop(situation, None)  # saved in the order of the last changes: an heir before what it comes from
        self._dirty[situation] = None
        self._plan(situation, state, now)

    def _plan(self, situation: str, state: IncidentState, now: int) -> None:
        step = next_step(state, now)
        time = None if step is None else step.at
        if state.ended is not None:
            time = state.ended + self._forget_after
        if time is None:
            self._awaited.pop(situation, None)
        elif self._awaited.get(situation) != time:
            self._awaited[situation] = time
            heappush(self._deadlines, (time, situation))

    def due(self) -> int | None:
        """When a situation is to be looked at next, or None."""
        deadlines, awaited = self._deadlines, self._awaited
        while deadlines and awaited.get(deadlines[0][1]) != deadlines[0][0]:
            heappop(deadlines)
        return deadlines[0][0] if deadlines else None

    def met(self, now: int) -> Iterator[tuple[str, IncidentState]]:
        """The situations whose time has come, but for those that are forgotten now."""
        while (due := self.due()) is not None and due <= now:
            _, situation = heappop(self._deadlines)
            del self._awaited[situation]
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
