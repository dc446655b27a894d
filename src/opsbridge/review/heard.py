"""What intake made of every event: judged again by the same rules, since no topic tells of it.

Intake remembers nothing, so the answer is what it was. Which events could not be heard is not asked again: the dead
letters say so, and decide.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec.structs import replace

from opsbridge.core.decisions import Rejected, Withheld
from opsbridge.core.event import DEFAULT_SIGNIFICANCE, SIGNIFICANCES, Event, Judge, Verdict
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Intake, Report
from opsbridge.core.pipeline import place_of
from opsbridge.core.rulebook import Rulebook
from opsbridge.review.recorded import Recorded
from opsbridge.review.settled import FAR, settled
from opsbridge.review.told import Told
from opsbridge.sources.inputs import Read

RETURN: Final = "return_to_normal"
NOT_JUDGED: Final = "not_judged"
NONE: Final = "(none)"
"""What an event does not name."""


class Reported(NamedTuple):
    """A report of an alert that went on to the first level."""

    time: int
    firing: bool


class HeardEvents:
    """The events of a review: counted, and those that went on, by fingerprint."""

    def __init__(self, graph: CIGraph, book: Rulebook, told: Told, since: int, read: Read) -> None:
        """`read` makes events of payloads."""
        self.read = 0
        self.unwritten = 0
        """Events that cannot be heard, of which no dead letter tells."""
        self.places: Counter[tuple[str, str]] = Counter()
        """(place, reason) -> events that went no further than intake."""
        self.significance: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.talkers: Counter[str] = Counter()
        self.decided: Counter[tuple[str, str]] = Counter()
        """(rule, what it did) -> events."""
        self.minutes: Counter[int] = Counter()
        """Minutes since 1970 -> events."""
        self.reports: dict[str, list[Reported]] = {}
        self.begins = self.ends = 0
        self._graph = graph
        self._judge = _Remembering(book.judge)
        self._intake = Intake(graph, replace(book, judge=self._judge))
        self._since = since
        self._told = told
        self._read = read

    def hear(self, record: Recorded) -> None:
        """Count the events of one record of an input topic. What is no event counts by the record's time."""
        refusal = self._told.refusal(record)
        refused = 0
        for item in settled(self._read(record.value, record.headers, record.timestamp), refusal):
            answer = self._accept(item) if isinstance(item, Report) else item
            if isinstance(item, Report) and not isinstance(answer, Rejected):
                self._count(item, answer)
                continue
            assert not isinstance(answer, Event)  # noqa: S101 # only reports become events
            refused += isinstance(answer, Rejected)
            if record.timestamp >= self._since:
                self.read += 1
                self.places[place_of(answer)] += 1
                self.significance[NOT_JUDGED] += 1
        if record.timestamp >= self._since:
            self.unwritten += max(0, refused - (0 if refusal is None else refusal.items))

    def _accept(self, report: Report) -> Event | Withheld | Rejected:
        self._judge.verdict = None
        return self._intake.accept(report, FAR)

    def _count(self, report: Report, answer: Event | Withheld) -> None:
        time = answer.time if isinstance(answer, Event) else _time(report)
        if time < self._since:
            return
        number = self._graph.numbers.get(report.ci)
        ci = report.ci if number is None else self._graph.cis[number].id
        self.read += 1
        self.begins, self.ends = min(self.begins or time, time), max(self.ends, time)
        self.minutes[time // 60_000] += 1
        self.classes[report.class_ or NONE] += 1
        self.sources[report.source or NONE] += 1
        self.talkers[ci or NONE] += 1
        verdict = self._judge.verdict
        if isinstance(answer, Withheld):
            self.places[answer.place, answer.reason] += 1
            self.significance[answer.place if answer.place in SIGNIFICANCES else NOT_JUDGED] += 1
        else:
            self.significance[_significance(answer, verdict)] += 1
            self.reports.setdefault(answer.fingerprint, []).append(Reported(time, answer.firing))
        if verdict is not None and verdict.rule:
            self.decided[verdict.rule, _did(verdict, answer)] += 1


def newest(events: Iterable[Recorded], told: Told, read: Read) -> int:
    """The time of the newest event, in milliseconds; of those that could not be heard, none counts."""
    items = (
        item for each in events for item in settled(read(each.value, each.headers, each.timestamp), told.refusal(each))
    )
    return max((_time(one) for one in items if isinstance(one, Report)), default=0)


def _time(report: Report) -> int:
    return round(report.time.timestamp() * 1000)


def _significance(event: Event, verdict: Verdict | None) -> str:
    if not event.firing:
        return RETURN
    told = None if verdict is None else verdict.significance
    return SIGNIFICANCES[DEFAULT_SIGNIFICANCE[event.severity] if told is None else told]


def _did(verdict: Verdict, answer: Event | Withheld) -> str:
    if verdict.drop:
        return "dropped"
    if verdict.route:
        return "routed"
    return "logged_only" if isinstance(answer, Withheld) and answer.place in SIGNIFICANCES else "classified"


class _Remembering:
    """The rules' judge, and what it has said last."""

    def __init__(self, judge: Judge) -> None:
        self.verdict: Verdict | None = None
        self._judge = judge

    def __call__(self, event: Event, ci: CI) -> Verdict | None:
        self.verdict = self._judge(event, ci)
        return self.verdict
