"""The other commands: what they print where, and which exit code says what."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opsbridge import __version__
from opsbridge.cli.main import EXIT_CODES, app

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_settings_of_mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("OPSBRIDGE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def opsbridge(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


RULES_COMMANDS = [["rules", command] for command in ("check", "test", "explain", "fmt", "schema", "classes")]


def test_version() -> None:
    assert opsbridge("version").stdout.startswith(f"opsbridge {__version__} (Python ")
    assert json.loads(opsbridge("version", "-o", "json").stdout)["version"] == __version__


def test_version_loads_next_to_nothing() -> None:
    script = """
import sys
from opsbridge.cli.main import app
app(["version"], standalone_mode=False)
slow = {"faust", "aiokafka", "networkx", "rich.table", "msgspec", "yaml", "starlette", "structlog", "prometheus_client"}
print(sorted(slow & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_names_the_commands_and_the_exit_codes() -> None:
    told = " ".join(opsbridge("--help").output.split())
    for command in ("run", "demo", "replay", "backtest", "send", "topics", "topology", "rules", "version"):
        assert f" {command} " in told
    for code in EXIT_CODES:
        assert f" {code} " in told


@pytest.mark.parametrize(
    "command",
    [["run"], ["demo"], ["replay"], ["backtest"], ["send"], ["topics"], ["topology", "check"], *RULES_COMMANDS],
)
def test_every_command_explains_itself(command: list[str]) -> None:
    result = opsbridge(*command, "--help")
    assert result.exit_code == 0
    assert "opsbridge " in result.output


@pytest.mark.parametrize("arguments", [["nonsense"], ["replay"], ["topology", "check"], ["topics", "-o", "xml"]])
def test_wrong_usage_ends_with_two_and_says_nothing_on_stdout(arguments: list[str]) -> None:
    result = opsbridge(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_the_shipped_estate_and_rules_are_fine() -> None:
    estate = opsbridge("topology", "check", str(REPOSITORY / "topology"), "-o", "json")
    assert estate.exit_code == 0, estate.stderr
    assert json.loads(estate.stdout)["estate"]["cis"] > 200
    rules = opsbridge("rules", "check", str(REPOSITORY / "correlation_rules"), "-o", "json")
    assert rules.exit_code == 0, rules.stderr
    assert len(json.loads(rules.stdout)["rules"]) > 10


def test_checks_show_tables() -> None:
    Path("estate.yaml").write_text("cis: [{id: a, depends_on: [b]}, {id: b, depends_on: [a]}, {id: lonely}]")
    result = opsbridge("topology", "check", "estate.yaml")
    assert result.exit_code == 0, result.stderr
    assert "cycle of 2: a, b" in result.stdout
    assert "orphans: lonely" in result.stdout
    Path("rules.yaml").write_text(
        "version: 1\nrules:\n  - {id: quiet, kind: filter, action: drop, match: {class: X}}\n"
    )
    result = opsbridge("rules", "check", "rules.yaml")
    assert result.exit_code == 0, result.stderr
    assert "quiet" in result.stdout


def test_classes_are_explained_by_your_rules_and_the_shipped() -> None:
    Path("rules.yaml").write_text(
        "version: 1\nrules:\n  - {id: own, kind: correlate, classes: ['jam*'], nature: cause, travels: nowhere}\n"
    )
    result = opsbridge("rules", "classes", "JamOfPaper", "HostDown", "what", "--rules", "rules.yaml", "-o", "json")
    assert result.exit_code == 0, result.stderr
    assert [tuple(each.values()) for each in json.loads(result.stdout)] == [
        ("JamOfPaper", "cause", "nowhere", "own"),
        ("HostDown", "symptom", "dependents", "shipped-down"),
        ("what", "unknown", "dependents", ""),
    ]
    result = opsbridge("rules", "classes", "HostDown")
    assert result.exit_code == 0, result.stderr
    assert "shipped-down" in result.stdout


def test_warnings_end_with_one() -> None:
    Path("estate.yaml").write_text("cis: []\n")
    result = opsbridge("topology", "check", "estate.yaml")
    assert result.exit_code == 1
    assert "warning: " in result.stderr
    Path("empty").mkdir()
    result = opsbridge("rules", "check", "empty")
    assert result.exit_code == 1
    assert "warning: empty: no files here" in result.stderr


@pytest.mark.parametrize("room", ["topology", "rules"])
def test_errors_end_with_two_and_are_data_for_programs(room: str) -> None:
    Path("bad.yaml").write_text("nonsense: 1\n")
    result = opsbridge(room, "check", "bad.yaml")
    assert result.exit_code == 2
    assert "bad.yaml:1:1: nonsense: unknown field" in result.stderr
    assert result.stdout == ""
    findings = json.loads(opsbridge(room, "check", "bad.yaml", "-o", "json").stdout)["findings"]
    assert findings[0]["subject"] == "nonsense"
    assert findings[0]["line"] == 1


def test_topics_lists_the_catalogue_without_a_broker() -> None:
    rows = json.loads(opsbridge("topics", "-o", "json", "--set", "topics.prefix=x.").stdout)["topics"]
    incidents = next(row for row in rows if row["entity"] == "incidents")
    assert incidents == {
        "topic": "x.incidents.v1",
        "entity": "incidents",
        "key": "incident id",
        "cleanup": "compact,delete",
        "partitions": 4,
    }
    assert "opsbridge.incidents.v1" in opsbridge("topics").stdout


def test_flags_win_over_environment_over_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def prefix(*flags: str) -> str:
        found: str = json.loads(opsbridge("topics", "-o", "json", *flags).stdout)["topics"][0]["topic"]
        return found.split(".")[0]

    Path("mine.toml").write_text('[topics]\nprefix = "file."\n')
    assert prefix() == "opsbridge"
    assert prefix("-c", "mine.toml") == "file"
    monkeypatch.setenv("OPSBRIDGE_TOPICS__PREFIX", "environment.")
    assert prefix("-c", "mine.toml") == "environment"
    assert prefix("-c", "mine.toml", "--set", "topics.prefix=flag.") == "flag"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--set", "topics.prefx=x"], "unknown key topics.prefx (did you mean topics.prefix"),
        (["--set", "topics.partitions=many"], "topics.partitions"),
        (["--set", "prefix=x"], "expected SECTION.KEY=VALUE, not 'prefix=x'"),
        (["--set", "topics.prefix"], "expected SECTION.KEY=VALUE, not 'topics.prefix'"),
        (["--set", "topics.names=x", "--set", "topics.names.events=y"], "given both as a value and as a section"),
        (["-c", "none.toml"], "none.toml: no such file"),
        (["-b", "nowhere"], "expected host:port"),
        (["--create", "--check"], "--create checks as well"),
    ],
)
def test_settings_that_cannot_be_used_end_with_two(flags: list[str], told: str) -> None:
    result = opsbridge("topics", *flags)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


@pytest.fixture
def nobody() -> str:
    """An address where no broker listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_without_a_broker_the_exit_code_is_three(nobody: str) -> None:
    Path("events.jsonl").write_text("{}\n")
    for command in (["topics", "--check"], ["send", "events.jsonl"]):
        result = opsbridge(*command, "-b", nobody)
        assert result.exit_code == 3
        assert f"no broker at {nobody}" in result.stderr


def test_run_without_a_broker_ends_with_three(nobody: str) -> None:
    Path("estate.yaml").write_text("cis: [{id: a}]")
    flags = ["--set", "paths.topology=estate.yaml", "--set", f"paths.rules={REPOSITORY / 'correlation_rules'}"]
    done = subprocess.run(
        [sys.executable, "-m", "opsbridge.cli", "run", "-b", nobody, "--set", "web.port=0", *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert f"no broker at {nobody}" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_with_130() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "opsbridge.cli", "replay", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert b"no --topology" in process.stderr.readline()  # it has begun, and waits for lines
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_the_demo_says_what_it_lacks() -> None:
    result = opsbridge("demo")
    assert result.exit_code == 2
    assert "topology: no such file or directory; run this in a clone, or give --topology" in result.stderr


def test_the_demo_without_its_extra_says_what_to_install() -> None:
    script = """
import sys
sys.modules["kio"] = None  # as if it were not installed
from opsbridge.cli.main import app
app(["demo"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "the embedded broker needs an extra: pip install 'opsbridge[demo]'\n"
