"""The demo from curtain to curtain: sets the stage, publishes the storm, follows what comes of it and judges it.

`opsbridge demo` calls `perform`; whatever ends it (success, failure, Ctrl-C), worker and broker end with it.
"""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer

from opsbridge.core.graph import CIGraph
from opsbridge.core.second_level.level import REPORT_AFTER_MS
from opsbridge.demo.audience import Audience, Figures, figures
from opsbridge.demo.judgement import complaints
from opsbridge.demo.recording import record_topics
from opsbridge.demo.repairs import Repairs
from opsbridge.demo.scenario import Scenario, storm
from opsbridge.demo.screen import Screen
from opsbridge.demo.stage import Part, Worker, running_executor, running_worker
from opsbridge.devbroker import DevBroker
from opsbridge.settings import KafkaSettings, Settings
from opsbridge.stream.reading import TopicReader
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
    known_errors: Path
    seconds: float
    seed: int
    record: Path | None = None
    """Where to write what the topics hold at the end."""


async def perform(play: Play, screen: Screen) -> list[str]:
    """Run the demo; the expectations that were not met, in words: none if the outcome is right."""
    graph = load_topology([play.topology]).graph
    with tempfile.TemporaryDirectory(prefix="opsbridge-demo-", ignore_cleanup_errors=True) as directory:
        repairs = Repairs(Path(directory))
        repairs.prepare(play.rules)
        async with DevBroker() as broker:
            servers = broker.bootstrap_servers
            settings = _settings(servers)
            screen.step(f"the embedded broker listens on {servers} (in memory, for trying only)")
            await ensure_topics(settings)
            screen.step("a worker and an executor start: opsbridge run, opsbridge executor")
            async with (
                running_worker(servers, play.topology, repairs.rules, play.known_errors, repairs.directory) as worker,
                running_executor(servers, repairs.actions, repairs.directory) as executor,
            ):
                await worker.until_ready()
                screen.step(f"the worker is ready; its metrics are on {worker.web}/metrics")
                wrong = await _Performance(play, graph, settings, worker, executor, repairs, screen).run()
            if play.record is not None:
                count = await record_topics(settings, play.record)
                screen.step(f"{count} records of all topics are in {play.record}")
            return wrong


def _settings(bootstrap_servers: str) -> Settings:
    """The worker's settings: the defaults but for the broker, whatever this process's environment and files say."""
    return Settings.model_construct(kafka=KafkaSettings(bootstrap_servers=bootstrap_servers))


class _Performance:
    """One run of the storm against a worker that is ready."""

    def __init__(
        self,
        play: Play,
        graph: CIGraph,
        settings: Settings,
        worker: Worker,
        executor: Part,
        repairs: Repairs,
        screen: Screen,
    ) -> None:
        self._play = play
        self._graph = graph
        self._settings = settings
        self._worker = worker
        self._executor = executor
        self._repairs = repairs
        self._screen = screen
        self._audience = Audience()
        self._figures = Figures()
        self._published = 0

    async def run(self) -> list[str]:
        start_ms = time.time_ns() // 1_000_000
        scenario = storm(self._graph, seed=self._play.seed, seconds=self._play.seconds, start_ms=start_ms)
        self._screen.step(f"the storm begins: {scenario.fates.total()} records in {self._play.seconds:.0f} s")
        async with self._producer() as producer:
            try:
                async with asyncio.TaskGroup() as group:
                    watching = [group.create_task(self._follow()), group.create_task(self._look(scenario))]
                    mending = group.create_task(self._mend(producer, scenario, start_ms))
                    await self._publish(producer, scenario, start_ms)
                    self._screen.step("all is published; now what came of it")
                    wrong = await self._settled(scenario, start_ms)
                    for task in (*watching, mending):
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

    async def _mend(self, producer: AIOKafkaProducer, scenario: Scenario, start_ms: int) -> None:
        """What hangs is over when the right thing was done: a restart where that helps, else when people are told."""
        topic = topic_name(self._settings.topics, "events")
        hanging = list(scenario.hangs)
        while hanging:
            restarts = self._repairs.restarts()
            for hang in list(hanging):
                if restarts[hang.ci] if hang.helped else self._audience.told_of_vain(hang.ci):
                    who = "the restart" if hang.helped else "a person"
                    self._screen.news(f"{hang.ci} works again: mended by {who}")
                    mended = hang.mended(int(time.time() * 1000) - start_ms)
                    await producer.send_and_wait(topic, mended.value, mended.key)
                    self._published += 1
                    hanging.remove(hang)
            await asyncio.sleep(PACE_SECONDS)

    async def _follow(self) -> None:
        """Take in what the worker and the executor write."""
        topics, audience = self._settings.topics, self._audience
        taken_in: dict[str, Callable[[bytes], list[str] | None]] = {
            topic_name(topics, "incidents"): audience.incident,
            topic_name(topics, "incident-members"): audience.members,
            topic_name(topics, "responses"): audience.response,
            topic_name(topics, "feedback"): audience.feedback,
        }
        async with TopicReader(self._settings.kafka, taken_in) as reader:
            async for records in reader.onward():
                for record in records:
                    for line in taken_in[record.topic](record.value or b"") or ():
                        self._screen.news(line)

    async def _look(self, scenario: Scenario) -> None:
        """Read the worker's figures from time to time, and show how things are."""
        while True:
            self._worker.check()
            self._executor.check()
            status, text = await self._worker.get("/metrics")
            if status == 200:
                self._figures = figures(text)
            self._screen.show(self._published, scenario.fates.total(), self._audience, self._figures)
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
