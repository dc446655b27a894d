"""The small estate that a test brings: a fragment of a topology file within another document, made into a graph.

What is wrong with it is told at its place in that document. Only `load` calls this.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from opsbridge.core.graph import CIGraph
from opsbridge.documents import Document, Fault, Spot, dotted, from_validation
from opsbridge.documents.text import Loc
from opsbridge.topology.links import Stated
from opsbridge.topology.merge import merge
from opsbridge.topology.model import DOCUMENT, FORMS, PATTERNS, known_fields


def estate(said: object, spot: Spot, costs: Mapping[str, int]) -> tuple[CIGraph, list[Fault]]:
    """The graph of the topology that stands at `spot`, and what is wrong or odd with it; `costs` by edge type."""
    inner = Document(spot.document.path, spot.document.number, said)

    def moved(found: Spot) -> Spot:
        return Spot(spot.document, (*spot.loc, *found.loc), found.key)

    try:
        valid = DOCUMENT.validate_python(said)
    except ValidationError as invalid:
        return CIGraph([], []), [
            Fault(moved(Spot(inner, where := _in_the_file(loc), key)), dotted(where), message)
            for loc, key, message in from_validation(invalid, known_fields, PATTERNS)
        ]
    merged = merge([Stated(inner, valid.cis, valid.depends_on)], complete=True, edge_costs=costs)
    return merged.graph, [
        Fault(
            moved(fault.spot),
            fault.subject,
            fault.message,
            fault.level,
            None if fault.related is None else moved(fault.related),
        )
        for fault in merged.faults
    ]


def _in_the_file(loc: Loc) -> Loc:
    return tuple(step for step in loc if step not in FORMS)
