"""How things are counted and measured in a review: shares, ranks, percentiles, and stretches of time."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import ceil
from typing import Final, TypeVar

from opsbridge.core import times
from opsbridge.review.model import Named, Part, Spread

TOP: Final = 10
SLOTS: Final = 48

_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 10_080)

_K = TypeVar("_K", str, tuple[str, str])


def milliseconds(time: str) -> int:
    """An RFC 3339 time as milliseconds since 1970."""
    return times.milliseconds(datetime.fromisoformat(time))


def slot_minutes(minutes: int) -> int:
    """How many minutes a stretch has if so many are to be cut into SLOTS of them at most."""
    return next((width for width in _MINUTES if minutes <= width * (SLOTS - 1)), ceil(minutes / (SLOTS - 1)))


def spread(seconds: Iterable[float | None]) -> Spread:
    """Percentiles by nearest rank of those that are known."""
    ordered = sorted(each for each in seconds if each is not None)
    if not ordered:
        return Spread(0)
    p50, p90 = (ordered[ceil(len(ordered) * rank) - 1] for rank in (0.5, 0.9))
    return Spread(len(ordered), p50, p90, ordered[-1])


def share(some: int, whole: int) -> float | None:
    """From 0 to 1; None of nothing."""
    return round(some / whole, 4) if whole else None


def part(events: int, read: int) -> Part:
    """A number of events with its share."""
    return Part(events, share(events, read))


def most(counts: Mapping[_K, int]) -> list[tuple[_K, int]]:
    """The most frequent first; of equal ones by name."""
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def by_number(counts: Mapping[str, int]) -> dict[str, int]:
    """The same in that order, without what did not happen."""
    return dict(most({name: count for name, count in counts.items() if count}))


def top(counts: Mapping[str, int]) -> list[Named]:
    """The TOP most frequent, and all others together."""
    ranked = most(counts)
    others = sum(count for _, count in ranked[TOP:])
    return [Named(*one) for one in ranked[:TOP]] + ([Named("(others)", others)] if others else [])
