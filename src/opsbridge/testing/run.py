"""Tests of rules in virtual time: the production pipeline hears a timetable, and expectations are held against it.

Time passes in seconds, as it does in a worker that hears nothing, so hours cost no more than what falls due in them.
An expectation sees what OpsBridge says of its time: the pipeline hears nothing that happens later, and is given the
time in which late events may still come. The command line and the pytest plugin call this.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import perf_counter
from typing import Final

from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Pipeline, Stage
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.level import LATENESS_MS
from opsbridge.rules import compile_rules
from opsbridge.rules.language.durations import written
from opsbridge.testing.compare import Lines, compared, difference
from opsbridge.testing.load import RuleTest, Suite
from opsbridge.testing.timetable import Expectation
from opsbridge.testing.view import View

_SECOND: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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
    return compile_rules(suite.rules, test.graph).book if len(test.graph) else _without_estate(suite)


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
            views[at] = _seen(test.graph, book, test.timetable.start, test.reports, at)
        for part in _compared(expectation, views[at]):
            whole.wanted.extend(part.wanted)
            whole.found.extend(part.found)
    return Result(test, difference(whole), perf_counter() - began)


def _compared(expectation: Expectation, view: View) -> Iterator[Lines]:
    at = written(expectation.at)
    for title, entries in expectation.lists():
        head = f"at {at}, {title}{' (at least)' if expectation.contains else ''}:"
        lines = compared([entry.said() for entry in entries], view.rows(title), contains=expectation.contains)
        yield Lines(*([head, *(f"  {line}" for line in side or ["(none)"])] for side in lines))


def _seen(graph: CIGraph, book: Rulebook, start: int, reports: tuple[Report, ...], at: int) -> View:
    """What is so at a time: `at` milliseconds after the start."""
    pipeline, view = Pipeline(graph, book), View()
    view.hear(pipeline.expire(start))
    for report in reports:
        time = (report.time - _EPOCH) // timedelta(milliseconds=1)
        if time > start + at:
            break
        _wait(pipeline, view, time)
        view.hear(pipeline.advance([report], time), report.id)
    _wait(pipeline, view, start + at + LATENESS_MS)
    return view


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
