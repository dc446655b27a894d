"""What each kind of rule means: Sigma's correlation types in our words, and their near misses.

One event short, one second late, another group: what does not fire says more about a rule than what does.
"""

import pytest
from deriving import (
    Desk,
    event_count,
    heartbeat,
    in_any_order,
    in_order,
    measured,
    missing,
    trend,
    value_count,
)

# event_count: so many events of a group within the time span


def test_the_third_event_within_five_minutes_fires() -> None:
    Desk(event_count(3, "5m")).play("""
        0s db-1
        100s db-1
        300s db-1
        601s -
    """).expect("""
        300s fires db-1: 3 of 3
        300.001s ends db-1
    """)


@pytest.mark.parametrize(
    ("miss", "timetable"),
    [
        ("one short", "0s db-1\n300s db-1"),
        ("a millisecond late", "0s db-1\n100s db-1\n300001ms db-1"),
        ("another group", "0s db-1\n100s db-1\n200s db-2"),
        ("one twice", "0s db-1\n100s db-1 id=x\n100s db-1 id=x"),
    ],
)
def test_near_misses_of_a_count(miss: str, timetable: str) -> None:
    Desk(event_count(3, "5m")).play(timetable).later("1h").expect("")


def test_an_event_every_two_minutes_fires_without_interruption() -> None:
    """Three in ten minutes: there are always five or six, until too few are left eight minutes after the last."""
    events = "\n".join(f"{minute}m db-1" for minute in range(0, 61, 2))
    Desk(event_count(3, "10m")).play(events).later("1h").expect("""
        240s fires db-1: 3 of 3
        3960.001s ends db-1
    """)


def test_a_count_is_over_when_its_third_newest_event_leaves() -> None:
    Desk(event_count(3, "5m")).play("0s a\n10s a\n20s a\n80s a\n135s a").later("1h").expect("""
        20s fires a: 3 of 3
        320.001s ends a
    """)


def test_an_event_of_the_moment_in_which_another_leaves_takes_its_place() -> None:
    Desk(event_count(2, "10s")).play("0s a\n9s a\n10001ms a").later("1h").expect("""
        9s fires a: 2 of 2
        19.001s ends a
    """)


def test_after_its_end_the_alert_fires_again() -> None:
    Desk(event_count(2, "10s")).play("0s a\n1s a\n20s a\n21s a\n40s -").expect("""
        1s fires a: 2 of 2
        10.001s ends a
        21s fires a: 2 of 2
        30.001s ends a
    """)


# resolve_after: for how long the condition has to be over


def test_the_alert_goes_on_for_as_long_as_it_is_kept() -> None:
    Desk(event_count(2, "10s", "1m")).play("0s a\n1s a").later("1h").expect("""
        1s fires a: 2 of 2
        70.001s ends a
    """)


def test_a_condition_that_holds_again_in_the_last_moment_keeps_the_alert() -> None:
    Desk(event_count(1, "10s", "1m")).play("0s a\n70001ms a").later("1h").expect("""
        0s fires a: 1 of 1
        140.002s ends a
    """)
    Desk(event_count(1, "10s", "1m")).play("0s a\n70002ms a").later("1h").expect("""
        0s fires a: 1 of 1
        70.001s ends a
        70.002s fires a: 1 of 1
        140.003s ends a
    """)


def test_a_window_is_not_cut_at_full_minutes() -> None:
    Desk(event_count(2, "60s")).play("59s a\n61s a").expect("61s fires a: 2 of 2")


# value_count: so many different values


def test_the_third_user_fires() -> None:
    Desk(value_count(3, "5m")).play("""
        0s gw value=ann
        10s gw value=bob
        20s gw value=ann
        300s gw value=cleo
    """).expect("300s fires gw: 3 different")


@pytest.mark.parametrize(
    ("miss", "timetable"),
    [
        ("the same value", "0s gw value=ann\n1s gw value=bob\n2s gw value=bob\n3s gw value=ann"),
        ("too late", "0s gw value=ann\n1s gw value=bob\n301s gw value=cleo"),
        ("another group", "0s gw value=ann\n1s gw value=bob\n2s dc value=cleo"),
        ("no value", "0s gw value=ann\n1s gw value=bob\n2s gw"),
    ],
)
def test_near_misses_of_different_values(miss: str, timetable: str) -> None:
    Desk(value_count(3, "5m")).play(timetable).later("1h").expect("")


def test_a_value_that_is_heard_again_is_new_again() -> None:
    """The first was out of the window, had it not been repeated."""
    Desk(value_count(2, "1m")).play("0s gw value=ann\n50s gw value=ann\n100s gw value=bob").expect(
        "100s fires gw: 2 different"
    )


# value_sum, value_avg, value_percentile: what the values come to


def test_the_sum_of_the_window_fires() -> None:
    Desk(measured("value_sum", "1m", lambda total: total >= 100)).play("""
        0s a value=50
        30s a value=49.5
        61s a value=40
        62s a value=10.5
    """).expect("62s fires a: 100 of 3")


@pytest.mark.parametrize(
    ("miss", "timetable"),
    [
        ("just below", "0s a value=50\n1s a value=49.9"),
        ("too late", "0s a value=50\n60001ms a value=50"),
        ("another group", "0s a value=50\n1s b value=50"),
        ("no number", "0s a value=50\n1s a value=fifty\n2s a"),
    ],
)
def test_near_misses_of_a_sum(miss: str, timetable: str) -> None:
    Desk(measured("value_sum", "1m", lambda total: total >= 100)).play(timetable).later("1h").expect("")


def test_the_average_is_over_the_events_of_the_window() -> None:
    Desk(measured("value_avg", "1m", lambda average: 3 < average < 5)).play("""
        0s a value=9
        30s a value=3
        61s a value=4
    """).expect("61s fires a: 3.5 of 2")


def test_a_range_holds_between_its_bounds() -> None:
    """Two bounds in one condition; the value that leaves the range does not keep the alert."""
    Desk(measured("value_avg", "1s", lambda average: 10 < average <= 20)).play("""
        0s a value=10
        10s a value=21
        20s a value=20
        21500ms a value=30
    """).expect("""
        20s fires a: 20 of 1
        21.001s ends a
    """)


def test_an_average_rises_when_a_low_value_leaves() -> None:
    """Nothing comes at five minutes: the alert is raised because the 10 leaves, and ends when nothing is left."""
    Desk(measured("value_avg", "5m", lambda average: average >= 90)).play("""
        0m a value=10
        4m a value=100
    """).later("1h").expect("""
        300.001s fires a: 100 of 1
        540.001s ends a
    """)


def test_of_nothing_no_condition_holds() -> None:
    for measure in ("value_sum", "value_avg", "value_percentile"):
        Desk(measured(measure, "1m", lambda value: value < 5, 95)).play("0s a value=9").later("1h").expect("")


def test_what_comes_in_one_moment_is_taken_together() -> None:
    """In between, the average would have been 100."""
    Desk(measured("value_avg", "1m", lambda average: average >= 90)).play("""
        0s a value=100 id=a
        0s a value=10 id=b
    """).later("1h").expect("")


def test_a_percentile_is_one_of_the_values() -> None:
    """Nearest rank: of twenty values the 95th percentile is the nineteenth, so one outlier does not fire."""
    desk = Desk(measured("value_percentile", "1m", lambda value: value > 100, percentile=95))
    for second in range(19):
        desk.play(f"{second}s a value=10")
    desk.play("19s a value=500").expect("")
    desk.play("26s a value=400").expect("26s fires a: 400 of 21")


# temporal: all steps in any order


def test_all_steps_in_any_order_fire() -> None:
    Desk(in_any_order(3, "5m")).play("0s a step=3\n100s a step=1\n300s a step=2\n601s -").expect("""
        300s fires a: 3 steps
        600s ends a
    """)


@pytest.mark.parametrize(
    ("miss", "timetable"),
    [
        ("one step short", "0s a step=1\n1s a step=2\n2s a step=2"),
        ("too late", "0s a step=1\n1s a step=2\n300001ms a step=3"),
        ("another group", "0s a step=1\n1s a step=2\n2s b step=3"),
        ("one event for two steps", "0s a step=1\n1s a step=2 id=x\n1s a step=3 id=x"),
    ],
)
def test_near_misses_of_steps_in_any_order(miss: str, timetable: str) -> None:
    Desk(in_any_order(3, "5m")).play(timetable).later("1h").expect("")


def test_events_that_are_several_steps_are_shared_out() -> None:
    """The first event could be either step; it is the one that the second is not."""
    Desk(in_any_order(2, "1m")).play("0s a step=1 id=x\n0s a step=2 id=x\n1s a step=1").expect("1s fires a: 2 steps")


# temporal_ordered: the steps in their order


def test_failures_and_then_a_success_fire() -> None:
    Desk(in_order(2, "1h", "10m")).play("0s eve step=1\n3600s eve step=2\n4300s -").expect("""
        3600s fires eve: 2 steps
        4200s ends eve
    """)


@pytest.mark.parametrize(
    ("miss", "timetable"),
    [
        ("the wrong way round", "0s eve step=2\n1s eve step=1"),
        ("too late", "0s eve step=1\n3600001ms eve step=2"),
        ("another group", "0s eve step=1\n1s bob step=2"),
        ("the same event", "0s eve step=1 id=x\n0s eve step=2 id=x"),
    ],
)
def test_near_misses_of_steps_in_order(miss: str, timetable: str) -> None:
    Desk(in_order(2, "1h")).play(timetable).later("3h").expect("")


def test_the_latest_first_step_counts() -> None:
    Desk(in_order(3, "10s")).play("""
        0s a step=1
        5s a step=1
        6s a step=2
        15s a step=3
    """).expect("15s fires a: 3 steps")


def test_steps_of_one_moment_are_in_order() -> None:
    Desk(in_order(2, "10s")).play("0s a step=2 id=a\n0s a step=1 id=b").expect("0s fires a: 2 steps")


def test_more_than_one_step_of_one_moment_is_in_order() -> None:
    Desk(in_order(3, "10s")).play("0s a step=2 id=a\n0s a step=1 id=b\n4s a step=3").expect("4s fires a: 3 steps")
    Desk(in_order(3, "10s")).play("0s a step=2 id=a\n0s a step=1 id=a\n4s a step=3").expect("")


# missing: A and not B


def test_a_step_that_does_not_come_fires() -> None:
    """What the condition `started and not finished` says in Sigma's extended form, with a deadline."""
    Desk(missing(2, "30m", "2h")).play("0s backup step=1\n1801s -").expect("1800s fires backup: 2 steps")


@pytest.mark.parametrize(
    ("near", "timetable"),
    [
        ("in the last moment", "0s a step=1\n1800s a step=2"),
        ("in the same moment", "0s a step=2\n0s a step=1"),
        ("nothing began", "0s a step=2"),
    ],
)
def test_near_misses_of_a_missing_step(near: str, timetable: str) -> None:
    Desk(missing(2, "30m")).play(timetable).later("9h").expect("")


def test_what_comes_before_is_no_answer_nor_what_comes_elsewhere() -> None:
    Desk(missing(2, "30m", "1h")).play("0s a step=2\n1s a step=1\n2s b step=2").later("2h").expect("""
        1801s fires a: 2 steps
        5401s ends a
    """)


def test_an_answer_after_all_ends_the_alert_and_it_may_fire_again() -> None:
    Desk(missing(2, "1m", "1h")).play("0s a step=1\n90s a step=2\n100s a step=1\n161s -").expect("""
        60s fires a: 2 steps
        90s ends a
        160s fires a: 2 steps
    """)


def test_every_beginning_wants_its_answer() -> None:
    """The second beginning is answered; the first was too long ago by then."""
    Desk(missing(2, "1m", "10m")).play("0s a step=1\n30s a step=1\n80s a step=2").expect("""
        60s fires a: 2 steps
        80s ends a
    """)


def test_what_comes_before_the_missing_step_comes_in_order() -> None:
    Desk(missing(3, "1m", "1m")).play("0s a step=1\n50s a step=2\n0s b step=2\n1s b step=1").later("1h").expect("""
        110s fires a: 3 steps
        170s ends a
    """)


# heartbeat


def test_silence_fires_and_the_next_pulse_ends_it() -> None:
    Desk(heartbeat("90s")).play("0s a\n60s a\n150s a\n240001ms a").expect("""
        240s fires a: silent
        240.001s ends a
    """)


def test_what_was_never_heard_is_not_missed_unless_it_is_expected() -> None:
    desk = Desk(heartbeat("90s", "a", "elsewhere"), owns=lambda text: text != "elsewhere")
    desk.play("1s -\n92s -\n93s a\n93s b").expect("""
        91s fires a: silent
        93s ends a
    """)


def test_silence_is_judged_only_when_no_pulse_can_still_come() -> None:
    desk = Desk(heartbeat("90s")).play("0s a\n94999ms -")
    assert desk.events == []
    desk.play("90s a\n100s -").expect("")


# trend


def test_the_disk_that_fills_fires_before_it_is_full() -> None:
    """One percent a minute: at 80 % it is twenty minutes from full."""
    Desk(trend(100, "20m", "1h")).play("""
        0m disk value=78
        1m disk value=79
        2m disk value=80
    """).expect("120s fires disk: 80 to 100")


@pytest.mark.parametrize(
    ("miss", "timetable"),
    [
        ("a sample short", "1m disk value=79\n2m disk value=80"),
        ("too slow", "0m disk value=78\n1m disk value=78.9\n2m disk value=79.8"),
        ("the other way", "0m disk value=82\n1m disk value=81\n2m disk value=80"),
        ("level", "0m disk value=99\n1m disk value=99\n2m disk value=99"),
        ("samples too old", "0m disk value=78\n30m disk value=79\n3600001ms disk value=99"),
        ("another group", "0m disk value=78\n1m disk value=79\n2m tape value=80"),
    ],
)
def test_near_misses_of_a_trend(miss: str, timetable: str) -> None:
    Desk(trend(100, "20m", "1h")).play(timetable).later("3h").expect("")


def test_a_falling_value_that_has_crossed_fires() -> None:
    Desk(trend(5, "1m", "1h", rising=False)).play("0s a value=4\n1s a value=4\n2s a value=4").expect(
        "2s fires a: 4 to 5"
    )


def test_the_crossing_has_to_move_well_away() -> None:
    """After three minutes it is 21 minutes off, within 1.25 horizons: the alert goes on. Then the line flattens."""
    Desk(trend(100, "20m", "2m")).play("""
        0m a value=78
        1m a value=79
        2m a value=80
        3m a value=80.8
        4m a value=80.8
        5m a value=80.8
    """).expect("""
        120s fires a: 80 to 100
        240s ends a
    """)
    Desk(trend(100, "20m", "2m")).play("1m a value=79\n2m a value=80\n3m a value=80.8\n4m -").expect("")


def test_without_samples_there_is_no_line() -> None:
    Desk(trend(100, "20m", "10m")).play("0m a value=78\n1m a value=79\n2m a value=80\n13m -").expect("""
        120s fires a: 80 to 100
        720s ends a
    """)
