"""Rules to one generated Python function, the judge, whose cost does not grow with rules that cannot match.

Every rule is a bit. For each field that any rule looks at, a table gives the bits of the rules that the event's value
leaves possible; the judge reads each such field once and intersects these bits, stopping when none is left. The lowest
bit left is the first rule that matches: filters come before classifications, each in the order of their files. Tables
remember values; at a new one, and at every summary, what is not plain equality (`glob`, `not`) is tested rule by rule.
The core asks the judge for firing events only: creation may be withheld, a resolution never is.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

from opsbridge.core.event import Judge
from opsbridge.rules.conditions import FIELDS, LABELS, Condition, Value
from opsbridge.rules.load import Rule

REMEMBERED: Final = 65_536
"""How many values a table remembers before it starts anew: memory stays bounded whatever the events bring."""

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
_SILENT: Final = """\
def judge(event, ci):
    return None
"""


def compile_rules(rules: Iterable[Rule]) -> RuleSet:
    """The rule set of these rules; without rules, its judge has nothing to say about any event."""
    rules = tuple(rules)
    filters_first = sorted(rules, key=lambda rule: rule.kind != "filter")
    numbered = [(1 << number, rule) for number, rule in enumerate(filters_first)]
    namespace: dict[str, object] = {
        "verdicts": tuple(rule.verdict for _, rule in numbered),
        "every": sum(bit for bit, _ in numbered),
        "classify": sum(bit for bit, rule in numbered if rule.kind == "classify"),
    }
    steps = []
    for number, field in enumerate(sorted({field for rule in rules for field in rule.match}, key=_turn)):
        namespace[f"table{number}"] = _Possible((bit, rule.match.get(field)) for bit, rule in numbered)
        namespace[f"label{number}"] = field.removeprefix(LABELS)
        value = FIELDS[field][0] if field in FIELDS else f"event.labels.get(label{number})"
        if field in UNREMEMBERED:
            steps.append(f"possible = table{number}.narrow(possible, {value})")
        else:
            steps.append(f"possible &= table{number}[{value}]")
        steps.append("if not possible:\n        return None")
    source = _JUDGE.format(narrowing="\n    ".join(steps)) if rules else _SILENT
    exec(compile(source, "<rules>", "exec"), namespace)  # noqa: S102 - made of the constants above, see RuleSet.source
    digest = hashlib.blake2b("\n".join(rule.text for rule in rules).encode(), digest_size=8).hexdigest()
    return RuleSet(rules, cast("Judge", namespace["judge"]), digest, source)


def _turn(field: str) -> tuple[bool, int, str]:
    """The order in which fields are asked: the table's, labels after it, those that are not remembered last."""
    return field in UNREMEMBERED, list(FIELDS).index(field) if field in FIELDS else len(FIELDS), field
