"""An installation as executors see it: two topics of a broker, requests that go out, and what is answered to them."""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from conftest import create_topic
from opsbridge.core.decisions import Root
from opsbridge.core.feedback import Feedback, Result, Started
from opsbridge.core.records import Response, ResponseStatus
from opsbridge.executor import load_actions
from opsbridge.executor.service import Duty, Service
from opsbridge.settings import KafkaSettings, Settings, TopicSettings
from opsbridge.stream.topics import topic_name

PATIENCE = 40

decode = msgspec.json.Decoder(Feedback).decode


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def response(
    number: int = 1,
    *,
    version: int = 1,
    status: ResponseStatus = "requested",
    action: str = "note",
    key: str | None = None,
    deadline: str | None = None,
    **parameters: str,
) -> Response:
    """The request of a response, for the first attempt unless a key says otherwise."""
    name = f"RSP-{number:016x}"
    return Response(
        id=name,
        version=version,
        situation=f"S-{number:016x}",
        incident=f"INC-{number:016x}",
        rule="r",
        root=Root("web-01", "Down", silent=False, confidence=0.9),
        title="t",
        opened=in_seconds(0),
        updated=in_seconds(0),
        status=status,
        ci="web-01",
        action=action,
        parameters=parameters,
        attempt=1,
        idempotency_key=f"{name}:action:1" if key is None else key,
        deadline=in_seconds(60) if deadline is None else deadline,
    )


@dataclass(slots=True)
class Site:
    """A broker with topics of its own, and a directory in which actions leave notes."""

    settings: Settings
    directory: Path

    @property
    def actions(self) -> Path:
        return self.directory / "actions.yaml"

    @property
    def notes(self) -> list[str]:
        """What the actions have written."""
        path = self.directory / "notes"
        return path.read_text().splitlines() if path.exists() else []

    @asynccontextmanager
    async def executor(self, **more: object) -> AsyncIterator[asyncio.Event]:
        """An executor in this process; it stops in order at the end, or when the event is set."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.service(**more).run(stop))
        try:
            yield stop
            stop.set()
            async with asyncio.timeout(PATIENCE):
                await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def service(self, **more: object) -> Service:
        """An executor that is not running yet."""
        said = {"name": "one", "group": f"{self.settings.topics.prefix}g", "concurrent": 4}
        duty = Duty(**{**said, "leave_unknown": False, "grace": 20.0, **more})  # type: ignore[arg-type] # as the tests say
        return Service(self.settings, load_actions([self.actions]).by_name, duty)

    async def publish(self, *asked: Response | bytes) -> None:
        """Write to `responses`, each under its id."""
        topic = topic_name(self.settings.topics, "responses")
        async with AIOKafkaProducer(bootstrap_servers=self.settings.kafka.bootstrap_servers) as producer:
            for one in asked:
                if isinstance(one, bytes):
                    await producer.send_and_wait(topic, one, b"broken")
                else:
                    await producer.send_and_wait(topic, msgspec.json.encode(one), one.id.encode())

    async def say(self, said: Feedback) -> None:
        """Write to `feedback` as others do."""
        topic = topic_name(self.settings.topics, "feedback")
        async with AIOKafkaProducer(bootstrap_servers=self.settings.kafka.bootstrap_servers) as producer:
            key = getattr(said, "situation", "")
            await producer.send_and_wait(topic, msgspec.json.encode(said), key.encode())

    async def said(self) -> list[Started | Result]:
        """All that is on `feedback` now, each situation's in order; read anew."""
        topic = topic_name(self.settings.topics, "feedback")
        found: list[Started | Result] = []
        async with AIOKafkaConsumer(bootstrap_servers=self.settings.kafka.bootstrap_servers) as consumer:
            places = [TopicPartition(topic, number) for number in range(self.settings.topics.partitions)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            for place in places:
                while await consumer.position(place) < ends[place]:
                    for record in (await consumer.getmany(place, timeout_ms=200)).get(place, []):
                        one = decode(record.value)
                        assert isinstance(one, Started | Result)
                        assert record.key == one.situation.encode()
                        found.append(one)
        return found

    async def until(self, enough: Callable[[list[Started | Result]], bool]) -> list[Started | Result]:
        """What is on `feedback` when it is enough."""
        async with asyncio.timeout(PATIENCE):
            while not enough(said := await self.said()):  # noqa: ASYNC110 # the broker is asked
                await asyncio.sleep(0.05)
        return said

    async def results(self, count: int = 1) -> list[Result]:
        """The results, once there are so many."""
        said = await self.until(lambda said: sum(isinstance(each, Result) for each in said) >= count)
        return [each for each in said if isinstance(each, Result)]

    async def until_noted(self, count: int = 1) -> list[str]:
        """The actions' notes, once there are so many."""
        async with asyncio.timeout(PATIENCE):
            while len(self.notes) < count:  # noqa: ASYNC110 # another process writes them
                await asyncio.sleep(0.02)
        return self.notes


ACTIONS = """\
version: 1
actions:
  - name: note
    command: [{python}, -c, "import sys; open('notes', 'a').write(sys.argv[1] + '\\\\n')", "note {{text}}"]
    parameters: {{text: {{pattern: "[a-z0-9 ]*", default: ""}}}}
    working_directory: {directory}
  - name: sleep
    command: [{python}, -c, "import time; open('notes', 'a').write('slept\\\\n'); time.sleep(600)"]
    working_directory: {directory}
    timeout: 2s
  - name: sleep-long
    command: [{python}, -c, "import os, time; open('notes', 'a').write(f'{{{{os.getpid()}}}}\\\\n'); time.sleep(600)"]
    working_directory: {directory}
  - name: brief
    command: [{python}, -c, "import time; open('notes', 'a').write('brief\\\\n'); time.sleep(1)"]
    working_directory: {directory}
  - name: fail
    command: [{python}, -c, "import sys; print('no'); sys.exit(3)"]
"""


async def site(bootstrap_servers: str, prefix: str, directory: Path, python: str) -> Site:
    """Topics of their own on that broker, and the action file above."""
    settings = Settings.model_construct(
        kafka=KafkaSettings(bootstrap_servers=bootstrap_servers, session_timeout=6.0, heartbeat_interval=0.5),
        topics=TopicSettings(prefix=prefix, partitions=2),
    )
    for entity in ("responses", "feedback"):
        await create_topic(bootstrap_servers, topic_name(settings.topics, entity), 2)
    (directory / "actions.yaml").write_text(ACTIONS.format(python=python, directory=directory))
    return Site(settings, directory)
