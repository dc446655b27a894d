"""Mapping files for tests: one that is sound, and what of it a test says otherwise."""

import json
from collections.abc import Mapping
from pathlib import Path

from opsbridge.core.decisions import Rejected, Withheld
from opsbridge.core.intake import Report
from opsbridge.sources.catalogue import Sources, load_sources
from opsbridge.sources.language.reading import SourceError
from opsbridge.sources.samples import event_of
from opsbridge.sources.source import Headers

ARRIVED_MS = 1_772_352_000_000
"""2026-03-01T08:00:00Z."""

FIELDS: dict[str, object] = {
    "id": "id",
    "time": "arrival",
    "ci": "ci",
    "class": {"const": "C"},
    "state": {"const": "firing"},
    "severity": {"const": "major"},
    "source": {"const": "t"},
}


def written(folder: Path, name: str = "tool", fields: dict[str, object] | None = None, **more: object) -> Path:
    """A mapping file; a field of None is left out."""
    return _written(folder, name, fields, more)


def _written(folder: Path, name: str, fields: dict[str, object] | None, more: Mapping[str, object]) -> Path:
    said = {key: value for key, value in (FIELDS | (fields or {})).items() if value is not None}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"source": name, "title": "A tool", "fields": said, **more}), encoding="utf-8")
    return path


def sources_of(folder: Path, fields: dict[str, object] | None = None, **more: object) -> Sources:
    """All sources, with this one as `tool`."""
    return load_sources([_written(folder, "tool", fields, more)])


def told(
    folder: Path, given: object, fields: dict[str, object] | None = None, headers: Headers = (), **more: object
) -> list[dict[str, object] | str]:
    """What comes of a payload: events as they are, `withheld: REASON`, `rejected: DETAIL`."""
    content = given if isinstance(given, bytes) else json.dumps(given).encode()
    items = sources_of(folder, fields, **more).named("tool").items(content, headers, ARRIVED_MS)
    lines: list[dict[str, object] | str] = []
    for item in items:
        match item:
            case Report():
                lines.append(event_of(item))
            case Withheld():
                lines.append(f"withheld: {item.reason}")
            case Rejected():
                lines.append(f"rejected: {item.detail}")
    return lines


def complaints(folder: Path, fields: dict[str, object] | None = None, **more: object) -> list[str]:
    """What is said of a mapping file, without its path."""
    path = _written(folder, "tool", fields, more)
    try:
        load_sources([path])
    except SourceError as error:
        return [str(finding).removeprefix(f"{path}:").split(": ", 2)[-1] for finding in error.findings]
    return []
