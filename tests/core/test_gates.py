"""Hold, flapping and maintenance as timetables: what is told of an alert, what is listed as withheld, and until when.

A line of a timetable is `TIME SEVERITY|resolved [GATES]`, with times after START; `TIME -` lets that time come. Each
answer is a line: when it was told, what, and the figures that matter.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from textwrap import dedent
from zoneinfo import ZoneInfo

import msgspec

from opsbridge.core.calendar import DAY, WEEK, ServiceTime, Span
from opsbridge.core.decisions import Outcome, Reminder, Shadowed, Suppressed
from opsbridge.core.event import SEVERITY_NUMBER, Event, Mark
from opsbridge.core.first_level.level import FirstLevel, Heard
from opsbridge.core.rulebook import Flapping, Gate, Hold, Maintenance, Rulebook

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
START = int(datetime(2026, 3, 28, tzinfo=UTC).timestamp()) * 1000
"""A Saturday; in the night that follows, Berlin's clocks go forward."""

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR}


def at(time: str) -> int:
    """`1.5s`, `2m` or `3h` after START."""
    return START + round(float(time[:-1]) * _UNITS[time[-1]])


def since(time: int | None) -> str:
    """A time as timetables write it."""
    if time is None:
        return "?"
    past = time - START
    unit = "h" if past >= HOUR and past % HOUR == 0 else "m" if past >= 10 * MINUTE and past % MINUTE == 0 else "s"
    number = past / _UNITS[unit]
    return f"{int(number) if number.is_integer() else number}{unit}"


class Play:
    """One alert under some gates, and what was told of it."""

    def __init__(self, *gates: Gate) -> None:
        self.first = FirstLevel(Rulebook(gates={gate.rule: gate for gate in gates}))
        self._gates = [gate.rule for gate in gates]
        self._place = 0
        self._saved: dict[bytes, bytes | None] = {}
        self.lines: list[str] = []
        self.outcomes: list[Outcome] = []

    def hear(self, timetable: str) -> "Play":
        """Let the lines happen."""
        for line in dedent(timetable).strip().splitlines():
            time, state, *gates = line.split()
            if state == "-":
                self._take(self.first.expire(at(time)))
                continue
            firing = state != "resolved"
            marks = tuple(Mark(rule) for rule in (gates[0].split(",") if gates else self._gates) if rule != "none")
            severity = SEVERITY_NUMBER[state] if firing else 0
            event = Event(
                f"e{self._place}", at(time), "db", "Down", severity, firing, "k", marks=marks if firing else ()
            )
            self._take(self.first.advance([event], self._place))
            self._place += 1
        return self

    def reload(self, *gates: Gate) -> "Play":
        """Go on with other rules, as a worker does."""
        self._saved |= dict(self.first.changes())
        self.first = FirstLevel(Rulebook(gates={gate.rule: gate for gate in gates}))
        self.first.restore((key, value) for key, value in self._saved.items() if value is not None)
        return self

    def _take(self, heard: Heard) -> None:
        self.outcomes += heard.outcomes
        self.lines += _lines(heard)

    def tells(self, wanted: str) -> "Play":
        """Compare, and forget it."""
        assert self.lines == [" ".join(line.split()) for line in dedent(wanted).strip().splitlines()]
        self.lines = []
        return self


def _lines(heard: Heard) -> Iterable[str]:
    told: list[tuple[int, str]] = []
    for news in heard.news:
        match news:
            case Suppressed(state="withheld"):
                told.append((news.now_ms, f"withheld {news.kind} {news.rule} until {since(news.until_ms)}"))
            case Suppressed():
                told.append((news.now_ms, f"{news.state} {news.kind} {news.rule} x{news.events}"))
            case Shadowed():
                told.append((news.time_ms, f"{news.rule} would {news.would}"))
            case Reminder():
                told.append((news.now_ms, f"{news.rule} ends at {since(news.ends_ms)}"))
            case _:
                raise AssertionError(news)
    told += [
        (
            change.now_ms,
            f"{change.change} at {since(change.time_ms)} since {since(change.opened_ms)} #{change.occurrence}",
        )
        for change in heard.transitions
    ]
    return [f"{since(now)} {text}" for now, text in sorted(told, key=lambda line: line[0])]


HOLD = Hold(rule="h", for_ms=2 * MINUTE)


def test_an_alert_counts_when_it_has_fired_for_so_long() -> None:
    play = Play(HOLD).hear("0s minor\n30s minor\n124.9s -").tells("0s withheld hold h until 120s")
    play.hear("125s -\n200s minor\n300s resolved").tells(
        """
        125s released hold h x2
        125s opened at 120s since 0s #1
        300s resolved at 300s since 0s #1
        """
    )
    assert play.outcomes == [Outcome.WITHHELD] * 2 + [Outcome.DUPLICATE, Outcome.RESOLVED]


def test_what_is_over_before_it_counts_is_resolved_and_never_opened() -> None:
    Play(HOLD).hear("0s minor\n60s resolved\n65s -\n10m -").tells(
        """
        0s withheld hold h until 120s
        65s resolved hold h x1
        65s resolved at 60s since 0s #1
        """
    )


def test_a_resolution_of_the_very_deadline_comes_first_and_one_after_it_does_not() -> None:
    Play(HOLD).hear("0s minor\n120s resolved\n10m -").tells(
        """
        0s withheld hold h until 120s
        125s resolved hold h x1
        125s resolved at 120s since 0s #1
        """
    )
    Play(HOLD).hear("0s minor\n120.001s resolved\n10m -").tells(
        """
        0s withheld hold h until 120s
        125s released hold h x1
        125s opened at 120s since 0s #1
        125s resolved at 120.001s since 0s #1
        """
    )


def test_a_firing_and_a_clear_of_one_moment_are_over() -> None:
    for timetable in ("0s minor\n0s resolved", "0s resolved\n0s minor"):
        Play(HOLD).hear(timetable + "\n10m -").tells(
            """
            0s withheld hold h until 120s
            5s resolved hold h x1
            5s resolved at 0s since 0s #1
            """
        )


def test_a_late_resolution_between_two_firings_begins_the_hold_anew() -> None:
    Play(HOLD).hear("0s minor\n64s minor\n60s resolved\n189s -").tells(
        """
        0s withheld hold h until 120s
        65s resolved hold h x1
        65s withheld hold h until 184s
        65s resolved at 60s since 0s #1
        189s released hold h x1
        189s opened at 184s since 64s #2
        """
    )


def test_a_late_firing_moves_the_beginning() -> None:
    Play(HOLD).hear("4s minor\n0s minor\n10m -").tells(
        """
        4s withheld hold h until 124s
        125s released hold h x2
        125s opened at 120s since 0s #1
        """
    )


def test_escalation_while_withheld_shows_in_the_opening() -> None:
    play = Play(HOLD).hear("0s minor\n30s critical")
    opened = play.first.expire(at("125s")).transitions
    assert [(change.change, change.severity, change.event) for change in opened] == [("opened", 4, "e0")]


def test_long_silence_while_withheld_is_no_renewal() -> None:
    hours = Maintenance(rule="m", windows=Span(at("0s"), at("4h")))
    Play(hours).hear("1m minor\n2h minor\n5h -").tells(
        """
        60s withheld maintenance m until 4h
        14405s released maintenance m x2
        14405s opened at 4h since 4h #1
        """
    )


def test_a_report_that_no_gate_matches_lets_the_alert_through() -> None:
    """Warnings are held; what becomes critical counts at once."""
    Play(HOLD).hear("0s warning\n30s critical none\n10m -").tells(
        """
        0s withheld hold h until 120s
        35s released hold h x2
        35s opened at 30s since 0s #1
        """
    )


NIGHT = Maintenance(rule="m", windows=Span(at("1h"), at("2h")))


def test_an_alert_that_begins_in_a_window_begins_when_that_ends() -> None:
    Play(NIGHT).hear("90m minor\n100m minor\n3h -").tells(
        """
        90m withheld maintenance m until 2h
        7205s released maintenance m x2
        7205s opened at 2h since 2h #1
        """
    )


def test_an_alert_that_is_over_by_the_end_of_the_window_is_only_listed() -> None:
    Play(NIGHT).hear("90m minor\n100m resolved\n3h -").tells(
        """
        90m withheld maintenance m until 2h
        6005s resolved maintenance m x1
        6005s resolved at 100m since 90m #1
        """
    )


def test_a_window_that_begins_while_the_alert_is_open_changes_nothing() -> None:
    Play(NIGHT).hear("59m minor\n61m minor\n100m resolved\n3h -").tells(
        """
        59m opened at 59m since 59m #1
        100m resolved at 100m since 59m #1
        """
    )


def test_what_a_hold_lets_go_in_a_window_waits_for_its_end() -> None:
    Play(HOLD, NIGHT).hear("59m minor\n3h -").tells(
        """
        59m withheld maintenance m until 2h
        7205s released maintenance m x1
        7205s opened at 2h since 2h #1
        """
    )


def test_a_weekly_window_follows_the_clock_on_the_wall() -> None:
    """From Saturday 22:00 to Sunday 04:00 in Berlin: five hours when clocks go forward, six a week later."""
    weekend = ServiceTime(((5 * DAY + 22 * 60, 6 * DAY + 240),), ZoneInfo("Europe/Berlin"))
    Play(Maintenance(rule="m", windows=weekend, remind_ms=30 * MINUTE)).hear(
        "20.9h minor\n20.95h resolved\n21h minor\n26.5h resolved\n189h minor\n200h -"
    ).tells(
        """
        1254m opened at 1254m since 1254m #1
        1257m resolved at 1257m since 1254m #1
        21h withheld maintenance m until 26h
        1530m m ends at 26h
        93605s released maintenance m x1
        93605s opened at 26h since 26h #2
        1590m resolved at 1590m since 26h #2
        189h withheld maintenance m until 194h
        11610m m ends at 194h
        698405s released maintenance m x1
        698405s opened at 194h since 194h #1
        """
    )


def test_a_window_without_end_withholds_for_ever_and_says_so() -> None:
    always = Maintenance(rule="m", windows=ServiceTime(((0, WEEK),), UTC), remind_ms=MINUTE)
    Play(always).hear("0s minor\n900h -\n901h resolved\n902h -").tells(
        """
        0s withheld maintenance m until ?
        3243605s resolved maintenance m x1
        3243605s resolved at 901h since 0s #1
        """
    )


FLAPPING = Flapping(rule="f", enter=4, leave=1, within=100 * SECOND)


def test_flapping_is_withheld_until_it_calms_down() -> None:
    play = Play(FLAPPING).hear("0s major\n10s resolved\n20s major\n30s resolved\n40s major\n50s resolved\n60s major")
    play.tells(
        """
        0s opened at 0s since 0s #1
        10s resolved at 10s since 0s #1
        20s opened at 20s since 20s #2
        30s resolved at 30s since 20s #2
        40s withheld flapping f until 130s
        55s resolved flapping f x1
        55s resolved at 50s since 40s #3
        60s withheld flapping f until 150s
        """
    )
    play.hear("154.9s -").tells("").hear("155s -\n300s resolved").tells(
        """
        155s released flapping f x1
        155s opened at 150s since 60s #4
        300s resolved at 300s since 60s #4
        """
    )


def test_what_has_calmed_down_while_it_did_not_fire_is_told_at_once() -> None:
    play = Play(FLAPPING).hear("0s major\n10s resolved\n20s major\n30s resolved")
    play.lines = []
    play.hear("125s major").tells("125s opened at 125s since 125s #3")
    play = Play(FLAPPING).hear("0s major\n10s resolved\n20s major\n30s resolved")
    play.lines = []
    play.hear("119s major").tells("119s withheld flapping f until 130s")


def test_an_alert_that_is_open_when_flapping_begins_stays_open() -> None:
    Play(Flapping(rule="f", enter=3, leave=1, within=100 * SECOND)).hear(
        "0s major\n1s resolved\n50s major\n60s major"
    ).tells(
        """
        0s opened at 0s since 0s #1
        1s resolved at 1s since 0s #1
        50s withheld flapping f until 101s
        """
    )
    Play(FLAPPING).hear("0s major\n1s resolved\n2s major\n3s major\n30s resolved").tells(
        """
        0s opened at 0s since 0s #1
        1s resolved at 1s since 0s #1
        2s opened at 2s since 2s #2
        30s resolved at 30s since 2s #2
        """
    )


def test_a_flapping_alert_is_remembered_as_long_as_its_rule_looks_back() -> None:
    day = Flapping(rule="f", enter=4, leave=1, within=24 * HOUR)
    Play(day).hear("0s major\n2h resolved\n10h major\n12h resolved\n20h major").tells(
        """
        0s opened at 0s since 0s #1
        2h resolved at 2h since 0s #1
        10h opened at 10h since 10h #2
        12h resolved at 12h since 10h #2
        20h withheld flapping f until 36h
        """
    )


def test_a_reload_without_the_gate_lets_go() -> None:
    Play(HOLD).hear("0s minor\n30s minor").reload().hear("31s -").tells(
        """
        0s withheld hold h until 120s
        30s released hold h x2
        30s opened at 25s since 0s #1
        """
    )
    Play(NIGHT).hear("90m minor").reload().hear("91m -\n95m resolved").tells(
        """
        90m withheld maintenance m until 2h
        5405s released maintenance m x1
        5405s opened at 90m since 90m #1
        95m resolved at 95m since 90m #1
        """
    )


def test_a_reload_with_a_longer_window_keeps_and_with_a_shorter_lets_go() -> None:
    longer, shorter = (Maintenance(rule="m", windows=Span(at("1h"), at(end))) for end in ("150m", "95m"))
    moved = Maintenance(rule="m", windows=Span(at("92m"), at("4h")))
    Play(NIGHT).hear("91m minor\n100m -").reload(longer).hear("121m -\n3h -").tells(
        """
        91m withheld maintenance m until 2h
        9005s released maintenance m x1
        9005s opened at 150m since 150m #1
        """
    )
    Play(NIGHT).hear("91m minor\n100m -").reload(shorter).hear("3h -").tells(
        """
        91m withheld maintenance m until 2h
        100m released maintenance m x1
        100m opened at 5995s since 5995s #1
        """
    )
    Play(NIGHT).hear("91m minor\n100m -").reload(moved).hear("121m -\n5h -").tells(
        """
        91m withheld maintenance m until 2h
        14405s released maintenance m x1
        14405s opened at 4h since 4h #1
        """
    )


def test_the_reason_is_told_again_when_another_rule_gives_it() -> None:
    Play(HOLD, NIGHT).hear("119.5m minor").reload(HOLD).hear("120m -\n3h -").tells(
        """
        7170s withheld hold h until 7290s
        7295s released hold h x1
        7295s opened at 7290s since 7170s #1
        """
    )
    Play(HOLD, NIGHT).hear("100m minor").reload(HOLD).hear("101m -\n3h -").tells(
        """
        100m withheld maintenance m until 2h
        100m withheld hold h until 102m
        6125s released hold h x1
        6125s opened at 102m since 100m #1
        """
    )


def test_rules_in_trial_only_report() -> None:
    trial = msgspec.structs.replace(HOLD, shadow=True)
    Play(trial).hear("0s minor\n10s minor\n20s resolved").tells(
        """
        0s h would withhold
        0s opened at 0s since 0s #1
        20s resolved at 20s since 0s #1
        """
    )
    Play(trial, NIGHT).hear("90m minor\n3h -").tells(
        """
        90m withheld maintenance m until 2h
        90m h would withhold
        7205s released maintenance m x1
        7205s opened at 2h since 2h #1
        """
    )


REMINDS = Maintenance(rule="m", windows=Span(at("1h"), at("2h")), remind_ms=30 * MINUTE)


def test_operators_are_reminded_once_of_a_window_that_ends() -> None:
    play = Play(REMINDS).hear("10m -\n89m -").tells("")
    assert play.first.due() == at("90m")
    play.hear("91m -").reload(REMINDS).hear("92m -\n3h -").tells("90m m ends at 2h")
    assert play.first.due() is None
    Play(REMINDS).hear("100m -\n110m -\n3h -").tells("100m m ends at 2h")
    Play(REMINDS).hear("121m -\n3h -").tells("")
    other = FirstLevel(Rulebook(gates={"m": REMINDS}), owns=lambda text: text != "m")
    assert [other.expire(at(time)).news for time in ("10m", "100m")] == [[], []]


def test_alerts_of_an_older_version_are_restored() -> None:
    saved: Mapping[bytes, list[object]] = {
        b"k": ["db", "Down", True, 3, at("5s"), -1, at("0s"), 1, 2, "e0", 7],
        b"w": ["db", "Slow", True, 0, -1, at("4s"), -1, 0, 1, "e1", 8],
    }
    first = FirstLevel(Rulebook(gates={"h": HOLD}))
    first.restore([(key, msgspec.json.encode(value)) for key, value in saved.items()])
    resolved = Event("e2", at("6s"), "db", "Down", 0, firing=False, fingerprint="k")
    late = Event("e3", at("2s"), "db", "Slow", 3, firing=True, fingerprint="w", marks=(Mark("h"),))
    heard = first.advance([resolved, late], 9)
    assert heard.outcomes == [Outcome.RESOLVED, Outcome.WITHHELD]
    assert [(change.change, change.position) for change in heard.transitions] == [("resolved", 18)]
    assert [(change.change, change.time_ms) for change in first.expire(at("1h")).transitions] == [
        ("resolved", at("4s"))
    ]


def test_keys_of_alerts_are_told_apart_from_other_state() -> None:
    first = FirstLevel(Rulebook(gates={"h": HOLD}))
    names = ["\x00clock", "\x01rule", "\x02", "\x02\x02", "\x03", "k"]
    first.advance([Event(name, at("1s"), "db", "Down", 3, firing=True, fingerprint=name) for name in names], 0)
    again = FirstLevel()
    again.restore((key, value) for key, value in first.changes() if value is not None)
    assert [again.opener(name) for name in names] == names
    assert len(again) == len(names)
