"""Thresholds: how many events, how many different values, or what the values come to, within a sliding window.

Sigma's `event_count`, `value_count`, `value_sum`, `value_avg` and `value_percentile`, for a stream: the condition is
asked at every event, of the window that ends there. What is remembered is bounded: of counts what it takes to reach
them, of values the newest 10 000.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from operator import itemgetter
from typing import Final, cast

from opsbridge.core.first_level.detector import MAX_VALUES, Detector, Sample, SlidingWindow, Takes, remember, total
from opsbridge.core.rulebook import Threshold

Measure = Callable[[Sequence[float]], float]


def threshold(rule: Threshold) -> Detector:
    """The detector of a threshold rule."""
    return _KINDS.get(rule.measure, ValueMeasure)(rule)


class EventCount(SlidingWindow):
    """At least so many events: only that many are remembered."""

    __slots__ = ("_at_least",)

    def __init__(self, rule: Threshold, takes: Takes = "events") -> None:
        super().__init__(rule.timespan, rule.resolve_after, takes)
        self._at_least = rule.at_least

    def remember(self, samples: list[Sample], sample: Sample) -> bool:
        """The newest `at_least`."""
        if not remember(samples, sample):
            return False
        if len(samples) > self._at_least:
            del samples[0]
        return True

    def judge(self, window: list[Sample]) -> Mapping[str, float] | None:
        """Met by the count alone, which is monotone."""
        count = len(window)
        return {"count": count, "value": count, "limit": self._at_least} if count >= self._at_least else None


class ValueCount(EventCount):
    """At least so many different values: each is remembered by the newest event that had it."""

    __slots__ = ()

    def __init__(self, rule: Threshold) -> None:
        super().__init__(rule, "texts")

    def remember(self, samples: list[Sample], sample: Sample) -> bool:
        """The newest event of each of the newest `at_least` values."""
        for at, known in enumerate(samples):
            if known.value == sample.value:
                if known.time >= sample.time:
                    return False
                del samples[at]
                break
        return super().remember(samples, sample)


class ValueMeasure(SlidingWindow):
    """What the values of the window come to."""

    __slots__ = ("_holds", "_measure")

    def __init__(self, rule: Threshold) -> None:
        super().__init__(rule.timespan, rule.resolve_after, "numbers")
        self._holds = rule.holds
        self._measure = _measure(rule)

    def remember(self, samples: list[Sample], sample: Sample) -> bool:
        """The newest values."""
        if not remember(samples, sample):
            return False
        if len(samples) > MAX_VALUES:
            del samples[0]
        return True

    def judge(self, window: list[Sample]) -> Mapping[str, float] | None:
        """Met if the condition holds for the measure."""
        value = self._measure(numbers(window))
        return {"count": len(window), "value": value} if self._holds(value) else None


_KINDS: Final[Mapping[str, type[EventCount]]] = {"event_count": EventCount, "value_count": ValueCount}


def numbers(samples: Sequence[Sample]) -> list[float]:
    """The values of samples that are all numbers."""
    return cast("list[float]", list(map(_value, samples)))


_value = itemgetter(3)


def _measure(rule: Threshold) -> Measure:
    if rule.measure == "value_sum":
        return total
    return average if rule.measure == "value_avg" else partial(percentile, rank=rule.percentile)


def average(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return total(values) / len(values)


def percentile(values: Sequence[float], rank: float) -> float:
    """The value at that percentile by nearest rank, 0 < rank <= 100: always one of the values, never between two."""
    place = ceil(round(rank * len(values) / 100, 9))  # 99.9 % of 1000 are 999, whatever binary fractions make of it
    return sorted(values)[max(place, 1) - 1]
