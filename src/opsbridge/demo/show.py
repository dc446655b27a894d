"""The demo from curtain to curtain: sets the stage, publishes the storm, follows what comes of it and judges it.

`opsbridge demo` calls `perform`; whatever ends it (success, failure, Ctrl-C), worker and broker end with it.
"""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.level import REPORT_AFTER_MS
from opsbridge.demo.audience import Audience, Figures, figures
from opsbridge.demo.judgement import complaints
from opsbridge.demo.scenario import Scenario, storm
from opsbridge.demo.screen import Screen
from opsbridge.demo.stage import Worker, running_worker
from opsbridge.devbroker import DevBroker
from opsbridge.settings import KafkaSettings, Settings
from opsbridge.stream.topics import ensure_topics, topic_name
from opsbridge.topology import load_topology

PACE_SECONDS: Final = 0.05
"""How often due records are published."""
LOOK_SECONDS: Final = 0.5
"""How often the worker's metrics are read."""
QUIET_SECONDS: Final = 3.0
"""After the last alert had its time to be reported, nothing new may come for so long."""
PATIENCE_SECONDS: Final = 30.0
"""How long after that the outcome may take to be right."""


@dataclass(frozen=True, slots=True)
class Play:
    """What the demo is asked to show."""

    topology: Path
    rules: Path
    seconds: float
    seed: int


async def perform(play: Play, screen: Screen) -> list[str]:
    """Run the demo; the expectations that were not met, in words: none if the outcome is right."""
    graph = load_topology([play.topology]).graph
    with tempfile.TemporaryDirectory(prefix="opsbridge-demo-", ignore_cleanup_errors=True) as directory:
        async with DevBroker() as broker:
            settings = _settings(broker.bootstrap_servers)
            screen.step(f"the embedded broker listens on {broker.bootstrap_servers} (in memory, for trying only)")
            await ensure_topics(settings)
            async with running_worker(broker.bootstrap_servers, play.topology, play.rules, Path(directory)) as worker:
                screen.step("a worker starts: opsbridge run")
                await worker.until_ready()
                screen.step(f"the worker is ready; its metrics are on {worker.web}/metrics")
                return await _Performance(play, graph, settings, worker, screen).run()


def _settings(bootstrap_servers: str) -> Settings:
    """The worker's settings: the defaults but for the broker, whatever this process's environment and files say."""
    return Settings.model_construct(kafka=KafkaSettings(bootstrap_servers=bootstrap_servers))


class _Performance:
    """One run of the storm against a worker that is ready."""

    def __init__(self, play: Play, graph: CIGraph, settings: Settings, worker: Worker, screen: Screen) -> None:
        self._play = play
        self._graph = graph
        self._settings = settings
        self._worker = worker
        self._screen = screen
        self._audience = Audience()
        self._figures = Figures()
        self._published = 0
        self._over = asyncio.Event()

    async def run(self) -> list[str]:
        start_ms = time.time_ns() // 1_000_000
        scenario = storm(self._graph, seed=self._play.seed, seconds=self._play.seconds, start_ms=start_ms)
        self._screen.step(f"the storm begins: {len(scenario.records)} records in {self._play.seconds:.0f} s")
        async with self._producer() as producer, self._consumer() as consumer:
            try:
                async with asyncio.TaskGroup() as group:
                    watching = [group.create_task(self._follow(consumer)), group.create_task(self._look(scenario))]
                    await self._publish(producer, scenario, start_ms)
                    self._screen.step("all is published; now what came of it")
                    wrong = await self._settled(scenario, start_ms)
                    for task in watching:
                        task.cancel()
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None  # one reason is enough, and an operator can read it
        self._screen.finish(scenario, self._audience, self._figures)
        return wrong

    async def _publish(self, producer: AIOKafkaProducer, scenario: Scenario, start_ms: int) -> None:
        """Every record when its time has come."""
        topic = topic_name(self._settings.topics, "events")
        for record in scenario.records:
            while (wait := start_ms + record.at - time.time() * 1000) > 0:
                await producer.flush()
                await asyncio.sleep(min(wait / 1000, PACE_SECONDS))
            await producer.send(topic, record.value, record.key)
            self._published += 1
        await producer.flush()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        """Take in what the worker writes."""
        incidents = topic_name(self._settings.topics, "incidents")
        async for record in consumer:
            if record.topic == incidents:
                for line in self._audience.incident(record.value):
                    self._screen.news(line)
            else:
                self._audience.members(record.value)

    async def _look(self, scenario: Scenario) -> None:
        """Read the worker's figures from time to time, and show how things are."""
        while True:
            self._worker.check()
            status, text = await self._worker.get("/metrics")
            if status == 200:
                self._figures = figures(text)
            self._screen.show(self._published, len(scenario.records), self._audience, self._figures)
            await asyncio.sleep(LOOK_SECONDS)

    async def _settled(self, scenario: Scenario, start_ms: int) -> list[str]:
        """What is wrong once everything has had its time to be reported and to come right."""
        reported = start_ms + scenario.last_opening + REPORT_AFTER_MS + QUIET_SECONDS * 1000
        await asyncio.sleep(max(0.0, reported / 1000 - time.time()))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while wrong := complaints(scenario, self._audience, self._figures):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_SECONDS)
        return wrong

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(bootstrap_servers=self._settings.kafka.bootstrap_servers, max_request_size=1 << 20)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        """Reads incidents and members from the beginning, outside any group."""
        topics = self._settings.topics
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka.bootstrap_servers, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            consumer.assign(
                [
                    TopicPartition(topic_name(topics, entity), partition)
                    for entity in ("incidents", "incident-members")
                    for partition in range(topics.partitions)
                ]
            )
            yield consumer
        finally:
            await consumer.stop()
