"""When a CI is in service: weekly windows of local time, asked with event time.

The zone comes with the windows, already looked up: no file is read here. The topology room parses what operators
write; the graph and the impact ask.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

DAY: Final = 24 * 60
WEEK: Final = 7 * DAY
"""Minutes."""


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Windows [begin, end) in minutes of the local week, which begins on Monday at 00:00; in order, and apart.

    A window that runs through the end of the week is two. Clocks that are put forward or back are the zone's matter:
    what counts is what the clock on the wall says.
    """

    windows: tuple[tuple[int, int], ...]
    zone: tzinfo

    def covers(self, now: int) -> bool:
        """Whether that time (milliseconds since 1970) is in a window."""
        local = datetime.fromtimestamp(now // 1000, self.zone)
        minute = local.weekday() * DAY + local.hour * 60 + local.minute
        return any(begin <= minute < end for begin, end in self.windows)
