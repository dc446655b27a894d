"""`opsbridge replay --feedback --context`: what people and tools said is heard in its time; what is none is told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opsbridge.cli.main import app
from opsbridge.cli.payloads import Reading
from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.records import Incident
from opsbridge.review.recorded import read_records
from opsbridge.review.told import Told, fold
from review.period import Period, at


@pytest.fixture(scope="module")
def period(tmp_path_factory: pytest.TempPathFactory) -> Period:
    return Period(tmp_path_factory.mktemp("replayed"))


def replay(period: Period, *flags: str | Path, events: Path | None = None) -> Result:
    estate = ["--topology", period.topology, "--rules", period.rules]
    return CliRunner().invoke(app, ["replay", *map(str, [events or period.events, *estate, *flags])])


def told(period: Period, directory: Path, *flags: str | Path) -> Told:
    result = replay(period, "--records", directory, *flags)
    assert result.exit_code == 0, result.stderr
    return fold(read_records(directory))


def storm(found: Told) -> Incident:
    return next(each for each in found.incidents.values() if each.root.ci == "sw")


def test_without_feedback_nobody_has_acknowledged(period: Period, tmp_path: Path) -> None:
    incident = storm(told(period, tmp_path / "r"))
    assert (incident.assignee, [entry.by for entry in incident.history if entry.by == "kim"]) == ("", [])
    assert incident.changes == ()


def test_feedback_is_heard_in_its_time(period: Period, tmp_path: Path) -> None:
    incident = storm(told(period, tmp_path / "r", "--feedback", period.feedback))
    assert incident.assignee == "kim"
    assert [(entry.what, entry.time) for entry in incident.history if entry.by == "kim"] == [
        ("acknowledge", at(60)),
        ("assign", at(61)),
    ]
    people = [entry.by for entry in incident.history]
    assert people.index("kim") > 0, "it was opened first"
    assert incident.status != "open"


@pytest.mark.parametrize(("second", "outcome", "late"), [(150, "succeeded", False), (152, "succeeded", True)])
def test_a_deadline_that_passes_before_a_result_is_said_passes_before_it(
    period: Period, tmp_path: Path, second: int, outcome: str, late: bool
) -> None:
    """Also if no event comes between them; the request is from 31 s, and has two minutes."""
    first = next(each for each in told(period, tmp_path / "first").responses.values() if each.ci == "web")
    said = {"kind": "result", "id": "r1", "time": at(second), "by": "executor", "outcome": outcome}
    said |= {"response": first.id, "situation": first.situation, "idempotency_key": f"{first.id}:action:1"}
    (tmp_path / "said.jsonl").write_text(json.dumps(said))
    quiet = tmp_path / "quiet.jsonl"
    quiet.write_bytes(
        b"".join(
            line
            for line in period.events.read_bytes().splitlines(keepends=True)
            if not at(100) < time_of(line) < at(199)
        )
    )
    assert (
        replay(period, "--feedback", tmp_path / "said.jsonl", "--records", tmp_path / "r", events=quiet).exit_code == 0
    )
    response = fold(read_records(tmp_path / "r")).responses[first.id]
    assert (response.tried[0].outcome, response.tried[0].late) == (outcome, late)
    assert response.status == ("escalated" if late else "effective")


def time_of(line: bytes) -> str:
    try:
        return str(json.loads(line).get("time", ""))
    except json.JSONDecodeError:
        return ""


def test_results_of_auto_responses_are_heard(period: Period, tmp_path: Path) -> None:
    found = told(period, tmp_path / "r", "--feedback", period.feedback)
    statuses = {each.ci: each.status for each in found.responses.values() if each.tried and each.tried[0].by}
    assert statuses == {"web": "effective", "db": "escalated"}


def test_changes_are_known_from_the_beginning(period: Period, tmp_path: Path) -> None:
    incident = storm(told(period, tmp_path / "r", "--context", period.context))
    assert [change.id for change in incident.changes] == ["CHG-1"]


def test_what_is_no_feedback_and_no_context_is_told_by_its_place(period: Period, tmp_path: Path) -> None:
    letters = tmp_path / "dead.jsonl"
    result = replay(period, "--feedback", period.feedback, "--context", period.context, "--dead-letters", letters)
    assert result.exit_code == 0
    assert f"{period.feedback}:6: invalid_field: " in result.stderr
    assert f"{period.feedback}:7: invalid_json: " in result.stderr
    assert f"{period.feedback}:3: unknown_target: " in result.stderr
    assert f"{period.context}:2: invalid_field: " in result.stderr
    reasons = [json.loads(line) for line in letters.read_bytes().splitlines()]
    assert {each["reason"] for each in reasons if each["file"] == str(period.feedback)} == {
        "invalid_field",
        "invalid_json",
        "unknown_target",
    }


def test_feedback_that_is_not_there_ends_with_two(period: Period, tmp_path: Path) -> None:
    result = replay(period, "--feedback", tmp_path / "none.jsonl")
    assert result.exit_code == 2
    assert "none.jsonl: No such file or directory" in result.stderr


def test_feedback_after_the_last_event_is_heard_too(period: Period, tmp_path: Path) -> None:
    incident = storm(told(period, tmp_path / "first"))
    said = {"kind": "close", "id": "late", "time": at(5_000), "by": "kim", "incident": incident.id}
    (tmp_path / "late.jsonl").write_text(json.dumps(said))
    assert storm(told(period, tmp_path / "r", "--feedback", tmp_path / "late.jsonl")).status == "closed"


def test_feedback_of_one_time_stays_in_the_order_of_the_file(period: Period, tmp_path: Path) -> None:
    incident = storm(told(period, tmp_path / "first"))
    base = {"time": at(100), "by": "kim", "incident": incident.id, "kind": "assign"}
    lines = [json.dumps(base | {"id": f"a{number}", "to": who}) for number, who in enumerate(("ann", "bob", "cid"))]
    (tmp_path / "said.jsonl").write_text("\n".join(lines))
    assert storm(told(period, tmp_path / "r", "--feedback", tmp_path / "said.jsonl")).assignee == "cid"


def test_a_recording_is_replayed_with_all_that_was_said(period: Period, tmp_path: Path) -> None:
    first = told(period, tmp_path / "r", "--feedback", period.feedback, "--context", period.context)
    result = replay(period, "--records", tmp_path / "again", events=tmp_path / "r")
    assert result.exit_code == 0, result.stderr
    assert f"{tmp_path / 'r' / 'events.jsonl'}:" in result.stderr  # a line that is no event is found again
    again = fold(read_records(tmp_path / "again"))
    assert again.incidents == first.incidents
    assert again.responses == first.responses


def test_what_was_in_the_future_when_it_was_recorded_stays_a_dead_letter(period: Period, tmp_path: Path) -> None:
    told(period, tmp_path / "r")
    found = [item for _, payload in Reading().events(str(tmp_path / "r")) for item in payload.items]
    assert [each for each in found if isinstance(each, Rejected) and each.reason == Reject.TIME_IN_FUTURE] == [
        Rejected(Reject.TIME_IN_FUTURE, "it was in the future when it was recorded")
    ]


def test_records_that_cannot_be_written_end_with_two(period: Period, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = replay(period, "--records", tmp_path / "file")
    assert result.exit_code == 2
    assert "File exists" in result.stderr
