"""Commands that read events read payloads of any source: many events in one, each with its own fate."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from opsbridge.cli.main import app
from opsbridge.cli.replaying import Summary

HOOK = {
    "version": "4",
    "groupKey": "{}",
    "alerts": [
        {"status": "firing", "labels": {"alertname": "Down", "severity": "critical", "host": host}, "annotations": {}}
        | {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": host}
        for host in ("h1", "h2")
    ]
    + [{"status": "odd"}],
}
PROBLEM = {"eventid": 7, "clock": 1_767_225_600, "ns": 0, "value": 1, "name": "Down", "severity": 4}
OVER = {"eventid": 9, "p_eventid": 7, "clock": 1_767_225_660, "ns": 0, "value": 0}
TOPOLOGY = "cis:\n  - {id: sw}\n  - {id: h1, depends_on: [sw]}\n  - {id: h2, depends_on: [sw]}\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "estate.yaml").write_text(TOPOLOGY)
    lines = [HOOK, PROBLEM | {"hosts": [{"host": "h1"}]}, OVER]
    (tmp_path / "mixed.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "hook.jsonl").write_text(json.dumps(HOOK))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--topology", "estate.yaml"])

    return run


def summary(result: Result) -> Summary:
    return msgspec.json.decode(result.stderr[result.stderr.index('{"read"') :], type=Summary)


def test_each_event_of_each_payload_is_in_the_account(run: Callable[..., Result]) -> None:
    result = run("replay", "mixed.jsonl", "--summary", "json")
    assert result.exit_code == 0, result.stderr
    figures = summary(result)
    assert (figures.read, figures.balanced) == (5, True)
    assert figures.places == {"alert": {"opened": 3, "resolved": 1}, "dead_letter": {"invalid_field": 1}}
    assert "mixed.jsonl:1: invalid_field: " in result.stderr
    assert "$.alerts[2]" in result.stderr
    (incident,) = map(json.loads, result.stdout.splitlines())
    assert len(incident["events"]) == 4


def test_what_a_file_comes_as_can_be_said_and_has_to_be_known(run: Callable[..., Result]) -> None:
    said = run("replay", "hook.jsonl", "--source", "alertmanager")
    assert (said.exit_code, said.stdout) == (0, run("replay", "hook.jsonl").stdout)
    wrong = run("replay", "hook.jsonl", "--source", "canonical", "--summary", "json")
    assert summary(wrong).places == {"dead_letter": {"invalid_field": 1}}
    unknown = run("replay", "hook.jsonl", "--source", "alertmanger")
    assert unknown.exit_code == 2
    assert "'alertmanager'" in unknown.stderr


def test_an_event_is_explained_by_its_id_though_others_came_with_it(run: Callable[..., Result]) -> None:
    result = run("explain", "h2:firing:2026-01-01T00:00:00Z", "mixed.jsonl")
    assert result.exit_code == 0, result.output
    assert "event h2:firing:2026-01-01T00:00:00Z opened the alert Down on h2; it is in INC-" in result.output
    over = run("explain", "9", "mixed.jsonl")
    assert "the alert with the key zabbix:7, which 7 opened" in over.output


def test_a_recording_of_a_replay_is_read_as_it_was(run: Callable[..., Result], tmp_path: Path) -> None:
    first = run("replay", "mixed.jsonl", "--records", "recorded")
    again = run("replay", "recorded", "--records", "again", "--summary", "json")
    assert first.stdout == again.stdout
    assert summary(again).read == 5
    (letter,) = (tmp_path / "recorded" / "dead-letters.jsonl").read_text().splitlines()
    assert json.loads(letter)["headers"]["__opsbridge.errors.items"] == "1"
    review = run("review", "recorded", "--json")
    assert review.exit_code == 0, review.output
    figures = json.loads(review.stdout)
    assert (figures["adds_up"], figures["events"]["read"]) == (True, 5)
    assert json.loads(run("review", "mixed.jsonl", "--json").stdout)["events"] == figures["events"]


def test_rules_are_compared_over_payloads_of_any_source(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text("version: 1\nrules:\n  - {id: x, kind: filter, action: drop, match: {ci: h2}}\n")
    result = run("backtest", "--events", "mixed.jsonl", "--rules", "new.yaml", "-o", "json")
    assert result.exit_code == 1, result.output
    answer = json.loads(result.stdout)
    assert answer["read"] == 5
    assert [each["rule"] for each in answer["counts"]] == ["invalid_field", "x"]
