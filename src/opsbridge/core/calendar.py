"""Times that come and go: weekly windows of local time and single spans, asked with event time.

The zone comes with the windows, already looked up: no file is read here. The topology room and the rules room parse
what operators write; the graph, the impact and the gates of the first level ask.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final, Protocol

DAY: Final = 24 * 60
WEEK: Final = 7 * DAY
"""Minutes."""

FOREVER: Final = 1 << 53
"""The end of a window that has none, such as one of all week: a number, so that it compares, further than any event."""


class Windows(Protocol):
    """Times that come and go: a one-off span, or a weekly one in a time zone."""

    def end(self, now: int) -> int | None:
        """When the window that covers that time ends (milliseconds since 1970); None if none does.

        A window without an end ends at FOREVER.
        """

    def start(self, after: int) -> int | None:
        """When the next window begins after that time (milliseconds since 1970); None if there is none."""


@dataclass(frozen=True, slots=True)
class Span:
    """One window [begin, end), milliseconds since 1970."""

    begin: int
    until: int

    def end(self, now: int) -> int | None:
        """When it ends, if it covers that time."""
        return self.until if self.begin <= now < self.until else None

    def start(self, after: int) -> int | None:
        """When it begins, if that is after that time."""
        return self.begin if after < self.begin < self.until else None


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Several windows as one: where they overlap or touch, it goes on to the end of the last."""

    windows: tuple[Windows, ...]

    def end(self, now: int) -> int | None:
        """When the last of the windows that follow on each other ends; FOREVER if that does not come within a year."""
        until = now
        while ends := [end for window in self.windows if (end := window.end(until)) is not None]:
            until = max(ends)
            if until - now > _YEAR:
                return FOREVER
        return until if until > now else None

    def start(self, after: int) -> int | None:
        """When the next one begins that does not begin in another."""
        since = self.end(after)
        if since == FOREVER:  # together they cover the whole week
            return None
        begin = after if since is None else since
        return min((start for window in self.windows if (start := window.start(begin)) is not None), default=None)


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Windows [begin, end) in minutes of the local week, which begins on Monday at 00:00; in order, and apart.

    A window that runs through the end of the week is two. Clocks that are put forward or back are the zone's matter:
    what counts is what the clock on the wall says. So a window of an hour that comes twice is open twice, and one of an
    hour that is left out does not open.
    """

    windows: tuple[tuple[int, int], ...]
    zone: tzinfo

    def covers(self, now: int) -> bool:
        """Whether that time (milliseconds since 1970) is in a window."""
        local = datetime.fromtimestamp(now // 1000, self.zone)
        minute = local.weekday() * DAY + local.hour * 60 + local.minute
        return any(begin <= minute < end for begin, end in self.windows)

    def end(self, now: int) -> int | None:
        """When the clock on the wall leaves the window that covers that time; None if none does.

        What runs through the end of the week is one window; FOREVER if the windows cover all of it.
        """
        if not self.covers(now):
            return None
        if self.windows == ((0, WEEK),):
            return FOREVER
        return next(time for time in self._edges(now, [end for _, end in self.windows]) if not self.covers(time))

    def start(self, after: int) -> int | None:
        """When the clock on the wall next comes into a window from outside; None if it never does."""
        if not self.windows or self.windows == ((0, WEEK),):
            return None
        edges = self._edges(after, [begin for begin, _ in self.windows])
        return next((time for time in edges if self.covers(time) and not self.covers(time - 1)), None)

    def _edges(self, after: int, minutes: list[int]) -> Iterator[int]:
        """The times after that one at which the clock comes to one of these minutes, or leaps."""
        monday = datetime.fromtimestamp(after // 1000, self.zone).replace(tzinfo=None)
        monday = monday.replace(hour=0, minute=0, second=0) - timedelta(days=monday.weekday())
        for week in range(_WEEKS_AHEAD):
            begin = monday + timedelta(weeks=week)
            found = {
                time for minute in minutes for time in self._instants(begin + timedelta(minutes=minute)) if time > after
            }
            if (leap := self._leap(begin)) is not None and leap > after:
                found.add(leap)
            yield from sorted(found)

    def _instants(self, clock: datetime) -> Iterator[int]:
        """When the clock on the wall shows that: once, twice, or never."""
        for fold in (0, 1):
            time = int(clock.replace(tzinfo=self.zone, fold=fold).timestamp())
            if datetime.fromtimestamp(time, self.zone).replace(tzinfo=None, fold=0) == clock:
                yield time * 1000

    def _leap(self, monday: datetime) -> int | None:
        """When in that week the clock is put forward or back; None if it is not."""
        begin, end = (int((monday + timedelta(days=day)).replace(tzinfo=self.zone).timestamp()) for day in (0, 7))
        before = datetime.fromtimestamp(begin, self.zone).utcoffset()
        if datetime.fromtimestamp(end, self.zone).utcoffset() == before:
            return None
        while end - begin > 1:
            middle = (begin + end) // 2
            if datetime.fromtimestamp(middle, self.zone).utcoffset() == before:
                begin = middle
            else:
                end = middle
        return end * 1000


_WEEKS_AHEAD: Final = 3
"""A window may fall into an hour that is left out; it comes in the next week then."""

_YEAR: Final = 366 * 86_400_000
