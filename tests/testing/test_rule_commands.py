"""`opsbridge rules test` and `opsbridge rules explain`: what they print where, and which exit code says what."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rule_files import carried_by, rule_file
from typer.testing import CliRunner
from typer.testing import Result as Done

from opsbridge.cli.main import app
from opsbridge.testing.junit import written
from opsbridge.testing.run import Result

GOOD = """
- id: drop-debug
  kind: filter
  match: {class: Debug}
  action: drop
  tests:
    - name: debug goes
      events: [{at: 0s, ci: a, class: Debug, severity: major}]
      expect: [{at: 0s, alerts: [], dropped: [{event: e1, by: drop-debug}]}]
- {id: bare, kind: filter, match: {class: X, ci: db}, action: drop}
"""
WRONG = """
- id: keep
  kind: filter
  match: {class: Debug}
  action: keep
  tests:
    - name: <wrong> & "told"
      events: [{at: 0s, ci: a, class: "De\\x01bug", severity: major}]
      expect: [{at: 0s, alerts: []}]
"""
EVENT = {
    "id": "e",
    "time": "2026-01-05T12:00:00Z",
    "ci": "db",
    "class": "Debug",
    "state": "firing",
    "severity": "major",
}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    rule_file(Path(), GOOD, "good.yaml")
    rule_file(Path(), WRONG, "wrong.yaml")


def opsbridge(*arguments: str, stdin: bytes | None = None) -> Done:
    return CliRunner().invoke(app, ["rules", *arguments], input=stdin)


def test_tests_that_pass() -> None:
    done = opsbridge("test", "good.yaml")
    assert done.exit_code == 0, done.output
    assert "drop-debug" in done.stdout
    assert done.stderr.startswith("1 tests passed in ")
    assert done.stderr.endswith("; 1 of 2 rules have none\n")


def test_a_test_that_fails_is_told_with_its_place_and_its_difference() -> None:
    done = opsbridge("test", ".")
    assert done.exit_code == 1
    assert 'wrong.yaml:8: keep::<wrong> & "told"\n--- wanted\n+++ found\n at 0s, alerts:\n-  (none)\n+  ' in done.stderr
    assert "1 of 2 tests failed" in done.stderr


def test_only_some_are_run() -> None:
    assert opsbridge("test", ".", "--run", "drop-debug::").exit_code == 0
    nothing = opsbridge("test", ".", "--run", "no-such")
    assert (nothing.exit_code, nothing.stderr) == (1, "no test's RULE::NAME contains 'no-such'\n")


def test_a_run_that_tests_nothing_fails() -> None:
    rule_file(Path(), "- {id: bare, kind: filter, match: {class: X}, action: drop}", "bare.yaml")
    done = opsbridge("test", "bare.yaml")
    assert (done.exit_code, done.stderr) == (1, "there are no tests; rules carry them under `tests:`\n")


def test_files_that_cannot_be_used() -> None:
    rule_file(Path(), GOOD.replace("alerts: [], dropped", "dropt"), "bad.yaml")
    done = opsbridge("test", "bad.yaml", "-o", "json")
    assert done.exit_code == 2
    assert "bad.yaml:10:27: rule drop-debug: tests[0].expect[0].dropt: unknown field; known are alerts" in done.stderr
    assert json.loads(done.stdout)["findings"][0]["line"] == 10


def test_json_has_every_result() -> None:
    told = json.loads(opsbridge("test", ".", "-o", "json").stdout)
    assert (told["passed"], told["failed"], told["untested"]) == (1, 1, ["bare"])
    assert [(each["path"], each["line"], each["rule"], each["passed"]) for each in told["tests"]] == [
        ("good.yaml", 8, "drop-debug", True),
        ("wrong.yaml", 8, "keep", False),
    ]
    assert told["tests"][1]["difference"].startswith("--- wanted")


def test_the_junit_report_is_well_formed() -> None:
    assert opsbridge("test", ".", "--junit", "report.xml").exit_code == 1
    root = ET.parse("report.xml").getroot()  # noqa: S314 # our own file
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert [suite.get("name") for suite in root] == ["good.yaml", "wrong.yaml"]
    good, wrong = root.iter("testcase")
    assert (good.get("classname"), good.get("name"), good.get("line")) == ("drop-debug", "debug goes", "8")
    assert len(good) == 0
    assert wrong.get("name") == '<wrong> & "told"'
    failure = wrong.find("failure")
    assert failure is not None
    assert failure.get("message") == "wrong.yaml:8: what was found is not what was wanted"
    assert failure.text is not None
    assert "+  {ci: a, class: " in failure.text


def test_the_junit_report_holds_what_xml_cannot() -> None:
    (test,) = carried_by(Path("good.yaml"))
    report = written([Result(test, "-\x1f\x00\ud800]]>", 0.1)])
    failure = ET.fromstring(report).find("*/*/failure")  # noqa: S314 # our own
    assert failure is not None
    assert failure.text == "-\\x1f\\x00\\ud800]]>"


def test_a_report_that_cannot_be_written() -> None:
    done = opsbridge("test", "good.yaml", "--junit", "no/such/report.xml")
    assert done.exit_code == 2
    assert "No such file or directory" in done.stderr


def test_explain_tells_near_rules_in_full_and_counts_the_rest() -> None:
    done = opsbridge("explain", json.dumps(EVENT), "--rules", "good.yaml", "--rules", "wrong.yaml")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "e: Debug on db (not in the topology), firing, major",
        "  outcome: suppressed, by drop-debug",
        "  class: unknown, travels to dependents",
        "",
        "+ drop-debug (filter) matches  good.yaml:3",
        "    + class is 'Debug': 'Debug'",
        "    => drops the event",
        "",
        "+ keep (filter) matches, but has no say  wrong.yaml:3",
        "    drop-debug takes the event away before",
        "    + class is 'Debug': 'Debug'",
        "    => keeps the event, whatever later filters say",
        "",
        "1 rule does not come near; --all shows all",
    ]
    bare = "- bare (filter) does not match, 1 short"
    assert bare in opsbridge("explain", json.dumps(EVENT), "--rules", "good.yaml", "--all").stdout
    event = json.dumps(EVENT | {"class": "x"})
    assert f"{bare}  good.yaml:11\n" in opsbridge("explain", event, "--rules", "good.yaml").stdout
    assert "bare" not in opsbridge("explain", event, "--rules", "good.yaml", "--near", "0").stdout


@pytest.mark.parametrize("given", ["event.json", "-"])
def test_explain_takes_a_file_or_stdin_and_a_topology(given: str) -> None:
    Path("event.json").write_text(json.dumps(EVENT | {"ci": "db-alias"}))
    Path("estate.yaml").write_text("cis: [{id: db, aliases: [db-alias]}]")
    arguments = ["explain", given, "--rules", "good.yaml", "--topology", "estate.yaml", "-o", "json"]
    done = opsbridge(*arguments, stdin=Path("event.json").read_bytes())
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["ci"], told["known_ci"], told["class"], told["decided_by"]) == ("db", True, "Debug", "drop-debug")
    assert told["rules"][0]["answers"][0]["tested"] == [
        {"field": "class", "condition": "is 'Debug'", "had": "Debug", "holds": True, "negates": False, "similar": ""}
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["no.json", "--rules", "good.yaml"], "no.json: No such file or directory; give a file, - for stdin, or JSON"),
        (["{}", "--rules", "good.yaml"], "this is no event: Object missing required field `id`"),
        ([json.dumps(EVENT | {"severity": None}), "--rules", "good.yaml"], "a firing event needs a severity"),
        ([json.dumps(EVENT)], "give at least one rule file or directory"),
        ([json.dumps(EVENT), "--rules", "no.yaml"], "no.yaml: cannot be read: No such file or directory"),
    ],
)
def test_explain_says_why_it_cannot(arguments: list[str], complaint: str) -> None:
    done = opsbridge("explain", *arguments)
    assert done.exit_code == 2
    assert complaint in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_check_looks_at_known_errors_too(tmp_path: Path) -> None:
    rules, known = tmp_path / "rules.yaml", tmp_path / "known.yaml"
    rules.write_text(
        "version: 1\nrules:\n  - {id: a, kind: respond, response: none, match: {known_error: KE-2}}\n", encoding="utf-8"
    )
    known.write_text("version: 1\nknown_errors:\n  - {id: KE-1, title: x, match: {alerts: 1}}\n", encoding="utf-8")
    found = opsbridge("check", str(rules), "--known-errors", str(known))
    assert (found.exit_code, "1 rules, 1 known errors" in found.stdout) == (1, True)
    assert found.stderr == (
        f"warning: {rules}:3:65: rule a: match.known_error: there is no known error 'KE-2'; did you mean 'KE-1'?\n"
    )
    missing = opsbridge("check", str(rules), "--known-errors", str(tmp_path / "gone"))
    assert (missing.exit_code, "cannot be read" in missing.stderr) == (2, True)
