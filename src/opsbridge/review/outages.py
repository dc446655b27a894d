"""A list of known outages, held against what was told: which nobody was told of, which incidents nobody else knows.

The list is a file: CSV with the columns ci, begins and ends, or YAML or JSON with a list of such objects, alone or
under `outages`. An incident tells of an outage if both overlap in time and it names the CI: as its root, as one of its
alerts, as affected, or, where the topology is given, something that the CI depends on.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from opsbridge.core.graph import CIGraph
from opsbridge.core.times import rfc3339
from opsbridge.documents.findings import Fault, Spot
from opsbridge.documents.read import place, read_documents
from opsbridge.documents.text import Loc
from opsbridge.errors import OpsBridgeError
from opsbridge.review.model import Outage, OutageFigures

SHOWN: Final = 50
COLUMNS: Final = ("ci", "begins", "ends")


class OutageListError(OpsBridgeError):
    """The list of outages cannot be used; says where."""


class Known(NamedTuple):
    """An outage as the list has it; times in milliseconds since 1970."""

    ci: str
    begins: int
    ends: int


class Span(NamedTuple):
    """An incident as outages ask for it."""

    incident: str
    begins: int
    ends: int
    names: frozenset[str]
    """Its root, the CIs of its alerts, and those that it affects or affected."""
    root: str


def read_outages(path: Path) -> list[Known]:
    """What the file says; raises `OutageListError`, which names the line."""
    return _csv(path) if path.suffix.lower() == ".csv" else _objects(path)


def _csv(path: Path) -> list[Known]:
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), skipinitialspace=True)
    except (OSError, UnicodeDecodeError) as error:
        raise OutageListError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    missing = [name for name in COLUMNS if name not in {(each or "").strip() for each in reader.fieldnames or ()}]
    if missing:
        raise OutageListError(f"{path}:1: no column {', '.join(missing)}; needed are ci, begins and ends")
    found = []
    for row in reader:
        try:
            found.append(_known({(name or "").strip(): value for name, value in row.items()}))
        except _RowError as wrong:
            raise OutageListError(f"{path}:{reader.line_num}: {wrong}") from None
    return found


def _objects(path: Path) -> list[Known]:
    documents, findings = read_documents([path])
    if findings:
        raise OutageListError("\n".join(map(str, findings)))
    found = []
    for document in documents:
        under: Loc = ("outages",) if isinstance(document.value, dict) else ()
        rows = document.value.get("outages") if isinstance(document.value, dict) else document.value
        way = under
        try:
            if not isinstance(rows, list):
                raise _RowError("expected a list of objects with ci, begins and ends, alone or under `outages`")
            for number, row in enumerate(rows):
                way = (*under, number)
                if not isinstance(row, dict):
                    raise _RowError("expected an object with ci, begins and ends")
                found.append(_known(row))
        except _RowError as wrong:
            (finding,) = place([Fault(Spot(document, way), "", str(wrong))])
            raise OutageListError(str(finding)) from None
    return found


class _RowError(ValueError):
    """What is wrong with a row, before its place is known."""


def _known(row: Mapping[str, object]) -> Known:
    ci = row.get("ci")
    if not isinstance(ci, str) or not ci.strip():
        raise _RowError(f"ci: expected the name of a CI{_instead(row, 'ci')}")
    begins, ends = (_time(row, field) for field in ("begins", "ends"))
    if ends < begins:
        raise _RowError("it ends before it begins")
    return Known(ci.strip(), begins, ends)


def _time(row: Mapping[str, object], field: str) -> int:
    text = str(row.get(field) or "").strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        said = f", not {text!r}" if text else _instead(row, field)
        raise _RowError(f"{field}: expected a time like 2026-01-01T12:00:00Z{said}") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _instead(row: Mapping[str, object], field: str) -> str:
    """What the row has where the field is not there, which may be its name misspelt."""
    return "" if field in row else f"; it has {', '.join(row) or 'nothing'}"


def held_against(known: Sequence[Known], spans: Sequence[Span], graph: CIGraph) -> OutageFigures:
    """Which outages the incidents tell of, and which incidents tell of none of these."""
    missed: list[Outage] = []
    accounted: set[str] = set()
    for outage in known:
        number = graph.numbers.get(outage.ci)
        ci = outage.ci if number is None else graph.cis[number].id
        needs = _needs(graph, number)
        tell = [
            span.incident
            for span in spans
            if span.begins <= outage.ends and outage.begins <= span.ends and (ci in span.names or span.root in needs)
        ]
        accounted.update(tell)
        if not tell:
            missed.append(Outage(outage.ci, rfc3339(outage.begins), rfc3339(outage.ends)))
    false_alarms = [span.incident for span in spans if span.incident not in accounted]
    return OutageFigures(
        outages=len(known),
        without_events=len(missed),
        missed=missed,
        false_alarms=len(false_alarms),
        false_alarm_ids=false_alarms[:SHOWN],
    )


def _needs(graph: CIGraph, number: int | None) -> frozenset[str]:
    """Everything that the CI depends on, however far away."""
    if number is None:
        return frozenset()
    seen = {number}
    frontier = [number]
    while frontier:
        frontier = [one for each in frontier for one in graph.providers[each] if one not in seen]
        seen.update(frontier)
    return frozenset(graph.cis[one].id for one in seen)
