"""Expected lists held against what was found: line by line, as two texts whose difference says what is wrong.

An entry stands for one thing found that has all that it says; as many pairs as there can be are made. What is found
is told with the fields that were asked for first, so that a near miss differs in one word.
"""

from collections.abc import Mapping, Sequence
from difflib import unified_diff
from typing import NamedTuple

import msgspec

Said = Mapping[str, str | int]
"""Fields and their values, by the names of the file."""


class Lines(NamedTuple):
    """The same list twice: as it was wanted and as it was found. It is as it should be if both are equal."""

    wanted: list[str]
    found: list[str]


def compared(wanted: Sequence[Said], found: Sequence[Said], *, contains: bool = False) -> Lines:
    """The lines of what was wanted and of what was found; with `contains`, more may be found than wanted."""
    pairs = _pairs(wanted, found)
    left = [number for number in range(len(found)) if number not in pairs.values()]
    lines = Lines([], [])
    for number, entry in enumerate(wanted):
        lines.wanted.append(line(entry))
        if number in pairs:
            lines.found.append(line(entry))
        elif (near := _nearest(entry, found, left)) is not None:
            left.remove(near)
            lines.found.append(
                line({**{name: found[near][name] for name in entry if name in found[near]}, **found[near]})
            )
    if not contains:
        lines.found.extend(line(found[number]) for number in left)
    return lines


def line(said: Said) -> str:
    """A mapping as YAML writes it on one line."""
    return f"{{{', '.join(f'{name}: {_scalar(value)}' for name, value in said.items())}}}"


def difference(lines: Lines) -> str:
    """What differs, with all that does not; empty if nothing does."""
    if lines.wanted == lines.found:
        return ""
    size = len(lines.wanted) + len(lines.found)
    drawn = unified_diff(lines.wanted, lines.found, "wanted", "found", lineterm="", n=size)
    return "\n".join(each for each in drawn if not each.startswith("@@"))


def _scalar(value: str | int) -> str:
    plain = isinstance(value, int) or (value.isprintable() and not set(value) & set(" ,:{}[]#&*!|>'\"%@`"))
    return str(value) if plain and value != "" else msgspec.json.encode(value).decode()


def _matches(entry: Said, found: Said) -> bool:
    return all(found.get(name) == value for name, value in entry.items())


def _pairs(wanted: Sequence[Said], found: Sequence[Said]) -> dict[int, int]:
    """The largest set of pairs (wanted, found): an entry gives way if another one has no other choice."""
    options = [[number for number, each in enumerate(found) if _matches(entry, each)] for entry in wanted]
    holder: dict[int, int] = {}

    def place(entry: int, tried: set[int]) -> bool:
        for option in options[entry]:
            if option not in tried:
                tried.add(option)
                if option not in holder or place(holder[option], tried):
                    holder[option] = entry
                    return True
        return False

    for entry in range(len(wanted)):
        place(entry, set())
    return {entry: option for option, entry in holder.items()}


def _nearest(entry: Said, found: Sequence[Said], left: Sequence[int]) -> int | None:
    """What shares most with the entry, of what no entry stands for; None if nothing does."""

    def shared(number: int) -> int:
        return sum(found[number].get(name) == value for name, value in entry.items())

    return max((number for number in left if shared(number)), key=shared, default=None)
