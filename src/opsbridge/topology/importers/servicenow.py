"""ServiceNow: exports of `cmdb_rel_ci` and of `cmdb_ci` tables, as CSV or JSON.

A relationship reads `parent type child`, and its type's two halves say how each end sees the other; the table below
says which end needs which. CIs go by their names where those are unique in the file, and by their sys_id where not;
the other one is an alias, so exports by display value and by sys_id fit together.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from opsbridge.topology.importers.content import Content, Table, column_name
from opsbridge.topology.importers.gathering import Gathering, Place
from opsbridge.topology.importers.values import at, items, mapping, text, unique

Needs = Literal["parent needs child", "child needs parent", "parent needs one of its children", "peers", "nothing"]


class Meaning(NamedTuple):
    """Which end of a relationship cannot do without which, and the type of that dependency."""

    needs: Needs
    kind: str = ""


RELATIONSHIPS: Final[Mapping[str, Meaning]] = {
    "Depends on::Used by": Meaning("parent needs child"),
    "Uses::Used by": Meaning("parent needs child"),
    "Used by::Uses": Meaning("child needs parent"),
    "Used by::Depends on": Meaning("child needs parent"),
    "Runs on::Runs": Meaning("parent needs child", "runs_on"),
    "Runs::Runs on": Meaning("child needs parent", "runs_on"),
    "Hosted on::Hosts": Meaning("parent needs child", "hosted_on"),
    "Hosts::Hosted on": Meaning("child needs parent", "hosted_on"),
    "Instantiates::Instantiated by": Meaning("child needs parent", "runs_on"),
    "Virtualized by::Virtualizes": Meaning("parent needs child", "runs_on"),
    "Virtualizes::Virtualized by": Meaning("child needs parent", "runs_on"),
    "Contains::Contained by": Meaning("child needs parent", "member_of"),
    "Contained by::Contains": Meaning("parent needs child", "member_of"),
    "Located in::Houses": Meaning("parent needs child", "hosted_on"),
    "Houses::Located in": Meaning("child needs parent", "hosted_on"),
    "Members::Member of": Meaning("parent needs one of its children", "runs_on"),
    "Cluster of::Cluster": Meaning("parent needs one of its children", "runs_on"),
    "Connects to::Connected by": Meaning("peers", "connects_via"),
    "Connected by::Connects to": Meaning("peers", "connects_via"),
    "Exchanges data with::Exchanges data with": Meaning("peers", "calls"),
    "IP Connection::IP Connection": Meaning("peers", "connects_via"),
    "Sends data to::Receives data from": Meaning("child needs parent", "calls"),
    "Receives data from::Sends data to": Meaning("parent needs child", "calls"),
    "Powers::Powered by": Meaning("child needs parent", "powered_by"),
    "Powered by::Powers": Meaning("parent needs child", "powered_by"),
    "Cools::Cooled by": Meaning("child needs parent", "powered_by"),
    "Cooled by::Cools": Meaning("parent needs child", "powered_by"),
    "Provides::Provided by": Meaning("child needs parent"),
    "Provided by::Provides": Meaning("parent needs child"),
    "Provides storage for::Stored on": Meaning("child needs parent", "hosted_on"),
    "Storage for::Stored on": Meaning("child needs parent", "hosted_on"),
    "Registered on::Has registered": Meaning("parent needs child"),
    "Impacts::Impacted by": Meaning("child needs parent"),
    "Impacted by::Impacts": Meaning("parent needs child"),
    "Owns::Owned by": Meaning("nothing"),
    "Owned by::Owns": Meaning("nothing"),
    "Manages::Managed by": Meaning("nothing"),
    "Managed by::Manages": Meaning("nothing"),
    "Backup done by::Backs up": Meaning("nothing"),
    "DR provided by::Provides DR for": Meaning("nothing"),
    "Failover done by::Failover for": Meaning("nothing"),
    "Subscribes to::Subscribed by": Meaning("nothing"),
}
"""`parent descriptor::child descriptor` to what it says about failures; compared without case and blanks around."""

_MEANINGS: Final = {name.lower(): meaning for name, meaning in RELATIONSHIPS.items()}

_SERVICES: Final = frozenset({"service_auto", "service_discovered", "service_technical", "service_business"})
_SERVICE_LABELS: Final = frozenset({"application_service", "mapped_application_service", "technical_service"})

GONE: Final = frozenset({"retired", "decommissioned", "absent", "6"})
"""Operational status, or install status in words, of CIs that are there no more."""
GONE_INSTALLED: Final = frozenset({"retired", "decommissioned", "absent", "stolen", "7", "100", "8"})

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "sys_id": ("sys_id", "sys id"),
    "name": ("name", "display_name", "display name"),
    "class": ("sys_class_name", "class"),
    "ip": ("ip_address", "ip address"),
    "fqdn": ("fqdn", "fully_qualified_domain_name"),
    "host": ("host_name", "dns_name", "dns_domain_name"),
    "group": ("support_group", "assignment_group", "managed_by_group"),
    "owner": ("owned_by", "managed_by"),
    "environment": ("environment", "used_for"),
    "site": ("location", "site"),
    "operational": ("operational_status",),
    "installed": ("install_status", "status"),
    "critical": ("busines_criticality", "business_criticality"),
}
"""What is asked of a record, to the columns of exports with names and with labels."""


def recognises(content: Content) -> bool:
    """Records or columns of one of the two tables."""
    if content.is_json:
        record = mapping(next(iter(_records(content)), (0, None))[1])
        return _is_relation(record) or ("sys_id" in record and ("sys_class_name" in record or "name" in record))
    table = Table(content.head, "")
    columns = dict.fromkeys(table.columns, "")
    if _is_relation(columns):
        return "::" in content.head or "sys_id" in columns
    return "sys_class_name" in columns or {"sys_id", "name"} <= columns.keys() or {"name", "class"} <= columns.keys()


def fill(content: Content, into: Gathering) -> None:
    """Relationships become dependencies, other records CIs."""
    records: list[tuple[Place, Mapping[str, object]]] = []
    try:
        records.extend(_rows(content, into))
    finally:  # a table that cannot be read on counts up to there
        if any(_is_relation(record) for _, record in records):
            _relations(into, records)
        else:
            _cis(into, records)


def _records(content: Content) -> Iterator[tuple[Place, object]]:
    """The records of a JSON export, wherever they are."""
    head = content.documents[0] if content.documents else None
    for key in ("result", "records"):
        if isinstance(found := at(head, key), list):
            yield from (((0, key, index), each) for index, each in enumerate(found))
            return
    yield from (((0, index), each) for index, each in enumerate(items(head)))


def _rows(content: Content, into: Gathering) -> Iterator[tuple[Place, Mapping[str, object]]]:
    if not content.is_json:
        if content.table.odd:
            into.warn(0, "", content.table.odd)
        for row in content.table.rows():
            if row.odd:
                into.warn(row.line, "", row.odd, alike="odd rows")
            yield row.line, row.cells
        return
    for place, record in _records(content):
        if isinstance(record, dict):
            yield place, {column_name(str(name)): value for name, value in record.items()}
        else:
            into.warn(place, "", "a record must be a mapping; left out", alike="no mapping")


def _is_relation(record: Mapping[str, object]) -> bool:
    return {"parent", "child"} <= {name.partition(".")[0] for name in record} and any(
        name.partition(".")[0] == "type" for name in record
    )


def _shown(value: object) -> str:
    """What a person would see in a field; the table API has it in an object if asked to."""
    return text(value) or text(at(value, "display_value")) or text(at(value, "value"))


def _get(record: Mapping[str, object], field: str) -> str:
    return next((found for column in _COLUMNS[field] if (found := _shown(record.get(column)))), "")


def _relations(into: Gathering, records: list[tuple[Place, Mapping[str, object]]]) -> None:
    unknown: Counter[str] = Counter()
    begins: dict[str, Place] = {}
    sys_ids: dict[str, str] = {}  # name to the sys_id that has it
    members: dict[str, tuple[Place, str, list[str]]] = {}
    for place, record in records:
        kind = _shown(record.get("type")) or _shown(record.get("type.name"))
        meaning = _MEANINGS.get(re.sub(r"\s*::\s*", "::", kind.lower()))
        if meaning is None:
            unknown[kind] += 1
            begins.setdefault(kind, place)
            continue
        if meaning.needs == "nothing":
            continue
        parent, child = (_end(into, place, record, side, sys_ids) for side in ("parent", "child"))
        if not parent or not child:
            into.warn(place, "", "a relationship must have a parent and a child; left out", alike="no ends")
        elif meaning.needs == "parent needs one of its children":
            members.setdefault(parent, (place, meaning.kind, []))[2].append(child)
        elif meaning.needs == "child needs parent":
            into.depends(place, child, parent, meaning.kind)
        else:
            into.depends(place, parent, child, meaning.kind, undirected=meaning.needs == "peers")
    for parent, (place, kind, children) in members.items():
        into.needs(place, parent, children, 1, kind, "members")
    for kind, count in sorted(unknown.items()):
        shown = f"relationships of the unknown type {kind!r}" if kind else "relationships without a type"
        into.warn(begins[kind], "type", f"{count} {shown}; left out")


def _end(into: Gathering, place: Place, record: Mapping[str, object], side: str, sys_ids: dict[str, str]) -> str:
    """The name that a relationship's end has in the graph: the sys_id if it is said, else the name."""
    said = record.get(side)
    sys_id = text(at(said, "value")) or text(record.get(f"{side}.sys_id"))
    name = text(said) or text(at(said, "display_value")) or _shown(record.get(f"{side}.name"))
    if not name:
        return sys_id if sys_id and into.mention(place, sys_id) else ""
    if not sys_id or sys_id == name:
        return name if into.mention(place, name) else ""
    if sys_ids.setdefault(name, sys_id) == sys_id:
        return sys_id if into.mention(place, name, sys_id) else ""
    return sys_id if into.mention(place, sys_id, name) else ""


def _cis(into: Gathering, records: list[tuple[Place, Mapping[str, object]]]) -> None:
    names = Counter(_get(record, "name") for _, record in records)
    gone = 0
    for place, record in records:
        if _get(record, "operational").lower() in GONE or _get(record, "installed").lower() in GONE_INSTALLED:
            gone += 1
            into.gone |= {name for field in ("name", "sys_id") if (name := _get(record, field))}
            continue
        name, sys_id = _get(record, "name"), _get(record, "sys_id")
        ci = name if names[name] == 1 else sys_id or name
        if not ci:
            into.warn(place, "", "a CI without name and sys_id; left out", alike="no name")
            continue
        kind = _kind(_get(record, "class"))
        fqdn, host = _get(record, "fqdn"), _get(record, "host")
        aliases = [name, name.lower(), sys_id, fqdn, fqdn.lower(), host, host.lower(), _get(record, "ip")]
        into.ci(
            place,
            {
                "id": ci,
                "type": kind,
                "name": name if name != ci else "",
                "owner": _get(record, "owner"),
                "group": _get(record, "group"),
                "environment": _get(record, "environment").lower(),
                "site": _get(record, "site"),
                "tier": _tier(_get(record, "critical")),
                "service": True if kind in _SERVICES | _SERVICE_LABELS else None,
                "aliases": [alias for alias in unique(aliases) if alias != ci],
            },
        )
    if gone:
        into.warn(0, "", f"{gone} {'CI is' if gone == 1 else 'CIs are'} retired and left out", level="info")


def _kind(said: str) -> str:
    """The class as a type: `cmdb_ci_linux_server` and `Linux Server` are `linux_server`."""
    return column_name(said).removeprefix("cmdb_ci_")


def _tier(said: str) -> int | None:
    """The number that a criticality begins with: `1 - most critical`."""
    return int(said[0]) if said[:1] in ("1", "2", "3", "4") else None
