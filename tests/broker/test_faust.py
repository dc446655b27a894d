"""A stock Faust worker with an agent and a table, on both brokers: processes, stops, recovers its table, goes on."""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from conftest import create_topic
from kafka_server import Kafka

_APP = Path(__file__).with_name("stock_faust_app.py")
_KNOCKS = ["knock-0", "knock-1"]
_KEYS = [f"ci-{i}" for i in range(10)]


async def with_worker(kafka: Kafka, name: str, datadir: Path, work: Coroutine[None, None, None]) -> None:
    """Do the work beside a running worker, which must live until the work is done and then end in good order."""
    log = datadir / "worker.log"
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(str(_APP), kafka.bootstrap_servers, name),
            *("--datadir", str(datadir), "worker", "--loglevel", "warn", "--without-web"),
            stdout=out,
            stderr=out,
        )
    working, living = asyncio.create_task(work), asyncio.create_task(process.wait())
    try:
        await asyncio.wait((working, living), timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert working.done(), f"the worker died or was too slow; its log:\n{log.read_text()}"
        await working
        process.terminate()
        await asyncio.wait_for(asyncio.shield(living), 20)
    finally:
        working.cancel()
        if process.returncode is None:
            process.kill()
        await asyncio.gather(working, living, return_exceptions=True)


async def test_a_stock_faust_app_counts_and_recovers(
    kafka: Kafka, admin: AIOKafkaAdminClient, unique: Callable[[str], str], tmp_path: Path
) -> None:
    name = unique("app")[-60:].lstrip("-")
    for stem in ("in", "out"):
        await create_topic(kafka.bootstrap_servers, f"{name}-{stem}", 2)
    address = kafka.bootstrap_servers
    async with (
        AIOKafkaProducer(bootstrap_servers=address) as producer,
        AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest") as results,
    ):
        results.assign([TopicPartition(f"{name}-out", i) for i in range(2)])

        last: dict[str, int] = {}
        inputs = [TopicPartition(f"{name}-in", i) for i in range(2)]

        async def read(timeout_ms: int) -> None:
            for records in (await results.getmany(timeout_ms=timeout_ms)).values():
                last.update({record.key.decode(): int(record.value) for record in records})

        async def all_committed() -> bool:
            kept = await admin.list_consumer_group_offsets(name)
            ends = await results.end_offsets(inputs)
            return bool({at: kept[at].offset for at in inputs if at in kept} == ends)

        async def five_more(total: int) -> None:
            # stock Faust now and then loses a record that comes while its worker starts, on either broker: knock first
            before = dict(last)
            while any(last.get(key) == before.get(key) for key in _KNOCKS):
                for partition, key in enumerate(_KNOCKS):
                    await producer.send_and_wait(f"{name}-in", b"x", key=key.encode(), partition=partition)
                await read(timeout_ms=200)
            for _ in range(5):
                for key in _KEYS:
                    await producer.send(f"{name}-in", b"x", key=key.encode())
            while any(last.get(key, 0) < total for key in _KEYS):
                await read(timeout_ms=1000)
            # and counts an uncommitted record twice: the worker may end when it has committed them all
            while not await all_committed():  # noqa: ASYNC110 - asks the broker
                await asyncio.sleep(0.05)

        await with_worker(kafka, name, tmp_path, five_more(total=5))
        await with_worker(kafka, name, tmp_path, five_more(total=10))
