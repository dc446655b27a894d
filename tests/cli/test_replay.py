"""`opsbridge replay`: one line per incident, every line of input accounted for, every error in its place."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opsbridge.cli.lines import UnreadableError, read_lines
from opsbridge.cli.main import app
from opsbridge.cli.payloads import of_canonical
from opsbridge.cli.replay import NO_TOPOLOGY
from opsbridge.cli.replaying import FinalIncident, Replay, Summary
from opsbridge.core.decisions import Outcome
from opsbridge.core.graph import CI, CIGraph
from opsbridge.rules import compile_rules

TOPOLOGY = """\
cis:
  - {id: sw, type: switch}
  - {id: pay, type: service, depends_on: [h1]}
  - {id: h1, aliases: [10.0.0.1], depends_on: [sw]}
  - {id: h2, depends_on: [sw]}
  - {id: h3, depends_on: [sw]}
  - {id: h4, depends_on: [sw]}
  - {id: far}
"""
RULES = """\
version: 1
rules:
  - {id: no-beats, kind: filter, action: drop, match: {class: Heartbeat}}
"""


def event(number: int, ci: str, *, state: str = "firing", second: int = 0, **more: object) -> bytes:
    content = {
        "id": f"e{number}",
        "time": f"2026-01-01T00:00:{second:02}Z",
        "ci": ci,
        "class": "Down",
        "severity": "critical",
        "state": state,
    }
    return json.dumps(content | more).encode()


STORM = [
    event(1, "h1", second=1),
    event(2, "h2", second=1),
    event(3, "h3", second=2),
    event(4, "h4", second=2),
    event(5, "h1", second=3),
    event(6, "far", second=3),
    event(7, "h1", state="resolved", second=9),
]


@pytest.fixture
def estate(tmp_path: Path) -> list[str]:
    (tmp_path / "estate.yaml").write_text(TOPOLOGY)
    (tmp_path / "rules.yaml").write_text(RULES)
    return ["--topology", str(tmp_path / "estate.yaml"), "--rules", str(tmp_path / "rules.yaml")]


@pytest.fixture
def run(tmp_path: Path, estate: list[str]) -> Callable[..., Result]:
    def replay(lines: list[bytes], *flags: str, plain: bool = False) -> Result:
        (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return CliRunner().invoke(app, ["replay", str(tmp_path / "events.jsonl"), *([] if plain else estate), *flags])

    return replay


def incidents(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_storm_is_one_incident_that_names_the_silent_root_and_all_its_events(run: Callable[..., Result]) -> None:
    result = run(STORM)
    assert result.exit_code == 0, result.stderr
    storm, other = sorted(incidents(result), key=lambda incident: -len(incident["events"]))  # type: ignore[arg-type]
    assert storm["root"] == {"ci": "sw", "class": None, "silent": True, "confidence": storm["root"]["confidence"]}  # type: ignore[index]
    assert sorted(storm["events"]) == ["e1", "e2", "e3", "e4", "e5", "e7"]  # type: ignore[call-overload]
    assert sorted(storm["affected_cis"]) == ["h1", "h2", "h3", "h4", "pay", "sw"]  # type: ignore[call-overload]
    assert storm["affected_services"] == ["pay"]
    assert storm["candidates"][0]["ci"] == "sw"  # type: ignore[index]
    assert other["root"]["ci"] == "far"  # type: ignore[index]
    assert other["events"] == ["e6"]
    assert storm.keys() == set(FinalIncident.__struct_fields__)


def test_known_errors_are_attached_and_rules_may_ask_for_them(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(
        "version: 1\nknown_errors:\n"
        "  - {id: KE-1, title: Hangs, match: {root.ci: sw}, workaround: Cut its power., permanent_fix: ''}\n"
    )
    (tmp_path / "rules.yaml").write_text(
        RULES + "  - {id: on-site, kind: respond, response: incident, match: {known_error: KE-1}, group: on-site}\n"
    )
    storm, other = sorted(incidents(run(STORM, "--known-errors", str(tmp_path / "known.yaml"))), key=by_size)
    assert (storm["known_errors"], storm["group"], storm["priority"]) == (
        [{"id": "KE-1", "title": "Hangs", "workaround": "Cut its power.", "permanent_fix": "", "problem": ""}],
        "on-site",
        "P3",
    )
    assert (other["known_errors"], other["group"]) == ([], "")
    storm, _ = sorted(incidents(run(STORM)), key=by_size)
    assert (storm["known_errors"], storm["group"]) == ([], "")
    result = run(STORM, "--known-errors", str(tmp_path / "none.yaml"))
    assert result.exit_code == 2
    assert "none.yaml: cannot be read" in result.stderr


def by_size(incident: dict[str, object]) -> int:
    return -len(incident["events"])  # type: ignore[arg-type]


def test_an_alias_means_its_ci(run: Callable[..., Result]) -> None:
    result = run([event(1, "10.0.0.1"), event(2, "h1")])
    (incident,) = incidents(result)
    assert incident["events"] == ["e1", "e2"]


def test_incidents_go_to_a_file_where_asked(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run(STORM, "-o", str(tmp_path / "out.jsonl"))
    assert result.stdout == ""
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


def test_gzip_and_stdin_give_the_same_as_a_file(run: Callable[..., Result], estate: list[str], tmp_path: Path) -> None:
    plain = run(STORM).stdout
    content = b"\n".join(STORM)
    (tmp_path / "events.jsonl.gz").write_bytes(gzip.compress(content))
    assert CliRunner().invoke(app, ["replay", str(tmp_path / "events.jsonl.gz"), *estate]).stdout == plain
    assert CliRunner().invoke(app, ["replay", "-", *estate], input=content).stdout == plain
    assert CliRunner().invoke(app, ["replay", "-", *estate], input=gzip.compress(content)).stdout == plain


BROKEN = {
    "invalid_json": [b'{"id": "cut', b"\xff\xfe", event(1, "h1")[:-1] + b', "labels": NaN}'],
    "invalid_field": [b"[]", b"[" * 100_000, event(1, "h1", severity=5), event(1, "h1", severity=None), event(1, "")],
    "too_large": [event(1, "h1", summary="x" * 300_000), b"x" * 10_000_000],
    "time_in_future": [event(1, "h1", time="2099-01-01T00:00:00Z")],
    "time_too_old": [event(1, "h1", time="1970-01-01T00:00:00Z")],
}


@pytest.mark.parametrize(("reason", "line"), [(reason, line) for reason, lines in BROKEN.items() for line in lines])
def test_a_broken_line_is_told_with_its_place_and_stops_nothing(
    run: Callable[..., Result], tmp_path: Path, reason: str, line: bytes
) -> None:
    result = run([STORM[0], line, *STORM[1:]])
    assert result.exit_code == 0
    assert f"{tmp_path}/events.jsonl:2: {reason}: " in result.stderr
    assert result.stdout == run(STORM).stdout


def test_only_the_first_rejections_are_told_one_by_one(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run([b"no"] * 25)
    assert result.stderr.count("invalid_json: ") == 20
    assert "... and 5 more rejected lines; --dead-letters FILE writes all of them" in result.stderr
    letters = tmp_path / "dead.jsonl"
    result = run([b"no\xff"] * 25, "--dead-letters", str(letters))
    assert "... and 5 more rejected lines\n" in result.stderr
    told = [json.loads(line) for line in letters.read_text().splitlines()]
    assert [letter["line"] for letter in told] == list(range(1, 26))
    assert told[0]["payload"] == "no\\xff"
    assert told[0]["reason"] == "invalid_json"


def summary(result: Result) -> dict[str, object]:
    answer: dict[str, object] = json.loads(result.stderr.splitlines()[-1])
    return answer


def test_the_summary_accounts_for_every_line(run: Callable[..., Result]) -> None:
    lines = [*STORM, b"no", event(8, "h2").replace(b"Down", b"Heartbeat"), event(9, "h2", severity="info"), b"", b"  "]
    figures = summary(run([*lines, event(10, "h9", state="resolved")], "--summary", "json"))
    assert figures["read"] == 11  # blank lines are not read
    assert figures["balanced"] is True
    assert figures["places"] == {
        "alert": {"duplicate": 1, "opened": 5, "resolved": 1},
        "expired": {"resolution_without_problem": 1},
        "dead_letter": {"invalid_json": 1},
        "informational": {"severity": 1},
        "suppressed": {"no-beats": 1},
    }
    assert (figures["incidents"], figures["collapse_ratio"]) == (2, 3.5)


RULES_WITH_A_MEMORY = """\
version: 1
rules:
  - {id: wait, kind: hold, for: 1m, match: {ci: [h1, far]}}
  - {id: try, kind: filter, shadow: true, action: drop, match: {ci: h2}}
  - id: many
    kind: threshold
    type: event_count
    match: {class: Down}
    group_by: [class]
    timespan: 1m
    condition: {gte: 4}
    raise: {class: ManyDown, severity: major, ci: sw}
"""


def test_the_summary_counts_what_rules_did_and_suppressed_alerts_go_to_a_file(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES_WITH_A_MEMORY)
    told = tmp_path / "suppressed.jsonl"
    later = event(8, "h9", time="2026-01-01T00:10:00Z")
    figures = summary(run([*STORM, later], "--summary", "json", "--suppressed", str(told)))
    assert figures["withheld"] == {"hold": {"wait": 2}}
    assert figures["shadow"] == {"try": {"drop": 1}}
    assert figures["derived"] == {"many": 1}
    assert figures["balanced"] is True
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [(line["state"], line["ci"], line["kind"], line["rule"]) for line in lines] == [
        ("withheld", "h1", "hold", "wait"),
        ("withheld", "far", "hold", "wait"),
        ("resolved", "h1", "hold", "wait"),
        ("released", "far", "hold", "wait"),
    ]
    table = run([*STORM, later]).stderr
    for words in ("alerts raised", "alerts withheld: hold", "in trial, would drop"):
        assert words in table


def test_the_summary_says_what_is_no_incident(run: Callable[..., Result], tmp_path: Path) -> None:
    rule = "{id: far-away, kind: respond, match: {root.ci: far}, response: none}"
    (tmp_path / "rules.yaml").write_text(f"version: 1\nrules: [{rule}]\n")
    result = run(STORM, "--summary", "json")
    figures = summary(result)
    assert figures["unanswered"] == {"far-away": 1}
    assert (figures["incidents"], figures["events_in_incidents"], figures["unexplained"]) == (1, 6, 0)
    assert figures["balanced"] is True
    assert re.search("events without incident.*far-away", run(STORM).stderr)


def test_the_summary_is_a_table_unless_it_is_not_wanted(run: Callable[..., Result]) -> None:
    assert "the places add up" in run(STORM).stderr
    assert run(STORM, "--summary", "none").stderr == ""


def test_without_topology_every_ci_is_unknown_and_that_is_said(run: Callable[..., Result]) -> None:
    result = run(STORM, plain=True)
    assert NO_TOPOLOGY in result.stderr
    assert sorted(incident["root"]["ci"] for incident in incidents(result)) == ["far", "h1", "h2", "h3", "h4"]  # type: ignore[index]
    assert "unknown CIs" in result.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--topology", "nowhere.yaml"], "nowhere.yaml"),
        (["--rules", "nowhere.yaml"], "nowhere.yaml"),
        (["-o", "/nowhere/out.jsonl"], "/nowhere/out.jsonl: No such file or directory"),
        (["--summary", "xml"], "xml"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_what_cannot_be_used_ends_with_two(run: Callable[..., Result], flags: list[str], told: str) -> None:
    result = run(STORM, *flags)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_an_input_that_is_not_there_ends_with_two(estate: list[str], tmp_path: Path) -> None:
    for path, told in ((tmp_path / "none.jsonl", "No such file or directory"), (tmp_path, "Is a directory")):
        result = CliRunner().invoke(app, ["replay", str(path), *estate])
        assert result.exit_code == 2
        assert f"{path}: {told}" in result.stderr


def test_a_broken_gzip_names_the_line_where_it_breaks(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"%d\n" % number for number in range(100_000)))
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableError, match=r"cut\.gz:\d{4,}: the compressed file is broken: "):
        list(read_lines(str(tmp_path / "cut.gz"), keep=100))


def test_a_long_line_is_cut_and_its_length_told(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"a\r\n" + b"b" * 25 + b"\n\n" + b"c" * 10 + b"\n" + b"d" * 31)
    found = list(read_lines(str(tmp_path / "lines"), keep=10))
    assert found == [(1, b"a", 1), (2, b"b" * 10, 25), (4, b"c" * 10, 10), (5, b"d" * 10, 31)]


def test_an_empty_input_is_no_error(run: Callable[..., Result]) -> None:
    result = run([])
    assert (result.exit_code, result.stdout) == (0, "")


def replayed(lines: list[bytes]) -> tuple[list[FinalIncident], Summary]:
    graph = CIGraph([CI("sw"), CI("h1"), CI("h2")], [(1, 0), (2, 0)])
    run = Replay(graph, compile_rules(()).book, lambda: 1 << 50)
    for line in lines:
        run.read(of_canonical(line))
    run.finish()
    return list(run.incidents()), run.summary()


def test_every_event_of_an_alert_is_in_one_incident_and_each_id_once() -> None:
    early = event(1, "h1", state="resolved", second=5)
    lines = [
        early,
        event(2, "h1", second=1),
        event(2, "h1", second=1),
        event(3, "h1", second=2),
        event(4, "h2", second=2),
    ]
    found, figures = replayed(lines)
    assert sorted(name for incident in found for name in incident.events) == ["e1", "e2", "e3", "e4"]
    assert figures.read == 5
    assert figures.balanced
    assert figures.unexplained == 0


def test_a_resolution_without_problem_expires_with_a_reason() -> None:
    late = event(3, "h2", time="2026-01-01T01:00:00Z")
    found, figures = replayed([event(1, "h1", state="resolved"), late])
    assert figures.places["expired"] == {"resolution_without_problem": 1}
    assert Outcome.WAITING not in figures.places["alert"]
    assert figures.balanced
    assert [incident.events for incident in found] == [("e3",)]


def test_replay_does_not_load_the_streaming_libraries(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(STORM))
    (tmp_path / "estate.yaml").write_text(TOPOLOGY)
    script = f"""
import sys
from opsbridge.cli.main import app
app(["replay", "{tmp_path}/events.jsonl", "--topology", "{tmp_path}/estate.yaml"], standalone_mode=False)
print(sorted({{"faust", "aiokafka", "networkx", "uvicorn", "prometheus_client"}} & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
    assert len(done.stdout.splitlines()) == 2
