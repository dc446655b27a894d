"""The compact CI graph that the core asks: integers for CIs, tuples for edges, closures worked out once and kept.

`a depends_on b` makes b a provider of a, and a a dependent of b; a failing provider impacts its dependents. Cycles are
legal. The topology room loads, checks and analyses files and builds this; nothing here reads or validates anything.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec


class CI(msgspec.Struct, frozen=True, gc=False):
    """A configuration item as rules and incidents see it."""

    id: str
    type: str = ""
    name: str = ""
    owner: str = ""
    environment: str = ""
    site: str = ""
    tier: int | None = None
    service: bool = False
    """A (business) service: named in an incident's affected services."""
    monitored: bool = True
    """False: nothing watches this CI, so its silence says nothing."""


def unknown_ci(reference: str) -> CI:
    """A CI that events name and the topology does not: it has no edges and is correlated alone."""
    return CI(id=reference)


Levels = tuple[tuple[int, ...], ...]
"""CIs by distance: item h holds the numbers of the CIs that are h hops away."""

MAX_HOPS: Final = 8
"""How far a failure is taken as an explanation; farther, evidence is too thin to weigh (see roots.py)."""


class CIGraph:
    """CI numbers, their names and edges; immutable after it is built, shared by every partition of a worker."""

    __slots__ = ("_upstream", "cis", "dependents", "domains", "numbers", "providers")

    def __init__(
        self,
        cis: Sequence[CI],
        depends_on: Iterable[tuple[int, int]] = (),
        *,
        aliases: dict[str, int] | None = None,
        domains: Sequence[str] | None = None,
    ) -> None:
        """Take CIs in order (their index is their number), edges (dependent, provider) and further names of CIs.

        `domains` gives each CI's correlation domain; without it, every CI is in one domain.
        """
        providers: list[list[int]] = [[] for _ in cis]
        dependents: list[list[int]] = [[] for _ in cis]
        for dependent, provider in sorted(set(depends_on)):
            if dependent != provider:
                providers[dependent].append(provider)
                dependents[provider].append(dependent)
        self.cis: tuple[CI, ...] = tuple(cis)
        self.providers: tuple[tuple[int, ...], ...] = tuple(map(tuple, providers))
        self.dependents: tuple[tuple[int, ...], ...] = tuple(map(tuple, dependents))
        self.numbers: dict[str, int] = {ci.id: number for number, ci in enumerate(cis)}
        self.numbers.update(aliases or {})
        self.domains: tuple[str, ...] = tuple(domains) if domains is not None else ("",) * len(self.cis)
        self._upstream: dict[int, Levels] = {}

    def __len__(self) -> int:
        return len(self.cis)

    @property
    def edges(self) -> int:
        """How many dependencies there are."""
        return sum(map(len, self.providers))

    def upstream(self, number: int) -> Levels:
        """The CI itself and all it depends on within MAX_HOPS; item h holds the CIs that are h hops away, each once."""
        found = self._upstream.get(number)
        if found is None:
            found = self._upstream[number] = _levels(self.providers, number, MAX_HOPS)
        return found

    def downstream(self, number: int, max_hops: int = MAX_HOPS) -> Levels:
        """The CI itself and all that depends on it within `max_hops`, by hops like `upstream`; not kept."""
        return _levels(self.dependents, number, max_hops)

    def impacted(self, number: int) -> list[int]:
        """Every CI that depends on this one, however far, without the CI itself; nearest first."""
        return [ci for level in self.downstream(number, len(self.cis))[1:] for ci in level]


def _levels(edges: Sequence[tuple[int, ...]], start: int, max_hops: int) -> Levels:
    """Breadth first from `start` along `edges`; a cycle ends where a CI has been seen at fewer hops."""
    seen = {start}
    levels: list[tuple[int, ...]] = [(start,)]
    for _ in range(max_hops):
        reached: dict[int, None] = {}
        for number in levels[-1]:
            for neighbour in edges[number]:
                if neighbour not in seen:
                    seen.add(neighbour)
                    reached[neighbour] = None
        if not reached:
            break
        levels.append(tuple(reached))
    return tuple(levels)
