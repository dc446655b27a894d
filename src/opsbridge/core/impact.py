"""What follows from failures: who is unreachable because a provider or a quorum is lost, who is only degraded.

A failed CI is down. One that has lost a provider it needs, or a group of providers too many members, is unreachable,
and is as lost to those that depend on it as a failed one. Who is outside its service time is irrelevant: neither failed
nor available, it leaves the count of every group, and nothing travels over it. Nothing is remembered here; second level
and reporting ask with what has failed and the time.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from opsbridge.core.graph import CIGraph, Group


class Condition(StrEnum):
    """What is true of a CI, by what has failed."""

    UP = "up"
    DEGRADED = "degraded"
    """Works, but a member of one of its groups or a peer is lost. Whoever depends on it does not feel that."""
    UNREACHABLE = "unreachable"
    """Has lost a provider that it needs, or a quorum."""
    DOWN = "down"
    """Failed itself."""
    NOT_IN_SERVICE = "not_in_service"
    """Outside its service time: irrelevant, whatever has happened to it."""


class Impacted(msgspec.Struct, frozen=True, gc=False):
    """Everything that failures reach; each CI is in one of these, nearest first, and all others are up."""

    down: tuple[int, ...] = ()
    unreachable: tuple[int, ...] = ()
    degraded: tuple[int, ...] = ()
    not_in_service: tuple[int, ...] = ()
    """Would be down or unreachable, or may be degraded, but is outside its service time."""

    @property
    def lost(self) -> tuple[int, ...]:
        """Down or unreachable."""
        return self.down + self.unreachable

    def conditions(self) -> dict[int, Condition]:
        """CI -> condition, of all that is not up."""
        return {number: condition for condition, field in _FIELDS.items() for number in getattr(self, field)}


_FIELDS: Final = {each: each.value for each in Condition if each is not Condition.UP}


def impacted(graph: CIGraph, failed: Iterable[int], now: int) -> Impacted:
    """What follows at that time (milliseconds since 1970) if these CIs have failed.

    The least fixed point: of CIs that need each other, all are up until one of them loses something else. The work is
    proportional to what is reached.
    """
    dependents, optional, timed = graph.dependents, graph.optional, graph.service_times
    down: list[int] = []
    outside: dict[int, None] = {}
    for number in sorted(set(failed)):
        if graph.in_service(number, now):
            down.append(number)
        else:
            outside[number] = None
    lost = set(down)
    unreachable: list[int] = []
    shaken: dict[int, None] = {}  # has lost a member of a group, or a peer
    frontier = down
    while frontier:
        reached: dict[int, None] = {}
        doubtful: dict[int, None] = {}
        for provider in frontier:
            for dependent in dependents[provider]:
                if dependent in lost or dependent in reached or dependent in outside:
                    continue
                if dependent in timed and not graph.in_service(dependent, now):
                    outside[dependent] = None
                elif dependent in optional and provider in optional[dependent]:
                    doubtful[dependent] = None
                else:
                    reached[dependent] = None
        for dependent in doubtful:
            if not all(_holds(graph, group, lost, now) for group in graph.groups[dependent]):
                reached[dependent] = None
        shaken |= doubtful
        lost.update(reached)
        unreachable += reached
        frontier = list(reached)
    degraded = tuple(number for number in shaken if number not in lost)
    return Impacted(tuple(down), tuple(unreachable), degraded, tuple(outside))


def impacted_by(graph: CIGraph, root: int, others: Iterable[int], now: int) -> Impacted:
    """What one root is to answer for at that time, while others have failed too.

    All that it would take along by itself; and its part in what no root takes along by itself, but several do together:
    a quorum that is lost by two roots is lost by both. So a root is not blamed for what is lost without it, and
    whatever is lost is somebody's. Other roots among what this one takes along are in `unreachable`.
    """
    alone = impacted(graph, (root,), now)
    others = set(others) - {root}
    now_lost = set(impacted(graph, (root, *others), now).lost) if others and alone.degraded else set()
    if now_lost.isdisjoint(alone.degraded):
        return alone
    by_itself = set(alone.lost)
    by_one = by_itself.union(*(impacted(graph, (other,), now).lost for other in others))
    together: dict[int, None] = {}  # lost by several roots, this one among them
    frontier = [
        number
        for number in alone.degraded
        if number in now_lost and number not in by_one and _lacks(graph, number, by_itself, now_lost, now)
    ]
    while frontier:
        together |= dict.fromkeys(frontier)
        own = set(frontier)
        behind = dict.fromkeys(number for provider in frontier for number in graph.dependents[provider])
        frontier = [
            number
            for number in behind
            if number in now_lost
            and number not in by_one
            and number not in together
            and _lacks(graph, number, own, now_lost, now)
        ]
    return _joined(graph, alone, together, now_lost, now)


def _joined(graph: CIGraph, alone: Impacted, together: dict[int, None], lost: set[int], now: int) -> Impacted:
    """The impact of one root with what it loses together with others."""
    shaken = dict.fromkeys(alone.degraded)
    outside = dict.fromkeys(alone.not_in_service)
    for provider in together:
        for number in graph.dependents[provider]:
            if number not in lost:
                (shaken if graph.in_service(number, now) else outside)[number] = None
    degraded = tuple(number for number in shaken if number not in lost)
    return Impacted(alone.down, alone.unreachable + tuple(together), degraded, tuple(outside))


def _lacks(graph: CIGraph, number: int, gone: set[int], lost: set[int], now: int) -> bool:
    """Whether one of those gone is what the CI needs, or in a group of it that does not hold with all that is lost."""
    optional = graph.optional.get(number, frozenset())
    if any(provider in gone and provider not in optional for provider in graph.providers[number]):
        return True
    return any(
        not _holds(graph, group, lost, now) and any(member in gone for member, _ in group.members)
        for group in graph.groups[number]
    )


def _holds(graph: CIGraph, group: Group, lost: set[int], now: int) -> bool:
    """Whether enough of the group is available; of members out of service, nothing is asked."""
    members = group.members
    if graph.service_times:
        members = tuple(each for each in members if graph.in_service(each[0], now))
    needed = min(group.at_least, sum(weight for _, weight in members))
    return sum(weight for member, weight in members if member not in lost) >= needed
