"""State of a stage: bytes by key and partition, saved in a compacted changelog topic.

A `StateTable` is a Faust table as far as assignment and recovery go, and nothing more: changes are collected while a
batch is processed and written by `flush` before the batch is acknowledged. A flush is saved whole or not at all: the
entry APPLIED ends each, and what is read behind the last of these is taken back. Partitions are forgotten on every
revocation and read again from the beginning, since another worker may have changed them. State is handed out only
after it is proved complete; `opsbridge.stream.recovery` reads it, lanes use it. It is kept here as bytes while its
owner works with it, so that a stage that is made anew by a reload finds all of it without asking the broker.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import faust
from faust.types import TP, AppT, EventT, TopicT

from opsbridge.stream.batches import fetch_of
from opsbridge.stream.errors import DeliveryError, RecoveryError
from opsbridge.stream.outbox import BatchWriter

log = logging.getLogger(__name__)

State = dict[bytes, bytes]

APPLIED: Final = b"\x00applied"
"""The key of the entry that ends every flush. It says up to where the partition's input has been applied (stages.py):
what it covers need not be recognised record by record, even where the alert has been forgotten since."""

TELLING: Final = b"\x00telling "
"""How the keys of the entries begin that hold what is told once the flush is saved."""


class StateTable(faust.Table):  # type: ignore[type-arg] # Faust's own dict interface is not used
    """One dict of bytes per owned partition, and the changes that are not saved yet."""

    def __init__(self, app: AppT, *, name: str, changelog: str, writer: BatchWriter) -> None:
        """`changelog` is the topic, which must exist and be compacted; partitions are those of the stage's topic."""
        super().__init__(app, name=name, key_type=bytes, value_type=bytes, recovery_buffer_size=2)
        self.changelog = changelog
        self._writer = writer
        self._read: dict[int, State] = {}
        self._unsealed: dict[int, dict[bytes, tuple[bytes | None, int]]] = {}  # read, and no end of its flush yet
        self._places: dict[int, dict[bytes, int]] = {}  # key -> offset, until the state has been restored once
        self._reached: dict[int, int] = {}
        self._fetches: dict[int, int] = {}
        self._saved_up_to: dict[int, int] = {}  # of complete partitions: the highest changelog offset we know of
        self._pending: dict[int, dict[bytes, bytes | None]] = {}

    # What stages call.

    def view(self, partition: int) -> Mapping[bytes, bytes]:
        """The state of `partition`, with changes that are not saved yet; raises `RecoveryError` if it is not here."""
        self._require(partition)
        return self._read[partition]

    def restore(self, partition: int, into: Callable[[Iterable[tuple[bytes, bytes]]], None]) -> None:
        """`view` for an owner that reads pairs; what it cannot read is a `RecoveryError` that names the record."""
        state = self.view(partition)
        places = self._places.pop(partition, {})
        reading: bytes | None = None

        def entries() -> Iterator[tuple[bytes, bytes]]:
            nonlocal reading
            for reading, value in state.items():
                if not reading.startswith(TELLING):
                    yield reading, value
            reading = None

        try:
            into(entries())
        except Exception as error:
            if reading is None:
                raise
            place = f" offset {places[reading]}" if reading in places else ""
            raise RecoveryError(
                f"changelog {self.changelog}[{partition}]{place}, key {reading!r}: not a record of "
                f"this state: {type(error).__name__}: {error}. Something else has written it, or another version"
            ) from error

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Note a change (none: the key is gone); it is saved by the next `flush`."""
        changes = self._pending.get(partition)
        if changes is None:
            self._require(partition)
            changes = self._pending[partition] = {}
        changes[key] = value
        state = self._read[partition]
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value

    def pending(self, partition: int) -> int:
        """How many keys have changes that are not saved."""
        return len(self._pending.get(partition, ()))

    def tell(self, partition: int, told: bytes) -> None:
        """Note what will be told once the next `flush` has saved it; what was told before is done with."""
        before = self._telling(partition)
        size = self._writer.piece_bytes
        keys = [TELLING + b"%d" % number for number in range(-(-len(told) // size))]
        for number, key in enumerate(keys):
            self.put(partition, key, told[number * size : (number + 1) * size])
        for key in before[len(keys) :]:
            self.put(partition, key, None)

    def telling(self, partition: int) -> bytes:
        """What `tell` noted last: whoever saved it may not have come to tell it; empty if there is nothing."""
        state = self.view(partition)
        return b"".join(state[key] for key in self._telling(partition))

    def _telling(self, partition: int) -> list[bytes]:
        state, keys = self.view(partition), list[bytes]()
        while (key := TELLING + b"%d" % len(keys)) in state:
            keys.append(key)
        return keys

    async def flush(self, partition: int) -> None:
        """Save the changes of `partition`, all or nothing; returns when they are acknowledged.

        Raises `DeliveryError` and keeps them if that fails. The caller must let the worker stop: its memory says
        "applied" where the changelog does not.
        """
        changes = self._pending.get(partition)
        if not changes:
            return
        self._pending[partition] = {}
        changes.pop(APPLIED, None)
        changes[APPLIED] = self._read[partition].setdefault(APPLIED, b"{}")
        try:
            offset = await self._writer.write(
                self.changelog, partition, [(key, value, None, None) for key, value in changes.items()]
            )
        except BaseException:
            self._pending[partition] = changes | self._pending[partition]
            raise
        known = self._saved_up_to[partition]
        if 0 <= offset <= known:
            raise DeliveryError(
                f"changelog {self.changelog}[{partition}] lost records: offset {known} existed and {offset} is new. "
                "The topic was deleted or truncated under a running worker; state saved before is gone"
            )
        self._saved_up_to[partition] = max(known, offset)

    def _require(self, partition: int) -> None:
        if partition not in self._saved_up_to:
            owned = sorted(self._saved_up_to) or "none"
            raise RecoveryError(
                f"state {self.name}[{partition}] is not here (recovered partitions: {owned}): "
                f"has topic {self.changelog} as many partitions as the stage's input?"
            )

    # What recovery calls.

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Read lists of changelog records into the state; raises `RecoveryError` for a record without key."""
        for event in batch:
            fetch = fetch_of(event.message)
            partition = event.message.partition
            expected = self._fetches.get(partition, 0)
            if fetch.number != expected:
                raise RecoveryError(
                    f"changelog {self.changelog}[{partition}]: fetch {fetch.number} follows {expected - 1}: "
                    "records were lost on the way here"
                )
            self._fetches[partition] = expected + 1
            unsealed = self._unsealed.setdefault(partition, {})
            for record in fetch.records:
                key, value = record.key, record.value
                if key is None:
                    raise RecoveryError(
                        f"changelog {self.changelog}[{partition}] offset {record.offset}: a record without key. "
                        "Something else writes to this topic; it is of no use for recovery"
                    )
                unsealed[key] = value, record.offset
                if key == APPLIED:
                    self._seal(partition, unsealed)
            self._reached[partition] = event.message.offset

    def _seal(self, partition: int, unsealed: dict[bytes, tuple[bytes | None, int]]) -> None:
        """What has been read so far was saved whole."""
        state, places = self._read.setdefault(partition, {}), self._places.setdefault(partition, {})
        for key, (value, offset) in unsealed.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
                places[key] = offset
        unsealed.clear()

    def pass_over(self, partition: int, offset: int) -> None:
        """Nothing is left to read up to `offset`: what was there are markers or compacted records."""
        self._reached[partition] = max(offset, self._reached.get(partition, -1))

    def complete(self, highwaters: Mapping[int, int | None]) -> None:
        """Recovery of these partitions has ended: each must have been read up to its last offset.

        `highwaters` holds that offset, -1 for an empty partition. Raises `RecoveryError` if one was not reached, in
        which case no state is handed out. A flush that was not saved whole is undone with the next one.
        """
        for partition, last in highwaters.items():
            reached = self._reached.get(partition, -1)
            if last is None or reached < last:
                raise RecoveryError(
                    f"changelog {self.changelog}[{partition}]: recovery ended at offset {reached}, the last is {last}"
                )
        for partition in highwaters:
            state = self._read.setdefault(partition, {})
            self._saved_up_to[partition] = self._reached.get(partition, -1)
            if half := self._unsealed.pop(partition, None):
                log.info("%s[%d]: a worker ended while saving %d entries: undone", self.changelog, partition, len(half))
                self._pending[partition] = {key: state.get(key) for key in half}

    def forget(self) -> None:
        """Drop every partition: called on revocation, when lanes have ended and nothing is unsaved."""
        for memory in (
            self._read,
            self._unsealed,
            self._places,
            self._reached,
            self._fetches,
            self._saved_up_to,
            self._pending,
        ):
            memory.clear()

    # What Faust calls.

    def persisted_offset(self, tp: TP) -> int:
        """What recovery may skip: only what this table has read since the last revocation."""
        return self._reached.get(tp.partition, -1)

    async def on_start(self) -> None:
        """Nothing: no store, and topics are made by `opsbridge.stream.topics`."""

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Nothing: `forget` was called on revocation."""

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Nothing: `complete` was called, which Faust would not have let fail."""

    def _changelog_topic_name(self) -> str:
        return self.changelog

    def _new_changelog_topic(self, **_: object) -> TopicT:
        return self.app.topic(
            self.changelog,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            acks=False,
            allow_empty=True,
        )
