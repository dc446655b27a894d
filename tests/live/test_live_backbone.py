"""Sites as domains on different workers, live: a core that they share fails, and it is one incident with them all."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from installation import Installation
from sites import CORE, STORE, SitesStorm, storm_over_sites

from kafka_server import Kafka


@pytest.fixture
def sent() -> SitesStorm:
    return storm_over_sites(8, end=time.time())


@pytest.fixture
async def live(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path, sent: SitesStorm
) -> AsyncIterator[Installation]:
    async with Installation(
        kafka.bootstrap_servers, unique("i"), tmp_path, sent.topology, domain_attribute="site"
    ) as live:
        yield live


async def test_a_core_behind_8_sites_is_one_incident_whichever_workers_hold_them(
    live: Installation, sent: SitesStorm
) -> None:
    """Two workers, then three, one of them killed in the middle of the storm."""
    wanted = live.expected(sent.records, time.time())
    first, second, third = sent.parts(3)
    workers = []
    for _ in range(2):
        workers.append(await live.worker())
        await workers[-1].joined()
    await live.publish(first)
    await live.written_above("alerts", 0)
    joins = await live.worker()
    await joins.joined()
    await live.publish(second)
    await live.written_above("shared", 0)
    await workers[0].kill()
    await live.publish(third)
    await live.comes_to(wanted)
    for worker in (workers[1], joins):
        assert await worker.stop() == 0, worker.errors

    final = {one.root: one for one in live.fold.final()}
    assert len(final) == len(live.fold.final()) == 2, final
    core, store = final[CORE], final[STORE]
    assert core.silent
    assert core.status == store.status == "open"
    assert {fingerprint.partition("\x1f")[0] for fingerprint, _ in core.members} == sent.alarmed
    assert core.affected_cis == {CORE, *sent.behind}
    assert {fingerprint.partition("\x1f")[0] for fingerprint, _ in store.members} == sent.apart
    assert store.affected_cis == {STORE, *sent.apart}
    spread = {record.partition for record in await live.read("alerts")}
    assert len(spread) > 1, "all sites are in one partition: this test shows nothing"
