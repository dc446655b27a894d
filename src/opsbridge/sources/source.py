"""What a source is: a name, and how the payloads of one tool become events.

One payload may hold many events, and each of them is accounted for by itself: as a report, as withheld with the reason
that the mapping names, or as rejected with its place in the payload. Intake, the gateway, `replay` and `sources try`
call this; nothing here knows Kafka or HTTP.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from opsbridge.core.decisions import Rejected, Withheld
from opsbridge.core.intake import Report

Headers = Sequence[tuple[str, bytes | None]]
"""Of a Kafka record, or of an HTTP request with the names in lower case."""

Item = Report | Withheld | Rejected
"""What one event of a payload turned out to be."""

SOURCE_HEADER: Final = "opsbridge-source"
"""A header that names the source of a record; it goes before what the topic's setting says."""

AUTO: Final = "auto"
"""The source that recognises the format of each payload and leaves it to the source of that format."""

CANONICAL: Final = "canonical"

MAX_BYTES: Final = 900_000
"""A longer payload is refused unread; of a canonical event, `canonical.MAX_BYTES` is the limit."""


class Source(Protocol):
    """One format."""

    @property
    def name(self) -> str:
        """What settings, headers and addresses call it."""

    def items(self, payload: bytes | None, headers: Headers, arrived_ms: int) -> Sequence[Item]:
        """The events of a payload, at least one item. Never raises, whatever the bytes.

        `arrived_ms`: when the payload was taken over (milliseconds since 1970), for formats that do not say when
        something happened; the same for the same record on every reading.
        """
