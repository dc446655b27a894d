"""Feedback and context as JSON (docs/topics.md): one object per payload, decoded strictly, unknown fields refused.

What people and tools tell OpsBridge must not be half understood, so that a field misspelt is an error that names it.
Called for every record of the topics `feedback` and `context`, and every line of such files.
"""

from typing import Final, TypeVar

import msgspec

from opsbridge.core.context import ChangeRecord
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.feedback import Feedback

MAX_BYTES: Final = 262_144
"""A larger payload is refused unread."""

_T = TypeVar("_T")

_feedback: msgspec.json.Decoder[Feedback] = msgspec.json.Decoder(Feedback)
_context: msgspec.json.Decoder[ChangeRecord] = msgspec.json.Decoder(ChangeRecord)


def decode_feedback(payload: bytes | None) -> Feedback | Rejected:
    """What somebody said, or why nobody can know it. Never raises, whatever the bytes."""
    return _decoded(_feedback, payload)


def decode_context(payload: bytes | None) -> ChangeRecord | Rejected:
    """A record of the context, or why it is none. Never raises, whatever the bytes."""
    return _decoded(_context, payload)


def _decoded(decoder: "msgspec.json.Decoder[_T]", payload: bytes | None) -> _T | Rejected:
    if payload is None:
        return Rejected(Reject.INVALID_JSON, "the record has no value")
    if len(payload) > MAX_BYTES:
        return Rejected(Reject.TOO_LARGE, f"{len(payload)} bytes, the limit is {MAX_BYTES}")
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        return Rejected(Reject.INVALID_FIELD, str(error)[:1000])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected(Reject.INVALID_JSON, str(error)[:1000])
    except RecursionError:
        return Rejected(Reject.INVALID_JSON, "nested too deeply")
