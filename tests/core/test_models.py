"""The first level against brute force: an alert fires while its newest firing is newer than its newest clear."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from estates import LAW
from opsbridge.core.event import Event
from opsbridge.core.first_level.level import FirstLevel

Reports = list[tuple[str, int, bool]]
"""Fingerprint, time and whether it fires."""


@LAW
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 20), st.booleans()), max_size=30),
    st.lists(st.integers(1, 7), min_size=30, max_size=30),
)
def test_an_alert_fires_while_its_newest_firing_is_newer_than_its_newest_clear(
    reports: Reports, sizes: list[int]
) -> None:
    """Whatever the order of arrival; nothing of it is old enough to be forgotten."""
    first = FirstLevel()
    firing: dict[str, bool] = {}
    counted: Counter[str] = Counter()
    position = 0
    for size in sizes:
        batch = [
            Event(f"e{number}", time, "ci", fingerprint, 3, fires, fingerprint)
            for number, (fingerprint, time, fires) in enumerate(reports[position : position + size], position)
        ]
        heard = first.advance(batch, position)
        position += len(batch)
        counted.update(heard.outcomes)
        for change in heard.transitions:
            assert firing.get(change.fingerprint, False) is (change.change != "opened"), "opened and resolved alternate"
            firing[change.fingerprint] = change.change == "opened"
    assert {fingerprint for fingerprint, fires in firing.items() if fires} == model(reports)
    assert set(firing) == {fingerprint for fingerprint, _, fires in reports if fires}
    assert counted.total() == len(reports)


def model(reports: Reports) -> set[str]:
    """The fingerprints that fire."""

    def newest(fingerprint: str, *, firing: bool) -> int:
        return max((time for name, time, fires in reports if (name, fires) == (fingerprint, firing)), default=0)

    return {name for name, _, _ in reports if newest(name, firing=True) > newest(name, firing=False)}
