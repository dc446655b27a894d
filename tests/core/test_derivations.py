"""Derived events as events: what they look like, who hears them, and what becomes of them when rules change."""

import msgspec
import pytest
from deriving import (
    START,
    Desk,
    book_of,
    event_count,
    heartbeat,
    in_order,
    lines_of,
    marked,
    measured,
    missing,
    named,
    raising,
    span,
    trend,
    value_count,
)

from opsbridge.core.decisions import Derived, Shadowed, Withheld
from opsbridge.core.event import Event, Mark
from opsbridge.core.first_level.derivations import MAX_WAITING, Derivations
from opsbridge.core.first_level.detector import MAX_VALUES, value_of
from opsbridge.core.first_level.lateness import LATENESS_MS
from opsbridge.core.first_level.thresholds import percentile

PAIR = event_count(2, "1m")


def test_a_derived_event_says_where_it_comes_from() -> None:
    rule = msgspec.structs.replace(
        PAIR,
        group_by=("labels.user", "ci", "class", "labels.host"),
        raises=msgspec.structs.replace(raising("{labels.user} on {ci}: {count}, {nobody}, {"), ci_at=1),
    )
    desk = Desk(rule)
    mark = Mark("r@1", 0, "eve\x1fdb-1\x1fLoginFailed\x1f")
    for place, time in enumerate((0, 1_000)):
        desk.hear(marked(f"e{place}", START + time, mark), place)
    firing, resolved = desk.later("2m").events
    assert (firing.ci, firing.class_, firing.severity, firing.firing) == ("db-1", "Storm", 3, True)
    assert (firing.source, firing.rule) == ("opsbridge", "r")
    assert firing.fingerprint == resolved.fingerprint == "rule\x1fr\x1feve\x1fdb-1\x1fLoginFailed\x1f"
    assert firing.labels == resolved.labels == {"user": "eve"}
    assert firing.summary == "eve on db-1: 2, {nobody}, {"
    assert firing.id != resolved.id
    assert firing.id.startswith("derived-")
    assert (firing.time - START, resolved.time - START) == (1_000, 60_001)
    assert [type(news) for news in desk.news] == [Derived, Derived]


def test_the_summary_evaluates_nothing() -> None:
    hostile = msgspec.structs.replace(PAIR, raises=raising("{ci.__class__} {0} {ci!r} {{ci}} }{ {count:>9}"))
    desk = Desk(hostile).play("0s a\n1s a").later("10s")
    assert desk.events[0].summary == "{ci.__class__} {0} {ci!r} {a} }{ {count:>9}"


def test_a_fixed_ci_is_the_one_that_is_told_of() -> None:
    desk = Desk(msgspec.structs.replace(PAIR, raises=raising(ci="portal"))).play("0s a\n1s a").later("10s")
    assert desk.events[0].ci == "portal"


def test_the_same_event_is_derived_again() -> None:
    """Id and all: what is derived twice, around a restart, is known to be the same."""
    one, other = (Desk(PAIR).play("0s a\n1s a").later("5m") for _ in range(2))
    assert one.events == other.events


def test_a_shadow_reports_and_raises_nothing() -> None:
    desk = Desk(msgspec.structs.replace(PAIR, shadow=True)).play("0s a\n1s a").later("5m")
    assert desk.events == []
    assert [news.would for news in desk.news if isinstance(news, Shadowed)] == ["raise", "resolve"]
    assert len(desk.news) == 2


# chains


def heard_by_next(event: Event) -> Event:
    """Each rule's alert is heard by the next one's."""
    follower = {"r": "second@1", "second": "third@1"}.get(event.rule)
    marks = (Mark(follower, 0, "all"),) if follower and event.firing else ()
    return msgspec.structs.replace(event, marks=marks)


CHAIN = (
    PAIR,
    named(event_count(2, "1m"), "second", depth=1, group_by=("labels.all",)),
    named(event_count(1, "1m"), "third", depth=2),
)


def test_a_chain_is_worked_through_at_once() -> None:
    desk = Desk(*CHAIN, accept=heard_by_next).play("0s a\n0s b\n2s a\n2s b\n6999ms -")
    assert desk.events == []
    desk.play("7s -")
    assert lines_of(desk.events) == [
        "2s fires a: 2 of 2",
        "2s fires b: 2 of 2",
        "2s fires all: 2 of 2",
        "2s fires all: 1 of 1",
    ]


def test_what_is_derived_at_a_deadline_still_counts() -> None:
    """At one time, a deeper rule's deadline comes after all that the others derive, whatever they are called."""
    deeper = named(event_count(1, "10s"), "a", depth=1, group_by=("labels.all",))
    desk = Desk(PAIR, deeper, accept=_for_a).play("0s x\n0s x\n5s y\n10s y\n30s -")
    assert [line for line in lines_of(desk.events) if line.endswith(("all", "1"))] == [
        "0s fires all: 1 of 1",
        "20.001s ends all",
    ]


def _for_a(event: Event) -> Event:
    marks = (Mark("a@1", 0, "all"),) if event.rule == "r" and event.firing else ()
    return msgspec.structs.replace(event, marks=marks)


def test_deeper_rules_are_saved_first() -> None:
    """A flush that is torn there repeats what the deeper ones know already; it never loses it."""
    desk = Desk(*CHAIN, accept=heard_by_next).play("0s a\n0s b\n2s a\n2s b")
    desk.save()
    before = dict(desk.saved)
    desk.play("7s -")
    whole = lines_of(desk.events)
    changes = desk.rules.changes()
    assert [key.split(b"@")[0] for key, _ in changes] == [b"\x01third", b"\x01second", b"\x01r", b"\x01r"]
    ends = lines_of(desk.later("3m").events)[len(whole) :]
    for torn in range(len(changes) + 1):
        again = Desk(*CHAIN, accept=heard_by_next)
        again.saved = before | {key: value for key, value in changes[:torn] if value is not None}
        again.restart().play("7s -")
        repeated = lines_of(again.events)
        assert set(repeated) <= set(whole), torn
        assert lines_of(again.later("3m").events)[len(repeated) :] == ends, torn


def test_a_withheld_alert_is_told_and_heard_only_as_far_as_the_answer_says() -> None:
    heard = Desk(*CHAIN, accept=lambda event: _informational(event, observed=True)).play("0s a\n1s a\n0s b\n1s b\n6s -")
    assert lines_of(heard.events) == ["1s fires all: 2 of 2", "1s fires all: 1 of 1"]
    assert [type(news).__name__ for news in heard.news] == ["Derived", "Withheld"] * 2 + ["Derived"] * 2
    gone = Desk(*CHAIN, accept=lambda event: _informational(event, observed=False)).play("0s a\n1s a\n0s b\n1s b\n6s -")
    assert gone.events == []
    assert len(gone.news) == 4


def _informational(event: Event, *, observed: bool) -> Event | Withheld:
    heard = heard_by_next(event)
    if event.rule != "r":
        return heard
    copy = msgspec.structs.replace(heard, observed=True) if observed else None
    return Withheld("informational", "rule-x", observed=copy)


# partitions


def test_only_groups_that_are_kept_here_are_heard() -> None:
    """By CI where the group has one, else by the whole group; what others are to hear is handed out."""
    by_user = named(event_count(2, "1m"), "second", depth=1, group_by=("labels.all",))
    desk = Desk(PAIR, by_user, accept=heard_by_next, owns=lambda text: text in ("a", "eve"))
    ours, theirs = Mark("second@1", 0, "eve"), Mark("second@1", 0, "bob")
    desk.hear(marked("e1", START, Mark("r@1", 0, "a"), ours, theirs), 1)
    desk.hear(marked("e2", START, Mark("r@1", 0, "b"), theirs), 2)
    assert len(desk.rules) == 2
    desk.hear(marked("e3", START + 1, Mark("r@1", 0, "a")), 3)
    desk.advance(START + 10_000)
    (event,) = desk.events
    assert event.marks == (Mark("second@1", 0, "all"),), "the group `all` is elsewhere, and gets it from here"


def test_a_withheld_alert_goes_elsewhere_for_those_who_observe_it() -> None:
    by_user = named(event_count(2, "1m"), "second", depth=1, group_by=("labels.all",))
    desk = Desk(
        PAIR,
        by_user,
        accept=lambda event: _informational(event, observed=True),
        owns=lambda text: text == "a",
    ).play("0s a\n1s a\n6s -")
    assert [event.observed for event in desk.events] == [True]


def test_a_place_that_is_applied_changes_nothing_but_an_event_speaks_with_all_its_marks() -> None:
    rule = in_order(2, "1m")
    desk = Desk(rule)
    both = Mark("r@1", 0, "a"), Mark("r@1", 1, "a")
    desk.hear(marked("e1", START, *both), 7)
    desk.hear(marked("e2", START + 1, *both), 7)
    desk.advance(START + 10_000)
    assert desk.events == []
    desk.hear(marked("e2", START + 10_001, *both), 8)
    desk.advance(START + 20_000)
    assert len(desk.events) == 1


# late events


def test_an_event_too_late_is_worked_on_at_its_own_time() -> None:
    desk = Desk(PAIR).play("0s a\n70s -\n10s a")
    assert lines_of(desk.events) == [], "what it belonged with is forgotten"
    desk = Desk(event_count(3, "1m")).play("0s a\n30s a\n50s -\n10s a\n51s -")
    assert lines_of(desk.events) == ["30s fires a: 3 of 3"], "the window that ends at the newest has three now"


def test_a_late_pulse_ends_the_silence_and_begins_another() -> None:
    desk = Desk(heartbeat("10s")).play("0s a\n20s -\n8s a\n21s -\n30s a").later("6s")
    assert lines_of(desk.events) == [
        "10s fires a: silent",
        "10s ends a",
        "18s fires a: silent",
        "30s ends a",
    ]
    assert len({event.id for event in desk.events}) == 4


def test_a_late_pulse_from_before_the_newest_says_nothing() -> None:
    assert Desk(heartbeat("20s")).play("0s a\n10s a\n16s -\n5s a\n34s -\n29s a").later("10s").events == []


def test_a_late_event_twice_counts_once() -> None:
    desk = Desk(event_count(4, "1m")).play("0s a\n30s a\n50s -\n10s a id=x\n10s a id=x\n51s -")
    assert desk.events == []


def test_after_a_late_event_a_condition_is_asked_again_at_the_newest_time() -> None:
    desk = Desk(measured("value_sum", "20s", lambda total: total >= 3))
    desk.play("0s a value=1\n19s a value=1\n24s -\n10s a value=1\n31s -").later("1h")
    assert lines_of(desk.events) == ["19s fires a: 3 of 3", "20.001s ends a"]
    left = Desk(measured("value_sum", "20s", lambda total: total >= 3))
    left.play("0s a value=1\n19s a value=1\n26s -\n10s a value=1\n31s -").later("1h")
    assert left.events == [], "at 20.001 s the first had left"
    ends = Desk(measured("value_avg", "20s", lambda average: average >= 5))
    ends.play("0s a value=1\n10s a value=9\n20s -\n5s a value=0\n21s -")
    assert lines_of(ends.events) == ["10s fires a: 5 of 2", "10s ends a"]


def test_what_a_late_event_changes_comes_after_what_was_told() -> None:
    """The alert was told to be over at 10 s; that it is not makes it fire anew, a millisecond later."""
    desk = Desk(measured("value_avg", "20s", lambda average: average >= 5))
    desk.play("0s a value=9\n10s a value=0\n15s -\n5s a value=9\n16s -")
    assert lines_of(desk.events) == ["0s fires a: 9 of 1", "10s ends a", "10.001s fires a: 6 of 3"]
    desk.play("6s a value=0\n17s -")
    assert lines_of(desk.events)[3:] == ["10.001s ends a"]


def test_what_is_told_is_not_told_again_for_a_late_event() -> None:
    desk = Desk(event_count(2, "5s", "5s")).play("0s a\n2s a\n11s -\n1s a\n12s -").later("1m")
    assert lines_of(desk.events) == ["2s fires a: 2 of 2", "11.001s ends a"]


def test_a_late_value_does_not_make_its_newest_older() -> None:
    desk = Desk(value_count(2, "20s")).play("0s a value=x\n15s a value=x\n25s -\n5s a value=x\n30s a value=y")
    assert lines_of(desk.later("6s").events) == ["30s fires a: 2 different"]


def test_a_late_step_goes_on_from_what_was_before_it() -> None:
    desk = Desk(in_order(2, "1m")).play("0s a step=1\n20s a step=1\n30s -\n10s a step=2\n31s -")
    assert lines_of(desk.events) == ["10s fires a: 2 steps"]
    alone = Desk(in_order(2, "1m")).play("10s a step=1\n20s a step=1\n30s -\n5s a step=2\n31s -")
    assert alone.events == []
    older = Desk(in_order(3, "20s")).play("10s a step=1\n11s a step=3\n30s -\n5s a step=1\n26s a step=2\n27s a step=3")
    assert lines_of(older.later("6s").events) == ["27s fires a: 3 steps"]


def test_a_late_beginning_owes_nothing_that_has_come() -> None:
    answered = Desk(missing(2, "1m")).play("0s a step=1\n20s a step=2\n30s -\n10s a step=1\n31s -").later("2m")
    assert answered.events == []
    owed = Desk(missing(2, "1m")).play("0s a step=1\n20s a step=2\n40s -\n30s a step=1\n41s -").later("1m")
    assert lines_of(owed.events) == ["90s fires a: 2 steps"]


def test_a_late_answer_is_one() -> None:
    desk = Desk(missing(2, "1m", "1h")).play("0s a step=1\n66s -\n61s a step=2\n67s -")
    assert lines_of(desk.events) == ["60s fires a: 2 steps", "61s ends a"]


# rules that change


def test_what_a_rule_raised_that_is_gone_is_resolved_and_forgotten() -> None:
    changed = msgspec.structs.replace(PAIR, key="r@2")
    desk = Desk(PAIR).play("0s a\n1s a\n2s b\n10s -")
    told = len(desk.events)
    desk.restart(changed)
    assert len(desk.rules) == 2
    assert desk.rules.due() == 0
    saved = dict(desk.saved)
    assert desk.save() == saved, "a reload that follows at once knows of them, too"
    desk.play("11s -")
    assert lines_of(desk.events[told:]) == ["6s ends a"]
    assert desk.save() == {}
    assert len(desk.rules) == 0


def test_nothing_is_resolved_before_it_was_raised() -> None:
    desk = Desk(heartbeat("10s")).play("0s a\n15s -")
    desk.restart(named(PAIR, "other"))
    assert [event.time for event in desk.rules.advance(START + 1).events] == [START + 10_000]


def test_a_shadow_that_is_gone_reports_so() -> None:
    desk = Desk(msgspec.structs.replace(PAIR, shadow=True)).play("0s a\n1s a\n10s -")
    desk.restart(named(PAIR, "other")).play("11s -")
    assert desk.events == []
    assert [news.would for news in desk.news if isinstance(news, Shadowed)] == ["raise", "resolve"]


def test_other_rules_go_on_as_if_nothing_had_happened() -> None:
    gone = named(PAIR, "gone")
    desk = Desk(PAIR, gone).play("0s a\n0s a rule=gone@1").restart(PAIR).play("59s a").later("10s")
    assert lines_of(desk.events) == ["59s fires a: 2 of 2", "60.001s ends a"]


def test_a_ci_that_is_expected_no_more_is_not_missed() -> None:
    desk = Desk(heartbeat("10s", "a", "b")).play("1s -\n2s b\n20s -")
    assert lines_of(desk.events) == ["11s fires a: silent", "12s fires b: silent"]
    desk.restart(heartbeat("10s")).play("21s -")
    assert lines_of(desk.events[2:]) == ["16s ends a"]
    assert len(desk.rules) == 1, "b was heard, and is watched on"


def test_a_ci_that_is_expected_from_now_on_is_watched_from_now_on() -> None:
    desk = Desk(heartbeat("10s", "a")).play("1s -\n5s a").restart(heartbeat("10s", "a", "b")).play("6s -\n21s -")
    assert lines_of(desk.events) == ["15s fires a: silent", "16s fires b: silent"]


def test_the_expected_are_watched_from_the_first_time_that_is_known() -> None:
    rules = Derivations(book_of(heartbeat("10s", "a")), lambda event: event, lambda _text: True)
    assert rules.advance(0).events == []
    assert len(rules) == 0, "nobody knows yet what the time is"
    rules.advance(START)
    assert rules.due() == START + 10_000 + LATENESS_MS


# bounds


def test_a_count_remembers_what_it_takes() -> None:
    desk = Desk(event_count(3, "1h"))
    for place in range(200):
        desk.hear(marked(f"e{place}", START + place * 1_000, Mark("r@1", 0, "a")), place)
    desk.advance(START + span("10m"))
    (value,) = desk.save().values()
    assert value.count(b"[17900") == 3


def test_what_waits_is_bounded_and_the_oldest_is_worked_on_early() -> None:
    """Four events a millisecond: at the first that is one too many, the first millisecond's are counted at once."""
    undisturbed, restarted = (Desk(event_count(3, "1m")) for _ in range(2))
    for place in range(MAX_WAITING + 10):
        event = marked(f"e{place}", START + place // 4, Mark("r@1", 0, "a"))
        for desk in (undisturbed, restarted):
            desk.hear(event, place)
        if place == MAX_WAITING - 1:
            undisturbed.advance(event.time)
            assert undisturbed.events == []
            restarted.restart()
    for desk in (undisturbed, restarted):
        desk.advance(START + MAX_WAITING // 4 + 2)
        assert lines_of(desk.events) == ["0s fires a: 3 of 3"]
        (value,) = desk.save().values()
        assert MAX_WAITING - 4 < value.count(b'"e') <= MAX_WAITING
        desk.hear(marked("late", START, Mark("r@1", 0, "a")), 2 * MAX_WAITING)
    assert restarted.saved == undisturbed.saved


def test_working_early_leaves_deadlines_in_their_order() -> None:
    """The first alert ends before the next event is counted, though neither's time has come."""
    desk = Desk(event_count(2, "1s")).play("0s a\n0s a")
    for place in range(3, MAX_WAITING + 4):
        desk.hear(marked(f"e{place}", START + 2_000 + (place > 4), Mark("r@1", 0, "a")), place)
    assert lines_of(desk.later("0s").events) == ["0s fires a: 2 of 2", "1.001s ends a", "2s fires a: 2 of 2"]


def test_values_are_bounded() -> None:
    desk = Desk(measured("value_sum", "24h", lambda total: total > MAX_VALUES))
    for place in range(MAX_VALUES + 50):
        desk.hear(marked(f"e{place}", START + place, Mark("r@1", 0, "a", 1.0)), place)
    desk.advance(START + span("10m"))
    assert desk.events == []
    (value,) = desk.save().values()
    assert value.count(b"[17900") == MAX_VALUES
    assert len(value) < 1_000_000, "one record of the changelog"


def test_different_values_are_bounded() -> None:
    """As many as a rule can ask for, each as long as it may be to be remembered as it is, fit one record."""
    desk = Desk(value_count(MAX_VALUES, "24h"))
    for place in range(MAX_VALUES):
        desk.rules.hear(marked(f"e{place}", START + place, Mark("r@1", 0, "a", f"{place:024}")), place)
        desk.rules.advance(START + place)
    desk.advance(START + span("10m"))
    assert len(desk.events) == 1, "none was taken for another"
    (value,) = desk.save().values()
    assert value.count(b'"00000') == MAX_VALUES
    assert len(value) < 1_000_000, "one record of the changelog"


@pytest.mark.parametrize("strange", ["x" * 8_192, "\x01" * 24, "\U0001f525" * 24, "\\" * 24])
def test_no_value_takes_more_to_save_than_a_plain_one(strange: str) -> None:
    remembered = [value_of("texts", Mark("r", 0, "a", strange + end)) for end in "ab"]
    assert remembered[0] != remembered[1]
    assert all(len(msgspec.json.encode(value)) <= 26 for value in remembered)


def test_short_values_are_remembered_as_they_are_and_long_ones_told_apart() -> None:
    desk = Desk(value_count(3, "1m"))
    long = "v" * 5_000
    for place, value in enumerate((long, long, "v" * 24, long + "w")):
        desk.hear(marked(f"e{place}", START + place, Mark("r@1", 0, "a", value)), place)
    desk.advance(START + 10_000)
    assert lines_of(desk.events) == ["0.003s fires a: 3 different"]
    (saved,) = desk.save().values()
    assert b'"' + b"v" * 24 + b'"' in saved
    assert len(saved) < 1_000


def test_a_group_that_moves_its_deadline_stands_in_the_agenda_once() -> None:
    desk = Desk(event_count(2, "1h"))
    for place in range(1_000):
        desk.hear(marked(f"e{place}", START + place * 1_000, Mark("r@1", 0, "a")), place)
    assert len(desk.rules._agenda) < 10


def test_numbers_beyond_all_bounds_decide_nothing() -> None:
    huge = "\n".join(f"{second}s a value={'9' * 308}" for second in range(4))
    total = (
        Desk(
            measured(
                "value_sum",
                "1m",
                lambda total: total > 1,
            )
        )
        .play(huge)
        .later("10s")
    )
    assert [event.time for event in total.events] == [START, START + 1_000], "one is a number; two are more than any"
    line = Desk(trend(1e9, "1m", "1h")).play(huge).later("10s")
    assert line.events == []
    odd = (float("nan"), float("inf"))
    desk = Desk(measured("value_sum", "1m", lambda total: not total < 1))
    for place, value in enumerate(odd):
        desk.hear(marked(f"e{place}", START, Mark("r@1", 0, "a", value)), place)
    assert len(desk.rules) == 0


def test_nearest_rank() -> None:
    values = [15.0, 20.0, 35.0, 40.0, 50.0]
    found = [percentile(values, rank) for rank in (5, 20, 30, 40, 50, 100)]
    assert found == [15.0, 15.0, 20.0, 20.0, 35.0, 50.0]
    assert percentile([float(value) for value in range(1, 1001)], 99.9) == 999.0
