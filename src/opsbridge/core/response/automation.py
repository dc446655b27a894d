"""Auto-responses: the closed loop from a rule's wish to the proof that it helped, or to a human.

Each has a life-cycle (TRANSITIONS): permission, request, result, verification by events, next attempt, rollback,
escalation. The stage (selection.py) hands over situations, feedback and answers of coordination, and asks whether an
incident is to wait, and which attempts it has to carry. Nothing is executed here.
"""

from collections.abc import Iterable
from typing import Final

from opsbridge.core.case import Case
from opsbridge.core.coordination.news import Asked, Denied, Done, Granted
from opsbridge.core.feedback import Approve, Reject, Result, Started
from opsbridge.core.records import Attempt, Notification, Response, ResponseStatus
from opsbridge.core.rulebook import AutoResponse
from opsbridge.core.state import Change

TRANSITIONS: Final[dict[ResponseStatus, tuple[ResponseStatus, ...]]] = {}

Told = Response | Notification | Asked | Done


class Automation:
    """The auto-responses of one partition."""

    def wanted(self, case: Case, rules: Iterable[AutoResponse]) -> list[Told]:
        """A situation has news, and these rules match it: begin those that are new; see whether others are proven,
        or not needed any more."""
        raise NotImplementedError

    def heard(self, said: Approve | Reject | Started | Result, case: Case | None) -> tuple[list[Told], str]:
        """What follows from feedback, and why it changed nothing (empty: it did). `case`: the situation's newest."""
        raise NotImplementedError

    def answered(self, answer: Granted | Denied, case: Case | None) -> list[Told]:
        """What follows from an answer of coordination."""
        raise NotImplementedError

    def knows(self, response: str) -> bool:
        """Whether there is such a response."""
        raise NotImplementedError

    def holding(self, situation: str) -> str:
        """The rule whose auto-response keeps the incident back for now, or for good as it was effective; else empty."""
        raise NotImplementedError

    def attempts(self, situation: str) -> tuple[Attempt, ...]:
        """What has been tried for a situation, for its incident."""
        raise NotImplementedError

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        raise NotImplementedError

    def expire(self, now: int) -> tuple[list[Told], list[str]]:
        """What follows as it is so late, and the situations whose responses have changed."""
        raise NotImplementedError

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call; keys begin with `a:`."""
        raise NotImplementedError

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back."""
        raise NotImplementedError
