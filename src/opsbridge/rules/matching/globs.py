"""Glob patterns (`web-*`, `*timeout*`, `db-[0-9]?`) as tests of a text, none of which can backtrack catastrophically.

Patterns of text and stars only, that is nearly all, become prefix, suffix and search in order; the rest goes through
`fnmatch`, whose expressions keep the first match between two stars and never try another.
"""

import fnmatch
import re
from collections.abc import Callable

TextTest = Callable[[str], bool]


def compile_glob(pattern: str) -> TextTest:
    """True for the whole texts that the pattern describes; case counts, `*` also spans line ends."""
    pattern = re.sub(r"\*+", "*", pattern)
    if "?" in pattern or "[" in pattern:
        match = re.compile(fnmatch.translate(pattern)).match
        return lambda text: match(text) is not None
    first, *middle = pattern.split("*")
    if not middle:
        return lambda text: text == first
    last = middle.pop()
    if len(middle) == 1 and not first and not last:
        (piece,) = middle
        return lambda text: piece in text
    shortest = len(first) + len(last)
    if not middle:
        return lambda text: len(text) >= shortest and text.startswith(first) and text.endswith(last)
    return lambda text: _in_order(text, first, middle, last)


def _in_order(text: str, first: str, middle: list[str], last: str) -> bool:
    """The pieces stand in the text one after the other, the first at its start, the last at its end."""
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
