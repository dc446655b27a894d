"""A topology as it was when: what changed of CIs and dependencies, by time, and the estate of a replay at each time.

A history is JSON lines `{"time", "key", "value"}` with the records of the `context` topic (docs/topics.md), value null
where one was withdrawn; or the context of a recording, by the times of its records. What cannot be used is told by its
place and never stops a replay.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from opsbridge.cli.inputs import Refuse, Refused
from opsbridge.cli.lines import Line, name_of, read_lines
from opsbridge.cli.payloads import is_recording
from opsbridge.cli.preparing import Prepared
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.times import milliseconds
from opsbridge.core.topology_records import Aware, TopologyRecord, is_topology
from opsbridge.review.recorded import read_entity
from opsbridge.sources.operations import MAX_BYTES, decode_context
from opsbridge.topology.live import OBSERVED_TTL_MS, LiveTopology

GATHER_MS: Final = 2_000
"""Changes that follow each other so closely make one topology, as in a worker..."""

GATHER_LONGEST_MS: Final = 10_000
"""...and if that goes on and on, those of so long."""

FROM_THE_BEGINNING: Final = 0


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a history."""

    time: Aware
    key: Annotated[str, msgspec.Meta(min_length=1)]
    value: msgspec.Raw
    """null: the record was withdrawn."""


_decode_entry = msgspec.json.Decoder(_Entry).decode


class Changed(NamedTuple):
    """A record of the topology, or its withdrawal."""

    time: int
    """Milliseconds since 1970."""
    key: str
    record: TopologyRecord | None
    content: bytes | None
    file: str
    line: Line

    def refused(self, rejected: Rejected) -> Refused:
        """It cannot be used."""
        return Refused(self.file, self.line, rejected.reason, rejected.detail)


def read_history(path: str, refuse: Refuse) -> list[Changed]:
    """What a file says, in order of time; of one time in the order of the file."""
    found: list[Changed] = []
    for line in read_lines(path, keep=MAX_BYTES + 1):
        answer = _changed(name_of(path), line)
        if isinstance(answer, Rejected):
            refuse(Refused(name_of(path), line, answer.reason, answer.detail))
        else:
            found.append(answer)
    return sorted(found, key=lambda changed: changed.time)


def history_of_context(path: str) -> list[Changed]:
    """What a file of context, or a recording, says of CIs and dependencies; a file says it from the beginning."""
    if not is_recording(path):
        lines = ((FROM_THE_BEGINNING, None, line.content, line) for line in read_lines(path, keep=MAX_BYTES + 1))
        return list(_understood(name_of(path), lines))
    records = enumerate(read_entity(Path(path), "context"), 1)
    told = (
        (
            record.timestamp,
            (record.key or b"").decode(errors="replace"),
            record.value,
            Line(number, record.value or b"", 0),
        )
        for number, record in records
    )
    return sorted(_understood(str(Path(path, "context.jsonl")), told), key=lambda changed: changed.time)


def _understood(file: str, told: Iterable[tuple[int, str | None, bytes | None, Line]]) -> Iterator[Changed]:
    """Those that are about the topology; what is none of them is others' to tell."""
    for time, key, content, line in told:
        if content is None:
            if key is not None and is_topology(key):
                yield Changed(time, key, None, None, file, line)
            continue
        record = decode_context(content)
        if isinstance(record, TopologyRecord) and key in (None, record.key):
            yield Changed(time, record.key, record, content, file, line)


def _changed(file: str, line: Line) -> Changed | Rejected:
    if line.size > MAX_BYTES:
        return Rejected(Reject.TOO_LARGE, f"{line.size} bytes, the limit is {MAX_BYTES}")
    try:
        entry = _decode_entry(line.content)
    except msgspec.ValidationError as error:
        return Rejected(Reject.INVALID_FIELD, str(error)[:1000])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected(Reject.INVALID_JSON, str(error)[:1000])
    if not is_topology(entry.key):
        return Rejected(Reject.INVALID_FIELD, f"expected ci:ID or edge:FROM>ON, not {entry.key[:200]!r} - at `$.key`")
    content = None if bytes(entry.value) == b"null" else bytes(entry.value)
    record = None if content is None else decode_context(content)
    if isinstance(record, Rejected):
        return Rejected(record.reason, f"$.value: {record.detail}")
    if record is not None and not isinstance(record, TopologyRecord):
        return Rejected(Reject.INVALID_FIELD, "expected the kind `ci` or `edge` - at `$.value.kind`")
    if record is not None and record.key != entry.key:
        return Rejected(Reject.INVALID_FIELD, f"must be {record.key[:200]!r} - at `$.key`")
    return Changed(milliseconds(entry.time), entry.key, record, content, file, line)


class TopologyHistory:
    """The estate of a replay, as of event time."""

    def __init__(
        self, prepared: Prepared, changes: Iterable[Changed], refuse: Refuse, ttl_ms: int = OBSERVED_TTL_MS
    ) -> None:
        self.prepared = prepared
        self._changes = sorted(changes, key=lambda changed: changed.time)
        self._next = 0
        self._gathered: int | None = None
        """When those that come next are all told, once it is known."""
        self._refuse = refuse
        self._live = LiveTopology(ttl_ms)
        self._built = self._live.version

    def due(self) -> int | None:
        """When the topology is another one next; changes that follow each other closely are one."""
        aged = self._live.due()
        if self._next == len(self._changes):
            return aged
        if self._gathered is None:
            told = self._changes[self._next].time
            longest = told + GATHER_LONGEST_MS
            for changed in islice(self._changes, self._next + 1, None):
                if changed.time > min(told + GATHER_MS, longest):
                    break
                told = changed.time
            self._gathered = told
        return self._gathered if aged is None else min(aged, self._gathered)

    def advance(self, now: int) -> tuple[list[Changed], Prepared | None]:
        """What was told until that time, and the estate as it is then, if it is another one."""
        told: list[Changed] = []
        self._gathered = None
        while self._next < len(self._changes) and self._changes[self._next].time <= now:
            changed = self._changes[self._next]
            self._next += 1
            told.append(changed)
            if changed.record is None:
                self._live.withdraw(changed.key)
            elif (rejected := self._live.learn(changed.record)) is not None:
                self._refuse(changed.refused(rejected))
        self._live.expire(now)
        if self._live.version == self._built:
            return told, None
        self._built = self._live.version
        self.prepared = self.prepared.with_live(self._live.snapshot())
        return told, self.prepared
