"""A topology for other programs: native YAML, node-link JSON, GraphML and a table, from what native files say.

Native keeps the documents of each origin; the others get one graph of all. What is written here comes back equal
through `importers`, except that a table has no place for peers.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from pydantic import BaseModel

from opsbridge.topology.identity import Known
from opsbridge.topology.importers.gathering import Part
from opsbridge.topology.importers.uniting import unite
from opsbridge.topology.links import Stated
from opsbridge.topology.model import CIEntry, Dependency, Link, Member, TopologyDocument
from opsbridge.topology.writing import to_yaml

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIVIDES: Final = re.compile(r"[;|,\n\[]")


def one_document(stated: Sequence[Stated], known: Known) -> TopologyDocument:
    """Everything that the documents say as one: each CI with what counts of it, ids for names, in the order of ids."""
    entries = []
    names: dict[str, list[str]] = {}
    for alias, ci in known.aliases.items():
        names.setdefault(ci, []).append(alias)
    for ci, definitions in known.definitions.items():
        entry = known.entry(ci).model_copy()
        entry.aliases = names.get(ci, [])
        for field in ("depends_on", "needs"):
            said = [each for definition in definitions for each in getattr(definition.entry, field)]
            if said:
                setattr(entry, field, said)
        if not entry.aliases:
            entry.model_fields_set.discard("aliases")
        entries.append(entry)
    links = [link for part in stated for link in part.depends_on if link is not None]
    document = TopologyDocument.model_construct(_fields_set={"cis"}, cis=entries, depends_on=links)
    documents, _ = unite([Part("", document)])
    return documents[0]


def to_native(stated: Sequence[Stated], known: Known) -> str:  # noqa: ARG001  # as the others
    """YAML, one document for each origin."""
    parts = []
    for part in stated:
        document = TopologyDocument.model_construct(
            origin=part.origin,
            precedence=part.precedence,
            cis=[entry.model_copy() for entry in part.cis if entry is not None],
            depends_on=[link for link in part.depends_on if link is not None],
        )
        parts.append(Part(part.document.path, document))
    return to_yaml(unite(parts)[0])


def to_node_link(stated: Sequence[Stated], known: Known) -> str:
    """JSON with `nodes` and `edges`, as networkx reads it; members of groups are edges that say `redundant`."""
    document = one_document(stated, known)
    edges = list(_edges(document))
    pairs = {(edge["source"], edge["target"]) for edge in edges}
    graph = {
        "directed": True,
        "multigraph": len(pairs) < len(edges),
        "graph": {},
        "nodes": [{"id": entry.id, **_attributes(entry)} for entry in document.cis],
        "edges": edges,
    }
    return json.dumps(graph, ensure_ascii=False, indent=1) + "\n"


def to_graphml(stated: Sequence[Stated], known: Known) -> str:
    """GraphML; lists are JSON texts, characters that XML does not have are left out."""
    import networkx

    document = one_document(stated, known)
    graph: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
    for entry in document.cis:
        graph.add_node(_xml(entry.id), **{name: _scalar(value) for name, value in _attributes(entry).items()})
    for edge in _edges(document):
        rest = {name: _scalar(value) for name, value in edge.items() if name not in ("source", "target")}
        graph.add_edge(_xml(str(edge["source"])), _xml(str(edge["target"])), **rest)
    return "\n".join(networkx.generate_graphml(graph)) + "\n"


def to_csv(stated: Sequence[Stated], known: Known) -> str:
    """A table of CIs with their dependencies; lists have `;` between their entries, or are JSON."""
    document = one_document(stated, known)
    used = {name for entry in document.cis for name in entry.model_fields_set}
    columns = [name for name in CIEntry.model_fields if name in used or name == "id"]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for entry in document.cis:
        table.writerow([_cell(getattr(entry, name)) if name in entry.model_fields_set else "" for name in columns])
    return text.getvalue()


EXPORTS: Final[Mapping[str, Callable[[Sequence[Stated], Known], str]]] = {
    "native": to_native,
    "node-link": to_node_link,
    "graphml": to_graphml,
    "csv": to_csv,
}
"""Formats that are written, by name."""


def peers(stated: Sequence[Stated]) -> int:
    """How many dependencies have no direction: a table leaves them out."""
    return sum(isinstance(link, Link) and link.undirected for part in stated for link in part.depends_on)


def _attributes(entry: CIEntry) -> dict[str, object]:
    """What a CI says, without id and dependencies, in plain values."""
    said = sorted(entry.model_fields_set - {"id", "depends_on"}, key=list(CIEntry.model_fields).index)
    return {name: value for name in said if (value := _plain(getattr(entry, name))) is not None}


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, by_alias=True)
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _edges(document: TopologyDocument) -> Iterator[dict[str, object]]:
    for entry in document.cis:
        for said in entry.depends_on:
            on, kind = (said.on, said.type) if isinstance(said, Dependency) else (said, "")
            yield _edge(entry.id, on, kind)
        for need in entry.needs:
            for member in need.of:
                yield _edge(entry.id, member.ci if isinstance(member, Member) else member, need.type, "redundant")
    for link in document.depends_on:
        if isinstance(link, Link):
            yield _edge(link.from_, link.on, link.type, "undirected" if link.undirected else "")


def _edge(source: str, target: str, kind: str, mark: str = "") -> dict[str, object]:
    return {"source": source, "target": target} | ({"type": kind} if kind else {}) | ({mark: True} if mark else {})


def _xml(text: str) -> str:
    return _NOT_IN_XML.sub("", text)


def _scalar(value: object) -> object:
    """A value as an attribute in XML: lists are JSON."""
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False)
    return _xml(value) if isinstance(value, str) else value


def _cell(value: object) -> str:
    if isinstance(value, list):
        plain = [_plain(each) for each in value]
        if all(isinstance(each, str) and not _DIVIDES.search(each) for each in plain):
            return ";".join(map(str, plain))
        return json.dumps(plain, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
