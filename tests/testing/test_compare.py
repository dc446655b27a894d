"""Expected lists against what was found: exact, at least, one to one, and the difference that is told."""

from collections.abc import Mapping, Sequence
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from opsbridge.testing.compare import Lines, compared, difference, line

A = {"ci": "a", "class": "Down", "severity": "major"}
B = {"ci": "b", "class": "Down", "severity": "minor"}


def test_an_entry_stands_for_what_has_all_that_it_says() -> None:
    assert difference(compared([{"ci": "a"}, {"severity": "minor"}], [A, B])) == ""
    assert difference(compared([], [])) == ""


def test_a_near_miss_differs_in_one_word() -> None:
    told = difference(compared([{"severity": "critical", "ci": "a"}, {"ci": "b"}], [B, A]))
    assert told.splitlines() == [
        "--- wanted",
        "+++ found",
        "-{severity: critical, ci: a}",
        "+{severity: major, ci: a, class: Down}",
        " {ci: b}",
    ]


def test_more_than_wanted_is_told_unless_the_list_need_not_be_complete() -> None:
    assert "+{ci: b, class: Down, severity: minor}" in difference(compared([{"ci": "a"}], [A, B]))
    assert difference(compared([{"ci": "a"}], [A, B], contains=True)) == ""
    assert "-{ci: c}" in difference(compared([{"ci": "c"}], [A, B], contains=True))


def test_two_entries_never_stand_for_one_thing() -> None:
    assert "-{ci: a}" in difference(compared([{"class": "Down"}, {"ci": "a"}], [A]))
    assert difference(compared([{"class": "Down"}, {"ci": "a"}], [A, B])) == ""  # the first gives way


def test_values_are_quoted_where_yaml_would_need_it() -> None:
    assert line({"a": "x y", "b": "", "c": 3, "d": "p:q", "e": "k\x1fl"}) == (
        '{a: "x y", b: "", c: 3, d: "p:q", e: "k\\u001fl"}'
    )


ROWS = st.lists(st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), min_size=1), max_size=4)


def paired(wanted: Sequence[Mapping[str, str]], found: Sequence[Mapping[str, str]]) -> bool:
    """Whether each entry can have something found for itself: every way is tried."""
    return any(
        all(entry.items() <= each.items() for entry, each in zip(wanted, chosen, strict=True))
        for chosen in permutations(found, len(wanted))
    )


@given(ROWS, ROWS)
def test_lists_are_equal_if_and_only_if_they_can_be_paired(
    wanted: list[dict[str, str]], found: list[dict[str, str]]
) -> None:
    assert (difference(compared(wanted, found)) == "") is (len(wanted) == len(found) and paired(wanted, found))
    assert (difference(compared(wanted, found, contains=True)) == "") is paired(wanted, found)


def test_nothing_is_told_of_equal_lines() -> None:
    assert difference(Lines(["a"], ["a"])) == ""
