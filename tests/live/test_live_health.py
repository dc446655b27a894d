"""The health of a topology is the same whether it is asked of the live topics or of a replay of the same events."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from installation import PATIENCE, Installation
from logins import event
from storm import Sent
from typer.testing import CliRunner

from kafka_server import Kafka
from opsbridge.cli.main import app

HOSTS = [f"h{number}" for number in range(1, 5)]
TOPOLOGY = orjson.dumps(
    {
        "cis": [
            {"id": "switch", "type": "switch"},
            *({"id": host, "type": "host", "depends_on": ["switch"]} for host in HOSTS),
            {"id": "pay", "type": "service"},
            {"id": "ledger", "type": "service"},
            {"id": "shop", "type": "service", "depends_on": ["pay", "ledger"]},
            {"id": "lonely", "type": "printer"},
        ]
    }
)
ROUNDS = 7
HOUR = 3600


def storms(end: float) -> Iterator[Sent]:
    """Round after round: the switch fails and h4 does not feel it; pay and ledger fail together; others alarm alone."""
    for number in range(ROUNDS):
        start = end - (ROUNDS - number) * 2 * HOUR
        failures = [
            (0, 600, ["switch", "h1", "h2", "h3"]),
            (1800, 2400, ["lonely"]),
            (3600, 4200, ["pay"]),
            (3605, 4205, ["ledger"]),
            (5400, 6000, ["H2.example.net"]),
        ]
        for begin, over, names in failures:
            for name in names:
                yield event(f"{name}-{number}-down", start + begin, name, "HostDown", "critical")
            for name in names:
                yield event(f"{name}-{number}-up", start + over, name, "HostDown", None)


async def findings(*arguments: str) -> tuple[int, Any]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["topology", "health", *arguments, "-o", "json"])
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, orjson.loads(result.stdout)


async def test_the_live_topics_and_a_replay_give_the_same_findings(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    for folder in ("topology", "rules"):
        (tmp_path / folder).mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text("version: 1\nrules: []\n")
    sent = sorted(storms(time.time() - HOUR), key=lambda each: orjson.loads(each[1])["time"])
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(value for _, value in sent))
    folders = tmp_path / "topology", TOPOLOGY
    (tmp_path / "topology" / "estate.json").write_bytes(TOPOLOGY)
    estate = str(tmp_path / "topology")
    replayed = await findings(estate, "--replay", str(tmp_path / "events.jsonl"))
    told = {(each["kind"], each["severity"], each["reference"]) for each in replayed[1]["findings"]}
    assert told == {
        ("unknown_ci", "warning", "H2.example.net"),
        ("contradicted_edge", "warning", "h4 -> switch"),
        ("missing_edge", "warning", "ledger -> pay"),
        ("orphan", "warning", "lonely"),
        ("never_seen", "info", "host"),
    }
    # Of half a day in one burst, lanes of several partitions may tell a situation in two halves (decision 0011).
    installation = Installation(kafka.bootstrap_servers, unique("i"), *folders, rules=tmp_path / "rules", partitions=1)
    async with installation as live:
        worker = await live.worker()
        await worker.joined()
        await live.publish(sent)
        flags = ["--topic", "-b", kafka.bootstrap_servers, "--set", f"topics.prefix={live.settings.topics.prefix}"]
        found = await findings(estate, *flags)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while found != replayed:
                    assert worker.runs, worker.errors
                    found = await findings(estate, *flags)
        for ours, theirs in zip(found[1]["findings"], replayed[1]["findings"], strict=True):
            assert ours == theirs
        assert found == replayed
        assert await worker.stop() == 0, worker.errors
