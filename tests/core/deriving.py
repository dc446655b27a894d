"""Rules with a memory, played alone: events that carry marks come in, and what is derived reads as a timetable.

A line is `TIME GROUP` and, where it matters, `step=N`, `value=X`, `id=ID`, `rule=KEY`; the time is the event's own, so
a line with an earlier time than the one above is out of order. `TIME -` lets that time come. What was told is listed
as `TIME fires|ends GROUP: SUMMARY`, with the derived event's own time.
"""

from collections.abc import Callable, Iterable
from difflib import unified_diff
from textwrap import dedent
from typing import Final, Self, TypeVar

import msgspec

from opsbridge.core.decisions import Derived, Shadowed, Withheld
from opsbridge.core.event import Event, Mark
from opsbridge.core.first_level.derivations import Derivations
from opsbridge.core.first_level.lateness import LATENESS_MS
from opsbridge.core.rulebook import Derivation, Heartbeat, Raise, Rulebook, Sequence, Threshold, Trend

START: Final = 1_790_000_000_000
_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}

Rule = TypeVar("Rule", bound=Derivation)

Accept = Callable[[Event], Event | Withheld]


def as_it_is(event: Event) -> Event:
    """Accepts whatever is derived."""
    return event


def everything(_text: str) -> bool:
    """Owns whatever there is."""
    return True


def span(text: str) -> int:
    """`90s`, `200ms`, `2m` or `1h` in milliseconds."""
    unit = next(unit for unit in _UNITS if text.endswith(unit) and text.removesuffix(unit).replace(".", "").isdigit())
    return round(float(text.removesuffix(unit)) * _UNITS[unit])


def clock(time: int) -> str:
    """A time as timetables write it."""
    return f"{(time - START) / 1000:.9g}s"


def raising(summary: str = "", ci: str = "") -> Raise:
    return Raise(class_="Storm", severity=3, summary=summary, ci=ci)


def named(made: Rule, name: str, depth: int = 0, group_by: tuple[str, ...] = ("ci",)) -> Rule:
    """The same rule under another name, and in another place of a chain."""
    return msgspec.structs.replace(made, rule=name, key=f"{name}@1", depth=depth, group_by=group_by)


def book_of(*rules: Derivation) -> Rulebook:
    return Rulebook(derivations={rule.key: rule for rule in rules})


def event_count(at_least: int, timespan: str, resolve_after: str = "0s") -> Threshold:
    return _threshold("event_count", timespan, resolve_after, at_least=at_least, summary="{count} of {limit}")


def value_count(at_least: int, timespan: str, resolve_after: str = "0s") -> Threshold:
    return _threshold("value_count", timespan, resolve_after, at_least=at_least, summary="{count} different")


def measured(
    measure: str, timespan: str, holds: Callable[[float], bool], percentile: float = 0.0, resolve_after: str = "0s"
) -> Threshold:
    made = _threshold(measure, timespan, resolve_after, summary="{value} of {count}")
    return msgspec.structs.replace(made, holds=holds, percentile=percentile)


def _threshold(measure: str, timespan: str, resolve_after: str, *, summary: str, at_least: int = 0) -> Threshold:
    return Threshold(
        rule="r",
        key="r@1",
        raises=raising(summary),
        measure=measure,  # type: ignore[arg-type]  # one of the five, as text
        timespan=span(timespan),
        holds=lambda count: count >= at_least,
        at_least=at_least,
        resolve_after=span(resolve_after),
    )


def in_any_order(steps: int, timespan: str) -> Sequence:
    return _sequence(steps, timespan, ordered=False)


def in_order(steps: int, timespan: str, resolve_after: str = "") -> Sequence:
    return _sequence(steps, timespan, resolve_after, ordered=True)


def missing(steps: int, timespan: str, resolve_after: str = "") -> Sequence:
    return _sequence(steps, timespan, resolve_after, ordered=True, missing=True)


def _sequence(steps: int, timespan: str, resolve_after: str = "", *, ordered: bool, missing: bool = False) -> Sequence:
    return Sequence(
        rule="r",
        key="r@1",
        raises=raising("{count} steps"),
        steps=steps,
        timespan=span(timespan),
        ordered=ordered,
        missing=missing,
        resolve_after=span(resolve_after or timespan),
    )


def heartbeat(overdue_after: str, *expected: str) -> Heartbeat:
    return Heartbeat(
        rule="r", key="r@1", raises=raising("silent"), overdue_after=span(overdue_after), expected=expected
    )


def trend(limit: float, crosses_within: str, over: str, samples: int = 3, *, rising: bool = True) -> Trend:
    return Trend(
        rule="r",
        key="r@1",
        raises=raising("{value} to {limit}"),
        limit=limit,
        rising=rising,
        horizon=span(crosses_within),
        over=span(over),
        samples=samples,
    )


class Desk:
    """The rules of one partition at work, with what they have told so far."""

    def __init__(self, *rules: Derivation, accept: Accept = as_it_is, owns: Callable[[str], bool] = everything) -> None:
        self._made = rules, accept, owns
        self.rules = Derivations(book_of(*rules), accept, owns)
        self.events: list[Event] = []
        self.news: list[Derived | Shadowed | Withheld] = []
        self.saved: dict[bytes, bytes] = {}
        self._place = 0
        self._now = 0

    def play(self, timetable: str) -> Self:
        """Let the lines of a timetable happen, one after the other."""
        for line in timetable.strip().splitlines():
            time, group, *more = line.split()
            options = dict(option.split("=") for option in more)
            at = START + span(time)
            if group != "-":
                self._place += 1
                value = options.get("value")
                mark = Mark(
                    options.get("rule", "r@1"),
                    int(options.get("step", 1)) - 1,
                    group,
                    float(value) if value is not None and value.lstrip("-").replace(".", "").isdigit() else value,
                )
                self.hear(marked(options.get("id", f"e{self._place}"), at, mark), self._place)
            self.advance(at)
        return self

    def hear(self, event: Event, place: int) -> None:
        """Let an event come in, with the watermark that it brings."""
        self.advance(event.time)
        self.rules.hear(event, place)

    def advance(self, now: int) -> None:
        """Let this time come; time does not go back."""
        self._now = max(self._now, now)
        produced = self.rules.advance(self._now)
        self.events += produced.events
        self.news += produced.news

    def later(self, time: str) -> Self:
        """Let so much time pass without anything."""
        self.advance(self._now + span(time))
        return self

    def save(self) -> dict[bytes, bytes]:
        """What the changelog has after all changes."""
        for key, value in self.rules.changes():
            if value is None:
                self.saved.pop(key, None)
            else:
                self.saved[key] = value
        return self.saved

    def restart(self, *rules: Derivation) -> Self:
        """Go on with new derivations, of these rules or the same, that know what was saved."""
        old, accept, owns = self._made
        self.save()
        self._made = rules or old, accept, owns
        self.rules = Derivations(book_of(*self._made[0]), accept, owns)
        self.rules.restore(self.saved.items())
        return self

    def expect(self, wanted: str) -> None:
        """Compare what was told with a table; time goes on until the last line above has been worked on."""
        self.advance(self._now + LATENESS_MS)
        same(lines_of(self.events), dedent(wanted).strip().splitlines())


def lines_of(events: Iterable[Event]) -> list[str]:
    """What was told, as a table."""
    return [
        f"{clock(event.time)} {'fires' if event.firing else 'ends'} {event.fingerprint.split(chr(0x1F), 2)[2]}"
        + (f": {event.summary}" if event.firing else "")
        for event in events
    ]


def same(found: list[str], wanted: list[str]) -> None:
    """Fail as a diff."""
    if found != wanted:
        raise AssertionError("\n".join(["told", *unified_diff(wanted, found, "wanted", "found", lineterm="", n=99)]))


def marked(event: str, time: int, *marks: Mark) -> Event:
    """An event with marks, of the CI that the first mark's group names."""
    ci = marks[0].group
    return Event(event, time, ci, "Any", 3, firing=True, fingerprint=ci, marks=marks)
