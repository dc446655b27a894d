"""Windows against brute force: minute by minute around the days on which clocks are put forward and back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.core.calendar import DAY, FOREVER, WEEK, AnyOf, ServiceTime, Span, Windows

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = 60_000
SPRING, AUTUMN = (int(datetime(2026, month, day, tzinfo=UTC).timestamp()) * 1000 for month, day in ((3, 28), (10, 24)))
"""A Saturday at 00:00 UTC; the night after it, Berlin's clocks go forward at 01:00 UTC, or back."""

LIMIT = 500


def first_outside(windows: ServiceTime, now: int) -> int | None:
    """Minute by minute."""
    if not windows.covers(now):
        return None
    return next(time for time in range(now, now + 9 * DAY * MINUTE, MINUTE) if not windows.covers(time))


def first_begin(windows: ServiceTime, after: int) -> int | None:
    """Minute by minute."""
    return next(
        (
            time
            for time in range(after // MINUTE * MINUTE, after + 8 * DAY * MINUTE, MINUTE)
            if time > after and windows.covers(time) and not windows.covers(time - MINUTE)
        ),
        None,
    )


def weekend(*spans: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Windows of Saturday and Sunday, in minutes from Saturday 00:00."""
    return tuple((5 * DAY + begin, 5 * DAY + end) for begin, end in spans)


CLOCK_WINDOWS = [
    weekend((22 * 60, DAY + 4 * 60)),
    weekend((DAY + 60, DAY + 150)),
    weekend((DAY + 120, DAY + 150)),
    weekend((DAY + 150, DAY + 240)),
    weekend((DAY + 130, DAY + 140), (DAY + 150, DAY + 170)),
    ((0, 120), *weekend((DAY + 1200, 2 * DAY))),
    ((0, 5 * DAY), *weekend((600, 2 * DAY))),
]


@pytest.mark.parametrize("windows", CLOCK_WINDOWS)
@pytest.mark.parametrize("saturday", [SPRING, AUTUMN])
def test_a_window_ends_when_the_clock_on_the_wall_leaves_it(
    windows: tuple[tuple[int, int], ...], saturday: int
) -> None:
    hours = ServiceTime(windows, BERLIN)
    for now in range(saturday + 20 * 60 * MINUTE, saturday + 30 * 60 * MINUTE, 7 * MINUTE):
        assert hours.end(now) == first_outside(hours, now), now


@pytest.mark.parametrize("windows", CLOCK_WINDOWS)
@pytest.mark.parametrize("saturday", [SPRING, AUTUMN])
def test_a_window_begins_when_the_clock_on_the_wall_comes_into_it(
    windows: tuple[tuple[int, int], ...], saturday: int
) -> None:
    hours = ServiceTime(windows, BERLIN)
    for now in range(saturday + 21 * 60 * MINUTE, saturday + 28 * 60 * MINUTE, 31 * MINUTE):
        assert hours.start(now) == first_begin(hours, now), now


def test_what_runs_through_the_end_of_the_week_is_one_window() -> None:
    hours = ServiceTime(((0, 240), (6 * DAY + 1320, WEEK)), UTC)
    monday = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1000
    assert hours.end(monday - 60 * MINUTE) == hours.end(monday) == monday + 240 * MINUTE
    assert hours.start(monday - 60 * MINUTE) == hours.start(monday) == monday + (6 * DAY + 1320) * MINUTE


def test_a_window_of_all_week_has_no_end_and_one_of_nothing_never_comes() -> None:
    always, never = ServiceTime(((0, WEEK),), BERLIN), ServiceTime((), BERLIN)
    assert (always.end(SPRING), always.start(SPRING)) == (FOREVER, None)
    assert (never.end(SPRING), never.start(SPRING)) == (None, None)
    night, day = (
        ServiceTime(tuple((d * DAY, d * DAY + 600) for d in range(7)), UTC),
        ServiceTime(tuple((d * DAY + 600, (d + 1) * DAY) for d in range(7)), UTC),
    )
    assert AnyOf((night, day)).end(SPRING) == FOREVER


def test_a_span_covers_its_beginning_and_not_its_end() -> None:
    span = Span(10, 20)
    assert [span.end(time) for time in (9, 10, 19, 20)] == [None, 20, 20, None]
    assert [span.start(time) for time in (9, 10, 20)] == [10, None, None]
    assert Span(20, 10).end(15) is None


spans = st.builds(Span, st.integers(0, 30), st.integers(0, 30))


@settings(max_examples=LIMIT, deadline=None)
@given(st.lists(spans, max_size=4), st.integers(-5, 35))
def test_any_of_several_windows_is_their_union(windows: list[Windows], now: int) -> None:
    union = AnyOf(tuple(windows))
    covered = {time for time in range(-10, 40) if any(window.end(time) is not None for window in windows)}
    end = next(time for time in range(now, 50) if time not in covered)
    assert union.end(now) == (end if now in covered else None)
    begins = [time for time in range(now + 1, 40) if time in covered and time - 1 not in covered]
    assert union.start(now) == (begins[0] if begins else None)


def test_windows_that_cover_the_week_together_begin_never_again() -> None:
    half = WEEK // 2
    both = AnyOf((ServiceTime(((0, half),), UTC), ServiceTime(((half, WEEK),), UTC)))
    assert (both.end(SPRING), both.start(SPRING)) == (FOREVER, None)
