"""Problems: roots that fail again and again. Counts the openings that problem rules match, and keeps the problems.

Openings count together when the same rule finds the same values in them, each (situation and reopening) once. When
there are `times` of them within the rule's time, a problem opens with their incidents; it takes in all that follow
until somebody closes it, and what it has had does not count for the next one. Lanes differ by seconds and records come
twice, so openings are kept in order of time and remembered for an hour longer than they count. stage.py is the caller.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from opsbridge.core.coordination.news import BelongsTo, Counted, Opened, ProblemClosed
from opsbridge.core.deadlines import Deadlines
from opsbridge.core.ids import derived_id
from opsbridge.core.records import Problem
from opsbridge.core.state import Change, Kept
from opsbridge.core.times import rfc3339, span

NEWEST: Final = 100
"""So many of its incidents a problem names."""

REMEMBERED: Final = 500
"""So many openings are remembered of what one rule finds the same, or as many as it takes to make a problem."""

SLACK_MS: Final = 3_600_000
"""So much longer than they count openings are remembered, for lanes that are behind and records that come again."""


class Opening(msgspec.Struct, array_like=True, order=True, gc=False):
    """One situation that began, or began again. The order of the fields is the format of the changelog."""

    time: int
    situation: str
    again: int
    incident: str
    problem: str = ""
    """The problem that it belongs to; empty: it still counts."""


class WatchState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of what one rule finds the same. It is never forgotten once there was a problem, since the ordinal
    tells the problems apart; there are never more of these than rules and CIs."""

    rule: str
    same: list[str]
    within: int
    openings: list[Opening] = []
    ordinal: int = 0
    """How many problems there have been."""
    problem: Problem | None = None
    """The one that is open."""


class Problems:
    """Everything that problem rules have counted, and the open problems."""

    __slots__ = ("_deadlines", "_open", "_watches", "now")

    def __init__(self) -> None:
        self.now = 0
        self._watches = Kept(b"o:", WatchState)
        self._open: dict[str, str] = {}  # problem -> the name of its watch
        self._deadlines = Deadlines()

    def __len__(self) -> int:
        return len(self._watches)

    def opened(self, news: Opened) -> list[BelongsTo | Problem]:
        """The problems that the opening makes, or belongs to; for every incident of them, which that is."""
        told: list[BelongsTo | Problem] = []
        for counted in news.counted:
            name = "\x1f".join((counted.rule, *counted.same))
            watch = self._watches.get(name)
            if watch is None:
                watch = self._watches[name] = WatchState(counted.rule, list(counted.same), counted.within_ms)
            watch.within = counted.within_ms
            told += self._count(name, watch, counted, news)
        return told

    def _count(self, name: str, watch: WatchState, counted: Counted, news: Opened) -> list[BelongsTo | Problem]:
        known = _find(watch.openings, news)
        if known is not None:  # told again: so is the answer
            return [self._belongs(known)] if known.problem else []
        if news.now_ms <= self.now - counted.within_ms - SLACK_MS:
            return []  # nobody knows any more whether it was counted
        opening = Opening(news.now_ms, news.situation, news.again, news.incident)
        insort(watch.openings, opening)
        del watch.openings[: -max(REMEMBERED, counted.times)]
        self._changed(name, watch)
        if watch.problem is not None:
            opening.problem = watch.problem.id
            watch.problem = self._with(watch.problem, [opening])
            return [watch.problem, self._belongs(opening)]
        recurring = _recurring([each for each in watch.openings if not each.problem], counted)
        if not recurring:
            return []
        watch.ordinal += 1
        problem = self._begun(watch, counted, recurring)
        watch.problem = problem
        self._open[problem.id] = name
        for each in recurring:
            each.problem = problem.id
        return [problem, *map(self._belongs, recurring)]

    def _begun(self, watch: WatchState, counted: Counted, recurring: Sequence[Opening]) -> Problem:
        same = ", ".join(watch.same)
        because = f"rule {counted.rule}: {len(recurring)} times within {span(counted.within_ms)} with the same {same}"
        empty = Problem(
            id=derived_id("PRB", counted.rule, *watch.same, watch.ordinal),
            version=0,
            status="open",
            title=counted.title or f"{same} fails again and again",
            rule=counted.rule,
            same=tuple(watch.same),
            incidents=(),
            count=0,
            opened=rfc3339(self.now),
            updated=rfc3339(self.now),
            category=counted.category,
            group=counted.group,
            because=(because,),
        )
        return self._with(empty, recurring)

    def _with(self, problem: Problem, openings: Iterable[Opening]) -> Problem:
        """The next version, with the incidents of these openings; one that it names already is not counted again."""
        incidents = dict.fromkeys(problem.incidents)
        fresh = dict.fromkeys(each.incident for each in openings if each.incident not in incidents)
        return msgspec.structs.replace(
            problem,
            version=problem.version + 1,
            incidents=(*incidents, *fresh)[-NEWEST:],
            count=problem.count + len(fresh),
            updated=rfc3339(self.now),
        )

    def _belongs(self, opening: Opening) -> BelongsTo:
        return BelongsTo(opening.situation, opening.problem, self.now)

    def closed(self, news: ProblemClosed) -> list[Problem]:
        """The problem's last version. One that is not open, or not known, is not closed again."""
        name = self._open.pop(news.problem, None)
        if name is None:
            return []
        watch = self._watches[name]
        problem = watch.problem
        assert problem is not None  # noqa: S101 - _open names watches with an open problem only
        watch.problem = None
        self._changed(name, watch)
        return [
            msgspec.structs.replace(
                problem,
                version=problem.version + 1,
                status="closed",
                updated=rfc3339(self.now),
                because=(*problem.because, f"closed by {news.by}"),
            )
        ]

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return self._deadlines.due()

    def expire(self, now: int) -> None:
        """Openings that no longer count are forgotten, and what never came to a problem with them."""
        self.now = max(self.now, now)
        for _, name in self._deadlines.met(self.now):
            watch = self._watches[name]
            watch.openings = [each for each in watch.openings if each.time + watch.within + SLACK_MS > self.now]
            if watch.openings or watch.ordinal:
                self._changed(name, watch)
            else:
                self._watches.drop(name)

    def _changed(self, name: str, watch: WatchState) -> None:
        self._watches.changed(name)
        self._await(name, watch)

    def _await(self, name: str, watch: WatchState) -> None:
        if watch.openings:
            self._deadlines.set(name, watch.openings[0].time + watch.within + SLACK_MS)

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        return self._watches.changes()

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back what was saved; for a new instance. Entries of others are passed over."""
        self._watches.restore(entries)
        for name, watch in self._watches.items():
            if watch.problem is not None:
                self._open[watch.problem.id] = name
            if watch.openings:
                self._await(name, watch)
                self.now = max(self.now, watch.openings[-1].time)


def _find(openings: Sequence[Opening], news: Opened) -> Opening | None:
    same = (news.situation, news.again)
    return next((each for each in openings if (each.situation, each.again) == same), None)


def _recurring(openings: Sequence[Opening], counted: Counted) -> Sequence[Opening]:
    """From the first of `times` openings within the rule's time on, all that there are; none if they are too few."""
    for first, last in enumerate(openings[counted.times - 1 :]):
        if last.time - openings[first].time <= counted.within_ms:
            return openings[first:]
    return ()
