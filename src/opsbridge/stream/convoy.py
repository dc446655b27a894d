"""A convoy keeps the lanes of one stage together in event time, so that no partition runs ahead of the others.

After a pause, or in a burst, one fetch of a partition may span minutes. Worked on at a stretch it would move the clock
of what comes after to its end, before the same minutes of the other partitions have been heard: failures would look as
if they had spread to a quarter of what they hit. So a lane goes on only while no lane with work in hand is far behind.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

STEP_MS: Final = 5_000
"""How far, in event time, a lane may be ahead of another one; well below the time for which situations are watched."""

_T = TypeVar("_T")


class Convoy:
    """The lanes of one stage of this worker that have work in hand, each with the event time it wants to go on to."""

    def __init__(self) -> None:
        self._fronts: dict[int, int] = {}
        self._moved = asyncio.Event()

    async def reach(self, lane: int, time: int) -> None:
        """Wait until `lane` may work on what lies up to that event time; the lane that is last never waits."""
        self._fronts[lane] = time
        self._notify()
        while min(self._fronts.values()) < time - STEP_MS:
            await self._moved.wait()

    def leave(self, lane: int) -> None:
        """The lane has nothing in hand."""
        if self._fronts.pop(lane, None) is not None:
            self._notify()

    def _notify(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


def stretches(things: Sequence[_T], time_of: Callable[[_T], int]) -> Iterator[tuple[int, Sequence[_T]]]:
    """The things in their order, cut where time goes on by more than a step; each stretch after its latest time."""
    begin, latest, limit = 0, 0, None
    for number, thing in enumerate(things):
        reached = max(latest, time_of(thing))
        if limit is None or reached > limit:
            if limit is not None:
                yield latest, things[begin:number]
            begin, limit = number, reached + STEP_MS
        latest = reached
    if things:
        yield latest, things[begin:]
