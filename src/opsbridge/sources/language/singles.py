"""The single things that expressions of a mapping file are made of: paths, texts, patterns, zones, and lists of texts.

Everything wrong goes to `complain` at its place; what is returned then stands in for it and must not be used.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opsbridge.documents import Nearest, shown
from opsbridge.documents.text import Loc
from opsbridge.sources.language.regex import compile_search
from opsbridge.sources.language.terms import PAYLOAD, Path

_STEP: Final = re.compile(r'(?:\.|^)(?:"([^"]+)"|([^\s.\[\]"{}$][^\s.\[\]"{}]*))|\[(-?\d{1,4})\]')


class Complain(Protocol):
    """Told where something is wrong, and what; with `key`, it is the key itself."""

    def __call__(self, loc: Loc, message: str, *, key: bool = False) -> None:
        """Take one complaint."""


@dataclass(frozen=True, slots=True)
class Wants:
    """Which groups a pattern must have."""

    words: str
    fit: Callable[[Collection[str], int], bool]


ANY_GROUPS: Final = Wants("any groups", lambda _names, _count: True)
ONE_GROUP: Final = Wants("one group, the part that is wanted", lambda _names, count: count == 1)
TWO_GROUPS: Final = Wants("two groups, name and value", lambda _names, count: count == 2)
NAMED_GROUPS: Final = Wants("named groups, as (?P<name>...)", lambda names, _count: bool(names))


class Singles:
    """Reads what has no parts."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain

    def path(self, said: object, loc: Loc) -> Path:
        """A path; a complaint if it is none."""
        if not isinstance(said, str):
            self._complain(loc, f"must be a path, not {shown(said)}; a constant is {{const: ...}}")
            return Path("", (), "")
        steps: list[str | int] = []
        end = 0
        if said.startswith(PAYLOAD):
            steps, end = [PAYLOAD], 1
        while found := _STEP.match(said, end):
            quoted, plain, index = found.groups()
            steps.append(int(index) if index is not None else quoted or plain)
            end = found.end()
        if end < len(said) or not steps or isinstance(steps[0], int):
            rest = shown(said[end:]) if 0 < end < len(said) else "it"
            self._complain(
                loc, f'{shown(said)} is no path: {rest} is not understood; names with dots or blanks are "quoted"'
            )
            return Path("", (), "")
        return Path(str(steps[0]), tuple(steps[1:]), said)

    def _zone(self, said: object, loc: Loc) -> str:
        name = self._text(said, loc)
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._complain(loc, f"{shown(name)} is no IANA time zone, as Europe/Berlin is")
        return name

    def _values(self, said: object, loc: Loc, *, lower: bool = True, blank: bool = False) -> frozenset[str]:
        if isinstance(said, list) and not said:
            self._complain(loc, "is an empty list, which nothing is in")
        listed = [(each, (*loc, index)) for index, each in enumerate(said)] if isinstance(said, list) else [(said, loc)]
        texts = ["" if blank and each == "" else self._text(each, where) for each, where in listed]
        return frozenset(text.lower() if lower else text for text in texts)

    def _regex(self, said: object, loc: Loc, wanted: Wants) -> str:
        pattern = self._text(said, loc)
        try:
            _, names, count = compile_search(pattern)
        except ValueError as refused:
            self._complain(loc, str(refused))
            return ""
        if not wanted.fit(names, count):
            self._complain(loc, f"must have {wanted.words}; it has {count} groups, {len(names)} of them named")
        return pattern

    def _text(self, said: object, loc: Loc) -> str:
        match said:
            case bool():
                return "true" if said else "false"
            case str():
                if said:
                    return said
                self._complain(loc, "must not be empty")
            case int() | float():
                return str(said)
            case _:
                self._complain(loc, f"must be text, not {shown(said)}")
        return ""

    def _only(self, said: dict[str, object], known: Collection[str], loc: Loc) -> None:
        for name in said:
            if name not in known:
                hint = Nearest(known).hint(name) or f"; known are {', '.join(known)}"
                self._complain((*loc, name), f"unknown field{hint}", key=True)
