"""What a record of the topic `responses` asks of executors, and how an action can end.

Pure. Records say the same thing again in each version; an order is told apart by its idempotency key alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec

from opsbridge.core.records import Response, ResponseStatus

ASKING: Final[frozenset[ResponseStatus]] = frozenset({"requested", "running", "verifying", "rolling_back"})
"""The statuses in which an idempotency key is a request. `running` asks for nothing new, but for an answer: whoever
began it may have died."""

PATIENCE_MS: Final = 3_600_000
"""How long a request counts that names no deadline, from its record's time on."""

decode_response: Final = msgspec.json.Decoder(Response).decode
"""Raises `msgspec.DecodeError` (`ValidationError` is one) for what is no response."""


@dataclass(slots=True, eq=False)
class Order:
    """Something that is asked for once."""

    key: str
    response: str
    situation: str
    ci: str
    action: str
    parameters: Mapping[str, str]
    attempt: int
    deadline_ms: int
    """Since 1970; it is not begun later, and does not run longer."""
    withdrawn: bool = False
    """A newer version of the response does not ask for it any more, or this executor is to begin nothing more."""
    records: list[tuple["Progress", int]] = field(default_factory=list)
    """Where it was read: these are dealt with when it is."""

    @property
    def ours(self) -> bool:
        """Whether it may still be begun here: it is asked for, and its partition is not another executor's by now."""
        return not self.withdrawn and not all(progress.revoked for progress, _ in self.records)

    def dealt_with(self) -> None:
        """Nothing more is to come of it: its records count as read."""
        for progress, offset in self.records:
            progress.done(offset)


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of an order."""

    outcome: Literal["succeeded", "failed", "refused", "unknown"]
    output: str = ""
    code: int | None = None


def order_of(response: Response, record_ms: int) -> Order | None:
    """What this version of a response asks for; None if it asks for nothing. `record_ms` is the record's own time.

    Raises ValueError for a deadline that is no time.
    """
    if response.status not in ASKING or not response.idempotency_key:
        return None
    deadline = response.deadline
    return Order(
        key=response.idempotency_key,
        response=response.id,
        situation=response.situation,
        ci=response.ci,
        action=response.action,
        parameters=response.parameters,
        attempt=response.attempt,
        deadline_ms=record_ms + PATIENCE_MS
        if deadline is None
        else round(datetime.fromisoformat(deadline).timestamp() * 1000),
    )


class Progress:
    """Which records of one partition are dealt with: it may be committed up to the first one that is not."""

    __slots__ = ("_committed", "_next", "_open", "revoked")

    def __init__(self) -> None:
        self.revoked = False
        """The partition is another executor's by now, or ours anew with another progress."""
        self._open: set[int] = set()
        self._next = 0
        self._committed = 0

    def begun(self, offset: int) -> None:
        """A record was read, and something is to come of it."""
        self._open.add(offset)

    def done(self, offset: int) -> None:
        """Nothing more is to come of a record that was begun."""
        self._open.discard(offset)

    def read(self, position: int) -> None:
        """All records before this offset were read."""
        self._next = position

    def to_commit(self) -> int | None:
        """The offset to commit, if it is not the one that was committed last."""
        offset = min(self._open, default=self._next)
        return offset if offset > self._committed else None

    def committed(self, offset: int) -> None:
        """This offset was committed."""
        self._committed = offset
