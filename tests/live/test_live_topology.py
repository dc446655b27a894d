"""CIs and dependencies come, change and go by the `context` topic while events flow, with two workers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from installation import PATIENCE, Installation, Worker
from logins import event
from storm import Sent

from kafka_server import Kafka
from opsbridge.core.records import Incident

SERVICES = 12
TOLD_AFTER_S = 10
"""So long after its first alert, in event time, a situation is told of."""
EARLIER_S = 60
"""A first wave is of so long ago: the second is ahead of event time, which goes on with the clock."""

TOPOLOGY = orjson.dumps(
    {"cis": [{"id": "db"}, *({"id": f"svc-{n}", "type": "service", "depends_on": []} for n in range(SERVICES))]}
)


@pytest.fixture
async def live(kafka: Kafka, unique: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Installation]:
    for folder in ("topology", "rules"):
        (tmp_path / folder).mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text("version: 1\nrules: []\n")
    folders = tmp_path / "topology", TOPOLOGY
    async with Installation(kafka.bootstrap_servers, unique("i"), *folders, rules=tmp_path / "rules") as live:
        yield live


def moment(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat()


def ci(name: str, origin: str = "", **fields: object) -> tuple[bytes, bytes]:
    whose = {"origin": origin} if origin else {}
    key = f"ci:{origin}:{name}" if origin else f"ci:{name}"
    return key.encode(), orjson.dumps({"kind": "ci", "id": name, **whose, **fields})


def edge(dependent: str, provider: str, **fields: object) -> tuple[bytes, bytes]:
    record = {"kind": "edge", "from": dependent, "on": provider, **fields}
    return f"edge:{dependent}>{provider}".encode(), orjson.dumps(record)


def gone(records: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, None]]:
    return [(key, None) for key, _ in records]


def alarms(end: float, names: Iterable[str], wave: str, class_: str = "") -> list[Sent]:
    """All of them alarm, and worse when event time has gone on for long enough to tell of it: nobody has to wait."""
    return [
        event(f"{wave}-{name}-{severity}", end - before, name, class_ or class_of(name), severity)
        for before, severity in ((TOLD_AFTER_S + 2, "major"), (0, "critical"))
        for name in names
    ]


def over(end: float, names: Iterable[str], wave: str) -> list[Sent]:
    """All of them are well again."""
    return [event(f"{wave}-{name}-over", end, name, class_of(name), None) for name in names]


def class_of(name: str) -> str:
    return "Unreachable" if name.startswith("svc") else "HostDown"


ALL = [f"svc-{n}" for n in range(SERVICES)]
EDGES = [edge(name, "db", type="runs_on") for name in ALL]


def observed(ago: float) -> list[tuple[bytes, bytes]]:
    """The same dependencies as traffic shows them, last seen so many seconds ago."""
    return [edge(name, "db", type="calls", observed=True, seen=moment(time.time() - ago)) for name in ALL]


async def digests(workers: Iterable[Worker]) -> set[str]:
    found = set()
    for worker in workers:
        (info,) = [key for key in await worker.metrics() if key.startswith("opsbridge_config_info")]
        found.add(info.partition("topology=")[2].partition(",")[0])
    return found


async def sample(worker: Worker, name: str) -> float:
    return (await worker.metrics())[f"opsbridge_{name}"]


async def has(workers: Iterable[Worker], name: str, wanted: float) -> None:
    """Wait until all of them show it."""
    async with asyncio.timeout(PATIENCE):
        for worker in workers:
            while await sample(worker, name) != wanted:
                assert worker.runs, worker.errors


async def two(live: Installation, **overrides: str) -> list[Worker]:
    workers = [await live.worker(**overrides) for _ in range(2)]
    for worker in workers:
        await worker.joined()
    return workers


def open_incidents(live: Installation) -> list[Incident]:
    return [each for each in live.fold.incidents.values() if each.status in ("open", "reopened")]


def only_one(live: Installation, firing: int) -> bool:
    """Whether all that fires is one incident."""
    return [each.firing for each in open_incidents(live)] == [firing]


async def ended(workers: Iterable[Worker]) -> None:
    for worker in workers:
        assert await worker.stop() == 0, worker.errors


async def test_a_new_edge_makes_the_later_storm_one_incident(live: Installation) -> None:
    workers = await two(live)
    before = await digests(workers)
    earlier = time.time() - EARLIER_S
    await live.publish(alarms(earlier, ["db", *ALL[:3]], "first"))
    await live.until(lambda: len(open_incidents(live)) == 4)  # nobody knows that they belong together
    await live.publish(over(earlier + 1, ["db", *ALL[:3]], "first"))
    await live.publish([*EDGES, ci("svc-new", type="service", depends_on=["db"])], "context")
    await has(workers, "topology_edges", SERVICES + 1)
    (digest,) = await digests(workers)
    assert digest not in before
    assert [await sample(worker, "topology_live_records") for worker in workers] == [SERVICES + 1] * 2
    await live.until(lambda: not open_incidents(live))

    await live.publish(alarms(time.time(), ["db", *ALL[3:], "svc-new"], "second"))
    await live.until(lambda: only_one(live, SERVICES - 3 + 2))
    (incident,) = open_incidents(live)
    assert (incident.root.ci, incident.topology) == ("db", digest)
    assert {"svc-0", "svc-new"} < {
        name for each in live.fold.final() if each.root == "db" for name in each.affected_cis
    }
    await ended(workers)


async def test_an_observed_edge_that_ages_out_in_an_open_incident_stays_for_it(live: Installation) -> None:
    """The classic: the provider is dead, so there is no traffic that would show who needs it."""
    workers = await two(live, topology__observed_ttl="60")
    await live.publish(observed(ago=0), "context")
    await has(workers, "topology_edges", SERVICES)
    (digest,) = await digests(workers)
    now = time.time()
    db = event("now-db", now - TOLD_AFTER_S - 2, "db", "HostDown", "critical")  # the worst comes first
    await live.publish([db, *alarms(now, ALL[:6], "now")])
    await live.until(lambda: only_one(live, 7))
    await live.publish(observed(ago=55), "context")  # longer ago than was said: so the test has 5 s to wait, not 60
    await has(workers, "topology_edges", 0)
    assert sum([await sample(worker, "topology_edges_aged_out_total") for worker in workers]) == 2 * SERVICES

    await live.publish([event("late", time.time(), "svc-7", "Unreachable", "major")])
    await live.until(lambda: only_one(live, 8))
    (incident,) = open_incidents(live)
    assert (incident.root.ci, incident.topology, incident.affected_cis) == ("db", digest, SERVICES + 1)
    assert [each.what for each in incident.history] == ["opened"], "it was never decided anew"
    await live.publish(over(time.time(), ["db", *ALL[:6], "svc-7"], "now"))
    await live.until(lambda: not open_incidents(live))
    await ended(workers)


async def test_what_is_withdrawn_goes_and_no_alert_is_stuck(live: Installation) -> None:
    workers = await two(live)
    new = ci("lb-1", owner="netops"), edge("svc-0", "lb-1", type="runs_on")
    await live.publish([*EDGES, *new], "context")
    await has(workers, "topology_cis", SERVICES + 2)
    earlier = time.time() - EARLIER_S
    await live.publish(alarms(earlier, ["lb-1", "db", *ALL], "first"))
    await live.until(lambda: sum(each.alerts for each in open_incidents(live)) == SERVICES + 2)
    await live.publish(gone([*EDGES, *new]), "context")
    await has(workers, "topology_cis", SERVICES + 1)
    await has(workers, "topology_edges", 0)
    (after,) = await digests(workers)

    await live.publish(over(earlier + 1, ["lb-1", "db", *ALL], "first"))
    await live.until(lambda: not open_incidents(live))
    assert {each.status for each in live.fold.incidents.values()} <= {"resolved", "merged"}
    assert all(each.topology != after for each in live.fold.incidents.values())

    await live.publish(alarms(time.time(), ["lb-1"], "again"))
    await live.until(lambda: bool(open_incidents(live)))
    (unknown,) = [orjson.loads(record.value or b"") for record in await live.read("discrepancies")]
    assert (unknown["kind"], unknown["reference"]) == ("unknown_ci", "lb-1")
    await ended(workers)


async def test_bad_records_are_dead_letters_and_what_does_not_fit_is_told_once(live: Installation) -> None:
    workers = await two(live)
    await live.publish([(b"ci:x", b'{"kind": "ci", "id": "y"}'), (b"edge:a>b", b"{")], "context")
    await live.publish([(b"ci:z", b'{"kind": "ci", "id": "z", "tier": "one"}')], "context")
    await live.until(lambda: len(live.dead) == 6)  # each worker follows the topic, and says what it cannot use
    stages = {dict(record.headers)["__opsbridge.errors.stage"] for record in live.dead}
    reasons = sorted(dict(record.headers)["__opsbridge.errors.reason"] for record in live.dead)
    assert (stages, reasons) == ({b"context"}, [b"invalid_field"] * 4 + [b"invalid_json"] * 2)

    await live.publish(
        [ci("lb-1", aliases=["10.0.0.1"]), ci("lb-2", aliases=["10.0.0.1"]), edge("lb-1", "ghost")], "context"
    )
    await has(workers, "topology_misfits", 2)
    await live.written_above("discrepancies", 1)
    told = [orjson.loads(record.value or b"") for record in await live.read("discrepancies")]
    assert sorted((each["kind"], each["reference"]) for each in told) == [
        ("alias_conflict", "10.0.0.1"),
        ("unknown_end", "lb-1 -> ghost"),
    ]
    assert await sample(workers[0], "topology_cis") == SERVICES + 3, "the rest is used"

    await live.publish([ci("ghost")], "context")
    await has(workers, "topology_misfits", 1)
    await live.publish(gone([ci("ghost")]), "context")
    await has(workers, "topology_misfits", 2)
    await live.written_above("discrepancies", 2)  # mended, and broken again: told again, what stayed is not
    assert [orjson.loads(record.value or b"")["kind"] for record in await live.read("discrepancies")].count(
        "alias_conflict"
    ) == 1
    await ended(workers)


async def test_a_worker_is_killed_around_a_swap(live: Installation) -> None:
    workers = await two(live)
    await live.publish(EDGES, "context")
    await has(workers, "topology_edges", SERVICES)
    earlier = time.time() - EARLIER_S
    await live.publish(alarms(earlier, ["db", *ALL], "now"))
    await live.until(lambda: only_one(live, SERVICES + 1))
    (incident,) = open_incidents(live)
    await live.publish(gone(EDGES), "context")
    await has(workers[:1], "topology_edges", 0)
    await workers[0].kill()
    await has(workers[1:], "topology_edges", 0)
    await workers[1].kill()

    worker = await live.worker()  # which has never known another topology than that without dependencies
    await worker.joined()
    assert await sample(worker, "topology_edges") == 0
    await live.publish(alarms(time.time(), ["svc-3"], "more", "DiskFull"))
    await live.until(lambda: sum(each.alerts for each in open_incidents(live)) == SERVICES + 2)
    (same,) = [each for each in open_incidents(live) if each.id == incident.id]
    assert (same.root, same.topology, same.affected_cis) == (incident.root, incident.topology, incident.affected_cis)
    assert len(open_incidents(live)) <= 2
    await live.publish([event("less", time.time(), "svc-3", "DiskFull", None)])
    await live.publish(over(time.time(), ["db", *ALL], "now"))
    await live.until(lambda: not open_incidents(live))
    await ended([worker])
