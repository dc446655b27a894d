"""Known errors from files: documented faults with a workaround, and whom they concern; all that is wrong at once.

A file has `version: 1` and `known_errors:`; what an entry matches is said in the words of respond rules. The worker and
the command line load these beside the rules, and hand them to `compile_rules`.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from opsbridge.core.records import KnownError
from opsbridge.documents import Document, Fault, Finding, Spot, dotted, read_documents
from opsbridge.documents.text import Loc
from opsbridge.rules.language.build import validated
from opsbridge.rules.language.known_error import KnownErrorDocument, KnownErrorEntry
from opsbridge.rules.language.scopes import OF_UNEXPLAINED
from opsbridge.rules.load import RuleError, can_be_read, placed
from opsbridge.rules.matching.conditions import Complain, Match, below


@dataclass(frozen=True, slots=True)
class Documented:
    """A known error ready to be compiled."""

    error: KnownError
    match: Match
    """Over the fields of situations."""
    until: int | None
    """Milliseconds since 1970: it counts for what began earlier."""
    text: str
    """The entry as canonical JSON."""


@dataclass(frozen=True, slots=True)
class KnownErrorFiles:
    """What was loaded, and what is odd about the files."""

    errors: tuple[Documented, ...]
    findings: tuple[Finding, ...]


def load_known_errors(paths: Iterable[str | os.PathLike[str]], *, required: bool = False) -> KnownErrorFiles:
    """The known errors in these files and directories; RuleError if any is wrong.

    A path that does not exist has none, unless it is `required`.
    """
    documents, findings = read_documents(path for path in paths if required or Path(path).exists())
    faults: list[Fault] = []
    entries: list[tuple[Spot, Mapping[str, object]]] = []
    for document in documents:
        if can_be_read(document, faults):
            validated(KnownErrorDocument, document.value, _complaining(Spot(document, ()), "", faults))
            entries += _entries(document)
    errors = read_entries(entries, "", faults)
    findings += placed(faults)
    if any(finding.level == "error" for finding in findings):
        raise RuleError(findings)
    return KnownErrorFiles(errors, tuple(findings))


def read_entries(
    entries: Iterable[tuple[Spot, Mapping[str, object]]], within: str, faults: list[Fault]
) -> tuple[Documented, ...]:
    """The known errors that stand at these spots; what is wrong goes to `faults`, named as being `within` something."""
    errors: list[Documented] = []
    first: dict[str, Spot] = {}
    for spot, said in entries:
        name = said.get("id")
        own = f"known error {name}" if isinstance(name, str) else f"known_errors[{spot.loc[-1]}]"
        subject = ": ".join(filter(None, (within, own)))
        found = _built(said, _complaining(spot, subject, faults))
        if found is None:
            continue
        at = Spot(spot.document, (*spot.loc, "id"))
        if (other := first.setdefault(found.error.id, at)) is not at:
            faults.append(Fault(at, f"{subject}: id", "is taken by another known error, at", related=other))
        errors.append(found)
    return tuple(errors)


def _entries(document: Document) -> Iterable[tuple[Spot, Mapping[str, object]]]:
    listed = document.value.get("known_errors") if isinstance(document.value, dict) else None
    for index, said in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(said, dict):
            yield Spot(document, ("known_errors", index)), said


def _built(said: Mapping[str, object], complain: Complain) -> Documented | None:
    """The entry; None if there were complaints."""
    wrong: list[str] = []

    def counted(loc: Loc, message: str, *, key: bool = False) -> None:
        wrong.append(message)
        complain(loc, message, key=key)

    match = said.get("match")
    asked = OF_UNEXPLAINED.read(match, below(("match",), counted)) if isinstance(match, dict) else None
    valid = validated(KnownErrorEntry, said, counted)
    if valid is None or asked is None or wrong:
        return None
    error = KnownError(valid.id, valid.title, valid.workaround, valid.permanent_fix, valid.problem)
    text = json.dumps(valid.model_dump(), sort_keys=True, separators=(",", ":"))
    return Documented(error, asked.match, valid.until, text)


def _complaining(spot: Spot, subject: str, faults: list[Fault]) -> Complain:
    def complain(loc: Loc, message: str, *, key: bool = False) -> None:
        named = ": ".join(filter(None, (subject, dotted(loc))))
        faults.append(Fault(Spot(spot.document, (*spot.loc, *loc), key), named, message))

    return complain
