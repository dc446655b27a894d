"""The consumer that docs/topics.md shows, run as its reader runs it, on both brokers."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import orjson
from aiokafka import AIOKafkaProducer

from kafka_server import Kafka
from pages import ROOT

INCIDENT = {
    "id": "INC-38cea77a0f6e11c2",
    "version": 1,
    "status": "open",
    "title": "silent failure on sw-7 affects 4 dependent CIs",
    "severity": "critical",
    "situation": "S-38cea77a0f6e11c2",
    "root": {"ci": "sw-7", "class": None, "silent": True, "confidence": 0.999},
    "candidates": [{"ci": "sw-7", "score": 12.1}],
    "firing": 4,
    "alerts": 4,
    "affected_cis": 5,
    "affected_services": 1,
    "services": ["shop"],
    "opened": "2026-01-01T12:00:00.000Z",
    "updated": "2026-01-01T12:00:04.000Z",
    "resolved": None,
    "merged_into": None,
    "because": [],
    "priority": "P2",
    "group": "network",
    "a_field_of_next_year": 1,
}


def told(version: int, status: str) -> bytes:
    return orjson.dumps(INCIDENT | {"version": version, "status": status})


async def test_it_tells_every_news_once_and_of_equal_versions_the_later(
    kafka: Kafka, make_topic: Callable[[], Awaitable[str]]
) -> None:
    topic = await make_topic()
    news = [(1, "open"), (1, "open"), (2, "acknowledged"), (2, "resolved"), (1, "open"), (3, "closed")]
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    try:
        for version, status in news:
            await producer.send_and_wait(topic, told(version, status), key=b"INC-38cea77a0f6e11c2")
    finally:
        await producer.stop()
    command = [sys.executable, str(ROOT / "examples" / "follow_incidents.py"), kafka.bootstrap_servers, topic]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    try:
        async with asyncio.timeout(60):
            lines = [(await process.stdout.readline()).decode() for _ in range(4)]
    finally:
        process.kill()
        await process.wait()
    assert lines == [
        f"P2 {status} silent failure on sw-7 affects 4 dependent CIs -> network\n"
        for status in ("open", "acknowledged", "resolved", "closed")
    ]
