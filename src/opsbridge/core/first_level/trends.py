"""Trends: the alert fires when a value that goes on as it has crosses its limit soon, the disk that fills.

A straight line by least squares through the samples of the last `over` milliseconds, as Prometheus' `predict_linear`
draws it; where it stands at the newest sample, and when it reaches the limit. To be resolved, the crossing has to move
well beyond the horizon, so that an alert does not flicker at its edge; without samples there is no line, and no alert.
"""

from typing import Final

from opsbridge.core.first_level.detector import (
    MAX_VALUES,
    AlertChange,
    GroupState,
    Sample,
    Takes,
    forget_before,
    remember,
    total,
)
from opsbridge.core.first_level.thresholds import numbers
from opsbridge.core.rulebook import Trend

HYSTERESIS: Final = 1.25
"""An alert ends when the crossing is further away than this many horizons."""


class LinearTrend:
    """A straight line through the group's samples reaches the limit within the rule's horizon."""

    __slots__ = ("_horizon", "_limit", "_over", "_samples", "_sign", "takes")

    def __init__(self, rule: Trend) -> None:
        self.takes: Takes = "numbers"
        self._sign = 1.0 if rule.rising else -1.0
        self._limit = rule.limit
        self._horizon = rule.horizon
        self._over = rule.over
        self._samples = rule.samples

    def hear(self, state: GroupState, sample: Sample) -> AlertChange | None:
        """The line is drawn anew, to the newest sample, if there are enough for one."""
        samples = state.samples
        if not remember(samples, sample):
            return None
        newest = samples[-1]
        forget_before(samples, newest.time - self._over)
        if len(samples) > MAX_VALUES:
            del samples[0]
        if len(samples) < self._samples:
            return None
        crosses = self._crosses(samples, newest.time)
        if state.raised is not None:
            ends = crosses is None or crosses > HYSTERESIS * self._horizon
            return AlertChange(firing=False, time=max(newest.time, state.raised.time)) if ends else None
        if crosses is None or crosses > self._horizon:
            return None
        value = newest.value if isinstance(newest.value, int | float) else 0.0
        return AlertChange(
            firing=True, time=newest.time, figures={"count": len(samples), "value": value, "limit": self._limit}
        )

    def _crosses(self, samples: list[Sample], end: int) -> float | None:
        """In how many milliseconds the line crosses the limit, 0 if it has; None if it never does."""
        values = [self._sign * value for value in numbers(samples)]
        times = [float(sample.time - end) for sample in samples]
        mean, middle = total(values) / len(values), total(times) / len(times)
        spread = total([(time - middle) ** 2 for time in times])
        slope = (
            total([(time - middle) * (value - mean) for time, value in zip(times, values, strict=True)]) / spread
            if spread
            else 0.0
        )
        missing = self._sign * self._limit - (mean - slope * middle)
        if missing <= 0:
            return 0.0
        return missing / slope if slope > 0 else None

    def due(self, state: GroupState) -> int | None:
        """When the newest sample is too old for a line."""
        return state.samples[-1].time + self._over if state.samples else None

    def expire(self, state: GroupState, now: int) -> AlertChange | None:
        """Forgotten, and resolved if it fired."""
        state.samples.clear()
        return AlertChange(firing=False, time=max(now, state.raised.time)) if state.raised is not None else None
