"""What a rule may ask of one field of an event, its CI or a situation, read from `match:` and evaluated on a value.

A condition is a value, a list (any of these), or a mapping of `not`, `glob`, `regex`, `gte`, `gt`, `lte`, `lt` (all of
these). It knows which single values satisfy it, so that `questions` can index rules by them. Loading and compiling both
stand on this.
"""

import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol, get_args

from opsbridge.core.decisions import Status
from opsbridge.core.event import SEVERITY_NUMBER
from opsbridge.core.records import PriorityName
from opsbridge.documents import Nearest, shown
from opsbridge.documents.text import Loc
from opsbridge.rules.matching.globs import compile_glob
from opsbridge.rules.matching.regex import compile_regex

Value = str | int | float | tuple[str, ...] | None
"""What a field holds; None: a label or tier that is not there."""


class Kind(Enum):
    """What a field holds, in words that a message can use."""

    TEXT = "text"
    SEVERITY = "a severity"
    NUMBER = "a whole number"
    LABEL = "a label"
    """Text, which is compared as a number where a number is asked for."""
    SHARE = "a number from 0 to 1"
    TRUTH = "true or false"
    PRIORITY = "a priority"
    STATUS = "a status"
    NAMES = "names"
    """Several texts: a comparison holds if it does for any of them, and its `not` if it does for none."""


CHOICES: Final[dict[Kind, Mapping[str, Value]]] = {
    Kind.SEVERITY: SEVERITY_NUMBER,
    Kind.PRIORITY: {name: name for name in get_args(PriorityName)},
    Kind.STATUS: {name: name for name in get_args(Status)},
}
"""What there is to choose from, as a file says it, and the values that mean it."""

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


@dataclass(frozen=True, slots=True)
class Fields:
    """What can be asked of something."""

    kinds: Mapping[str, Kind]
    """What each field holds."""
    labels: bool = False
    """It has labels, too."""

    def kind(self, name: str) -> Kind | None:
        """What a field holds; None if there is no such field."""
        if self.labels and name.startswith(LABELS) and len(name) > len(LABELS):
            return Kind.LABEL
        return self.kinds.get(name)

    def unknown(self, name: str) -> str:
        """The complaint about a field that there is not."""
        labels = [LABELS + (name.partition(".")[2] or "NAME")] if self.labels else []
        return f"unknown field{known_instead(name, [*self.kinds, *labels])}"


EVENTS: Final = Fields({name: kind for name, (_, kind) in FIELDS.items()}, labels=True)
"""The fields of an event and its CI."""


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


def below(where: Loc, complain: Complain) -> Complain:
    """Takes complaints about what is at this place and below."""

    def complain_below(loc: Loc, message: str, *, key: bool = False) -> None:
        complain((*where, *loc), message, key=key)

    return complain_below


def known_instead(name: str, known: Collection[str]) -> str:
    """What a complaint about an unknown name ends with: the known one that is nearest, or all of them."""
    return Nearest(known).hint(name) or f"; known are {', '.join(known)}"


def anywhere(_field: str) -> str:
    """Every field may be asked here."""
    return ""


_DEEPEST: Final = 10
_NOTHING: Final = Condition(lambda _: False, frozenset())
EVERYTHING: Final = 'is empty; to match every event, say `source: {glob: "*"}`'


def parse_match(
    said: Mapping[str, object],
    complain: Complain,
    refuse: Callable[[str], str] = anywhere,
    empty: str = EVERYTHING,
    fields: Fields = EVENTS,
) -> Match:
    """The conditions of a rule; not to be used if there were complaints.

    `refuse` says why a field must not be asked here, or nothing; `empty` what to say if nothing is asked.
    """
    match: Match = {}
    for field, condition in said.items():
        if refused := refuse(field):
            complain((field,), refused, key=True)
        elif (kind := fields.kind(field)) is None:
            complain((field,), fields.unknown(field), key=True)
        else:
            match[field] = _condition(condition, kind, (field,), complain)
    if not said:
        complain((), empty)
    return match


def parse_states(said: object, complain: Complain) -> tuple[bool, bool]:
    """Whether firing events and whether resolutions are meant by a condition of `state`."""
    match said:
        case "firing":
            return True, False
        case "resolved":
            return False, True
        case [*listed] if listed and all(isinstance(each, str) for each in listed):
            meant = [parse_states(each, below((index,), complain)) for index, each in enumerate(listed)]
            return any(firing for firing, _ in meant), any(resolved for _, resolved in meant)
    complain((), f"must be firing or resolved, or a list of both, not {shown(said)}")
    return True, True


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
    if kind is Kind.NAMES:
        return Condition(lambda held: isinstance(held, tuple) and value in held)
    return _one_of(frozenset((value,)))


def _operator(name: str, said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    if name not in _OPERATORS:
        complain(loc, f"unknown comparison{known_instead(name, _OPERATORS)}", key=True)
        return _NOTHING
    read, kinds = _OPERATORS[name]
    if kind not in kinds:
        *others, last = (each.value for each in kinds if each in _OF_EVENTS)
        compared = f"{', '.join(others)} or {last}"
        complain(loc, f"{name} compares {compared}; this field is {kind.value}", key=True)
        return _NOTHING
    return read(said, kind, loc, complain)


def _not(said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    inner = _condition(said, kind, loc, complain)
    return Condition(lambda value: not inner.holds(value))


_Compiled = Callable[[str], Callable[[str], bool]]
"""What makes a test of a pattern; ValueError if it is none."""


def _glob(said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    return _pattern(said, kind, 'a pattern such as "web-*"', compile_glob, loc, complain)


def _regex(said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
    return _pattern(said, kind, 'a regular expression such as "web-[0-9]+"', compile_regex, loc, complain)


def _pattern(said: object, kind: Kind, example: str, compiled: _Compiled, loc: Loc, complain: Complain) -> Condition:
    if isinstance(said, list) and said and len(loc) <= _DEEPEST and not isinstance(loc[-1], int):
        return _any_of([_pattern(part, kind, example, compiled, (*loc, at), complain) for at, part in enumerate(said)])
    if not isinstance(said, str):
        complain(loc, f"must be {example}, or a list of them, not {shown(said)}")
        return _NOTHING
    try:
        test = compiled(_whole(said))
    except ValueError as wrong:
        complain(loc, str(wrong))
        return _NOTHING
    if kind is Kind.NAMES:
        return Condition(lambda held: isinstance(held, tuple) and any(map(test, held)))
    return Condition(lambda value: isinstance(value, str) and test(value))


def _whole(text: str) -> str:
    """The text; ValueError for what no event can hold."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("must be text, not half of a surrogate pair") from None
    return text


_Compare = Callable[[float, float], bool]


def _bound(compare: _Compare) -> Callable[[object, Kind, Loc, Complain], Condition]:
    def read(said: object, kind: Kind, loc: Loc, complain: Complain) -> Condition:
        if kind is Kind.LABEL:
            bound = number(said)
            if bound is None:
                complain(loc, f"must be a number, not {shown(said)}")
                return _NOTHING
            return Condition(lambda value: (found := measured(value)) is not None and compare(found, bound))
        limit = _value(said, kind, loc, complain)
        return Condition(
            lambda value: isinstance(value, int | float) and isinstance(limit, int | float) and compare(value, limit),
        )

    return read


def number(said: object) -> float | None:
    """A number of a file, as one to compute with; None if it is none."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    try:
        found = float(said)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def measured(value: Value) -> float | None:
    """The number that a label holds; None if it is not there, or is no (finite) number."""
    if not isinstance(value, str) or "_" in value:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


_ANY: Final = tuple(Kind)
_OF_EVENTS: Final = (Kind.TEXT, Kind.SEVERITY, Kind.NUMBER, Kind.LABEL)
"""What others are like: a complaint that says what is compared names these only."""
_TEXTS: Final = (Kind.TEXT, Kind.LABEL, Kind.NAMES)
_ORDERED: Final = (Kind.SEVERITY, Kind.NUMBER, Kind.LABEL, Kind.SHARE)

_OPERATORS: Final[dict[str, tuple[Callable[[object, Kind, Loc, Complain], Condition], tuple[Kind, ...]]]] = {
    "not": (_not, _ANY),
    "glob": (_glob, _TEXTS),
    "regex": (_regex, _TEXTS),
    "gte": (_bound(operator.ge), _ORDERED),
    "gt": (_bound(operator.gt), _ORDERED),
    "lte": (_bound(operator.le), _ORDERED),
    "lt": (_bound(operator.lt), _ORDERED),
}
"""What a mapping may say about a field, and for which kinds of field."""

OPERATORS: Final[dict[str, tuple[Kind, ...]]] = {name: kinds for name, (_, kinds) in _OPERATORS.items()}
"""The same, for those who describe the language."""


def _value(said: object, kind: Kind, loc: Loc, complain: Complain) -> Value:
    match kind, said:
        case Kind.TEXT | Kind.LABEL | Kind.NAMES, str():
            try:
                return _whole(said)
            except ValueError as wrong:
                complain(loc, str(wrong))
        case ((Kind.SEVERITY | Kind.PRIORITY | Kind.STATUS), str()):
            if said in CHOICES[kind]:
                return CHOICES[kind][said]
            what = kind.value.partition(" ")[2]
            complain(loc, f"unknown {what} {shown(said)}{known_instead(said, CHOICES[kind])}")
        case Kind.NUMBER, int() if not isinstance(said, bool):
            return said
        case Kind.SHARE, int() | float() if not isinstance(said, bool) and 0 <= said <= 1:
            return said
        case Kind.TRUTH, bool():
            return said
        case Kind.TEXT | Kind.LABEL | Kind.NAMES, int() | float():
            complain(loc, f"must be text, not {shown(said)}; put it in quotes")
        case _:
            what = (Kind.TEXT if kind in _TEXTS else kind).value
            complain(loc, f"must be {what}, not {shown(said)}")
    return None


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
