"""The CI graph from files: everything that is wrong is reported at once with its place, or there is a topology.

Errors: TopologyError (an operator's configuration). `opsbridge topology check`, `run`, `replay` and `demo` call this;
graph-wide analysis (cycles, orphans) is `analyse`'s.
"""

import gc
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from pydantic import ValidationError

from opsbridge.core.graph import CIGraph
from opsbridge.documents import (
    Document,
    DocumentError,
    Fault,
    Finding,
    Spot,
    dotted,
    from_validation,
    place,
    read_documents,
)
from opsbridge.topology.domains import DomainAttribute
from opsbridge.topology.links import Stated
from opsbridge.topology.merge import merge
from opsbridge.topology.model import DOCUMENT, FORMS, PATTERNS, CIEntry, Dependency, Link, known_fields
from opsbridge.topology.strength import EDGE_COSTS

if TYPE_CHECKING:
    import networkx


class TopologyError(DocumentError):
    """Topology files that cannot be used; `findings` has every reason."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A loaded estate."""

    graph: CIGraph
    aliases: dict[str, str]
    """Alias to CI id."""
    edge_types: Mapping[str, int]
    """How many dependencies are stated of each type; those without one are of the type ""."""
    findings: tuple[Finding, ...]
    """Warnings: what is odd, but not wrong."""
    digest: str
    """The same for the same CIs, aliases, dependencies and domains, however they are spread over files."""

    def digraph(self) -> "networkx.DiGraph[str]":
        """The graph for networkx, ids as nodes, an edge from each dependent to its provider; built on every call."""
        import networkx

        digraph: networkx.DiGraph[str] = networkx.DiGraph()
        ids = [ci.id for ci in self.graph.cis]
        digraph.add_nodes_from(ids)
        digraph.add_edges_from(
            (ids[one], ids[other]) for one, many in enumerate(self.graph.providers) for other in many
        )
        return digraph


EMPTY: Final = "the topology has no CIs: every event will be correlated alone"


def load_topology(
    paths: Iterable[str | os.PathLike[str]],
    *,
    domain_attribute: DomainAttribute | None = None,
    edge_costs: Mapping[str, int] = EDGE_COSTS,
) -> Topology:
    """The estate in these files and directories (every *.yaml, *.yml, *.json below); TopologyError if any is wrong.

    `domain_attribute` makes correlation domains of the values of that attribute (domains.py), `edge_costs` says how
    strong each type of dependency is (strength.py).
    """
    named = [os.fspath(path) for path in paths]
    with _without_collecting():
        documents, findings = read_documents(named)
        faults: list[Fault] = []
        stated = [_validated(document, faults) for document in documents]
        merged = merge(
            stated,
            complete=not any(finding.level == "error" for finding in findings),
            edge_costs=edge_costs,
            domain_attribute=domain_attribute,
        )
        findings += place(faults + merged.faults)
    if any(finding.level == "error" for finding in findings):
        raise TopologyError(findings)
    if not len(merged.graph):
        findings.append(Finding(", ".join(named) or "topology", 0, 0, "", EMPTY, "warning"))
    digest = _digest(merged.graph, merged.aliases)
    return Topology(merged.graph, merged.aliases, merged.edge_types, tuple(findings), digest)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """No garbage collection meanwhile: it would walk the growing estate over and over, half of all the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _validated(document: Document, faults: list[Fault]) -> Stated:
    try:
        valid = DOCUMENT.validate_python(document.value)
    except ValidationError as invalid:
        for loc, key, message in from_validation(invalid, known_fields, PATTERNS):
            loc = tuple(step for step in loc if step not in FORMS)
            faults.append(Fault(Spot(document, loc, key), dotted(loc), message))
        return Stated(document, list(_saved_cis(document.value)), list(_saved_edges(document.value)))
    return Stated(document, valid.cis, valid.depends_on)


def _saved_cis(value: object) -> Iterator[CIEntry | None]:
    """What names an invalid document defines, so that the edges that use them are judged rightly."""
    for raw in _list(value, "cis"):
        if isinstance(raw, dict) and isinstance(raw.get("id"), str):
            yield CIEntry.model_construct(
                id=raw["id"],
                aliases=list(map(str, _list(raw, "aliases"))),
                depends_on=[
                    Dependency.model_construct(on=_name(said, "on")) if isinstance(said, dict) else str(said)
                    for said in _list(raw, "depends_on")
                ],
            )
        else:
            yield None


def _saved_edges(value: object) -> Iterator[list[str] | Link | None]:
    for raw in _list(value, "depends_on"):
        if isinstance(raw, dict):
            yield Link.model_construct(from_=_name(raw, "from"), on=_name(raw, "on"))
        else:
            ends = [end for end in raw if isinstance(end, str)] if isinstance(raw, list) and len(raw) == 2 else []
            yield ends if len(ends) == 2 else None


def _name(raw: dict[object, object], field: str) -> str:
    """The name in this field, or an empty one."""
    name = raw.get(field)
    return name if isinstance(name, str) else ""


def _list(value: object, field: str) -> list[object]:
    found = value.get(field) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _digest(graph: CIGraph, aliases: dict[str, str]) -> str:
    times = [(number, each.windows, str(each.zone)) for number, each in sorted(graph.service_times.items())]
    optional = [(number, sorted(providers)) for number, providers in sorted(graph.optional.items())]
    groups = [(number, each) for number, each in enumerate(graph.groups) if each]
    edges = [graph.providers, graph.costs, optional, groups]
    content = msgspec.json.encode([graph.cis, edges, times, graph.domains, graph.backbone, sorted(aliases.items())])
    return hashlib.blake2b(content, digest_size=8).hexdigest()
