"""GraphML, as networkx, yEd and network managers export it; attributes of nodes become those of CIs.

XML from elsewhere is not trusted: a file with a document type declaration is refused before it is parsed, since
entities can only be declared there (networkx parses with the standard library's expat, which expands them). A file
whose edges have no direction gives peers unless `--direction` says which end depends.
"""

import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from opsbridge.documents.text import ParseError
from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering
from opsbridge.topology.importers.node_link import attributes
from opsbridge.topology.importers.tables import typed
from opsbridge.topology.importers.values import first, text

_DOCTYPE: Final = re.compile(r"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


def recognises(content: Content) -> bool:
    """XML with a graphml element."""
    return "<graphml" in content.head[:4096] and content.head.lstrip().startswith("<")


def _names(content: Content, nodes: Iterable[tuple[object, Mapping[str, object]]]) -> dict[object, str]:
    """The id of every node's CI. yEd numbers nodes, people label them: a label of one node alone is its id."""
    known = list(nodes)
    if "yworks.com" not in content.head:
        return {node: text(node) for node, _ in known}
    labels = {node: " ".join(text(said.get("label")).split()) for node, said in known}
    counted = Counter(labels.values())
    return {node: label if label and counted[label] == 1 else text(node) for node, label in labels.items()}


def fill(content: Content, into: Gathering) -> None:
    """Nodes are CIs, edges go from the dependent to its provider unless told otherwise."""
    import networkx

    source = content.text
    if declared := _DOCTYPE.search(source):
        line = source.count("\n", 0, declared.start()) + 1
        raise ParseError(line, 1, f"{declared.group()} is not accepted in GraphML: entities could be declared there")
    source = re.sub(r"^\s*<\?xml.*?\?>", "", source, count=1, flags=re.DOTALL)  # it is text now, whatever it was
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys without a type, which are text
            graph = networkx.read_graphml(io.BytesIO(source.encode("utf-8")))
    except Exception as broken:  # noqa: BLE001  # networkx raises what its parts raise: of a stranger's file, anything
        line, column = getattr(broken, "position", (0, 0))
        raise ParseError(line, column + 1, f"broken GraphML: {str(broken) or type(broken).__name__}") from None
    names = _names(content, graph.nodes(data=True))
    peers = not graph.is_directed() and into.options.direction is None
    for node, said in graph.nodes(data=True):
        cells = {str(name).lower(): value for name, value in said.items()}
        found = {name: typed(name, value) if isinstance(value, str) else value for name, value in cells.items()}
        if isinstance(label := found.get("label"), str):
            found["label"] = " ".join(label.split())  # what is drawn may be broken into lines
        into.ci(0, attributes({**found, "id": names[node]}))
    for source_end, target_end, said in graph.edges(data=True):
        ends = names[source_end], names[target_end]
        if said.get("redundant") is True:
            continue  # a member of a group, which the node's `needs` says better
        dependent, provider = ends if into.options.direction != "target-depends-on-source" else ends[::-1]
        kind = first(said.get("type"), said.get("relation"), said.get("label"))
        into.depends(0, dependent, provider, kind, undirected=peers or said.get("undirected") is True)
    if peers and graph.number_of_edges():
        into.warn(
            0,
            "",
            "edges without a direction: the ends are taken as peers; say --direction source-depends-on-target or "
            "target-depends-on-source if one end needs the other",
        )
