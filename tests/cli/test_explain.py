"""`opsbridge explain`: why, for an incident, a situation or an event, from a file and from the live topics."""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import gzip
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner, Result

from conftest import create_topic
from kafka_server import Kafka
from opsbridge.cli.investigation import Answer, investigate_all
from opsbridge.cli.main import app
from opsbridge.cli.payloads import of_canonical
from opsbridge.cli.replay import prepared
from opsbridge.core.ledger import Ledger
from opsbridge.core.pipeline import Decision
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.sources.canonical import decode

TOPOLOGY = """\
cis:
  - {id: core, type: switch}
  - {id: sw-1, type: switch, depends_on: [core]}
  - {id: sw-2, type: switch, depends_on: [core]}
  - {id: h1, depends_on: [sw-2]}
  - {id: h2, depends_on: [sw-2]}
  - {id: h3, depends_on: [sw-2]}
  - {id: h4, depends_on: [sw-2]}
  - {id: g1, depends_on: [sw-1]}
  - {id: g2, depends_on: [sw-1]}
  - {id: pay, type: service, depends_on: [h1]}
"""
RULES = """\
version: 1
rules:
  - {id: no-beats, kind: filter, action: drop, match: {class: Heartbeat}}
"""


def event(number: int, ci: str, class_: str = "HostDown", second: int = 0, **more: object) -> bytes:
    content = {
        "id": f"e{number}",
        "time": f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z",
        "ci": ci,
        "class": class_,
        "severity": "critical",
        "state": "firing",
    }
    return json.dumps(content | more).encode()


STORM = [
    event(1, "h1", second=1),
    event(2, "h2", second=1),
    event(3, "h3", "HighLatency", second=2),
    event(4, "pay", "HighErrorRate", second=4),
    event(5, "h1", second=5),
]
BESIDES = [
    event(6, "g1", "DiskFull", second=6),
    event(7, "g1", "Heartbeat", second=7),
    event(8, "g2", severity="info", second=8),
    event(9, "g2", severity=5),
    b'{"id": "e10", "time":',
    event(11, "g2", state="resolved", second=9),
    event(12, "h2", state="resolved", second=1500),
]

GOLDEN = """\
INC (critical, open): silent failure on sw-2 affects 5 dependent CIs
opened 2026-01-01T00:00:01.000Z; 4 alerts, 4 of them firing
P3: impact low, urgency high

Root cause: sw-2, which sent nothing itself; confidence N
  N nats are saved: its failure explains the alerts of 4 of 4 CIs
  -N a CI fails by itself in one of 403 windows
  -N it is monitored and sent nothing: one failure in 10
  -N of 5 CIs that should feel its failure 4 are affected and 1 silent
  N speak for it in all

Runners-up:
CI | nats for it | saves | costs | explains | what makes the difference
core | N | N | N | 4 | of 7 CIs that should feel its failure 5 are affected and 2 silent; what it \
explains is farther from it than from sw-2
h1 | N | N | N | 2 | it explains 2 of 4 CIs, not h2, h3
h2 | N | N | N | 1 | it explains 1 of 4 CIs, not h1, h3, pay
h3 | N | N | N | 1 | it explains 1 of 4 CIs, not h1, h2, pay

Members, by the path from the root (4 alerts):
path | alerts | cost | began after | alerts
sw-2 > each | 3 | N-N | 0-1 s | h1 HostDown, h2 HostDown, h3 HighLatency
sw-2 > h1 > each | 1 | N | 3 s | pay HighErrorRate

What would have changed the root (10 facts were supposed to be otherwise):
  if core had sent a cause-like alert when it began: the root would be core
  if sw-1, which depends on core, had alarmed too: the root would be core
"""
"""What is told, with N for what the weights decide: docs/explain.md shows the numbers."""


@pytest.fixture
def estate(tmp_path: Path) -> list[str]:
    (tmp_path / "estate.yaml").write_text(TOPOLOGY)
    (tmp_path / "rules.yaml").write_text(RULES)
    return ["--topology", str(tmp_path / "estate.yaml"), "--rules", str(tmp_path / "rules.yaml")]


@pytest.fixture
def explain(tmp_path: Path, estate: list[str]) -> Callable[..., Result]:
    def run(lines: list[bytes], *arguments: str) -> Result:
        path = tmp_path / "events.jsonl"
        path.write_bytes(b"\n".join(lines) + b"\n")
        return CliRunner().invoke(app, ["explain", *arguments, str(path), *estate])

    return run


def answers(result: Result) -> list[Answer]:
    assert result.exit_code == 0, result.stderr
    return [msgspec.json.decode(line, type=Answer) for line in result.stdout.splitlines()]


def plain(text: str) -> str:
    """What is printed without the frames of tables, the incident's id and the numbers that depend on weights."""
    lines: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")]
        if line[:1] in ("┏", "┡", "└"):
            continue
        if line.startswith("│") and not cells[0] and lines:  # the cell above goes on
            above = lines[-1].split(" | ")
            lines[-1] = " | ".join(f"{one} {other}".strip() for one, other in zip(above, cells, strict=True))
        else:
            lines.append(" | ".join(cells) if line[:1] in ("│", "┃") else line.rstrip())
    head, *rest = lines
    told = re.sub(r"(?<![:\d])\d+\.\d{3}(?!Z)", "N", "\n".join([f"INC {head.partition(' ')[2]}", *rest]))
    return re.sub(r"^ +", "  ", told, flags=re.MULTILINE) + "\n"


def test_an_incident_is_explained_to_a_person(explain: Callable[..., Result]) -> None:
    (found,) = answers(explain(STORM, "--all", "-o", "json"))
    assert found.incident is not None
    result = explain(STORM, found.incident.id)
    assert result.exit_code == 0, result.stderr
    assert plain(result.stdout) == GOLDEN
    assert explain(STORM, found.incident.situation).stdout == result.stdout
    assert explain(STORM, "--all").stdout == result.stdout


@pytest.mark.parametrize(
    ("asked", "line", "root"),
    [
        ("e1", "event e1 opened the alert HostDown on h1; it is in {}", "sw-2"),
        ("e5", "event e5 is a duplicate of the alert HostDown on h1, which e1 opened; it is in {}", "sw-2"),
        ("e12", "event e12 resolved the alert HostDown on h2, which e2 opened; it is in {}", "sw-2"),
        ("e6", "event e6 opened the alert DiskFull on g1; it is in {}", "g1"),
        ("e7", "event e7 was withheld by the rule no-beats", None),
        ("e8", "event e8 is informational, it is only logged: severity", None),
        ("e9", "event e9 is no event and went to the dead letters: invalid_field: ", None),
        ("e11", "event e11 resolves the alert HostDown on g2, whose firing was never heard", None),
    ],
)
def test_an_event_is_told_where_it_ended_and_then_its_incident(
    explain: Callable[..., Result], asked: str, line: str, root: str | None
) -> None:
    result = explain([*STORM, *BESIDES], asked)
    assert result.exit_code == 0, result.stderr
    (found,) = answers(explain([*STORM, *BESIDES], asked, "-o", "json"))
    incident = found.incident.id if found.incident else ""
    assert result.stdout.startswith(line.format(incident)), result.stdout
    assert (found.explanation.root.ci if found.explanation else None) == root
    assert (f"Root cause: {root}" in result.stdout) is (root is not None)


def test_an_event_that_was_sent_twice_is_told_twice(explain: Callable[..., Result]) -> None:
    (found,) = answers(explain([*STORM, STORM[0]], "e1", "-o", "json"))
    assert [(fate.place, fate.reason) for fate in found.fates] == [("alert", "opened"), ("alert", "duplicate")]


def test_an_unknown_id_ends_with_two_and_names_what_is_near(explain: Callable[..., Result], tmp_path: Path) -> None:
    (found,) = answers(explain(STORM, "--all", "-o", "json"))
    assert found.incident is not None
    for asked, near in ((found.incident.id[:-1], found.incident.id), ("ee1", "e1")):
        result = explain(STORM, asked)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{asked}: no such incident, situation or event in {tmp_path}/events.jsonl; did you mean {near}" in (
            result.stderr
        )
    assert "did you mean" not in explain(STORM, "zzzzzzzz").stderr


def test_a_merged_incident_is_explained_as_the_one_that_it_was_merged_into(explain: Callable[..., Result]) -> None:
    lines = [event(1, "h1", second=1), event(2, "g1", second=30), event(3, "core", "PowerSupplyFailed", second=61)]
    merged = {each.id for each in ledger_of(lines).incidents.values() if each.status == "merged"}
    assert merged, "the scenario has no merged incident"
    (found,) = answers(explain(lines, merged.pop(), "-o", "json"))
    assert found.incident is not None
    assert found.incident.root.ci == "core"
    assert found.notes[0].endswith(f"was merged into {found.incident.id}")


def ledger_of(lines: list[bytes]) -> Ledger:
    Path("merge.yaml").write_text(TOPOLOGY)
    replay = prepared([Path("merge.yaml")], [])()
    for line in lines:
        replay.read(of_canonical(line))
    replay.finish()
    return replay.ledger


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_has_long_been_closed_is_explained_as_it_was(explain: Callable[..., Result]) -> None:
    over = [event(20 + n, ci, c, 300, state="resolved") for n, (ci, c) in enumerate(ALERTS)]
    (now,) = answers(explain(STORM, "--all", "-o", "json"))
    later, lone = answers(explain([*STORM, *over, event(99, "g1", second=3500)], "--all", "-o", "json"))
    assert now.incident is not None
    assert later.incident is not None
    assert later.explanation is not None
    assert now.explanation is not None
    assert (later.incident.id, later.incident.status) == (now.incident.id, "closed")
    assert later.explanation.root == now.explanation.root
    assert later.explanation.members == now.explanation.members
    assert later.explanation.as_of_ms < 1_767_225_600_000 + 900_000
    assert lone.explanation is not None
    assert lone.explanation.root.ci == "g1"


ALERTS = [("h1", "HostDown"), ("h2", "HostDown"), ("h3", "HighLatency"), ("pay", "HighErrorRate")]


def test_every_incident_of_the_input_is_explained(tmp_path: Path, estate: list[str]) -> None:
    make = prepared([Path(estate[1])], [Path(estate[3])])
    found = investigate_all(make, lambda: map(of_canonical, [*STORM, *BESIDES]))
    assert [each.incident.root.ci for each in found if each.incident] == ["sw-2", "g1"]
    assert all(each.explanation for each in found)


def test_stdin_gzip_and_several_files_give_the_same(
    explain: Callable[..., Result], estate: list[str], tmp_path: Path
) -> None:
    whole = explain(STORM, "e4").stdout
    content = b"\n".join(STORM)
    assert CliRunner().invoke(app, ["explain", "e4", "-", *estate], input=content).stdout == whole
    assert CliRunner().invoke(app, ["explain", "e4", "-", *estate], input=gzip.compress(content)).stdout == whole
    (tmp_path / "one").write_bytes(b"\n".join(STORM[:2]))
    (tmp_path / "two.gz").write_bytes(gzip.compress(b"\n".join(STORM[2:])))
    assert CliRunner().invoke(app, ["explain", "e4", "one", "two.gz", *estate]).stdout == whole


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give EVENTS (- reads stdin) after the ID, or --topic"),
        (["INC-1"], "give EVENTS (- reads stdin) after the ID, or --topic"),
        (["--all"], "give EVENTS (- reads stdin)"),
        (["INC-1", "events.jsonl", "--topic"], "--topic takes one ID and no EVENTS"),
        (["--all", "--topic"], "--topic takes one ID and no EVENTS"),
        (["INC-1", "events.jsonl", "--since", "1h"], "--since is about --topic"),
        (["INC-1", "--topic", "--feedback", "f.jsonl"], "--feedback and --context are about EVENTS"),
        (["INC-1", "events.jsonl", "--known-errors", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["INC-1", "--topic", "--since", "soon"], "expected a number with s, m, h or d, not 'soon'"),
        (["INC-1", "nowhere.jsonl"], "nowhere.jsonl: No such file or directory"),
        (["INC-1", "-", "--topology", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_usage_ends_with_two(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["explain", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.replace("│", " ").split())


KNOWN = """\
version: 1
known_errors:
  - {id: KE-1, title: It hangs, match: {root.ci: sw-2}, workaround: Cut its power., permanent_fix: ""}
"""
RESTART = """\
version: 1
rules:
  - {id: calls, kind: respond, response: incident, match: {status: open}, group: network}
  - {id: restart, kind: respond, response: auto_response, match: {status: open}, action: restart, verify: {by: result}}
"""


def test_what_was_made_of_it_is_told_too(explain: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(KNOWN)
    (tmp_path / "rules.yaml").write_text(RESTART)
    change = {"kind": "change", "id": "CHG-7", "cis": ["sw-2"], "title": "new firmware", "begins": at(0)}
    (tmp_path / "context.jsonl").write_text(json.dumps(change | {"state": "done", "ends": at(0)}))
    (found,) = answers(explain(STORM, "--all", "-o", "json"))
    assert found.incident is not None
    (tried,) = found.incident.attempts
    said = {"situation": found.incident.situation, "response": tried.response, "by": "executor", "kind": "result"}
    said |= {"id": "f1", "time": at(11), "idempotency_key": f"{tried.response}:action:1", "outcome": "succeeded"}
    acts = [{"kind": kind, "id": kind, "time": at(12), "by": "kim"} for kind in ("acknowledge", "reopen", "comment")]
    of_it = [each | {"incident": found.incident.id, "note": "on site"} for each in acts]
    lines = [json.dumps(each) for each in [said, *of_it]]
    (tmp_path / "feedback.jsonl").write_text("\n".join([*lines, "no feedback"]))
    flags = ["--known-errors", "known.yaml", "--feedback", "feedback.jsonl", "--context", "context.jsonl"]
    result = explain(STORM, "e1", *flags)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("feedback.jsonl:5: invalid_json") == 1, "told once, though there are several runs"
    _, _, told = result.stdout.partition("firing\n")
    handled, _, _ = told.partition("\n\n")
    assert re.sub(r"2026-01-01T\S+Z|RSP-\w+", "X", handled).splitlines() == [
        "P3: impact low, urgency high, group network",
        "known error KE-1: It hangs; Cut its power.",
        "change CHG-7 to sw-2, from X: new firmware",
        "tried restart (X): effective, it was done, which is taken as proof",
        "X executor result X succeeded",
        "X kim acknowledge on site",
        "X kim reopen on site, which changed nothing: not_over",
        "X kim comment on site",
    ]


def at(second: int) -> str:
    return f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z"


# live


async def published(kafka: Kafka, prefix: str, lines: list[bytes]) -> list[Incident]:
    """Put lines into the input topic, and what the core says of them into the topics that a worker would fill."""
    ledger = ledger_of(lines)
    names = {entity: f"{prefix}{entity}.v1" for entity in ("events", "incidents", "incident-members")}
    for name in names.values():
        await create_topic(kafka.bootstrap_servers, name, 3)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for number, line in enumerate(lines):
            await producer.send_and_wait(names["events"], line, partition=number % 3)
        await producer.send_and_wait(names["events"], None, key=b"x", partition=0)
        for decision in decided(lines):
            if isinstance(decision, Incident):
                await producer.send_and_wait(names["incidents"], msgspec.json.encode(decision), decision.id.encode())
            elif isinstance(decision, IncidentMembers):
                key = decision.incident.encode()
                await producer.send_and_wait(names["incident-members"], msgspec.json.encode(decision), key)
    return list(ledger.incidents.values())


def decided(lines: Iterable[bytes]) -> list[Decision]:
    """All that the core says to these lines."""
    pipeline = prepared([Path("merge.yaml")], [])().pipeline
    told = [decision for line in lines for decision in pipeline.advance([decode(line)], 1 << 50)]
    return told + pipeline.finish()


async def test_live_topics_tell_what_is_published_and_explain_it_again(
    kafka: Kafka, unique: Callable[[str], str], estate: list[str]
) -> None:
    prefix = f"{unique('x')}."
    (incident,) = await published(kafka, prefix, STORM)

    async def asked(name: str, *more: str) -> Result:
        flags = ["--topic", "-b", kafka.bootstrap_servers, "--set", f"topics.prefix={prefix}", *more]
        return await asyncio.to_thread(CliRunner().invoke, app, ["explain", name, *flags])

    for name in (incident.id, incident.situation, "e4"):
        (found,) = answers(await asked(name, "-o", "json"))
        assert (found.incident, found.explanation) == (incident, None)
        assert {member.ci for member in found.members} == {"h1", "h2", "h3", "pay"}
    text = await asked(incident.id)
    assert "Root cause: sw-2, which sent nothing itself" in text.stdout
    assert "Members: the alerts of 4 CIs" in text.stdout

    again = await asked(incident.id, *estate)
    assert again.exit_code == 0, again.stderr
    assert plain(again.stdout) == GOLDEN
    (duplicate,) = answers(await asked("e5", *estate, "-o", "json"))
    assert [(fate.reason, fate.incidents) for fate in duplicate.fates] == [("duplicate", (incident.id,))]

    # an input that begins later gives the same incident another name: it is recognised by its events
    (found,) = answers(await asked("e5", *estate, "--since", "1d", "-o", "json"))
    assert found.explanation is not None

    for more in ((), tuple(estate)):
        unknown = await asked(incident.id[:-1], *more)
        assert (unknown.exit_code, unknown.stdout) == (2, "")
        assert f"did you mean {incident.id}?" in unknown.stderr


async def test_what_is_run_again_from_later_on_is_recognised_by_its_events(
    kafka: Kafka, unique: Callable[[str], str], estate: list[str]
) -> None:
    """The input has lost its beginning: the incident has another id when it is run through the core again."""
    prefix = f"{unique('x')}."
    first = [event(100, "h1", second=0), event(101, "h1", state="resolved", second=0)]
    before = [each for each in ledger_of([*first, *STORM]).incidents.values() if each.status != "merged"]
    (incident,) = await published(kafka, prefix, STORM)
    (older,) = before
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        known = msgspec.structs.replace(incident, id=f"{older.id}0", opened=incident.opened)
        await producer.send_and_wait(f"{prefix}incidents.v1", msgspec.json.encode(known), known.id.encode())
        moves = ledger_moves(STORM, known.id)
        await producer.send_and_wait(f"{prefix}incident-members.v1", msgspec.json.encode(moves), known.id.encode())
    flags = ["--topic", "-b", kafka.bootstrap_servers, "--set", f"topics.prefix={prefix}", "-o", "json", *estate]
    result = await asyncio.to_thread(CliRunner().invoke, app, ["explain", known.id, *flags])
    (found,) = answers(result)
    assert found.incident is not None
    assert found.incident.id == incident.id
    assert f"published as {known.id}; run through the core again" in found.notes[-1]


def ledger_moves(lines: list[bytes], name: str) -> IncidentMembers:
    """The members that the core has for these lines, as another incident would tell them."""
    (moves,) = [decision for decision in decided(lines) if isinstance(decision, IncidentMembers)]
    return msgspec.structs.replace(moves, incident=name)


async def test_topics_that_are_not_there_are_named(kafka: Kafka, unique: Callable[[str], str]) -> None:
    flags = ["--topic", "-b", kafka.bootstrap_servers, "--set", f"topics.prefix={unique('none')}."]
    result = await asyncio.to_thread(CliRunner().invoke, app, ["explain", "INC-1", *flags])
    assert result.exit_code == 2
    assert "no such topic: " in result.stderr


def test_without_a_broker_the_exit_code_is_three() -> None:
    flags = ["--topic", "-b", "127.0.0.1:1", "--set", "kafka.request_timeout=2"]
    patience = ["--set", "kafka.session_timeout=2", "--set", "kafka.heartbeat_interval=0.5"]
    result = CliRunner().invoke(app, ["explain", "INC-1", *flags, *patience])
    assert (result.exit_code, result.stdout) == (3, "")
    assert "no broker at 127.0.0.1:1" in result.stderr
