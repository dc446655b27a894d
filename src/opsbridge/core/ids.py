"""Ids of situations and of all that people are told of them.

Every id is derived from what the record is about, so that a restart, a kill or a replay finds the same again.
"""

from hashlib import blake2b
from typing import Final

_BETWEEN: Final = "\x1f"


def derived_id(prefix: str, *parts: str | int, reopened: int = 0) -> str:
    """The id of what these parts identify: `derived_id("RSP", situation, rule)` is `RSP-` and 16 hex digits.

    `reopened`: how often the situation was, for what begins anew each time and has another id then.
    """
    named = (*parts, reopened) if reopened else parts
    return f"{prefix}-{digest(_BETWEEN.join(map(str, named)).encode())}"


def digest(content: bytes) -> str:
    """16 hex digits that only this content has."""
    return blake2b(content, digest_size=8).hexdigest()


def incident_id(situation: str) -> str:
    """The incident of a situation has the situation's id with another letter, so either is found from the other."""
    return "INC" + situation[1:]


def situation_of_incident(incident: str) -> str:
    """The situation that an incident tells of."""
    return "S" + incident.removeprefix("INC")
