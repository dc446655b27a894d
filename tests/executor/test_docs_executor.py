"""docs/executor.md against the code: its tables, its example, the errors that it shows."""

from pathlib import Path

from opsbridge.executor import load_actions
from opsbridge.executor.model import CallEntry, CommandEntry, WebhookEntry
from pages import blocks, names, page, run, section

PAGE = "docs/executor.md"


def test_every_field_is_documented() -> None:
    assert sorted(names(PAGE, "An action")) == sorted({*CommandEntry.model_fields, *CallEntry.model_fields})
    assert sorted(names(PAGE, "A webhook")) == sorted(WebhookEntry.model_fields)


def test_every_flag_is_documented(tmp_path: Path) -> None:
    said = run(["opsbridge", "executor", "--help"], tmp_path, {"COLUMNS": "200"})
    for flag in names(PAGE, "Set up"):
        assert f"{flag} " in said.stdout


def test_the_example_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "actions.yaml").write_text(blocks(page(PAGE), "yaml")[0])
    done = run(["opsbridge", "executor", "--actions", "actions.yaml", "--check"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "2 actions: restart-service, drain-node\n")
    restart = load_actions([tmp_path / "actions.yaml"]).by_name["restart-service"]
    assert restart.values({"host": "web-01.example.org"}) == {"host": "web-01.example.org", "service": "nginx"}
    assert isinstance(restart.values({"host": "web-01; reboot"}), str)


def test_the_errors_shown_are_those_that_are_told(tmp_path: Path) -> None:
    text = "version: 1\nactions:\n  - name: reboot\n    command: [reboot, '{host}']\n"
    (tmp_path / "actions.yaml").write_text(text)
    done = run(["opsbridge", "executor", "--actions", "actions.yaml"], tmp_path)
    (shown,) = blocks(section(PAGE, "Action file"), "text")
    assert (done.returncode, done.stderr) == (2, shown)
