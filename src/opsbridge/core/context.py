"""Context: what is known about CIs besides their events and the topology: changes. From the `context` topic or a file.

A record is in force from the moment it is learned, by its own times: a change counts as recent for a while after it
began, and its window is open from its begin to its end. So every answer is the same however late and in whatever order
records were learned, and a restart that learns everything first decides the same; only what has been told by then is
not taken back. The levels ask; whoever reads the topic or the file tells.
"""

from collections.abc import Iterator, KeysView
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from opsbridge.core.calendar import FOREVER
from opsbridge.core.decisions import RecentChange
from opsbridge.core.graph import CIGraph
from opsbridge.core.times import milliseconds

RECENT_MS: Final = 3_600_000
"""So long after it has begun, and after it has ended, a change is a likely reason of a failure."""

KEEP_MS: Final = 7 * 86_400_000
"""A change that ended so long before the newest time that was asked for is of no more use and may be forgotten."""

_SWEEP_MS: Final = 3_600_000
"""So often, by the times asked for, it is looked whether any can be."""

TITLE: Final = 500
"""So much of a change's title is told; all of it is on the `context` topic."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class ChangeRecord(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="change"
):
    """A change that somebody plans or makes. The record's key is `change:` and its id; no value withdraws it."""

    id: Name
    cis: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=1000)]
    """Ids or aliases."""
    title: str = ""
    begins: Aware
    ends: Aware | None = None
    """None: it has not ended, and nobody knows when it will."""
    state: Literal["planned", "in_progress", "done", "cancelled"] = "planned"
    """cancelled: it does not happen, and counts for nothing."""
    suppresses: bool = False
    """Its window, from `begins` to `ends`, is a maintenance window of its CIs (rules of kind `maintenance` with
    `changes: true` say whose alerts are withheld in it)."""


class _Change(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a record; times in milliseconds since 1970."""

    id: str
    title: str
    began: int
    ended: int
    """FOREVER: nobody knows when."""
    suppresses: bool
    cis: tuple[str, ...]
    named: tuple[str, ...]
    """The same as the record names them."""

    def under_way(self, at: int) -> bool:
        return self.began <= at < self.ended

    def just(self, at: int) -> bool:
        """Whether it began or ended shortly before that time, or just then."""
        return any(since <= at <= since + RECENT_MS for since in (self.began, self.ended))


class Context:
    """What is known by now; shared by the stages of a worker, and told of news between their steps.

    Asked by the ids of CIs (of those the graph does not know, by the reference that events use), times in milliseconds
    since 1970. Bounded: what ended KEEP_MS before the newest time that was asked for is forgotten by and by; what has
    no end stays until it is given one or is withdrawn.
    """

    __slots__ = ("_by_ci", "_changes", "_graph", "_newest", "_swept", "version")

    def __init__(self, graph: CIGraph | None = None) -> None:
        """Records may name CIs by the aliases that the graph has; names that it does not have are kept as they are."""
        self._graph = graph
        self._changes: dict[str, _Change] = {}
        self._by_ci: dict[str, dict[str, _Change]] = {}
        self._newest = self._swept = 0
        self.version = 0
        """Rises with all that is learned or withdrawn: whoever remembers an answer asks again then."""

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def cis(self) -> KeysView[str]:
        """The CIs of which any change is known, recent or not: a view that follows what is learned."""
        return self._by_ci.keys()

    def learn(self, record: ChangeRecord) -> None:
        """The newest version of a record, in the place of those before.

        `done` without an end was done at once, when it began; `cancelled` is as good as withdrawn.
        """
        self.forget(record.id)
        if record.state == "cancelled":
            return
        began = milliseconds(record.begins)
        open_end = began if record.state == "done" else FOREVER
        change = _Change(
            record.id,
            record.title[:TITLE],
            began,
            open_end if record.ends is None else max(began, milliseconds(record.ends)),
            record.suppresses,
            tuple(dict.fromkeys(map(self._id, record.cis))),
            record.cis,
        )
        self._changes[change.id] = change
        for ci in change.cis:
            self._by_ci.setdefault(ci, {})[change.id] = change

    def bind(self, graph: CIGraph) -> None:
        """The graph is another one: names of CIs mean what it says."""
        self._graph = graph
        again: dict[str, dict[str, _Change]] = {}
        for change in self._changes.values():
            cis = tuple(dict.fromkeys(map(self._id, change.named)))
            if cis != change.cis:
                change = self._changes[change.id] = msgspec.structs.replace(change, cis=cis)
                self.version += 1
            for ci in cis:
                again.setdefault(ci, {})[change.id] = change
        self._by_ci.clear()
        self._by_ci.update(again)

    def forget(self, change: str) -> None:
        """The change is withdrawn; of one that is not known, nothing happens."""
        self.version += 1
        self._drop(change)

    def recent(self, ci: str, now: int, at: int | None = None) -> tuple[RecentChange, ...]:
        """The changes on a CI that are under way, began or ended recently; the newest first.

        With `at`, those that were so at that time, told as they are `now`: an incident keeps the changes that it began
        with, however long it lasts.
        """
        when = now if at is None else at
        found = [change for change in self._of(ci, now) if change.under_way(when) or change.just(when)]
        found.sort(key=lambda change: (-change.began, change.id))
        return tuple(
            RecentChange(change.id, ci, change.title, change.began, change.ended if change.ended <= now else None)
            for change in found
        )

    def changed(self, ci: str, at: int) -> bool:
        """Whether a change on the CI began or ended within RECENT_MS before that time, or just then."""
        return any(change.just(at) for change in self._of(ci, at))

    def window(self, ci: str, now: int) -> int | None:
        """When the maintenance window ends that a change opens for the CI now; None if none does.

        FOREVER if nobody knows. Of several that are open the last to end counts; what follows on it is asked for then.
        """
        ends = [change.ended for change in self._of(ci, now) if change.suppresses and change.under_way(now)]
        return max(ends, default=None)

    def _of(self, ci: str, now: int) -> Iterator[_Change]:
        if now > self._newest:
            self._newest = now
            if now - self._swept >= _SWEEP_MS:
                self._swept = now
                for change in [one for one in self._changes.values() if one.ended < now - KEEP_MS]:
                    self._drop(change.id)
        return iter(self._by_ci.get(ci, {}).values())

    def _drop(self, name: str) -> None:
        change = self._changes.pop(name, None)
        for ci in () if change is None else change.cis:
            others = self._by_ci[ci]
            del others[name]
            if not others:
                del self._by_ci[ci]

    def _id(self, name: str) -> str:
        number = None if self._graph is None else self._graph.numbers.get(name)
        return name if number is None or self._graph is None else self._graph.cis[number].id
