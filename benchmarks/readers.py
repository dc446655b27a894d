"""What reading a topic costs without OpsBridge's work: each way a process of its own, which prints its CPU per event.

`python -m benchmarks.readers WAY SERVERS TOPIC EVENTS`, started by `benchmarks.stream`. `loop` is L, the plain aiokafka
`getmany` loop with `orjson.loads`; `faust` a stock Faust agent that does nothing; `batches` a stage of our own Faust
application over record batches that does nothing. CPU counts from the first records to the last.
"""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import faust
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from opsbridge.settings import Settings
from opsbridge.stream.app import create_app, run_worker
from opsbridge.stream.batches import RecordBatch
from opsbridge.stream.lanes import Lane

POLL_RECORDS: Final = 4000


class Meter:
    """Counts events; after the last one the process says what it spent and ends, whatever else is going on in it."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._read = 0
        self._begun = 0

    def begin(self) -> None:
        """What was spent so far is start-up."""
        self._begun = time.process_time_ns()

    def read(self, events: int) -> None:
        """So many more events have been read; those before `begin` was called are start-up too."""
        if not self._begun:
            self.begin()
            return
        self._read += events
        if self._read >= self._wanted:
            spent = (time.process_time_ns() - self._begun) / 1000
            # not by print: Faust has taken sys.stdout for its log
            os.write(1, b"\n%b\n" % orjson.dumps({"events": self._read, "cpu_us": spent}))
            os._exit(0)


async def loop(servers: str, topic: str, meter: Meter) -> None:
    """L: the least that anything in Python on aiokafka can do."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign(await _partitions(servers, topic))
    await consumer.seek_to_beginning()
    meter.begin()
    loads = orjson.loads
    while True:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=POLL_RECORDS)).values():
            for record in records:
                loads(record.value or b"")
            meter.read(len(records))


async def _partitions(servers: str, topic: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        (found,) = await admin.describe_topics([topic])
        return [TopicPartition(topic, each["partition"]) for each in found["partitions"]]
    finally:
        await admin.close()


def stock(servers: str, topic: str, meter: Meter) -> None:
    """A plain Faust agent that does nothing with raw values."""
    app = faust.App(
        "bench-stock-faust",
        broker=f"kafka://{servers}",
        store="memory://",
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=POLL_RECORDS,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
    )

    @app.agent(app.topic(topic, key_type=bytes, value_type=bytes))
    async def nothing(stream: Any) -> None:  # Faust's stream type has no public generic form
        async for _ in stream:
            meter.read(1)

    sys.argv[1:] = ["worker", "--loglevel=error", "--without-web"]
    app.main()


async def batches(servers: str, topic: str, meter: Meter) -> None:
    """Our Faust application with one stage that does nothing: what record batches cost by themselves."""
    kafka: Mapping[str, object] = {"bootstrap_servers": servers, "group_id": "bench-batches"}
    app = create_app(Settings(kafka=kafka))  # type: ignore[arg-type] # checked by pydantic

    async def nothing(lane: Lane) -> None:
        async for item in lane:
            if isinstance(item, RecordBatch):
                meter.read(len(item))

    app.add_stage("nothing", [topic], nothing)
    await run_worker(app)


def main() -> None:
    """Read as asked until enough events were read."""
    way, servers, topic, events = sys.argv[1:]
    meter = Meter(int(events))
    if way == "faust":
        stock(servers, topic, meter)
    else:
        ways: dict[str, Callable[[str, str, Meter], Any]] = {"loop": loop, "batches": batches}
        asyncio.run(ways[way](servers, topic, meter))


if __name__ == "__main__":
    main()
