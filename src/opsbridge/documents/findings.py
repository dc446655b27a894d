"""What can be said about a file: a fault names a spot inside a parsed document, a finding names file, line and column.

Positions are not kept while parsing, because almost every file is fine: faults are collected first and `read.place`
turns all of them into findings by scanning only the files concerned once more.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from opsbridge.documents.text import Loc
from opsbridge.errors import OpsBridgeError

Level = Literal["error", "warning", "info"]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What would break a line, or do something to a terminal."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One document of a file, parsed."""

    path: str
    number: int
    value: object


@dataclass(frozen=True, slots=True)
class Spot:
    """A value in a document, or with `key` the key that names it; of a spot that does not exist, the nearest around."""

    document: Document
    loc: Loc
    key: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to say about a spot, before its line is known; `related` is a second place named after the message."""

    spot: Spot
    subject: str
    message: str
    level: Level = "error"
    related: Spot | None = None


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One line for the operator; lines and columns count from 1, and 0 means that the finding is about the file."""

    path: str
    line: int
    column: int
    subject: str
    message: str
    level: Level = "error"

    def __str__(self) -> str:
        r"""`file:line:column: subject: message`, leaving out what does not apply; a line feed in a name is `\n`."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        told = ": ".join(part for part in (place, self.subject, self.message) if part)
        return told if told.isprintable() else _CONTROL.sub(lambda found: repr(found[0])[1:-1], told)


class DocumentError(OpsBridgeError):
    """Files that cannot be used, with every finding that says so, one to a line of the message."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings if finding.level == "error"))
