"""Node-link JSON, as networkx and d3 write it: `nodes`, and `edges` or `links`, whichever name they have.

An edge goes from the dependent to its provider unless `--direction` says otherwise; in a graph that says
`"directed": false`, and gets no direction, the ends are peers.
"""

from collections.abc import Mapping
from typing import Final

from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering, Place
from opsbridge.topology.importers.values import first, items, mapping, text
from opsbridge.topology.model import CIEntry

_EDGES: Final = ("edges", "links")
_ATTRIBUTES: Final = ("attributes", "data", "metadata")
"""Where some programs put what they know of a node."""


def recognises(content: Content) -> bool:
    """A mapping with a list of nodes."""
    head = content.documents[0] if content.documents else None
    return isinstance(head, dict) and isinstance(head.get("nodes"), list) and any(key in head for key in _EDGES)


def fill(content: Content, into: Gathering) -> None:
    """Nodes are CIs, edges dependencies."""
    graph = mapping(content.documents[0] if content.documents else None)
    peers = graph.get("directed") is False and into.options.direction is None
    for index, node in enumerate(items(graph.get("nodes"))):
        place: Place = (0, "nodes", index)
        said = mapping(node)
        if not said:
            into.warn(place, f"nodes[{index}]", "must be a mapping; left out", alike="no mapping")
            continue
        inner = {name: value for key in _ATTRIBUTES for name, value in mapping(said.get(key)).items()}
        into.ci(place, attributes({**inner, **said}))
    field = next((key for key in _EDGES if key in graph), _EDGES[0])
    for index, edge in enumerate(items(graph.get(field))):
        place = (0, field, index)
        said = mapping(edge)
        ends = text(said.get("source")), text(said.get("target"))
        if said.get("redundant") is True:
            continue  # a member of a group, which the node's `needs` says better
        if not all(ends):
            into.warn(place, f"{field}[{index}]", "must have a source and a target; left out", alike="no ends")
            continue
        dependent, provider = ends if into.options.direction != "target-depends-on-source" else ends[::-1]
        kind = first(said.get("type"), said.get("relation"), said.get("label"))
        into.depends(place, dependent, provider, kind, undirected=peers or said.get("undirected") is True)


def attributes(said: Mapping[str, object]) -> dict[str, object]:
    """Of what a node says, what a CI has; ids may be numbers, `kind` is a type and `label` a name."""
    found: dict[str, object] = {name: value for name, value in said.items() if name in CIEntry.model_fields}
    found["id"] = text(said.get("id")) or said.get("id")
    found["type"] = first(said.get("type"), said.get("kind"))
    found["name"] = first(said.get("name"), said.get("label"))
    if found["name"] == found["id"]:
        del found["name"]
    return found
