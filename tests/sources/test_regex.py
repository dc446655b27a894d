"""RE2's engine asked directly: what it finds is what the package around it finds."""

from typing import Any

import re2
from hypothesis import given
from hypothesis import strategies as st

from opsbridge.sources.language.regex import compile_scan, compile_search

PATTERNS = (
    r"(?P<a>b+)(?P<c>d)?",
    r"^<(\d+)>(.*?)[\s\x00]*$",
    r"(x*)(y*)",
    r'([^ =\]"\[]+)="((?:[^"\\]|\\.)*)"',
    r"(é|\n)(.)?",
)
TEXTS = st.text(alphabet='<13>bdxyé\n =]["\\\x00', max_size=30)


def peer(pattern: str) -> Any:  # Any: the package has no types
    options = re2.Options()
    options.dot_nl = True
    return re2.compile(pattern.encode(), options)  # type: ignore[no-untyped-call]


@given(st.sampled_from(PATTERNS), TEXTS)
def test_the_engine_finds_what_the_package_finds(pattern: str, text: str) -> None:
    search, _, count = compile_search(pattern)
    found = peer(pattern).search(text.encode())
    assert search(text.encode()) == (
        None if found is None else tuple(each if each is None else each.decode() for each in found.groups())
    )
    assert count == 2


@given(st.sampled_from(PATTERNS), TEXTS)
def test_every_place_is_found(pattern: str, text: str) -> None:
    listed = peer(pattern).findall(text.encode())
    assert compile_scan(pattern)(text.encode()) == [(name.decode(), held.decode()) for name, held in listed if name]


def test_named_groups_have_their_places() -> None:
    assert compile_search(PATTERNS[0])[1] == {"a": 0, "c": 1}
