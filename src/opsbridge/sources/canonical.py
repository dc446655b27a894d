"""The canonical event as JSON (docs/events.md): one object per payload, decoded strictly in one pass.

Unknown fields are ignored, so that a sender may add what it likes; a known field of a wrong type or value is an error
that names its place. Called for every record of an input topic and every line of a replay.
"""

from typing import Final

import msgspec

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.intake import Report, incomplete

MAX_BYTES: Final = 262_144
"""A larger payload is refused unread: no event is so long, and packs of events must fit Kafka's limit for a record."""

_decode = msgspec.json.Decoder(Report).decode


def decode(payload: bytes | None) -> Report | Rejected:
    """The report in a payload, or why there is none. Never raises, whatever the bytes."""
    if payload is None:
        return Rejected(Reject.INVALID_JSON, "the record has no value")
    if len(payload) > MAX_BYTES:
        return Rejected(Reject.TOO_LARGE, f"{len(payload)} bytes, the limit is {MAX_BYTES}")
    try:
        report = _decode(payload)
    except msgspec.ValidationError as error:
        return Rejected(Reject.INVALID_FIELD, _shortened(str(error)))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected(Reject.INVALID_JSON, _shortened(str(error)))
    except RecursionError:
        return Rejected(Reject.INVALID_JSON, "nested too deeply")
    return report if report.ci and report.class_ else incomplete(report) or report


def _shortened(message: str) -> str:
    """The message without the middle of a long value that it repeats; the place is at its end."""
    return message if len(message) <= 400 else f"{message[:200]} ... {message[-180:]}"
