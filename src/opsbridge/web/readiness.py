"""Whether a worker does its work: what it is still waiting for, in words that /readyz shows.

The worker sets the fields as it goes; nothing here asks Kafka. A worker that is not ready is alive all the same: only
/healthz decides whether a supervisor should start it again.
"""

import time
from collections.abc import Callable
from typing import Final

BROKER_PATIENCE: Final = 30.0
"""After so many seconds without an answer from a broker the worker is no longer ready."""


class Readiness:
    """What has been reached; all False at first, and again False when partitions move or the worker stops."""

    __slots__ = ("_clock", "_patience", "_seen", "assigned", "recovered", "stopping", "topics_verified")

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, patience: float = BROKER_PATIENCE) -> None:
        self._clock = clock
        self._patience = patience
        self._seen: float | None = None
        self.topics_verified = False
        self.assigned = False
        """The group has told this worker its partitions; none is an answer too."""
        self.recovered = False
        """The state of all assigned partitions is complete."""
        self.stopping = False

    def broker_seen(self) -> None:
        """A broker has just answered: a fetch (an empty one counts), a heartbeat, an acknowledged write."""
        self._seen = self._clock()

    def reasons(self) -> list[str]:
        """Why the worker is not ready, in the order in which it gets there; empty if it is."""
        waiting = (
            (self.stopping, "the worker is stopping"),
            (not self.topics_verified, "topics are not verified yet"),
            (not self.assigned, "no partitions are assigned yet"),
            (not self.recovered, "state is not recovered yet"),
            (not self._broker_is_near(), self._silence()),
        )
        return [reason for applies, reason in waiting if applies]

    def _broker_is_near(self) -> bool:
        return self._seen is not None and self._clock() - self._seen <= self._patience

    def _silence(self) -> str:
        if self._seen is None:
            return "no broker has answered yet"
        return f"no broker has answered for {self._clock() - self._seen:.0f} s"
