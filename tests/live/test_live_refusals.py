"""What must end a worker, or not let it start: each with its exit code and words that name the place and what to do."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from installation import Installation, start_worker
from storm import Storm, storm

from kafka_server import Kafka


@pytest.fixture
def sent() -> Storm:
    return storm(100, end=time.time())


@pytest.fixture
async def live(kafka: Kafka, unique: Callable[[str], str], tmp_path: Path, sent: Storm) -> AsyncIterator[Installation]:
    async with Installation(kafka.bootstrap_servers, unique("i"), tmp_path, sent.topology) as live:
        yield live


async def test_a_changelog_record_that_cannot_be_read_ends_the_worker(live: Installation, sent: Storm) -> None:
    await live.publish(sent.records)
    worker = await live.worker()
    await live.written_above("second-level-state", 100)
    await live.all_done()
    assert await worker.stop() == 0, worker.errors
    saved = (await live.read("second-level-state"))[-1]
    key = saved.key or b""
    offset = await live.write("second-level-state", saved.partition, key, b"garbage")

    for _ in range(2):  # a supervisor that tries again hears the same
        worker = await live.worker()
        assert await worker.ended() == 1
        place = f"changelog {live.topic('second-level-state')}[{saved.partition}] offset {offset}, key {key!r}"
        assert f"stage second-level, partition {saved.partition}: RecoveryError: {place}" in worker.message
        assert worker.message.count("\n") == 0


async def test_a_changelog_that_is_deleted_under_the_worker_ends_it(live: Installation, sent: Storm) -> None:
    first, second = sent.parts(2)
    await live.publish(first)
    worker = await live.worker(kafka__delivery_timeout="2")
    await live.written_above("second-level-state", 0)
    await live.delete_topic("second-level-state")
    await live.publish(second)
    assert await worker.ended() == 1
    assert "stage second-level, " in worker.message
    assert live.topic("second-level-state") in worker.message


async def test_a_changelog_that_was_deleted_is_not_made_anew(live: Installation, sent: Storm) -> None:
    await live.publish(sent.records)
    worker = await live.worker()
    await live.all_done()
    assert await worker.stop() == 0, worker.errors
    await live.delete_topic("first-level-state")

    for _ in range(2):
        worker = await live.worker()
        assert await worker.ended() == 2
        assert f"{live.topic('first-level-state')}: does not exist, though group" in worker.message
        assert f"has read {live.topic('detected')}: the state of that stage is lost" in worker.message


async def test_topics_that_are_missing_and_may_not_be_made_are_named(
    kafka: Kafka, unique: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "estate.json").write_bytes(b'{"cis": [{"id": "a"}]}')
    prefix = unique("none")
    worker = await start_worker(
        {
            "kafka": {"bootstrap_servers": kafka.bootstrap_servers},
            "topics": {"prefix": f"{prefix}.", "create": False},
            "paths": {"topology": tmp_path},
            "web": {"enabled": False},
        }
    )
    assert await worker.ended() == 2
    assert f"{prefix}.detected.v1: does not exist; create it with 4 partitions, cleanup.policy=delete" in worker.errors
    assert f"{prefix}.second-level-state.v1: does not exist; create it with 4 partitions, cleanup.policy=compact" in (
        worker.errors
    )


async def test_a_foreign_record_in_an_internal_topic_is_named_with_what_to_do(live: Installation) -> None:
    await live.write("answers", 1, b"theirs", b'{"type":"granted"}')
    offset = await live.write("answers", 1, b"theirs", b"{}")
    worker = await live.worker()
    assert await worker.ended() == 1
    topic = live.topic("answers")
    assert f"stage response, {topic}[1] offsets " in worker.message
    assert "StageError: offset 0 is no record of ours: " in worker.message
    assert f"Only workers of this version may write to {topic}; " in worker.message
    assert worker.message.count("\n") == 0
    assert offset == 1


async def test_no_broker(unused_tcp_port: int, tmp_path: Path) -> None:
    (tmp_path / "estate.json").write_bytes(b'{"cis": [{"id": "a"}]}')
    address = f"127.0.0.1:{unused_tcp_port}"
    worker = await start_worker({"kafka": {"bootstrap_servers": address}, "paths": {"topology": tmp_path}})
    assert await worker.ended() == 3
    assert f"no broker at {address}" in worker.errors
    assert "Traceback" not in worker.errors


async def test_an_estate_that_is_wrong_is_named_by_file_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "estate.yaml").write_text("cis:\n  - id: a\n    depends_on: [nowhere]\n  - id: a\n")
    worker = await start_worker({"paths": {"topology": tmp_path}})
    assert await worker.ended() == 2
    assert f"{tmp_path}/estate.yaml:3:18: " in worker.errors
    assert "nowhere" in worker.errors
    assert f"{tmp_path}/estate.yaml:4:" in worker.errors
    assert "Traceback" not in worker.errors


async def test_a_setting_with_a_typo_is_named() -> None:
    worker = await start_worker({"kafka": {"bootstrap_server": "localhost:1"}})
    assert await worker.ended() == 2
    assert "unknown variable OPSBRIDGE_KAFKA__BOOTSTRAP_SERVER (did you mean OPSBRIDGE_KAFKA__BOOTSTRAP_SERVERS" in (
        worker.errors
    )
