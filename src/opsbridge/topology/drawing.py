"""What a drawing of an estate shows: which CIs, what is said of each, and the dependencies between them.

How it is written is decided elsewhere: an SVG in svg.py, DOT and Mermaid in markup.py. Called by `opsbridge topology
show`. A drawing that nobody could read is refused with what to do instead.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from opsbridge.core.graph import CIGraph
from opsbridge.errors import OpsBridgeError
from opsbridge.topology.dependencies import Dependency, dependencies
from opsbridge.topology.load import Topology

LIMIT: Final = 300
"""More CIs than these make no picture."""


class TooLargeError(OpsBridgeError):
    """There are more CIs than a picture can show; says how to choose fewer."""

    exit_code = 2

    def __init__(self, cis: int, limit: int) -> None:
        super().__init__(
            f"{cis} CIs: nobody can read a picture of more than {limit}; choose with --around CI --hops N or --domain, "
            "or insist with --limit"
        )


class Mark(StrEnum):
    """Why a CI stands out."""

    FOCUS = "focus"
    """The drawing is about what is around it."""
    ROOT = "root"
    """The root cause of the incident that is drawn."""
    AFFECTED = "affected"


@dataclass(frozen=True, slots=True)
class Node:
    """One CI of a drawing."""

    number: int
    id: str
    type: str
    service: bool
    monitored: bool
    groups: tuple[str, ...]
    """Its redundancy groups that the drawing has a line of: `instances: 4 of 6`."""
    facts: tuple[tuple[str, str], ...]
    """What else is known of it, by the words of topology files."""
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that is shown; nodes in the order of their ids."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Dependency, ...]
    outside: int = 0
    """Dependencies of these CIs with others, which are not shown."""
    ids: Mapping[int, str] = field(default_factory=dict)

    def words(self, edge: Dependency) -> str:
        """A dependency as a sentence."""
        verb = "and" if edge.undirected else "depends on"
        told = f"{self.ids[edge.dependent]} {verb} {self.ids[edge.provider]}"
        told += " are connected; nobody says which needs the other" if edge.undirected else ""
        notes = [edge.kind, *edge.groups]
        if edge.origins:
            notes.append(f"said by {_whose(edge.origins)}")
        return told + "".join(f" · {note}" for note in notes if note)


def draw(
    topology: Topology,
    shown: Collection[int],
    title: str,
    *,
    marks: Mapping[int, Mark] | None = None,
    limit: int = LIMIT,
) -> Drawing:
    """A drawing of these CIs and what is between them; raises `TooLargeError`."""
    if len(shown) > limit:
        raise TooLargeError(len(shown), limit)
    inside = frozenset(shown)
    edges: list[Dependency] = []
    outside = 0
    for edge in dependencies(topology, inside).values():
        ends = (edge.dependent in inside) + (edge.provider in inside)
        if ends == 2:
            edges.append(edge)
        outside += ends == 1
    groups: dict[int, dict[str, None]] = {}
    for edge in edges:
        groups.setdefault(edge.dependent, {}).update(dict.fromkeys(edge.groups))
    aliases: dict[int, list[str]] = {}
    numbers = topology.graph.numbers
    for alias, ci in topology.aliases.items():
        if numbers[ci] in inside:
            aliases.setdefault(numbers[ci], []).append(alias)
    marks = marks or {}
    nodes = tuple(
        _node(topology, number, tuple(groups.get(number, ())), aliases.get(number, ()), marks.get(number))
        for number in sorted(inside)
    )
    return Drawing(title, nodes, tuple(edges), outside, {node.number: node.id for node in nodes})


def around(graph: CIGraph, centre: int, hops: int) -> list[int]:
    """The CI, what depends on it and what it depends on, each at most so many hops away; nearest first.

    What else depends on its providers is not around it: that may be everything.
    """
    found = {centre: None}
    for beside in (graph.dependents, graph.providers):
        reached = {centre}
        frontier: Iterable[int] = [centre]
        for _ in range(hops):
            frontier = sorted({other for number in frontier for other in beside[number]} - reached)
            reached.update(frontier)
            found.update(dict.fromkeys(frontier))
    return list(found)


def _node(topology: Topology, number: int, groups: tuple[str, ...], aliases: Sequence[str], mark: Mark | None) -> Node:
    graph = topology.graph
    ci = graph.cis[number]
    times = graph.service_times.get(number)
    said: list[tuple[str, object]] = [
        ("name", ci.name),
        ("type", ci.type),
        ("tier", ci.tier),
        ("site", ci.site),
        ("environment", ci.environment),
        ("owner", ci.owner),
        ("group", ci.group),
        ("users", ci.users or ""),
        ("monitored", "" if ci.monitored else "no"),
        ("in service", "" if times is None else f"at times, {times.zone}"),
        ("aliases", ", ".join(sorted(aliases)[:5]) + (", ..." if len(aliases) > 5 else "")),
        ("needs", "; ".join(groups)),
        ("said by", _whose(topology.ci_origins.get(number, ()))),
    ]
    facts = tuple((name, str(value)) for name, value in said if value not in ("", None))
    return Node(number, ci.id, ci.type, ci.service, ci.monitored, groups, facts, mark)


def _whose(origins: Sequence[str]) -> str:
    return ", ".join(origin or "hand" for origin in origins)


def plain(text: str) -> str:
    """Text that may stand in any document: without control characters and what is no character at all."""
    return "".join(_REPLACED.get(character) or _checked(character) for character in text)


_REPLACED: Final = {"\n": " ", "\r": " ", "\t": " "}


def _checked(character: str) -> str:
    code = ord(character)
    control = code < 0x20 or 0x7F <= code < 0xA0 or 0x2028 <= code <= 0x202E or 0x2066 <= code <= 0x2069
    nothing = 0xD800 <= code < 0xE000 or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
    return "\ufffd" if control or nothing else character
