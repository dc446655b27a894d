"""The executor at work: reads `responses`, does what they ask for, answers on `feedback`; once for each key at most.

Before it acts it writes `started` and reads it back: whoever is first in the topic acts, so that neither a restart, nor
another executor, nor one that slept through a rebalance does a thing twice. A record counts as read when its answer is
acknowledged. What was begun and not answered is answered `unknown`, and never begun again.
"""

import asyncio
import signal
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from opsbridge.executor.actions import Action, Command
from opsbridge.executor.answers import Answers
from opsbridge.executor.commands import run_command
from opsbridge.executor.history import KEEP_MS, HistoryReader, Past
from opsbridge.executor.orders import Ended, Order
from opsbridge.executor.requests import Requests
from opsbridge.executor.webhooks import call_webhook
from opsbridge.settings import Settings
from opsbridge.stream.outbox import BatchWriter
from opsbridge.stream.topics import topic_name

log = structlog.get_logger(__name__)

SLACK_MS: Final = 5_000
"""After another executor should have answered, so long it may still take to kill, and to write."""

DIED: Final = "the executor ended while it ran"
STOPPED: Final = "the executor was stopped while it ran"


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
        self._actions = actions
        self._duty = duty
        self._topics = topic_name(settings.topics, "responses"), topic_name(settings.topics, "feedback")
        responses, feedback = self._topics
        self._requests = Requests(settings.kafka, responses, duty.group)
        self._reader = HistoryReader(settings.kafka, feedback)
        self._writer = BatchWriter(settings.kafka)
        self._answers = Answers(self._writer, feedback, duty.name)
        self._since_ms = _now_ms()
        self._slots = asyncio.Semaphore(duty.concurrent)
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, Order] = {}  # by response: not begun yet
        self._taken: dict[str, Order] = {}  # by key: a task of ours deals with it
        self._running: set[asyncio.Task[Ended]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        async with self._requests as requests:
            await requests.require(self._topics)
            await self._writer.start()
            try:
                async with self._reader as reader:
                    log.info("feedback is read", keys=len(await reader.catch_up()))
                    requests.join()
                    duty = self._duty
                    log.info("executor is ready", executor=duty.name, group=duty.group, actions=len(self._actions))
                    try:
                        await self._work(stop)
                        await self._finish()
                    finally:
                        await self._abandon()
            finally:
                await self._writer.stop()
        log.info("executor has ended", executor=self._duty.name)

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if asked := await self._requests.read():
                await self._take(asked)
            self._collect()
            await self._requests.commit()

    async def _take(self, asked: Mapping[str, Order | None]) -> None:
        """Begin with what the newest versions of these responses ask for, and with nothing that they do not."""
        for response, order in asked.items():
            waiting = self._waiting.get(response)
            if waiting is not None and (order is None or order.key != waiting.key):
                waiting.withdrawn = True
        orders = [order for order in asked.values() if order is not None]
        if not orders:
            return
        history = await self._reader.catch_up()
        for order in orders:
            past = history.of(order.key)
            if known := self._taken.get(order.key):
                known.records += order.records
                known.withdrawn = False
            elif past.ended:
                order.dealt_with()
            elif order.action not in self._actions and self._duty.leave_unknown:
                log.info("left to others", key=order.key, action=order.action)
                order.dealt_with()
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
                order.dealt_with()

        self._taken[order.key] = order
        self._waiting[order.response] = order
        self._tasks.add(asyncio.create_task(dealt(), name=order.key))

    def _no_longer_waiting(self, order: Order) -> None:
        if self._waiting.get(order.response) is order:
            del self._waiting[order.response]

    # one order

    async def _act(self, order: Order) -> None:
        async with self._slots:
            if not order.ours:
                log.info("withdrawn before it began", key=order.key, action=order.action)
                return
            errand = self._errand(order)
            if isinstance(errand, str):
                await self._answers.ended(order, Ended("refused", errand))
                return
            self._no_longer_waiting(order)
            past = await self._begin(order)
            if past is None:
                await self._answers.ended(order, await self._run(order, *errand))
                return
        await self._answer_for(order, past)

    def _errand(self, order: Order) -> tuple[Action, Mapping[str, str]] | str:
        """What is to be done, and with which values; or why it is refused."""
        action = self._actions.get(order.action)
        if action is None:
            return f"there is no action {order.action} here"
        values = action.values(order.parameters)
        return values if isinstance(values, str) else _untimely(order) or (action, values)

    async def _begin(self, order: Order) -> Past | None:
        """Say that it begins; what is known of it instead if somebody else was first."""
        said = await self._answers.begins(order)
        past = (await self._reader.catch_up()).of(order.key)
        if past.first == said and not past.ended:
            log.info("started", key=order.key, action=order.action, ci=order.ci)
            return None
        return past

    async def _run(self, order: Order, action: Action, values: Mapping[str, str]) -> Ended:
        if late := _untimely(order):  # saying that it begins has taken so long
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
        if past.by != self._duty.name or past.began_ms >= self._since_ms:  # else that was us, before we died
            action = self._actions.get(order.action)
            ends_ms = order.deadline_ms if action is None else past.began_ms + action.timeout_ms
            wait = (min(ends_ms, order.deadline_ms) + SLACK_MS - _now_ms()) / 1000
            log.info("begun by another executor", key=order.key, by=past.by, wait=max(0, wait))
            try:
                async with asyncio.timeout(wait):
                    await self._stopping.wait()
                order.withdrawn = True  # whoever comes after us takes it up again
                return
            except TimeoutError:
                pass
        if not (await self._reader.catch_up()).of(order.key).ended:
            await self._answers.ended(order, Ended("unknown", DIED))

    # the end of tasks and of the executor

    def _collect(self) -> None:
        """Let go of tasks that are done; raises what one of them failed with."""
        done = {task for task in self._tasks if task.done()}
        self._tasks -= done
        for task in done:
            task.result()

    async def _finish(self) -> None:
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
        await self._requests.commit()

    async def _abandon(self) -> None:
        """Something failed: whatever still runs ends now, and is answered by whoever comes after us."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _untimely(order: Order) -> str:
    """Why it may not be begun now; empty if it may."""
    left_ms = order.deadline_ms - _now_ms()
    if left_ms <= 0:
        return f"too late: its deadline was {-left_ms / 1000:.1f} s ago"
    if left_ms > KEEP_MS:  # by then nobody would remember that it was begun
        return (
            f"its deadline is {left_ms / 86_400_000:.1f} days away: more than {KEEP_MS // 86_400_000} is not accepted"
        )
    return ""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
