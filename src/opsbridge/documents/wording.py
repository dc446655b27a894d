"""Validation errors in an operator's words, and the nearest known name for one that is not known.

pydantic's own messages speak of types and loc tuples; the table here says what the file should say instead. Called by
the rooms that validate files.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from pydantic_core import ErrorDetails, ValidationError

from opsbridge.documents.text import Loc

_LONGEST_SHOWN: Final = 60
_WORD: Final = re.compile(r"[\w.-]{1,40}")
_MANY: Final = 2000


class Nearest:
    """Suggestions from known names; remembers answers, since one wrong name tends to come many times.

    Of names that differ in case only, the first is suggested: so ids are given before aliases.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._by_folded: dict[str, str] = {}
        self._answers: dict[str, str] = {}

    def hint(self, name: str) -> str:
        """`; did you mean 'x' or 'y'?`, or nothing."""
        if name not in self._answers:
            found = map(repr, self.names(name))
            self._answers[name] = f"; did you mean {near}?" if (near := " or ".join(found)) else ""
        return self._answers[name]

    def names(self, name: str) -> list[str]:
        """The nearest known names, at most two, the nearest first."""
        if not self._by_folded:  # folded only now: most files have nothing to suggest
            for known in self._known:
                self._by_folded.setdefault(known.casefold(), known)
        return [self._by_folded[near] for near in self._near(name.casefold())]

    def _near(self, name: str) -> list[str]:
        if name in self._by_folded:
            return [name]
        known: Collection[str] = self._by_folded
        if len(known) > _MANY:  # difflib takes seconds on an estate: ask it only about names that begin or end alike
            known = [
                other
                for other in known
                if abs(len(other) - len(name)) <= 2 and (other[:4] == name[:4] or other[-4:] == name[-4:])
            ][:_MANY]
        return difflib.get_close_matches(name, known, n=2, cutoff=0.7)


def shown(value: object) -> str:
    """A value from a file as a message quotes it: short, on one line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "...")
    text = str(value)
    return f"the number {text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '...'}"


def dotted(loc: Loc) -> str:
    """A place as findings name it: `cis[3].depends_on[0]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).lstrip(".")


def _text(error: ErrorDetails) -> str:
    found = error["input"]
    quotes = "; put it in quotes" if isinstance(found, bool | int | float) else ""
    return f"must be text, not {shown(found)}{quotes}"


def _expected(what: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"must be {what}, not {shown(error['input'])}"


def _number(error: ErrorDetails) -> str:
    found = error["input"]
    quotes = "; without quotes" if isinstance(found, str) and found.strip().lstrip("+-").isdecimal() else ""
    return f"must be a whole number, not {shown(found)}{quotes}"


def _list(error: ErrorDetails) -> str:
    found = error["input"]
    brackets = f"; say [{found}]" if isinstance(found, str) and _WORD.fullmatch(found) else ""
    return f"must be a list, not {shown(found)}{brackets}"


_WORDS: Final[dict[str, Callable[[ErrorDetails], str]]] = {
    "missing": lambda _: "is required",
    "string_type": _text,
    "string_unicode": lambda _: "must be text, not half of a surrogate pair",
    "int_type": _number,
    "bool_type": _expected("true or false"),
    "list_type": _list,
    "dict_type": _expected("a mapping"),
    "model_type": _expected("a mapping"),
    "model_attributes_type": _expected("a mapping"),
    "too_short": lambda error: f"must have {error['ctx']['min_length']} entries, not {error['ctx']['actual_length']}",
    "too_long": lambda error: f"must have {error['ctx']['max_length']} entries, not {error['ctx']['actual_length']}",
    "greater_than_equal": lambda error: f"must be at least {error['ctx']['ge']}, not {error['input']}",
    "literal_error": lambda error: f"must be {error['ctx']['expected']}, not {shown(error['input'])}",
}


def from_validation(
    error: ValidationError, known_fields: Callable[[Loc], Collection[str]], patterns: Mapping[str, str]
) -> Iterator[tuple[Loc, bool, str]]:
    """(where, at the key, message) for every error.

    `known_fields` names what a mapping at a place may say, `patterns` what a regular expression of the model asks for.
    """
    for details in error.errors(include_url=False):
        loc = details["loc"]
        match details["type"]:
            case "extra_forbidden":
                known = known_fields(loc[:-1])
                hint = Nearest(known).hint(str(loc[-1])) or f"; known are {', '.join(sorted(known))}"
                yield loc, True, f"unknown field{hint}"
            case "string_pattern_mismatch":
                yield loc, False, f"must be {patterns[details['ctx']['pattern']]}; it is {shown(details['input'])}"
            case kind:
                words = _WORDS.get(kind)
                yield loc, False, words(details) if words else details["msg"]
