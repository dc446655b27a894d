"""The law of restart, without processes: wherever workers die, the incidents end up as if undisturbed.

All the stages of a worker run, on topics in memory, while time goes by a hundred times as fast; a worker dies when it
has written so many records. How many, and how its input is cut, is chance: so is what it had told and not saved, saved
and not told, or saved in part.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord
from faust import Event
from faust.types import TP, ConsumerMessage, Message

from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.core.times import rfc3339
from opsbridge.settings import Settings
from opsbridge.stream import stages
from opsbridge.stream.app import WorkerApp, create_app
from opsbridge.stream.batches import BatchConsumer, Fetch, Record
from opsbridge.stream.estate import Estate, load_estate
from opsbridge.stream.lanes import Lane, Stage
from opsbridge.stream.outbox import BatchWriter, OutRecord
from opsbridge.stream.stages import Stages
from opsbridge.stream.tables import StateTable
from opsbridge.stream.topics import topic_name
from opsbridge.web.metrics import Metrics

HOSTS = 450
"""More than two records of a situation's members."""
START = 1_767_268_800_000
SPREAD_MS = 14_000
FASTER = 100
SITES = ("a", "b")
FIRING = {"class": "Down", "state": "firing", "severity": "critical"}
OVER = {"class": "Down", "state": "resolved"}

Logs = dict[str, list[OutRecord]]
"""What is written: one partition of each topic."""
Outcome = set[tuple[str, str, int, int, frozenset[tuple[str, str]]]]
"""Of each incident that was not merged: its root, its status, how many alerts it has and how many of them fire, and its
members with the events that opened them."""


class Hurry:
    """A clock that runs fast; it takes the place of the module."""

    perf_counter = staticmethod(time.perf_counter)
    time_ns = staticmethod(time.time_ns)

    @staticmethod
    def monotonic() -> float:
        return time.monotonic() * FASTER


class Memory(BatchWriter):
    """Writes to topics in memory, until nothing may be written any more."""

    def __init__(self, settings: Settings, logs: Logs, records: float) -> None:
        super().__init__(settings.kafka)
        self.logs = logs
        self.left = records
        self.dead = asyncio.Event()

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 # all have one
        return 1

    async def write(self, topic: str, partition: int, records: Iterable[OutRecord]) -> int:  # noqa: ARG002 # as above
        log = self.logs.setdefault(topic, [])
        for each in records:
            await asyncio.sleep(0)  # what is written to other topics comes between
            if self.left <= 0:
                self.dead.set()
                await asyncio.Event().wait()
            self.left -= 1
            log.append(each)
        return len(log) - 1


class Life:
    """A worker from its start to its death, or until everything is done."""

    def __init__(self, settings: Settings, estate: Estate, logs: Logs, records: float, chance: random.Random) -> None:
        self.app: WorkerApp = create_app(settings)
        self.app.writer = self.writer = Memory(settings, logs, records)
        self.app.consumer_generation_id = 1
        self._stages = Stages(self.app, estate, Metrics())
        self._logs = logs
        self._chance = chance
        self._done: dict[str, int] = {}

    async def live(self, committed: dict[str, int]) -> None:
        """Work from these offsets on, which go on meanwhile, until it is dead or nothing is left to do."""
        consumer = self.app.consumer
        assert isinstance(consumer, BatchConsumer)
        self._done = committed
        tasks: list[asyncio.Task[None]] = []
        for stage in self.app.stages:
            if stage.name in self.app.tables:
                self._recover(self.app.tables[stage.name])  # type: ignore[arg-type] # all are of our kind
            for topic in stage.topics:
                consumer.spans[TP(topic, 0)] = committed.get(topic, 0), len(self._logs.get(topic, ()))
        for stage in self.app.stages:
            lane = Lane(0, self._acknowledge, 0.002)
            tasks.append(asyncio.create_task(self._run(stage, lane)))
            tasks += [asyncio.create_task(self._feed(topic, lane)) for topic in stage.topics]
        tasks += [asyncio.create_task(end) for end in (self._quiet(), self._death())]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _run(self, stage: Stage, lane: Lane) -> None:
        await stage.run(lane)

    async def _death(self) -> None:
        await self.writer.dead.wait()

    async def _quiet(self) -> None:
        """Until everything is committed, and stays so for half a minute as the worker counts it."""
        topics = [topic for stage in self.app.stages for topic in stage.topics]
        since = time.monotonic()
        while time.monotonic() - since < 30 / FASTER:
            await asyncio.sleep(0.01)
            if any(self._done.get(topic, 0) < len(self._logs.get(topic, ())) for topic in topics):
                since = time.monotonic()

    def _acknowledge(self, message: Message) -> None:
        self._done[message.topic] = message.offset + 1

    def _recover(self, table: StateTable) -> None:
        records = [*self._read(table.changelog, 0)]
        if records:
            table.apply_changelog_batch([self._event(table.changelog, 0, records)])
        table.complete({0: len(records) - 1})

    def _read(self, topic: str, start: int) -> Iterable[Record]:
        for offset, (key, value, headers, _) in enumerate(self._logs.get(topic, ())[start:], start):
            yield ConsumerRecord(topic, 0, offset, 0, 0, key, value, None, 0, 0, tuple(headers or ()))

    def _event(self, topic: str, number: int, records: list[Record]) -> Event:
        consumer = self.app.consumer
        assert isinstance(consumer, BatchConsumer)
        message = consumer._to_message((topic, 0), Fetch(number, records))  # type: ignore[arg-type] # only carried
        assert isinstance(message, ConsumerMessage)
        return Event(self.app, None, None, None, message)

    async def _feed(self, topic: str, lane: Lane) -> None:
        at = self._done.get(topic, 0)
        for number in itertools.count():
            while at >= len(self._logs.get(topic, ())):  # noqa: ASYNC110 # a turn of the loop is all it takes
                await asyncio.sleep(0)
            records = [*itertools.islice(self._read(topic, at), self._chance.choice((1, 3, 10, 100)))]
            at = records[-1].offset + 1
            await lane.put(self._event(topic, number, records))
            for _ in range(self._chance.choice((0, 0, 3, 30))):
                await asyncio.sleep(0)


@pytest.fixture(params=["one domain", "a backbone"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    hosts = [{"id": f"{site}-host-{n}", "site": site} for site in SITES for n in range(HOSTS // len(SITES))]
    cis = [{"id": "core"}, *({"id": f"{site}-switch", "site": site} for site in SITES), *hosts]
    edges = [[f"{site}-switch", "core"] for site in SITES]
    edges += [[host["id"], f"{host['site']}-switch"] for host in hosts]
    (tmp_path / "topology").mkdir()
    (tmp_path / "topology" / "estate.json").write_text(json.dumps({"cis": cis, "depends_on": edges}))
    (tmp_path / "rules").mkdir()
    paths = {"topology": tmp_path / "topology", "rules": tmp_path / "rules"}
    tree: dict[str, object] = {"paths": paths, "topics": {"partitions": 1}}
    if request.param == "a backbone":
        tree["correlation"] = {"domain_attribute": "site"}
    return Settings.model_validate(tree)


def happened(chance: random.Random) -> list[OutRecord]:
    """Every host alarms, in some order, some of them again; some recover."""
    hosts = [f"{site}-host-{n}" for site in SITES for n in range(HOSTS // len(SITES))]
    moments = [(START + chance.randrange(SPREAD_MS), host, FIRING) for host in hosts]
    begun = list(moments)
    moments += [(time + chance.randrange(1_000), host, FIRING) for time, host, _ in chance.sample(begun, HOSTS // 10)]
    moments += [
        (time + 1_000 + chance.randrange(3_000), host, OVER) for time, host, _ in chance.sample(begun, HOSTS // 10)
    ]
    return [
        (host.encode(), json.dumps({"id": f"e{n}", "time": rfc3339(at), "ci": host} | state).encode(), None, None)
        for n, (at, host, state) in enumerate(sorted(moments, key=itemgetter(0, 1)))
    ]


def outcome(logs: Logs, settings: Settings) -> Outcome:
    """What the incidents have come to, as anybody sees it who reads the topics to their ends."""
    incidents: dict[str, Incident] = {}
    members: dict[str, dict[str, str]] = {}
    for _, value, _, _ in logs.get(topic_name(settings.topics, "incidents"), ()):
        incident = msgspec.json.decode(value or b"", type=Incident)
        incidents[incident.id] = incident
    for _, value, _, _ in logs.get(topic_name(settings.topics, "incident-members"), ()):
        news = msgspec.json.decode(value or b"", type=IncidentMembers)
        held = members.setdefault(news.incident, {})
        for member in news.moved.left:
            held.pop(member.fingerprint, None)
        held.update((member.fingerprint, member.event) for member in news.moved.joined)
    return {
        (each.root.ci, each.status, each.alerts, each.firing, frozenset(members.get(each.id, {}).items()))
        for each in incidents.values()
        if each.status != "merged"
    }


async def run(settings: Settings, estate: Estate, chance: random.Random, deaths: int) -> Outcome:
    """What is written when so many workers die one after the other, and what it comes to."""
    logs: Logs = {topic_name(settings.topics, "events"): happened(random.Random(1))}
    committed: dict[str, int] = {}
    for number in range(deaths + 1):
        records = chance.randrange(1, 600) if number < deaths else 1e9
        async with asyncio.timeout(20):
            await Life(settings, estate, logs, records, chance).live(committed)
    return outcome(logs, settings)


@pytest.mark.parametrize("seed", range(6))
async def test_workers_that_die_anywhere_leave_what_one_that_lives_does(
    settings: Settings, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = load_estate(settings)
    monkeypatch.setattr(stages, "time", Hurry)
    chance = random.Random(seed)
    wanted = await run(settings, estate, chance, deaths=0)
    assert sum(len(members) for *_, members in wanted) == HOSTS
    assert await run(settings, estate, chance, deaths=8) == wanted
