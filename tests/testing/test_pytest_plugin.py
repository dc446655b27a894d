"""The pytest plugin: which files it collects, what an item is called, and what a failure shows."""

import json
from pathlib import Path

import pytest
from rule_files import rule_file

pytest_plugins = ("pytester",)

RULES = """
- id: drop-debug
  kind: filter
  match: {class: Debug}
  action: drop
  tests:
    - name: debug goes
      events: [{at: 0s, ci: a, class: Debug, severity: major}]
      expect: [{at: 0s, alerts: [], dropped: [{event: e1}]}]
    - name: wrong on purpose
      events: [{at: 0s, ci: a, class: Up, severity: major}]
      expect: [{at: 0s, alerts: []}]
- id: bare
  kind: filter
  match: {class: X}
  action: drop
"""
OTHER = "rules:\n  - {kind: Role, tests: [a], verbs: [get]}\n"


@pytest.fixture(autouse=True)
def _an_installation(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("correlation_rules")
    rule_file(folder, RULES, "web.yaml")
    (folder / "other.yaml").write_text(OTHER)
    (folder / "bare.yaml").write_text("version: 1\nrules: [{kind: unknown, tests: []}]\n")
    (folder / "values.yaml").write_text("rules: {{ tests: kind: }}\nversion")
    pytester.makepyfile(test_python="def test_python(): pass")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest("-p", "no:asyncio", "-p", "no:cacheprovider", *arguments)


def test_a_directory_that_is_named_is_collected_and_nothing_else_in_it(pytester: pytest.Pytester) -> None:
    found = run(pytester, "correlation_rules", "--collect-only", "-q")
    assert [line for line in found.outlines if "::" in line] == [
        "correlation_rules/web.yaml::drop-debug::debug goes",
        "correlation_rules/web.yaml::drop-debug::wrong on purpose",
    ]


def test_a_failure_shows_the_difference_and_its_place(pytester: pytest.Pytester) -> None:
    found = run(pytester, "correlation_rules/web.yaml")
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(
        [
            "correlation_rules/web.yaml:11: drop-debug::wrong on purpose",
            "--- wanted",
            "+++ found",
            " at 0s, alerts:",
            "-  (none)",
            "+  {ci: a, class: Up, severity: major}",
            "FAILED correlation_rules/web.yaml::drop-debug::wrong on purpose*",
        ],
        consecutive=False,
    )
    assert "Traceback" not in found.stdout.str()


@pytest.mark.parametrize("named", ["web.yaml::drop-debug::debug goes", "web.yaml::drop-debug"])
def test_an_item_can_be_named(pytester: pytest.Pytester, named: str) -> None:
    found = run(pytester, f"correlation_rules/{named}", "-k", "goes")
    found.assert_outcomes(passed=1, deselected=int(named.endswith("debug")))


def test_without_a_name_or_the_option_nothing_is_collected(pytester: pytest.Pytester) -> None:
    run(pytester).assert_outcomes(passed=1)
    run(pytester, "test_python.py").assert_outcomes(passed=1)


def test_the_option_names_what_is_collected(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nopsbridge_rules = correlation_rules\n")
    run(pytester).assert_outcomes(passed=2, failed=1)


def test_json_is_collected_too(pytester: pytest.Pytester) -> None:
    carried = [{"name": "a", "expect": [{"at": "0s", "alerts": []}]}]
    rule = {"id": "x", "kind": "filter", "match": {"class": "X"}, "action": "drop", "tests": carried}
    Path("correlation_rules", "more.json").write_text(json.dumps({"version": 1, "rules": [rule]}))
    run(pytester, "correlation_rules/more.json").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 1\nrules:\n- {id: a, kind: filter, tests: [{name: x}]}\n", "*bad.yaml:3:*: match: is required"),
        ("version: 1\nrules:\n- {id: a, kind: filter, tests: [\n", "*bad.yaml:4:1: *"),
    ],
)
def test_a_rule_file_that_cannot_be_used_is_an_error(pytester: pytest.Pytester, text: str, told: str) -> None:
    Path("correlation_rules", "bad.yaml").write_text(text)
    found = run(pytester, "correlation_rules/bad.yaml")
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines([told])
