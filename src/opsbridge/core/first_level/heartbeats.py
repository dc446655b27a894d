"""Heartbeats: the alert fires when a group that should report is silent for too long, and ends with its next event.

A group is watched from its first event on; a CI that is expected, from the partition's first moment. It is watched as
long as the rule is there: what once had a pulse and has none is the very thing to be told.
"""

from opsbridge.core.first_level.detector import NEVER, AlertChange, GroupState, Sample, Takes
from opsbridge.core.rulebook import Heartbeat


class MissedHeartbeat:
    """A group has been silent for longer than the rule allows."""

    __slots__ = ("_overdue_after", "takes")

    def __init__(self, rule: Heartbeat) -> None:
        self.takes: Takes = "events"
        self._overdue_after = rule.overdue_after

    def hear(self, state: GroupState, sample: Sample) -> AlertChange | None:
        """The silence is over. An event too late, from within the silence, ends it and lets a new one begin there."""
        state.answered = max(state.answered, sample.time)
        if sample.time <= state.met:
            return None
        state.met = sample.time
        return AlertChange(firing=False, time=max(sample.time, state.raised.time)) if state.raised is not None else None

    def due(self, state: GroupState) -> int | None:
        """When the silence has lasted too long."""
        return state.met + self._overdue_after if state.raised is None and state.met != NEVER else None

    def expire(self, state: GroupState, now: int) -> AlertChange | None:  # noqa: ARG002 - as every detector
        """It has."""
        return AlertChange(firing=True, time=now)
