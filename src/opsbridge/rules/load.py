"""Rules from files: everything that is wrong in any of them is reported at once with its place, or there are rules.

Rules keep the order of their files' paths, and of the rules in a file; that order decides which matches first.
Errors: RuleError (an operator's configuration). The command line and the worker call this before the first event.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from opsbridge.documents import (
    Document,
    DocumentError,
    Fault,
    Finding,
    Spot,
    dotted,
    place,
    read_documents,
)
from opsbridge.documents.text import Loc, ParseError
from opsbridge.rules.language.build import build_rule, validated
from opsbridge.rules.language.loops import with_depths
from opsbridge.rules.language.model import RuleDocument
from opsbridge.rules.matching.conditions import Complain
from opsbridge.rules.rule import Rule

_MOST: Final = 1_000_000
"""Values in a document, with its aliases written out."""
_DEEPEST: Final = 200
"""Mappings and lists in each other."""


class RuleError(DocumentError):
    """Rule files that cannot be used; `findings` has every reason."""


@dataclass(frozen=True, slots=True)
class RuleTests:
    """The tests that a rule carries, as its file says them; what they mean is for those to say who run them."""

    rule: str
    spot: Spot
    """Where the list stands: `Spot(spot.document, (*spot.loc, 0, "events"))` is in the first one."""
    said: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """What was loaded, and what is odd about it."""

    rules: tuple[Rule, ...]
    findings: tuple[Finding, ...]
    tests: tuple[RuleTests, ...] = ()
    """Of every rule that has any."""
    spots: Mapping[str, Spot] = field(default_factory=dict)
    """Where each rule stands, by its id."""


def load_rules(paths: Iterable[str | os.PathLike[str]]) -> RuleFiles:
    """The rules in these files and directories (every *.yaml, *.yml, *.json below); RuleError if any is wrong."""
    documents, findings = read_documents(paths)
    faults: list[Fault] = []
    documents = [document for document in documents if can_be_read(document, faults)]
    said = [each for document in documents for each in _said_rules(document)]
    lines = lines_of(spot for spot, _ in said)
    rules: dict[str, Rule] = {}
    spots: dict[str, Spot] = {}
    for document in documents:
        validated(RuleDocument, document.value, _complaining(document, (), "", faults))
    for spot, rule in said:
        complain = _complaining(spot.document, spot.loc, _subject(spot, rule), faults)
        built = build_rule(rule, _tables(spot.document), spot.document.path, lines.get(spot, 0), complain)
        if built is not None and built.id not in rules:
            rules[built.id], spots[built.id] = built, spot
    faults += _repeated_ids(said)

    def complain_of_circle(name: str, message: str) -> None:
        at = Spot(spots[name].document, (*spots[name].loc, "raise", "class"))
        faults.append(Fault(at, f"rule {name}: raise.class", message))

    deep = with_depths(rules.values(), complain_of_circle)
    findings += placed(faults)
    if any(finding.level == "error" for finding in findings):
        raise RuleError(findings)
    return RuleFiles(deep, tuple(findings), tuple(_tests(said)), spots)


_Said = tuple[Spot, dict[str, object]]
"""A rule as its document says it, and where."""


def _said_rules(document: Document) -> Iterator[_Said]:
    """The rules of a document; what is not a mapping is complained about elsewhere."""
    rules = document.value.get("rules") if isinstance(document.value, dict) else None
    for index, said in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(said, dict):
            yield Spot(document, ("rules", index)), said


def _tables(document: Document) -> dict[str, dict[str, str]]:
    """The document's tables by name; one that is wrong has been complained about, and is empty."""
    tables = document.value.get("tables") if isinstance(document.value, dict) else None
    return {
        name: {key: value for key, value in table.items() if isinstance(value, str)} if isinstance(table, dict) else {}
        for name, table in (tables.items() if isinstance(tables, dict) else ())
    }


def _tests(said: Iterable[_Said]) -> Iterator[RuleTests]:
    for spot, rule in said:
        name, tests = rule.get("id"), rule.get("tests")
        if isinstance(name, str) and isinstance(tests, list) and tests:
            held = tuple(test for test in tests if isinstance(test, dict))
            yield RuleTests(name, Spot(spot.document, (*spot.loc, "tests")), held)


def _repeated_ids(said: Iterable[_Said]) -> Iterator[Fault]:
    first: dict[str, Spot] = {}
    for spot, rule in said:
        name, at = rule.get("id"), Spot(spot.document, (*spot.loc, "id"))
        if isinstance(name, str) and first.setdefault(name, at) is not at:
            yield Fault(at, f"rule {name}: id", "is taken by another rule, at", related=first[name])


def _subject(spot: Spot, said: Mapping[str, object]) -> str:
    """A rule as messages name it: by id, or by its place if it has none."""
    name = said.get("id")
    return f"rule {name}" if isinstance(name, str) else dotted(spot.loc)


def _complaining(document: Document, where: Loc, subject: str, faults: list[Fault]) -> Complain:
    def complain(loc: Loc, message: str, *, key: bool = False) -> None:
        named = ": ".join(filter(None, (subject, dotted(loc))))
        faults.append(Fault(Spot(document, (*where, *loc), key), named, message))

    return complain


def can_be_read(document: Document, faults: list[Fault]) -> bool:
    """Whether the document is of a size to be worked on; aliases can make a short text very long, or very deep."""
    try:
        fits = _size(document.value, {}, 0) <= _MOST
    except RecursionError:
        faults.append(Fault(Spot(document, ()), "", "is nested too deeply"))
        return False
    if not fits:
        faults.append(Fault(Spot(document, ()), "", f"is more than {_MOST} values with its aliases written out"))
    return fits


def _size(value: object, known: dict[int, int], depth: int) -> int:
    """How many values there are in this one; each list and mapping is counted once, however often it is named."""
    if not isinstance(value, dict | list):
        return 1
    if depth > _DEEPEST:
        raise RecursionError
    if id(value) not in known:
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known, depth + 1) for part in parts)
    return known[id(value)]


def lines_of(spots: Iterable[Spot]) -> dict[Spot, int]:
    """The line of each spot, from 1; spots are missing if a file has changed since it was read."""
    numbered = {str(number): spot for number, spot in enumerate(spots)}
    findings = placed([Fault(spot, number, "") for number, spot in numbered.items()])
    return {numbered[finding.subject]: finding.line for finding in findings}


def placed(faults: Sequence[Fault]) -> list[Finding]:
    """The faults with their places; without, if a file has changed since it was read."""
    try:
        return place(faults)
    except (OSError, ParseError):
        return [Finding(fault.spot.document.path, 0, 0, fault.subject, fault.message, fault.level) for fault in faults]
