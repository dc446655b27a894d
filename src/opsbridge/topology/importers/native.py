"""The native format, entry by entry: what `topology check` refuses as a whole is taken here without what is wrong.

Documents keep their origin and precedence unless the user says another; fields keep what they say, empty or not.
"""

from typing import Final

from pydantic import TypeAdapter, ValidationError

from opsbridge.documents import from_validation
from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering
from opsbridge.topology.importers.values import items, mapping
from opsbridge.topology.model import FORMS, PATTERNS, Link, Pair, TopologyDocument, known_fields

_PAIR: Final = TypeAdapter(Pair)


def recognises(content: Content) -> bool:
    """Whether any document has what a topology has; an empty file is one too."""
    return all(document is None for document in content.documents) or any(
        isinstance(document, dict) and document.keys() & {"cis", "depends_on"} for document in content.documents
    )


def fill(content: Content, into: Gathering) -> None:
    """Each document is a part of its own."""
    for number, document in enumerate(content.documents):
        if document is None:
            continue
        if not isinstance(document, dict):
            into.warn((number,), "", "must be a mapping with cis and depends_on; left out")
            continue
        for field in document.keys() - TopologyDocument.model_fields.keys():
            into.warn((number, field), field, "unknown field; left out")
        for field in ("cis", "depends_on"):
            if not isinstance(document.get(field, []), list):
                into.warn((number, field), field, "must be a list; left out")
        for index, said in enumerate(items(document.get("cis"))):
            place = (number, "cis", index)
            if isinstance(said, dict):
                into.native(place, said)
            else:
                into.warn(place, f"cis[{index}]", "must be a mapping; left out", alike="no mapping")
        for index, said in enumerate(items(document.get("depends_on"))):
            _link(into, number, index, said)
        head = _head(into, number, mapping(document))
        precedence = head.precedence if into.options.precedence is None else into.options.precedence
        into.close(into.options.origin or head.origin, precedence)


def _link(into: Gathering, number: int, index: int, said: object) -> None:
    place = (number, "depends_on", index)
    try:
        if isinstance(said, dict):
            link = Link.model_validate(said)
        else:
            one, other = _PAIR.validate_python(said)
            link = Link.model_construct(_fields_set={"from_", "on"}, from_=one, on=other)
    except ValidationError as invalid:
        for loc, _, message in from_validation(invalid, known_fields, PATTERNS):
            where = tuple(step for step in loc if step not in FORMS)
            into.warn((*place, *where), f"depends_on[{index}]", f"{message}; left out", alike="wrong dependency")
        return
    into.depends(place, link.from_, link.on, link.type, undirected=link.undirected)


def _head(into: Gathering, number: int, document: dict[str, object] | object) -> TopologyDocument:
    head = {name: value for name, value in mapping(document).items() if name in ("origin", "precedence")}
    while True:
        try:
            return TopologyDocument.model_validate(head)
        except ValidationError as invalid:
            for loc, _, message in from_validation(invalid, known_fields, PATTERNS):
                into.warn((number, *loc), str(loc[0]), f"{message}; left out")
                head.pop(str(loc[0]), None)
