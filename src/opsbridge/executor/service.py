"""The executor at work: reads `responses`, does what they ask for, answers on `feedback`; once for each key at most.

Before it acts it writes `started` and reads it back: whoever is first in the topic acts, so that neither a restart, nor
another executor, nor one that slept through a rebalance does a thing twice. A record counts as read when its answer is
acknowledged. What was begun and not answered is answered `unknown`, and never begun again.
"""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import signal
import time
import uuid
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from opsbridge.core.feedback import Result, Started
from opsbridge.executor.actions import Action, Command
from opsbridge.executor.commands import run_command
from opsbridge.executor.history import HistoryReader, Past, partition_counts
from opsbridge.executor.orders import Ended, Order, Progress, decode_response, order_of
from opsbridge.executor.webhooks import call_webhook
from opsbridge.settings import Settings
from opsbridge.stream.connection import client_options
from opsbridge.stream.errors import BrokerUnreachableError
from opsbridge.stream.outbox import BatchWriter
from opsbridge.stream.topics import topic_name

log = structlog.get_logger(__name__)

POLL_MS: Final = 250
SLACK_MS: Final = 5_000
"""After another executor should have answered, so long it may still take to kill, and to write."""

DIED: Final = "the executor ended while it ran"
STOPPED: Final = "the executor was stopped while it ran"

Record = ConsumerRecord[bytes | None, bytes | None]
_Read = tuple[Progress, Record]


@dataclass(frozen=True, slots=True)
class Duty:
    """How an executor works."""

    name: str
    """Under which it answers: its own, and the same after a restart."""
    group: str
    """Executors of one group share the work."""
    concurrent: int
    """Actions at once."""
    leave_unknown: bool
    """Actions that are not in its files are another group's; else they are refused."""
    grace: float
    """Seconds that what runs may still take after SIGTERM."""


async def serve(settings: Settings, actions: Mapping[str, Action], duty: Duty) -> None:
    """Work until SIGTERM or SIGINT. Raises an `OpsBridgeError`: no broker (3), no topic (2), no acknowledgement (1)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await Service(settings, actions, duty).run(stop)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class Service:
    """One executor. Its tasks, one to an order, share the writer and the reader of feedback."""

    def __init__(self, settings: Settings, actions: Mapping[str, Action], duty: Duty) -> None:
        self._kafka = settings.kafka
        self._actions = actions
        self._duty = duty
        self._responses = topic_name(settings.topics, "responses")
        self._feedback = topic_name(settings.topics, "feedback")
        self._instance = uuid.uuid4().hex[:12]
        self._writer = BatchWriter(settings.kafka)
        self._reader = HistoryReader(settings.kafka, self._feedback)
        self._slots = asyncio.Semaphore(duty.concurrent)
        self._stopping = asyncio.Event()
        self._progress: dict[TopicPartition, Progress] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, Order] = {}  # by response: not begun yet
        self._taken: dict[str, Order] = {}  # by key: a task of ours deals with it
        self._running: set[asyncio.Task[Ended]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        await partition_counts(self._kafka, [self._responses, self._feedback])
        await self._writer.start()
        try:
            await self._reader.start()
            history = await self._reader.catch_up()
            log.info("feedback is read", topic=self._feedback, keys=len(history))
            consumer = self._consumer()
            try:
                await consumer.start()
                consumer.subscribe([self._responses], listener=_Listener(self, consumer))
                log.info(
                    "executor is ready", executor=self._duty.name, group=self._duty.group, actions=len(self._actions)
                )
                await self._work(consumer, stop)
                await self._finish(consumer)
            except KafkaError as error:
                raise BrokerUnreachableError(f"{self._responses} cannot be read: {error}") from error
            finally:
                await self._abandon()
                await consumer.stop()
        finally:
            await self._reader.stop()
            await self._writer.stop()
        log.info("executor has ended", executor=self._duty.name)

    def _consumer(self) -> AIOKafkaConsumer:
        kafka = self._kafka
        return AIOKafkaConsumer(
            **client_options(kafka),
            group_id=self._duty.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(kafka.session_timeout * 1000),
            heartbeat_interval_ms=int(kafka.heartbeat_interval * 1000),
            max_poll_records=kafka.max_poll_records,
        )

    async def _work(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if records := await self._read(consumer):
                await self._take(records)
            self._collect()
            await self.commit(consumer)

    async def _read(self, consumer: AIOKafkaConsumer) -> list[_Read]:
        """What has come, each partition to the end that is known now: what a later version takes back is not begun."""
        found: list[_Read] = []
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        while batches:
            behind = False
            for place, records in batches.items():
                progress = self._progress.setdefault(place, Progress())
                for record in records:
                    progress.begun(record.offset)
                    found.append((progress, record))
                progress.read(records[-1].offset + 1)
                behind |= records[-1].offset + 1 < (consumer.highwater(place) or 0)
            batches = await consumer.getmany(timeout_ms=POLL_MS if behind else 0)
        return found

    async def _take(self, read: Iterable[_Read]) -> None:
        """Begin with what these records ask for; of each response only its newest version does."""
        newest: dict[str, Order] = {}
        for progress, record in read:
            said = _said(record)
            if said is None:
                progress.done(record.offset)
                continue
            response, order = said
            if before := newest.pop(response, None):
                _done(before)
            waiting = self._waiting.get(response)
            if waiting is not None and (order is None or order.key != waiting.key):
                waiting.withdrawn = True
            if order is None:
                progress.done(record.offset)
            else:
                order.records.append((progress, record.offset))
                newest[response] = order
        if not newest:
            return
        history = await self._reader.catch_up()
        for order in newest.values():
            past = history.of(order.key)
            if known := self._taken.get(order.key):
                known.records += order.records
                known.withdrawn = False
            elif past.ended:
                _done(order)
            else:
                self._deal(order, self._answer_for(order, past) if past.first else self._act(order))

    def _deal(self, order: Order, work: Coroutine[None, None, None]) -> None:
        async def dealt() -> None:
            try:
                await work
            finally:
                del self._taken[order.key]
                self._no_longer_waiting(order)
            if not (self._stopping.is_set() and order.withdrawn):
                _done(order)

        self._taken[order.key] = order
        self._waiting[order.response] = order
        self._tasks.add(asyncio.create_task(dealt(), name=order.key))

    def _no_longer_waiting(self, order: Order) -> None:
        if self._waiting.get(order.response) is order:
            del self._waiting[order.response]

    # one order

    async def _act(self, order: Order) -> None:
        action = self._actions.get(order.action)
        if action is None and self._duty.leave_unknown:
            log.info("left to others", key=order.key, action=order.action)
            return
        async with self._slots:
            if order.withdrawn:
                log.info("withdrawn before it began", key=order.key, action=order.action)
                return
            values = f"there is no action {order.action} here" if action is None else action.values(order.parameters)
            if action is None or isinstance(values, str):
                await self._answer(order, Ended("refused", str(values)))
                return
            if _late(order):
                await self._answer(order, Ended("refused", _late(order)))
                return
            self._no_longer_waiting(order)
            past = await self._begin(order)
            if past is None:
                await self._answer(order, await self._run(action, values, order))
                return
        await self._answer_for(order, past)

    async def _begin(self, order: Order) -> Past | None:
        """Say that it begins; what is known of it instead if somebody else was first."""
        said = Started(
            id=f"{order.key}:started:{self._instance}",
            time=_now(),
            by=self._duty.name,
            response=order.response,
            situation=order.situation,
            idempotency_key=order.key,
        )
        await self._write(order, said)
        past = (await self._reader.catch_up()).of(order.key)
        if past.first == said.id and not past.ended:
            log.info("started", key=order.key, action=order.action, ci=order.ci)
            return None
        return past

    async def _run(self, action: Action, values: Mapping[str, str], order: Order) -> Ended:
        if late := _late(order):  # saying that it begins has taken so long
            return Ended("refused", late)
        does, within = action.does, min(action.timeout_ms, order.deadline_ms - _now_ms()) / 1000
        work = (
            run_command(action, does, values, order, within)
            if isinstance(does, Command)
            else call_webhook(action, does, values, order, within)
        )
        running = asyncio.create_task(work)
        self._running.add(running)
        try:
            return await running
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            return Ended("unknown", STOPPED)
        finally:
            self._running.discard(running)

    async def _answer_for(self, order: Order, past: Past) -> None:
        """Somebody began it: unless they answer in their time, say that nobody knows what came of it."""
        action = self._actions.get(order.action)
        if action is None and self._duty.leave_unknown:
            return
        if past.by != self._duty.name:  # else that was us, before we died
            ends_ms = order.deadline_ms if action is None else past.began_ms + action.timeout_ms
            wait = min(ends_ms, order.deadline_ms) + SLACK_MS - _now_ms()
            if wait > 0:
                log.info("begun by another executor", key=order.key, by=past.by, wait=wait / 1000)
                try:
                    async with asyncio.timeout(wait / 1000):
                        await self._stopping.wait()
                    order.withdrawn = True  # whoever comes after us takes it up again
                    return
                except TimeoutError:
                    pass
        if not (await self._reader.catch_up()).of(order.key).ended:
            await self._answer(order, Ended("unknown", DIED))

    async def _answer(self, order: Order, ended: Ended) -> None:
        said = Result(
            id=f"{order.key}:result:{self._instance}",
            time=_now(),
            by=self._duty.name,
            response=order.response,
            situation=order.situation,
            idempotency_key=order.key,
            outcome=ended.outcome,
            output=ended.output,
            code=ended.code,
        )
        await self._write(order, said)
        log.info(ended.outcome, key=order.key, action=order.action, ci=order.ci, code=ended.code)

    async def _write(self, order: Order, said: Started | Result) -> None:
        key = order.situation.encode()
        partition = self._writer.partition_of(key, await self._writer.partitions(self._feedback))
        await self._writer.write(self._feedback, partition, [(key, msgspec.json.encode(said), None, None)])

    # the end of tasks, partitions and the executor

    def _collect(self) -> None:
        """Let go of tasks that are done; raises what one of them failed with."""
        done = {task for task in self._tasks if task.done()}
        self._tasks -= done
        for task in done:
            task.result()

    async def commit(self, consumer: AIOKafkaConsumer) -> None:
        """Commit what is dealt with; what was another's meanwhile is read again there, and seen to be answered."""
        offsets = {place: offset for place, each in self._progress.items() if (offset := each.to_commit()) is not None}
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("not committed", error=str(error))
            return
        for place, offset in offsets.items():
            self._progress[place].committed(offset)

    def revoked(self, places: Iterable[TopicPartition]) -> None:
        """These partitions are another's now: what was not begun is left to it."""
        gone = [each for place in places if (each := self._progress.pop(place, None)) is not None]
        for order in self._waiting.values():
            if any(progress in gone for progress, _ in order.records):
                order.withdrawn = True

    async def _finish(self, consumer: AIOKafkaConsumer) -> None:
        """Begin nothing more; let what runs end within the grace time, then answer for it."""
        self._stopping.set()
        for order in self._waiting.values():
            order.withdrawn = True
        if self._tasks:
            log.info("waiting for what runs", count=len(self._running), grace=self._duty.grace)
            _, late = await asyncio.wait(self._tasks, timeout=self._duty.grace)
            while late:
                for running in self._running:
                    running.cancel()
                _, late = await asyncio.wait(late, timeout=0.2)
        self._collect()
        await self.commit(consumer)

    async def _abandon(self) -> None:
        """Something failed: whatever still runs ends now, and is answered by whoever comes after us."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Listener(ConsumerRebalanceListener):
    """Hands a rebalance on to the service."""

    def __init__(self, service: Service, consumer: AIOKafkaConsumer) -> None:
        self._service = service
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        if revoked:
            await self._service.commit(self._consumer)
        self._service.revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        log.info("partitions", assigned=sorted(each.partition for each in assigned))


def _said(record: Record) -> tuple[str, Order | None] | None:
    """The id of the response, and what it asks for; None if the record is none."""
    if record.value is None:
        return None
    try:
        response = decode_response(record.value)
        return response.id, order_of(response, record.timestamp)
    except (msgspec.DecodeError, ValueError) as error:
        place = f"{record.topic}[{record.partition}]@{record.offset}"
        log.warning("a record is no response", place=place, error=str(error))
        return None


def _done(order: Order) -> None:
    for progress, offset in order.records:
        progress.done(offset)


def _late(order: Order) -> str:
    """Why it is too late for it; empty if it is not."""
    late_ms = _now_ms() - order.deadline_ms
    return f"too late: its deadline was {late_ms / 1000:.1f} s ago" if late_ms >= 0 else ""


def _now() -> datetime:
    return datetime.now(UTC)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
