"""A gateway for a test: on a free port, on a broker, with credentials and limits of the test's own."""

import asyncio
import atexit
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from opsbridge.devbroker import ThreadedDevBroker
from opsbridge.gateway import sns
from opsbridge.gateway.server import Running, running
from opsbridge.settings import Settings
from opsbridge.sources.catalogue import Sources
from opsbridge.sources.inputs import Inputs
from opsbridge.sources.language.reading import read_mappings
from opsbridge.sources.mapped import MappedSource

TOKEN: Final = "a-token-of-the-tests"  # noqa: S105
CREDENTIALS: Final = f"* token {TOKEN}"


SEVERAL: Final = """\
source: several
title: Events in a list
each: {alert: alerts}
skip:
  - {reason: skip, when: {alert.skip: present}}
fields:
  source: {const: several}
  id: alert.id
  time: alert.time
  ci: alert.ci
  class: alert.class
  severity: {of: alert.severity, map: {major: major, minor: minor}}
  state: {of: alert.state, map: {firing: firing, resolved: resolved}}
  summary: alert.summary
"""

TEXT: Final = """\
source: text
title: Lines of a host and what is wrong with it
payload: text
patterns: ['^(?P<host>[a-z0-9-]+): (?P<what>.*)$']
fields:
  source: {const: text}
  id: text
  time: arrival
  ci: host
  class: {const: line}
  severity: {const: minor}
  state: {const: firing}
  summary: what
"""

EVENT: Final = {
    "id": "e1",
    "time": "2026-05-04T10:00:00Z",
    "ci": "db-1",
    "class": "down",
    "state": "firing",
    "severity": "major",
}


def event(number: int, **more: object) -> dict[str, object]:
    return {**EVENT, "id": f"e{number}", "ci": f"ci-{number % 50}", **more}


@cache
def inputs() -> Inputs:
    """Two sources besides those that are code."""
    with TemporaryDirectory() as folder:
        for name, text in (("several", SEVERAL), ("text", TEXT)):
            Path(folder, f"{name}.yaml").write_text(text)
        mappings, _ = read_mappings([Path(folder)])
    return Inputs(Sources(map(MappedSource, mappings.values())))


@dataclass(frozen=True, slots=True)
class Written:
    """A record."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway, a client of it, and what it wrote."""

    here: Running
    http: httpx.AsyncClient
    settings: Settings

    async def post(self, content: bytes | object, source: str = "canonical", **headers: str) -> httpx.Response:
        """POST bytes, or anything else as JSON."""
        body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"/api/v1/events/{source}", content=body, headers=named)

    async def metric(self, name: str, **labels: str) -> float:
        """A value of /metrics."""
        text = (await self.http.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def written(self, entity: str = "events") -> list[Written]:
        """What is in a topic."""
        return await records(self.settings, f"{self.settings.topics.prefix}{entity}.v1")

    @property
    def port(self) -> int:
        return int(self.here.address.rpartition(":")[2])


async def records(settings: Settings, topic: str) -> list[Written]:
    """All records of a topic, by partition and offset."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers, auto_offset_reset="earliest", request_timeout_ms=5_000
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(settings.topics.partitions)]
        consumer.assign(places)
        ends = sum((await consumer.end_offsets(places)).values())
        found: list[Written] = []
        async with asyncio.timeout(20):
            while len(found) < ends:
                for some in (await consumer.getmany(timeout_ms=500)).values():
                    found += [
                        Written(each.partition, each.offset, each.key, each.value or b"", dict(each.headers))
                        for each in some
                    ]
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


def settings_for(servers: str, prefix: str, gateway: Mapping[str, object], **kafka: object) -> Settings:
    return Settings(
        kafka={"bootstrap_servers": servers, "request_timeout": 31.0, **kafka},  # type: ignore[arg-type] # by pydantic
        topics={"prefix": prefix, "partitions": 2},  # type: ignore[arg-type]
        gateway={"port": 0, **gateway},  # type: ignore[arg-type]
    )


async def never(_: str) -> int:
    """Nobody is asked."""
    raise AssertionError("nobody is to be asked")


@asynccontextmanager
async def site(settings: Settings, *, confirm: sns.Ask = never, token: str = TOKEN) -> AsyncIterator[Site]:
    """A gateway at work, and a client that shows `token`."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        running(settings, inputs(), confirm=confirm) as here,
        httpx.AsyncClient(base_url=here.address, headers=headers, timeout=30) as http,
    ):
        yield Site(here, http, settings)


@cache
def _broker() -> ThreadedDevBroker:
    """One for all of these tests; each gateway has topics of its own."""
    broker = ThreadedDevBroker()
    broker.start()
    atexit.register(broker.stop)
    return broker


_count = itertools.count(1)


def gateway(
    *,
    limits: Mapping[str, object] | None = None,
    kafka: Mapping[str, object] | None = None,
    confirm: sns.Ask = never,
    token: str = TOKEN,
) -> AbstractAsyncContextManager[Site]:
    """A gateway on the embedded broker with these settings of the sections `gateway` and `kafka`."""
    section = {"credentials": CREDENTIALS, **(limits or {})}
    settings = settings_for(_broker().bootstrap_servers, f"g{next(_count)}.", section, **(kafka or {}))
    return site(settings, confirm=confirm, token=token)
