"""A list of known outages, held against what was told: which nobody was told of, which incidents nobody else knows.

The list is a file: CSV with the columns ci, begins and ends, or YAML or JSON with a list of such objects, alone or
under `outages`. An incident tells of an outage if both overlap in time and it names the CI: as its root, as one of its
alerts, as affected, or, where the topology is given, something that the CI depends on.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from opsbridge.core.graph import CIGraph
from opsbridge.errors import OpsBridgeError
from opsbridge.review.model import Outage, OutageFigures

SHOWN: Final = 50


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
    """What the file says; raises `OutageListError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OutageListError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    rows = _csv(path, text) if path.suffix.lower() == ".csv" else _objects(path, text)
    return [_known(place, row) for place, row in rows]


def _csv(path: Path, text: str) -> Iterable[tuple[str, Mapping[str, object]]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    missing = {"ci", "begins", "ends"} - {(name or "").strip() for name in reader.fieldnames or ()}
    if missing:
        raise OutageListError(f"{path}:1: no column {', '.join(sorted(missing))}; needed are ci, begins and ends")
    for row in reader:
        yield f"{path}:{reader.line_num}", {(name or "").strip(): value for name, value in row.items()}


def _objects(path: Path, text: str) -> Iterable[tuple[str, Mapping[str, object]]]:
    try:
        found: object = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        raise OutageListError(f"{path}: neither YAML nor JSON: {error}") from None
    if isinstance(found, dict):
        found = found.get("outages")
    if not isinstance(found, list):
        raise OutageListError(f"{path}: expected a list of objects with ci, begins and ends, alone or under `outages`")
    for number, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise OutageListError(f"{path}: outage {number}: expected an object with ci, begins and ends")
        yield f"{path}: outage {number}", row


def _known(place: str, row: Mapping[str, object]) -> Known:
    ci = row.get("ci")
    if not isinstance(ci, str) or not ci.strip():
        raise OutageListError(f"{place}: ci: expected the name of a CI")
    begins, ends = (_time(place, field, row.get(field)) for field in ("begins", "ends"))
    if ends < begins:
        raise OutageListError(f"{place}: it ends before it begins")
    return Known(ci.strip(), begins, ends)


def _time(place: str, field: str, value: object) -> int:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise OutageListError(f"{place}: {field}: expected a time like 2026-01-01T12:00:00Z, not {value!r}") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def held_against(
    known: Sequence[Known], spans: Sequence[Span], graph: CIGraph, told: Callable[[int], str]
) -> OutageFigures:
    """Which outages the incidents tell of, and which incidents tell of none of these; `told` words a time."""
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
            missed.append(Outage(ci=outage.ci, begins=told(outage.begins), ends=told(outage.ends), incidents=[]))
    false_alarms = [span.incident for span in spans if span.incident not in accounted]
    return OutageFigures(
        outages=len(known),
        without_events=len(missed),
        outages_seen=1 - len(missed) / len(known) if known else None,
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
