"""Globs mean what `fnmatch` means, and no pattern takes more than a moment."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbridge.rules.matching.globs import compile_glob


@pytest.mark.parametrize(
    ("pattern", "matching", "failing"),
    [
        ("web", "web", "web-1"),
        ("web-*", "web-", "Web-1"),
        ("*.net", "a.net", "a.net."),
        ("web-*-1", "web--1", "web-1"),
        ("*time*out*", "a timed-out b", "out of time"),
        ("a*ba*ab", "abaab", "abab"),
        ("*aa*a*", "aaa", "aa"),
        ("***", "", None),
        ("", "", "x"),
        ("db-[0-9]?", "db-1x", "db-x1"),
        ("[!a]*", "b", "a"),
        ("a[", "a[", "a"),
        ("a*b", "a\nb", "a\nb\n"),
    ],
)
def test_a_glob(pattern: str, matching: str, failing: str | None) -> None:
    test = compile_glob(pattern)
    assert test(matching)
    assert failing is None or not test(failing)


@given(st.text("ab*?[]!-", max_size=8), st.text("ab-]", max_size=12))
def test_a_glob_means_what_fnmatch_means(pattern: str, text: str) -> None:
    assert compile_glob(pattern)(text) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize("pattern", ["*a" * 40 + "*b", "*a?" * 40 + "b", "a*" * 40 + "[b]", "*" * 10_000 + "b"])
def test_no_pattern_backtracks_without_end(pattern: str) -> None:
    assert not compile_glob(pattern)("a" * 20_000)
