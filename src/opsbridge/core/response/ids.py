"""Ids of what the response side tells people of, and times as its records write them.

Every id is derived from what the record is about, so that a restart, a kill or a replay finds the same again.
"""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Final

_BETWEEN: Final = "\x1f"


def derived_id(prefix: str, *parts: str | int) -> str:
    """The id of what these parts identify: `derived_id("RSP", situation, rule)` is `RSP-` and 16 hex digits."""
    digest = blake2b(_BETWEEN.join(map(str, parts)).encode(), digest_size=8)
    return f"{prefix}-{digest.hexdigest()}"


def incident_id(situation: str) -> str:
    """The incident of a situation has the situation's id with another letter, so either is found from the other."""
    return "INC" + situation[1:]


def situation_of_incident(incident: str) -> str:
    """The situation that an incident tells of."""
    return "S" + incident.removeprefix("INC")


def of_reopening(situation: str, rule: str, reopened: int) -> tuple[str | int, ...]:
    """The parts of the id of what a rule asks for about a situation: another one each time it was reopened."""
    return (situation, rule, reopened) if reopened else (situation, rule)


@lru_cache(maxsize=1024)  # most of a record's times are those of its last version
def rfc3339(time_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
