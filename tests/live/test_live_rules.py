"""Rules with a memory, live: what is spread over partitions and workers decides as one pipeline does, come what may."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
import orjson
import pytest
from installation import Installation, Worker
from logins import AUTH, GUESSED, RULES, TOPOLOGY, event, logins
from storm import Sent, storm

from kafka_server import Kafka
from opsbridge.core.decisions import Shadowed
from opsbridge.rules.load import RuleError
from opsbridge.stream.estate import load_estate
from opsbridge.stream.topics import topic_name


class Install(Protocol):
    """An installation with these rules; they may be written again."""

    def __call__(self, rules: str, topology: bytes = TOPOLOGY) -> Installation: ...


@pytest.fixture
def install(kafka: Kafka, unique: Callable[[str], str], tmp_path: Path) -> Install:
    def install(rules: str, topology: bytes = TOPOLOGY) -> Installation:
        for folder in ("topology", "rules"):
            (tmp_path / folder).mkdir()
        (tmp_path / "rules" / "rules.yaml").write_text(rules)
        return Installation(
            kafka.bootstrap_servers, unique("i"), tmp_path / "topology", topology, rules=tmp_path / "rules"
        )

    return install


def parts(records: tuple[Sent, ...], count: int) -> list[tuple[Sent, ...]]:
    size = -(-len(records) // count)
    return [records[start : start + size] for start in range(0, len(records), size)]


@pytest.fixture
async def counting(install: Install) -> AsyncIterator[Installation]:
    async with install(RULES) as live:
        yield live


async def test_a_count_across_cis_and_partitions_is_that_of_one_pipeline(counting: Installation) -> None:
    sent = logins(end=time.time())
    wanted = counting.expected(sent, time.time())
    assert wanted.derived == Counter({("guessing", True): len(GUESSED)})
    worker = await counting.worker()
    await counting.publish(sent)
    await counting.comes_to(wanted)
    metrics = await worker.metrics()
    assert metrics["opsbridge_events_derived_total,rule=guessing"] == len(GUESSED)
    assert conserved(metrics)
    assert await worker.stop() == 0, worker.errors

    (raised,) = [one for one in counting.fold.final() if one.root == AUTH]
    assert raised.alerts >= len(GUESSED)
    state = await counting.read("first-level-state")
    kept = {record.partition for record in state if (record.key or b"").startswith(b"\x01")}
    assert len(kept) > 1, "all groups are in one partition: this test shows nothing"
    joined = [one for one in counting.fold.final() if one.root.startswith("till")]
    assert sorted(len(one.members) for one in joined) == [4, 4]
    homes = {record.partition for record in await counting.read("alerts") if b"till" in (record.value or b"")}
    assert len(homes) <= 2


async def test_a_count_goes_on_after_kill_9_in_the_middle(counting: Installation) -> None:
    sent = logins(end=time.time())
    wanted = counting.expected(sent, time.time())
    first, second, third = parts(sent, 3)
    await counting.publish(first)
    worker = await counting.worker()
    await counting.written_above("first-level-state", 0)
    await worker.kill()
    await counting.publish(second)
    worker = await counting.worker()
    await counting.written_above("first-level-state", await counting.written("first-level-state"))
    await worker.kill()
    worker = await counting.worker()
    await counting.publish(third)
    await counting.comes_to(wanted)
    assert await worker.stop() == 0, worker.errors


def moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


async def test_what_a_window_and_a_hold_withhold_is_listed_and_released(install: Install) -> None:
    end = time.time()
    begins, ends = end - 10, end - 4
    rules = f"""\
version: 1
rules:
- id: patching
  kind: maintenance
  cis: {{ci: host-0}}
  match: {{class: [HostDown, DiskFull]}}
  windows: [{{from: {moment(begins)}, to: {moment(ends)}}}]
- id: slow-for-long
  kind: hold
  match: {{class: Slow}}
  for: 3s
"""
    sent = (
        event("before", begins - 1, "host-0", "DiskFull", "major"),
        event("down", begins + 2, "host-0", "HostDown", "critical"),
        event("other", begins + 2, "host-1", "HostDown", "critical"),
        event("short", begins + 3, "host-2", "Slow", "minor"),
        event("long", begins + 3, "host-3", "Slow", "minor"),
        event("over", begins + 4, "host-2", "Slow", None),
        event("again", ends + 1, "host-1", "HostDown", "critical"),
    )
    async with install(rules) as live:
        wanted = live.expected(sent, end)
        worker = await live.worker()
        await live.publish(sent)
        await live.comes_to(wanted)
        metrics = await worker.metrics()
        assert await worker.stop() == 0, worker.errors

    told = {fingerprint.partition("\x1f")[0]: news for fingerprint, *news in sorted(live.fold.withheld())}
    assert told == {
        "host-0": ["down", "patching", "maintenance", "released"],
        "host-2": ["short", "slow-for-long", "hold", "resolved"],
        "host-3": ["long", "slow-for-long", "hold", "released"],
    }
    members = {opener for one in live.fold.final() for _, opener in one.members}
    assert members == {"before", "down", "other", "long"}
    suppressed = {
        key.removeprefix("opsbridge_alerts_suppressed_total,"): n
        for key, n in metrics.items()
        if key.startswith("opsbridge_alerts_suppressed_total")
    }
    assert suppressed == {
        "kind=maintenance,state=withheld": 1,
        "kind=maintenance,state=released": 1,
        "kind=hold,state=withheld": 2,
        "kind=hold,state=released": 1,
        "kind=hold,state=resolved": 1,
    }
    assert conserved(metrics)


ELSEWHERE = """\
version: 1
rules:
- {id: to-security, kind: filter, match: {class: DoorOpen}, action: route, to: security}
- {id: no-fans, kind: filter, match: {class: FanSlow}, action: drop, shadow: true}
"""


async def test_what_is_routed_goes_there_as_it_came_and_what_is_tried_is_told(install: Install) -> None:
    door = event("door", time.time(), "host-0", "DoorOpen", "major", room="b12")
    fan = event("fan", time.time(), "host-1", "FanSlow", "major")
    async with install(ELSEWHERE) as live:
        wanted = live.expected((door, fan), time.time())
        worker = await live.worker()
        await live.publish((door, fan))
        await live.comes_to(wanted)
        (routed,), (tried,) = await live.read("routed"), await live.read("shadow")
        metrics = await worker.metrics()
        assert await worker.stop() == 0, worker.errors

    assert (routed.key, routed.value) == (b"security", door[1])
    headers = dict(routed.headers)
    assert headers["__opsbridge.rule"] == b"to-security"
    assert headers["__opsbridge.key"] == door[0]
    assert headers["__opsbridge.topic"].decode() == topic_name(live.settings.topics, "events")
    shadowed = msgspec.json.decode(tried.value or b"", type=Shadowed)
    assert (tried.key, shadowed.rule, shadowed.would, shadowed.event) == (b"no-fans", "no-fans", "drop", "fan")
    assert wanted.shadowed == Counter({("no-fans", "drop", "fan"): 1})
    assert [opener for one in live.fold.final() for _, opener in one.members] == ["fan"]
    assert metrics["opsbridge_events_withheld_total,place=routed,reason=to-security"] == 1
    assert metrics["opsbridge_events_routed_total,route=security"] == 1
    assert metrics["opsbridge_shadow_decisions_total,rule=no-fans,would=drop"] == 1
    assert conserved(metrics)


async def test_an_expected_ci_is_missed_even_where_nothing_is_ever_heard(install: Install) -> None:
    rules = """\
version: 1
rules:
- id: alive
  kind: heartbeat
  match: {class: Heartbeat}
  every: 1s
  expect: {ci: host-3}
  raise: {class: HeartbeatMissing, severity: major}
"""
    async with install(rules) as live:
        worker = await live.worker()
        await live.written_above("alerts", 0)
        (alert,) = [told for record in await live.read("alerts") for told in orjson.loads(record.value or b"")]
        assert (alert["change"], alert["ci"], alert["class"]) == ("opened", "host-3", "HeartbeatMissing")
        assert await worker.stop() == 0, worker.errors


# reload

LASTING = """\
- {id: heartbeats, kind: filter, match: {class: Heartbeat}, action: drop}
- id: guessing
  kind: threshold
  type: event_count
  match: {class: LoginFailed}
  group_by: [labels.user]
  timespan: 1m
  condition: {gte: 4}
  resolve_after: 2h
  raise: {class: PasswordGuessing, severity: major, ci: core}
- id: wait-for-it
  kind: hold
  match: {class: LoginFailed, severity: warning}
  for: 2h
"""


def thousand(version: int) -> str:
    """A rule set of 1 000 rules, of which only a few concern anything that happens, and these stay."""
    filters = [
        f"- {{id: unseen-{number}, kind: filter, match: {{class: Unseen{version}-{number}}}, action: drop}}\n"
        for number in range(1_000 - 3)
    ]
    return "version: 1\nrules:\n" + LASTING + "".join(filters)


async def test_a_reload_of_1_000_rules_under_load_loses_and_doubles_nothing(install: Install) -> None:
    now = time.time()
    storming = storm(2_000, end=now)
    records = with_logins(storming.records)
    async with install(thousand(0), storming.topology) as live:
        rules = live.settings.paths.rules / "rules.yaml"
        first = load_estate(live.settings).rules.digest
        wanted = live.expected(records, now)
        assert wanted.derived == Counter({("guessing", True): 1})
        assert Counter(one.state for one in wanted.fold.suppressed.values()) == Counter(withheld=1)
        worker = await live.worker()
        await worker.joined()
        feed = Feed(live, records)
        assert await digest(worker) == first
        assert [await reloaded(worker), await refused(worker)] == [True, False]

        await feed.up_to(1)
        rules.write_text(thousand(1))
        await feed.during(lambda: changed(worker, first))
        second = await digest(worker)
        assert second == load_estate(live.settings).rules.digest

        await feed.up_to(2)
        rules.write_text(thousand(2) + "- {id: broken, kind: fliter, match: {class: a}, action: drop}\n")
        await feed.during(lambda: refused(worker))
        assert await digest(worker) == second
        with pytest.raises(RuleError, match="broken") as refusal:
            load_estate(live.settings)

        await feed.up_to(3)
        rules.write_text(thousand(3))
        await feed.during(lambda: reloaded(worker))
        assert await digest(worker) == load_estate(live.settings).rules.digest not in (first, second)
        await feed.up_to(4)
        await live.comes_to(wanted)
        metrics = await worker.metrics()
        assert await worker.stop() == 0, worker.errors

    assert feed.sent_meanwhile > 0, "nothing was sent while rules were reloaded: this test shows nothing"
    total = sum(n for key, n in metrics.items() if key.startswith("opsbridge_events_received_total"))
    assert total == len(records)
    assert metrics["opsbridge_events_heard_total,outcome=repeated"] == 0
    assert metrics["opsbridge_events_derived_total,rule=guessing"] == 1
    assert conserved(metrics)
    log = [orjson.loads(line)["message"] for line in worker.log if line.startswith("{") and "rules " in line]
    assert any(line.startswith("rules reloaded: 997 changed (unseen-0, ") for line in log), log
    assert f"rules refused: {refusal.value}" in log
    assert f"rules with digest {second} stay in use" in log


async def test_sighup_reloads_where_files_are_not_watched(install: Install) -> None:
    async with install(thousand(0)) as live:
        worker = await live.worker(paths__watch="false")
        await worker.joined()
        before = await digest(worker)
        (live.settings.paths.rules / "rules.yaml").write_text(RULES)
        worker.hang_up()
        while not await changed(worker, before):
            pass
        assert await digest(worker) == load_estate(live.settings).rules.digest
        assert (await worker.metrics())["opsbridge_rules"] == 2
        assert await worker.stop() == 0, worker.errors


class Feed:
    """Sends records bit by bit."""

    def __init__(self, live: Installation, records: list[Sent]) -> None:
        self._live, self._records, self._done = live, records, 0
        self.sent_meanwhile = 0

    async def _send(self, to: int) -> None:
        await self._live.publish(self._records[self._done : to])
        self._done = to

    async def up_to(self, quarter: int) -> None:
        """Send up to that quarter, less what is kept for the time of the next reload."""
        await self._send(max(self._done, len(self._records) * quarter // 4 - (150 if quarter < 4 else 0)))

    async def during(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Go on sending while waiting for the condition."""
        while not await condition():
            before = self._done
            await self._send(min(self._done + 5, len(self._records)))
            self.sent_meanwhile += self._done - before


def with_logins(records: Sequence[Sent]) -> list[Sent]:
    """The records with a failed login early in each quarter."""
    found = list(records)
    for quarter in range(4):
        at = len(found) * quarter // 4
        near = next(value for _, value in found[at:] if value.startswith(b'{"id":"e'))
        time = datetime.fromisoformat(orjson.loads(near)["time"]).timestamp()
        found.insert(at, event(f"login-{quarter}", time, "vm-0", "LoginFailed", "warning", user="eve"))
    return found


async def digest(worker: Worker) -> str:
    """The digest of the rules in use; one only."""
    (found,) = [key for key in await worker.metrics() if key.startswith("opsbridge_config_info")]
    return found.partition("rules=")[2].partition(",")[0]


async def changed(worker: Worker, before: str) -> bool:
    return await digest(worker) != before


async def reloaded(worker: Worker) -> bool:
    return (await worker.metrics())["opsbridge_config_last_reload_successful"] == 1


async def refused(worker: Worker) -> bool:
    return not await reloaded(worker)


def conserved(metrics: dict[str, float]) -> bool:
    """Whether every event, received or derived, is in one place."""

    def total(name: str) -> float:
        return sum(n for key, n in metrics.items() if key.startswith(f"opsbridge_events_{name}_total"))

    assert total("received") > 0
    return total("received") + total("derived") == total("rejected") + total("withheld") + total("heard")
