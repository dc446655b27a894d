"""Regular expressions of mapping files, searched for by RE2 in time that is linear in the text, whatever the pattern.

`.` fits line ends too, and case counts. RE2's own engine is asked, on bytes: what the package puts around it to look
like `re` takes longer than most searches do.
"""

from collections.abc import Callable
from typing import Final

from re2 import Options
from re2._re2 import RE2

_LONGEST: Final = 2000
_ANYWHERE: Final = RE2.Anchor.UNANCHORED
_NO_SPAN: Final = (-1, -1)

Groups = tuple[str | None, ...]


def _engine(pattern: str) -> RE2:
    """The compiled pattern; ValueError if it is none."""
    if len(pattern) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters; patterns may be split: the first that fits counts")
    options = Options()
    options.log_errors = False
    options.dot_nl = True
    engine = RE2(pattern.encode(), options)
    if not engine.ok():
        raise ValueError(f"is no regular expression of RE2: {engine.error().decode(errors='replace')}")
    return engine


def compile_search(pattern: str) -> tuple[Callable[[bytes], Groups | None], dict[str, int], int]:
    """(what finds the groups of a text, place of each named one, how many there are); ValueError if it is none."""
    engine = _engine(pattern)
    match = engine.Match

    def search(text: bytes) -> Groups | None:
        spans = match(_ANYWHERE, text, 0, len(text))
        if spans[0] == _NO_SPAN:
            return None
        return tuple([None if begin < 0 else text[begin:end].decode(errors="replace") for begin, end in spans[1:]])

    names = {name.decode(): number - 1 for name, number in engine.NamedCapturingGroups()}
    return search, names, engine.NumberOfCapturingGroups()


def compile_scan(pattern: str) -> Callable[[bytes], list[tuple[str, str]]]:
    """What finds the two groups of every place in a text where a pattern fits; a group that took no part is empty."""
    match = _engine(pattern).Match

    def scan(text: bytes) -> list[tuple[str, str]]:
        found, at, last = [], 0, len(text)
        while at <= last:
            (begin, end), name, value = match(_ANYWHERE, text, at, last)
            if begin < 0:
                break
            if name[0] < name[1]:
                held = text[value[0] : value[1]] if value[0] >= 0 else b""
                found.append((text[name[0] : name[1]].decode(errors="replace"), held.decode(errors="replace")))
            at = end if end > at else at + 1
        return found

    return scan
