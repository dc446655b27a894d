"""What can be set on the dev broker, the one answer "no" inside it, and where it may listen.

The defaults are Apache Kafka's, except that topics are not created on first use: a typo in a topic name should show
here as it would in production. Read by every other file of the room.
"""

import ipaddress
from dataclasses import dataclass

from kio.schema.errors import ErrorCode


class BeyondLoopbackError(ValueError):
    """The dev broker was asked to listen on an address that other machines can reach."""


class RefusedError(Exception):
    """A request, or one partition or topic of it, is answered with a Kafka error code and the reason in words."""

    def __init__(self, code: ErrorCode, reason: str = "") -> None:
        super().__init__(f"{code.name}: {reason}" if reason else code.name)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and habits of one dev broker; times in seconds, sizes in bytes, names after Kafka's own settings."""

    auto_create_topics: bool = False
    default_partitions: int = 1
    message_max_bytes: int = 1_048_588
    min_session_timeout: float = 6.0
    max_session_timeout: float = 1800.0
    initial_rebalance_delay: float = 0.1
    """How long an empty group collects members before its first generation (Kafka: 3 s)."""
    request_max_bytes: int = 104_857_600
    fetch_max_bytes: int = 57_671_680


def loopback(host: str) -> str:
    """Return the address to bind for `host`; raises `BeyondLoopbackError` for all but this machine itself."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        inside = ipaddress.ip_address(address).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise BeyondLoopbackError(
            f"the dev broker does not listen on {host!r}: it is for trying and testing, has no security and keeps "
            "nothing on disk; use 127.0.0.1, or run Apache Kafka for anything that others should reach"
        )
    return address
