"""Times as payloads write them: what generated code calls for all of them but the common case of RFC 3339.

What is no time is raised as `support.Refused`. A time of day without a year gets the one nearest to its arrival.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NoReturn

from opsbridge.core.times import milliseconds, rfc3339
from opsbridge.documents import shown
from opsbridge.sources.language.support import Refused, Value, number

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = 253_402_300_799
"""The last second of 9999."""
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_RFC3164: Final = re.compile(r"([A-Za-z]{3}) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6})\d*)?\Z", re.ASCII)

fromisoformat = datetime.fromisoformat
_fromtimestamp: Final = datetime.fromtimestamp


def no_moment(text: str, place: str) -> NoReturn:
    """RFC 3339 was wanted."""
    raise Refused(f"is {shown(text)}, an RFC 3339 time is wanted", place)


def no_zone(text: str, place: str) -> NoReturn:
    """A time says no offset."""
    raise Refused(f"is {shown(text)}, a time without an offset; say its `zone` in the mapping", place)


def since_epoch(value: Value, place: str, per_second: int, more: Value = None) -> datetime:
    """A time counted from 1970 in such units; `more`: nanoseconds on top."""
    count = value if type(value) is int or type(value) is float else number(value, place)
    if not 0 <= count <= _LATEST * per_second:
        raise Refused(f"is {shown(value)}, a time from 1970 on in units of 1/{per_second} s is wanted", place)
    if per_second == 1_000_000_000:
        count = int(count) // 1000
        moment = _fromtimestamp(count // 1_000_000, UTC).replace(microsecond=count % 1_000_000)
    else:
        moment = _fromtimestamp(count / per_second, UTC)
    if more is not None and more != "":
        nanoseconds = number(more, place)
        if not 0 <= nanoseconds < 1_000_000_000:
            raise Refused(f"has {shown(more)} nanoseconds", place)
        moment = moment.replace(microsecond=int(nanoseconds) // 1000)
    return moment


def rfc3164(text: str, place: str, arrived_ms: int, zone: tzinfo) -> datetime:
    """A time without a year, `Oct  1 22:14:15`: of the year that puts it nearest to when it arrived."""
    found = _RFC3164.match(text)
    month = _MONTHS.get(found[1].lower()) if found else None
    if found is None or month is None:
        raise Refused(f"is {shown(text)}, a time as `Oct  1 22:14:15` is wanted", place)
    day, hour, minute, second = (int(part) for part in found.group(2, 3, 4, 5))
    arrived = _EPOCH + timedelta(milliseconds=arrived_ms)
    nearest: datetime | None = None
    for year in (arrived.year, arrived.year - 1, arrived.year + 1):
        try:
            moment = datetime(
                year, month, day, hour, minute, second, int((found[6] or "0").ljust(6, "0")), tzinfo=zone
            ).astimezone(UTC)
        except (ValueError, OverflowError):  # the 29th of February, in most years
            continue
        if nearest is None or abs(moment - arrived) < abs(nearest - arrived):
            nearest = moment
    if nearest is None:
        raise Refused(f"is {shown(text)}, which no year near {arrived.year} has", place)
    return nearest


def arrival(arrived_ms: int) -> datetime:
    """When the payload arrived."""
    return _fromtimestamp(arrived_ms / 1000, UTC)


def told(moment: datetime) -> str:
    """A time as text: RFC 3339, UTC, milliseconds."""
    return rfc3339(milliseconds(moment))
