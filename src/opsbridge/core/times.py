"""Times and spans of time: the core counts in milliseconds since 1970 UTC, and writes them for people like this."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_FIRST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST: Final = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MILLISECOND

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def milliseconds(moment: datetime) -> int:
    """A moment, of any zone, as the core counts it; those at the ends of the calendar as one that can be written."""
    return min(max((moment - _EPOCH) // _MILLISECOND, _FIRST), _LAST)


@lru_cache(maxsize=1024)  # most of a record's times are those of its last version
def rfc3339(time_ms: int) -> str:
    """A moment as records have it, in UTC: `2026-01-31T08:00:00.000Z`."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(length_ms: int) -> str:
    """A span in the largest unit that divides it: `90s`, `15m`, `1h`, `7d`."""
    for unit, size in _UNITS:
        if length_ms and length_ms % size == 0:
            return f"{length_ms // size}{unit}"
    return f"{length_ms}ms"
