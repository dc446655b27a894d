"""Packing: many small things in one Kafka record, because Kafka's and the client's cost is per record.

A pack is a JSON array. Packs stay well below the record limit: one that grows too long is cut in half.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from opsbridge.core.coordination import news as coordination
from opsbridge.core.decisions import Regroup, SituationUpdate, Transition
from opsbridge.core.event import Event
from opsbridge.core.second_level.backbone import News

PACK_BYTES: Final = 400_000
"""A pack longer than this is cut, unless it holds one thing only; a single event is at most about 260 kB."""

_T = TypeVar("_T", Event, Transition)

_encode = msgspec.json.Encoder().encode
decode_events = msgspec.json.Decoder(list[Event]).decode
decode_transitions = msgspec.json.Decoder(list[Transition]).decode
decode_update = msgspec.json.Decoder(SituationUpdate).decode
decode_correction = msgspec.json.Decoder(Regroup).decode
decode_coordination: Callable[[bytes], coordination.News] = msgspec.json.Decoder(coordination.News).decode
decode_answer: Callable[[bytes], coordination.Answer] = msgspec.json.Decoder(coordination.Answer).decode


def decode_news(value: bytes) -> Sequence[News]:
    """What a record of `shared` holds: a pack of transitions, or one update of a situation."""
    return decode_transitions(value) if value.startswith(b"[") else [decode_update(value)]


def packs(things: Sequence[_T]) -> Iterator[bytes]:
    """These things as JSON arrays, in order; none for no things."""
    if not things:
        return
    pack = _encode(things)
    if len(pack) <= PACK_BYTES or len(things) == 1:
        yield pack
        return
    half = len(things) // 2
    yield from packs(things[:half])
    yield from packs(things[half:])
