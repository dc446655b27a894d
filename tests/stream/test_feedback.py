"""Feedback: heard where its situation is, sent on once, buried with a reason; nothing that is said stops a lane."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka.structs import ConsumerRecord

from opsbridge.core.coordination.news import Halted, ProblemClosed
from opsbridge.core.decisions import Impact, Moved, Root, Situation, SituationUpdate
from opsbridge.core.feedback import Feedback
from opsbridge.core.policies import ResponsePolicy
from opsbridge.core.records import Incident
from opsbridge.core.response.selection import ResponseSelection
from opsbridge.settings import KafkaSettings, TopicSettings
from opsbridge.stream.batches import Record, Records
from opsbridge.stream.dispatch import Dispatch
from opsbridge.stream.feedback import FORWARDED, listening
from opsbridge.stream.outbox import BatchWriter, Outbox, home_of
from opsbridge.web.metrics import Metrics

PARTITIONS = 4
SITUATION = "S-00000000000000aa"
INCIDENT = "INC-00000000000000aa"
HOME = home_of(SITUATION.encode(), PARTITIONS)
NOW = 1_767_268_800_000
BEGUN = SituationUpdate(
    Situation(
        SITUATION, 1, "open", 4, Root("a", "Down", False, 0.9), (), 1, 1, Impact(1, 0, ()), NOW, NOW, None, None, ()
    ),
    1,
    1,
    Moved(),
    NOW,
)


class Bench:
    """A response stage that knows one incident, and what leaves when feedback is read in a partition."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.dispatch = Dispatch(
            Outbox(BatchWriter(KafkaSettings())), TopicSettings(prefix="", version="1"), self.metrics
        )
        self.stage = ResponseSelection()
        self.stage.advance([BEGUN])

    def hear(self, *values: bytes | None, partition: int = HOME, headers: tuple[tuple[str, bytes], ...] = ()) -> None:
        listen: Callable[[Records], None] = listening(self.stage, self.dispatch, partition, PARTITIONS)
        listen([record(value, partition, number, headers) for number, value in enumerate(values)])

    def sent(self) -> list[tuple[str, bytes | None, Any, dict[str, bytes]]]:
        pending, self.dispatch.outbox._pending = self.dispatch.outbox._pending, []
        return [
            (topic.removesuffix(".1"), key, value, dict(headers or []))
            for topic, _, (key, value, headers, _) in pending
        ]

    def results(self) -> dict[tuple[str, str], float]:
        return {
            (sample.labels["kind"], sample.labels["result"]): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "opsbridge_feedback_total" and sample.value
        }


def record(value: bytes | None, partition: int, offset: int, headers: tuple[tuple[str, bytes], ...]) -> Record:
    return ConsumerRecord("feedback", partition, offset, 0, 0, b"key", value, None, 1, 1, headers)


def said(kind: str, **fields: object) -> bytes:
    """A record of feedback; of an incident unless another target is named."""
    target = {} if fields.keys() & {"record", "response"} or kind.endswith("automation") else {"incident": INCIDENT}
    common = {"kind": kind, "id": kind, "time": datetime.fromtimestamp(NOW / 1000, UTC), "by": "ann"}
    return orjson.dumps({**common, **target, **fields})


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_heard_is_told_and_counted_and_heard_once(bench: Bench) -> None:
    bench.hear(said("acknowledge"))
    told = [msgspec.json.decode(value, type=Incident) for topic, _, value, _ in bench.sent() if topic == "incidents"]
    assert [(incident.id, incident.status) for incident in told] == [(INCIDENT, "acknowledged")]
    assert (told[0].history[-1].by, told[0].history[-1].what) == ("ann", "acknowledge")
    bench.hear(said("acknowledge"))
    assert bench.sent() == []
    assert bench.results() == {("acknowledge", "applied"): 1, ("acknowledge", "repeated"): 1}


def test_what_is_refused_is_in_the_history_and_counted(bench: Bench) -> None:
    bench.hear(said("close"), said("acknowledge"))
    assert bench.results() == {("close", "applied"): 1, ("acknowledge", "refused"): 1}


@pytest.mark.parametrize(
    ("value", "reason", "kind"),
    [
        (None, "invalid_json", ""),
        (b"{", "invalid_json", ""),
        (b"[" * 100_000, "invalid_field", ""),
        (said("applaud"), "invalid_field", ""),
        (said("acknowledge", more=1), "invalid_field", ""),
        (said("acknowledge", incident="INC-1"), "invalid_field", ""),
        (said("acknowledge", time="2026-01-01T00:00:00"), "invalid_field", ""),
        (said("acknowledge", note="x" * 300_000), "too_large", ""),
        (said("acknowledge", incident="INC-00000000000000ab"), "unknown_target", "acknowledge"),
        (
            said("approve", response="RSP-00000000000000aa", situation=SITUATION),
            "unknown_target",
            "approve",
        ),
        (said("close_record", record="RFC-00000000000000aa"), "unknown_target", "close_record"),
    ],
)
def test_what_cannot_be_used_is_a_dead_letter_as_it_came(
    bench: Bench, value: bytes | None, reason: str, kind: str
) -> None:
    target = orjson.loads(value).get("incident") if value and reason == "unknown_target" else None
    partition = home_of(b"S" + target.removeprefix("INC").encode(), PARTITIONS) if target else HOME
    bench.hear(value, partition=partition)
    ((topic, key, sent, headers),) = bench.sent()
    assert (topic, key, sent) == ("dead-letters", b"key", value)
    assert headers["__opsbridge.errors.stage"] == b"feedback"
    assert headers["__opsbridge.errors.reason"].decode() == reason
    assert headers["__opsbridge.errors.message"]
    assert bench.results() == {(kind, "dead_letter"): 1}


def test_a_record_in_the_wrong_partition_is_sent_on_once(bench: Bench) -> None:
    wrong = (HOME + 1) % PARTITIONS
    bench.hear(said("acknowledge"), partition=wrong, headers=(("own", b"1"),))
    ((topic, key, value, headers),) = bench.sent()
    assert (topic, key, value) == ("feedback", SITUATION.encode(), said("acknowledge"))
    assert headers == {"own": b"1", FORWARDED: b"%d" % wrong}
    assert bench.results() == {}, "it is counted where it is heard"
    bench.stage = ResponseSelection()  # another partition's, which does not know it
    bench.hear(said("acknowledge"), partition=wrong, headers=((FORWARDED, b"0"),))
    ((topic, *_, headers),) = bench.sent()
    assert (topic, headers["__opsbridge.errors.reason"]) == ("dead-letters", b"unknown_target")


@pytest.mark.parametrize("partition", range(PARTITIONS))
def test_what_is_about_all_or_a_problem_goes_to_coordination_from_anywhere(bench: Bench, partition: int) -> None:
    problem = "PRB-00000000000000aa"
    bench.hear(
        said("stop_automation"),
        said("resume_automation"),
        said("close_record", record=problem),
        partition=partition,
    )
    told = [
        (topic, key, msgspec.json.decode(value, type=Halted | ProblemClosed)) for topic, key, value, _ in bench.sent()
    ]
    assert told == [
        ("coordination", b"all", Halted(True, "stop_automation", "ann", NOW)),
        ("coordination", b"all", Halted(False, "resume_automation", "ann", NOW)),
        ("coordination", b"all", ProblemClosed(problem, "close_record", "ann", NOW)),
    ]


@pytest.mark.parametrize(
    "time", ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"]
)
def test_the_ends_of_the_calendar_do_no_harm(bench: Bench, time: str) -> None:
    bench.hear(said("snooze", until=time, time=time), said("acknowledge"))
    assert bench.results()["acknowledge", "applied"] == 1
    assert all(topic == "incidents" for topic, *_ in bench.sent())


def test_no_record_outgrows_what_may_be_written_however_much_is_said(bench: Bench) -> None:
    bench.stage = ResponseSelection(policy=ResponsePolicy(history=200))
    bench.stage.advance([BEGUN])
    bench.hear(*(said("comment", id=str(n), by="\x01" * 512, note="\x01" * 8_000) for n in range(250)))
    longest = max(len(value) for _, _, value, _ in bench.sent())
    assert longest < KafkaSettings().max_message_bytes / 2
    assert max(len(value or b"") for _, value in bench.stage.changes()) < KafkaSettings().max_message_bytes / 2


def test_a_defect_of_ours_does_not_stop_the_lane(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ResponseSelection):
        def heard(self, said: Feedback) -> Any:
            raise ValueError(said.id)

    bench.stage = Broken()
    bench.hear(said("acknowledge"), said("close"))
    assert [headers["__opsbridge.errors.reason"] for *_, headers in bench.sent()] == [b"internal_error"] * 2
    assert "defect" in caplog.text
