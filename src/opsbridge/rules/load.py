"""Rules from files: everything that is wrong in any of them is reported at once with its place, or there are rules.

Rules keep the order of their files' paths, and of the rules in a file; that order decides which matches first.
Errors: RuleError (an operator's configuration). The command line and the worker call this before the first event.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from opsbridge.core.classes import Nature, Profile, Travel
from opsbridge.core.event import SEVERITY_NUMBER, SIGNIFICANCES, Verdict
from opsbridge.documents import (
    Document,
    DocumentError,
    Fault,
    Finding,
    Nearest,
    Spot,
    dotted,
    from_validation,
    place,
    read_documents,
    shown,
)
from opsbridge.documents.text import Loc
from opsbridge.rules.classes import any_of
from opsbridge.rules.conditions import Complain, Match, parse_match
from opsbridge.rules.correlation import ClassesMean, EdgesPass, Ground, join_by
from opsbridge.rules.model import (
    MODELS,
    PATTERNS,
    ClassifyRule,
    ClassRule,
    EdgeRule,
    FilterRule,
    JoinRule,
    RuleDocument,
    RuleModel,
    model_of,
    subjects,
)

_Model = TypeVar("_Model", bound=BaseModel)


class RuleError(DocumentError):
    """Rule files that cannot be used; `findings` has every reason."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to be compiled."""

    id: str
    kind: Literal["filter", "classify", "correlate"]
    match: Match
    verdict: Verdict | None
    """What it says of an event that matches; None: a filter that keeps, or a rule for correlation."""
    title: str = ""
    description: str = ""
    path: str = ""
    text: str = ""
    """The rule as canonical JSON, so that two loads can be compared."""
    ground: Ground | None = None
    """What a rule for correlation says."""


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """What was loaded, and what is odd about it."""

    rules: tuple[Rule, ...]
    findings: tuple[Finding, ...]


def load_rules(paths: Iterable[str | os.PathLike[str]]) -> RuleFiles:
    """The rules in these files and directories (every *.yaml, *.yml, *.json below); RuleError if any is wrong."""
    documents, findings = read_documents(paths)
    faults: list[Fault] = []
    rules = [rule for document in documents for rule in _rules(document, faults)]
    faults += _repeated_ids(documents)
    findings += place(faults)
    if any(finding.level == "error" for finding in findings):
        raise RuleError(findings)
    return RuleFiles(tuple(rules), tuple(findings))


def _rules(document: Document, faults: list[Fault]) -> Iterator[Rule]:
    """The document's rules, those that could be read; what is wrong goes to `faults`."""
    _validated(RuleDocument, document, (), document.value, faults)
    for index, said in _said_rules(document):
        rule = _rule(document, index, said, faults)
        if rule is not None:
            yield rule


def _rule(document: Document, index: int, said: dict[str, object], faults: list[Fault]) -> Rule | None:
    where: Loc = ("rules", index)
    kind = said.get("kind")
    if not isinstance(kind, str) or kind not in MODELS:
        known = f"; known are {', '.join(MODELS)}"
        hint = (Nearest(MODELS).hint(kind) if isinstance(kind, str) else "") or known
        message = f"unknown kind {shown(kind)}{hint}" if "kind" in said else f"is required{known}"
        faults.append(_fault(document, (*where, "kind"), message))
        return None

    model = model_of(kind, said)
    if model is None:
        message = f"says nothing to correlate by: {', '.join(subjects(kind)[:-1])} or {subjects(kind)[-1]}"
        faults.append(_fault(document, where, message))
        return None
    before = len(faults)
    conditions = said.get("match") if "match" in model.model_fields else None
    complain = _complaining(document, (*where, "match"), faults)
    match = parse_match(conditions, complain) if isinstance(conditions, dict) else {}
    valid = _validated(model, document, where, said, faults)
    return None if valid is None or len(faults) > before else _built(valid, match, document.path)


def _complaining(document: Document, where: Loc, faults: list[Fault]) -> Complain:
    def complain(loc: Loc, message: str, *, key: bool = False) -> None:
        faults.append(_fault(document, (*where, *loc), message, key=key))

    return complain


def _built(valid: RuleModel, match: Match, path: str) -> Rule:
    text = msgspec.json.encode(valid.model_dump(), order="sorted").decode()
    verdict: Verdict | None = None
    ground: Ground | None = None
    match valid:
        case FilterRule():
            verdict = Verdict(valid.id, drop=True) if valid.action == "drop" else None
        case ClassifyRule():
            severity = None if valid.severity is None else SEVERITY_NUMBER[valid.severity]
            significance = None if valid.significance is None else SIGNIFICANCES.index(valid.significance)
            verdict = Verdict(valid.id, severity=severity, significance=significance)
        case ClassRule():
            profile = Profile(Nature(valid.nature or "unknown"), Travel(valid.travels or "dependents"), valid.id)
            ground = ClassesMean(any_of(valid.classes), profile)
        case EdgeRule():
            ground = EdgesPass(tuple(valid.edges), valid.strength)
        case JoinRule():
            ground = join_by(valid.id, valid.join_by, valid.classes)
    return Rule(valid.id, valid.kind, match, verdict, valid.title, valid.description, path, text, ground)


def _validated(model: type[_Model], document: Document, loc: Loc, value: object, faults: list[Fault]) -> _Model | None:
    try:
        return model.model_validate(value)
    except ValidationError as invalid:
        for below, key, message in from_validation(invalid, lambda _: model.model_fields, PATTERNS):
            faults.append(_fault(document, (*loc, *below), message, key=key))
        return None


def _said_rules(document: Document) -> list[tuple[int, dict[str, object]]]:
    """The rules as the document says them, with their index; what is not a mapping has been complained about."""
    rules = document.value.get("rules") if isinstance(document.value, dict) else None
    listed = rules if isinstance(rules, list) else []
    return [(index, said) for index, said in enumerate(listed) if isinstance(said, dict)]


def _repeated_ids(documents: Iterable[Document]) -> Iterator[Fault]:
    first: dict[str, Spot] = {}
    for document in documents:
        for index, said in _said_rules(document):
            loc: Loc = ("rules", index, "id")
            name = said.get("id")
            if isinstance(name, str) and first.setdefault(name, spot := Spot(document, loc)) is not spot:
                yield Fault(spot, f"rule {name}: id", "is taken by another rule, at", related=first[name])


def _fault(document: Document, loc: Loc, message: str, *, key: bool = False) -> Fault:
    """A fault that names its rule by id, or by its place if it has none."""
    if loc[:1] != ("rules",) or len(loc) < 2:
        return Fault(Spot(document, loc, key), dotted(loc), message)
    said = dict(_said_rules(document)).get(int(loc[1]), {}).get("id")
    rule = f"rule {said}" if isinstance(said, str) else dotted(loc[:2])
    return Fault(Spot(document, loc, key), ": ".join(filter(None, (rule, dotted(loc[2:])))), message)
