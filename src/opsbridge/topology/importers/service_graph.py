"""OpenTelemetry service graphs: the metrics that say which service called which, in the Prometheus text format.

A client depends on the server. Calls were seen and may never come again, so edges are worth what the time is worth
that they were counted over; what has not been called at all (a count of 0) is no edge.
"""

import re
from typing import Final

from opsbridge.documents.text import ParseError
from opsbridge.topology.importers.content import Content
from opsbridge.topology.importers.gathering import Gathering

METRIC: Final = "traces_service_graph_request_total"

VIRTUAL: Final = frozenset({"user", "unknown", ""})
"""Clients and servers that nothing runs as."""

KINDS: Final = {
    "": "calls",
    "virtual_node": "calls",
    "database": "calls",
    "messaging_system": "calls",
}
"""`connection_type` to the type of the dependency."""

PROVIDER_TYPES: Final = {"database": "database", "messaging_system": "messaging_system"}
"""`connection_type` to what the server is, where nothing else says it."""

_LINE: Final = re.compile(
    rf"{METRIC}\{{(?P<labels>(?:[^\"}}]|\"(?:[^\"\\]|\\.)*\")*)\}}\s+(?P<value>\S+)(?:\s+\S+)?\s*(?:#.*)?"
)
_LABEL: Final = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPED: Final = re.compile(r"\\(.)")


def recognises(content: Content) -> bool:
    """Any line of the metric."""
    return "traces_service_graph_" in content.head


def fill(content: Content, into: Gathering) -> None:
    """Every series of the metric that has counted something."""
    seen = False
    kinds: dict[tuple[str, str], tuple[int, str]] = {}
    for number, line in enumerate(content.text.split("\n"), 1):
        stripped = line.strip()
        if not stripped.startswith(METRIC):
            continue
        seen = True
        found = _LINE.fullmatch(stripped)
        labels = (
            {name: _ESCAPED.sub(_unescaped, value) for name, value in _LABEL.findall(found["labels"])} if found else {}
        )
        if found is None or "client" not in labels or "server" not in labels:
            into.warn(number, "", f"no series of {METRIC} with client and server; left out", alike="no series")
            continue
        client, server = labels["client"].strip(), labels["server"].strip()
        if client.lower() in VIRTUAL or server.lower() in VIRTUAL or client == server or not _counted(found["value"]):
            continue
        kinds.setdefault((client, server), (number, labels.get("connection_type", "").strip().lower()))
    if not seen:
        raise ParseError(1, 1, f"there is no {METRIC} here")
    types = {server: PROVIDER_TYPES[kind] for (_, server), (_, kind) in kinds.items() if kind in PROVIDER_TYPES}
    for (client, server), (number, kind) in kinds.items():
        ends = [into.mention(number, end, kind=types.get(end, "")) for end in (client, server)]
        if all(ends):
            into.depends(number, client, server, KINDS.get(kind, "calls"))


def _counted(value: str) -> bool:
    try:
        return float(value) > 0
    except ValueError:
        return False


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]
