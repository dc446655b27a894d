"""`opsbridge replay --topology-history`: the topology as of event time, and a recording that replays the same."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from opsbridge.cli.main import app

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def event(minutes: float, ci: str, class_: str, severity: str | None = None) -> dict[str, object]:
    said: dict[str, object] = {"id": f"{ci}-{minutes}", "time": at(minutes), "ci": ci, "class": class_}
    return said | ({"state": "firing", "severity": severity} if severity else {"state": "resolved"})


def edge(minutes: float, dependent: str, provider: str, *, gone: bool = False, **more: object) -> dict[str, object]:
    value = {"kind": "edge", "from": dependent, "on": provider, **more}
    return {"time": at(minutes), "key": f"edge:{dependent}>{provider}", "value": None if gone else value}


def wave(minutes: float, *, well: float) -> list[dict[str, object]]:
    """The database and both services alarm, and are well again."""
    names = [("db", "HostDown", "critical"), ("svc-0", "Unreachable", "major"), ("svc-1", "Unreachable", "major")]
    return [event(minutes, ci, class_, severity) for ci, class_, severity in names] + [
        event(well, ci, class_) for ci, class_, _ in names
    ]


@pytest.fixture
def replayed(tmp_path: Path) -> "Replayed":
    return Replayed(tmp_path)


class Replayed:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "estate.yaml").write_text("cis: [{id: db}, {id: svc-0, type: service}, {id: svc-1, type: service}]\n")

    def write(self, name: str, lines: list[dict[str, object]]) -> str:
        path = self.folder / name
        path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
        return str(path)

    def run(self, *args: str) -> tuple[list[dict[str, object]], str]:
        done = CliRunner().invoke(app, ["replay", *args, "--topology", str(self.folder / "estate.yaml")])
        assert done.exit_code == 0, done.output
        return [orjson.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr


def roots(incidents: list[dict[str, object]]) -> list[str]:
    return sorted(each["root"]["ci"] for each in incidents)  # type: ignore[index]


def test_the_topology_is_that_of_the_event_s_time(replayed: Replayed) -> None:
    events = replayed.write("events.jsonl", [*wave(0, well=5), *wave(30, well=35), *wave(60, well=65)])
    history = replayed.write(
        "history.jsonl",
        [
            edge(50, "svc-0", "db", gone=True),
            edge(50, "svc-1", "db", gone=True),
            edge(20, "svc-0", "db"),
            edge(20, "svc-1", "db"),
        ],
    )
    incidents, _ = replayed.run(events, "--topology-history", history)
    assert roots(incidents) == ["db", "db", "db", "svc-0", "svc-0", "svc-1", "svc-1"]
    assert roots(replayed.run(events)[0]) == ["db"] * 3 + ["svc-0"] * 3 + ["svc-1"] * 3


def test_changes_without_end_do_not_keep_a_topology_from_coming(replayed: Replayed) -> None:
    """An importer that never rests: what it said counts ten seconds later, as in a worker."""
    seconds = range(0, 600, 2)
    restless = [edge(20 + second / 60, "svc-1", "db", type=f"kind-{second}") for second in seconds]
    history = replayed.write("history.jsonl", [edge(20, "svc-0", "db"), *restless])
    incidents, _ = replayed.run(replayed.write("events.jsonl", wave(25, well=40)), "--topology-history", history)
    assert roots(incidents) == ["db"]


def test_what_ages_out_while_an_incident_is_open_stays_for_it(replayed: Replayed) -> None:
    seen = at(2 - 24 * 60)
    edges = [edge(-60, name, "db", observed=True, seen=seen) for name in ("svc-0", "svc-1")]
    history = replayed.write("history.jsonl", edges)
    first = [event(0, "db", "HostDown", "critical"), event(0.1, "svc-0", "Unreachable", "major")]
    later = [event(3, "svc-1", "Unreachable", "major"), *wave(20, well=21)[3:]]
    events = replayed.write("events.jsonl", first + later)
    (incident,), _ = replayed.run(events, "--topology-history", history)
    assert incident["affected_cis"] == ["db", "svc-0", "svc-1"]
    assert len(incident["events"]) == 6  # type: ignore[arg-type]


def test_a_recording_with_a_topology_that_changes_replays_the_same(replayed: Replayed) -> None:
    events = replayed.write("events.jsonl", [*wave(0, well=5), *wave(30, well=35)])
    history = replayed.write("history.jsonl", [edge(20, "svc-0", "db"), edge(20, "svc-1", "db", origin="otel")][:1])
    recording = replayed.folder / "recording"
    incidents, _ = replayed.run(events, "--topology-history", history, "--records", str(recording))
    assert replayed.run(str(recording))[0] == incidents
    assert "edge:svc-0>db" in (recording / "context.jsonl").read_text()


def test_context_without_times_holds_from_the_beginning(replayed: Replayed) -> None:
    events = replayed.write("events.jsonl", wave(0, well=5))
    values = [edge(0, name, "db")["value"] for name in ("svc-0", "svc-1")]
    context = replayed.write("context.jsonl", values)  # type: ignore[arg-type]
    assert roots(replayed.run(events, "--context", context)[0]) == ["db"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"time": at(0), "key": "change:1", "value": None}, "expected ci:ID or edge:FROM>ON, not 'change:1'"),
        ({"time": at(0), "key": "ci:a", "value": {"kind": "ci", "id": "b"}}, "must be 'ci:b' - at `$.key`"),
        ({"time": at(0), "key": "ci:a", "value": {"kind": "ci", "id": "a", "tier": "1"}}, "$.value: Expected"),
        ({"time": at(0), "key": "ci:a", "value": {"kind": "change"}}, "invalid_field"),
        ({"time": "now", "key": "ci:a", "value": None}, "Invalid RFC3339"),
        ({"time": at(0), "key": "ci: a", "value": {"kind": "ci", "id": " a"}}, "no blanks around it"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(replayed: Replayed, line: dict[str, object], told: str) -> None:
    events = replayed.write("events.jsonl", wave(0, well=5))
    history = replayed.write("history.jsonl", [edge(-1, "svc-0", "db"), line])
    _, stderr = replayed.run(events, "--topology-history", history)
    assert "history.jsonl:2: invalid_field: " in stderr
    assert told in stderr
