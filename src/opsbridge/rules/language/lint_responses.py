"""What is odd about responses and priorities: rules that are never asked, and automation that cannot be meant so.

`lint` calls these; nothing here stops anybody.
"""

import json
from collections.abc import Collection, Iterator
from typing import Final

from opsbridge.core.rulebook import AutoResponse, Handling
from opsbridge.documents import Fault, Nearest, shown
from opsbridge.documents.text import Loc
from opsbridge.rules.language.said import mapping, said_of, warning
from opsbridge.rules.load import RuleFiles
from opsbridge.rules.matching.conditions import Kind
from opsbridge.rules.matching.situations import SITUATIONS
from opsbridge.rules.rule import Prioritised, Respond, Rule

_KNOWN_ERROR: Final = "known_error"

_ALWAYS: Final[dict[Kind, dict[str, object]]] = {
    Kind.TEXT: {"glob": "*"},
    Kind.SEVERITY: {"gte": "info"},
    Kind.SHARE: {"gte": 0},
}
"""By kind of field: the condition that holds whatever it holds."""


def never_asked(files: RuleFiles) -> Iterator[Fault]:
    """Rules that an earlier one, which matches every situation, leaves nothing to decide."""
    prioritised: Rule | None = None
    decided: Rule | None = None
    ended: Rule | None = None
    for rule in files.rules:
        match rule.says:
            case Prioritised():
                if prioritised is not None:
                    yield _behind(files, rule, prioritised)
                elif _catches_all(rule):
                    prioritised = rule
            case Respond(answer=answer, last=last):
                decides = isinstance(answer, Handling)
                before = ended or (decided if decides else None)
                if before is not None:
                    yield _behind(files, rule, before)
                elif _catches_all(rule):
                    ended = rule if last else None
                    decided = rule if decides else decided


def _behind(files: RuleFiles, rule: Rule, before: Rule) -> Fault:
    message = "can never apply: every situation is decided by a rule before it, at"
    return warning(files.spots[rule.id], rule.id, (), message, related=files.spots[before.id])


def _catches_all(rule: Rule) -> bool:
    """Whether its match holds for every situation."""
    conditions = mapping(said_of(rule).get("match"))
    kinds = {field: SITUATIONS.kind(field) for field in conditions}
    return all(kind in _ALWAYS and conditions[field] == _ALWAYS[kind] for field, kind in kinds.items() if kind)


def odd_automation(files: RuleFiles) -> Iterator[Fault]:
    """Auto-responses that do the same twice, undo with what they did, or prove nothing."""
    first: dict[str, Rule] = {}
    for rule in files.rules:
        if not isinstance(rule.says, Respond) or not isinstance(rule.says.answer, AutoResponse):
            continue
        auto, said, spot = rule.says.answer, said_of(rule), files.spots[rule.id]
        does = json.dumps([said.get(field) for field in ("match", "action", "parameters")], sort_keys=True)
        earlier = first.setdefault(does, rule)
        if earlier is not rule:
            message = "does the same for the same situations as another rule, at"
            yield warning(spot, rule.id, ("action",), message, related=files.spots[earlier.id])
        if auto.attempts == 1 and said.get("retry_after") is not None:
            message = "says nothing: there is one attempt (`attempts: 2` or more has others)"
            yield warning(spot, rule.id, ("retry_after",), message, key=True)
        if auto.rollback is not None and _same(said, mapping(said.get("rollback"))):
            message = "is the action itself, with the same parameters: it undoes nothing"
            yield warning(spot, rule.id, ("rollback", "action"), message)
        if auto.probe is not None and _same(said, mapping(said.get("verify"))):
            message = "is the action itself, with the same parameters: it would be done again to see whether it helped"
            yield warning(spot, rule.id, ("verify", "action"), message)
        if auto.before_incident and auto.verify == "result":
            message = "with `verify: {by: result}`, nobody is told of a situation although nothing shows that it ended"
            yield warning(spot, rule.id, ("before_incident",), message, key=True)


def unknown_known_errors(files: RuleFiles, known: Collection[str]) -> Iterator[Fault]:
    """Rules that ask for known errors by names that none has."""
    nearest = Nearest(known)
    for rule in files.rules:
        if isinstance(rule.says, Respond):
            for loc, name in _names(mapping(said_of(rule).get("match")).get(_KNOWN_ERROR)):
                if name not in known:
                    message = f"there is no known error {shown(name)}{nearest.hint(name)}"
                    yield warning(files.spots[rule.id], rule.id, ("match", _KNOWN_ERROR, *loc), message)


def _names(said: object, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """The names in a condition that are no patterns, with their places."""
    match said:
        case str():
            yield loc, said
        case list():
            for index, each in enumerate(said):
                yield from _names(each, (*loc, index))
        case dict():
            yield from _names(said.get("not"), (*loc, "not"))


def _same(said: dict[str, object], other: dict[str, object]) -> bool:
    """Whether both call the same action with the same parameters."""
    return all((said.get(field) or {}) == (other.get(field) or {}) for field in ("action", "parameters"))
