"""The tests that rule files carry, ready to be run: what is wrong with any of them is reported at once, with its place.

A test runs with the rules of its own file and the shipped ones, on the small estate that it brings itself. Errors:
RuleError, as for the rules. `opsbridge rules test` and the pytest plugin call this.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec
from pydantic import ValidationError

from opsbridge.core.decisions import Rejected
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Report
from opsbridge.documents import Fault, Finding, Spot, dotted, from_validation
from opsbridge.documents.text import Loc
from opsbridge.rules import Rule, RuleError, RuleTests, load_rules
from opsbridge.rules.compile import edge_strengths
from opsbridge.rules.known_errors import Documented, read_entries
from opsbridge.rules.language.fields import PATTERNS
from opsbridge.rules.load import lines_of, placed
from opsbridge.sources.canonical import decode
from opsbridge.testing.estate import estate
from opsbridge.testing.spoken import moment
from opsbridge.testing.timetable import Arrival, Timetable, known_fields
from opsbridge.topology.strength import edge_costs


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test."""

    rule: str
    """The id of the rule that carries it."""
    path: str
    line: int
    """Where it begins, from 1."""
    timetable: Timetable
    reports: tuple[Report, ...]
    """What arrives, in order of time."""
    graph: CIGraph
    known_errors: tuple[Documented, ...] = ()

    @property
    def name(self) -> str:
        """What it is called: the rule, and what it shows."""
        return f"{self.rule}::{self.timetable.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Suite:
    """A rule file: its rules, and their tests."""

    path: str
    rules: tuple[Rule, ...]
    tests: tuple[RuleTest, ...]


@dataclass(frozen=True, slots=True)
class Suites:
    """What was loaded, and what is odd about it."""

    suites: tuple[Suite, ...]
    findings: tuple[Finding, ...]

    @property
    def untested(self) -> list[str]:
        """The rules that carry no test."""
        tested = {test.rule for suite in self.suites for test in suite.tests}
        return [rule.id for suite in self.suites for rule in suite.rules if rule.id not in tested]


def load_tests(paths: Iterable[str | os.PathLike[str]]) -> Suites:
    """The rule files among these files and directories with their tests; RuleError if anything is wrong in any."""
    files = load_rules(paths)
    rules: dict[str, list[Rule]] = {}
    for rule in files.rules:
        rules.setdefault(rule.path, []).append(rule)
    costs = {path: edge_costs(edge_strengths(own)) for path, own in rules.items()}
    faults: list[Fault] = []
    read = [
        (carried, index, _Reader(carried, index, costs[carried.spot.document.path], faults).test(said))
        for carried in files.tests
        for index, said in enumerate(carried.said)
    ]
    for carried in files.tests:
        faults += _repeated_names(carried)
    findings = [*files.findings, *placed(faults)]
    if any(finding.level == "error" for finding in findings):
        raise RuleError(findings)
    lines = lines_of(_at(carried, index) for carried, index, _ in read)
    tests: dict[str, list[RuleTest]] = {}
    for carried, index, test in read:
        if test is not None:
            path, line = carried.spot.document.path, lines.get(_at(carried, index), 0)
            tests.setdefault(path, []).append(RuleTest(carried.rule, path, line, *test))
    suites = tuple(Suite(path, tuple(own), tuple(tests.get(path, ()))) for path, own in rules.items())
    return Suites(suites, tuple(findings))


def _at(carried: RuleTests, index: int, *below: str | int) -> Spot:
    """Where a test stands, or something in it."""
    return Spot(carried.spot.document, (*carried.spot.loc, index, *below))


def _repeated_names(carried: RuleTests) -> Iterator[Fault]:
    first: dict[object, Spot] = {}
    for index, said in enumerate(carried.said):
        name, spot = said.get("name"), _at(carried, index, "name")
        if isinstance(name, str) and first.setdefault(name, spot) is not spot:
            subject = f"rule {carried.rule}: tests[{index}].name"
            yield Fault(spot, subject, "is taken by another test, at", related=first[name])


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one test; what is wrong goes to `faults`."""

    carried: RuleTests
    index: int
    costs: Mapping[str, int]
    faults: list[Fault]

    def test(
        self, said: Mapping[str, object]
    ) -> tuple[Timetable, tuple[Report, ...], CIGraph, tuple[Documented, ...]] | None:
        """What the test says, what arrives, on which estate, and its known errors; None if it cannot be used."""
        try:
            timetable = Timetable.model_validate(said)
        except ValidationError as invalid:
            for loc, key, message in from_validation(invalid, known_fields, PATTERNS):
                self.complain(loc, message, key=key)
            return None
        return timetable, self.reports(timetable), self.graph(timetable), self.known_errors(timetable)

    def complain(self, loc: Loc, message: str, *, key: bool = False) -> None:
        """Say what is wrong at a place of the test."""
        spot = _at(self.carried, self.index, *loc)
        self.faults.append(Fault(Spot(spot.document, spot.loc, key), self.subject(dotted(loc)), message))

    def subject(self, below: str) -> str:
        """How a place of the test is named."""
        return ".".join(filter(None, (f"rule {self.carried.rule}: tests[{self.index}]", below)))

    def graph(self, timetable: Timetable) -> CIGraph:
        """The estate of the test; an empty one if it brings none."""
        if timetable.topology is None:
            return CIGraph([], [])
        graph, faults = estate(timetable.topology, _at(self.carried, self.index, "topology"), self.costs)
        for fault in faults:
            subject = self.subject(".".join(filter(None, ("topology", fault.subject))))
            self.faults.append(replace(fault, subject=subject))
        return graph

    def known_errors(self, timetable: Timetable) -> tuple[Documented, ...]:
        """The known errors that the test brings."""
        entries = [
            (_at(self.carried, self.index, "known_errors", number), said)
            for number, said in enumerate(timetable.known_errors)
        ]
        return read_entries(entries, self.subject("known_errors"), self.faults)

    def reports(self, timetable: Timetable) -> tuple[Report, ...]:
        """The events as their source would send them, in order of time."""
        timed: list[tuple[int, Report]] = []
        for number, arrival in enumerate(timetable.events, 1):
            for time, name in _times(arrival, arrival.id or f"e{number}"):
                report = decode(_payload(arrival, name, timetable.start + time))
                if isinstance(report, Rejected):
                    self.complain(("events", number - 1), report.detail)
                    break
                timed.append((time, report))
        return tuple(report for _, report in sorted(timed, key=lambda each: each[0]))


def _times(arrival: Arrival, name: str) -> Iterator[tuple[int, str]]:
    if arrival.every is None or arrival.times is None:
        yield arrival.at, name
        return
    for count in range(arrival.times):
        yield arrival.at + count * arrival.every, f"{name}.{count + 1}"


def _payload(arrival: Arrival, name: str, time: int) -> bytes:
    said = arrival.model_dump(by_alias=True, exclude_none=True, exclude={"at", "every", "times"})
    return msgspec.json.encode({**said, "id": name, "time": moment(time).isoformat()})
