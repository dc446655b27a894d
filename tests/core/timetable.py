"""Scenarios in virtual time: what happens reads as a timetable, what should follow as a table that fails as a diff.

A timetable has one line per arrival, `TIME CI CLASS SEVERITY|resolved`; the time is the event's own, so a line with an
earlier time than the one above is a late event. `TIME -` lets that time come without an event. `key=K` gives the alert
a key of its own. A topology has lines `a b -> c -> d` (a and b depend on c, c on d); `x*` marks a service, `x?` a CI
that nothing watches, and `y = x` makes y another name of x. A scenario that checks nothing after it has played fails.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import unified_diff
from itertools import pairwise
from textwrap import dedent
from types import TracebackType
from typing import Final, Literal, Self, cast

from msgspec.structs import replace

from opsbridge.core.classes import Profiles
from opsbridge.core.decisions import Discrepancy, Expired, Moved, Rejected, Transition, Withheld
from opsbridge.core.event import SEVERITIES, Event, Verdict
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.ledger import Ledger
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.policies import Policies
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.core.rulebook import EMPTY, Rulebook
from opsbridge.rules import compile_rules

START: Final = 1_790_000_000_000
"""What a timetable calls 0s."""

FAR: Final = 1 << 50
"""A reader's clock that no event of a scenario is ahead of."""

PROFILES: Final[Profiles] = compile_rules(()).book.profiles
"""What classes mean, as shipped: `Down` is a symptom, `DiskFull` a cause, `NoRequests` travels to providers."""

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}

Severity = Literal["critical", "major", "minor", "warning", "info"]


def no_rules(event: Event, ci: CI) -> Verdict | None:
    """A judge that has nothing to say."""
    return None


def _same(found: list[str], wanted: list[str], what: str) -> None:
    if found != wanted:
        raise AssertionError("\n".join([what, *unified_diff(wanted, found, "wanted", "found", lineterm="", n=99)]))


def graph_of(topology: str) -> CIGraph:
    """The graph that a topology's lines draw."""
    numbers: dict[str, int] = {}
    cis: list[CI] = []
    edges: list[tuple[int, int]] = []
    other_names: list[tuple[str, str]] = []

    def number(word: str) -> int:
        name = word.rstrip("*?")
        if name not in numbers:
            numbers[name] = len(cis)
            cis.append(CI(id=name))
        if name != word:
            cis[numbers[name]] = CI(id=name, service="*" in word, monitored="?" not in word)
        return numbers[name]

    for line in topology.strip().splitlines():
        if "=" in line:
            alias, name = line.split("=")
            other_names.append((alias.strip(), name.strip()))
            continue
        columns = [[number(word) for word in column.split()] for column in line.split("->")]
        for dependents, providers in pairwise(columns):
            edges += [(dependent, provider) for dependent in dependents for provider in providers]
    return CIGraph(cis, edges, aliases={alias: numbers[name] for alias, name in other_names})


def milliseconds(time: str) -> int:
    """`1.5s`, `200ms`, `2m` or `1h` after START, in milliseconds since 1970."""
    unit = next(unit for unit in ("ms", "s", "m", "h") if time.endswith(unit))
    return START + round(float(time.removesuffix(unit)) * _UNITS[unit])


def seconds(time: int) -> str:
    """A time as timetables write it."""
    return f"{(time - START) / 1000:g}s"


def report(number: int, line: str) -> Report:
    """The report that a line of a timetable stands for; its id is `e` and the line's number."""
    time, ci, class_, state, *more = line.split()
    options = dict(option.split("=") for option in more)
    firing = state != "resolved"
    return Report(
        id=f"e{number}",
        time=datetime.fromtimestamp(milliseconds(time) / 1000, UTC),
        ci=ci,
        class_=class_,
        state="firing" if firing else "resolved",
        severity=cast("Severity", state) if firing else None,
        fingerprint=options.get("key"),
    )


def gathered(moves: Iterable[Moved]) -> Moved:
    """What several slices say together: alerts of which a firing joined that has not left, named by fingerprint."""
    firings: dict[tuple[str, int], None] = {}
    names: dict[str, dict[str, None]] = {"cis_joined": {}, "services_joined": {}}
    for moved in moves:
        for member in moved.left:
            firings.pop((member.fingerprint, member.occurrence), None)
        firings.update(dict.fromkeys((member.fingerprint, member.occurrence) for member in moved.joined))
        for column in ("cis", "services"):
            for name in getattr(moved, f"{column}_left"):
                names[f"{column}_joined"].pop(name)
            names[f"{column}_joined"].update(dict.fromkeys(getattr(moved, f"{column}_joined")))
    joined = tuple(dict.fromkeys(fingerprint for fingerprint, _ in firings))
    return Moved(joined, **{column: tuple(found) for column, found in names.items()})  # type: ignore[arg-type]


class Scenario:
    """A pipeline on a small estate, with what it has decided so far; used as a context manager."""

    def __init__(
        self,
        topology: str | CIGraph,
        book: Rulebook = EMPTY,
        policies: Policies = Policies(),  # noqa: B008 - frozen
    ) -> None:
        self._policies = policies
        self.graph = graph_of(topology) if isinstance(topology, str) else topology
        self._book = replace(book, profiles=PROFILES) if book.profiles is EMPTY.profiles else book
        self.pipeline = Pipeline(self.graph, self._book, policies=policies)
        self._saved: dict[bytes, bytes | None] = {}
        self.ledger = Ledger(self.pipeline)
        self.decisions: list[Decision] = []
        self._told_at: list[int] = []
        self._lines = 0
        self._heard: set[str] = set()
        self._unchecked = "has played nothing"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            assert not self._unchecked, f"the scenario {self._unchecked}"
            self._settle_accounts()

    def play(self, timetable: str) -> Self:
        """Let the lines of a timetable happen, one after the other."""
        for line in timetable.strip().splitlines():
            time, what = line.split()[:2]
            self._wait_until(milliseconds(time))
            if what != "-":
                self._lines += 1
                self.hear(report(self._lines, line))
        self._unchecked = "checks nothing after it has played"
        return self

    def restart(self) -> Self:
        """Go on with a new pipeline that knows only what this one has saved."""
        old = self.pipeline
        self._saved.update(old.changes())
        self.pipeline = Pipeline(self.graph, self._book, policies=self._policies, context=old.context)
        self.pipeline.restore((key, value) for key, value in self._saved.items() if value is not None)
        self.pipeline.accounts = old.accounts
        self.ledger.pipeline = self.pipeline
        return self

    def reload(self, book: Rulebook) -> Self:
        """Go on with other rules."""
        self._book = replace(book, profiles=PROFILES) if book.profiles is EMPTY.profiles else book
        return self.restart()

    def expire(self, now: int) -> None:
        """Let this time come, in milliseconds since 1970."""
        self._take(self.pipeline.expire(now))

    def finish(self) -> None:
        """Let the input end: all that was heard is explained and told."""
        self._take(self.pipeline.finish())

    def _wait_until(self, time: int) -> None:
        """Let time pass second by second, so that news carry the second in which they were told."""
        pipeline = self.pipeline
        if pipeline.first.now:
            for now in range(pipeline.first.now // 1000 * 1000 + 1000, time, 1000):
                self.expire(now)
            self.expire(time)

    def hear(self, heard: Report | Withheld | Rejected) -> None:
        """Let one item arrive."""
        decisions = self.pipeline.advance([heard], FAR)
        self._take(decisions)
        for event in self.pipeline.accepted:
            self._heard.add(event.id)
            self.ledger.heard(event.id, event.fingerprint)

    def _take(self, decisions: list[Decision]) -> None:
        self.ledger.told(decisions)
        self.decisions += decisions
        self._told_at += [self.pipeline.first.now] * len(decisions)
        assert self.pipeline.accounts.balanced(), self.pipeline.accounts.places

    def _settle_accounts(self) -> None:
        """Conservation at the end of every scenario: each event heard is in one incident, or waits, or has expired."""
        self.finish()
        assert self.ledger.unexplained() == []
        placed = [event for events in self.ledger.events_by_incident().values() for event in events]
        places = self.pipeline.accounts.places
        waited = sum(decision.events for decision in self.decisions if isinstance(decision, Expired))
        assert len(placed) == len(set(placed)), "an event is in two incidents"
        assert set(placed) <= self._heard
        withheld = sum(
            len(events) for alert, events in self.ledger._events_of.items() if self.ledger._is_suppressed(alert)
        )
        withheld += self.ledger.events_unanswered().total()
        missing = len(self._heard) - len(placed) - waited - withheld
        assert 0 <= missing <= places["alert", "waiting"], "an event is nowhere, or withheld and placed"

    def expect(self, **tables: str) -> Self:
        """Compare tables with what is: `incidents`, `news`, `alerts`, `places`, `discrepancies` or `events`."""
        assert tables, "an expectation that names no table checks nothing"
        for name, wanted in tables.items():
            _same(getattr(self, name)(), dedent(wanted).strip().splitlines(), name)
        self._unchecked = ""
        return self

    def last(self) -> Incident:
        """The only incident, as last told: for what no table shows."""
        (incident,) = self.ledger.incidents.values()
        return incident

    def checked(self) -> None:
        """Say that plain assertions have checked what no table shows."""
        self._unchecked = ""

    # the tables

    def incidents(self) -> list[str]:
        """Every incident as last told: root, class or `silent`, status, severity; its members and affected CIs."""
        lines = []
        for incident in self.ledger.incidents.values():
            moved = self.moved(incident.id)
            members = sorted(member.replace("\x1f", ":") for member in map(str, moved.joined))
            lines += [
                f"{self._title(incident)} {incident.severity}",
                f"  members {' '.join(members)}".rstrip(),
                f"  affects {' '.join(sorted(moved.cis_joined))}",
            ]
        return lines

    def news(self) -> list[str]:
        """Every incident snapshot in the order told: when, which root, status, version and how many alerts fire."""
        return [
            f"{seconds(at)} {self._title(decision)} v{decision.version} {decision.firing}/{decision.alerts}"
            for at, decision in zip(self._told_at, self.decisions, strict=True)
            if isinstance(decision, Incident)
        ]

    def alerts(self) -> list[str]:
        """Every transition of an alert: the event's time, change, alert, severity, reports counted, first seen."""
        return [
            f"{seconds(change.time_ms)} {change.change} {change.fingerprint.replace(chr(0x1F), ':')}"
            f" {SEVERITIES[change.severity]} #{change.occurrence} x{change.count} since {seconds(change.opened_ms)}"
            for change in self.decisions
            if isinstance(change, Transition)
        ]

    def places(self) -> list[str]:
        """Where every event went."""
        places = self.pipeline.accounts.places
        return [f"{place} {reason}: {count}" for (place, reason), count in sorted(places.items()) if count]

    def discrepancies(self) -> list[str]:
        """What configuration management was told."""
        return [f"{found.kind} {found.reference}" for found in self.decisions if isinstance(found, Discrepancy)]

    def events(self) -> list[str]:
        """The ids of the events collapsed into each incident."""
        by_incident = self.ledger.events_by_incident().items()
        return [f"{self.ledger.incidents[name].root.ci}: {' '.join(ids)}" for name, ids in by_incident if ids]

    def moved(self, incident: str) -> Moved:
        """What all the member records of an incident add up to; members are named by their fingerprints."""
        return gathered(
            decision.moved
            for decision in self.decisions
            if isinstance(decision, IncidentMembers) and decision.incident == incident
        )

    def _title(self, incident: Incident) -> str:
        root = incident.root
        title = f"{root.ci} {'silent' if root.silent else root.class_} {incident.status}"
        return title if incident.merged_into is None else f"{title} into {self._root_of(incident.merged_into)}"

    def _root_of(self, incident: str) -> str:
        found = self.ledger.incidents.get(incident)
        return found.root.ci if found else incident
