"""Rules to one generated Python function, the judge, whose cost does not grow with rules that cannot match.

Every rule is a bit. For each field that any rule looks at, a table gives the bits of the rules that the event's value
leaves possible; the judge intersects these bits, stopping when none is left. What is asked of a CI is one table, and so
is which labels an event has at all. The lowest bit left is the first rule that matches: filters come before
classifications, each in the order of their files. Tables remember; at a value that is new, and at every summary, what
is not plain equality (`glob`, `not`) is tested rule by rule.
Rules of kind `correlate` are no part of it: `correlation` puts them together, and they travel in the same set.
The core asks the judge for firing events only: creation may be withheld, a resolution never is.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, cast

from opsbridge.core.classes import Join, Profiles
from opsbridge.core.event import Judge
from opsbridge.core.graph import CI
from opsbridge.rules.conditions import FIELDS, LABELS, Condition, Value
from opsbridge.rules.correlation import put_together
from opsbridge.rules.defaults import with_defaults
from opsbridge.rules.load import Rule

REMEMBERED: Final = 65_536
"""How many values a table remembers before it starts anew: memory stays bounded whatever the events bring."""

REMEMBERED_LABELS: Final = 64
"""An event with more labels than this is looked at anew each time, for the same reason."""

UNREMEMBERED: Final = frozenset({"summary", "fingerprint"})
"""Fields whose values hardly come twice: asked last, and only about the rules still possible."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A compiled set; immutable, swapped as a whole."""

    rules: tuple[Rule, ...]
    judge: Judge
    digest: str
    """The same for the same rules in the same order; comments and layout do not count."""
    source: str
    """The judge's generated code; nothing that a rule file says is in it."""
    profiles: Profiles
    """What classes mean for correlation, by these rules and then by the shipped ones."""
    edge_strengths: dict[str, float]
    """How likely a failure passes an edge, by edge type; types that no rule names are missing."""
    joins: tuple[Join, ...]
    """By what to join alerts that no edge connects."""


_CI: Final = "ci"
_OF_A_CI: Final = "ci."


class _Possible(dict[Value, int]):
    """One field's table: value to the bits of the rules that it leaves possible, worked out when first asked for."""

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

    def __missing__(self, value: Value) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        bits = self[value] = self.narrow(-1, value)
        return bits

    def narrow(self, possible: int, value: Value) -> int:
        """The rules among the possible ones that this value leaves possible; nothing is remembered."""
        bits = possible & (self._indifferent | self._by_value.get(value, 0))
        untested = possible & self._tested
        while untested:
            bit = untested & -untested
            untested ^= bit
            if self._tests[bit].holds(value):
                bits |= bit
        return bits


class _OfCI(dict[str, tuple[CI, int]]):
    """What an event's `ci` and the CI's attributes leave possible, by the event's `ci`.

    A CI is told from another of the same name, as a reload may bring it: an entry counts only for its own.
    """

    def __init__(self, names: _Possible, attributes: Iterable[tuple[Callable[[CI], Value], _Possible]]) -> None:
        super().__init__()
        self._names = names
        self._attributes = tuple(attributes)
        self._same: dict[int, int] = {}  # one object for equal bits: memory, and what the processor has to fetch

    def find(self, name: str, ci: CI) -> int:
        """The rules that are left possible, asked when `get` had no entry for this very object."""
        known = self.get(name)
        if known is not None and known[0] == ci:
            return known[1]
        if len(self) >= REMEMBERED:
            self.clear()
            self._same.clear()
        bits = -1
        for read, table in self._attributes:
            bits &= table[read(ci)]
        bits = self._names.narrow(bits, name)
        bits = self._same.setdefault(bits, bits)
        self[name] = ci, bits
        return bits


_Asked = tuple[tuple[str, _Possible], ...]


class _OfLabels(dict[tuple[str, ...], tuple[int, _Asked]]):
    """By an event's label names: what the labels that it does not have leave possible, and which of its to look at."""

    def __init__(self, tables: dict[str, _Possible]) -> None:
        super().__init__()
        self._tables = tables

    def __missing__(self, names: tuple[str, ...]) -> tuple[int, _Asked]:
        bits = -1
        for name, table in self._tables.items():
            if name not in names:
                bits &= table[None]
        found = bits, tuple((name, self._tables[name]) for name in names if name in self._tables)
        if len(names) <= REMEMBERED_LABELS:
            if len(self) >= REMEMBERED:
                self.clear()
            self[names] = found
        return found


_JUDGE: Final = """\
def judge(event, ci):
    possible = every
    {narrowing}
    verdict = verdicts[(possible & -possible).bit_length() - 1]
    if verdict is None:  # a filter that keeps: only classifications are left to ask
        possible &= classify
        if possible:
            verdict = verdicts[(possible & -possible).bit_length() - 1]
    return verdict
"""
_OF_CI: Final = """\
known = of_ci.get(event.ci)
    possible &= known[1] if known is not None and known[0] is ci else of_ci.find(event.ci, ci)"""
_OF_LABELS: Final = """\
labels = event.labels
    left, asked = of_labels[tuple(labels)]
    possible &= left
    for name, table in asked:
        possible &= table[labels[name]]"""
_SILENT: Final = """\
def judge(event, ci):
    return None
"""


def compile_rules(rules: Iterable[Rule]) -> RuleSet:
    """The rule set of these rules, completed by the shipped rules for correlation.

    Without rules, its judge has nothing to say about any event.
    """
    rules = tuple(rules)
    judging = [rule for rule in rules if rule.kind != "correlate"]
    filters_first = sorted(judging, key=lambda rule: rule.kind != "filter")
    numbered = [(1 << number, rule) for number, rule in enumerate(filters_first)]
    namespace: dict[str, object] = {
        "verdicts": tuple(rule.verdict for _, rule in numbered),
        "every": sum(bit for bit, _ in numbered),
        "classify": sum(bit for bit, rule in numbered if rule.kind == "classify"),
    }
    fields = sorted({field for rule in judging for field in rule.match}, key=_turn)
    tables = {field: _Possible((bit, rule.match.get(field)) for bit, rule in numbered) for field in fields}
    namespace["of_ci"] = _OfCI(
        _Possible((bit, rule.match.get(_CI)) for bit, rule in numbered),
        (
            (attrgetter(field.removeprefix(_OF_A_CI)), table)
            for field, table in tables.items()
            if field.startswith(_OF_A_CI)
        ),
    )
    namespace["of_labels"] = _OfLabels(
        {field.removeprefix(LABELS): table for field, table in tables.items() if field.startswith(LABELS)}
    )
    steps: dict[str, None] = {}  # in order, each once
    for number, field in enumerate(fields):
        namespace[f"table{number}"] = tables[field]
        if field == _CI or field.startswith(_OF_A_CI):
            step = _OF_CI
        elif field.startswith(LABELS):
            step = _OF_LABELS
        elif field in UNREMEMBERED:
            step = f"possible = table{number}.narrow(possible, {FIELDS[field][0]})"
        else:
            step = f"possible &= table{number}[{FIELDS[field][0]}]"
        steps[step + "\n    if not possible:\n        return None"] = None
    source = _JUDGE.format(narrowing="\n    ".join(steps)) if judging else _SILENT
    exec(compile(source, "<rules>", "exec"), namespace)  # noqa: S102 - made of the constants above, see RuleSet.source
    digest = hashlib.blake2b("\n".join(rule.text for rule in rules).encode(), digest_size=8).hexdigest()
    correlation = put_together(rule.ground for rule in with_defaults(rules) if rule.ground is not None)
    return RuleSet(
        rules,
        cast("Judge", namespace["judge"]),
        digest,
        source,
        correlation.profiles,
        correlation.edge_strengths,
        correlation.joins,
    )


def _turn(field: str) -> tuple[bool, int, str]:
    """The order in which fields are asked: the table's, labels after it, those that are not remembered last."""
    return field in UNREMEMBERED, list(FIELDS).index(field) if field in FIELDS else len(FIELDS), field
