"""Questions to every event, compiled to one generated Python function whose cost does not grow with those that miss.

Every question is a bit. For each field that any question looks at, a table gives the bits of the questions that the
event's value leaves possible; the function intersects these bits, stopping when none is left. What is asked of a CI is
one table, and so is which labels an event has at all. The bits that are left are what matches; what follows from just
these is worked out once (`conclude`) and remembered. Tables remember; at a value that is new, at every summary, and at
labels with many tests, what is not plain equality (`glob`, `regex`, `not`, bounds) is tested question by question.
Nothing is decided here: `judge` and `prepare` say what follows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Generic, Literal, TypeVar, cast

from opsbridge.core.event import Event
from opsbridge.core.graph import CI
from opsbridge.rules.matching.conditions import FIELDS, LABELS, Condition, Match, Value

REMEMBERED: Final = 65_536
"""How many values a table remembers before it starts anew: memory stays bounded whatever the events bring."""

REMEMBERED_CONCLUSIONS: Final = 16_384
"""The same, for sets of questions that matched together: few in practice, and each is worked out quickly."""

REMEMBERED_LABELS: Final = 64
"""An event with more labels than this is looked at anew each time, for the same reason."""

FEW: Final = 16
"""A label with more tests than this is asked only about the questions still possible: a new value must not cost a test
for each question that cannot match."""

UNREMEMBERED: Final = frozenset({"summary", "fingerprint"})
"""Fields whose values hardly come twice: asked last, and only about the questions still possible."""

_T = TypeVar("_T")

Conclusion = tuple[_T, None] | tuple[None, Callable[[Event, CI], _T]]
"""What follows when just these questions match: always the same, or what the function makes of the event."""

Nothing = Literal["None", "()", "event"]
"""What the generated function returns when no question matches, as source."""


@dataclass(frozen=True, slots=True)
class Compiled(Generic[_T]):
    """A generated function, and its source: constants of this file and numbers, nothing that a rule file says."""

    ask: Callable[[Event, CI], _T]
    source: str


_CI: Final = "ci"
_OF_A_CI: Final = "ci."


class Possible(dict[Value, int]):
    """One field's table: value to the bits of the questions that it leaves possible, worked out when first asked."""

    def __init__(self, conditions: Iterable[tuple[int, Condition | None]]) -> None:
        super().__init__()
        self._indifferent = 0
        self._by_value: dict[Value, int] = {}
        self._tests: dict[int, Condition] = {}
        for bit, condition in conditions:
            if condition is None:
                self._indifferent |= bit
            elif condition.only is None:
                self._tests[bit] = condition
            else:
                for value in condition.only:
                    self._by_value[value] = self._by_value.get(value, 0) | bit
        self._tested = sum(self._tests)

    @property
    def tests(self) -> int:
        """How many tests a new value costs."""
        return len(self._tests)

    def __missing__(self, value: Value) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        bits = self[value] = self.narrow(-1, value)
        return bits

    def narrow(self, possible: int, value: Value) -> int:
        """The questions among the possible ones that this value leaves possible; nothing is remembered."""
        bits = possible & (self._indifferent | self._by_value.get(value, 0))
        untested = possible & self._tested
        while untested:
            bit = untested & -untested
            untested ^= bit
            if self._tests[bit].holds(value):
                bits |= bit
        return bits


class OfCI(dict[str, tuple[CI, int]]):
    """What an event's `ci` and the CI's attributes leave possible, by the event's `ci`.

    A CI is told from another of the same name, as a reload may bring it: an entry counts only for its own. `covered`
    adds questions to what a CI leaves possible by itself.
    """

    def __init__(
        self, names: Possible, attributes: Iterable[tuple[Callable[[CI], Value], Possible]], covered: Mapping[CI, int]
    ) -> None:
        super().__init__()
        self._names = names
        self._attributes = tuple(attributes)
        self._covered = covered
        self._same: dict[int, int] = {}  # one object for equal bits: memory, and what the processor has to fetch

    def find(self, name: str, ci: CI) -> int:
        """The questions that are left possible, asked when `get` had no entry for this very object."""
        known = self.get(name)
        if known is not None and known[0] == ci:
            return known[1]
        if len(self) >= REMEMBERED:
            self.clear()
            self._same.clear()
        bits = self.possible(name, ci) | self._covered.get(ci, 0)
        bits = self._same.setdefault(bits, bits)
        self[name] = ci, bits
        return bits

    def possible(self, name: str, ci: CI) -> int:
        """What the name and the CI's own attributes leave possible."""
        bits = -1
        for read, table in self._attributes:
            bits &= table[read(ci)]
        return self._names.narrow(bits, name)


_Looked = tuple[tuple[str, Possible], ...]


class _OfLabels(dict[tuple[str, ...], tuple[int, _Looked, _Looked]]):
    """By an event's label names: what the labels that it does not have leave possible, and which of its to look at.

    Those with few tests first, then those with many.
    """

    def __init__(self, tables: dict[str, Possible]) -> None:
        super().__init__()
        self._tables = tables

    def __missing__(self, names: tuple[str, ...]) -> tuple[int, _Looked, _Looked]:
        bits = -1
        for name, table in self._tables.items():
            if name not in names:
                bits &= table[None]
        looked = [(name, self._tables[name]) for name in names if name in self._tables]
        few = tuple(each for each in looked if each[1].tests <= FEW)
        found = bits, few, tuple(each for each in looked if each[1].tests > FEW)
        if len(names) <= REMEMBERED_LABELS:
            if len(self) >= REMEMBERED:
                self.clear()
            self[names] = found
        return found


class _Conclusions(dict[int, Conclusion[_T]]):
    """By the bits of all questions that match: what follows."""

    def __init__(self, conclude: Callable[[list[int]], Conclusion[_T]]) -> None:
        super().__init__()
        self._conclude = conclude

    def __missing__(self, matching: int) -> Conclusion[_T]:
        if len(self) >= REMEMBERED_CONCLUSIONS:
            self.clear()
        answer = self[matching] = self._conclude(list(numbers(matching)))
        return answer


def numbers(bits: int) -> Iterator[int]:
    """The numbers of these bits, rising."""
    while bits:
        bit = bits & -bits
        bits ^= bit
        yield bit.bit_length() - 1


_FUNCTION: Final = """\
def ask(event, ci):
    possible = every
    {narrowing}
    said, more = answers[possible]
    return said if more is None else more(event, ci)
"""
_TWO_STEPS: Final = "possible = every\n    possible &="
_ONE_STEP: Final = "possible ="
"""The same: whatever the first table says is among all questions."""
_STEP: Final = """\
{step}
    if not possible:
        return {nothing}"""
_OF_CI: Final = """\
known = of_ci.get(event.ci)
    possible &= known[1] if known is not None and known[0] is ci else of_ci.find(event.ci, ci)"""
_OF_LABELS: Final = """\
labels = event.labels
    left, few, many = of_labels[tuple(labels)]
    possible &= left
    for name, table in few:
        possible &= table[labels[name]]"""
_OF_MANY: Final = """\
for name, table in many:
        possible = table.narrow(possible, labels[name])"""


def compiled(
    questions: Sequence[Match],
    conclude: Callable[[list[int]], Conclusion[_T]],
    nothing: Nothing,
    covered: Mapping[CI, int] | None = None,
) -> Compiled[_T]:
    """The function that answers for all questions at once.

    `conclude` hears the numbers of all questions that match an event, rising and at least one; it is asked once for
    each such set, so it must depend on nothing else. `covered` gives, by CI, bits of questions that take the CI as if
    it met their conditions on `ci` and `ci.*`; a CI that is not there is taken by its own fields only.
    """
    tables = _tables(questions)
    labels = {field.removeprefix(LABELS): table for field, table in tables.items() if field.startswith(LABELS)}
    namespace: dict[str, object] = {
        "every": (1 << len(questions)) - 1,
        "of_ci": of_ci(questions, tables, covered or {}),
        "of_labels": _OfLabels(labels),
        "answers": _Conclusions(conclude),
    }
    steps: dict[str, None] = {}  # in order, each once
    for number, (field, table) in enumerate(tables.items()):
        namespace[f"table{number}"] = table
        steps |= dict.fromkeys(_steps(number, field))
        if field.startswith(LABELS) and table.tests > FEW:
            steps[_OF_MANY] = None
    narrowing = "\n    ".join(_STEP.format(step=step, nothing=nothing) for step in steps)
    source = _FUNCTION.format(narrowing=narrowing).replace(_TWO_STEPS, _ONE_STEP)
    exec(compile(source, "<rules>", "exec"), namespace)  # noqa: S102 - made of the constants above, see Compiled.source
    return Compiled(cast("Callable[[Event, CI], _T]", namespace["ask"]), source)


def of_ci(questions: Sequence[Match], tables: Mapping[str, Possible], covered: Mapping[CI, int]) -> OfCI:
    """The one table of all that is asked of CIs."""
    attributes = [
        (attrgetter(field.removeprefix(_OF_A_CI)), table)
        for field, table in tables.items()
        if field.startswith(_OF_A_CI)
    ]
    return OfCI(tables[_CI] if _CI in tables else _table(questions, _CI), attributes, covered)


def matching_cis(questions: Sequence[Match], cis: Iterable[CI]) -> list[list[int]]:
    """By question, the places of the CIs that meet its conditions, which are on `ci` and `ci.*` only."""
    asked = of_ci(questions, _tables(questions), {})
    found: list[list[int]] = [[] for _ in questions]
    for place, ci in enumerate(cis):
        for number in numbers(asked.possible(ci.id, ci)):
            found[number].append(place)
    return found


def _tables(questions: Sequence[Match]) -> dict[str, Possible]:
    """By field, in the order in which they are asked."""
    fields = sorted({field for match in questions for field in match}, key=_turn)
    return {field: _table(questions, field) for field in fields}


def _table(questions: Sequence[Match], field: str) -> Possible:
    return Possible((1 << number, match.get(field)) for number, match in enumerate(questions))


def _steps(number: int, field: str) -> Iterator[str]:
    """What the function does about a field, as source."""
    if field == _CI or field.startswith(_OF_A_CI):
        yield _OF_CI
    elif field.startswith(LABELS):
        yield _OF_LABELS
    elif field in UNREMEMBERED:
        yield f"possible = table{number}.narrow(possible, {FIELDS[field][0]})"
    else:
        yield f"possible &= table{number}[{FIELDS[field][0]}]"


def _turn(field: str) -> tuple[bool, int, str]:
    """The order in which fields are asked: the table's, labels after it, those that are not remembered last."""
    return field in UNREMEMBERED, list(FIELDS).index(field) if field in FIELDS else len(FIELDS), field
