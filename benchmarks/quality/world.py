"""An estate with its real dependencies and with the topology that an engine is shown, which may be wrong.

The real one says more than a topology file can: which providers stand in for each other and how many of them are
enough, and whether a dependent stops with its provider or only answers badly. `estates.py` fills a `Draft`,
which draws the flaws of the topology shown and becomes a `World`.
"""

import random
from dataclasses import dataclass, field
from typing import Final, Literal

from opsbridge.core.graph import CI

SERVICES: Final = frozenset({"service", "business_service"})


EDGE_TYPES: Final = {
    "site": "powered_by",
    "pdu": "powered_by",
    "rack": "member_of",
    **dict.fromkeys(
        ("backbone_router", "core_switch", "dist_switch", "access_switch", "spine_switch", "leaf_switch", "zone"),
        "connects_via",
    ),
}
"""What a dependency on a provider of the type is called; on all others, a CI runs."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a CI needs: at least `quorum` of these providers. `hard`: it stops without them, else it answers badly."""

    providers: tuple[int, ...]
    quorum: int = 1
    hard: bool = True


Needs = tuple[tuple[Need, ...], ...]
"""What each CI needs, by CI number."""


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with the topology shown, and with the monitoring, as shares.

    `missing` and `wrong` are shares of the edges; `unmonitored` is a share of the CIs, half of them marked as such.
    """

    missing: float = 0.0
    wrong: float = 0.0
    unmonitored: float = 0.0


FLAWLESS: Final = Flaws()


@dataclass(frozen=True, slots=True)
class World:
    """One estate: CIs as they are shown, what they really need, and what the topology shown says they need."""

    name: str
    cis: tuple[CI, ...]
    needs: Needs
    shown: Needs
    detailed: bool
    """Whether the topology shown tells types of dependencies and redundancy, and not just who needs whom."""
    monitored: tuple[bool, ...]
    """Whether anything really watches the CI; the topology may not know."""
    intervals: tuple[int, ...]
    """How often each CI is checked, in milliseconds."""
    consumers: tuple[tuple[int, ...], ...]
    """Who really depends on each CI, by CI number."""

    def edge_type(self, need: Need) -> str:
        """What a topology file would call the dependency on these providers."""
        return EDGE_TYPES.get(self.cis[need.providers[0]].type, "runs_on") if need.hard else "calls"

    def edges_shown(self) -> list[tuple[int, int]]:
        """Every (dependent, provider) of the topology shown."""
        return edges_of(self.shown)

    def above(self, *cis: int) -> set[int]:
        """These CIs and everything that they really depend on, however far."""
        found: set[int] = set()
        waiting = list(cis)
        while waiting:
            if (ci := waiting.pop()) not in found:
                found.add(ci)
                waiting += [provider for need in self.needs[ci] for provider in need.providers]
        return found

    def of_type(self, *types: str) -> list[int]:
        """The CIs of these types."""
        return [number for number, ci in enumerate(self.cis) if ci.type in types]


def edges_of(needs: Needs) -> list[tuple[int, int]]:
    """Needs as pairs (dependent, provider), each once, in order."""
    pairs = {(ci, provider) for ci, own in enumerate(needs) for need in own for provider in need.providers}
    return sorted(pairs)


Interval = Literal[10, 15, 30, 60]
INTERVALS: Final[tuple[Interval, ...]] = (10, 15, 30, 60)


@dataclass(slots=True)
class Draft:
    """An estate while it is being planned."""

    rng: random.Random
    shared: bool
    """Whether all sites hang on one backbone."""
    cis: list[tuple[str, str, str]] = field(default_factory=list)
    """(id, type, site)"""
    needs: list[list[Need]] = field(default_factory=list)

    def add(self, type_: str, name: str, *needs: Need, site: str = "") -> int:
        """A new CI; its number."""
        self.cis.append((name, type_, site))
        self.needs.append(list(needs))
        return len(self.cis) - 1

    def some(self, numbers: list[int], fewest: int, most: int) -> list[int]:
        """A few of these CIs, each once."""
        return self.rng.sample(numbers, min(len(numbers), self.rng.randint(fewest, most)))

    def calls(self, consumer: int, providers: list[int], *, hard: bool = False) -> None:
        """The consumer calls each of these CIs."""
        self.needs[consumer] += [Need((provider,), 1, hard) for provider in providers if provider != consumer]

    def world(self, name: str, flaws: Flaws, *, detailed: bool) -> World:
        """The finished estate with a topology as flawed and detailed as asked."""
        real = tuple(tuple(own) for own in self.needs)
        count = len(self.cis)
        intervals = tuple(self.rng.choice(INTERVALS) * 1000 for _ in self.cis)
        rng = random.Random(f"{name}/{flaws}")  # of its own, so that the estate is the same with other flaws
        dark = {number for number in range(count) if rng.random() < flaws.unmonitored}
        marked = {number for number in sorted(dark) if rng.random() < 0.5}
        consumers: list[list[int]] = [[] for _ in self.cis]
        for dependent, provider in edges_of(real):
            consumers[provider].append(dependent)
        return World(
            name=name,
            cis=tuple(
                CI(id=id_, type=type_, site=site, service=type_ in SERVICES, monitored=number not in marked)
                for number, (id_, type_, site) in enumerate(self.cis)
            ),
            needs=real,
            shown=self._shown(real, flaws, rng),
            detailed=detailed,
            monitored=tuple(number not in dark for number in range(count)),
            intervals=intervals,
            consumers=tuple(map(tuple, consumers)),
        )

    def _shown(self, real: Needs, flaws: Flaws, rng: random.Random) -> Needs:
        """The real needs with edges lost and others made up: a CI of the same type as a real provider is named."""
        shown = [[_poorer(need, flaws.missing, rng) for need in own] for own in real]
        edges = edges_of(real)
        for _ in range(round(len(edges) * flaws.wrong)):
            dependent, provider = rng.choice(edges)
            alike = [n for n, ci in enumerate(self.cis) if ci[1] == self.cis[provider][1] and n != dependent]
            other = rng.choice(alike)
            if (dependent, other) not in edges and (other, dependent) not in edges:
                shown[dependent].append(Need((other,)))
        return tuple(tuple(need for need in own if need.providers) for own in shown)


def _poorer(need: Need, missing: float, rng: random.Random) -> Need:
    """The need without the providers that nobody wrote down."""
    left = tuple(provider for provider in need.providers if rng.random() >= missing)
    return Need(left, min(need.quorum, len(left)), need.hard)
