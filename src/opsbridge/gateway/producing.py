"""Records on their way from the network to Kafka: `send` returns when the broker has acknowledged all of them.

What arrives while writes are under way leaves together with the next ones, all partitions at once, so that a quiet
gateway waits for nothing and a busy one makes few and large requests. The bytes under way are bounded: beyond that, and
when the broker is silent, callers get `Busy` and tell their senders to come again. A write that was begun is repeated
under its sequence numbers until the broker has it, however long that takes; nothing is given up but what was refused.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from opsbridge.settings import Settings
from opsbridge.stream.errors import BrokerUnreachableError, DeliveryError
from opsbridge.stream.outbox import RECORD_OVERHEAD, BatchWriter, Headers
from opsbridge.stream.topics import topic_name

log = logging.getLogger(__name__)

EVENTS: Final = "events"
DEAD_LETTERS: Final = "dead-letters"

WRITE_BYTES: Final = 4_000_000
"""Of one partition, about so much leaves in one write."""

TOGETHER: Final = 0.025
"""Seconds that a write waits at most for one under way, to leave with what waits for that: a partition that is stuck
holds up the others no longer."""

SOON: Final = 1
"""Seconds after which there should be room again."""

LATER: Final = 5
"""Seconds after which a broker that is silent may be back."""

STOP_SECONDS: Final = 5.0
"""How long a broker that is silent may hold up the end."""

ANSWER_SECONDS: Final = 5.0
"""How long a broker that is asked whether it is there may take."""

BETWEEN_ATTEMPTS: Final = 1.0


class Busy(Exception):  # noqa: N818 # it is no error: the same records are welcome later
    """These records cannot be taken now; some of them may have been written. Come again after `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written."""

    entity: str
    """Of the catalogue of topics: `EVENTS` or `DEAD_LETTERS`."""
    key: bytes | None
    value: bytes
    headers: Headers
    timestamp_ms: int | None = None
    """Milliseconds since 1970; none: when it is written."""
    size: int = field(init=False)
    """The bytes that Kafka's limit for a record holds for, as `BatchWriter` counts them."""

    def __post_init__(self) -> None:
        size = len(self.key or b"") + len(self.value) + RECORD_OVERHEAD
        for name, content in self.headers:
            size += len(name) + len(content) + 10
        object.__setattr__(self, "size", size)


def topic_of(settings: Settings, entity: str) -> str:
    """Where records of an entity are written; events to the first input topic if there are any."""
    inputs = settings.topics.inputs
    return inputs[0].topic if entity == EVENTS and inputs else topic_name(settings.topics, entity)


@dataclass(eq=False, slots=True)
class _Delivery:
    """What one caller waits for."""

    done: "asyncio.Future[None]"
    parts: int = 0

    def part_done(self) -> None:
        self.parts -= 1
        if not self.parts and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Busy) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(eq=False, slots=True)
class _Lane:
    """One partition: what waits for it, and since when a write is under way (None: there is none)."""

    topic: str
    partition: int
    waiting: dict[_Delivery, list[Outgoing]] = field(default_factory=dict)
    since: float | None = None
    work: "asyncio.Task[None] | None" = None

    def take(self) -> list[tuple[_Delivery, list[Outgoing]]]:
        """The next to be written together, oldest first."""
        taken, size = [], 0
        while self.waiting and size < WRITE_BYTES:
            delivery = next(iter(self.waiting))
            records = self.waiting.pop(delivery)
            taken.append((delivery, records))
            size += _size(records)
        return taken


class Producing:
    """One producer, shared by all who write; started once, stopped last."""

    def __init__(self, settings: Settings, *, bytes_in_flight: int, patience: float) -> None:
        """At most `bytes_in_flight` wait or are being written; nobody waits longer than `patience` seconds."""
        # The writer never gives a batch up: whoever waits for it is told long before, and the batch arrives once
        self._kafka = settings.kafka.model_copy(update={"delivery_timeout": 1e9})
        self._limit = bytes_in_flight
        self._patience = patience
        self._topics = {entity: topic_of(settings, entity) for entity in (EVENTS, DEAD_LETTERS)}
        self._writer = BatchWriter(self._kafka)
        self._counts: dict[str, int] = {}
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._dispatching: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self.in_flight = 0
        """Bytes that wait or are being written."""

    async def start(self) -> None:
        """Connect. Raises `BrokerUnreachableError`, or `DeliveryError` if there is no such topic."""
        await self._writer.start()
        try:
            for topic in self._topics.values():
                self._counts[topic] = await self._writer.partitions(topic)
        except BaseException:
            await self._writer.stop()
            raise

    async def stop(self) -> None:
        """Write what waits, for some seconds if the broker is silent, and close the connection."""
        if self._renewal is not None:
            self._renewal.cancel()
        late = await self._rest(STOP_SECONDS)
        for task in late:  # nobody was told that these are written
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._writer.stop()
        except TimeoutError:
            log.warning("the broker is silent: the connection was dropped")

    def fits(self, record: Outgoing) -> bool:
        """Whether Kafka would take a record of this size; `send` must not be given others."""
        return record.size <= self._kafka.max_message_bytes

    async def answers(self) -> bool:
        """Whether a broker answers now; within some seconds, also if the connection is closed meanwhile."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return self._renewal is None and await self._writer.broker_answers()
        except (TimeoutError, DeliveryError):
            return False

    def silent(self) -> float:
        """For how many seconds the oldest write has been waiting for its acknowledgement; 0 if none is under way."""
        began = [lane.since for lane in self._lanes.values() if lane.since is not None]
        return time.monotonic() - min(began) if began else 0.0

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Write `records`; those with equal keys stay in their order. Returns when all are acknowledged.

        Raises `Busy` if there is no room, or no acknowledgement within the time; then any number of them may have been
        written, or may still be. Raises `ValueError` for a record that does not fit.
        """
        if not records:
            return
        if too_large := next((record for record in records if not self.fits(record)), None):
            raise ValueError(f"a record of {too_large.size} bytes does not fit (kafka.max_message_bytes)")
        if self._renewal is not None:
            raise Busy("the connection to Kafka is being made anew", LATER)
        if self.in_flight and self.in_flight + _size(records) > self._limit:
            raise Busy("too much is on its way to Kafka", LATER if self.silent() > self._patience else SOON)
        delivery = _Delivery(asyncio.get_running_loop().create_future())
        lanes = self._queue(delivery, records)
        try:
            async with asyncio.timeout(self._patience):
                await delivery.done
        except TimeoutError:
            raise Busy(f"Kafka did not acknowledge within {self._patience:g} s", LATER) from None
        finally:
            for lane in lanes:  # what nobody waits for any more, and is not being written yet, never will be
                self.in_flight -= _size(lane.waiting.pop(delivery, ()))

    def _queue(self, delivery: _Delivery, records: Iterable[Outgoing]) -> list[_Lane]:
        shares: dict[_Lane, list[Outgoing]] = {}
        for record in records:
            topic = self._topics[record.entity]
            lane = self._lane(topic, self._writer.partition_of(record.key, self._counts[topic]))
            shares.setdefault(lane, []).append(record)
        now = time.monotonic()
        if any(lane.since is not None and now - lane.since > self._patience for lane in shares):
            raise Busy("Kafka is silent", LATER)
        for lane, share in shares.items():
            lane.waiting[delivery] = share
            delivery.parts += 1
            self.in_flight += _size(share)
        if self._dispatching is None:
            self._dispatching = asyncio.create_task(self._dispatch())
        return list(shares)

    def _lane(self, topic: str, partition: int) -> _Lane:
        return self._lanes.setdefault((topic, partition), _Lane(topic, partition))

    async def _dispatch(self) -> None:
        """Begin the writes of all partitions together, as long as anything waits: aiokafka has one request under way
        for each broker, and what is left out of it waits for the next.
        """
        try:
            while waiting := [lane for lane in self._lanes.values() if lane.waiting]:
                for lane in waiting:
                    if lane.work is None:
                        lane.work = asyncio.create_task(self._write(lane, lane.take()))
                under_way = [lane.work for lane in self._lanes.values() if lane.work is not None]
                await asyncio.wait(under_way, timeout=TOGETHER, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._dispatching = None

    async def _write(self, lane: _Lane, taken: list[tuple[_Delivery, list[Outgoing]]]) -> None:
        records = [record for _, share in taken for record in share]
        lane.since = time.monotonic()
        try:
            await self._writer.write(
                lane.topic, lane.partition, [(r.key, r.value, r.headers, r.timestamp_ms) for r in records]
            )
        except DeliveryError as error:
            self._failed(error, [delivery for delivery, _ in taken])
        else:
            for delivery, _ in taken:
                delivery.part_done()
        finally:
            lane.since = lane.work = None
            self.in_flight -= _size(records)

    async def _rest(self, seconds: float) -> "list[asyncio.Task[None]]":
        """Wait until nothing is under way and nothing waits, so long at most; what is still at work then."""

        def working() -> "list[asyncio.Task[None]]":
            tasks = [self._dispatching, *(lane.work for lane in self._lanes.values())]
            return [task for task in tasks if task is not None]

        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while tasks := working():
                    await asyncio.wait(tasks)
        return working()

    def _failed(self, error: DeliveryError, deliveries: Iterable[_Delivery]) -> None:
        """The broker refused: that is told to all who wait, and the producer, which may be of no use now, replaced."""
        log.error("records were refused: %s", error)
        waiting = [delivery for lane in self._lanes.values() for delivery in lane.waiting]
        for delivery in (*deliveries, *waiting):
            delivery.fail(Busy("Kafka refused the records", LATER))
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        late = await self._rest(self._patience)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._writer.stop()
        for task in late:  # whoever waits for what the old producer still has is told that it is not known
            task.cancel()
        while True:
            self._writer = BatchWriter(self._kafka)
            try:
                await self.start()
                break
            except (BrokerUnreachableError, DeliveryError) as error:
                log.warning("no connection to Kafka: %s", error)
                await asyncio.sleep(BETWEEN_ATTEMPTS)
        self._renewal = None
        log.info("the connection to Kafka was made anew")


def _size(records: Iterable[Outgoing]) -> int:
    return sum(record.size for record in records)
