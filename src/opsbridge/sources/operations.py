"""Feedback and context as JSON (docs/topics.md): one object per payload, decoded strictly, unknown fields refused.

What people and tools tell OpsBridge must not be half understood, so that a field misspelt is an error that names it.
Called for every record of the topics `feedback` and `context`, and every line of such files.
"""

import re
from typing import Final, TypeVar, get_args

import msgspec

from opsbridge.core.context import ChangeRecord
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.feedback import Feedback
from opsbridge.core.topology_records import TopologyRecord
from opsbridge.documents import Nearest

MAX_BYTES: Final = 262_144
"""A larger payload is refused unread."""

ContextRecord = ChangeRecord | TopologyRecord
"""What the topic `context` may hold."""

_KINDS: Final = [str(kind.__struct_config__.tag) for kind in (*get_args(Feedback), *get_args(ContextRecord))]
_NO_KIND: Final = re.compile(r"Invalid value '(.{1,40})' - at `\$\.kind`")

_T = TypeVar("_T")

_feedback: msgspec.json.Decoder[Feedback] = msgspec.json.Decoder(Feedback)
_context: msgspec.json.Decoder[ContextRecord] = msgspec.json.Decoder(ContextRecord)


def decode_feedback(payload: bytes | None) -> Feedback | Rejected:
    """What somebody said, or why nobody can know it. Never raises, whatever the bytes."""
    return _decoded(_feedback, payload)


def decode_context(payload: bytes | None) -> ContextRecord | Rejected:
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
        return Rejected(Reject.INVALID_FIELD, _advised(str(error))[:1000])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected(Reject.INVALID_JSON, str(error)[:1000])
    except RecursionError:
        return Rejected(Reject.INVALID_JSON, "nested too deeply")


def _advised(detail: str) -> str:
    """What the decoder says, and of a kind that there is not the one that was meant."""
    unknown = _NO_KIND.match(detail)
    # asked anew each time: what it remembers would grow with whatever others write
    return detail + Nearest(_KINDS).hint(unknown[1]) if unknown else detail
