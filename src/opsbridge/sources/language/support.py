"""What generated code calls where a payload is not the common case: values that are no text, labels, complaints.

The common case is inline in the generated code (`function`). What a payload gets wrong is raised as `Refused`, which
the code around an item turns into its `Rejected`; nothing else may leave this file.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Final, NoReturn

import orjson

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.documents import shown
from opsbridge.sources.language.regex import Groups

LONGEST_NAME: Final = 512
"""Characters of an id, CI, class or fingerprint: as of a canonical event."""

LONGEST_SUMMARY: Final = 4_000
LONGEST_LABEL: Final = 1_000
"""Characters of a label's name, and of its value."""

MOST_LABELS: Final = 100
ALL_LABELS: Final = 32_000
"""Characters of all labels together: with them the longest event is below a canonical event's limit of bytes."""

MOST_ITEMS: Final = 10_000
"""Of one payload."""

_DEEPEST: Final = 10
_NESTED: Final = (dict, list)  # a union would be made anew whenever it is asked about
_NUMBERS: Final = (int, float)
_LONGEST_COUNT: Final = 40
"""Digits of a number."""

Value = object
"""Of a payload: what JSON has."""


class Refused(Exception):  # noqa: N818 # it never leaves the sources
    """An item that is no event, and where in the payload that shows."""

    def __init__(self, detail: str, place: str) -> None:
        super().__init__(detail)
        self.rejected = Rejected(Reject.INVALID_FIELD, f"{detail} - at `{place}`")


def digest(text: str) -> str:
    """The first 16 hex digits of a text's SHA-256."""
    return sha256(text.encode()).hexdigest()[:16]


def refuse(detail: str, place: str) -> NoReturn:
    """The item is no event."""
    raise Refused(detail, place)


def failed(error: Exception, place: str) -> Rejected:
    """An item on which our own code failed."""
    return Rejected(Reject.INTERNAL_ERROR, f"{type(error).__name__}: {str(error)[:200]} - at `{place}`")


def scalar(value: Value) -> str:
    """A number or truth value as text; empty for what is no single value."""
    kind = type(value)
    if kind is str or kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e15
        return str(int(value)) if whole else str(value)  # 2.0 is 2, as some tools write their states
    return ""


def no_text(value: Value, place: str) -> NoReturn:
    """Text was wanted."""
    raise Refused(f"is {shown(value)}, a single value is wanted", place)


def number(value: Value, place: str) -> float:
    """A number, or text that is one."""
    found: Value = value
    if isinstance(value, str):
        if len(value) <= _LONGEST_COUNT and value.isdecimal():
            return int(value)
        with suppress(ValueError):
            found = float(value)
    if isinstance(found, bool) or not isinstance(found, _NUMBERS) or not abs(found) < 1e40:
        raise Refused(f"is {shown(value)}, a number is wanted", place)
    return found


def unknown(value: str, known: Iterable[str], place: str) -> NoReturn:
    """A table does not have this value."""
    listed = list(known)
    names = ", ".join(listed[:20]) + (", ..." if len(listed) > 20 else "")
    raise Refused(f"is {shown(value)}; known are {names}", place)


def below(value: float, least: float, place: str) -> NoReturn:
    """No range begins so low."""
    raise Refused(f"is {value:g}, the least that is known is {least:g}", place)


def hexadecimal(value: float, digits: int) -> str:
    """A whole number in hexadecimal digits, at least so many."""
    return f"{int(value):0{digits}x}"


def host(text: str) -> str:
    """The host of `host:port`, `[v6]:port`, or a URL; a name or address by itself stays."""
    name, _, port = text.partition(":")
    if port.isdecimal():
        return name
    if "://" in text:
        text = text.split("://", 1)[1].split("/", 1)[0].split("?", 1)[0].rsplit("@", 1)[-1]
    if text.startswith("["):
        return text[1:].split("]", 1)[0]
    return text.split(":", 1)[0] if text.count(":") == 1 else text


def as_json(value: Value) -> str:
    """A value as compact JSON; text as it is."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return "(nested too deeply)"


def parsed(text: Value) -> Value:
    """The value of JSON in a text, None if there is none; what is no text is what it is."""
    if not isinstance(text, str):
        return text
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def pairs(value: Value, key: str, inner: str) -> dict[str, Value]:
    """A list of objects with a name and a value as a mapping; what is a mapping already stays one."""
    if isinstance(value, dict):
        return value
    found: dict[str, Value] = {}
    if isinstance(value, list):
        for each in value:
            if isinstance(each, dict) and (name := scalar(each.get(key))):
                held = any_value(each.get("value")) if inner == "otlp" else each.get(inner)
                before = found.get(name)
                found[name] = held if before is None else f"{flat(before)},{flat(held)}"
    return found


def any_value(value: Value, depth: int = 0) -> Value:
    """OpenTelemetry's AnyValue as the value that is in it."""
    if not isinstance(value, dict) or depth > _DEEPEST:
        return value
    for name, held in value.items():
        if name == "arrayValue":
            values = held.get("values") if isinstance(held, dict) else None
            return [any_value(each, depth + 1) for each in values] if isinstance(values, list) else None
        if name == "kvlistValue":
            values = held.get("values") if isinstance(held, dict) else None
            listed = values if isinstance(values, list) else []
            return {
                scalar(each.get("key")): any_value(each.get("value"), depth + 1)
                for each in listed
                if isinstance(each, dict)
            }
        return held
    return None


def split(value: Value, by: str, inner: str) -> dict[str, str]:
    """`name:value` texts, in a list or in one text, as a mapping."""
    if isinstance(value, str):
        value = value.split(by)
    found: dict[str, str] = {}
    if isinstance(value, list):
        for each in value:
            name, _, held = scalar(each).partition(inner)
            if name := name.strip():
                held = held.strip()
                found[name] = f"{found[name]},{held}" if found.get(name) and held else held or found.get(name, "")
    return found


def named_groups(
    search: Callable[[bytes], Groups | None], names: Mapping[str, int]
) -> Callable[[str | None], dict[str, str | None]]:
    """What makes a mapping of a text's named groups."""
    places = tuple(names.items())

    def groups(text: str | None) -> dict[str, str | None]:
        found = search(text.encode(errors="replace")) if text else None
        return {} if found is None else {name: found[place] for name, place in places}

    return groups


def scanned(scan: Callable[[bytes], list[tuple[str, str]]]) -> Callable[[str | None], dict[str, str]]:
    """What makes a mapping of all places in a text where a pattern of two groups fits; backslashes are taken off."""

    def named(text: str | None) -> dict[str, str]:
        if not text:
            return {}
        found = scan(text.encode(errors="replace"))
        if "\\" not in text:
            return dict(found)
        return {name: _ESCAPED.sub(r"\1", value) if "\\" in value else value for name, value in found}

    return named


_ESCAPED: Final = re.compile(r'\\(["\\\]])')


def single(value: Value) -> tuple[str | None, Value]:
    """The only key of an object and what it has; of another object or value, nothing."""
    return next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (None, None)


def labels(value: Value, name: str) -> dict[str, str]:
    """A mapping as labels; what is none becomes one label of this name."""
    if type(value) is dict:
        return bounded(value)
    if value is None or value == "":
        return {}
    return bounded({name: flat(value)})


def bounded(given: dict[str, Value]) -> dict[str, str]:
    """Labels as texts within what an event can carry: cut, and what is too much left out."""
    try:
        if len("".join([*given, *given.values()])) <= LONGEST_LABEL and len(given) <= MOST_LABELS:  # type: ignore[list-item]
            return given  # type: ignore[return-value]  # all are texts, and none of them is too long
    except TypeError:
        pass
    found: dict[str, str] = {}
    _flatten(given, "", found, 0)
    if len("".join([*found, *found.values()])) <= LONGEST_LABEL and len(found) <= MOST_LABELS:
        return found
    kept: dict[str, str] = {}
    rest = ALL_LABELS
    for name, value in found.items():
        name, value = name[:LONGEST_LABEL], value[:LONGEST_LABEL]
        if len(kept) < MOST_LABELS and len(name) + len(value) <= rest:
            rest -= len(name) + len(value)
            kept[name] = value
    return kept


def _flatten(value: Mapping[str, Value], prefix: str, found: dict[str, str], depth: int) -> None:
    for name, held in value.items():
        if type(held) is str:
            found[prefix + name] = held
        elif type(held) is dict and depth < _DEEPEST:
            _flatten(held, f"{prefix}{name}.", found, depth + 1)
        elif held is not None:
            found[prefix + name] = flat(held)


def flat(value: Value) -> str:
    """A value as a label has it; empty if it is missing."""
    if isinstance(value, list):
        return ",".join([as_json(each) if isinstance(each, _NESTED) else scalar(each) for each in value])
    return as_json(value) if isinstance(value, dict) else scalar(value)


def too_long(place: str, **names: str | None) -> NoReturn:
    """One of the names is longer than a canonical event's may be."""
    for name, text in names.items():
        if text and len(text) > LONGEST_NAME:
            raise Refused(f"{name.rstrip('_')} has {len(text)} characters, the limit is {LONGEST_NAME}", place)
    raise AssertionError("all are short enough")


def no_items(value: Value, place: str) -> Rejected:
    """A list of items was wanted."""
    if value is None:
        detail = "is missing, a list of items is wanted"
    elif value == []:
        detail = "is an empty list: no items"
    elif isinstance(value, list):
        return Rejected(Reject.TOO_LARGE, f"{len(value)} items, the limit is {MOST_ITEMS} - at `{place}`")
    else:
        detail = f"is {shown(value)}, a list of items is wanted"
    return Rejected(Reject.INVALID_FIELD, f"{detail} - at `{place}`")


def index(listed: Value, at: int) -> str:
    """The end of an item's place; of an object that is the only item, none."""
    return "" if isinstance(listed, tuple) else f"[{at}]"
