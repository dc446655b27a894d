"""What intake made of every event: judged again by the same rules, since no topic tells of it.

Intake remembers nothing, so the answer is what it was. Which events could not be heard is not asked again: the dead
letters say so, and decide.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from opsbridge.core.decisions import Rejected, Withheld
from opsbridge.core.event import DEFAULT_SIGNIFICANCE, INFORMATIONAL, SIGNIFICANCES, Event, Judge, Verdict
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Intake, Report
from opsbridge.core.rulebook import Rulebook
from opsbridge.review.recorded import Recorded
from opsbridge.review.told import DeadLetter, Place, Told
from opsbridge.sources.canonical import decode

FAR: Final = 1 << 60
"""A clock that no event is ahead of: those that were ahead of the real one are dead letters."""

RETURN: Final = "return_to_normal"
NOT_JUDGED: Final = "not_judged"


class Reported(NamedTuple):
    """A report of an alert that went on to the first level."""

    time: int
    firing: bool
    ci: str


class HeardEvents:
    """The events of a review: counted, and those that went on, by fingerprint."""

    def __init__(self, graph: CIGraph, book: Rulebook, dead: Mapping[Place, DeadLetter], since: int = 0) -> None:
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
        self._dead: dict[tuple[int, int], dict[str, str]] = {}
        for place, letter in dead.items():
            if letter.stage == "intake":
                self._dead.setdefault((place.partition, place.offset), {})[place.topic] = letter.reason

    def hear(self, record: Recorded) -> None:
        """Count one record of an input topic. One that is no event counts by the record's time."""
        reason = self._refused(record)
        if reason is None:
            report = decode(record.value)
            answer = report if isinstance(report, Rejected) else self._accept(report)
            if isinstance(report, Report) and not isinstance(answer, Rejected):
                self._count(report, answer)
                return
            reason = str(answer.reason) if isinstance(answer, Rejected) else ""
            self.unwritten += record.timestamp >= self._since
        if record.timestamp >= self._since:
            self.read += 1
            self.places["dead_letter", reason] += 1
            self.significance[NOT_JUDGED] += 1

    def _refused(self, record: Recorded) -> str | None:
        """The reason that a dead letter gives; by partition and offset alone where the topic's name is not known."""
        letters = self._dead.get((record.partition, record.offset))
        if not letters:
            return None
        return letters.get(record.topic) if record.topic else next(iter(letters.values()))

    def _accept(self, report: Report) -> Event | Withheld | Rejected:
        self._judge.verdict = None
        return self._intake.accept(report, FAR)

    def _count(self, report: Report, answer: Event | Withheld) -> None:
        time = answer.time if isinstance(answer, Event) else round(report.time.timestamp() * 1000)
        if time < self._since:
            return
        number = self._graph.numbers.get(report.ci)
        ci = report.ci if number is None else self._graph.cis[number].id
        self.read += 1
        self.begins, self.ends = min(self.begins or time, time), max(self.ends, time)
        self.minutes[time // 60_000] += 1
        self.classes[report.class_] += 1
        self.sources[report.source or "(none)"] += 1
        self.talkers[ci] += 1
        verdict = self._judge.verdict
        if isinstance(answer, Withheld):
            self.places[answer.place, answer.reason] += 1
            self.significance[SIGNIFICANCES[0] if answer.place == "informational" else NOT_JUDGED] += 1
        else:
            self.significance[_significance(answer, verdict)] += 1
            self.reports.setdefault(answer.fingerprint, []).append(Reported(time, answer.firing, ci))
        if verdict is not None and verdict.rule:
            self.decided[verdict.rule, _did(verdict, answer)] += 1


def newest(events: Iterable[Recorded], told: Told) -> int:
    """The time of the newest event, in milliseconds; of those that a dead letter names, none counts."""
    buried = {(place.partition, place.offset) for place, letter in told.dead.items() if letter.stage == "intake"}
    reports = (decode(each.value) for each in events if (each.partition, each.offset) not in buried)
    return max((round(one.time.timestamp() * 1000) for one in reports if isinstance(one, Report)), default=0)


def _significance(event: Event, verdict: Verdict | None) -> str:
    if not event.firing:
        return RETURN
    told = verdict.significance if verdict is not None and verdict.significance is not None else None
    return SIGNIFICANCES[DEFAULT_SIGNIFICANCE[event.severity] if told is None else told]


def _did(verdict: Verdict, answer: Event | Withheld) -> str:
    if verdict.drop:
        return "dropped"
    if verdict.route:
        return "routed"
    withheld = isinstance(answer, Withheld) and answer.place == SIGNIFICANCES[INFORMATIONAL]
    return "logged_only" if withheld else "classified"


class _Remembering:
    """The rules' judge, and what it has said last."""

    def __init__(self, judge: Judge) -> None:
        self.verdict: Verdict | None = None
        self._judge = judge

    def __call__(self, event: Event, ci: CI) -> Verdict | None:
        self.verdict = self._judge(event, ci)
        return self.verdict
