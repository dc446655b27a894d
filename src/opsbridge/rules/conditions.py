"""What a rule may ask of one field of an event or its CI, read from `match:` and evaluated on a value.

A condition is a value, a list (any of these), or a mapping of `not`, `glob`, `gte`, `lte` (all of these). It knows
which single values satisfy it, so that `compile` can index rules by them. Loading and compiling both stand on this.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from opsbridge.core.event import SEVERITIES, SEVERITY_NUMBER
from opsbridge.documents import Nearest, shown
from opsbridge.documents.text import Loc
from opsbridge.rules.globs import compile_glob

Value = str | int | None
"""What a field holds; None: a label or tier that is not there."""


class Kind(Enum):
    """What a field holds, in words that a message can use."""

    TEXT = "text"
    SEVERITY = "a severity"
    NUMBER = "a whole number"


FIELDS: Final[dict[str, tuple[str, Kind]]] = {
    "class": ("event.class_", Kind.TEXT),
    "ci": ("event.ci", Kind.TEXT),
    "source": ("event.source", Kind.TEXT),
    "severity": ("event.severity", Kind.SEVERITY),
    "ci.type": ("ci.type", Kind.TEXT),
    "ci.owner": ("ci.owner", Kind.TEXT),
    "ci.environment": ("ci.environment", Kind.TEXT),
    "ci.site": ("ci.site", Kind.TEXT),
    "ci.tier": ("ci.tier", Kind.NUMBER),
    "fingerprint": ("event.fingerprint", Kind.TEXT),
    "summary": ("event.summary", Kind.TEXT),
}
"""Every field but labels: how the judge's source reads it, and what it holds. Fields are read in this order."""

LABELS: Final = "labels."


def field_kind(name: str) -> Kind | None:
    """What a field holds; None if there is no such field."""
    if name.startswith(LABELS) and len(name) > len(LABELS):
        return Kind.TEXT
    return FIELDS[name][1] if name in FIELDS else None


def unknown_field(name: str) -> str:
    """The complaint about a field that there is not."""
    known = [*FIELDS, LABELS + (name.partition(".")[2] or "NAME")]
    return f"unknown field{_known(name, known)}"


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one field's value; `only` has the values that pass if they can be counted, for the index."""

    holds: Callable[[Value], bool]
    only: frozenset[Value] | None = None


Match = dict[str, Condition]
"""Field to condition; a rule matches when all are true."""


class Complain(Protocol):
    """Told where below `match` something is wrong, and what; with `key`, it is the key itself."""

    def __call__(self, loc: Loc, message: str, *, key: bool = False) -> None:
        """Take one complaint."""


_DEEPEST: Final = 10
_NOTHING: Final = Condition(lambda _: False, frozenset())


def parse_match(said: Mapping[str, object], complain: Complain) -> Match:
    """The conditions of a rule; not to be used if there were complaints."""
    match: Match = {}
    for field, condition in said.items():
        kind = field_kind(field)
        if kind is None:
            complain((field,), unknown_field(field), key=True)
        else:
            match[field] = _condition(condition, kind, (field,), complain)
    if not said:
        complain((), 'is empty; to match every event, say `source: {glob: "*"}`')
    return match


def _condition(said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    if len(loc) > _DEEPEST:
        complain(loc, "is nested too deeply")
        return _NOTHING
    if isinstance(said, list):
        if not said:
            complain(loc, "is an empty list, which nothing matches")
        return _any_of([_condition(part, kind, (*loc, index), complain) for index, part in enumerate(said)])
    if isinstance(said, dict):
        if not said:
            complain(loc, f"is an empty mapping; known are {', '.join(_OPERATORS)}")
        return _all_of([_operator(name, part, kind, (*loc, name), complain) for name, part in said.items()])
    value = _value(said, kind, loc, complain)
    return _one_of(frozenset((value,)))


def _operator(name: str, said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    if name not in _OPERATORS:
        complain(loc, f"unknown comparison{_known(name, _OPERATORS)}", key=True)
        return _NOTHING
    read, kinds = _OPERATORS[name]
    if kind not in kinds:
        compared = " or ".join(each.value for each in kinds)
        complain(loc, f"{name} compares {compared}; this field is {kind.value}", key=True)
        return _NOTHING
    return read(said, kind, loc, complain)


def _not(said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    inner = _condition(said, kind, loc, complain)
    return Condition(lambda value: not inner.holds(value))


def _glob(said: object, _kind: Kind, loc: Loc, complain: Complain) -> Condition:
    if isinstance(said, list) and said:
        return _any_of([_pattern(part, (*loc, index), complain) for index, part in enumerate(said)])
    return _pattern(said, loc, complain)


def _pattern(said: object, loc: Loc, complain: Complain) -> Condition:
    if not isinstance(said, str):
        complain(loc, f'must be a pattern such as "web-*", or a list of them, not {shown(said)}')
        return _NOTHING
    test = compile_glob(said)
    return Condition(lambda value: isinstance(value, str) and test(value))


def _at_least(said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    low = _value(said, kind, loc, complain)
    return Condition(lambda value: isinstance(value, int) and isinstance(low, int) and value >= low)


def _at_most(said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    high = _value(said, kind, loc, complain)
    return Condition(lambda value: isinstance(value, int) and isinstance(high, int) and value <= high)


_OPERATORS: Final[dict[str, tuple[Callable[[object, Kind, Loc, Complain], Condition], tuple[Kind, ...]]]] = {
    "not": (_not, tuple(Kind)),
    "glob": (_glob, (Kind.TEXT,)),
    "gte": (_at_least, (Kind.SEVERITY, Kind.NUMBER)),
    "lte": (_at_most, (Kind.SEVERITY, Kind.NUMBER)),
}
"""What a mapping may say about a field, and for which kinds of field."""


def _value(said: object, kind: Kind, loc: Loc, complain: Complain) -> Value:
    match kind, said:
        case Kind.TEXT, str():
            return said
        case Kind.SEVERITY, str() if said in SEVERITY_NUMBER:
            return SEVERITY_NUMBER[said]
        case Kind.SEVERITY, str():
            complain(loc, f"unknown severity {shown(said)}{_known(said, SEVERITIES)}")
        case Kind.NUMBER, int() if not isinstance(said, bool):
            return said
        case Kind.TEXT, int() | float():
            complain(loc, f"must be text, not {shown(said)}; put it in quotes")
        case _:
            complain(loc, f"must be {kind.value}, not {shown(said)}")
    return None


def _known(name: str, known: Collection[str]) -> str:
    return Nearest(known).hint(name) or f"; known are {', '.join(known)}"


def _one_of(values: frozenset[Value]) -> Condition:
    return Condition(values.__contains__, values)


def _any_of(conditions: Sequence[Condition]) -> Condition:
    if all(condition.only is not None for condition in conditions):
        return _one_of(frozenset().union(*(condition.only or () for condition in conditions)))
    return Condition(lambda value: any(condition.holds(value) for condition in conditions))


def _all_of(conditions: Sequence[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]
    return Condition(lambda value: all(condition.holds(value) for condition in conditions))
