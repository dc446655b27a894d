"""Coordination: what can only be decided with all situations in view. Permits, problems, discrepancies.

Hears the news of all response lanes in one place, in the order in which they arrive; answers go back to the lanes by
their situation. Its time is the newest that any lane has told. Response lanes decide everything else themselves, so
there is little to do here.
"""

from collections.abc import Iterable

from opsbridge.core.coordination.discrepancies import Discrepancies
from opsbridge.core.coordination.limits import Limits
from opsbridge.core.coordination.news import (
    Answer,
    Asked,
    Done,
    Ended,
    Halted,
    News,
    Opened,
    ProblemClosed,
)
from opsbridge.core.coordination.problems import Problems
from opsbridge.core.decisions import Discrepancy
from opsbridge.core.graph import CIGraph
from opsbridge.core.policies import AutomationPolicy
from opsbridge.core.records import Problem
from opsbridge.core.state import Change

Told = Answer | Problem | Discrepancy


class Coordination:
    """The one place that hears of every situation."""

    __slots__ = ("_discrepancies", "_limits", "_problems", "now")

    def __init__(
        self,
        policy: AutomationPolicy | None = None,
        graph: CIGraph | None = None,
        misfits: Iterable[Discrepancy] = (),
    ) -> None:
        """`misfits`: what live topology says that does not fit together; each is told once."""
        self.now = 0
        self._limits = Limits(policy or AutomationPolicy())
        self._problems = Problems()
        self._discrepancies = Discrepancies(graph, misfits)

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts())

    @property
    def stopped(self) -> bool:
        """Whether somebody has stopped all automation."""
        return self._limits.stopped

    def advance(self, news: Iterable[News]) -> list[Told]:
        """What follows from these news, in order."""
        told: list[Told] = []
        for each in news:
            if each.now_ms > self.now:
                told += self.expire(each.now_ms)
            told += self._heard(each)
        return told

    def _heard(self, news: News) -> list[Told]:
        match news:
            case Asked():
                return [self._limits.asked(news)]
            case Done():
                self._limits.done(news)
            case Halted():
                self._limits.halted(news)
            case Opened():
                return [*self._problems.opened(news), *self._discrepancies.opened(news)]
            case ProblemClosed():
                return [*self._problems.closed(news)]
            case Ended():
                return [*self._discrepancies.ended(news)]
        return []

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return min((due for part in self._parts() if (due := part.due()) is not None), default=None)

    def expire(self, now: int) -> list[Told]:
        """Let the time come; what follows from that."""
        self.now = max(self.now, now)
        for part in self._parts():
            part.expire(self.now)
        return [*self._discrepancies.misfits()] if self.now else []

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        return [change for part in self._parts() for change in part.changes()]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`."""
        saved = list(entries)
        for part in self._parts():
            part.restore(saved)
            self.now = max(self.now, part.now)
        for part in self._parts():
            part.now = self.now

    def _parts(self) -> tuple[Limits, Problems, Discrepancies]:
        return self._limits, self._problems, self._discrepancies
