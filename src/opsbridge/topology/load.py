"""The CI graph from files: everything that is wrong is reported at once with its place, or there is a topology.

Errors: TopologyError (an operator's configuration). `opsbridge topology check`, `run`, `replay` and `demo` call this;
graph-wide analysis (cycles, orphans) is `analyse`'s.
"""

import gc
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from opsbridge.topology.identity import Known
from opsbridge.topology.links import Stated
from opsbridge.topology.merge import Merged, merge
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
    edge_origins: Mapping[tuple[int, int], tuple[str, ...]]
    """(dependent, provider), by number, to who says so, what counts most first; "" is what is written by hand.

    Peers are in it in both orders. Empty if no document names an origin.
    """
    ci_origins: Mapping[int, tuple[str, ...]]
    """CI number to who speaks of it, likewise; without those that are written by hand only."""
    findings: tuple[Finding, ...]
    """Warnings: what is odd, but not wrong."""
    digest: str
    """The same for the same CIs, aliases, dependencies and domains, however they are spread over files."""
    stated: tuple[Stated, ...] = ()
    """What the files say, to be merged again with what comes while events flow."""

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
    with without_collecting():
        stated, merged, findings = _merged(named, domain_attribute, edge_costs)
    if not len(merged.graph):
        findings.append(Finding(", ".join(named) or "topology", 0, 0, "", EMPTY, "warning"))
    return replace(topology_of(merged, findings), stated=tuple(stated))


def load_stated(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Stated], Known]:
    """What these files say, and which CIs that makes; TopologyError as `load_topology` raises it."""
    with without_collecting():
        stated, merged, _ = _merged([os.fspath(path) for path in paths], None, EDGE_COSTS)
    return stated, merged.known


def read_stated(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Stated], list[Finding]]:
    """What these files say, whether or not it fits together, and what is odd about them.

    TopologyError for files that cannot be read and documents that are not valid.
    """
    with without_collecting():
        documents, findings = read_documents([os.fspath(path) for path in paths])
        faults: list[Fault] = []
        stated = [_validated(document, faults) for document in documents]
    findings += place(faults)
    if any(finding.level == "error" for finding in findings):
        raise TopologyError(findings)
    return stated, findings


def _merged(
    named: list[str], domain_attribute: DomainAttribute | None, edge_costs: Mapping[str, int]
) -> tuple[list[Stated], Merged, list[Finding]]:
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
    return stated, merged, findings


def topology_of(merged: Merged, findings: Iterable[Finding] = ()) -> Topology:
    """The estate that was merged, with its digest."""
    digest = merged.graph.digest = _digest(merged.graph, merged.aliases)
    return Topology(
        merged.graph,
        merged.aliases,
        merged.edge_types,
        merged.edge_origins,
        merged.ci_origins,
        tuple(findings),
        digest,
    )


@contextmanager
def without_collecting() -> Iterator[None]:
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
        saved = list(_saved_cis(document.value)), list(_saved_edges(document.value))
        return Stated(document, *saved, _name(document.value, "origin"))
    return Stated(document, valid.cis, valid.depends_on, valid.origin, valid.precedence)


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


def _name(raw: object, field: str) -> str:
    """The name in this field, or an empty one."""
    name = raw.get(field) if isinstance(raw, dict) else None
    return name if isinstance(name, str) else ""


def _list(value: object, field: str) -> list[object]:
    found = value.get(field) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _digest(graph: CIGraph, aliases: dict[str, str]) -> str:
    times = [(number, each.windows, str(each.zone)) for number, each in sorted(graph.service_times.items())]
    optional = [(number, sorted(providers)) for number, providers in sorted(graph.optional.items())]
    groups = [(number, sorted(map(msgspec.json.encode, each))) for number, each in enumerate(graph.groups) if each]
    edges = [graph.providers, graph.costs, optional, groups]
    content = msgspec.json.encode([graph.cis, edges, times, graph.domains, graph.backbone, sorted(aliases.items())])
    return hashlib.blake2b(content, digest_size=8).hexdigest()
