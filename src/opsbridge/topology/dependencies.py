"""Every dependency of an estate as people see it: its kinds, its group, who says so. The core's graph has only costs.

Worked out from what the documents state, when somebody asks: drawings, paths and impact do. The event path does not.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from math import exp

from opsbridge.core.graph import NAT
from opsbridge.topology.links import Stated
from opsbridge.topology.load import Topology
from opsbridge.topology.model import Dependency as Entry
from opsbridge.topology.model import Link, Member, Need


@dataclass(slots=True)
class Dependency:
    """What one CI needs another for, by their numbers."""

    dependent: int
    provider: int
    kinds: list[str] = field(default_factory=list)
    """Types that are stated, in order of statement; none if nobody names one."""
    groups: list[str] = field(default_factory=list)
    """Redundancy groups of the dependent that the provider is a member of: `instances: 4 of 6`."""
    undirected: bool = True
    """Nobody says which end is the provider."""
    needed: bool = False
    """The dependent cannot do without this provider, whatever its groups say."""
    origins: tuple[str, ...] = ()
    """Who says so, what counts most first; empty if only files without origin do."""

    @property
    def kind(self) -> str:
        """Its types in one text."""
        return ", ".join(self.kinds)


def dependencies(topology: Topology, touching: AbstractSet[int]) -> dict[tuple[int, int], Dependency]:
    """(dependent, provider) to what is stated of it, of all that have an end in `touching`, in order of the numbers.

    Peers are in it once, the smaller number first.
    """
    found: dict[tuple[int, int], Dependency] = {}
    numbers = topology.graph.numbers
    for part in topology.stated:
        for dependent, provider, kind, group, undirected in _stated(part, numbers):
            if dependent is None or provider is None or dependent == provider:
                continue
            if dependent not in touching and provider not in touching:
                continue
            ends = (min(dependent, provider), max(dependent, provider)) if undirected else (dependent, provider)
            known = found.setdefault(ends, Dependency(*ends))
            if kind and kind not in known.kinds:
                known.kinds.append(kind)
            if group and group not in known.groups:
                known.groups.append(group)
            known.undirected = known.undirected and undirected
            known.needed = known.needed or not (undirected or group)
    for ends in [ends for ends, each in found.items() if each.undirected]:
        if (said := found.get((ends[1], ends[0]))) is not None:  # another one says the direction
            said.kinds += [kind for kind in found.pop(ends).kinds if kind not in said.kinds]
    for ends, each in found.items():
        origins = topology.edge_origins.get(ends, ())
        each.origins = origins if any(origins) else ()
    return dict(sorted(found.items()))


def _stated(part: Stated, numbers: Mapping[str, int]) -> Iterator[tuple[int | None, int | None, str, str, bool]]:
    """(dependent, provider, kind, group, undirected) of everything that one document states."""
    for entry in part.cis:
        if entry is None:
            continue
        dependent = numbers.get(entry.id)
        for said in entry.depends_on:
            on, kind = (said.on, said.type) if isinstance(said, Entry) else (said, "")
            yield dependent, numbers.get(on), kind, "", False
        for need in entry.needs:
            label = group_label(need)
            for name, _ in members(need):
                yield dependent, numbers.get(name), need.type, label, False
    for link in part.depends_on:
        if isinstance(link, Link):
            yield numbers.get(link.from_), numbers.get(link.on), link.type, "", link.undirected
        elif link is not None:
            yield numbers.get(link[0]), numbers.get(link[1]), "", "", False


def members(need: Need) -> list[tuple[str, int]]:
    """(name, weight) of everyone in the group."""
    return [(said.ci, said.weight) if isinstance(said, Member) else (said, 1) for said in need.of]


def group_label(need: Need) -> str:
    """`instances: 4 of 6`; of a group without name only the figures."""
    figures = f"{need.at_least} of {sum(weight for _, weight in members(need))}"
    return f"{need.name}: {figures}" if need.name else figures


def chance(cost: int) -> float:
    """How likely it is that a failure comes over edges of that cost."""
    return exp(-cost / NAT)
