"""One rule of a file, from what is said to what it says: validated by its shape, its matches read, and built.

Everything wrong with the rule goes to `complain` at its place below the rule; what is wrong with its fields hides what
they would say about each other. The loader calls this for every rule.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from opsbridge.documents import from_validation, shown
from opsbridge.documents.text import Loc
from opsbridge.rules.language.fields import PATTERNS
from opsbridge.rules.language.kinds.events import FORMS, EnrichRule, Looked
from opsbridge.rules.language.kinds.shape import Draft, RuleModel, TrialRule
from opsbridge.rules.language.model import known_fields, model_of, subject_values, subjects
from opsbridge.rules.language.scopes import Scope
from opsbridge.rules.matching.conditions import Complain, below, known_instead
from opsbridge.rules.rule import Kind, Rule

_Model = TypeVar("_Model", bound=BaseModel)
_KINDS: Final = get_args(Kind)
_UNHEARD: Final = frozenset({"tests"})
"""What changes nothing of a rule."""
_FOR_PEOPLE: Final = _UNHEARD | {"title", "description"}
"""What a rule says to people, and not about events."""


@dataclass(slots=True)
class _Counting:
    """Hands complaints on, and counts them."""

    complain: Complain
    faults: int = 0

    def __call__(self, loc: Loc, message: str, *, key: bool = False) -> None:
        self.faults += 1
        self.complain(loc, message, key=key)

    def silent(self) -> bool:
        """Whether there were none."""
        return not self.faults


def build_rule(
    said: Mapping[str, object], tables: Mapping[str, dict[str, str]], path: str, line: int, complain: Complain
) -> Rule | None:
    """The rule; None if there were complaints."""
    counted = _Counting(complain)
    model = _shape(said, counted)
    if model is None:
        return None
    for field, why in model.not_here.items():
        if field in said:
            counted((field,), why, key=True)
    here = {field: value for field, value in said.items() if field not in model.not_here}
    asked = {loc: scope.read(match, below(loc, counted)) for loc, scope, match in _matches(model, here)}
    valid = validated(model, here, counted)
    if valid is None or not counted.silent():
        return None
    built = valid.built(Draft(_key(valid), asked, tables, counted))
    if not counted.silent():
        return None
    return Rule(
        id=valid.id,
        kind=cast("Kind", valid.kind),  # there is a shape for it
        says=built.says,
        asks=built.asks,
        shadow=isinstance(valid, TrialRule) and valid.shadow,
        title=valid.title,
        description=valid.description,
        path=path,
        line=line,
        text=_text(valid, _used(valid, tables)),
        expects=built.expects,
    )


def _shape(said: Mapping[str, object], complain: Complain) -> type[RuleModel] | None:
    kind = said.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        known = known_instead(kind if isinstance(kind, str) else "", _KINDS)
        complain(("kind",), f"unknown kind {shown(kind)}{known}" if "kind" in said else f"is required{known}")
        return None
    model = model_of(cast("Kind", kind), said)
    if model is None:
        _without_shape(cast("Kind", kind), said, complain)
    return model


def _without_shape(kind: Kind, said: Mapping[str, object], complain: Complain) -> None:
    *others, last = subjects(kind)
    values = subject_values(kind)
    if not values:
        complain((), f"says nothing to correlate by: {', '.join(others)} or {last}")
    elif last not in said:
        complain((), f"{last}: is required{known_instead('', values)}")
    else:
        value = said[last]
        hint = known_instead(value if isinstance(value, str) else "", values)
        complain((last,), f"unknown {last} {shown(value)}{hint}")


def _matches(model: type[RuleModel], said: Mapping[str, object]) -> Iterator[tuple[Loc, Scope, dict[str, object]]]:
    """Every match of the rule that is a mapping, with its place."""
    for field, scope in model.matches.items():
        value = said.get(field)
        if isinstance(value, dict):
            yield (field,), scope, value
        elif isinstance(value, list):
            for index, step in enumerate(value):
                if isinstance(step, dict) and isinstance(step.get("match"), dict):
                    yield (field, index, "match"), scope, step["match"]


_KEY: Final = "[key]"
"""What pydantic puts behind the place of a mapping's key that is wrong."""


def validated(model: type[_Model], value: object, complain: Complain) -> _Model | None:
    """What is said as the model has it; None if there were complaints."""
    try:
        return model.model_validate(value)
    except ValidationError as invalid:
        for loc, key, message in from_validation(invalid, lambda loc: known_fields(model, loc), PATTERNS):
            at_key = key or loc[-1:] == (_KEY,)
            complain(tuple(step for step in loc if step not in FORMS and step != _KEY), message, key=at_key)
        return None


def _text(valid: RuleModel, tables: Mapping[str, dict[str, str]], without: frozenset[str] = _UNHEARD) -> str:
    said = valid.model_dump(by_alias=True, exclude=set(without))
    return json.dumps(said | ({"tables": tables} if tables else {}), sort_keys=True, separators=(",", ":"))


def _used(valid: RuleModel, tables: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The tables that the rule looks things up in."""
    if not isinstance(valid, EnrichRule):
        return {}
    named = [value.table for value in valid.set.values() if isinstance(value, Looked) and value.table is not None]
    return {name: tables[name] for name in named}


def _key(valid: RuleModel) -> str:
    text = _text(valid, {}, _FOR_PEOPLE)
    return f"{valid.id}@{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"
