"""Drives `probe_worker.py` as processes against a broker, and knows what its state must be in the end."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from probe_worker import Count, settings_for

from opsbridge.stream.outbox import BatchWriter, OutRecord
from opsbridge.stream.tables import APPLIED, TELLING

PARTITIONS = 4
KEYS = 500
PATIENCE = 40.0
FAST = {"session_timeout": 1.0, "heartbeat_interval": 0.2, "request_timeout": 10.0}


class Worker:
    """A probe worker process; its standard output is read line by line."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lanes: asyncio.Event = asyncio.Event()
        self.report: dict[str, float] = {}
        self.errors = ""
        self._reading = asyncio.gather(self._read_output(), self._read_errors())

    @classmethod
    async def start(cls, servers: str, prefix: str, **kafka: object) -> Self:
        options = orjson.dumps(FAST | kafka).decode()
        script = str(Path(__file__).with_name("probe_worker.py"))
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, script, servers, prefix, options, stdout=PIPE, stderr=PIPE
            )
        )

    async def _read_output(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            if line.startswith(b"lane"):
                self.lanes.set()
            elif line.startswith(b"{"):
                self.report = orjson.loads(line)

    async def _read_errors(self) -> None:
        assert self.process.stderr
        self.errors = (await self.process.stderr.read()).decode()

    async def ready(self) -> None:
        """Some lane is open."""
        async with asyncio.timeout(PATIENCE):
            opened = asyncio.ensure_future(self.lanes.wait())
            gone = asyncio.ensure_future(self.process.wait())
            await asyncio.wait({opened, gone}, return_when=asyncio.FIRST_COMPLETED)
            opened.cancel()
            gone.cancel()
        assert self.lanes.is_set(), self.errors

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self.process.wait()

    async def kill(self) -> None:
        self.process.kill()
        await self.ended()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.ended()


class Probe:
    """One input topic, one changelog, and the truth about them."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.servers, self.prefix = servers, prefix
        self.expected: Counter[bytes] = Counter()
        self.workers: list[Worker] = []
        self.folded: dict[bytes, Count] = {}
        self._sequence = 0
        self._kafka = settings_for(servers, prefix).kafka
        self._consumer: Any = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
        self._writer = BatchWriter(self._kafka)

    @property
    def changelog(self) -> str:
        return f"{self.prefix}-counts"

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        await self._writer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(worker.close() for worker in self.workers))
        await self._consumer.stop()
        await self._writer.stop()

    async def make_topics(self, *, changelog_partitions: int = PARTITIONS, cleanup: str = "compact") -> None:
        async with admin(self.servers) as client:
            topic: Any = NewTopic
            new = [topic(f"{self.prefix}-in", PARTITIONS, 1), topic(f"{self.prefix}-out", PARTITIONS, 1)]
            if changelog_partitions:
                new.append(topic(self.changelog, changelog_partitions, 1, topic_configs={"cleanup.policy": cleanup}))
            answer = await client.create_topics(new)
            assert not any(error[1] for error in answer.topic_errors), answer
        if changelog_partitions:
            await self._writer.partitions(self.changelog)
            self._consumer.assign([TopicPartition(self.changelog, p) for p in range(changelog_partitions)])
            await self._consumer.seek_to_beginning()

    async def feed(self, events: int) -> None:
        """Write `events` more events over all keys, and remember them."""
        by_partition: dict[int, list[OutRecord]] = {}
        for _ in range(events):
            key = b"key%d" % (self._sequence * 7919 % KEYS)
            self._sequence += 1
            self.expected[key] += 1
            value = b"%b %d %b" % (key, self._sequence, b"x" * 100)
            by_partition.setdefault(self._writer.partition_of(key, PARTITIONS), []).append((key, value, None, None))
        await asyncio.gather(*(self.write("in", p, records) for p, records in by_partition.items()))

    async def write(self, topic: str, partition: int, records: list[OutRecord]) -> None:
        await self._writer.write(f"{self.prefix}-{topic}", partition, records)

    async def worker(self, **kafka: object) -> Worker:
        worker = await Worker.start(self.servers, self.prefix, **kafka)
        self.workers.append(worker)
        return worker

    def counted(self) -> int:
        return sum(count.number for count in self.folded.values())

    async def progress(self, until: Callable[[], bool]) -> None:
        """Follow the changelog until a condition on `folded` holds."""
        async with asyncio.timeout(PATIENCE):
            while not until():
                for records in (await self._consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        if record.value is None:  # a worker was killed while it saved
                            self.folded.pop(record.key, None)
                        elif record.key != APPLIED and not record.key.startswith(TELLING):
                            self.folded[record.key] = Count.decode(record.value)

    async def finished(self) -> None:
        """Everything fed is counted, each key exactly."""
        total = self.expected.total()
        await self.progress(lambda: self.counted() >= total)
        assert {key: count.number for key, count in self.folded.items()} == dict(self.expected)


@contextlib.asynccontextmanager
async def admin(servers: str) -> AsyncIterator[Any]:  # aiokafka's admin client has no types
    client: Any = AIOKafkaAdminClient(bootstrap_servers=servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()
