"""The trial: Alertmanager fires and resolves a thousand alerts while gateway and broker are killed in the middle.

Nothing is lost, for Alertmanager tries again what was not acknowledged; nothing is there twice, for what it sends again
has the same ids. Every alert is a member of an incident exactly once, and all of them are resolved.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from installation import Installation, Worker
from recipe import free_port, gateway
from test_alertmanager import alertmanager, tell

from kafka_server import Kafka

pytestmark = pytest.mark.tools

COUNT = 1_000
PORTS = 40
"""Alerts of one switch; each switch is a situation of its own."""
SWITCHES = [f"sw-{number}" for number in range(COUNT // PORTS)]
NAMES = [f"{switch}-port-{port}" for switch in SWITCHES for port in range(PORTS)]
PATIENCE = 120.0
_CI = re.compile(rb'"ci":"([^"]+)"')
AWAY = 3.0
"""Seconds without a broker: the gateway tells Alertmanager to come again."""


async def test_a_thousand_alerts_fire_and_resolve_while_gateway_and_broker_are_killed(
    own_kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    cis: list[dict[str, object]] = [{"id": name} for name in SWITCHES]
    cis += [{"id": name, "depends_on": [name.partition("-port-")[0]]} for name in NAMES]
    estate = tmp_path / "estate"
    estate.mkdir()
    port = free_port()
    places = {"http://127.0.0.1:8470": f"http://127.0.0.1:{port}", "10s": "2s"}
    async with Installation(own_kafka.bootstrap_servers, unique("i"), estate, orjson.dumps({"cis": cis})) as live:
        async with supervised(live), alertmanager(tmp_path, places) as (there, api):
            began = time.time()
            await in_the_middle(live, own_kafka, port, lambda names: tell(api, names, began=began))
            async with gateway(live, port):
                await until(live, lambda: alerts(live).total() >= COUNT)
            ended = time.time()
            await in_the_middle(live, own_kafka, port, lambda names: tell(api, names, began=began, ended=ended))
            async with gateway(live, port):
                await until(live, lambda: over(live))
            assert there.process.returncode is None, there.log
        found = alerts(live)
    assert len(found) == COUNT, "an alert was lost"
    assert set(found.values()) == {1}, "an alert is there twice"
    assert live.dead == []
    assert {one.root for one in live.fold.final()} <= {*SWITCHES, *NAMES}


@asynccontextmanager
async def supervised(live: Installation) -> AsyncIterator[None]:
    """A worker, and the next one when it has ended because there was no broker (exit codes 1 and 3)."""

    async def supervise(worker: Worker) -> None:
        while True:
            assert await worker.process.wait() in (1, 3), worker.errors
            worker = await live.worker()

    first = await live.worker()
    await first.joined()
    supervising = asyncio.create_task(supervise(first))
    try:
        yield
        assert not supervising.done(), supervising.result()
    finally:
        supervising.cancel()


async def in_the_middle(live: Installation, kafka: Kafka, port: int, send: Callable[[Sequence[str]], None]) -> None:
    """Send; when a part has arrived kill the gateway, later the broker, and send the next part while it is away."""
    before = await live.written("events")
    first, second, third = (NAMES[start::3] for start in range(3))
    async with gateway(live, port) as (one, _):
        await asyncio.to_thread(send, first)
        await live.written_above("events", before + len(first) // 3)
        await one.kill()
        await asyncio.to_thread(send, second)
    async with gateway(live, port):
        await live.written_above("events", before + len(first) + len(second) // 3)
        await asyncio.to_thread(kafka.kill)
        await asyncio.to_thread(send, third)
        await asyncio.sleep(AWAY)
        await asyncio.to_thread(kafka.start)
        await live.written_above("events", before + len(first) + len(second))


async def until(live: Installation, holds: Callable[[], bool]) -> None:
    """Follow the incidents until this holds; else tell how far the alerts have come."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await live.follow()
    except TimeoutError:
        sent = {ci for record in await live.read("events") for ci in _CI.findall(record.value or b"")}
        changes = [one for record in await live.read("alerts") for one in json.loads(record.value or b"[]")]
        heard = Counter(change for change, _ in {(one["change"], one["fingerprint"]) for one in changes})
        left = Counter((incident.status, incident.firing) for incident in live.fold.final())
        logs = "\n".join(worker.errors for worker in live.workers)
        pytest.fail(f"sent {len(sent)}, heard {heard}, members {len(alerts(live))}, incidents {left}\n{logs}")


def alerts(live: Installation) -> Counter[str]:
    """How often each alert is a member of an incident."""
    return Counter(fingerprint for incident in live.fold.final() for fingerprint, _ in incident.members)


def over(live: Installation) -> bool:
    """Whether no alert fires any more and every incident says so."""
    return all(not incident.firing and incident.status in ("resolved", "closed") for incident in live.fold.final())
