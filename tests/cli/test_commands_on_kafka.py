"""`topics` and `send` against a broker, the embedded one and Apache Kafka."""

# mypy: untyped-calls-exclude="aiokafka"
import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from typer.testing import CliRunner, Result

from conftest import MakeTopic, create_topic
from kafka_server import Kafka
from opsbridge.cli.main import app


async def _invoke(*arguments: str) -> Result:
    """In a thread: the commands run event loops of their own."""
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_topics_are_missing_then_created_then_fine(kafka: Kafka, unique: Callable[[str], str]) -> None:
    flags = ["-b", kafka.bootstrap_servers, "--set", f"topics.prefix={unique('t')}.", "-o", "json"]
    missing = await _invoke("topics", "--check", *flags)
    assert missing.exit_code == 1
    assert "does not exist; create it with" in missing.stderr
    assert json.loads(missing.stdout)["created"] == []
    created = await _invoke("topics", "--create", *flags)
    assert created.exit_code == 0, created.stderr
    answer = json.loads(created.stdout)
    assert sorted(answer["created"]) == sorted(row["topic"] for row in answer["topics"])
    fine = await _invoke("topics", "--check", *flags)
    assert fine.exit_code == 0, fine.stderr
    assert "the cluster has every topic as it must be" in fine.stderr


async def test_send_publishes_lines_as_they_are_keyed_by_ci(
    kafka: Kafka, make_topic: MakeTopic, tmp_path: Path
) -> None:
    topic = await make_topic(3)
    lines = [b'{"ci":"a","n":1}', b"broken", b'{"ci":"a","n":2}', b'{"ci":7}']
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines))
    flags = ["--topic", topic, "-b", kafka.bootstrap_servers]
    sent = await _invoke("send", str(tmp_path / "events.jsonl"), *flags)
    assert sent.exit_code == 0, sent.stderr
    assert f"4 lines sent to {topic}, 2 of them without key" in sent.stderr
    assert sent.stdout == ""
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        records = [await consumer.getone() for _ in lines]
    assert sorted(record.value for record in records) == sorted(lines)
    assert [record.value for record in records if record.key == b"a"] == [lines[0], lines[2]]


async def test_send_says_what_the_events_come_as_and_keys_them_by_their_alert(
    kafka: Kafka, make_topic: MakeTopic, tmp_path: Path
) -> None:
    topic = await make_topic(3)
    problem = {"eventid": 7, "clock": 1_767_225_600, "ns": 0, "value": 1, "name": "Down", "severity": 4}
    over = {"eventid": 9, "p_eventid": 7, "clock": 1_767_225_660, "ns": 0, "value": 0}
    lines = [json.dumps(each).encode() for each in (problem | {"hosts": [{"host": "h1"}]}, over, {"what": 1})]
    (tmp_path / "problems.jsonl").write_bytes(b"\n".join(lines))
    flags = ["--topic", topic, "-b", kafka.bootstrap_servers, "--source"]
    sent = await _invoke("send", str(tmp_path / "problems.jsonl"), *flags, "zabbix")
    assert sent.exit_code == 0, sent.stderr
    assert f"3 lines sent to {topic}, 1 of them without key, 1 of them for the dead letters" in sent.stderr
    assert "problems.jsonl:3: invalid_field: " in sent.stderr
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        records = [await consumer.getone() for _ in lines]
    assert {(record.value, record.key) for record in records} == set(
        zip(lines, [b"zabbix:7", b"zabbix:7", None], strict=True)
    )
    assert all(record.headers == (("opsbridge-source", b"zabbix"),) for record in records)
    unknown = await _invoke("send", str(tmp_path / "problems.jsonl"), *flags, "zabix")
    assert unknown.exit_code == 2
    assert "'zabbix'" in unknown.stderr


@pytest.mark.parametrize(
    ("to", "line", "key"),
    [
        ("feedback", b'{"incident":"INC-1","by":"ann"}', b"S-1"),
        ("feedback", b'{"response":"RSP-1","situation":"S-2"}', b"S-2"),
        ("feedback", b'{"kind":"stop_automation"}', None),
        ("feedback", b'{"kind":"stop_automation","id":"1","time":"2026-01-01T12:00:00Z","by":"ann"}', None),
        ("context", b'{"kind":"change","id":"c1"}', b"change:c1"),
    ],
)
async def test_send_gives_feedback_and_context_the_key_that_belongs_to_them(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path, to: str, line: bytes, key: bytes | None
) -> None:
    prefix = unique("s") + "."
    await create_topic(kafka.bootstrap_servers, f"{prefix}{to}.v1", 2)
    (tmp_path / "said.jsonl").write_bytes(line)
    flags = ["--to", to, "-b", kafka.bootstrap_servers, "--set", f"topics.prefix={prefix}"]
    sent = await _invoke("send", str(tmp_path / "said.jsonl"), *flags)
    assert sent.exit_code == 0, sent.stderr
    assert f"1 lines sent to {prefix}{to}.v1" in sent.stderr
    understood = b'"by":"ann"}' in line and b'"kind"' in line
    assert ("said.jsonl:1: invalid_field: " not in sent.stderr) == understood
    assert (", 1 of them for the dead letters" not in sent.stderr) == understood
    async with AIOKafkaConsumer(
        f"{prefix}{to}.v1", bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()
    assert (record.key, record.value) == (key, line)


async def test_send_keeps_lines_without_a_key_from_the_context(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    prefix = unique("s") + "."
    await create_topic(kafka.bootstrap_servers, f"{prefix}context.v1", 1)
    good = b'{"kind":"edge","from":"a","on":"b"}'
    (tmp_path / "said.jsonl").write_bytes(b'no json\n{"kind":"edge","from":"a"}\n' + good)
    flags = ["--to", "context", "-b", kafka.bootstrap_servers, "--set", f"topics.prefix={prefix}"]
    sent = await _invoke("send", str(tmp_path / "said.jsonl"), *flags)
    assert sent.exit_code == 1
    assert "said.jsonl:1: invalid_json: " in sent.stderr
    assert "said.jsonl:2: invalid_field: " in sent.stderr
    told = f"1 lines sent to {prefix}context.v1; 2 not sent: the topic takes no record without a key"
    assert sent.stderr.splitlines()[-1] == told
    async with AIOKafkaConsumer(
        f"{prefix}context.v1", bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()
    assert (record.key, record.value) == (b"edge:a>b", good)


async def test_send_refuses_a_line_that_no_broker_takes(kafka: Kafka, make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = await make_topic()
    (tmp_path / "events.jsonl").write_bytes(b"x" * 2_000_000)
    sent = await _invoke("send", str(tmp_path / "events.jsonl"), "--topic", topic, "-b", kafka.bootstrap_servers)
    assert sent.exit_code == 2
    assert "events.jsonl:1: 2000000 bytes exceed kafka.max_message_bytes (1000000)" in sent.stderr


async def test_send_to_a_topic_that_is_not_there_says_so(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"{}\n")
    patience = ["--set", "kafka.request_timeout=2", "--set", "kafka.session_timeout=2"]
    patience += ["--set", "kafka.heartbeat_interval=0.5"]
    name = unique("nowhere")
    sent = await _invoke(
        "send", str(tmp_path / "events.jsonl"), "--topic", name, "-b", kafka.bootstrap_servers, *patience
    )
    assert sent.exit_code == 1
    assert f"topic {name} cannot be written to" in sent.stderr
