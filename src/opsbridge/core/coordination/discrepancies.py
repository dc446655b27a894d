"""Discrepancies that only many situations show: edges that failures contradict, edges that seem to be missing, orphans.

An edge is contradicted when its provider has failed often enough, the others that depend on it mostly felt it, and this
dependent never did. One is missing when two CIs are roots at about the same time again and again and neither depends on
the other. A CI without any edge that fails again and again is an orphan whose edges nobody has stated. Each is told
once, until that is forgotten. Every situation counts once, however often its news come; of
news that brought something to light it is told again. Memory is bounded: the roots that were heard of longest ago go
first. Coordination (stage.py) calls this with the news of all response lanes.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from opsbridge.core.coordination.news import Ended, Opened
from opsbridge.core.decisions import Discrepancy
from opsbridge.core.graph import CIGraph
from opsbridge.core.state import Change, Kept

FAILURES: Final = 5
"""So often a dependent has to be silent when the others are not; a real edge keeps silent so often in 1 case of 30."""

TOGETHER_MS: Final = 60_000
"""Situations that open within this time of each other open together."""

TOGETHER: Final = 3
"""So often two CIs have to fail together, and in two thirds of the failures of the one that fails less often."""

CROWD: Final = 10
"""Where more situations than that open within TOGETHER_MS before or after, it says nothing about any two of them."""

WEEK_MS: Final = 7 * 86_400_000
"""Of so long ago openings count."""

KEEP_MS: Final = 30 * 86_400_000
"""So long a root is remembered of which nothing is heard, and that something was told."""

LIMIT: Final = 10_000
"""So many openings and edges are remembered in all, and so many that were told..."""

_LIVE: Final = "\x1flive"
"""In place of the situation that showed it."""

OPENINGS: Final = 50
ENDED: Final = 50
"""...and of one root so many openings, and situations that have ended."""


class RootState(msgspec.Struct, array_like=True, gc=False):
    """What is remembered of one CI that has been a root. The order of the fields is the format of the changelog."""

    touched: int
    """When it was heard of last."""
    openings: list[tuple[int, str]] = []
    """Time, and situation with its count of reopenings; in order."""
    ended: list[str] = []
    """The situations whose end has been counted, the newest last."""
    silent: dict[str, int] = {}
    """Dependents that have never been heard, with how often others were and they were not."""
    heard: list[str] = []
    """Dependents that have been heard at least once: their edges are confirmed."""

    def __len__(self) -> int:
        return len(self.openings) + len(self.silent) + len(self.heard)


class ToldState(msgspec.Struct, array_like=True, gc=False):
    """Something that has been told: when, and which situation showed it."""

    at: int
    by: str


class Discrepancies:
    """What the failures of all CIs say about the topology."""

    __slots__ = ("_graph", "_misfits", "_roots", "_size", "_times", "_told", "now")

    def __init__(self, graph: CIGraph | None = None, misfits: Iterable[Discrepancy] = ()) -> None:
        """Without a graph no CI depends on another. `misfits`: what live topology says that does not fit together."""
        self.now = 0
        self._graph = graph
        self._misfits = {f"{each.kind}\x1f{each.reference}": each for each in misfits}
        self._roots = Kept(b"d:r:", RootState)  # the one heard of longest ago first
        self._times: list[tuple[int, str]] = []  # all openings with their roots, in order
        self._told = Kept(b"d:t:", ToldState)  # the oldest first
        self._size = 0

    def __len__(self) -> int:
        return len(self._roots) + len(self._told)

    def opened(self, news: Opened) -> list[Discrepancy]:
        """The edges that are missing, as the opening shows."""
        self.expire(news.now_ms)
        name = f"{news.situation}.{news.again}"
        if news.opened_ms <= self.now - WEEK_MS:
            return []
        root = self._touch(news.root)
        if not any(name == known or (time == news.opened_ms and _same(name, known)) for time, known in root.openings):
            insort(root.openings, (news.opened_ms, name))
            insort(self._times, (news.opened_ms, news.root))
            self._size += 1
            if len(root.openings) > OPENINGS:
                self._drop_opening(news.root)
        time = next((time for time, known in root.openings if known == name), news.opened_ms)
        told = [
            discrepancy
            for other in dict.fromkeys(root for _, root in self._around(time) if root != news.root)
            if not hang_together(self._graph, news.root, other)
            and (discrepancy := self._missing(news.root, other, name))
        ]
        if orphan := self._orphan(news.root, name):
            told.append(orphan)
        self._bound()
        return told

    def ended(self, news: Ended) -> list[Discrepancy]:
        """The edges that the failure contradicts, with those before it."""
        self.expire(news.now_ms)
        root = self._touch(news.root)
        counted = news.situation in root.ended
        before = len(root)
        root.heard += sorted(set(news.heard).difference(root.heard))
        for dependent in news.heard:
            root.silent.pop(dependent, None)
        felt = bool(news.heard) and 2 * len(news.heard) >= len(news.heard) + len(news.unheard) - 1
        unheard = [dependent for dependent in news.unheard if dependent not in root.heard] if felt else []
        if not counted:
            root.ended = [*root.ended, news.situation][-ENDED:]
            for dependent in unheard:
                root.silent[dependent] = root.silent.get(dependent, 0) + 1
        self._size += len(root) - before
        told = [
            discrepancy
            for dependent in unheard
            if root.silent.get(dependent, 0) >= FAILURES
            and (discrepancy := self._contradicted(dependent, news, root.silent[dependent]))
        ]
        self._bound()
        return told

    def misfits(self) -> list[Discrepancy]:
        """What does not fit in the live topology and has not been told yet; what has been mended may be told anew."""
        for key in [key for key, told in self._told.items() if told.by == _LIVE and key not in self._misfits]:
            self._told.drop(key)
        untold = [key for key in self._misfits if key not in self._told]
        for key in untold:
            self._told[key] = ToldState(self.now, _LIVE)
            self._told.changed(key)
        return [msgspec.structs.replace(self._misfits[key], time_ms=self.now) for key in untold]

    def _missing(self, one: str, other: str, by: str) -> Discrepancy | None:
        """What there is to say if both fail together often enough."""
        rarer, more = sorted((one, other), key=lambda name: (len(self._roots[name].openings), name))
        pairs = [pair for time, _ in self._roots[rarer].openings if (pair := self._pair(time, more)) is not None]
        failures = len(self._roots[rarer].openings)
        if len(pairs) < TOGETHER or 3 * len(pairs) < 2 * failures:
            return None
        first = sum(mine <= theirs for mine, theirs in pairs)  # how often the rarer one was no later
        dependent, provider = (more, rarer) if 2 * first > len(pairs) else (rarer, more)
        key = "\x1f".join(("missing_edge", *sorted((one, other))))
        return self._tell(
            key,
            by,
            Discrepancy(
                "missing_edge",
                f"{dependent} -> {provider}",
                "",
                self.now,
                (
                    f"{rarer} failed {failures} times in 7 days, {more} {len(self._roots[more].openings)} times",
                    f"{len(pairs)} times they failed within {TOGETHER_MS // 1000} s of each other",
                    "neither depends on the other",
                    f"{provider} was mostly the first of the two; the direction may still be wrong",
                ),
            ),
        )

    def _pair(self, time: int, other: str) -> tuple[int, int] | None:
        """That time and when the other opened together with it; None if it did not, or many others did too."""
        around = self._around(time)
        return next(((time, at) for at, root in around if root == other), None) if len(around) <= CROWD else None

    def _around(self, time: int) -> list[tuple[int, str]]:
        """What opened together with something that opened then, itself included; of a crowd, one more than CROWD."""
        first = bisect_left(self._times, (time - TOGETHER_MS, ""))
        last = bisect_right(self._times, time + TOGETHER_MS, key=lambda opening: opening[0])
        return self._times[first : min(last, first + CROWD + 1)]

    def _contradicted(self, dependent: str, news: Ended, failures: int) -> Discrepancy | None:
        reference = f"{dependent} -> {news.root}"
        return self._tell(
            f"contradicted_edge\x1f{reference}",
            news.situation,
            Discrepancy(
                "contradicted_edge",
                reference,
                "",
                self.now,
                (
                    f"{news.root} has failed {failures} times, and {dependent} never sent anything then",
                    f"others did: {len(news.heard)} of {len(news.heard) + len(news.unheard)} dependents the last time",
                ),
            ),
        )

    def _tell(self, key: str, by: str, discrepancy: Discrepancy) -> Discrepancy | None:
        """The discrepancy, unless it has been told because of another situation."""
        known = self._told.get(key)
        if known is not None:
            return discrepancy if known.by == by else None
        self._told[key] = ToldState(self.now, by)
        self._told.changed(key)
        return discrepancy

    def _orphan(self, name: str, by: str) -> Discrepancy | None:
        """What there is to say of a CI that fails often, and that the topology has and connects with nothing."""
        failures = len(self._roots[name].openings)
        number = None if self._graph is None else self._graph.numbers.get(name)
        if self._graph is None or number is None or failures < TOGETHER or self._graph.connected(number):
            return None
        evidence = (
            f"{name} failed {failures} times in 7 days",
            "the topology has it without any dependency, so its alerts are correlated alone",
        )
        return self._tell(f"orphan\x1f{name}", by, Discrepancy("orphan", name, "", self.now, evidence))

    # memory

    def _touch(self, name: str) -> RootState:
        root = self._roots.pop(name, None)
        root = self._roots[name] = RootState(self.now) if root is None else root
        root.touched = self.now
        self._roots.changed(name)
        return root

    def _drop_opening(self, name: str) -> None:
        root = self._roots[name]
        time, _ = root.openings.pop(0)
        del self._times[bisect_left(self._times, (time, name))]
        self._size -= 1
        self._roots.changed(name)

    def _forget(self, name: str) -> None:
        while self._roots[name].openings:
            self._drop_opening(name)
        self._size -= len(self._roots.drop(name))

    def _bound(self) -> None:
        while self._size > LIMIT and len(self._roots) > 1:
            self._forget(next(iter(self._roots)))
        while len(self._told) > LIMIT:
            self._told.drop(next(iter(self._told)))

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return min(self._deadlines(), default=None)

    def _deadlines(self) -> Iterator[int]:
        if self.now and any(key not in self._told for key in self._misfits):
            yield self.now
        if self._times:
            yield self._times[0][0] + WEEK_MS
        for root in self._roots.values():
            yield root.touched + KEEP_MS
            break
        for told in self._told.values():
            yield told.at + KEEP_MS
            break

    def expire(self, now: int) -> None:
        """Forget what is too old by then."""
        self.now = max(self.now, now)
        while self._times and self._times[0][0] <= self.now - WEEK_MS:
            self._drop_opening(self._times[0][1])
        old = self.now - KEEP_MS
        while self._roots and self._roots[name := next(iter(self._roots))].touched <= old:
            self._forget(name)
        while self._told and self._told[key := next(iter(self._told))].at <= old:
            self._told.drop(key)  # what still does not fit is told again then

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        return [*self._roots.changes(), *self._told.changes()]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back what was saved; for a new instance. Entries of others are passed over."""
        saved = list(entries)
        self._roots.restore(saved)
        self._roots.sort(lambda name, root: (root.touched, name))
        self._told.restore(saved)
        self._told.sort(lambda key, told: (told.at, key))
        self._times = sorted((time, name) for name, root in self._roots.items() for time, _ in root.openings)
        self._size = sum(map(len, self._roots.values()))
        self.now = max(
            self.now,
            *(root.touched for root in self._roots.values()),
            *(told.at for told in self._told.values()),
            0,
        )


def hang_together(graph: CIGraph | None, one: str, other: str) -> bool:
    """Whether one of the two CIs depends on the other, as far as a failure comes."""
    if graph is None:
        return False
    ends = [graph.numbers[name] for name in (one, other) if name in graph.numbers]
    return any(provider in ends for end in ends for provider, _ in graph.beyond(end))


def _same(one: str, other: str) -> bool:
    """Whether both are of the same situation, whatever they count."""
    return one.rpartition(".")[0] == other.rpartition(".")[0]
