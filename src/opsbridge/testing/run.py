"""Tests of rules in virtual time: the production pipeline hears a timetable, and expectations are held against it.

Time passes in seconds, as it does in a worker that hears nothing, so hours cost no more than what falls due in them.
An expectation sees what OpsBridge says of its time: the pipeline hears nothing that happens later, and is given the
time in which late events may still come. The command line and the pytest plugin call this.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from operator import itemgetter
from time import perf_counter
from typing import Final

from opsbridge.core.context import ChangeRecord
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Decision, Pipeline, Stage
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.level import LATENESS_MS
from opsbridge.rules import compile_rules
from opsbridge.rules.language.durations import written
from opsbridge.testing.compare import Lines, compared, difference
from opsbridge.testing.load import RuleTest, Suite
from opsbridge.testing.lookup import UnknownError, feedback_of
from opsbridge.testing.spoken import EPOCH, Spoken
from opsbridge.testing.timetable import Expectation
from opsbridge.testing.view import View

_SECOND: Final = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test."""

    test: RuleTest
    difference: str
    """What was wanted and what was found, as a unified diff; empty: it passed."""
    seconds: float
    """How long it took, by the clock on the wall."""

    @property
    def passed(self) -> bool:
        """Whether everything was as it should be."""
        return not self.difference

    @property
    def place(self) -> str:
        """`file:line` of the test."""
        return f"{self.test.path}:{self.test.line}"


def run_tests(suite: Suite, containing: str = "") -> Iterator[Result]:
    """Run the tests of a file whose names contain a text, in their order."""
    for test in suite.tests:
        if containing in test.name:
            yield run_test(test, book_of(suite, test))


def book_of(suite: Suite, test: RuleTest) -> Rulebook:
    """What the rules of the file say on the test's estate; without one, they are compiled once for all tests."""
    if not len(test.graph) and not test.known_errors:
        return _without_estate(suite)
    return compile_rules(suite.rules, test.graph, test.known_errors).book


@lru_cache(maxsize=8)
def _without_estate(suite: Suite) -> Rulebook:
    return compile_rules(suite.rules, CIGraph([], [])).book


def run_test(test: RuleTest, book: Rulebook) -> Result:
    """Run one test with these rules."""
    began = perf_counter()
    whole = Lines([], [])
    views: dict[int, View] = {}
    for expectation in sorted(test.timetable.expect, key=lambda each: each.at):
        at = expectation.at
        if at not in views:
            views[at], unheard = _seen(test, book, at)
            whole.found.extend(line for line in unheard if line not in whole.found)
        for part in _compared(expectation, views[at]):
            whole.wanted.extend(part.wanted)
            whole.found.extend(part.found)
    return Result(test, difference(whole), perf_counter() - began)


def _compared(expectation: Expectation, view: View) -> Iterator[Lines]:
    at = written(expectation.at)
    for title, entries in expectation.lists():
        head = f"at {at}, {title}{' (at least)' if expectation.contains else ''}:"
        wanted = [entry.said() for entry in entries]
        found = view.rows(title, {name for entry in wanted for name in entry})
        lines = compared(wanted, found, contains=expectation.contains)
        yield Lines(*([head, *(f"  {line}" for line in side or ["(none)"])] for side in lines))


_Happening = ChangeRecord | Report | Spoken


def _happenings(test: RuleTest) -> Iterator[tuple[int, str, _Happening]]:
    """(time, name, what happens), in order of time: of the same time, records before events, feedback after them."""
    start = test.timetable.start
    records = [(start + each.at, each.id, each.record(start)) for each in test.timetable.context]
    events = [((each.time - EPOCH) // timedelta(milliseconds=1), each.id, each) for each in test.reports]
    feedback = [
        (start + each.at, each.id or f"f{count}", each) for count, each in enumerate(test.timetable.feedback, 1)
    ]
    happenings: list[tuple[int, str, _Happening]] = [*records, *events, *feedback]
    yield from sorted(happenings, key=itemgetter(0))


def _seen(test: RuleTest, book: Rulebook, at: int) -> tuple[View, list[str]]:
    """What is so at a time, `at` milliseconds after the start, and what was said that nobody could hear."""
    pipeline, view = Pipeline(test.graph, book), View()
    start = test.timetable.start
    unheard: list[str] = []
    view.hear(pipeline.expire(start))
    for time, name, happening in _happenings(test):
        if time > start + at:
            break
        _wait(pipeline, view, time)
        match happening:
            case ChangeRecord():
                pipeline.learn(happening)
            case Report():
                view.hear(pipeline.advance([happening], time), name)
            case Spoken():
                answer = _heard(pipeline, view, happening, name, start)
                if isinstance(answer, str):
                    unheard.append(f"at {written(time - start)}, feedback {name} ({happening.kind}): {answer}")
                else:
                    view.hear(answer)
    _wait(pipeline, view, start + at + LATENESS_MS)
    return view, unheard


def _heard(pipeline: Pipeline, view: View, entry: Spoken, name: str, start: int) -> Sequence[Decision] | str:
    """What follows from what is said, or why nobody can hear it."""
    try:
        return pipeline.heard(feedback_of(entry, name, start, view))
    except UnknownError as unknown:
        return str(unknown)


def _wait(pipeline: Pipeline, view: View, until: int) -> None:
    """Let time pass, stopping at the seconds at which something falls due."""
    now = pipeline.first.now
    while (due := _due(pipeline)) is not None:
        now = -(-max(due, now + 1) // _SECOND) * _SECOND
        if now >= until:
            break
        view.hear(pipeline.expire(now))
    view.hear(pipeline.expire(until))


def _due(pipeline: Pipeline) -> int | None:
    stages: list[Stage] = [pipeline.first, pipeline.second]
    if pipeline.backbone is not None:
        stages.append(pipeline.backbone)
    return min((due for stage in stages if (due := stage.due()) is not None), default=None)
