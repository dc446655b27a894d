"""Context: what is known about CIs besides their events; today, change records. From the `context` topic or a file.

A record is in force from the moment it is learned, by its own times: a change counts as recent for a while after it
began, and its window is open from its begin to its end. So it does not matter whether it is learned before or after
the events it explains, and a restart that learns everything first decides the same.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from opsbridge.core.decisions import RecentChange

RECENT_MS: Final = 3_600_000
"""So long after it has begun, and after it has ended, a change is a likely reason of a failure."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class ChangeRecord(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="change"
):
    """A change that somebody plans or makes. The record's key is `change:` and its id; no value withdraws it."""

    id: Name
    cis: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=1000)]
    """Ids or aliases."""
    title: str = ""
    begins: Aware
    ends: Aware | None = None
    """None: it has not ended, and nobody knows when it will."""
    state: Literal["planned", "in_progress", "done", "cancelled"] = "planned"
    """cancelled: it does not happen, and counts for nothing."""
    suppresses: bool = False
    """Its window, from `begins` to `ends`, is a maintenance window of its CIs (rules of kind `maintenance` with
    `changes: true` say whose alerts are withheld in it)."""


class Context:
    """What is known by now; shared by the stages of a worker, and told of news between their steps."""

    __slots__ = ("_by_ci", "_changes")

    def __init__(self) -> None:
        self._changes: dict[str, ChangeRecord] = {}
        self._by_ci: dict[str, dict[str, None]] = {}

    def learn(self, record: ChangeRecord) -> None:
        """The newest version of a record."""
        raise NotImplementedError

    def forget(self, change: str) -> None:
        """The change is withdrawn."""
        raise NotImplementedError

    def recent(self, ci: str, now: int) -> tuple[RecentChange, ...]:
        """The changes on a CI that are under way, began or ended recently; the newest first."""
        raise NotImplementedError

    def window(self, ci: str, now: int) -> int | None:
        """When the maintenance window ends that a change opens for the CI now; None if none does."""
        raise NotImplementedError
