"""What the topics would have: every answer of the core as the record that the stream writes of it.

Called by a replay that records, so that a review counts the same things whether it reads topics or runs events again.
Packs, partitions and offsets are not as Kafka's would be; keys and values are. What stays inside (answers that one
stage gives another) has no record.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from opsbridge.core.decisions import Transition, Withheld
from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.backbone import home
from opsbridge.core.sharing import domain_of
from opsbridge.core.written import WRITTEN
from opsbridge.review.recorded import ERRORS, Recorded
from opsbridge.sources.refused import message
from opsbridge.sources.source import Headers


class Unusable(Protocol):
    """Why something that was read cannot be heard."""

    @property
    def reason(self) -> str:
        """As the list of reasons has it."""

    @property
    def detail(self) -> str:
        """What is wrong, and where."""


_encode = msgspec.json.Encoder().encode


class Writing:
    """Makes records of what goes into a replay and of what comes out of it, and hands them on in order."""

    def __init__(self, graph: CIGraph, to: Callable[[Recorded], None]) -> None:
        self.now = 0
        """Event time, the records' timestamp."""
        self.graph = graph
        self._to = to
        self._offsets: Counter[str] = Counter()

    def read(self, entity: str, value: bytes | None, key: str | None = None) -> int:
        """Feedback or context that was read; its offset."""
        return self._write(entity, key, value)

    def received(self, value: bytes, headers: Headers, arrived_ms: int | None) -> int:
        """A payload of events that was read; its offset. `arrived_ms`: its timestamp, where its events may need it."""
        kept = [(name, content or b"") for name, content in headers]
        return self._write("events", None, value, kept, arrived_ms)

    def refused(
        self, entity: str, offset: int, value: bytes, refused: Sequence[Unusable], stage: str = "intake"
    ) -> None:
        """What was read there cannot be heard, or not all of it."""
        reasons = {
            "topic": entity,
            "partition": "0",
            "offset": str(offset),
            "stage": stage,
            "reason": refused[0].reason,
            "message": message([each.detail for each in refused]),
            "items": str(len(refused)),
        }
        self._write("dead-letters", None, value, [(ERRORS + name, text.encode()) for name, text in reasons.items()])

    def routed(self, value: bytes, why: Withheld) -> None:
        """An event goes elsewhere."""
        self._write("routed", why.route, value, [("__opsbridge.rule", why.reason.encode())])

    def told(self, decision: object) -> None:
        """Something that the core has decided; what is in no topic is passed over."""
        if isinstance(decision, Transition):
            backbone = home(self.graph, decision)
            key = backbone or domain_of(self.graph, decision)
            self._write("shared" if backbone else "alerts", key, _encode([decision]))
        elif (row := WRITTEN.get(type(decision))) is not None:
            entity, key_of = row
            self._write(entity, key_of(decision), _encode(decision))

    def _write(
        self,
        entity: str,
        key: str | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp: int | None = None,
    ) -> int:
        offset = self._offsets[entity]
        self._offsets[entity] += 1
        encoded = None if key is None else key.encode()
        at = self.now if timestamp is None else timestamp
        self._to(Recorded(entity, encoded, value, at, 0, offset, tuple(headers)))
        return offset
