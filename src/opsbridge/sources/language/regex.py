"""Regular expressions of mapping files, searched for by RE2 in time that is linear in the text, whatever the pattern.

`.` fits line ends too, and case counts. Texts are handed over as bytes: of a str, the library would work out where in
it each group is, which takes longer than the search.
"""

from collections.abc import Callable
from typing import Final

import re2

_LONGEST: Final = 2000

Groups = tuple[str | None, ...]


def compile_search(pattern: str) -> tuple[Callable[[bytes], Groups | None], dict[str, int], int]:
    """(what finds the groups of a text, place of each named one, how many there are); ValueError if it is none."""
    if len(pattern) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters; patterns may be split: the first that fits counts")
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        compiled = re2.compile(pattern.encode(), options)  # type: ignore[no-untyped-call]  # it has no types
    except re2.error as refused:
        (said,) = refused.args
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"is no regular expression of RE2: {reason}") from None
    find = compiled.search

    def search(text: bytes) -> Groups | None:
        found = find(text)
        if found is None:
            return None
        return tuple([group if group is None else group.decode(errors="replace") for group in found.groups()])

    names = {name.decode(): number - 1 for name, number in compiled.groupindex.items()}
    return search, names, compiled.groups


def compile_scan(pattern: str) -> Callable[[bytes], list[tuple[str, str]]]:
    """What finds the two groups of every place in a text where a pattern fits; a group that took no part is empty."""
    options = re2.Options()
    options.dot_nl = True
    every = re2.compile(pattern.encode(), options).findall  # type: ignore[no-untyped-call]

    def scan(text: bytes) -> list[tuple[str, str]]:
        return [(name.decode(errors="replace"), value.decode(errors="replace")) for name, value in every(text) if name]

    return scan
