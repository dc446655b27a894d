"""The three invariants of suppression, over random timetables and gates: the first level against brute force.

Creation may be withheld, resolution is always delivered; neither the order of arrival, nor batches, restarts and
reloads change anything; what is withheld is listed, with the reason.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from estates import LAW
from opsbridge.core.calendar import AnyOf, Span, Windows
from opsbridge.core.decisions import Outcome, Suppressed
from opsbridge.core.event import Event, Mark
from opsbridge.core.first_level.lateness import LATENESS_MS
from opsbridge.core.first_level.level import FirstLevel, Heard
from opsbridge.core.rulebook import Flapping, Gate, Hold, Maintenance, Rulebook

S: Final = 1_000
BEGIN: Final = 1_000_000 * S
FAR: Final = BEGIN + 100_000 * S
"""When everything is settled."""


@st.composite
def books(draw: st.DrawFn) -> Rulebook:
    """One gate of each kind, or not: hold a, flapping b, maintenance c."""
    gates: list[Gate] = []
    if draw(st.booleans()):
        gates.append(Hold(rule="a", for_ms=draw(st.integers(1, 40)) * S))
    if draw(st.booleans()):
        leave = draw(st.integers(0, 3))
        gates.append(
            Flapping(
                rule="b",
                enter=leave + draw(st.integers(1, 3)),
                leave=leave,
                within=draw(st.integers(1, 60)) * S,
            )
        )
    if draw(st.booleans()):
        spans = draw(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 60)), min_size=1, max_size=3))
        windows: tuple[Windows, ...] = tuple(
            Span(BEGIN + begin * S, BEGIN + (begin + length) * S) for begin, length in spans
        )
        gates.append(Maintenance(rule="c", windows=AnyOf(windows)))
    return Rulebook(gates={gate.rule: gate for gate in gates})


@st.composite
def reports(draw: st.DrawFn) -> list[Event]:
    """Reports of two alerts, in order of time, some at the same; the first has all gates, the second none."""
    made: list[Event] = []
    time = BEGIN
    for number in range(draw(st.integers(1, 16))):
        time += draw(st.sampled_from((0, 1, 500, 1 * S, 2 * S, 3 * S, 6 * S, 11 * S, 30 * S)))
        fingerprint = draw(st.sampled_from(("gated", "gated", "gated", "plain")))
        fires = draw(st.booleans())
        marks = tuple(Mark(rule) for rule in "abc") if fires and fingerprint == "gated" else ()
        made.append(Event(f"e{number:02}", time, "ci", fingerprint, 2 + number % 3, fires, fingerprint, marks=marks))
    return made


lives = st.tuples(books(), reports())
randoms = st.randoms(use_true_random=False)


def shuffled(events: Sequence[Event], chance: random.Random) -> list[Event]:
    """In another order of arrival: none is later than the lateness allows."""
    return sorted(events, key=lambda event: event.time + chance.randrange(LATENESS_MS))


def play(book: Rulebook, events: Sequence[Event]) -> list[Heard]:
    """One event after the other, and time passes at last."""
    first = FirstLevel(book)
    return [first.advance([event], place) for place, event in enumerate(events)] + [first.expire(FAR)]


def told(heard: Iterable[Heard], fingerprint: str = "gated") -> list[tuple[str, int, int, int]]:
    """The transitions of an alert, without what they say of reports."""
    return [
        (change.change, change.time_ms - BEGIN, change.opened_ms - BEGIN, change.occurrence)
        for each in heard
        for change in each.transitions
        if change.fingerprint == fingerprint
    ]


@LAW
@given(lives)
def test_creation_may_be_withheld_but_resolution_is_always_told(life: tuple[Rulebook, list[Event]]) -> None:
    """Openings and resolutions of what is told alternate; every firing withheld that ends is resolved, by name."""
    book, events = life
    first = FirstLevel(book)
    open_: set[str] = set()
    listed: dict[str, Suppressed] = {}
    position: dict[str, int] = {}
    for place, event in [*enumerate(events), (len(events), None)]:
        heard = first.expire(FAR) if event is None else first.advance([event], place)
        for news in heard.news:
            if isinstance(news, Suppressed):
                assert (news.state == "withheld") is (news.fingerprint not in listed) or listed[
                    news.fingerprint
                ] != news
                if news.state == "withheld":
                    listed[news.fingerprint] = news
                else:
                    del listed[news.fingerprint]
        for change in heard.transitions:
            assert change.position > position.get(change.fingerprint, -1)
            position[change.fingerprint] = change.position
            if change.change in ("opened", "renewed"):
                assert change.change == "renewed" or change.fingerprint not in open_
                open_.add(change.fingerprint)
            elif change.change == "resolved":
                open_.discard(change.fingerprint)
    for fingerprint in ("gated", "plain"):
        fired = max((event.time for event in events if event.fingerprint == fingerprint and event.firing), default=-1)
        cleared = max((e.time for e in events if e.fingerprint == fingerprint and not e.firing), default=-1)
        assert (fingerprint in open_) is (fired > cleared), "in the end, what fires is open and what does not is not"
    assert not listed


@LAW
@given(lives, st.integers(0, 30))
def test_everything_withheld_is_listed_with_the_reason(life: tuple[Rulebook, list[Event]], idle: int) -> None:
    """At any moment the alerts that fire are those told as open and those listed."""
    book, events = life
    first = FirstLevel(book)
    open_: set[str] = set()
    listed: dict[str, str] = {}
    firing: dict[str, tuple[int, int]] = {}
    waiting = accounted = 0
    for place, event in enumerate(events):
        steps = [first.advance([event], place), first.expire(event.time + idle * S // 10)]
        fired, cleared = firing.get(event.fingerprint, (-1, -1))
        firing[event.fingerprint] = (
            (max(fired, event.time), cleared) if event.firing else (fired, max(cleared, event.time))
        )
        for heard in steps:
            waiting += heard.outcomes.count(Outcome.WITHHELD)
            for change in heard.transitions:
                (open_.discard if change.change == "resolved" else open_.add)(change.fingerprint)
            for news in heard.news:
                if not isinstance(news, Suppressed):
                    continue
                assert isinstance(book.gates[news.rule], Hold | Flapping | Maintenance)
                assert type(book.gates[news.rule]).__name__.lower() == news.kind
                if news.state == "withheld":
                    listed[news.fingerprint] = news.rule
                else:
                    accounted += news.events
                    del listed[news.fingerprint]
        assert not open_ & listed.keys()
        fires = {fingerprint for fingerprint, (fired, cleared) in firing.items() if fired > cleared}
        assert fires <= open_ | listed.keys()
        ending = {name for name, (_, cleared) in firing.items() if cleared > first.now - LATENESS_MS}
        assert open_ | listed.keys() <= fires | ending
        assert waiting >= accounted
    accounted += sum(
        news.events for news in first.expire(FAR).news if isinstance(news, Suppressed) and news.state != "withheld"
    )
    assert waiting == accounted


@LAW
@given(lives, randoms)
def test_batches_restarts_and_reloads_change_nothing(life: tuple[Rulebook, list[Event]], chance: random.Random) -> None:
    """To the letter: outcomes, transitions and news are the same."""
    book, events = life
    events = shuffled(events, chance)
    peaceful = play(book, events)
    first = FirstLevel(book)
    saved: dict[bytes, bytes | None] = {}
    disturbed: list[Heard] = []
    place = 0
    while place < len(events):
        size = chance.randint(1, 4)
        disturbed.append(first.advance(events[place : place + size], place))
        place += size
        saved.update(first.changes())
        if chance.random() < 0.5:
            entries = [(key, value) for key, value in saved.items() if value is not None]
            first = FirstLevel(book)
            first.restore(chance.sample(entries, len(entries)))
    disturbed.append(first.expire(FAR))
    for field in ("outcomes", "transitions", "news", "elsewhere"):
        assert [x for heard in disturbed for x in getattr(heard, field)] == [
            x for heard in peaceful for x in getattr(heard, field)
        ]


@LAW
@given(lives, randoms)
def test_while_an_alert_is_withheld_the_order_of_arrival_changes_nothing(
    life: tuple[Rulebook, list[Event]], chance: random.Random
) -> None:
    """A hold longer than all, or a window around all: every opening is withheld, and what is told is the same."""
    book, events = life
    last = events[-1].time
    gate = chance.choice(
        [
            Hold(rule="a", for_ms=last - BEGIN + chance.choice((1, 10 * S))),
            Maintenance(rule="c", windows=Span(BEGIN - S, last + chance.choice((1, 10 * S)))),
        ]
    )
    book = Rulebook(gates={**book.gates, gate.rule: gate})
    assert told(play(book, shuffled(events, chance))) == told(play(book, events))


@LAW
@given(lives, randoms)
def test_in_the_end_the_order_of_arrival_changes_nothing(
    life: tuple[Rulebook, list[Event]], chance: random.Random
) -> None:
    """What is open in the end is the same; and with a hold, all that is told up to the first opening."""
    book, events = life

    def state(heard: list[Heard]) -> bool:
        changes = [change for change, *_ in told(heard) if change != "escalated"]
        return bool(changes) and changes[-1] != "resolved"

    other, ordered = play(book, shuffled(events, chance)), play(book, events)
    assert state(other) == state(ordered)
    if isinstance(book.gates.get("a"), Hold):
        assert _to_first_opening(told(other)) == _to_first_opening(told(ordered))


def _to_first_opening(changes: list[tuple[str, int, int, int]]) -> list[tuple[str, int, int, int]]:
    end = next((number + 1 for number, (change, *_) in enumerate(changes) if change == "opened"), len(changes))
    return changes[:end]


def change_times(events: Sequence[Event]) -> list[int]:
    """Of reports in order, the times of openings and resolutions."""
    changes: list[int] = []
    fires = False
    for event in sorted(events, key=lambda event: (event.time, not event.firing)):
        if event.firing != fires and not (event.firing and changes and changes[-1] == event.time):
            fires = event.firing
            changes.append(event.time)
    return changes


def hold_model(events: Sequence[Event], for_ms: int) -> list[tuple[str, int, int]]:
    """What a hold tells, from its definition: a firing counts when it is not over by then."""
    changes = change_times([event for event in events if event.fingerprint == "gated"])
    found: list[tuple[str, int, int]] = []
    for number in range(0, len(changes), 2):
        began = changes[number]
        over = changes[number + 1] if number + 1 < len(changes) else None
        if over is None or over > began + for_ms:
            found.append(("opened", began + for_ms - BEGIN, began - BEGIN))
        if over is not None:
            found.append(("resolved", over - BEGIN, began - BEGIN))
    return found


@LAW
@given(reports(), st.integers(1, 40))
def test_a_hold_is_what_its_definition_says(events: list[Event], seconds: int) -> None:
    book = Rulebook(gates={"a": Hold(rule="a", for_ms=seconds * S)})
    found = [change[:3] for change in told(play(book, events)) if change[0] != "escalated"]
    assert found == hold_model(events, seconds * S)


def flapping_model(events: Sequence[Event], gate: Flapping) -> list[tuple[str, int, int]]:
    """What flapping tells, change by change."""
    changes = change_times([event for event in events if event.fingerprint == "gated"])
    found: list[tuple[str, int, int]] = []
    flapping = False

    def count(now: int, upto: int) -> int:
        return sum(now - gate.within < change <= now for change in changes[: upto + 1])

    for number, time in enumerate(changes):
        if flapping and number and min(count(time, number) - 1, count(time, number - 1)) <= gate.leave:
            flapping = False
        flapping = flapping or count(time, number) >= gate.enter
        if number % 2:
            found.append(("resolved", time - BEGIN, changes[number - 1] - BEGIN))
            continue
        over = changes[number + 1] if number + 1 < len(changes) else FAR
        if not flapping:
            found.append(("opened", time - BEGIN, time - BEGIN))
            continue
        calm = next(
            change + gate.within
            for change in changes[: number + 1]
            if change + gate.within > time and count(change + gate.within, number) <= gate.leave
        )
        if calm < over:
            found.append(("opened", calm - BEGIN, time - BEGIN))
    return found


@LAW
@given(reports(), st.integers(0, 3), st.integers(1, 3), st.integers(1, 60))
def test_flapping_is_what_its_definition_says(events: list[Event], leave: int, more: int, within: int) -> None:
    events = apart(events)
    gate = Flapping(rule="b", enter=leave + more, leave=leave, within=within * S)
    found = [change[:3] for change in told(play(Rulebook(gates={"b": gate}), events)) if change[0] != "escalated"]
    assert found == flapping_model(events, gate)


def maintenance_model(events: Sequence[Event], windows: Windows) -> list[tuple[str, int, int]]:
    """What maintenance tells: a firing that begins in a window begins when that ends, if it is not over by then."""
    changes = change_times(events)
    found: list[tuple[str, int, int]] = []
    for number in range(0, len(changes), 2):
        began = changes[number]
        over = changes[number + 1] if number + 1 < len(changes) else None
        end = windows.end(began) or began
        counts = over is None or over > end
        if counts:
            found.append(("opened", end - BEGIN, end - BEGIN))
        if over is not None:
            found.append(("resolved", over - BEGIN, (end if counts else began) - BEGIN))
    return found


@LAW
@given(reports(), st.lists(st.tuples(st.integers(0, 100), st.integers(1, 60)), max_size=3))
def test_maintenance_is_what_its_definition_says(events: list[Event], spans: list[tuple[int, int]]) -> None:
    events = apart(events)
    windows = AnyOf(tuple(Span(BEGIN + begin * S, BEGIN + (begin + length) * S) for begin, length in spans))
    book = Rulebook(gates={"c": Maintenance(rule="c", windows=windows)})
    found = [change[:3] for change in told(play(book, events)) if change[0] != "escalated"]
    assert found == maintenance_model(events, windows)


def apart(events: Sequence[Event]) -> list[Event]:
    """The gated alert's reports, no two of one moment: those have scenarios of their own."""
    return list({event.time: event for event in events if event.fingerprint == "gated"}.values())
