"""Findings for the tools that show them at the line they are about: GitHub's workflow commands, and SARIF 2.1.0.

Sources: "Workflow commands for GitHub Actions" (docs.github.com) for the escapes, and OASIS SARIF 2.1.0, sections 3.14
to 3.30, for the log. Called by `opsbridge rules check`.
"""

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

import msgspec

from opsbridge import __version__
from opsbridge.documents import Finding, Level

_COMMANDS: Final[dict[Level, str]] = {"error": "error", "warning": "warning", "info": "notice"}

_LEVELS: Final[dict[Level, tuple[str, str, str]]] = {
    "error": ("rule-file-error", "error", "The file cannot be used."),
    "warning": ("rule-file-warning", "warning", "The file can be used, but hardly means what it says."),
    "info": ("rule-file-note", "note", "Worth knowing about the file."),
}
"""Level -> id, level and description of SARIF's rules: findings have no finer classes."""

_IN_MESSAGES: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTIES: Final = _IN_MESSAGES | str.maketrans({":": "%3A", ",": "%2C"})


def workflow_commands(findings: Iterable[Finding]) -> Iterator[str]:
    """One line for each finding: `::error file=rules/a.yaml,line=3,col=5::rule x: match: ...`."""
    for finding in findings:
        place = {"file": finding.path, "line": finding.line, "col": finding.column}
        said = ",".join(f"{key}={str(value).translate(_IN_PROPERTIES)}" for key, value in place.items() if value)
        yield f"::{_COMMANDS[finding.level]} {said}::{_words(finding).translate(_IN_MESSAGES)}"


class _Text(msgspec.Struct, frozen=True):
    text: str


class _Region(msgspec.Struct, frozen=True, rename="camel"):
    start_line: int
    start_column: int


class _Artifact(msgspec.Struct, frozen=True):
    uri: str


class _Physical(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    artifact_location: _Artifact
    region: _Region | None = None


class _Location(msgspec.Struct, frozen=True, rename="camel"):
    physical_location: _Physical


class _Result(msgspec.Struct, frozen=True, rename="camel"):
    rule_id: str
    rule_index: int
    level: str
    message: _Text
    locations: tuple[_Location, ...]


class _Rule(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    short_description: _Text


class _Driver(msgspec.Struct, frozen=True, rename="camel"):
    version: str
    rules: tuple[_Rule, ...]
    name: str = "OpsBridge"


class _Tool(msgspec.Struct, frozen=True):
    driver: _Driver


class _Run(msgspec.Struct, frozen=True, rename="camel"):
    tool: _Tool
    results: tuple[_Result, ...]
    column_kind: str = "unicodeCodePoints"


class Sarif(msgspec.Struct, frozen=True):
    """A log with one run."""

    runs: tuple[_Run, ...]
    schema: str = msgspec.field(
        name="$schema",
        default="https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
    )
    version: str = "2.1.0"


def sarif(findings: Iterable[Finding]) -> Sarif:
    """The findings as a SARIF log, to be written as JSON."""
    rules = tuple(_Rule(name, _Text(words)) for name, _, words in _LEVELS.values())
    return Sarif((_Run(_Tool(_Driver(__version__, rules)), tuple(map(_result, findings))),))


def _result(finding: Finding) -> _Result:
    name, level, _ = _LEVELS[finding.level]
    region = _Region(finding.line, finding.column) if finding.line else None
    location = _Location(_Physical(_Artifact(_uri(finding.path)), region))
    return _Result(name, list(_LEVELS).index(finding.level), level, _Text(_words(finding)), (location,))


def _words(finding: Finding) -> str:
    return ": ".join(filter(None, (finding.subject, finding.message)))


def _uri(path: str) -> str:
    """Relative paths stay relative: to the repository's root, where such tools run."""
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(pure.as_posix())
