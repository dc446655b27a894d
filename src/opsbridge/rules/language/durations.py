"""Spans and points of time as rule files write them (`1h30m`, `2026-03-01T22:00:00+01:00`), in milliseconds.

Text only: a bare number does not say its unit, and a time without a zone means another time at another place. Called by
the models; the messages of the ValueErrors are an operator's.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from opsbridge.documents import shown

_UNITS: Final = {
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
"""Milliseconds, in the order in which they are written."""

DURATION: Final = "^(?=[0-9])" + "".join(f"([0-9]{{1,9}}{unit})?" for unit in _UNITS) + "$"
"""Every unit at most once, the longest first."""

_DURATION: Final = re.compile(DURATION)
_EXAMPLES: Final = "a duration such as 90s, 5m, 1h30m or 2d"
LONGEST: Final = 10 * 366 * _UNITS["d"]
"""Ten years: a longer one is a slip of the pen."""

_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?",
)
_A_TIME: Final = "a time such as 2026-03-01T22:00:00Z or 2026-03-01T22:00:00+01:00"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(said: object, *, zero: bool = False) -> int:
    """The duration in milliseconds; above 0, or with `zero` also 0. ValueError if it is none."""
    if not isinstance(said, str):
        unit = f"; say the unit: {said}s" if isinstance(said, int | float) and not isinstance(said, bool) else ""
        raise ValueError(f"must be {_EXAMPLES}, not {shown(said)}{unit if len(unit) < 40 else ''}")
    found = _DURATION.match(said) if said.isascii() and "\n" not in said else None
    if found is None:
        raise ValueError(f"must be {_EXAMPLES}; it is {shown(said)}")
    length = sum(
        int(part[: -len(unit)]) * size
        for part, (unit, size) in zip(found.groups(), _UNITS.items(), strict=True)
        if part
    )
    if not length and not zero:
        raise ValueError(f"must be longer than {said}")
    if length > LONGEST:
        raise ValueError(f"is longer than ten years: {shown(said)}")
    return length


def moment(said: object) -> int:
    """An RFC 3339 time as milliseconds since 1970 UTC; ValueError if it is none."""
    if not isinstance(said, str):
        raise ValueError(f"must be {_A_TIME}, not {shown(said)}")
    found = _TIME.fullmatch(said) if said.isascii() else None
    if found is None:
        raise ValueError(f"must be {_A_TIME}; it is {shown(said)}")
    if found["zone"] is None:
        raise ValueError(f"has no time zone: put Z (UTC) or an offset such as +01:00 behind {shown(said)}")
    fraction = found[1] or ""
    try:
        time = datetime.fromisoformat(said.upper().replace(fraction, "", 1) if fraction else said.upper())
        whole = (time - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise ValueError(f"is no day and time of the calendar: {shown(said)}") from None
    return whole + int(f"{fraction[1:]:0<3}"[:3])


def written(length: int) -> str:
    """A duration in milliseconds as a file would write it: `1h30m`; `0s` for none."""
    parts = []
    for unit, size in _UNITS.items():
        count, length = divmod(length, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
