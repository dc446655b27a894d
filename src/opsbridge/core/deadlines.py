"""Deadlines: when something is to be looked at next, by name. It decides nothing; stages that keep things use it."""

from collections.abc import Iterator
from heapq import heappop, heappush


class Deadlines:
    """Of every name, the time that was said last; in order of time, then of names."""

    __slots__ = ("_heap", "_times")

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []  # with what has been overtaken since

    def set(self, name: str, time: int | None) -> None:
        """From now on this is its time; None: it has none."""
        if time is None:
            self._times.pop(name, None)
        elif self._times.get(name) != time:
            self._times[name] = time
            heappush(self._heap, (time, name))

    def due(self) -> int | None:
        """The earliest of all, or None."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def met(self, now: int) -> Iterator[tuple[int, str]]:
        """The times until `now` with their names, also those that are set meanwhile; each is over when it is met."""
        while (due := self.due()) is not None and due <= now:
            name = heappop(self._heap)[1]
            del self._times[name]
            yield due, name
