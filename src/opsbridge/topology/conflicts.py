"""What documents say that does not fit together: each conflict a value, with its kind and the names it is about.

`identity`, `links` and `merge` find them; the loader tells them as findings about files, live topology as
discrepancies. The graph is whole with them: what is said second is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from opsbridge.documents import Fault, Level, Spot, dotted


class ConflictKind(StrEnum):
    """What does not fit."""

    DEFINED_TWICE = "defined_twice"
    """One origin defines a CI twice; names: the id. The first counts."""
    ALIAS_OF_TWO = "alias_of_two"
    """An alias of two CIs, or the id of one and alias of another in one origin; names: the alias, whose it is, who else
    claims it."""
    SAME_AS_TWO = "same_as_two"
    """A name would make one CI of two that an origin keeps apart; names: the name, then the two ids."""
    UNKNOWN_END = "unknown_end"
    """A dependency or a group names a CI that nobody defines; names: that name. The dependency is left out."""
    BAD_GROUP = "bad_group"
    """A group that cannot be met, or names a member twice; names: its members. The group is left out."""
    BAD_TIME = "bad_time"
    """A service time or time zone that is none; names: the CI. It counts as always in service."""
    EMPTY = "empty"
    """Something that says nothing: a dependency on itself, an alias said twice, a time zone without times."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that does not fit, and where it is said."""

    kind: ConflictKind
    names: tuple[str, ...]
    fault: Fault


@dataclass(slots=True)
class Conflicts:
    """All that was found so far, in the order in which it was found."""

    found: list[Conflict] = field(default_factory=list)

    def add(
        self,
        kind: ConflictKind,
        names: Iterable[str],
        spot: Spot,
        message: str,
        *,
        level: Level = "error",
        related: Spot | None = None,
    ) -> None:
        """One more; `related` is a second place, named after the message."""
        fault = Fault(spot, dotted(spot.loc), message, level, related)
        self.found.append(Conflict(kind, tuple(names), fault))
