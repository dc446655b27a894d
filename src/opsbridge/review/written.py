"""What the topics would have: every answer of the core as the record that the stream writes of it.

Called by a replay that records, so that a review counts the same things whether it reads topics or runs events again.
Packs, partitions and offsets are not as Kafka's would be; keys and values are. What stays inside (answers that one
stage gives another) has no record.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from opsbridge.core.decisions import Transition, Withheld
from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.backbone import home
from opsbridge.core.sharing import domain_of
from opsbridge.core.written import WRITTEN
from opsbridge.review.recorded import ERRORS, Recorded

_encode = msgspec.json.Encoder().encode


class Writing:
    """Makes records of what goes into a replay and of what comes out of it, and hands them on in order."""

    def __init__(self, graph: CIGraph, to: Callable[[Recorded], None]) -> None:
        self.now = 0
        """Event time, the records' timestamp."""
        self._graph = graph
        self._to = to
        self._offsets: Counter[str] = Counter()

    def read(self, entity: str, value: bytes, key: str | None = None) -> int:
        """Something that was read: an event, feedback or context; its offset."""
        return self._write(entity, key, value)

    def refused(self, entity: str, offset: int, value: bytes, reason: str, detail: str, stage: str = "intake") -> None:
        """What was read there cannot be heard."""
        reasons = {"topic": entity, "partition": "0", "offset": str(offset), "stage": stage, "reason": reason}
        headers = [(ERRORS + name, text.encode()) for name, text in (reasons | {"message": detail[:1000]}).items()]
        self._write("dead-letters", None, value, headers)

    def routed(self, value: bytes, why: Withheld) -> None:
        """An event goes elsewhere."""
        self._write("routed", why.route, value, [("__opsbridge.rule", why.reason.encode())])

    def told(self, decision: object) -> None:
        """Something that the core has decided; what is in no topic is passed over."""
        if isinstance(decision, Transition):
            backbone = home(self._graph, decision)
            key = backbone or domain_of(self._graph, decision)
            self._write("shared" if backbone else "alerts", key, _encode([decision]))
        elif (row := WRITTEN.get(type(decision))) is not None:
            entity, key_of = row
            self._write(entity, key_of(decision), _encode(decision))

    def _write(self, entity: str, key: str | None, value: bytes, headers: Iterable[tuple[str, bytes]] = ()) -> int:
        offset = self._offsets[entity]
        self._offsets[entity] += 1
        encoded = None if key is None else key.encode()
        self._to(Recorded(entity, encoded, value, self.now, 0, offset, tuple(headers)))
        return offset
