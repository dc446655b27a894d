"""What rules say of an event: a verdict about a firing one, and the marks of rules with memory about any.

Filters come first, then classifications, each in the order of their files; of each kind the first that matches
decides, and a filter that keeps ends the filters. A rule in trial never decides, but is told where it would have: as
the first of its kind. Every rule with memory that matches puts its mark on the event, unless a filter takes the event
away. What a set of matching rules says is worked out once; only marks that carry values are made for each event.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from opsbridge.core.event import Event, Mark, Verdict
from opsbridge.core.graph import CI
from opsbridge.rules.matching.conditions import measured
from opsbridge.rules.matching.questions import Conclusion
from opsbridge.rules.matching.reading import joined, reader
from opsbridge.rules.rule import Ask, Rule

DECIDING: Final = ("filter", "classify")
"""The kinds that decide about an event, in order. All others that ask have a memory."""

Make = Callable[[Event, CI], Mark]


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a rule."""

    rule: Rule
    ask: Ask


def would(rule: Rule) -> str:
    """What a rule that decides does with an event that matches, in one word."""
    if rule.kind == "classify":
        return "classify"
    if not isinstance(rule.says, Verdict):
        return "keep"
    return "drop" if rule.says.drop else "route"


def judgement(questions: Sequence[Question]) -> Callable[[list[int]], Conclusion[Verdict | None]]:
    """What follows for a firing event when just these of the questions match."""
    marks = _Marks(questions)

    def conclude(matching: list[int]) -> Conclusion[Verdict | None]:
        verdict, shadows = _decided([questions[number].rule for number in matching])
        taken = verdict is not None and (verdict.drop or bool(verdict.route))
        fixed, made = ((), ()) if taken else marks.of(matching)
        if not made:
            return (_with(verdict, fixed, shadows) if fixed or shadows else verdict), None
        return None, lambda event, ci: _with(verdict, fixed + tuple([make(event, ci) for make in made]), shadows)

    return conclude


def hearing(questions: Sequence[Question]) -> Callable[[list[int]], Conclusion[tuple[Mark, ...]]]:
    """What follows for a resolution when just these of the questions match."""
    marks = _Marks(questions)

    def conclude(matching: list[int]) -> Conclusion[tuple[Mark, ...]]:
        fixed, made = marks.of(matching)
        if not made:
            return fixed, None
        return None, lambda event, ci: fixed + tuple([make(event, ci) for make in made])

    return conclude


def _decided(rules: Sequence[Rule]) -> tuple[Verdict | None, tuple[str, ...]]:
    """What the rules that match decide, and which of those in trial would have."""
    shadows: list[str] = []
    for kind in DECIDING:
        matching = [rule for rule in rules if rule.kind == kind]
        shadows += [rule.id for rule in matching[:1] if rule.shadow]
        says = next((rule.says for rule in matching if not rule.shadow), None)
        if isinstance(says, Verdict):
            return says, tuple(shadows)
    return None, tuple(shadows)


def _with(verdict: Verdict | None, marks: tuple[Mark, ...], shadows: tuple[str, ...]) -> Verdict:
    if verdict is None:
        return Verdict(marks=marks, shadows=shadows)
    return Verdict(verdict.rule, verdict.drop, verdict.severity, verdict.significance, verdict.route, marks, shadows)


class _Marks:
    """The marks of questions: those that are always the same, and what makes the others."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._of = [None if question.rule.kind in DECIDING else _mark(question) for question in questions]

    def of(self, matching: Iterable[int]) -> tuple[tuple[Mark, ...], tuple[Make, ...]]:
        """In the order of the questions; those that are always the same first."""
        found = [mark for number in matching if (mark := self._of[number]) is not None]
        fixed = tuple(mark for mark in found if isinstance(mark, Mark))
        return fixed, tuple(make for make in found if not isinstance(make, Mark))


def _mark(question: Question) -> Mark | Make:
    ask = question.ask
    name, part = question.rule.mark, ask.part
    if not ask.measures:
        if not ask.group_by:
            return Mark(name, part)
        group = joined(ask.group_by)
        return lambda event, ci: Mark(name, part, group(event, ci))
    group, read = joined(ask.group_by), reader(ask.measures)
    if ask.as_number:
        return lambda event, ci: Mark(name, part, group(event, ci), measured(read(event, ci)))
    return lambda event, ci: Mark(name, part, group(event, ci), read(event, ci))
