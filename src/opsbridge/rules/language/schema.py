"""The rule language as JSON Schema, for editors that complete and check while one types (yaml-language-server).

Draft-07, which editors know best. It says what a file may say, field by field, with the texts of the kinds; what
fields say about each other, only the loader checks. The checked-in file is schemas/rules-v1.json.
"""

import re
from typing import Final, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from opsbridge.rules.language.fields import NAMED
from opsbridge.rules.language.kinds.sequence import Step
from opsbridge.rules.language.kinds.shape import RuleModel
from opsbridge.rules.language.known_error import KnownErrorDocument, KnownErrorEntry
from opsbridge.rules.language.model import MODELS, RuleDocument, subject_values, subjects
from opsbridge.rules.language.scopes import (
    BOTH,
    CIS,
    FIRING,
    HEARD,
    NOT_CIS,
    OF_SITUATIONS,
    OF_UNEXPLAINED,
    OF_URGENT,
    SIGNS,
    STATE,
    Scope,
)
from opsbridge.rules.matching.conditions import CHOICES, FIELDS, LABELS, OPERATORS, Kind
from opsbridge.rules.matching.situations import SITUATIONS
from opsbridge.rules.rule import Kind as RuleKind

Schema = dict[str, object]
"""A JSON Schema, or a part of one."""

_SCOPES: Final[tuple[tuple[Scope, str], ...]] = (
    (FIRING, "match"),
    (BOTH, "match_of_all_reports"),
    (HEARD, "match_of_what_is_heard"),
    (SIGNS, "match_of_signs_of_life"),
    (CIS, "match_of_cis"),
    (NOT_CIS, "match_of_events"),
    (OF_SITUATIONS, "match_of_situations"),
    (OF_URGENT, "match_of_situations_without_priority"),
    (OF_UNEXPLAINED, "match_of_unexplained_situations"),
)
"""What the definition of each scope is called."""

_CHOSEN: Final[dict[Kind, Schema]] = {kind: {"enum": list(values)} for kind, values in CHOICES.items()}
_VALUES: Final[dict[Kind, Schema]] = {
    **_CHOSEN,
    Kind.TEXT: {"type": "string"},
    Kind.LABEL: {"type": "string"},
    Kind.NAMES: {"type": "string"},
    Kind.NUMBER: {"type": "integer"},
    Kind.SHARE: {"type": "number", "minimum": 0, "maximum": 1},
    Kind.TRUTH: {"type": "boolean"},
}
"""What a field is said to be."""

_BOUNDS: Final = _VALUES | {Kind.LABEL: {"type": "number"}}
"""What a field is compared with."""

_COMPARISONS: Final[dict[str, str]] = {
    "not": "The condition in it does not hold.",
    "glob": "The whole text fits this pattern, or one of a list: * is any text, ? one character, [0-9] one of these.",
    "regex": "The whole text fits this regular expression (RE2), or one of a list.",
    "gte": "It is at least this.",
    "gt": "It is more than this.",
    "lte": "It is at most this.",
    "lt": "It is less than this.",
}

_FIELDS: Final[dict[str, str]] = {
    "class": "The event's class.",
    "ci": "The id of the CI; an alias has been resolved.",
    "source": "The event's source; opsbridge for alerts that rules raise.",
    "severity": "The event's severity, as its source gave it.",
    "ci.type": "The type of the CI, from the topology; empty for an unknown CI.",
    "ci.owner": "The owner of the CI, from the topology.",
    "ci.environment": "The environment of the CI, from the topology.",
    "ci.site": "The site of the CI, from the topology.",
    "ci.tier": "The tier of the CI, from the topology: a whole number.",
    "fingerprint": "The alert's fingerprint.",
    "summary": "The event's summary.",
}

_FIELDS_OF_SITUATIONS: Final[dict[str, str]] = {
    "severity": "The highest severity among the situation's alerts.",
    "priority": "The situation's priority, P1 to P5.",
    "status": "Whether the situation is open, resolved, closed or merged into another.",
    "root.ci": "The id of the CI that is the root cause.",
    "root.class": "The class of the root's own alert; empty if it sent none.",
    "root.type": "The type of the root's CI, from the topology; empty for an unknown CI.",
    "root.owner": "The owner of the root's CI, from the topology.",
    "root.group": "The assignment group of the root's CI, from the topology; its owner, if it has none.",
    "root.category": "The category of the root's CI, from the topology.",
    "root.environment": "The environment of the root's CI, from the topology.",
    "root.site": "The site of the root's CI, from the topology.",
    "root.tier": "The tier of the root's CI, from the topology: a whole number.",
    "silent": "Whether the root sent no alert of its own.",
    "confidence": "How sure it is that this is the root, from 0 to 1.",
    "alerts": "How many alerts it has, resolved ones too.",
    "firing": "How many of its alerts fire.",
    "services": "How many services it affects.",
    "users": "How many people use these services, as far as it is known.",
    "tier": "The most important tier that it affects: a whole number, 1 is more important than 2.",
    "impact.cis": "How many CIs it affects.",
    "known_error": "The ids of the known errors that match it; a condition holds if it does for any of them.",
    "changed": "How many recent changes there are on the CIs that could be its root.",
    "reopened": "How often it has begun again after it was closed.",
}


def schema(tests_schema: Schema | None = None) -> Schema:
    """The JSON Schema of a rule file; `tests_schema` is that of a rule's list of tests, if more is known of it."""
    shapes = [model for models in MODELS.values() for model in models]
    definitions = _of_models([*shapes, Step, RuleDocument])
    for model in shapes:
        said = _part(_part(definitions, model.__name__), "properties")
        said["tests"] = _described(_reference("tests"), said["tests"])
        for field, scope in model.matches.items():
            if field != "steps":
                said[field] = _described(_reference(_scope_name(scope)), said[field])
            else:
                step = _part(_part(definitions, Step.__name__), "properties")
                step["match"] = _described(_reference(_scope_name(scope)), step["match"])
    document = _part(definitions, RuleDocument.__name__)
    del definitions[RuleDocument.__name__]
    rules = _part(_part(document, "properties"), "rules")
    rules["items"] = _reference("rule")
    definitions |= {"rule": _rule(), "tests": tests_schema or {"type": "array", "items": {"type": "object"}}}
    definitions |= {name: _match(scope) for scope, name in _SCOPES}
    definitions |= {_name(kind): _condition(kind) for kind in Kind}
    definitions["field"] = {"anyOf": [{"enum": list(FIELDS)}, {"type": "string", "pattern": _LABEL_PATTERN}]}
    head: Schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "OpsBridge rules, version 1"}
    return head | document | {"definitions": dict(sorted(definitions.items()))}


def known_errors_schema() -> Schema:
    """The JSON Schema of a file of known errors."""
    definitions = _of_models([KnownErrorDocument, KnownErrorEntry])
    entry = _part(_part(definitions, KnownErrorEntry.__name__), "properties")
    entry["match"] = _described(_reference(_scope_name(OF_UNEXPLAINED)), entry["match"])
    document = _part(definitions, KnownErrorDocument.__name__)
    del definitions[KnownErrorDocument.__name__]
    _part(_part(document, "properties"), "known_errors")["items"] = _reference(KnownErrorEntry.__name__)
    definitions |= {_scope_name(OF_UNEXPLAINED): _match(OF_UNEXPLAINED)}
    definitions |= {_name(kind): _condition(kind) for kind in SITUATIONS.kinds.values()}
    head: Schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "OpsBridge known errors, version 1"}
    return head | document | {"definitions": dict(sorted(definitions.items()))}


_LABEL_PATTERN: Final = f"^{re.escape(LABELS)}."


def _reference(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _described(reference: Schema, said: object) -> Schema:
    """A reference with the text of what was there; beside `$ref`, draft-07 takes nothing."""
    return {"allOf": [reference], "description": _mapping(said)["description"]}


def _name(kind: Kind) -> str:
    return f"condition_of_{kind.name.lower()}"


def _mapping(said: object) -> Schema:
    return cast("Schema", said)  # pydantic made it


def _part(said: Schema, key: str) -> Schema:
    return _mapping(said[key])


def _scope_name(scope: Scope) -> str:
    return next(name for known, name in _SCOPES if known is scope)


def _of_models(models: list[type[BaseModel]]) -> Schema:
    """Definitions of the models and of those in them."""
    _, made = models_json_schema([(model, "validation") for model in models], ref_template="#/definitions/{model}")
    return {name: _tidy(said) for name, said in made["$defs"].items()}


def _tidy(said: object) -> object:
    """Without what pydantic adds for nobody: titles, defaults and alternatives of nothing; with our definitions."""
    if isinstance(said, list):
        return [_tidy(each) for each in said]
    if not isinstance(said, dict):
        return said
    if NAMED in said:
        said = {("$ref" if key == NAMED else key): held for key, held in said.items()}
        said["$ref"] = f"#/definitions/{said['$ref']}"
    kept = {key: value for key, value in said.items() if not (key == "title" or (key, value) == ("default", None))}
    kept = {
        key: {name: _tidy(value) for name, value in held.items()} if key == "properties" else _tidy(held)
        for key, held in kept.items()
    }
    alternatives = [each for each in kept.get("anyOf", []) if each != {"type": "null"}]
    if len(alternatives) == 1:
        del kept["anyOf"]
        kept = alternatives[0] | kept
    if len(kept) > 1 and "$ref" in kept:
        kept = {"allOf": [{"$ref": kept.pop("$ref")}], **kept}
    return kept


def _rule() -> Schema:
    """A rule: what all have, and by its kind the rest."""
    kinds: list[Schema] = []
    shapes: list[Schema] = []
    for kind, models in MODELS.items():
        kinds.append({"const": kind, "description": _line(models[0]) if len(models) == 1 else _SEVERAL[kind]})
        for number, model in enumerate(models):
            told: Schema = {"kind": {"const": kind}}
            if model.values:
                told[model.subject] = {"enum": list(model.values)}
            asked: Schema = {"properties": told, "required": ["kind", *filter(None, (model.subject,))]}
            if number and not model.values:  # the first shape whose subject is there decides
                asked["not"] = {"anyOf": [{"required": [earlier.subject]} for earlier in models[:number]]}
            shapes.append({"if": asked, "then": _reference(model.__name__)})
        if len(models) > 1:
            shapes.append({"if": {"properties": {"kind": {"const": kind}}}, "then": _some_shape(kind)})
    return {
        "type": "object",
        "required": ["id", "kind"],
        "properties": {"kind": {"oneOf": kinds, "description": "What the rule does."}},
        "allOf": shapes,
    }


_SEVERAL: Final[dict[RuleKind, str]] = {
    "correlate": "Say what classes mean, how likely failures pass edges, or by what to join alerts.",
    "respond": "Say what a situation is answered with: incident or nothing, tickets, people told, machines that act.",
}
"""What kinds do that have several shapes."""


def _some_shape(kind: RuleKind) -> Schema:
    values = subject_values(kind)
    if not values:
        return {"anyOf": [{"required": [subject]} for subject in subjects(kind)]}
    (subject,) = subjects(kind)
    described = "What the situation is answered with."
    return {"required": [subject], "properties": {subject: {"enum": values, "description": described}}}


def _line(model: type[RuleModel]) -> str:
    return (model.__doc__ or "").partition("\n")[0]


def _match(scope: Scope) -> Schema:
    described = _FIELDS_OF_SITUATIONS if scope.fields is SITUATIONS else _FIELDS
    asked: Schema = {
        field: {"allOf": [_reference(_name(kind))], "description": described[field]}
        for field, kind in scope.fields.kinds.items()
        if not scope.refuse(field)
    }
    if scope.states:
        state = {"enum": ["firing", "resolved"]}
        heard = "firing and resolved" if scope.resolved else "firing"
        asked[STATE] = {
            "anyOf": [state, {"type": "array", "items": state, "minItems": 1}],
            "description": f"Which events are heard; {heard} if it is not said.",
        }
    labels = (
        {}
        if not scope.fields.labels or scope.refuse(f"{LABELS}NAME")
        else {_LABEL_PATTERN: _reference(_name(Kind.LABEL))}
    )
    return {
        "type": "object",
        "description": "Every field must hold: a value, a list (any of these), or comparisons (all of these).",
        "minProperties": 1,
        "properties": asked,
        "patternProperties": labels,
        "additionalProperties": False,
    }


def _condition(kind: Kind) -> Schema:
    again = _reference(_name(kind))
    patterns: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    operands = {"not": again, "glob": patterns, "regex": patterns}
    comparisons: Schema = {
        name: {"allOf": [operands.get(name, _BOUNDS[kind])], "description": _COMPARISONS[name]}
        for name, kinds in OPERATORS.items()
        if kind in kinds
    }
    return {
        "anyOf": [
            _VALUES[kind],
            {"type": "array", "items": again, "minItems": 1},
            {"type": "object", "properties": comparisons, "minProperties": 1, "additionalProperties": False},
        ]
    }
