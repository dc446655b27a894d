"""Native documents as text: one YAML file that diffs well and that `load_topology` reads back the same.

Written by hand instead of by a YAML library: an estate of 100 000 CIs takes a second instead of minutes. Only what is
said is written, in the order of the model's fields.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import BaseModel

from opsbridge.topology.model import CIEntry, TopologyDocument

_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@-]*(?: [A-Za-z0-9_./@-]+)*")
"""Text that means itself in YAML without quotes, unless it is a constant."""
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML does not take as it is, beside what JSON escapes as well."""
_CONSTANTS: Final = frozenset({"null", "true", "false", "y", "n", "yes", "no", "on", "off", "~", "nan", "inf"})


def to_yaml(documents: Sequence[TopologyDocument]) -> str:
    """The documents one after the other, divided by `---`."""
    return "---\n".join("".join(_document(document)) for document in documents) or "cis: []\n"


def _document(document: TopologyDocument) -> Iterator[str]:
    if document.origin:
        yield f"origin: {scalar(document.origin)}\n"
    if document.precedence:
        yield f"precedence: {document.precedence}\n"
    yield "cis:\n" if document.cis else "cis: []\n"
    for entry in document.cis:
        yield from _entry(entry)
    if document.depends_on:
        yield "depends_on:\n"
        for link in document.depends_on:
            yield f"  - {_inline(link)}\n"


def _entry(entry: CIEntry) -> Iterator[str]:
    yield f"  - id: {scalar(entry.id)}\n"
    for name in CIEntry.model_fields:
        if name == "id" or name not in entry.model_fields_set:
            continue
        value = getattr(entry, name)
        if isinstance(value, list) and value and (len(value) > 1 or not isinstance(value[0], str)):
            yield f"    {name}:\n"
            yield from (f"      - {_inline(each)}\n" for each in value)
        elif value is not None:
            yield f"    {name}: {_inline(value)}\n"


def _inline(value: object) -> str:
    """A value on one line."""
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, BaseModel):
        said = (
            (type(value).model_fields[name].alias or name, getattr(value, name))
            for name in type(value).model_fields
            if name in value.model_fields_set
        )
        return "{" + ", ".join(f"{name}: {_inline(each)}" for name, each in said) + "}"
    if isinstance(value, Iterable):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def scalar(text: str) -> str:
    """Text as YAML that reads back as the same text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _CONSTANTS:
        return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(text, ensure_ascii=False))
