"""What has moved in a situation while people are told nothing of it: kept, so that an incident can still tell it all.

What joined and left again is forgotten, so there is never more than the situation has. It is kept in slices of the size
in which it came: each is an entry of its own in the saved state, and no entry grows with the storm. Response is the
caller.
"""

from collections.abc import Callable
from typing import Final

from opsbridge.core.decisions import Member, Moved

_COLUMNS: Final = (("joined", "left"), ("cis_joined", "cis_left"), ("services_joined", "services_left"))

_Name = tuple[str, str, int]
"""Column, fingerprint or CI, occurrence."""


class Backlog:
    """What has moved in one situation, all told."""

    __slots__ = ("_next", "_slices", "_where", "changed")

    def __init__(self) -> None:
        self._slices: dict[int, Moved] = {}
        self._where: dict[_Name, int] = {}
        self._next = 0
        self.changed: dict[int, None] = {}
        """Numbers of the slices that are to be saved, or to be forgotten where `slice` has none."""

    def slice(self, number: int) -> Moved | None:
        """One of the slices."""
        return self._slices.get(number)

    def restore(self, number: int, kept: Moved) -> None:
        """Take a slice back that was saved."""
        self._put(number, kept)

    def keep(self, moved: Moved) -> None:
        """Take in what joined and left. What was taken in before changes nothing."""
        gone: dict[int, set[_Name]] = {}
        for column, leaving in _COLUMNS:
            for item in getattr(moved, leaving):
                name = _name(column, item)
                if (number := self._where.pop(name, None)) is not None:
                    gone.setdefault(number, set()).add(name)
        for number, names in gone.items():
            self._remove(number, names)
        fresh = _only(moved, lambda name: name not in self._where)
        if fresh.anything():
            self._put(self._next, fresh)
            self.changed[self._next - 1] = None

    def clear(self) -> None:
        """Forget everything."""
        self.changed |= dict.fromkeys(self._slices)
        self._slices.clear()
        self._where.clear()

    def whole(self) -> Moved:
        """Everything that is kept, in the order in which it came."""
        kept = [self._slices[number] for number in sorted(self._slices)]
        return Moved(
            **{column: tuple(item for each in kept for item in getattr(each, column)) for column, _ in _COLUMNS}
        )

    def _put(self, number: int, kept: Moved) -> None:
        self._slices[number] = kept
        self._where |= {_name(column, item): number for column, _ in _COLUMNS for item in getattr(kept, column)}
        self._next = max(self._next, number + 1)

    def _remove(self, number: int, names: set[_Name]) -> None:
        left = _only(self._slices.pop(number), lambda name: name not in names)
        if left.anything():
            self._slices[number] = left
        self.changed[number] = None


def _only(moved: Moved, wanted: Callable[[_Name], bool]) -> Moved:
    """What joined, as far as it is wanted."""
    return Moved(
        **{
            column: tuple(item for item in getattr(moved, column) if wanted(_name(column, item)))
            for column, _ in _COLUMNS
        }
    )


def _name(column: str, item: Member | str) -> _Name:
    return (column, item, 0) if isinstance(item, str) else (column, item.fingerprint, item.occurrence)
