"""What is known of changes: by their own times, by any name of a CI, and not for ever."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.core.calendar import FOREVER
from opsbridge.core.context import KEEP_MS, RECENT_MS, TITLE, ChangeRecord, Context
from opsbridge.core.decisions import RecentChange
from opsbridge.core.graph import CI, CIGraph

START = 1_790_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE

State = Literal["planned", "in_progress", "done", "cancelled"]


def record(
    begins: int,
    ends: int | None = None,
    *,
    id: str = "CHG-1",  # noqa: A002 # the field's name
    cis: tuple[str, ...] = ("db",),
    state: State = "planned",
    suppresses: bool = False,
) -> ChangeRecord:
    """A change, with times in minutes after START."""
    zero = datetime.fromtimestamp(START / 1000, UTC)
    return ChangeRecord(
        id=id,
        cis=cis,
        title=f"{id} of {','.join(cis)}",
        begins=zero + timedelta(minutes=begins),
        ends=None if ends is None else zero + timedelta(minutes=ends),
        state=state,
        suppresses=suppresses,
    )


def knowing(*records: ChangeRecord) -> Context:
    context = Context()
    for each in records:
        context.learn(each)
    return context


def names(context: Context, minute: float, ci: str = "db") -> list[str]:
    return [change.id for change in context.recent(ci, START + round(minute * MINUTE))]


def test_a_change_is_recent_from_its_begin_until_a_while_after_its_end() -> None:
    context = knowing(record(0, 90))
    assert names(context, -1) == []
    assert [names(context, minute) for minute in (0, 61, 89, 90, 150)] == [["CHG-1"]] * 5
    assert names(context, 151) == []
    assert names(context, 10, "web") == []


def test_it_makes_a_failure_likely_only_around_its_begin_and_end() -> None:
    context = knowing(record(0, 300))
    hits = [minute for minute in range(-30, 420, 30) if context.changed("db", START + minute * MINUTE)]
    assert hits == [0, 30, 60, 300, 330, 360]
    assert RECENT_MS == HOUR


def test_an_end_is_told_when_it_has_come() -> None:
    context = knowing(record(0, 90))
    began = START
    assert context.recent("db", began + HOUR) == (RecentChange("CHG-1", "db", "CHG-1 of db", began, None),)
    assert context.recent("db", began + 2 * HOUR)[0].ended_ms == began + 90 * MINUTE
    # long over, but recent when the incident began
    assert context.recent("db", began + 9 * HOUR, began + HOUR)[0].ended_ms == began + 90 * MINUTE
    assert context.recent("db", began + 9 * HOUR) == ()


def test_the_newest_comes_first() -> None:
    context = knowing(record(0, id="a"), record(20, id="c"), record(10, id="b"), record(20, id="bb"))
    assert names(context, 30) == ["bb", "c", "b", "a"]


def test_aliases_name_the_same_ci_and_unknown_names_stay_as_they_are() -> None:
    graph = CIGraph([CI(id="db")], aliases={"10.0.0.1": 0})
    context = Context(graph)
    context.learn(record(0, cis=("10.0.0.1", "db", "ghost")))
    assert names(context, 1, "db") == names(context, 1, "ghost") == ["CHG-1"]
    assert names(context, 1, "10.0.0.1") == []
    context.forget("CHG-1")
    assert "db" not in context.cis
    assert len(context) == 0


def test_a_newer_version_stands_in_the_place_of_the_old_one() -> None:
    context = knowing(record(0, 10, suppresses=True), record(30, 40, cis=("web",)))
    assert names(context, 35) == []
    assert names(context, 35, "web") == ["CHG-1"]
    before = context.version
    context.forget("CHG-1")
    context.forget("CHG-1")
    assert context.version > before
    assert names(context, 35, "web") == []


def test_of_a_title_only_so_much_is_told() -> None:
    long = msgspec.structs.replace(record(0), title="t" * 250_000, begins=datetime.max.replace(tzinfo=UTC))
    assert knowing(long).recent("db", START) == ()
    (change,) = knowing(msgspec.structs.replace(long, begins=record(0).begins)).recent("db", START)
    assert change.title == "t" * TITLE


def test_what_is_cancelled_counts_for_nothing() -> None:
    context = knowing(record(0, 10, suppresses=True), record(0, 10, suppresses=True, state="cancelled"))
    assert context.window("db", START) is None
    assert names(context, 1) == []


def test_windows() -> None:
    context = knowing(
        record(0, 10, id="a", suppresses=True),
        record(5, 30, id="b", suppresses=True),
        record(5, 99, id="quiet"),
        record(200, id="open", suppresses=True),
        record(400, id="done", state="done", suppresses=True),
    )
    ends = {minute: context.window("db", START + minute * MINUTE) for minute in (-1, 0, 4, 5, 29, 30, 199, 200)}
    ten, thirty = START + 10 * MINUTE, START + 30 * MINUTE
    assert ends == {-1: None, 0: ten, 4: ten, 5: thirty, 29: thirty, 30: None, 199: None, 200: FOREVER}
    assert context.window("web", START) is None
    context.forget("open")
    assert context.window("db", START + 400 * MINUTE) is None, "done at once"


def test_an_end_before_the_begin_is_none_at_all() -> None:
    context = knowing(record(10, 5, suppresses=True))
    assert context.window("db", START + 10 * MINUTE) is None
    assert names(context, 9) == []
    assert names(context, 11) == ["CHG-1"]


def test_what_ended_long_ago_is_forgotten() -> None:
    context = knowing(record(0, 10, id="old"), record(0, id="open"), record(60, 70, id="later"))
    week = START + 10 * MINUTE + KEEP_MS
    context.recent("db", week)
    assert len(context) == 3, "a near miss"
    context.recent("web", week + HOUR)
    assert len(context) == 2, "whoever asks, and of whom"
    context.recent("db", week + 3 * HOUR)
    assert names(context, KEEP_MS / MINUTE) == ["open"]
    assert len(context) == 1


CHANGES = st.lists(
    st.builds(
        record,
        begins=st.integers(0, 200),
        ends=st.none() | st.integers(0, 300),
        id=st.sampled_from(["a", "b", "c", "d"]),
        state=st.sampled_from(["planned", "in_progress", "done", "cancelled"]),
        suppresses=st.booleans(),
    ),
    max_size=4,
    unique_by=lambda each: each.id,
)


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.lists(st.integers(-10, 400), min_size=1, max_size=6))
def test_it_does_not_matter_when_and_in_which_order_records_are_learned(
    records: list[ChangeRecord], asked: list[int]
) -> None:
    def answers(context: Context) -> list[object]:
        times = [START + minute * MINUTE for minute in asked]
        return [(context.recent("db", at), context.window("db", at), context.changed("db", at)) for at in times]

    wanted = answers(knowing(*records))
    for order in permutations(records):
        late = Context()
        answers(late)  # asked before anything is known
        for each in order:
            late.learn(each)
            answers(late)
        assert answers(late) == wanted
        for each in records:
            late.learn(each)  # read again, as after a restart
        assert answers(late) == wanted
