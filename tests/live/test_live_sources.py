"""Payloads of several tools, live: each event of each payload is accounted for, whichever topic and partition it is on.

What a worker makes of a record is what a replay makes of the same bytes.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import orjson
from installation import Installation

from kafka_server import Kafka
from opsbridge.cli.replaying import FinalIncident, Summary
from opsbridge.core.intake import Report
from opsbridge.review.recorded import Recorder
from opsbridge.review.told import ENTITIES
from opsbridge.review.topics import held
from opsbridge.sources.catalogue import load_sources
from opsbridge.sources.source import SOURCE_HEADER, Item

ERRORS = "__opsbridge.errors."
BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=120)
RACKS, HOSTS = 12, 4
ALERTS, PROBLEMS = 50, 16


def topology() -> bytes:
    """Racks with a switch each that its hosts depend on."""
    cis = [{"id": f"sw{rack}"} for rack in range(RACKS)]
    cis += [{"id": f"h{rack}-{host}"} for rack in range(RACKS) for host in range(HOSTS)]
    edges = [[f"h{rack}-{host}", f"sw{rack}"] for rack in range(RACKS) for host in range(HOSTS)]
    return orjson.dumps({"cis": cis, "depends_on": edges})


def hook(alerts: Iterable[object]) -> bytes:
    """A web-hook of Alertmanager."""
    return orjson.dumps({"version": "4", "groupKey": "{}", "status": "firing", "alerts": list(alerts)})


def alert(number: int, status: str = "firing", **changes: object) -> dict[str, object]:
    """An alert of a host in the first four racks."""
    host = f"h{number % 4}-{number // 4 % HOSTS}"
    began, over = BEGAN.isoformat(), (BEGAN + timedelta(seconds=50)).isoformat()
    good: dict[str, object] = {
        "status": status,
        "labels": {"alertname": f"Check{number // 16}", "severity": "critical", "host": host},
        "annotations": {"summary": f"{host} does not answer"},
        "startsAt": began,
        "endsAt": over if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": f"am{number:04x}",
    }
    return good | changes


def problem(number: int) -> bytes:
    """A problem of Zabbix, on a host of the next four racks."""
    name = {"hosts": [{"host": f"h{4 + number % 4}-{number // 4 % HOSTS}"}], "name": "Unreachable", "severity": 4}
    return zabbix({"eventid": 1000 + number, "value": 1, "tags": []} | name)


def recovery(number: int) -> bytes:
    """It is over: only the number of the problem is said."""
    return zabbix({"eventid": 2000 + number, "p_eventid": 1000 + number, "value": 0}, after=60)


def zabbix(said: dict[str, object], after: int = 0) -> bytes:
    return orjson.dumps({"clock": int(BEGAN.timestamp()) + after, "ns": 0} | said)


def canonical(number: int) -> bytes:
    """An event of a host in the last four racks."""
    ci = f"h{8 + number % 4}-{number // 4 % HOSTS}"
    return orjson.dumps(
        {"id": f"c{number}", "time": BEGAN, "ci": ci, "class": "HostDown", "state": "firing", "severity": "major"}
    )


BAD = {7: alert(7, status="odd"), 20: 7, 33: alert(33, startsAt="1999-01-01T00:00:00Z")}
FIRED = hook(BAD.get(number, alert(number)) for number in range(ALERTS))
OVER = hook(alert(number, "resolved") for number in range(0, ALERTS, 2) if number not in BAD)
GARBAGE = b'{"what": "is this?"}'
SOFT = zabbix({"itemid": 5, "host": {"host": "h4-0"}, "value": 1})

Outcome = tuple[str, str, frozenset[str]]
"""Root, status and the events of an incident."""


async def replayed(*arguments: str) -> tuple[Counter[Outcome], Summary]:
    """What `opsbridge replay` says of a file."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "opsbridge.cli", "replay", *arguments, "--summary", "json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    lines = [msgspec.json.decode(line, type=FinalIncident) for line in out.splitlines()]
    summary = next(line for line in err.splitlines() if line.startswith(b'{"read"'))
    return (
        Counter((each.root.ci, each.status, frozenset(each.events)) for each in lines),
        msgspec.json.decode(summary, type=Summary),
    )


async def test_payloads_of_several_tools_become_what_a_replay_makes_of_them(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    folder = tmp_path / "topology"
    folder.mkdir()
    inputs = {"hooks": "alertmanager", "plain": "canonical", "events": "auto"}
    by_topic: dict[str, list[tuple[str, bytes]]] = {
        "alertmanager": [("hooks", FIRED), ("hooks", OVER)],
        "zabbix": [("events", problem(n)) for n in range(PROBLEMS)]
        + [("events", recovery(n)) for n in range(PROBLEMS)],
        "canonical": [("plain", canonical(n)) for n in range(16)],
    }
    sources = load_sources()
    items: list[Item] = [
        item for name, sent in by_topic.items() for _, value in sent for item in sources.named(name).items(value, (), 0)
    ]
    assert sum(isinstance(item, Report) and item.by_key and not item.ci for item in items) == PROBLEMS
    async with Installation(kafka.bootstrap_servers, unique("src"), folder, topology(), inputs=inputs) as live:
        one, other = await live.worker(), await live.worker()
        for number, sent in enumerate(by_topic.values()):
            for place, (topic, value) in enumerate(sent):  # problem and recovery, by any key, on any partition
                await live.publish([(b"%d-%d" % (number, place), value)], topic)
        # an alert of the hooks' own kind on the topic of plain events: its header says what it is
        named = hook([alert(99, labels={"alertname": "Down", "severity": "major", "host": "elsewhere"})])
        await live.publish([(b"n", named)], "plain", [(SOURCE_HEADER, b"alertmanager")])
        await live.publish([(b"s", SOFT), (b"g", GARBAGE)])
        items += [*sources.named("alertmanager").items(named, (), 0), *sources.named("zabbix").items(SOFT, (), 0)]
        items += sources.named("auto").items(GARBAGE, (), 0)
        wanted = live.expected_of(items, time.time())
        await live.until(lambda: len(live.dead) >= 2, one)
        await live.comes_to(wanted)
        told: Counter[str] = Counter()
        for worker in (one, other):
            for name, count in (await worker.metrics()).items():
                told[name.partition(",")[0]] += int(count)
            assert await worker.stop() == 0, worker.errors
        with Recorder(tmp_path / "recorded") as recorder:
            async for record in held(live.settings, ENTITIES):
                recorder.write(record)

    assert told["opsbridge_events_received_total"] == len(items) == ALERTS + 24 + 2 * PROBLEMS + 16 + 3
    assert told["opsbridge_events_rejected_total"] == 3 + 1
    placed = ("events_rejected", "events_withheld", "events_heard")
    assert told["opsbridge_events_received_total"] == sum(told[f"opsbridge_{name}_total"] for name in placed)
    letters = [{name.removeprefix(ERRORS): text.decode() for name, text in record.headers} for record in live.dead]
    assert sorted(letter["items"] for letter in letters) == ["1", "3"]
    (whole,) = (letter for letter in letters if letter["items"] == "3")
    assert all(place in whole["message"] for place in ("$.alerts[7].status", "$.alerts[20]", "event 34 (am0021"))

    estate = ("--topology", str(folder))
    alone: Counter[Outcome] = Counter()
    for name, sent in by_topic.items():
        file = tmp_path / f"{name}.jsonl"
        file.write_bytes(b"\n".join(value for _, value in sent))
        found, summary = await replayed(str(file), "--source", name, *estate)
        assert summary.balanced
        alone += found
    again, summary = await replayed(str(tmp_path / "recorded"), *estate)
    assert summary.read == len(items)
    assert summary.balanced
    assert {outcome for outcome in again if outcome[0] != "elsewhere"} == set(alone)
    ended = {(each.root, each.status, each.members) for each in wanted.final}
    assert len(ended) == again.total()
    reviewed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "opsbridge.cli", "review", str(tmp_path / "recorded"), *estate, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await reviewed.communicate()
    assert reviewed.returncode == 0, err.decode()
    review = json.loads(out)
    assert review["adds_up"], err.decode()
    assert review["events"]["read"] == len(items)
    assert review["events"]["places"]["dead_letter"] == {"invalid_field": 3, "time_too_old": 1}
