"""`opsbridge review`: from events, recorded topics and live ones the same figures; as text, JSON and a page."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from conftest import create_topic
from kafka_server import Kafka
from opsbridge.cli.main import app
from opsbridge.review.model import Review
from opsbridge.review.recorded import Recorded, Recorder
from opsbridge.review.told import ENTITIES
from opsbridge.settings import KafkaSettings
from opsbridge.stream.outbox import BatchWriter, Outbox
from review.period import Period, at


@pytest.fixture(scope="module")
def period(tmp_path_factory: pytest.TempPathFactory) -> Period:
    return Period(tmp_path_factory.mktemp("reviewed"))


@pytest.fixture(scope="module")
def recording(period: Period) -> Path:
    with Recorder(period.directory / "topics") as recorder:
        for record in period.records():
            recorder.write(record)
    return period.directory / "topics"


def invoke(period: Period, *arguments: str | Path) -> Result:
    estate = ["--topology", str(period.topology), "--rules", str(period.rules)]
    return CliRunner().invoke(app, ["review", *map(str, arguments), *estate])


def reviewed(result: Result) -> Review:
    assert result.exit_code == 0, result.stderr
    return msgspec.json.decode(result.stdout, type=Review)


def told(result: Result) -> str:
    """What was said on stderr, without the box that wraps wrong usage."""
    return " ".join(result.stderr.replace("│", " ").split())


def test_events_a_recording_and_its_replay_give_the_same(period: Period, recording: Path) -> None:
    said: list[str | Path] = ["--feedback", period.feedback, "--context", period.context, "--json"]
    replayed = reviewed(invoke(period, period.events, *said))
    assert replayed.adds_up
    assert replayed.responses.effective == 1
    assert reviewed(invoke(period, recording, "-o", "json")) == replayed
    assert reviewed(invoke(period, recording, "--replay", "--json")) == replayed


def test_replay_writes_what_review_reads(period: Period, tmp_path: Path) -> None:
    arguments = [str(period.events), "--feedback", str(period.feedback), "--context", str(period.context)]
    arguments += ["--topology", str(period.topology), "--rules", str(period.rules), "--records", str(tmp_path / "r")]
    result = CliRunner().invoke(app, ["replay", *arguments])
    assert result.exit_code == 0, result.stderr
    from_files = reviewed(invoke(period, *arguments[:5], "--json"))
    assert reviewed(invoke(period, tmp_path / "r", "--json")) == from_files
    names = {path.stem for path in (tmp_path / "r").iterdir()}
    assert names >= {"events", "feedback", "context", "alerts", "incidents", "responses", "dead-letters", "routed"}


def test_the_text_is_readable_at_a_hundred_columns(period: Period, recording: Path) -> None:
    result = invoke(period, recording)
    assert result.exit_code == 0
    assert "events that needed a person" in result.stdout
    assert "30 (53.6 %)" in result.stdout
    assert "the figures" in result.stdout
    assert "add up" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_the_page_is_written_beside_the_text(period: Period, recording: Path, tmp_path: Path) -> None:
    result = invoke(period, recording, "--html", tmp_path / "report.html")
    assert result.exit_code == 0
    html = (tmp_path / "report.html").read_text()
    assert html.startswith("<!doctype html>")
    assert html.endswith("</html>\n")


def test_a_page_that_cannot_be_written_ends_with_two(period: Period, recording: Path, tmp_path: Path) -> None:
    result = invoke(period, recording, "--html", tmp_path)
    assert result.exit_code == 2
    assert "Is a directory" in told(result)


def test_outages_are_held_against_incidents(period: Period, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "outages.csv").write_text(f"ci,begins,ends\nshop,{at(0)},{at(60)}\nfar-away,{at(0)},{at(60)}\n")
    found = reviewed(invoke(period, recording, "--outages", tmp_path / "outages.csv", "--json"))
    assert found.outages is not None
    assert (found.outages.outages, found.outages.without_events) == (2, 1)
    assert [each.ci for each in found.outages.missed] == ["far-away"]
    assert found.outages.false_alarms == found.incidents.incidents - 1


def test_since_counts_the_end_of_the_period(period: Period, recording: Path) -> None:
    assert reviewed(invoke(period, recording, "--since", "200s", "--json")).events.read == 2


def test_figures_that_do_not_add_up_end_with_one(period: Period, recording: Path, tmp_path: Path) -> None:
    for path in recording.iterdir():
        if path.stem != "alerts":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    result = invoke(period, tmp_path)
    assert result.exit_code == 1
    assert "does not add up: events read = events in their places: 56 and" in result.stderr
    assert "give --since" in result.stderr
    assert "DO NOT ADD UP" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give FILE, DIR or --topic"),
        (["x", "--topic"], "give FILE, DIR or --topic"),
        (["events", "--replay"], "--replay is about a directory"),
        (["topics", "--feedback", "x"], "--feedback and --context are about events that are replayed"),
        (["topics", "--since", "soon"], "--since"),
        (["topics", "--outages", "none.csv"], "none.csv: cannot be read: No such file or directory"),
        (["none.jsonl"], "none.jsonl: No such file or directory"),
        (["empty"], "no records here"),
        (["broken"], "incidents.jsonl:2: no record: "),
    ],
)
def test_wrong_usage_says_what_is_wrong(
    period: Period, recording: Path, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "incidents.jsonl").write_text(
        '{"key":"a","timestamp":0,"partition":0,"offset":0,"value":null}\n{"key":"a"}\n'
    )
    places = {"events": period.events, "topics": recording, "empty": tmp_path / "empty", "broken": tmp_path / "broken"}
    result = invoke(period, *(places.get(word, word) for word in arguments))
    assert result.exit_code == 2, result.stdout
    assert complaint in told(result)


async def test_live_topics_give_the_same_as_a_replay(
    kafka: Kafka, unique: Callable[[str], str], period: Period
) -> None:
    """What the core says is written to topics as the stream does; the review reads them back from the broker."""
    prefix, records = f"{unique('review')}.", period.records()
    for entity in ENTITIES:
        await create_topic(kafka.bootstrap_servers, f"{prefix}{entity}.v1", 1 if entity == "events" else 2)
    await _publish(kafka, prefix, records)
    flags = ["--topic", "--since", "3650d", "-b", kafka.bootstrap_servers, "--set", f"topics.prefix={prefix}", "--json"]
    result = await asyncio.to_thread(invoke, period, *flags)
    live, replayed = reviewed(result), period.review(records)
    assert json.loads(msgspec.json.encode(live)) == json.loads(msgspec.json.encode(replayed))


async def _publish(kafka: Kafka, prefix: str, records: list[Recorded]) -> None:
    writer = BatchWriter(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    await writer.start()
    try:
        outbox = Outbox(writer)
        for record in records:
            if record.entity in ENTITIES:
                headers = [
                    (
                        name,
                        f"{prefix}events.v1".encode() if name.endswith(".topic") and content == b"events" else content,
                    )
                    for name, content in record.headers
                ]
                outbox.add(f"{prefix}{record.entity}.v1", record.key, record.value, headers=headers or None)
        await outbox.flush()
    finally:
        await writer.stop()
