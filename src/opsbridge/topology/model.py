"""The native topology format as pydantic models: what a file may say, field by field.

What files say about each other (duplicates, aliases, ends of edges) is checked in `merge`; only the loader calls this.
"""

from collections.abc import Collection
from typing import Annotated, Final

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter

from opsbridge.documents.text import Loc

SERVICE_TYPES: Final = frozenset({"service", "business_service"})
"""Types that are services unless an entry says otherwise."""

_NAME: Final = r"^[^\s\p{Cc}]([^\p{Cc}]*[^\s\p{Cc}])?$"
Name = Annotated[str, StringConstraints(pattern=_NAME)]
"""An id or alias: text without control characters and without blanks at its ends."""

Edge = Annotated[list[Name], Len(2, 2)]
"""(dependent, provider), each end an id or an alias."""

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


class CIEntry(BaseModel):
    """One configuration item as a file states it."""

    model_config = _STRICT

    id: Name
    type: str = ""
    name: str = ""
    owner: str = ""
    environment: str = ""
    site: str = ""
    tier: int | None = None
    service: bool | None = None
    """None: decided by the type (SERVICE_TYPES)."""
    monitored: bool = True
    aliases: list[Name] = []
    depends_on: list[Name] = []


class TopologyDocument(BaseModel):
    """One document of a topology file."""

    model_config = _STRICT

    cis: list[CIEntry] = []
    depends_on: list[Edge] = []


PATTERNS: Final = {_NAME: "a name: not empty, no blanks around it, no control characters"}
"""What the patterns above ask for, in words."""

DOCUMENT: Final = TypeAdapter(TopologyDocument)


def known_fields(loc: Loc) -> Collection[str]:
    """What a mapping at this place of a document may say."""
    return CIEntry.model_fields if loc[:1] == ("cis",) else TopologyDocument.model_fields
