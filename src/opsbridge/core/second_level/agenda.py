"""Agenda: when something is told of which situation, and when time alone changes something about it.

A situation is told of only after it has been watched for a while, so that a storm opens one, not hundreds, and then not
too often. What happens when a situation's time has come is decided in claims.py; how it is told in reporting.py.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush

import msgspec

from opsbridge.core.decisions import SituationUpdate, Status
from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.evidence import NEVER
from opsbridge.core.second_level.holding import Holding
from opsbridge.core.second_level.memory import Memory
from opsbridge.core.second_level.pace import (
    CLOSE_AFTER_LONGEST_MS,
    CLOSE_AFTER_MS,
    LONGEST_SILENCE_MS,
    OVER_MS,
    RECENT_LONGEST_MS,
    RECENT_MS,
    REPORT_EVERY_MS,
    REPORT_RARER,
    TICK_MS,
    next_tick,
    tick,
)
from opsbridge.core.second_level.recurrence import Recurrence
from opsbridge.core.second_level.reporting import Reporter
from opsbridge.core.second_level.situations import LiveSituation, SituationState


class Agenda:
    """The deadlines of one partition's situations."""

    __slots__ = (
        "_deadlines",
        "_graph",
        "_hands_on",
        "_holding",
        "_lateness",
        "_memory",
        "_recurrence",
        "_report_after",
        "_touched",
    )

    def __init__(
        self,
        memory: Memory,
        graph: CIGraph,
        holding: Holding,
        *,
        lateness_ms: int,
        report_after_ms: int,
        reopen_within_ms: int,
        hands_on: bool,
    ) -> None:
        """`hands_on`: what is found in a domain with a backbone is told at once, to those who decide there."""
        self._memory = memory
        self._graph = graph
        self._holding = holding
        self._lateness = lateness_ms
        self._report_after = report_after_ms
        self._hands_on = hands_on
        self._recurrence = Recurrence(memory, reopen_within_ms)
        self._touched: dict[str, None] = {}  # situations to report
        self._deadlines: list[tuple[int, str]] = []

    def touch(self, situation: LiveSituation) -> None:
        """Something about the situation changed: its status follows its alerts, and it is reported at the next tick."""
        state = situation.state
        if state.status in ("open", "resolved") and situation.alerts:
            status: Status = "open" if situation.firing else "resolved"
            if status != state.status:
                situation.become(status)
            state.resolved = None if situation.firing else state.cleared
            self.wait(situation)
        self.mark(state)

    def mark(self, state: SituationState) -> None:
        """The situation is to be reported."""
        state.touched = True
        self._touched[state.id] = None
        self._memory.situation_changed(state)

    def due(self) -> int | None:
        """The first tick that something is to be done at, or None."""
        reports = tick(self._memory.clock.now) + TICK_MS if self._touched else None
        if not self._deadlines:
            return reports
        return self._deadlines[0][0] if reports is None else min(reports, self._deadlines[0][0])

    def met(self) -> Iterator[LiveSituation]:
        """The situations whose time has come, as far as they are not over yet."""
        while self._deadlines and self._deadlines[0][0] <= self._memory.clock.now:
            situation = self._memory.situations.get(heappop(self._deadlines)[1])
            if situation is None:
                continue
            if situation.state.status in ("open", "resolved"):
                situation.awaited = NEVER
                yield situation
            elif self._is_kept(situation) and self._recurrence.until(situation) <= self._memory.clock.now:
                self._recurrence.forget(situation)

    def wait(self, situation: LiveSituation) -> None:
        """Look at the situation when time alone changes something about it."""
        state = situation.state
        told = self.reportable(state) if state.touched or not state.version else NEVER
        self._look_at(situation, min(told, self._ends(state)))

    def _look_at(self, situation: LiveSituation, time: int) -> None:
        now = self._memory.clock.now
        # What is long over is closed in this very tick, whether or not an older deadline happens to be left.
        deadline = next_tick(now) if self.closes(situation.state) <= now else max(time, tick(now) + TICK_MS)
        if deadline < situation.awaited:
            situation.awaited = deadline
            heappush(self._deadlines, (deadline, situation.state.id))

    def restored(self, situation: LiveSituation) -> None:
        """Take up the situation as it was saved; it may have been saved before its alerts for the last time."""
        state = situation.state
        if self._is_kept(situation):
            self._over(situation)
            return
        if situation.alerts and state.status == ("resolved" if situation.firing else "open"):
            state.cleared = max(state.cleared, *(alert.cleared for alert in situation.alerts.values()))
            self.touch(situation)
        self._look_at(situation, self._ends(state))
        if self._holding.outdated(situation):  # its part of the topology is another one
            state.touched = True
        if state.touched:  # whether it is to be told of shows at the next tick, as if it had been touched just now
            self._touched[state.id] = None

    def report(self, reporter: Reporter, renamed: Callable[[LiveSituation, str], None]) -> Iterator[SituationUpdate]:
        """What is to be told now; what has ended is forgotten then, or kept in case that it begins again.

        `renamed` is told of every situation that begins again, with the id that it had until now.
        """
        now = self._memory.clock.now
        for name in sorted(self._touched):
            situation = self._memory.situations.get(name)
            if situation is None:
                continue
            state = situation.state
            ended = state.status in ("closed", "merged")
            if not ended and self.reportable(state) > now:
                self.wait(situation)
                continue
            if not ended and not self.hands_on(situation) and self._recurrence.takes_over(situation):
                renamed(situation, name)
            home = self._home(situation)
            if ended:
                self._holding.release(state.id)
            else:
                state.told_home = home
                self._holding.tell(situation)
            for update in reporter.updates(situation, now):
                yield msgspec.structs.replace(update, home=home) if home else update
            state.told_at, state.prompt, state.told_open = now, False, state.status == "open"
            self._memory.situation_changed(state)
            if ended:
                self._over(situation)
            else:
                self.wait(situation)
        self._touched.clear()

    def hands_on(self, situation: LiveSituation) -> bool:
        """Whether somebody else decides what becomes of the situation: it was found in a domain with a backbone.

        What an operator put together is not evidence for anybody.
        """
        return self._home(situation) != ""

    def _home(self, situation: LiveSituation) -> str:
        """The backbone that hears of it: the same from the first news of it to the last."""
        root, state = situation.root, situation.state
        if not self._hands_on or state.correction:
            return ""
        if state.told_home is not None:
            return state.told_home
        return self._graph.home(root) if isinstance(root, int) else ""

    def _over(self, situation: LiveSituation) -> None:
        """All has been told of the situation."""
        closed = situation.state.status == "closed" and not self.hands_on(situation)
        until = self._recurrence.keep(situation) if closed else None
        if until is None:
            self._memory.forget(situation)
        else:
            heappush(self._deadlines, (next_tick(until), situation.state.id))

    def _is_kept(self, situation: LiveSituation) -> bool:
        return situation.state.status == "closed" and not situation.state.touched

    # when

    def _ends(self, state: SituationState) -> int:
        """When time alone settles or closes an open or resolved situation; far off if never."""
        return min(self.settles(state) if state.recent else NEVER, self.closes(state))

    def settles(self, state: SituationState) -> int:
        """From when on the situation's alerts no longer count as evidence."""
        quiet = min(state.newest + RECENT_MS, state.recent_since + RECENT_LONGEST_MS)
        if state.resolved is not None:
            quiet = min(quiet, max(state.newest, state.resolved) + OVER_MS)
        return next_tick(quiet + self._lateness)

    def closes(self, state: SituationState) -> int:
        """When the situation is closed; far off while it is open."""
        if state.resolved is None:
            return NEVER
        wait = min(CLOSE_AFTER_LONGEST_MS, CLOSE_AFTER_MS << min(state.reopened, 16)) if state.lone else CLOSE_AFTER_MS
        return next_tick(state.resolved + wait + self._lateness)

    def reportable(self, state: SituationState) -> int:
        """From when on what is new about a situation is told."""
        situation = self._memory.situations[state.id]
        if self.hands_on(situation):
            return tick(state.told_at) + TICK_MS if state.version else tick(state.created)
        if not state.version:
            return tick(state.created) + (0 if state.correction else self._report_after)
        told = tick(state.told_at)
        if state.told_open and state.status == "resolved":  # somebody may wait to see that a repair has helped
            return told
        if state.prompt or state.root != state.told_root or situation.severity > state.told_severity:
            return told
        return told + min(LONGEST_SILENCE_MS, REPORT_EVERY_MS * (1 + state.version // REPORT_RARER))
