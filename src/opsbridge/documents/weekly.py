"""Weekly windows as operators write them (`Mon-Fri 08:00-18:00`), turned into minutes of the week in a time zone.

Topology (service times) and rules (maintenance) check the form of a window by their models, here it gets its meaning;
whether a time is in one is the core's question (core/calendar.py).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from opsbridge.core.calendar import DAY, WEEK
from opsbridge.documents.wording import Nearest

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY: Final = f"({'|'.join(_DAYS)})"
_TIME: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
_SOME_DAYS: Final = f"{_DAY}(-{_DAY})?"
_SPAN: Final = f"{_TIME}-({_TIME}|24:00)"
WINDOWS: Final = f"^{_SOME_DAYS}(,{_SOME_DAYS})* {_SPAN}(,{_SPAN})*$"
"""Days or ranges of days, and spans of time on each of them; one that ends before it begins ends on the next day."""

WINDOWS_IN_WORDS: Final = "days and times like 'Mon-Fri 08:00-18:00' or 'Sat,Sun 10:00-12:00,22:00-02:00'"
"""What WINDOWS asks for."""


def time_zone(name: str) -> tzinfo:
    """The IANA time zone of that name; ValueError, with the nearest name, if there is none."""
    if name == "UTC":
        return UTC  # known without the system's files
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = Nearest(available_timezones()).hint(name)
        raise ValueError(f"there is no time zone {name!r}{hint}") from None


def minutes(window: str) -> list[tuple[int, int]]:
    """A text that matches WINDOWS as [begin, end) in minutes of the week; ValueError if a span is empty."""
    found = []
    days, spans = window.split(" ")
    for span in spans.split(","):
        begin, end = (int(time[:2]) * 60 + int(time[3:]) for time in span.split("-"))
        if begin == end:
            raise ValueError(f"{span!r} ends when it begins; a whole day is 00:00-24:00")
        found += [(day * DAY + begin, day * DAY + end + DAY * (end < begin)) for day in _days(days)]
    return found


def in_order(windows: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The windows one after the other, what overlaps or touches as one, what passes the end of the week as two."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(_within_the_week(windows)):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return tuple(joined)


def _within_the_week(windows: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for begin, end in windows:
        yield begin, min(end, WEEK)
        if end > WEEK:
            yield 0, end - WEEK


def _days(days: str) -> Iterator[int]:
    for part in days.split(","):
        first, _, last = part.partition("-")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        yield from (day % 7 for day in range(begin, end + 1 + 7 * (end < begin)))
