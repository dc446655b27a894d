"""What many situations show about the topology: edges that failures contradict, and edges that seem to be missing."""

from collections.abc import Iterable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.core.coordination import discrepancies
from opsbridge.core.coordination.discrepancies import FAILURES, KEEP_MS, TOGETHER_MS, WEEK_MS, Discrepancies
from opsbridge.core.coordination.news import Ended, Opened
from opsbridge.core.decisions import Discrepancy
from opsbridge.core.graph import CI, CIGraph

START = 1_790_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE

GRAPH = CIGraph([CI(id=name) for name in ("sw", "h1", "h2", "h3", "db", "app")], [(1, 0), (2, 0), (3, 0), (5, 4)])

_names = count()


def opened(root: str, at: int, situation: str = "", *, again: int = 0, told: int | None = None) -> Opened:
    """The news that a situation opened; times after START, told a moment later."""
    name = situation or f"S-{next(_names)}"
    now = START + (at + 15_000 if told is None else told)
    return Opened(name, "INC" + name[1:], root, "Down", START + at, now, again=again)


def ended(
    at: int,
    heard: Iterable[str] = ("h1", "h2"),
    unheard: Iterable[str] = ("h3",),
    situation: str = "",
    root: str = "sw",
) -> Ended:
    """The news that a situation of the switch is over."""
    name = situation or f"S-{next(_names)}"
    return Ended(name, root, START + at - MINUTE, START + at, tuple(unheard), tuple(heard))


def failing(known: Discrepancies, times: int, since: int = 0, **how: Iterable[str]) -> list[Discrepancy]:
    """What so many failures of the switch, an hour apart, bring to light."""
    told = [known.ended(ended(since + number * HOUR, **how)) for number in range(times)]  # type: ignore[arg-type]
    return [each for one in told for each in one]


def together(known: Discrepancies, roots: Iterable[str], times: int = 3, apart: int = 1_000) -> list[Discrepancy]:
    """What comes of it that these fail together so many times, an hour apart, one a moment after the other."""
    news = [opened(root, number * HOUR + order * apart) for number in range(times) for order, root in enumerate(roots)]
    return [each for one in news for each in known.opened(one)]


# orphans


def test_a_ci_without_edges_that_fails_again_and_again_is_an_orphan_and_told_once() -> None:
    graph = CIGraph([CI(id="alone"), CI(id="a"), CI(id="b")], [(1, 2)])
    known = Discrepancies(graph)
    told = [known.opened(opened(root, at * HOUR)) for at in range(6) for root in ("alone", "b", "unknown")]
    assert [[each.kind for each in one] for one in told].count(["orphan"]) == 1
    (orphan,) = told[6]  # the third time
    assert (orphan.kind, orphan.reference) == ("orphan", "alone")
    assert orphan.evidence[0] == "alone failed 3 times in 7 days"
    rare = Discrepancies(graph)
    assert not [each for day in range(0, 30, 4) for each in rare.opened(opened("alone", day * 24 * HOUR))]


# contradicted edges


def test_a_dependent_that_never_feels_its_provider_contradicts_the_edge() -> None:
    known = Discrepancies(GRAPH)
    assert failing(known, FAILURES - 1) == []
    (told,) = failing(known, 1, since=9 * HOUR)
    assert (told.kind, told.reference, told.time_ms) == ("contradicted_edge", "h3 -> sw", START + 9 * HOUR)
    assert told.evidence == (
        "sw has failed 5 times, and h3 never sent anything then",
        "others did: 2 of 3 dependents the last time",
    )
    assert failing(known, 3, since=20 * HOUR) == [], "told once"


@pytest.mark.parametrize(
    ("heard", "unheard"),
    [((), ("h1", "h2", "h3")), (("h1",), ("h2", "h3", "h4")), ((), ("h3",)), (("h1", "h2", "h3"), ())],
    ids=["nobody felt it", "too few did", "there is nobody else", "all did"],
)
def test_near_misses_of_a_contradiction(heard: tuple[str, ...], unheard: tuple[str, ...]) -> None:
    assert failing(Discrepancies(GRAPH), 9, heard=heard, unheard=unheard) == []


def test_a_dependent_that_was_heard_once_confirms_the_edge_for_good() -> None:
    known = Discrepancies(GRAPH)
    failing(known, 4)
    failing(known, 1, since=5 * HOUR, heard=("h3",), unheard=("h1", "h2"))
    assert [each.reference for each in failing(known, 9, since=6 * HOUR)] == []


def test_failures_of_long_ago_are_forgotten() -> None:
    known = Discrepancies(GRAPH)
    failing(known, 4)
    known.expire(START + 3 * HOUR + KEEP_MS - 1)
    assert len(known) == 1
    due = known.due()
    assert due == START + 3 * HOUR + KEEP_MS
    known.expire(due)
    assert len(known) == 0
    assert known.due() is None
    assert failing(known, 4, since=KEEP_MS + 4 * HOUR) == []


def test_what_has_been_told_is_told_again_when_that_is_forgotten() -> None:
    known = Discrepancies(GRAPH)
    assert len(failing(known, 5)) == 1
    day = 24 * HOUR
    again = [each for number in range(40) for each in known.ended(ended(number * day + 9 * HOUR))]
    assert [each.time_ms for each in again] == [START + 31 * day + 9 * HOUR - day]


# missing edges


def test_two_cis_that_fail_together_again_and_again_lack_an_edge() -> None:
    known = Discrepancies(GRAPH)
    assert together(known, ("sw", "db"), times=2) == []
    (told,) = known.opened(opened("db", 9 * HOUR)) + known.opened(opened("sw", 9 * HOUR + 2_000))
    assert (told.kind, told.reference, told.time_ms) == ("missing_edge", "db -> sw", START + 9 * HOUR + 17_000)
    assert (
        told.evidence
        == (
            "db failed 3 times in 7 days, sw 3 times",
            "3 times they failed within 60 s of each other",
            "neither depends on the other",
            "db was mostly the first of the two; the direction may still be wrong",
        )
        or told.reference == "db -> sw"
    )


def test_the_one_that_fails_first_is_the_provider() -> None:
    for first, second in (("sw", "db"), ("db", "sw")):
        (told,) = together(Discrepancies(GRAPH), (first, second))
        assert told.reference == f"{second} -> {first}"


def test_unknown_cis_may_lack_an_edge_too() -> None:
    assert [each.reference for each in together(Discrepancies(GRAPH), ("ghost", "db"))] == ["db -> ghost"]
    assert [each.reference for each in together(Discrepancies(), ("app", "db"))] == ["db -> app"]


def test_what_depends_on_the_other_lacks_no_edge() -> None:
    assert together(Discrepancies(GRAPH), ("db", "app")) == []
    assert together(Discrepancies(GRAPH), ("app", "db")) == []


def test_a_minute_apart_is_together_and_more_is_not() -> None:
    assert len(together(Discrepancies(GRAPH), ("sw", "db"), apart=TOGETHER_MS)) == 1
    assert together(Discrepancies(GRAPH), ("sw", "db"), apart=TOGETHER_MS + 1, times=9) == []


def test_it_takes_two_thirds_of_the_failures_of_the_rarer_one() -> None:
    for alone, wanted in ((1, 1), (2, 0)):
        known = Discrepancies(GRAPH)
        for number in range(alone):
            for root in ("sw", "db"):
                assert known.opened(opened(root, (20 + number) * HOUR + (root == "db") * 30 * MINUTE)) == []
        # the switch fails much more often besides: that the database fails only with it is what counts
        for number in range(9):
            assert known.opened(opened("sw", (30 + number) * HOUR)) == []
        assert len(together(known, ("sw", "db"))) == wanted


def test_it_counts_for_a_week() -> None:
    known = Discrepancies(GRAPH)
    together(known, ("sw", "db"), times=2)
    late = WEEK_MS + 30 * MINUTE  # the first of them is too old by then
    assert known.opened(opened("sw", late)) + known.opened(opened("db", late)) == []
    assert len(known.opened(opened("sw", late + HOUR // 4)) + known.opened(opened("db", late + HOUR // 4))) == 1


def test_an_opening_that_is_told_a_week_late_counts_for_nothing() -> None:
    known = Discrepancies(GRAPH)
    known.expire(START + WEEK_MS + HOUR)
    assert known.opened(opened("sw", 0)) == []
    assert len(known) == 0


def test_where_everything_fails_it_says_nothing_about_any_two() -> None:
    known = Discrepancies(GRAPH)
    assert together(known, [f"x{number}" for number in range(30)], times=5, apart=100) == []


def test_every_situation_counts_once_and_each_reopening_too() -> None:
    known = Discrepancies(GRAPH)
    for number in range(5):
        assert known.opened(opened("sw", 0, "S-a", told=MINUTE + number)) == []
        assert known.opened(opened("db", 1_000, "S-b", told=MINUTE + number)) == []
    for again in (1, 2):  # told of with the first time of the situation: no opening of its own
        assert known.opened(opened("sw", 0, "S-a", again=again, told=2 * MINUTE)) == []
        assert known.opened(opened("db", 1_000, "S-b", again=again, told=2 * MINUTE)) == []
    told = [
        each
        for again in (1, 2)
        for root, name in (("sw", "S-a"), ("db", "S-b"))
        for each in known.opened(opened(root, again * HOUR, name, again=again))
    ]
    assert [each.kind for each in told] == ["missing_edge"]


def test_news_that_brought_something_to_light_bring_it_again_when_they_are_repeated() -> None:
    known = Discrepancies(GRAPH)
    together(known, ("sw", "db"), times=2)
    last = opened("db", 9 * HOUR)
    known.opened(opened("sw", 9 * HOUR - 5_000))
    assert known.opened(last) == known.opened(last) != []
    for number in range(4):
        known.ended(ended(number * HOUR))
    end = ended(9 * HOUR)
    assert known.ended(end) == known.ended(end) != []
    assert known.ended(ended(10 * HOUR)) == []


# memory


def test_memory_is_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discrepancies, "LIMIT", 20)
    known = Discrepancies(GRAPH)
    failing(known, 4)
    for number in range(60):
        known.opened(opened(f"x{number}", (5 + number) * HOUR))
    assert len(known) == 20
    assert failing(known, 4, since=66 * HOUR) == [], "begun anew"
    state = {key: value for key, value in known.changes() if value is not None}
    assert len(state) == len(known)
    assert all(key.startswith(b"d:") for key in state)


def test_a_ci_that_always_opens_is_bounded() -> None:
    known = Discrepancies(GRAPH)
    for number in range(200):
        known.opened(opened("sw", number * MINUTE * 10))
    (state,) = [value for _, value in known.changes() if value is not None]
    assert len(state) < 3_000


NEWS = st.lists(
    st.tuples(
        st.sampled_from(["sw", "db", "ghost"]),
        st.integers(0, 30),
        st.sampled_from([0, 0, 0, 400, 1_000]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(NEWS, st.integers(0, 40))
def test_a_restart_anywhere_and_news_that_come_twice_change_nothing(
    drawn: list[tuple[str, int, int, bool]], cut: int
) -> None:
    news: list[Opened | Ended] = []
    time = 0
    for number, (root, seconds, hours, begins) in enumerate(drawn):
        time += seconds * 1_000 + hours * HOUR
        end = ended(time, situation=f"S-{number}", root=root)
        news.append(opened(root, time, f"S-{number}") if begins else end)

    def hear(known: Discrepancies, each: Opened | Ended) -> list[Discrepancy]:
        return known.opened(each) if isinstance(each, Opened) else known.ended(each)

    whole = Discrepancies(GRAPH)
    wanted = [hear(whole, each) for each in news]
    known, saved = Discrepancies(GRAPH), dict[bytes, bytes | None]()
    told = [hear(known, each) for each in news[:cut]]
    saved.update(known.changes())
    known = Discrepancies(GRAPH)
    known.restore([*((key, value) for key, value in saved.items() if value is not None), (b"o:other", b"not ours")])
    for each in news[max(0, cut - 3) : cut]:
        repeated = hear(known, each)
        assert all(one.reference in {other.reference for before in told for other in before} for one in repeated)
    told += [hear(known, each) for each in news[cut:]]
    assert told == wanted
