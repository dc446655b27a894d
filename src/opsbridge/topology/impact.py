"""What depends on CIs that fail, in the words of an operator: who is lost or degraded and why, which services, whom.

The core decides (core/impact.py), with quorums, service times and all; nothing is decided here. Called by `opsbridge
topology impact`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from opsbridge.core.graph import CI, CIGraph, Group
from opsbridge.core.impact import Condition, impacted


@dataclass(frozen=True, slots=True)
class Affected:
    """One CI that failures reach."""

    ci: str
    condition: Condition
    type: str
    site: str
    tier: int | None
    service: bool
    users: int
    because: str
    """What it has lost."""


@dataclass(frozen=True, slots=True)
class Site:
    """How many CIs of a site are lost or degraded; those that failed count as lost."""

    site: str
    lost: int
    degraded: int


@dataclass(frozen=True, slots=True)
class Consequences:
    """All that follows from failures."""

    failed: tuple[str, ...]
    affected: tuple[Affected, ...]
    """Those that failed first, then the nearest."""
    services: tuple[Affected, ...]
    """Of these the services: what is lost before what is degraded, by tier, the most users first."""
    users: int
    """Of all services that are lost; who uses several counts several times."""
    sites: tuple[Site, ...]
    """Only those that CIs name."""


def consequences(graph: CIGraph, failed: Collection[int], now: int) -> Consequences:
    """What follows if these CIs fail at that time (milliseconds since 1970)."""
    found = impacted(graph, failed, now)
    lost = set(found.lost)
    affected = tuple(
        _affected(graph, number, condition, lost, now)
        for condition, numbers in (
            (Condition.DOWN, found.down),
            (Condition.UNREACHABLE, found.unreachable),
            (Condition.DEGRADED, found.degraded),
            (Condition.NOT_IN_SERVICE, found.not_in_service),
        )
        for number in numbers
    )
    services = sorted((each for each in affected if each.service), key=_by_weight)
    return Consequences(
        tuple(graph.cis[number].id for number in failed),
        affected,
        tuple(services),
        sum(each.users for each in services if each.condition in _LOST),
        tuple(_sites(affected)),
    )


_LOST = (Condition.DOWN, Condition.UNREACHABLE)

_ORDER = (*_LOST, Condition.DEGRADED, Condition.NOT_IN_SERVICE)


def _by_weight(service: Affected) -> tuple[int, int, int, str]:
    lost = 0 if service.condition in _LOST else _ORDER.index(service.condition)
    return lost, 1 << 30 if service.tier is None else service.tier, -service.users, service.ci


def _affected(graph: CIGraph, number: int, condition: Condition, lost: set[int], now: int) -> Affected:
    ci: CI = graph.cis[number]
    because = "failed"
    if condition is Condition.NOT_IN_SERVICE:
        because = "outside its service time"
    elif condition is not Condition.DOWN:
        because = "; ".join(_losses(graph, number, lost, now))
    return Affected(ci.id, condition, ci.type, ci.site, ci.tier, ci.service, ci.users, because)


def _losses(graph: CIGraph, number: int, lost: set[int], now: int) -> Iterator[str]:
    """What it has lost: providers that it needs, then members of groups, then peers."""
    optional = graph.optional.get(number, frozenset())
    gone = [provider for provider in graph.providers[number] if provider in lost]
    if needed := [provider for provider in gone if provider not in optional]:
        yield f"needs {_named(graph, needed)}"
    grouped = set()
    for group in graph.groups[number]:
        inside = [member for member, _ in group.members if member in lost]
        grouped |= {member for member, _ in group.members}
        if inside:
            yield f"{_quorum(graph, group, lost, now)} without {_named(graph, inside)}"
    if peers := [provider for provider in gone if provider in optional and provider not in grouped]:
        yield f"connected with {_named(graph, peers)}"


def _quorum(graph: CIGraph, group: Group, lost: set[int], now: int) -> str:
    there = [(member, weight) for member, weight in group.members if graph.in_service(member, now)]
    left = sum(weight for member, weight in there if member not in lost)
    needed = min(group.at_least, sum(weight for _, weight in there))
    return f"{group.name or 'group'}: {left} left, {needed} needed,"


def _named(graph: CIGraph, numbers: Sequence[int], most: int = 3) -> str:
    names = [graph.cis[number].id for number in numbers]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _sites(affected: Iterable[Affected]) -> Iterator[Site]:
    counts: dict[str, list[int]] = {}
    for each in affected:
        if each.site and each.condition is not Condition.NOT_IN_SERVICE:
            counts.setdefault(each.site, [0, 0])[each.condition is Condition.DEGRADED] += 1
    for site, (lost, degraded) in sorted(counts.items(), key=lambda item: (-item[1][0], -item[1][1], item[0])):
        yield Site(site, lost, degraded)
