"""CSV: a table of CIs, or one of dependencies, told apart by their columns.

Column names are compared without case, blanks and hyphens; the tables below say which are known. Delimiter (comma,
semicolon, tab or bar), quotes and a byte order mark are found out.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from opsbridge.topology.importers.content import Content, Row, Table
from opsbridge.topology.importers.gathering import Gathering

CI_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "ci", "ci_id", "hostname", "host", "name"),
    "type": ("type", "ci_type", "class", "kind"),
    "name": ("name", "display_name", "label"),
    "owner": ("owner", "owned_by", "team"),
    "group": ("group", "support_group", "assignment_group"),
    "category": ("category",),
    "runbook": ("runbook", "runbook_url"),
    "links": ("links", "link", "dashboard"),
    "users": ("users",),
    "environment": ("environment", "env", "stage"),
    "site": ("site", "location", "datacenter"),
    "tier": ("tier", "criticality"),
    "service": ("service", "is_service"),
    "monitored": ("monitored",),
    "service_time": ("service_time",),
    "time_zone": ("time_zone", "timezone"),
    "aliases": ("aliases", "alias"),
    "depends_on": ("depends_on", "dependencies", "requires"),
    "needs": ("needs",),
}
"""Field of a CI to the columns it is taken from, the first that has something."""

MORE_ALIASES: Final = ("ip", "ip_address", "address", "fqdn", "dns_name")
"""Columns whose content is a further name."""

DEPENDENT_COLUMNS: Final = ("dependent", "from", "source", "consumer", "client")
PROVIDER_COLUMNS: Final = ("provider", "on", "to", "target", "depends_on", "server")
KIND_COLUMNS: Final = ("type", "relation", "relationship", "kind")

_LISTS: Final = frozenset({"aliases", "depends_on", "needs", "links", "service_time"})
_WHOLE: Final = frozenset({"users", "tier"})
_YES_NO: Final = frozenset({"service", "monitored"})
_BY_SEMICOLON: Final = frozenset({"links", "service_time"})
"""Their entries may have commas."""

_TRUTH: Final = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}


def recognises(content: Content) -> bool:
    """A first line with columns that are known."""
    table = Table(content.head, "")
    by_name = content.name.endswith((".csv", ".tsv"))  # else one word would be a table
    return (by_name or len(table.columns) > 1) and (
        _is_edges(table) or any(each in table.columns for each in CI_COLUMNS["id"])
    )


def fill(content: Content, into: Gathering) -> None:
    """The table that it is."""
    table = content.table
    if table.odd:
        into.warn(0, "", table.odd)
    if _is_edges(table):
        for row in table.rows():
            _edge(into, row)
        return
    ids = [column for column in CI_COLUMNS["id"] if column in table.columns]
    if not ids:
        into.warn(
            1,
            "",
            f"no column says which CI a line is about ({', '.join(CI_COLUMNS['id'])}), and none which two ends a "
            f"dependency has ({', '.join(DEPENDENT_COLUMNS)}; {', '.join(PROVIDER_COLUMNS)})",
            level="error",
        )
        return
    for row in table.rows():
        _ci(into, row, ids[0])


def _is_edges(table: Table) -> bool:
    columns = set(table.columns)
    ends = [column for column in DEPENDENT_COLUMNS if column in columns]
    return bool(ends) and any(column in columns for column in PROVIDER_COLUMNS)


def _edge(into: Gathering, row: Row) -> None:
    dependent, provider = row.get(*DEPENDENT_COLUMNS), row.get(*PROVIDER_COLUMNS)
    if not dependent or not provider:
        into.warn(row.line, "", "a dependency must name both ends; left out", alike="no ends")
        return
    if into.options.direction == "target-depends-on-source":
        dependent, provider = provider, dependent
    undirected = _TRUTH.get(row.get("undirected").lower(), False)
    if into.mention(row.line, dependent) and into.mention(row.line, provider):
        into.depends(row.line, dependent, provider, row.get(*KIND_COLUMNS), undirected=undirected)


def _ci(into: Gathering, row: Row, id_column: str) -> None:
    if row.odd:
        into.warn(row.line, "", row.odd, alike="odd rows")
    said: dict[str, object] = {"id": row.get(id_column)}
    if not said["id"]:
        into.warn(row.line, "", f"nothing in the column {id_column}; left out", alike="no id")
        return
    for field, columns in CI_COLUMNS.items():
        if field != "id" and (cell := row.get(*columns)) and (field, cell) != ("name", said["id"]):
            said[field] = typed(field, cell)
    more = [row.cells[column] for column in MORE_ALIASES if row.get(column) not in ("", said["id"])]
    there = said.get("aliases")
    if more:
        said["aliases"] = list(dict.fromkeys([*(there if isinstance(there, list) else []), *more]))
    into.ci(row.line, said)


def typed(field: str, cell: str) -> object:
    """A cell as the field of a CI wants it; what it cannot be is left as text, and told where it is validated.

    Lists have `;`, `|`, `,` or lines between their entries (links and service times only `;` and lines), or are JSON.
    """
    if field in _LISTS:
        if cell.startswith("["):
            try:
                return json.loads(cell)
            except (ValueError, RecursionError):
                return cell
        between = r"[;\n]" if field in _BY_SEMICOLON else r"[;|,\n]"
        return [part.strip() for part in re.split(between, cell) if part.strip()]
    if field in _WHOLE and re.fullmatch(r"[+-]?\d{1,18}", cell):
        return int(cell)
    if field in _YES_NO:
        return _TRUTH.get(cell.lower(), cell)
    return cell
