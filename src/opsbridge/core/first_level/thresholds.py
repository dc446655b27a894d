"""Thresholds: how many events, how many different values, or what the values come to, within a sliding window.

Sigma's `event_count`, `value_count`, `value_sum`, `value_avg` and `value_percentile`, for a stream: the alert fires
while the condition holds, as Prometheus' alerts do, and `resolve_after` is its `keep_firing_for`. What is remembered is
bounded: of counts what it takes to reach them, of values the newest 10 000.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from operator import itemgetter
from typing import Final, cast

from opsbridge.core.first_level.detector import (
    MAX_VALUES,
    NEVER,
    AlertChange,
    Detector,
    GroupState,
    Sample,
    Takes,
    forget_before,
    remember,
    total,
)
from opsbridge.core.rulebook import Threshold

Measure = Callable[[Sequence[float]], float]


def threshold(rule: Threshold) -> Detector:
    """The detector of a threshold rule."""
    return _KINDS.get(rule.measure, ValueMeasure)(rule)


class SlidingWindow(ABC):
    """A condition on the events of the last `timespan`, asked whenever one comes or leaves, as if it were all the time.

    An event at t is in the window from t until t + timespan, and leaves a millisecond later; of one moment, all that
    comes and leaves is taken together. The alert fires while the condition holds, and goes on until it has been over
    for `resolve_after`. After an event that comes too late the condition is asked again at the newest time at which it
    has been asked: what lies before that has been told.
    """

    __slots__ = ("_at_least", "_resolve_after", "_timespan", "takes")

    def __init__(self, rule: Threshold, takes: Takes) -> None:
        self.takes: Takes = takes
        self._at_least = rule.at_least
        self._timespan = rule.timespan
        self._resolve_after = rule.resolve_after

    @abstractmethod
    def remember(self, samples: list[Sample], sample: Sample) -> bool:
        """Take the sample in, and let go of what the condition does not need; False if it changes nothing."""

    @abstractmethod
    def judge(self, window: list[Sample]) -> float | None:
        """What the window comes to if it meets the condition, None if not. It is never empty."""

    @abstractmethod
    def leaver(self, window: list[Sample]) -> Sample:
        """The event whose leaving can change what the condition says of the window. It is never empty."""

    def hear(self, state: GroupState, sample: Sample) -> None:
        """The condition is asked when all events of this time have been heard."""
        if self.remember(state.samples, sample):
            state.ask = max(state.asked, sample.time)

    def due(self, state: GroupState) -> int | None:
        """When the condition is asked next, or the alert resolved because it has been over for long enough."""
        ask = state.ask
        if state.raised is None or state.met == NEVER:
            return None if ask == NEVER else ask
        over = state.met + self._resolve_after
        return over if ask == NEVER else min(ask, over)

    def expire(self, state: GroupState, now: int) -> AlertChange | None:
        """Fires, or is resolved; a condition that holds again in the last moment is in time."""
        state.asked = now
        if now == state.ask:
            samples = state.samples
            forget_before(samples, now - self._timespan)
            if samples:
                state.ask = self.leaver(samples).time + self._timespan + 1
                value = self.judge(samples)
                if value is not None:
                    return self._holding(state, now, value)
            else:
                state.ask = NEVER
            if state.raised is None:
                return None
            if state.met == NEVER:
                state.met = now
        if state.raised is None or now < state.met + self._resolve_after:
            return None
        state.met = max(state.met + self._resolve_after, state.raised.time)
        return AlertChange(firing=False, time=state.met)

    def _holding(self, state: GroupState, now: int, value: float) -> AlertChange | None:
        over, state.met = state.met, NEVER
        if state.raised is not None:
            return None
        figures = {"count": len(state.samples), "value": value}
        if self._at_least:
            figures["limit"] = self._at_least
        # only late events make it later than now: two changes of one moment would not be in order
        return AlertChange(firing=True, time=max(now, over + 1), figures=figures)


class EventCount(SlidingWindow):
    """At least so many events: only that many are remembered."""

    __slots__ = ()

    def __init__(self, rule: Threshold, takes: Takes = "events") -> None:
        super().__init__(rule, takes)

    def hear(self, state: GroupState, sample: Sample) -> None:
        """The condition is asked only where one more event can change what it says: most need not be asked about."""
        samples = state.samples
        if not self.remember(samples, sample):
            return
        now = max(state.asked, sample.time)
        holds = state.raised is not None and state.met == NEVER
        if len(samples) >= self._at_least and not holds:
            state.ask = now
            return
        if not holds:
            forget_before(samples, now - self._timespan)
        state.asked = now
        state.ask = self.leaver(samples).time + self._timespan + 1 if samples else NEVER

    def remember(self, samples: list[Sample], sample: Sample) -> bool:
        """The newest `at_least`."""
        if not remember(samples, sample):
            return False
        if len(samples) > self._at_least:
            del samples[0]
        return True

    def judge(self, window: list[Sample]) -> float | None:
        """Met by the count alone, which is monotone."""
        count = len(window)
        return count if count >= self._at_least else None

    def leaver(self, window: list[Sample]) -> Sample:
        """With the oldest that it takes, the condition is over; of fewer, only the last to leave says anything."""
        return window[0] if len(window) >= self._at_least else window[-1]


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
        super().__init__(rule, "numbers")
        self._holds = rule.holds
        self._measure = _measure(rule)

    def remember(self, samples: list[Sample], sample: Sample) -> bool:
        """The newest values."""
        if not remember(samples, sample):
            return False
        if len(samples) > MAX_VALUES:
            del samples[0]
        return True

    def judge(self, window: list[Sample]) -> float | None:
        """Met if the condition holds for the measure."""
        value = self._measure(numbers(window))
        return value if self._holds(value) else None

    def leaver(self, window: list[Sample]) -> Sample:
        """Every value that leaves changes the measure."""
        return window[0]


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
