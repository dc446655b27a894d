"""`opsbridge replay - --watch`: rules that change while it reads, through a real pipe and in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import pytest

from opsbridge.cli.preparing import EstateChangedError, prepare

RULES = """\
version: 1
rules:
  - {id: no-beats, kind: filter, action: drop, match: {class: Heartbeat}}
"""
NEW_RULES = """\
version: 1
rules:
  - {id: no-beats, kind: filter, action: drop, match: {class: Heartbeat}}
  - {id: no-noise, kind: filter, action: drop, match: {class: Noise}}
"""
BROKEN = "version: 1\nrules:\n  - {id: no-beats, kind: filter, action: drp, match: {class: Heartbeat}}\n"


def event(number: int, class_: str, *, ci: str = "h1", state: str = "firing", second: int = 0) -> dict[str, str]:
    time = f"2026-01-01T00:00:{second:02}Z"
    return {"id": f"e{number}", "time": time, "ci": ci, "class": class_, "severity": "critical", "state": state}


class Running:
    """A replay that reads what is written to it, and whose stderr can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said: Queue[str] = Queue()
        self._heard: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.put(line)

    def feed(self, *events: dict[str, str]) -> None:
        """Let it read these, and wait until it has."""
        assert self._process.stdin is not None
        for each in events:
            self._process.stdin.write(json.dumps(each) + "\n")
        self._process.stdin.write("no event\n")
        self._process.stdin.flush()
        self.wait_for("invalid_json")  # a line that is told at once: those before it have been read

    def hang_up(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def wait_for(self, words: str) -> str:
        """The first line from now on with these words, and all before it are kept for a message."""
        while True:
            line = self._said.get(timeout=30)
            self._heard.append(line)
            if words in line:
                return line

    def end(self) -> tuple[list[dict[str, object]], dict[str, object]]:
        """The incidents and the summary."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        incidents = [json.loads(line) for line in self._process.stdout]
        assert self._process.wait(30) == 0, self._heard
        return incidents, json.loads(self.wait_for('"read"'))


@contextmanager
def replay(*flags: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "opsbridge.cli", "replay", "-", "--watch", "--summary", "json", *flags]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES)
    return folder


def exchange(file: Path, text: str) -> None:
    """As editors do it: a new file takes the old one's place."""
    fresh = file.with_suffix(".tmp")
    fresh.write_text(text)
    os.replace(fresh, file)


@pytest.mark.parametrize("named", ["the folder", "the file"])
def test_rules_that_change_are_taken_over_and_open_alerts_are_kept(rules: Path, named: str) -> None:
    file = rules / "rules.yaml"
    with replay("--rules", str(rules if named == "the folder" else file)) as running:
        running.feed(event(1, "Down"), event(2, "Noise", second=1), event(3, "Heartbeat", second=2))
        exchange(file, NEW_RULES)
        told = running.wait_for("rules reloaded")
        assert "1 added (no-noise); digest " in told
        running.feed(event(4, "Noise", ci="h2", second=3), event(5, "Down", second=4))
        running.feed(event(6, "Down", state="resolved", second=5))
        incidents, summary = running.end()
    assert summary["places"] == {
        "alert": {"opened": 2, "duplicate": 1, "resolved": 1},
        "dead_letter": {"invalid_json": 3},
        "suppressed": {"no-beats": 1, "no-noise": 1},
    }
    assert summary["balanced"] is True
    assert sorted(name for each in incidents for name in each["events"]) == ["e1", "e2", "e5", "e6"]  # type: ignore[attr-defined]


def test_rules_that_cannot_be_used_are_refused_and_the_old_ones_stay(rules: Path) -> None:
    file = rules / "rules.yaml"
    with replay("--rules", str(rules)) as running:
        running.feed(event(1, "Noise"))
        exchange(file, BROKEN)
        assert f"{file}:3:42: rule no-beats: action: " in running.wait_for("rules.yaml")
        running.wait_for("rules refused; those in use stay, digest ")
        running.feed(event(2, "Heartbeat", second=1))
        exchange(file, NEW_RULES)
        running.wait_for("rules reloaded: 1 added (no-noise)")
        running.feed(event(3, "Noise", ci="h2", second=2))
        _, summary = running.end()
    assert summary["places"] == {
        "alert": {"opened": 1},
        "dead_letter": {"invalid_json": 3},
        "suppressed": {"no-beats": 1, "no-noise": 1},
    }


COUNTING = """\
version: 1
rules:
  - id: many
    kind: threshold
    type: event_count
    match: {class: Down}
    timespan: 1m
    condition: {gte: 3}
    raise: {class: ManyDown, severity: major}
"""


def test_windows_that_run_go_on(rules: Path) -> None:
    exchange(rules / "rules.yaml", COUNTING)
    with replay("--rules", str(rules)) as running:
        running.feed(event(1, "Down"), event(2, "Down", second=1))
        exchange(rules / "rules.yaml", COUNTING + NEW_RULES.partition("rules:\n")[2])
        running.wait_for("rules reloaded: 2 added (no-beats, no-noise); digest ")
        running.feed(event(3, "Down", second=2), event(4, "Noise", second=3))
        _, summary = running.end()
    assert summary["derived"] == {"many": 1}
    assert summary["balanced"] is True


STRENGTH = "version: 1\nrules: [{id: weak, kind: correlate, edges: [calls], strength: 0.1}]\n"


def test_the_topology_is_read_again_only_as_it_was(rules: Path, tmp_path: Path) -> None:
    estate = tmp_path / "estate.yaml"
    text = "cis: [{id: a, depends_on: [{on: b, type: calls}]}, {id: b}]\n"
    estate.write_text(text)
    made = prepare([estate], [rules])
    exchange(rules / "rules.yaml", STRENGTH)
    again = made.again()
    assert (again.graph.cis, again.graph.providers) == (made.graph.cis, made.graph.providers)
    assert again.graph.costs != made.graph.costs
    estate.write_text(text + "depends_on: [[b, a]]\n")
    with pytest.raises(EstateChangedError, match=r"estate\.yaml: the topology has changed too"):
        made.again()
    exchange(rules / "rules.yaml", NEW_RULES)
    assert made.again().graph is made.graph


def test_known_errors_that_change_are_taken_over(rules: Path, tmp_path: Path) -> None:
    def known(name: str) -> str:
        said = f"{{id: {name}, title: t, match: {{root.ci: h1}}, workaround: w, permanent_fix: ''}}"
        return f"version: 1\nknown_errors: [{said}]\n"

    folder = tmp_path / "known"
    folder.mkdir()
    (folder / "known.yaml").write_text(known("KE-1"))
    with replay("--rules", str(rules), "--known-errors", str(folder)) as running:
        running.feed(event(1, "Down"))
        exchange(folder / "known.yaml", known("KE-2"))
        running.wait_for("with other tables or known errors; digest ")
        running.feed(event(2, "Down", ci="h2", second=30))
        incidents, _ = running.end()
    assert [each["known_errors"][0]["id"] for each in incidents if each["known_errors"]] == ["KE-2"]  # type: ignore[index]


def test_a_hang_up_is_always_answered(rules: Path) -> None:
    with replay("--rules", str(rules)) as running:
        running.feed(event(1, "Down"))
        exchange(rules / "rules.yaml", NEW_RULES)
        running.wait_for("rules reloaded")
        running.hang_up()
        running.wait_for("rules have not changed, digest ")
        incidents, _ = running.end()
    assert [each["events"] for each in incidents] == [["e1"]]


def test_a_rule_that_is_added_in_a_new_folder_is_seen(rules: Path) -> None:
    with replay("--rules", str(rules)) as running:
        running.feed()
        exchange(rules / "rules.yaml", NEW_RULES)
        running.wait_for("rules reloaded")
        more = rules / "more"
        more.mkdir()
        (more / "x.yaml").write_text("version: 1\nrules: [{id: x, kind: filter, action: drop, match: {class: X}}]\n")
        running.wait_for("1 added (x)")
        (more / "x.yaml").unlink()
        running.wait_for("1 removed (x)")
        running.feed(event(1, "X"))
        _, summary = running.end()
    assert summary["places"] == {"alert": {"opened": 1}, "dead_letter": {"invalid_json": 2}}


def test_watching_is_about_rules(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "opsbridge.cli", "replay", "-", "--watch"]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"--watch is about --rules: give them" in done.stderr
