"""One installation for a test: topics with a prefix of their own, workers as processes of the real command, and what
they write, read back and folded. Used through the `installation` fixture.
"""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import contextlib
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from final import Expected, Fold, difference, expected, expected_of_items
from prometheus_client.parser import text_string_to_metric_families
from storm import Sent

from opsbridge.core.decisions import Suppressed
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.settings import Settings
from opsbridge.sources.source import Item
from opsbridge.stream.estate import load_estate
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.stages import STEPS
from opsbridge.stream.topics import ENTITIES, ensure_topics, topic_name

RULES = Path(__file__).parents[2] / "correlation_rules"
PATIENCE = 60.0
STAGE_INPUTS = ("events", *(entity for _, entities, _ in STEPS for entity in entities))
FAST = {"session_timeout": 3.0, "heartbeat_interval": 0.5, "request_timeout": 10.0, "delivery_timeout": 30.0}

Record = ConsumerRecord[bytes | None, bytes | None]
FOLLOWED: dict[str, Callable[[bytes], Incident | IncidentMembers | Suppressed]] = {
    "incidents": msgspec.json.Decoder(Incident).decode,
    "incident-members": msgspec.json.Decoder(IncidentMembers).decode,
    "suppressed": msgspec.json.Decoder(Suppressed).decode,
}


class Worker:
    """An `opsbridge run` process; its log is read line by line."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.log: list[str] = []
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr
        async for line in self.process.stderr:
            self.log.append(line.decode(errors="replace").rstrip())
            if not self._address.done() and (found := re.search(r"readiness on (http://[^\s\"]+)", self.log[-1])):
                self._address.set_result(found[1])

    @property
    def errors(self) -> str:
        """The end of what it said."""
        return "\n".join(self.log[-40:])

    @property
    def message(self) -> str:
        """What it said that is no log line: the error it ended with."""
        return "\n".join(line for line in self.log if not line.startswith("{"))

    @property
    def runs(self) -> bool:
        return self.process.returncode is None

    async def metrics(self) -> dict[str, float]:
        """What /metrics shows: the sample's name with its labels -> value."""
        async with asyncio.timeout(PATIENCE):
            text = await self._get("/metrics")
        return {
            sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def address(self) -> str:
        """Where its metrics and readiness are: `http://host:port`."""
        await self._get("/healthz")
        return self._address.result()

    async def joined(self) -> None:
        """Wait until it has its partitions and their state."""
        async with asyncio.timeout(PATIENCE):
            while not {"no broker has answered yet"}.issuperset(await self._unready()):
                pass

    async def _unready(self) -> list[str]:
        return [str(reason) for reason in orjson.loads(await self._get("/readyz"))["reasons"]]

    async def at_work(self) -> None:
        """Wait until it has worked on a batch of any stage."""
        async with asyncio.timeout(PATIENCE):
            while not any("batch_duration_seconds_count" in key and n for key, n in (await self.metrics()).items()):
                pass

    async def _get(self, path: str) -> str:
        either: list[asyncio.Future[Any]] = [self._address, self._reading]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        assert self._address.done(), self.errors
        try:
            return await asyncio.to_thread(_get, self._address.result() + path)
        except OSError:
            await self.ended()
            raise AssertionError(self.errors) from None

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self.process.wait()

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.ended()

    def hang_up(self) -> None:
        """Ask it to read its rules again."""
        self.process.send_signal(signal.SIGHUP)

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()


class Installation:
    """Topics, settings and an estate; what is sent in, and what comes out."""

    def __init__(
        self,
        servers: str,
        name: str,
        folder: Path,
        topology: bytes,
        *,
        domain_attribute: str | None = None,
        rules: Path = RULES,
        inputs: Mapping[str, str] | None = None,
        partitions: int = 4,
    ) -> None:
        """`rules` must not be in `folder`, all of which is read as topology; `inputs`: entity -> source."""
        self.partitions = partitions
        (folder / "estate.json").write_bytes(topology)
        kafka = {"bootstrap_servers": servers, "group_id": name, **FAST}
        topics = {"prefix": f"{name}.", "partitions": partitions}
        paths: dict[str, object] = {"topology": folder, "rules": rules}
        self._tree: dict[str, dict[str, object]] = {}
        self._tree |= {"kafka": kafka, "topics": topics, "paths": paths, "web": {"port": 0}, "log": {"format": "json"}}
        if inputs is not None:
            topics["inputs"] = ",".join(f"{name}.{entity}.v1:{source}" for entity, source in inputs.items())
        self._stage_inputs = (*STAGE_INPUTS, *(entity for entity in inputs or () if entity != "events"))
        if domain_attribute is not None:
            self._tree["correlation"] = {"domain_attribute": domain_attribute}
        self.settings = Settings.model_validate(self._tree)
        self.fold = Fold()
        self.dead: list[Record] = []
        self.workers: list[Worker] = []
        self._writer = BatchWriter(self.settings.kafka)
        self._consumer: Any  # aiokafka's clients have no types
        self._ends: Any
        self._admin: Any
        self._clients: AsyncExitStack

    def topic(self, entity: str) -> str:
        topics = self.settings.topics
        return topic_name(topics, entity) if entity in ENTITIES else f"{topics.prefix}{entity}.{topics.version}"

    async def __aenter__(self) -> Self:
        (await ensure_topics(self.settings)).require()
        async with AsyncExitStack() as stack:
            await self._writer.start()
            stack.push_async_callback(self._writer.stop)
            servers = self.settings.kafka.bootstrap_servers
            self._admin = AIOKafkaAdminClient(bootstrap_servers=servers)
            stack.push_async_callback(self._admin.close)
            await self._admin.start()
            self._consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
            stack.push_async_callback(self._consumer.stop)
            await self._consumer.start()
            self._ends = AIOKafkaConsumer(bootstrap_servers=servers)  # reads nothing: fetches would make it wait
            stack.push_async_callback(self._ends.stop)
            await self._ends.start()
            followed = [self.topic(entity) for entity in (*FOLLOWED, "dead-letters")]
            self._consumer.assign([TopicPartition(topic, p) for topic in followed for p in range(self.partitions)])
            stack.push_async_callback(self._end_workers)
            self._clients = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clients.aclose()

    async def _end_workers(self) -> None:
        await asyncio.gather(*(worker.kill() for worker in self.workers))

    # What goes in.

    async def worker(self, **overrides: str) -> Worker:
        """Start a worker; `overrides` are settings as `section__key`."""
        worker = await start_worker(self._tree, **overrides)
        self.workers.append(worker)
        return worker

    async def publish(
        self,
        records: Iterable[Sent | tuple[bytes | None, bytes | None]],
        topic: str = "events",
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Send records to an input topic, by key, in their order."""
        outbox = Outbox(self._writer)
        for key, value in records:
            outbox.add(self.topic(topic), key, value, headers=headers)
        await outbox.flush()

    async def write(
        self, entity: str, partition: int, key: bytes, value: bytes, headers: list[tuple[str, bytes]] | None = None
    ) -> int:
        """Write one record into a partition; its offset."""
        return await self._writer.write(self.topic(entity), partition, [(key, value, headers, None)])

    async def forget(self, state: str, *heard: str) -> None:
        """As if all workers had been killed before a stage saved anything; none may run."""
        for record in await self.read(state):
            assert record.key
            await self._writer.write(self.topic(state), record.partition, [(record.key, None, None, None)])
        kafka = self.settings.kafka
        consumer: Any = AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap_servers, group_id=kafka.group_id, enable_auto_commit=False
        )
        async with asyncio.timeout(PATIENCE), consumer:
            tps = [TopicPartition(self.topic(entity), number) for entity in heard for number in range(self.partitions)]
            consumer.assign(tps)
            await consumer.commit(dict.fromkeys(tps, 0))

    async def delete_topic(self, entity: str) -> None:
        await self._admin.delete_topics([self.topic(entity)])

    # What comes out.

    async def read(self, entity: str) -> list[Record]:
        """All records of a topic as it is now."""
        tps = [TopicPartition(self.topic(entity), partition) for partition in range(self.partitions)]
        found: list[Record] = []
        consumer: Any = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka.bootstrap_servers, auto_offset_reset="earliest"
        )
        async with asyncio.timeout(PATIENCE), consumer:
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        return found

    async def follow(self) -> None:
        """Take in what has been written since the last call; waits a moment for it."""
        decoders = {self.topic(entity): decode for entity, decode in FOLLOWED.items()}
        for tp, records in (await self._consumer.getmany(timeout_ms=200)).items():
            for record in records:
                if tp.topic not in decoders:
                    self.dead.append(record)
                elif record.value is not None:
                    self.fold.told(decoders[tp.topic](record.value))

    async def until(self, condition: Callable[[], bool], worker: Worker | None = None) -> None:
        """Follow the output until the condition holds; a worker that ends meanwhile is an error."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert worker is None or worker.runs, worker.errors
                await self.follow()

    async def written(self, entity: str) -> int:
        """How many records a topic has."""
        tps = [TopicPartition(self.topic(entity), partition) for partition in range(self.partitions)]
        return sum((await self._ends.end_offsets(tps)).values())

    async def written_above(self, entity: str, before: int) -> None:
        """Wait until the topic has more records than `before`."""
        async with asyncio.timeout(PATIENCE):
            while await self.written(entity) <= before:  # noqa: ASYNC110 # the broker is asked
                await asyncio.sleep(0.01)

    async def idle(self) -> bool:
        """Whether every stage has done all there is."""
        offsets = await self._admin.list_consumer_group_offsets(self.settings.kafka.group_id)
        numbers = range(self.partitions)
        tps = [TopicPartition(self.topic(entity), number) for entity in self._stage_inputs for number in numbers]
        done = {tp: max(0, offsets[tp].offset) if tp in offsets else 0 for tp in tps}
        return bool(done == await self._ends.end_offsets(tps))

    async def all_done(self) -> None:
        """Wait until something was sent and every stage has done all there is."""
        async with asyncio.timeout(PATIENCE):
            while not (await self.idle() and await self.written("alerts")):
                await self.follow()

    def expected(self, records: Iterable[Sent], now: float) -> Expected:
        """What the core makes of the records, in one process."""
        return expected(load_estate(self.settings), records, now)

    def expected_of(self, items: Iterable[Item], now: float) -> Expected:
        """The same of what sources make of payloads."""
        return expected_of_items(load_estate(self.settings), items, now)

    async def comes_to(self, wanted: Expected, *, patience: float = PATIENCE) -> None:
        """Incidents and what is withheld become the expected, and stay so when all is done; else the difference."""
        final, withheld = wanted.final, wanted.fold.withheld()

        def here() -> bool:
            fold = self.fold
            return fold.count() == len(final) and fold.final() == final and fold.withheld() == withheld

        try:
            async with asyncio.timeout(patience):
                while not (here() and await self.idle()):
                    assert any(worker.runs for worker in self.workers), self.workers[-1].errors
                    await self.follow()
                await self.follow()
        except TimeoutError:
            pass
        assert self.fold.final() == final, difference(self.fold, final)
        assert self.fold.withheld() == withheld
        assert await self.idle(), "the incidents are right, but not all is committed"


async def start_worker(tree: Mapping[str, Mapping[str, object]], **overrides: str) -> Worker:
    """Start `opsbridge run` with these settings in its environment."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPSBRIDGE_")}
    for section, values in tree.items():
        env |= {f"OPSBRIDGE_{section}__{key}".upper(): str(value) for key, value in values.items()}
    env |= {f"OPSBRIDGE_{key}".upper(): value for key, value in overrides.items()}
    return Worker(
        await asyncio.create_subprocess_exec(sys.executable, "-m", "opsbridge.cli", "run", stderr=PIPE, env=env)
    )


def _get(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 # the worker's own address
            return str(answer.read().decode())
    except urllib.error.HTTPError as answer:  # not ready is an answer
        return answer.read().decode()
