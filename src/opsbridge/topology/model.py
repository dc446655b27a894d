"""The native topology format as pydantic models: what a file may say, field by field.

What files say about each other (duplicates, aliases, ends of edges, quorums that can be met) is checked in `merge` and
`links`; only the loader calls this.
"""

from collections.abc import Collection
from typing import Annotated, Final

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, TypeAdapter

from opsbridge.documents.text import Loc
from opsbridge.documents.weekly import WINDOWS, WINDOWS_IN_WORDS

SERVICE_TYPES: Final = frozenset({"service", "business_service"})
"""Types that are services unless an entry says otherwise."""

_NAME: Final = r"^[^\s\p{Cc}]([^\p{Cc}]*[^\s\p{Cc}])?$"
Name = Annotated[str, StringConstraints(pattern=_NAME)]
"""An id or alias: text without control characters and without blanks at its ends."""

_ORIGIN: Final = r"^([a-z0-9][a-z0-9._-]{0,62})?$"

_STRICT: Final = ConfigDict(extra="forbid", strict=True)

_BRIEF, _FULL = "<brief>", "<full>"
FORMS: Final = frozenset({_BRIEF, _FULL})
"""Steps in the place of a pydantic error that are none in the file: in which of two forms something is said."""


def _form(value: object) -> str:
    return _FULL if isinstance(value, dict | BaseModel) else _BRIEF


_EITHER: Final = Discriminator(_form)
"""What is said briefly, or as a mapping that can say more: told apart before either is checked."""


class Dependency(BaseModel):
    """A provider, and what kind of dependency it is."""

    model_config = _STRICT

    on: Name
    type: str = ""


class Link(BaseModel):
    """A dependency that stands by itself."""

    model_config = _STRICT

    from_: Name = Field(alias="from")
    on: Name
    type: str = ""
    undirected: bool = False
    """Which end is the provider is not known."""


class Member(BaseModel):
    """One provider of a group."""

    model_config = _STRICT

    ci: Name
    weight: int = 1


class Need(BaseModel):
    """A group of providers that can spare some of them."""

    model_config = _STRICT

    name: str = ""
    of: list[Annotated[Annotated[Name, Tag(_BRIEF)] | Annotated[Member, Tag(_FULL)], _EITHER]]
    at_least: int = 1
    type: str = ""


class CIEntry(BaseModel):
    """One configuration item as a file states it.

    Lists have factories: a plain default would be copied deeply for every entry, a fifth of the time of loading.
    """

    model_config = _STRICT

    id: Name
    type: str = ""
    name: str = ""
    owner: str = ""
    group: str = ""
    """Empty: its owner."""
    category: str = ""
    runbook: str = ""
    links: list[str] = Field(default_factory=list)
    users: Annotated[int, Field(ge=0)] = 0
    environment: str = ""
    site: str = ""
    tier: int | None = None
    service: bool | None = None
    """None: decided by the type (SERVICE_TYPES)."""
    monitored: bool = True
    service_time: list[Annotated[str, StringConstraints(pattern=WINDOWS)]] = Field(default_factory=list)
    """Empty: always in service."""
    time_zone: str = "UTC"
    aliases: list[Name] = Field(default_factory=list)
    depends_on: list[Annotated[Annotated[Name, Tag(_BRIEF)] | Annotated[Dependency, Tag(_FULL)], _EITHER]] = Field(
        default_factory=list
    )
    needs: list[Need] = Field(default_factory=list)


Pair = Annotated[list[Name], Len(2, 2)]
"""(dependent, provider), each end an id or an alias."""


class TopologyDocument(BaseModel):
    """One document of a topology file."""

    model_config = _STRICT

    origin: Annotated[str, StringConstraints(pattern=_ORIGIN)] = ""
    """Who says so: the name of a tool or a person's list. Empty: written by hand."""
    precedence: int = 0
    """Of what several origins say about a CI, the higher precedence counts."""
    cis: list[CIEntry] = []
    depends_on: list[Annotated[Annotated[Pair, Tag(_BRIEF)] | Annotated[Link, Tag(_FULL)], _EITHER]] = []


PATTERNS: Final = {
    _NAME: "a name: not empty, no blanks around it, no control characters",
    _ORIGIN: "a name of a-z, 0-9, `.`, `_` and `-`, at most 63 characters",
    WINDOWS: WINDOWS_IN_WORDS,
}
"""What the patterns above ask for, in words."""

DOCUMENT: Final = TypeAdapter(TopologyDocument)


def known_fields(loc: Loc) -> Collection[str]:
    """What a mapping at this place of a document may say."""
    match loc:
        case ("cis", _):
            model: type[BaseModel] = CIEntry
        case ("cis", _, "depends_on", *_):
            model = Dependency
        case ("cis", _, "needs", _):
            model = Need
        case ("cis", _, "needs", _, *_):
            model = Member
        case ("depends_on", *_):
            model = Link
        case _:
            model = TopologyDocument
    return [field.alias or name for name, field in model.model_fields.items()]
