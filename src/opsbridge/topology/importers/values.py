"""Looking into what a tool exported without trusting it: whatever is not as expected is empty, never an exception.

Importers use these on parsed JSON, YAML and table cells; what is missing matters only where a name is needed.
"""

from collections.abc import Mapping
from typing import Final

_NO_MAPPING: Final[dict[str, object]] = {}


def text(value: object) -> str:
    """Text without blanks around it, of a number its digits; of anything else nothing."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def mapping(value: object) -> Mapping[str, object]:
    """The mapping, or an empty one."""
    return value if isinstance(value, dict) else _NO_MAPPING


def items(value: object) -> list[object]:
    """The list, or an empty one."""
    return value if isinstance(value, list) else []


def at(value: object, *path: str) -> object:
    """What is there at the end of these keys, or None."""
    for key in path:
        value = mapping(value).get(key)
    return value


def texts(value: object) -> list[str]:
    """The texts in a list, without those that are empty."""
    return [each for each in map(text, items(value)) if each]


def first(*found: object) -> str:
    """The first of these that is text and not empty."""
    return next((each for each in map(text, found) if each), "")


def unique(names: list[str]) -> list[str]:
    """Each name once, in order, without empty ones."""
    return list(dict.fromkeys(name for name in names if name))
