"""What stages keep things with: deadlines by name, and entries of the saved state."""

from hypothesis import given
from hypothesis import strategies as st

from opsbridge.core.coordination.news import Counted, Opened
from opsbridge.core.coordination.problems import SLACK_MS, Problems
from opsbridge.core.deadlines import Deadlines
from opsbridge.core.state import Kept

NAMES = st.sampled_from("abc")
TIMES = st.integers(0, 9)


@given(st.lists(st.one_of(st.tuples(NAMES, st.none() | TIMES), TIMES)))
def test_deadlines_are_those_of_a_plain_dict(steps: list[tuple[str, int | None] | int]) -> None:
    deadlines, plain = Deadlines(), dict[str, int]()
    for step in steps:
        if isinstance(step, int):
            met = sorted((time, name) for name, time in plain.items() if time <= step)
            assert list(deadlines.met(step)) == met
            plain = {name: time for name, time in plain.items() if time > step}
        else:
            name, time = step
            deadlines.set(name, time)
            plain.pop(name, None)
            if time is not None:
                plain[name] = time
        assert deadlines.due() == min(plain.values(), default=None)


def test_what_is_set_while_deadlines_are_met_is_met_too() -> None:
    deadlines, met = Deadlines(), list[tuple[int, str]]()
    deadlines.set("a", 1)
    deadlines.set("b", 3)
    for time, name in deadlines.met(5):
        met.append((time, name))
        if name == "a":
            deadlines.set("a", 4 if time == 1 else 6)
    assert met == [(1, "a"), (3, "b"), (4, "a")]
    assert deadlines.due() == 6


def test_what_is_kept_is_saved_when_it_changed_and_passes_over_others() -> None:
    kept = Kept(b"n:", int)
    kept |= {"one": 1, "two": 2}
    kept.changed("two")
    kept.changed("one")
    assert kept.changes() == [(b"n:two", b"2"), (b"n:one", b"1")]
    assert kept.changes() == []
    assert kept.drop("two") == 2
    assert kept.changes() == [(b"n:two", None)]
    again = Kept(b"n:", int)
    again.restore([(b"n:one", b"1"), (b"x:one", b"7"), (b"n:two", b"0")])
    assert (dict(again), again.changes()) == ({"one": 1, "two": 0}, [])
    again.sort(lambda _, number: (number, ""))
    assert list(again) == ["two", "one"]


def test_openings_are_forgotten_also_when_their_rule_looks_back_further_since() -> None:
    problems = Problems()
    opened = Opened("S-1", "INC-1", "db", "Down", 0, 0, counted=(Counted("r", ("db",), 3, 1000),))
    problems.opened(opened)
    further = Counted("r", ("db",), 3, 5000)
    problems.opened(Opened("S-1", "INC-1", "db", "Down", 0, 0, counted=(further,)))  # the same, told again
    problems.expire(1000 + SLACK_MS)
    assert len(problems) == 1
    problems.expire(5000 + SLACK_MS)
    assert (len(problems), problems.due()) == (0, None)
