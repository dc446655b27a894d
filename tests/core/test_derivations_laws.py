"""The laws of derived alerts on random rules and streams: order, cuts, restarts, repetition, forgetting, the model."""

import os
import random
from typing import Final, NamedTuple

import msgspec
import pytest
from derivation_model import Item, Told, told_by
from deriving import (
    START,
    Desk,
    event_count,
    heartbeat,
    in_any_order,
    in_order,
    measured,
    missing,
    named,
    trend,
    value_count,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsbridge.core.calendar import FOREVER
from opsbridge.core.decisions import Withheld
from opsbridge.core.event import Event, Mark
from opsbridge.core.first_level.derivations import Derivations
from opsbridge.core.first_level.lateness import LATENESS_MS
from opsbridge.core.rulebook import Derivation, Heartbeat, Sequence

LAW: Final = settings(
    max_examples=int(os.environ.get("OPSBRIDGE_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

STORM: Final = named(event_count(2, "20s", "7s"), "storm", depth=1, group_by=("labels.all",))
"""Hears what the random rule raises, in one group for all."""

QUIET: Final = named(heartbeat("25s"), "quiet", depth=2)
"""Hears the storm's own alert, firing and resolved."""

_afters = st.sampled_from(["0s", "1ms", "1s", "4s", "13s"])
_spans = st.sampled_from(["1s", "4s", "10s", "13s", "30s"])


@st.composite
def rules(draw: st.DrawFn) -> Derivation:
    """A rule of any kind, over spans of seconds."""
    span, after, number = draw(_spans), draw(_spans), draw(st.integers(1, 4))
    keep = draw(_afters)
    above = draw(st.booleans())
    level = draw(st.sampled_from([0.0, 2.5, 7.0]))

    def holds(value: float) -> bool:
        return value > level if above else value <= level

    kind = draw(st.sampled_from(["count", "values", "sum", "avg", "rank", "any", "order", "missing", "pulse", "line"]))
    match kind:
        case "count":
            return event_count(number, span, keep)
        case "values":
            return value_count(number, span, keep)
        case "sum" | "avg":
            return measured(f"value_{kind}", span, holds, resolve_after=keep)
        case "rank":
            rank = draw(st.sampled_from([5, 50, 95, 99.9, 100]))
            return measured("value_percentile", span, holds, rank, keep)
        case "any":
            return in_any_order(draw(st.integers(2, 3)), span)
        case "order":
            return in_order(draw(st.integers(2, 3)), span, after)
        case "missing":
            return missing(draw(st.integers(2, 3)), span, after)
        case "pulse":
            return heartbeat(span)
        case _:
            limit = draw(st.sampled_from([3.37, 7.77, -2.12]))
            return trend(limit, draw(st.sampled_from(["1013ms", "7013ms"])), span, 3, rising=above)


Life = tuple[Derivation, list[Event]]


class Arrival(NamedTuple):
    """An event, and when it arrives."""

    at: int
    event: Event


_REPORTS: Final = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from(["e0", "e1", "e2", "e3"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, 0.0, 1.0, 2.5, 4.25, -3.0, 7.1]),
        st.sampled_from([(0,), (1,), (2,), (0, 1), (1, 2)]),
    ),
    min_size=1,
    max_size=24,
    unique_by=lambda report: report[:2],
)
"""(second, id, group, value, steps), many at one time."""


@st.composite
def lives(draw: st.DrawFn) -> tuple[Derivation, list[Event]]:
    """A rule, and events that it hears: of a sequence, as steps that it has."""
    rule = draw(rules())
    steps = rule.steps if isinstance(rule, Sequence) else 3
    events = []
    for second, name, group, value, parts in draw(_REPORTS):
        time = START + 60_000 + second * 1_000
        marks = tuple(Mark("r@1", part, group, value) for part in sorted({part % steps for part in parts}))
        events.append(Event(name, time, group, "Any", 3, firing=True, fingerprint=group, marks=marks))
    return rule, events


def arriving(events: list[Event], chance: random.Random) -> list[Arrival]:
    """The events out of order within the lateness, some of them twice."""
    twice = chance.sample(events, len(events) // 4)
    arrivals = [Arrival(event.time + chance.randrange(LATENESS_MS), event) for event in [*events, *twice]]
    chance.shuffle(arrivals)
    return sorted(arrivals, key=lambda arrival: arrival.at)


def chained(event: Event) -> Event | Withheld:
    """Derived alerts are heard by the next rules; one group's firing is informational, and heard all the same."""
    if event.rule == "r" and event.firing:
        heard = msgspec.structs.replace(event, marks=(Mark("storm@1", 0, "all"),))
        if event.ci == "b":
            return Withheld("informational", "rule-i", observed=msgspec.structs.replace(heard, observed=True))
        return heard
    if event.rule == "storm":
        return msgspec.structs.replace(event, marks=(Mark("quiet@1", 0, "all"),))
    return event


def desk_for(rule: Derivation) -> Desk:
    return Desk(rule, STORM, QUIET, accept=chained)


def told(desk: Desk) -> bytes:
    """All that was told, byte for byte."""
    return msgspec.json.encode([desk.events, [[type(news).__name__, news] for news in desk.news]])


def end(desk: Desk) -> None:
    """Long enough that only heartbeats remember anything."""
    desk.advance(START + 60_000 + 600_000)


def play(desk: Desk, events: list[Event]) -> bytes:
    """In order of time, one by one."""
    for place, event in enumerate(sorted(events, key=lambda event: (event.time, event.id)), 1):
        desk.hear(event, place)
    end(desk)
    return told(desk)


@LAW
@given(lives(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_within_the_lateness_changes_nothing(life: Life, chance: random.Random) -> None:
    rule, events = life
    desk = desk_for(rule)
    for place, arrival in enumerate(arriving(events, chance), 1):
        desk.hear(arrival.event, place)
    end(desk)
    assert told(desk) == play(desk_for(rule), events)


@LAW
@given(lives(), st.randoms(use_true_random=False))
def test_the_cuts_of_batches_change_nothing(life: Life, chance: random.Random) -> None:
    rule, events = life
    desk = desk_for(rule)
    arrivals = arriving(events, chance)
    place = 0
    while place < len(arrivals):
        for arrival in arrivals[place : place + chance.randint(1, 6)]:  # a batch: time comes only at its end
            place += 1
            desk.rules.hear(arrival.event, place)
        desk.advance(max(arrival.event.time for arrival in arrivals[:place]))
        if chance.random() < 0.3:
            desk.advance(max(arrival.event.time for arrival in arrivals[:place]))
    end(desk)
    assert told(desk) == play(desk_for(rule), events)


@LAW
@given(lives(), st.randoms(use_true_random=False))
def test_a_restart_changes_nothing_and_what_is_read_again_neither(life: Life, chance: random.Random) -> None:
    """The state is saved at every restart; the events since the last commit, before it, are read again."""
    rule, events = life
    desk = desk_for(rule)
    arrivals = arriving(events, chance)
    now = committed = 0
    for place, arrival in enumerate(arrivals):
        now = max(now, arrival.event.time)
        desk.rules.hear(arrival.event, place)
        if chance.random() < 0.3:
            desk.advance(now)
        if chance.random() < 0.3:
            kept = len(desk.rules)
            desk.restart()
            assert len(desk.rules) == kept
            for again in range(committed, place + 1):
                if now - arrivals[again].event.time < 1_000:  # what no span has forgotten yet
                    desk.rules.hear(arrivals[again].event, again)
            committed = place
    end(desk)
    assert told(desk) == play(desk_for(rule), events)


@LAW
@given(lives())
def test_what_is_told_is_what_the_whole_history_says(life: Life) -> None:
    rule, events = life
    desk = Desk(rule)
    play(desk, events)
    for group in ("a", "b"):
        history = [
            Item(event.time, event.id, mark.part, mark.value if isinstance(mark.value, float) else None)
            for event in events
            for mark in event.marks
            if mark.group == group
        ]
        found: list[Told] = [(event.time, event.firing) for event in desk.events if event.ci == group]
        assert found == told_by(rule, history, desk.rules.now - LATENESS_MS)


@LAW
@given(lives(), st.randoms(use_true_random=False))
def test_nothing_is_remembered_of_what_is_over(life: Life, chance: random.Random) -> None:
    rule, events = life
    desk = Desk(rule)
    for place, arrival in enumerate(arriving(events, chance)):
        desk.hear(arrival.event, place)
    end(desk)
    pulses = len({event.ci for event in events}) if isinstance(rule, Heartbeat) else 0
    assert len(desk.rules) == len(desk.save()) == pulses
    assert desk.rules.due() == FOREVER
    firing = {event.fingerprint: event.firing for event in desk.events}
    assert list(firing.values()).count(True) == pulses, "what fires is over, unless silence goes on"


@LAW
@given(lives(), st.randoms(use_true_random=False))
def test_events_of_any_age_in_any_order_leave_every_alert_in_turn(life: Life, chance: random.Random) -> None:
    """However late: an alert fires and ends in turn, no end is before its beginning, and all is forgotten."""
    rule, events = life
    desk = Desk(rule)
    chance.shuffle(events)
    for place, event in enumerate(events):
        desk.hear(event, place)
    end(desk)
    for group in ("a", "b"):
        turns = [event for event in desk.events if event.ci == group]
        assert [turn.firing for turn in turns] == [index % 2 == 0 for index in range(len(turns))]
        assert all(one.time <= other.time for one, other in zip(turns[::2], turns[1::2], strict=False))
    assert desk.rules.due() == FOREVER


@LAW
@given(lives(), st.randoms(use_true_random=False))
def test_late_events_mean_the_same_in_every_batch(life: Life, chance: random.Random) -> None:
    """If time is told with every event, it does not matter when what follows is asked for."""
    rule, events = life
    chance.shuffle(events)
    one, other = desk_for(rule), desk_for(rule)
    now = 0
    for place, event in enumerate(events):
        one.hear(event, place)
        one.advance(now)
        if event.time > now:
            now = event.time
            other.advance(now)
        other.rules.hear(event, place)
    end(one)
    end(other)
    assert told(one) == told(other)


def test_a_derivation_that_nobody_knows_is_refused() -> None:
    unknown = Derivation(rule="r", key="r@1", raises=event_count(1, "1s").raises)
    with pytest.raises(TypeError, match="r: no detector for a Derivation"):
        Desk(unknown)


def test_time_that_brings_nothing_costs_one_comparison() -> None:
    """Whatever is kept: `advance` answers with the same empty object."""
    desk = Desk(event_count(2, "1h"))
    desk.play("0s a\n10s -")
    rules: Derivations = desk.rules
    assert rules.advance(START + 10_001) is rules.advance(START + 20_000)
