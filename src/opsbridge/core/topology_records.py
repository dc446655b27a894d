"""What the `context` topic says of CIs and of what they depend on, while events flow: one record each, by key.

Records are read here as far as their form goes; whether a value can be used (a window of service time, a group that can
be met) and how records and files come together is the topology's business (topology/live.py). A record without value
withdraws what its key names.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

import msgspec

CI_KEY: Final = "ci:"
EDGE_KEY: Final = "edge:"
"""How the keys of these records begin."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
"""An id or alias."""

Origin = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9._-]{0,62})?\Z")]
"""Who says so; empty: whoever writes topology files by hand."""

Text = Annotated[str, msgspec.Meta(max_length=4096)]
Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider, and what kind of dependency it is."""

    on: Name
    type: Text = ""


class GroupMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider of a group."""

    ci: Name
    weight: int = 1


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Providers of which some can be spared."""

    of: tuple[Name | GroupMember, ...]
    name: Text = ""
    at_least: int = 1
    type: Text = ""


class CIRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="ci"):
    """A CI as a topology file would state it (docs/topology.md), and who says so."""

    id: Name
    type: Text = ""
    name: Text = ""
    owner: Text = ""
    group: Text = ""
    category: Text = ""
    runbook: Text = ""
    links: tuple[Text, ...] = ()
    users: Annotated[int, msgspec.Meta(ge=0)] = 0
    environment: Text = ""
    site: Text = ""
    tier: int | None = None
    service: bool | None = None
    monitored: bool = True
    service_time: tuple[Text, ...] = ()
    time_zone: Text = "UTC"
    aliases: tuple[Name, ...] = ()
    depends_on: tuple[Name | Provider, ...] = ()
    needs: tuple[Group, ...] = ()
    origin: Origin = ""
    precedence: int = 0
    """Of several origins that state a field, the one with the highest holds."""

    @property
    def key(self) -> str:
        """The key that its record must have."""
        return f"{CI_KEY}{_whose(self.origin)}{self.id}"


class EdgeRecord(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="edge",
    rename={"from_": "from"},
):
    """A dependency that stands by itself: one CI needs another, or both are peers."""

    from_: Name
    """The dependent."""
    on: Name
    """The provider."""
    type: Text = ""
    undirected: bool = False
    origin: Origin = ""
    observed: bool = False
    """Nobody has stated it: traffic has been seen. It ages out."""
    seen: Aware | None = None
    """When it was observed last."""
    expires: Aware | None = None
    """From when on it does not count any more, whatever is usual."""

    def __post_init__(self) -> None:
        """Raises ValueError for what no edge can say."""
        if self.observed and self.seen is None and self.expires is None:
            raise ValueError("an observed edge needs `seen` or `expires`, or it would never age out")
        if self.from_ == self.on:
            raise ValueError(f"{self.on!r} cannot depend on itself")

    @property
    def key(self) -> str:
        """The key that its record must have."""
        return f"{EDGE_KEY}{_whose(self.origin)}{self.from_}>{self.on}"


TopologyRecord = CIRecord | EdgeRecord


def _whose(origin: str) -> str:
    return f"{origin}:" if origin else ""


def is_topology(key: str) -> bool:
    """Whether records with this key are about the topology."""
    return key.startswith((CI_KEY, EDGE_KEY))


def stated(record: CIRecord) -> Mapping[str, object]:
    """What the record says of the CI, as a topology file would; what it leaves out is left out."""
    said: dict[str, object] = msgspec.to_builtins(record)
    defaults = msgspec.to_builtins(CIRecord(id=record.id))
    return {
        field: value
        for field, value in said.items()
        if field not in ("kind", "origin", "precedence") and (field == "id" or value != defaults[field])
    }
