"""Raw topic to incident topic on a real Apache Kafka: CPU of the worker process per event, as a multiple of L.

`python -m benchmarks.stream`. The events topic is filled first; then a plain loop (L), a stock Faust agent that does
nothing, our record batches that do nothing and the worker (`opsbridge run`) read it, one after the other and each a
process of its own. Start-up is measured with a worker on empty topics and taken off. The broker is not counted.
"""

# mypy: untyped-calls-exclude="aiokafka"
import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.estates import estate, events
from benchmarks.interpreter import described
from opsbridge.settings import Settings
from opsbridge.stream.outbox import BatchWriter, OutRecord
from opsbridge.stream.topics import ensure_topics, topic_name

REPOSITORY: Final = Path(__file__).resolve().parent.parent
sys.path.append(str(REPOSITORY / "tests"))  # the real broker is the tests'

from kafka_server import ApacheKafka, KafkaUnavailableError  # noqa: E402 - see above

READ: Final = ("events", "detected", "alerts", "situations")
"""Entities whose topics the worker reads: it is done when nothing is left in any of them."""

QUIET_S: Final = 3.0
LOOK_EVERY_S: Final = 0.25
TICKS: Final = os.sysconf("SC_CLK_TCK")


class NotMeasuredError(RuntimeError):
    """Something did not come to its end in time; the message says what."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    name: str
    events: int
    cpu_us: float

    @property
    def each(self) -> float:
        """CPU microseconds per event."""
        return self.cpu_us / self.events


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def settings_for(servers: str, prefix: str, folder: Path) -> Settings:
    """The settings of a worker on topics with that prefix."""
    return Settings(
        kafka={"bootstrap_servers": servers, "group_id": f"{prefix}worker"},  # type: ignore[arg-type] # by pydantic
        topics={"prefix": prefix},  # type: ignore[arg-type]
        paths={"topology": folder / "topology", "rules": REPOSITORY / "correlation_rules"},  # type: ignore[arg-type]
        web={"port": 0},  # type: ignore[arg-type]
    )


def write_config(settings: Settings, path: Path) -> None:
    """The same settings as the TOML file of a worker."""
    path.write_text(
        f'[kafka]\nbootstrap_servers = "{settings.kafka.bootstrap_servers}"\ngroup_id = "{settings.kafka.group_id}"\n'
        f'[topics]\nprefix = "{settings.topics.prefix}"\n'
        f'[paths]\ntopology = "{settings.paths.topology}"\nrules = "{settings.paths.rules}"\n'
        f'[web]\nport = 0\n[log]\nlevel = "warning"\n',
        encoding="utf-8",
    )


async def fill(settings: Settings, payloads: Sequence[bytes]) -> None:
    """Write the events by CI, as a collector with keys would."""
    topic = topic_name(settings.topics, "events")
    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        count = await writer.partitions(topic)
        shares: list[list[OutRecord]] = [[] for _ in range(count)]
        for payload in payloads:
            key = orjson.loads(payload)["ci"].encode()
            shares[writer.partition_of(key, count)].append((key, payload, None, None))
        await asyncio.gather(*(writer.write(topic, number, share) for number, share in enumerate(shares)))
    finally:
        await writer.stop()


def measure_reader(way: str, servers: str, topic: str, count: int, folder: Path, patience: float) -> Figure:
    """What one of `benchmarks.readers` spends; it runs in `folder`, since stock Faust leaves files behind."""
    call = [sys.executable, "-m", "benchmarks.readers", way, servers, topic, str(count)]
    names = {"loop": "L: plain getmany + orjson.loads", "faust": "stock Faust agent that does nothing"}
    try:
        done = subprocess.run(
            call, cwd=folder, capture_output=True, text=True, timeout=patience, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired as late:
        raise NotMeasuredError(f"reader {way} read no {count} events within {patience:.0f} s") from late
    if done.returncode != 0 or not done.stdout.strip():
        raise NotMeasuredError(f"reader {way} failed:\n{done.stderr[-2000:]}")
    said = orjson.loads(done.stdout.splitlines()[-1])
    return Figure(names.get(way, "record batches that do nothing"), said["events"], said["cpu_us"])


def _environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPSBRIDGE_")}
    return clean | {"PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "src")))} | more


@contextmanager
def worker(settings: Settings, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker; its log goes to a file that is shown when it dies."""
    command = Path(sys.executable).with_name("opsbridge")
    if not command.exists():
        raise NotMeasuredError(f"there is no {command}: install the package")
    config = folder / f"{settings.topics.prefix}toml"
    write_config(settings, config)
    with (folder / f"{settings.topics.prefix}log").open("wb") as log:
        process = subprocess.Popen(
            [str(command), "run"], cwd=folder, stdout=log, stderr=log, env=_environment(OPSBRIDGE_CONFIG=str(config))
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _require_alive(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        tail = log.read_text(errors="replace")[-2000:]
        raise NotMeasuredError(f"the worker ended with exit code {process.returncode}:\n{tail}")


async def measure_start(settings: Settings, folder: Path, patience: float) -> float:
    """CPU seconds of a worker that has nothing to read, once it has come to rest."""
    until = time.monotonic() + patience
    with worker(settings, folder) as process:
        seen: list[float] = []
        rest = round(QUIET_S / LOOK_EVERY_S)
        while time.monotonic() < until:
            _require_alive(process, folder / f"{settings.topics.prefix}log")
            seen.append(cpu_seconds(process.pid))
            if len(seen) > rest and seen[-1] > 0.5 and seen[-1] - seen[-rest] < 0.1 * QUIET_S:
                return seen[-rest]
            await asyncio.sleep(LOOK_EVERY_S)
    raise NotMeasuredError(f"a worker without events did not come to rest within {patience:.0f} s")


class Progress:
    """What a worker's group has committed of the topics it reads, and how many incident records there are."""

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._admin = admin
        self._consumer = consumer

    async def left(self) -> int:
        """Records of all read topics that are not committed yet."""
        ends = await self._ends(*READ)
        committed = await self._admin.list_consumer_group_offsets(self._settings.kafka.group_id)
        done = {place: max(0, found.offset) for place, found in committed.items()}
        return sum(end - done.get(place, 0) for place, end in ends.items())

    async def incidents(self) -> int:
        """Incident records written so far."""
        return sum((await self._ends("incidents")).values())

    async def _ends(self, *entities: str) -> dict[TopicPartition, int]:
        topics = self._settings.topics
        places = [
            TopicPartition(topic_name(topics, entity), number)
            for entity in entities
            for number in range(topics.partitions)  # `ensure_topics` has made them so
        ]
        return dict(await self._consumer.end_offsets(places))


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Progress]:
    """Connections to watch a worker with."""
    servers = settings.kafka.bootstrap_servers
    consumer = AIOKafkaConsumer(bootstrap_servers=servers)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await consumer.start()
    try:
        await admin.start()
        yield Progress(settings, admin, consumer)
    finally:
        await admin.close()
        await consumer.stop()


async def measure_worker(settings: Settings, folder: Path, patience: float) -> tuple[float, int]:
    """CPU seconds of a worker until everything was read and told, start-up included; and its incident records."""
    until = time.monotonic() + patience
    async with watching(settings) as progress:
        with worker(settings, folder) as process:
            calm_since, spent, last = 0.0, 0.0, -1
            left = -1
            while time.monotonic() < until:
                _require_alive(process, folder / f"{settings.topics.prefix}log")
                now, cpu = time.monotonic(), cpu_seconds(process.pid)
                left, told = await progress.left(), await progress.incidents()
                if left or told != last:
                    calm_since, spent, last = now, cpu, told
                elif now - calm_since >= QUIET_S:
                    return spent, told
                await asyncio.sleep(LOOK_EVERY_S)
    raise NotMeasuredError(f"the worker was not done within {patience:.0f} s: {left} records are left to read")


async def lines(asked: argparse.Namespace) -> AsyncIterator[str]:
    """The whole report, line by line as it becomes known."""
    yield "## Stream: raw topic to incident topic"
    yield ""
    try:
        kafka = ApacheKafka()
    except KafkaUnavailableError as missing:
        yield f"Not measured: {missing}"
        return
    folder = Path(tempfile.mkdtemp(prefix="opsbridge-bench-"))
    try:
        with kafka:
            async for line in _measured(asked, kafka.bootstrap_servers, folder):
                yield line
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measured(asked: argparse.Namespace, servers: str, folder: Path) -> AsyncIterator[str]:
    world = estate(asked.size)
    payloads = list(events(world, asked.stream_events))
    (folder / "topology").mkdir()
    (folder / "topology" / "estate.json").write_bytes(world.as_json())
    full, empty = (settings_for(servers, prefix, folder) for prefix in ("bench.", "bench-empty."))
    await ensure_topics(full)
    await ensure_topics(empty)
    await fill(full, payloads)
    topic = topic_name(full.topics, "events")
    for line in described():
        yield f"- {line}"
    size = sum(map(len, payloads)) / len(payloads)
    yield f"- {len(payloads)} events of {size:.0f} bytes, {asked.size} CIs, Apache Kafka in a process of its own"
    yield ""
    yield "| reading the same topic | events | CPU us per event | in L | wanted |"
    yield "| --- | ---: | ---: | ---: | --- |"
    try:
        plain = measure_reader("loop", servers, topic, len(payloads) * 9 // 10, folder, asked.patience)
        yield _row(plain, plain)
        stock_events = min(asked.stock_events, len(payloads) // 2)
        for way, count in (("faust", stock_events), ("batches", len(payloads) // 2)):
            yield _row(measure_reader(way, servers, topic, count, folder, asked.patience), plain)
        start = await measure_start(empty, folder, asked.patience)
        spent, told = await measure_worker(full, folder, asked.patience)
        whole = Figure("worker: raw topic to incident topic", len(payloads), (spent - start) * 1e6)
        yield _row(whole, plain, "<= 4, then 2.4")
        yield ""
        yield f"Worker: {start:.1f} s to start (taken off), {spent - start:.1f} s to read; {told} incident records"
    except NotMeasuredError as reason:
        yield ""
        yield f"Not measured: {reason}"


def _row(figure: Figure, plain: Figure, wanted: str = "") -> str:
    return f"| {figure.name} | {figure.events} | {figure.each:.2f} | {figure.each / plain.each:.2f} | {wanted} |"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that both `benchmarks.stream` and `benchmarks` take."""
    parser.add_argument("--stream-events", type=int, default=300_000, help="in the topic (%(default)s)")
    parser.add_argument("--stock-events", type=int, default=20_000, help="read by stock Faust (%(default)s)")
    parser.add_argument("--size", type=int, default=10_000, help="CIs of the estate (%(default)s)")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds for each reader (%(default)s)")


async def _print(asked: argparse.Namespace) -> None:
    async for line in lines(asked):
        print(line, flush=True)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments(parser)
    asyncio.run(_print(parser.parse_args()))


if __name__ == "__main__":
    main()
