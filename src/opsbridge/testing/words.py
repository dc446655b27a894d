"""Rules in words: what a condition asks for, what a rule does with an event that matches, when a window is open.

Conditions and effects are read from the rule as its file says it (`Rule.text`); whether a condition holds is never
decided here. `explain` calls this, and whoever shows a fingerprint to people.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from difflib import SequenceMatcher
from typing import Final

from opsbridge.core.calendar import FOREVER, AnyOf, ServiceTime, Windows
from opsbridge.documents import shown
from opsbridge.rules.language.durations import written
from opsbridge.rules.matching.conditions import Value
from opsbridge.rules.matching.reading import SEPARATOR
from opsbridge.rules.prepare import IDENTITY
from opsbridge.rules.rule import Rule

Raw = Mapping[str, object]
"""A rule as its file says it, with durations in milliseconds."""


def raw_of(rule: Rule) -> Raw:
    """The rule as its file says it."""
    raw = json.loads(rule.text)
    return raw if isinstance(raw, dict) else {}


def said_of(raw: Raw, place: str, part: int) -> Raw:
    """The conditions that stand at a place of the rule: `match`, `cis`, `source`, or the match of a step."""
    steps = raw.get("steps")
    holder = steps[part] if place == "steps" and isinstance(steps, list) else raw
    found = holder.get("match" if place == "steps" else place)
    return found if isinstance(found, dict) else {}


def condition(said: object) -> str:
    """What a condition asks for, to be read after the name of its field."""
    match said:
        case dict():
            return " and ".join(_OPERATORS[name](operand) for name, operand in said.items())
        case [single]:
            return condition(single)
        case list() if any(isinstance(each, dict | list) for each in said):
            return " or ".join(condition(each) for each in said)
        case list():
            return f"is one of {_listed(said)}"
    return f"is {_value(said)}"


def _negated(said: object) -> str:
    match said:
        case str() | int() | float():
            return f"is not {_value(said)}"
        case list() if not any(isinstance(each, dict | list) for each in said):
            return f"is none of {_listed(said)}"
    return f"not ({condition(said)})"


def _pattern(verb: str) -> Callable[[object], str]:
    return lambda said: f"{verb} {' or '.join(map(shown, said)) if isinstance(said, list) else shown(said)}"


def _bound(sign: str) -> Callable[[object], str]:
    return lambda said: f"{sign} {_value(said)}"


_SIGNS: Final = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}

_OPERATORS: Final[dict[str, Callable[[object], str]]] = {
    "not": _negated,
    "glob": _pattern("is like"),
    "regex": _pattern("matches regex"),
} | {name: _bound(sign) for name, sign in _SIGNS.items()}


def _listed(said: list[object]) -> str:
    return ", ".join(map(_value, said))


def _value(said: object) -> str:
    return shown(said) if isinstance(said, str) else str(said)


def negates(said: object) -> bool:
    """Whether a condition only says what must not be."""
    return isinstance(said, dict) and list(said) == ["not"]


_ALIKE: Final = 0.8
"""difflib's ratio from which on two names count as two spellings of one."""


def similar(had: str, asked: Iterable[Value]) -> str:
    """The name asked for that is spelled most like this one, whatever its case; empty if none is nearly the same."""
    ratios = [
        (SequenceMatcher(None, had.casefold(), name.casefold()).ratio(), name)
        for name in asked
        if isinstance(name, str)
    ]
    ratio, name = max(ratios, default=(0.0, ""))
    return name if ratio >= _ALIKE else ""


def readable(text: str) -> str:
    """A fingerprint or group for people: `class=LinkDown, labels.port=1` if `dedup` made it, else with | between."""
    if text.startswith(IDENTITY):
        names, *values = text.removeprefix(IDENTITY).split(SEPARATOR)
        fields = names.split(",")
        if len(fields) == len(values):
            return ", ".join(f"{field}={value}" for field, value in zip(fields, values, strict=True))
    return text.replace(SEPARATOR, "|")


# windows


def opening(windows: Windows, now: int) -> tuple[str, bool]:
    """Whether a window is open at that time, in words (until when, or when the next begins) and as such."""
    if (end := windows.end(now)) is not None:
        return "a window is open" + (f" until {_moment(end, windows)}" if end < FOREVER else ""), True
    start = windows.start(now)
    return (
        f"no window is open, {'nor will be' if start is None else f'the next begins {_moment(start, windows)}'}",
        False,
    )


def _moment(time: int, windows: Windows) -> str:
    """A time at which windows open or close: in UTC, and in the zone of the weekly window that does so."""
    moment = datetime.fromtimestamp(time / 1000, UTC)
    told = moment.isoformat().replace("+00:00", "Z")
    zone = _zone(time, windows)
    return told if zone is UTC else f"{told} ({moment.astimezone(zone):%Y-%m-%d %H:%M} {zone})"


def _zone(time: int, windows: Windows) -> tzinfo:
    for window in windows.windows if isinstance(windows, AnyOf) else (windows,):
        if isinstance(window, ServiceTime) and window.covers(time) != window.covers(time - 1):
            return window.zone
    return UTC


# what a rule does


def effect(raw: Raw, part: int) -> str:
    """What a rule does with an event that matches at this part of it, as a sentence without its subject."""
    return _EFFECTS[str(raw["kind"])](raw, part)


def _time(raw: Raw, field: str) -> str:
    length = raw.get(field)
    return written(length) if isinstance(length, int) else "?"


def _mapping(raw: Raw, field: str) -> Raw:
    found = raw.get(field)
    return found if isinstance(found, dict) else {}


def _filter(raw: Raw, _part: int) -> str:
    match raw["action"]:
        case "drop":
            return "drops the event"
        case "keep":
            return "keeps the event, whatever later filters say"
    return f"sends the event to {raw['to']} instead"


def _classify(raw: Raw, _part: int) -> str:
    changes = [f"{field} {raw[field]}" for field in ("severity", "significance") if raw.get(field) is not None]
    return f"sets {' and '.join(changes)}"


def _raised(raw: Raw) -> str:
    alert = _mapping(raw, "raise")
    return f"raises {alert.get('class')} ({alert.get('severity')})"


_MEASURES: Final = {
    "event_count": "events",
    "value_count": "different values of {field}",
    "value_sum": "the sum of {field}",
    "value_avg": "the average of {field}",
    "value_percentile": "the {percentile:g}th percentile of {field}",
}


def _threshold(raw: Raw, _part: int) -> str:
    bounds = _mapping(raw, "condition")
    asked = " and ".join(f"{sign} {bounds[name]:g}" for name, sign in _SIGNS.items() if bounds.get(name) is not None)
    measure = _MEASURES[str(raw["type"])].format(field=bounds.get("field"), percentile=bounds.get("percentile") or 0)
    return f"counts it: {_raised(raw)} when {measure} within {_time(raw, 'timespan')} are {asked}"


def _sequence(raw: Raw, part: int) -> str:
    steps = raw.get("steps")
    count = len(steps) if isinstance(steps, list) else 0
    ways = {
        "temporal": "when all come within {}, in any order",
        "temporal_ordered": "when all come within {}, in this order",
        "missing": "when the last does not come within {} after the others",
    }
    way = ways[str(raw["type"])].format(_time(raw, "timespan"))
    return f"takes it for step {part + 1} of {count}: {_raised(raw)} {way}"


def _heartbeat(raw: Raw, _part: int) -> str:
    every, grace = raw.get("every"), raw.get("grace")
    silence = written((every if isinstance(every, int) else 0) + (grace if isinstance(grace, int) else 0))
    return f"takes it for a sign of life: {_raised(raw)} when the next does not come within {silence}"


def _trend(raw: Raw, _part: int) -> str:
    line = f"{raw['samples']} values or more within {_time(raw, 'over')}"
    crossing = f"{raw['direction']} to {raw['limit']:g} within {_time(raw, 'crosses_within')}"
    return f"takes its {raw['field']} for a value: {_raised(raw)} when {line} are {crossing}"


_EFFECTS: Final[dict[str, Callable[[Raw, int], str]]] = {
    "filter": _filter,
    "classify": _classify,
    "enrich": lambda raw, _part: f"sets {', '.join(_mapping(raw, 'set'))}",
    "dedup": lambda raw, _part: f"makes the fingerprint of {', '.join(map(str, _fields(raw, 'fingerprint')))}",
    "hold": lambda raw, _part: f"withholds its alert until it has fired for {_time(raw, 'for')}",
    "flapping": lambda raw, _part: (
        f"withholds its alert from {raw['enter']} changes within {_time(raw, 'within')} on, until there are"
        f" {raw['leave']} or fewer"
    ),
    "heartbeat": _heartbeat,
    "threshold": _threshold,
    "sequence": _sequence,
    "trend": _trend,
    "maintenance": lambda _raw, _part: "withholds its alert if it begins in a window, until that ends",
    "inhibit": lambda _raw, part: (
        "withholds its alert while a source of the same group fires"
        if part
        else "withholds targets of the same group while its alert fires"
    ),
}


def _fields(raw: Raw, field: str) -> list[object]:
    found = raw.get(field)
    return found if isinstance(found, list) else []
