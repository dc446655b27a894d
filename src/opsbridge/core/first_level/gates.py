"""May the opening of an alert be told now, and if not, until when? Asked for alerts that have gates.

Hold, flapping and maintenance answer by event time only, from the alert's `GateState` and, where windows are those of
change records, from what the context knows of its CI; what follows from the answer is for withholding.py to do.
Reminders of maintenance windows that end soon, for level.py to tell, are planned here.
"""

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Final

from opsbridge.core.calendar import FOREVER
from opsbridge.core.context import Context
from opsbridge.core.decisions import Reminder
from opsbridge.core.event import Mark
from opsbridge.core.first_level.gate_state import GateState, Release
from opsbridge.core.rulebook import Flapping, Gate, Hold, Maintenance

_STEPS_LIMIT: Final = 64
"""So many times one gate may take over from another; then they let go, whatever they say."""


class Gates:
    """The gates of a rule book, by rule id; those that an alert names and that are gone let go."""

    __slots__ = ("_context", "_ends", "_gates")

    def __init__(self, gates: Mapping[str, Gate], context: Context | None = None) -> None:
        """`context` knows the windows of change records; without it, there are none."""
        self._context = context
        self._gates = gates
        self._ends: dict[str, tuple[int, int]] = {}
        """The window of each maintenance that was asked for last, from where it is known: a storm asks for one."""

    def __bool__(self) -> bool:
        return bool(self._gates)

    def of(self, marks: Iterable[Mark]) -> tuple[str, ...]:
        """The rules among these marks that are gates."""
        return tuple(mark.rule for mark in marks if mark.rule in self._gates)

    def flaps(self, gated: GateState) -> tuple[Flapping, ...]:
        """The flapping rules of an alert, those in trial too."""
        found = (self._gates.get(rule) for rule in gated.gates)
        return tuple(gate for gate in found if isinstance(gate, Flapping))

    def follows_changes(self, gated: GateState) -> bool:
        """Whether change records can withhold the alert, or let it go."""
        found = (self._gates.get(rule) for rule in gated.gates)
        return any(isinstance(gate, Maintenance) and gate.changes and not gate.shadow for gate in found)

    def ask(self, gated: GateState, ci: str, began: int) -> Release:
        """When the opening of a firing of that CI's that began then may be told.

        What one gate lets go, another may withhold: an alert that is held may come to count in a maintenance window.
        """
        gates = [gate for rule in gated.gates if (gate := self._gates.get(rule)) is not None and not gate.shadow]
        at, opened, last = max(began, gated.asked), began, None
        for _ in range(_STEPS_LIMIT):
            until, gate = max(
                ((self._until(gate, gated, ci, began, at), gate) for gate in gates), default=(at, None), key=_time
            )
            if gate is None or until <= at:
                break
            at, last = until, gate
            if isinstance(gate, Maintenance):
                opened = until
            if at >= FOREVER:
                break
        return Release(at, opened, last)

    def resume(self, gated: GateState, ci: str, began: int, complete: int) -> None:
        """After a restart, or news of changes: a gate that lets go earlier than before changed, or went, just now.

        Others are asked from now on, so that a window that was moved goes on.
        """
        if self.ask(gated, ci, began).until < gated.due and gated.due > complete:
            gated.asked = max(complete, began)
            gated.due = self.ask(gated, ci, began).until

    def trials(self, gated: GateState, ci: str, began: int) -> list[str]:
        """The rules in trial that would withhold the opening of a firing that begins now."""
        found = (self._gates.get(rule) for rule in gated.gates)
        tried = [gate for gate in found if gate is not None and gate.shadow]
        return [gate.rule for gate in tried if self._until(gate, gated, ci, began, began) > began]

    def _until(self, gate: Gate, gated: GateState, ci: str, began: int, at: int) -> int:
        match gate:
            case Hold():
                return began + gate.for_ms
            case Maintenance(changes=True):
                end = None if self._context is None else self._context.window(ci, at)
                return at if end is None else end
            case Maintenance():
                return self._window_end(gate, at)
            case Flapping():
                return self._calm(gate, gated, began)
        raise TypeError(f"rule {gate.rule}: the first level does not know gates of type {type(gate).__name__}")

    def _window_end(self, gate: Maintenance, at: int) -> int:
        since, until = self._ends.get(gate.rule, (0, 0))
        if since <= at < until:
            return until
        end = gate.windows.end(at)
        if end is None:
            return at
        self._ends[gate.rule] = at, end
        return end

    def _calm(self, gate: Flapping, gated: GateState, began: int) -> int:
        """When the changes within the rule's time will have fallen to its `leave`, if no more come."""
        ahead = gated.ahead(began, self.flaps(gated))
        if gate.rule not in ahead.flapping or len(ahead.changes) <= gate.leave:
            return began
        return ahead.changes[-gate.leave - 1] + gate.within


def _time(answer: tuple[int, Gate | None]) -> int:
    return answer[0]


class Reminders:
    """Tells of each maintenance window that operators want to be reminded of, once, a while before it ends.

    Not of those of change records: these are reminded of where they are planned.
    """

    __slots__ = ("_plan", "_rules", "begun")

    def __init__(self, gates: Mapping[str, Gate], owns: Callable[[str], bool]) -> None:
        self._rules = {
            gate.rule: gate
            for gate in gates.values()
            if isinstance(gate, Maintenance)
            and gate.remind_ms
            and not (gate.changes or gate.shadow)
            and owns(gate.rule)
        }
        self._plan: list[tuple[int, str, int]] = []
        """When, of which rule, and the end to be told of."""
        self.begun = not self._rules
        """Whether it has been told what time it is, or need not be."""

    def due(self) -> int:
        """When `advance` has something to do next, FOREVER if it has not; 0: it has to be told the time first."""
        if not self.begun:
            return 0
        return self._plan[0][0] if self._plan else FOREVER

    def begin(self, now: int, *, again: bool = False) -> None:
        """The first time that is known; with `again`, what was due by then has been told."""
        self.begun = True
        self._plan = []
        for rule in self._rules:
            self._look(rule, now)
        while again and self._plan and self._plan[0][0] <= now:
            _, rule, end = heappop(self._plan)
            self._look(rule, end)

    def advance(self, now: int) -> list[Reminder]:
        """The reminders that are due."""
        told = []
        while self._plan and self._plan[0][0] <= now:
            _, rule, end = heappop(self._plan)
            if now < end:
                told.append(Reminder(rule, end, now))
            self._look(rule, end)
        return told

    def _look(self, rule: str, since: int) -> None:
        """Plan the reminder of the window that is open then, or else of the next one."""
        gate = self._rules[rule]
        begin: int | None = since
        if (end := gate.windows.end(since)) is None and (begin := gate.windows.start(since)) is not None:
            end = gate.windows.end(begin)
        if begin is not None and end is not None and end < FOREVER:
            heappush(self._plan, (max(begin, end - gate.remind_ms), rule, end))
