"""`opsbridge rules check` and `schema`: every finding in the shape that its reader wants, and a schema for editors."""

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from opsbridge import __version__
from opsbridge.cli.annotating import sarif, workflow_commands
from opsbridge.cli.main import app
from opsbridge.cli.output import to_json
from opsbridge.cli.rules import whole_schema
from opsbridge.documents import Finding, yaml_text

REPOSITORY = Path(__file__).parents[2]

BROKEN = """\
version: 1
rules:
  - {id: a, kind: filter, action: drp, match: {class: X}}
  - {id: b, kind: filter, action: drop, match: {clas: X}}
"""
OVER = """\
version: 1
rules:
  - id: over
    kind: maintenance
    title: Long ago
    shadow: true
    cis: {ci: web-1}
    windows: [{from: 2020-01-01T00:00:00Z, to: 2020-01-02T00:00:00Z}]
"""


@pytest.fixture(autouse=True)
def _a_place_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text(BROKEN)
    Path("over.yaml").write_text(OVER)


def rules(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rules", *arguments])


@pytest.mark.parametrize("output", ["text", "json", "github", "sarif"])
@pytest.mark.parametrize(("file", "code", "lines"), [("broken.yaml", 2, 2), ("over.yaml", 1, 1)])
def test_every_shape_ends_alike_and_tells_people_all_at_once(output: str, file: str, code: int, lines: int) -> None:
    result = rules("check", file, "-o", output)
    assert result.exit_code == code
    assert len(result.stderr.splitlines()) == lines


def test_text_has_file_line_and_column() -> None:
    result = rules("check", "broken.yaml")
    one, other = result.stderr.splitlines()
    assert one.startswith("broken.yaml:3:35: rule a: action: must be ")
    assert other.startswith("broken.yaml:4:49: rule b: match.clas: ")
    assert result.stdout == ""


def test_a_window_that_is_over_is_odd_and_the_table_names_trials() -> None:
    result = rules("check", "over.yaml")
    assert "warning: over.yaml:8:48: rule over: windows[0].to: this window is over" in result.stderr
    assert "maintenance (in trial)" in result.stdout
    answer = json.loads(rules("check", "over.yaml", "-o", "json").stdout)
    assert answer["rules"][0] == {
        "id": "over",
        "kind": "maintenance",
        "shadow": True,
        "title": "Long ago",
        "tests": 0,
        "path": "over.yaml",
    }
    assert answer["findings"][0]["level"] == "warning"


def test_workflow_commands_stand_at_their_lines() -> None:
    lines = rules("check", "broken.yaml", "-o", "github").stdout.splitlines()
    assert lines[0].startswith("::error file=broken.yaml,line=3,col=35::rule a: action: must be ")
    assert len(lines) == 2
    assert rules("check", "over.yaml", "-o", "github").stdout.startswith("::warning file=over.yaml,line=8,")


def test_workflow_commands_are_not_cut_by_what_they_say() -> None:
    finding = Finding("a,b:c%.yaml", 0, 0, "", "100 % of\r\nit: a, b", "info")
    assert [*workflow_commands([finding])] == ["::notice file=a%2Cb%3Ac%25.yaml::100 %25 of%0D%0Ait: a, b"]


SARIF = {  # the part of the standard that readers of such logs rely on
    "type": "object",
    "required": ["version", "runs", "$schema"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name", "version", "rules"],
                                "properties": {
                                    "rules": {
                                        "items": {
                                            "required": ["id", "shortDescription"],
                                            "properties": {"shortDescription": {"required": ["text"]}},
                                        }
                                    }
                                },
                            }
                        },
                    },
                    "results": {
                        "items": {
                            "required": ["ruleId", "ruleIndex", "level", "message", "locations"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {"required": ["text"]},
                                "locations": {
                                    "minItems": 1,
                                    "items": {
                                        "required": ["physicalLocation"],
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation"],
                                                "additionalProperties": False,
                                                "properties": {
                                                    "artifactLocation": {"required": ["uri"]},
                                                    "region": {
                                                        "required": ["startLine", "startColumn"],
                                                        "properties": {
                                                            "startLine": {"type": "integer", "minimum": 1},
                                                            "startColumn": {"type": "integer", "minimum": 1},
                                                        },
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                            },
                        }
                    },
                },
            },
        },
    },
}


@pytest.mark.parametrize("file", ["broken.yaml", "over.yaml"])
def test_sarif_has_a_rule_and_a_region_for_every_result(file: str) -> None:
    log = json.loads(rules("check", file, "-o", "sarif").stdout)
    jsonschema.Draft7Validator(SARIF).validate(log)
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("OpsBridge", __version__)
    assert run["results"]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        location = result["locations"][0]["physicalLocation"]
        assert location["artifactLocation"]["uri"] == file
        assert location["region"]["startLine"] in (3, 4, 8)


def test_sarif_without_a_place_and_with_hard_names() -> None:
    findings = [Finding("a b#.yaml", 0, 0, "", "cannot be read"), Finding("/x/y.yaml", 1, 2, "rule r", "odd", "info")]
    first, second = json.loads(to_json(sarif(findings)))["runs"][0]["results"]
    assert first["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "a%20b%23.yaml"}}}]
    assert first["message"]["text"] == "cannot be read"
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///x/y.yaml"
    assert second["level"] == "note"


def test_a_shape_that_is_not_known_ends_with_two() -> None:
    result = rules("check", "over.yaml", "-o", "xml")
    assert result.exit_code == 2
    assert "'xml' is not one of" in result.stderr


# the schema


def test_the_schema_knows_tests_and_takes_the_shipped_files() -> None:
    printed = json.loads(rules("schema").stdout)
    assert printed == json.loads(whole_schema())
    jsonschema.Draft7Validator.check_schema(printed)
    validator = jsonschema.Draft7Validator(printed)
    for path in (REPOSITORY / "correlation_rules").glob("*.yaml"):
        for document in yaml_text.parse(path.read_text()):
            assert [error.message for error in validator.iter_errors(document)] == []
    rule = {"id": "a", "kind": "filter", "action": "drop", "match": {"class": "X"}}
    wrong = {"name": "t", "evnts": []}
    (error,) = validator.iter_errors({"version": 1, "rules": [rule | {"tests": [wrong]}]})
    assert "evnts" in error.message
    assert [*validator.iter_errors({"version": 1, "rules": [rule]})] == []


def test_the_checked_in_schema_is_what_is_printed() -> None:
    assert (REPOSITORY / "schemas" / "rules-v1.json").read_text() == whole_schema() + "\n", (
        "opsbridge rules schema -o schemas/rules-v1.json"
    )


def test_the_schema_goes_to_a_file_where_asked() -> None:
    result = rules("schema", "-o", "schema.json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert Path("schema.json").read_text() == whole_schema() + "\n"
    result = rules("schema", "-o", "nowhere/schema.json")
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr
