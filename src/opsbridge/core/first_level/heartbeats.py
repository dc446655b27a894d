"""Heartbeats: the alert fires when a group that should report is silent for too long, and ends with its next event.

A group is watched from its first event on; a CI that is expected, from the partition's first moment. It is watched as
long as the rule is there: what once had a pulse and has none is the very thing to be told.
"""

from opsbridge.core.first_level.watch import NEVER, Sample, Takes, Turn, Watch
from opsbridge.core.rulebook import Heartbeat


class Pulse:
    """One heartbeat rule."""

    __slots__ = ("_overdue_after", "takes")

    def __init__(self, rule: Heartbeat) -> None:
        self.takes: Takes = "events"
        self._overdue_after = rule.overdue_after

    def hear(self, watch: Watch, sample: Sample) -> Turn | None:
        """The silence is over. An event too late, from within the silence, ends it and lets a new one begin there."""
        watch.answered = max(watch.answered, sample.time)
        if sample.time <= watch.met:
            return None
        watch.met = sample.time
        return Turn(firing=False, time=max(sample.time, watch.raised.time)) if watch.raised is not None else None

    def due(self, watch: Watch) -> int | None:
        """When the silence has lasted too long."""
        return watch.met + self._overdue_after if watch.raised is None and watch.met != NEVER else None

    def expire(self, watch: Watch, now: int) -> Turn | None:  # noqa: ARG002 - as every kind
        """It has."""
        return Turn(firing=True, time=now)
