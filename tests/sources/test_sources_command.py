"""`opsbridge sources`: what is listed, checked and tried, and the page that tells how to write a mapping."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from mappings import written
from typer.testing import CliRunner, Result

from opsbridge.cli.main import app
from opsbridge.documents import read_documents
from opsbridge.sources.catalogue import shipped_sources
from opsbridge.sources.language import schema as schemas
from opsbridge.sources.language.model import FieldsModel, MappingModel
from opsbridge.sources.language.terms import COMPUTED
from pages import ROOT, blocks, names, page

PAYLOAD = {"id": "1", "ci": "x", "more": {"a": [{"b": 1}, {"b": 2}], "c": None}}


def asked(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(app, ["sources", *map(str, arguments)], input=text)


def test_sources_are_listed_with_what_they_are_recognised_by(tmp_path: Path) -> None:
    own = written(tmp_path, recognise=[{"kind": ["Alpha"]}])
    listed = json.loads(asked("list", "--sources", own, "-o", "json").stdout)
    assert [each["name"] for each in listed] == sorted(
        {"auto", "canonical", "tool", *(s.name for s in shipped_sources())}
    )
    (mine,) = (each for each in listed if each["name"] == "tool")
    assert mine == {
        "name": "tool", "title": "A tool", "recognised_by": ["kind is Alpha"], "path": str(own), "own": True
    }  # fmt: skip
    assert "kind is Alpha" in asked("list", "--sources", own).stdout


def test_the_shipped_mappings_are_right() -> None:
    found = asked("check", "-o", "json")
    assert (found.exit_code, json.loads(found.stdout)["findings"]) == (0, [])


def test_a_mapping_without_samples_is_told(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = asked("check", tmp_path)
    assert found.exit_code == 1
    assert (
        f"{path}: source tool: has no samples: nothing shows that it works; put them into tool.samples.yaml"
        in found.stderr
    )


def test_a_sample_that_gives_something_else_is_told_with_its_line(tmp_path: Path) -> None:
    written(tmp_path)
    samples = tmp_path / "tool.samples.yaml"
    samples.write_text("# two\n- {name: s, payload: {id: '1'}, auto: false, rejected: [no class]}\n")
    found = asked("check", tmp_path)
    assert found.exit_code == 1
    assert f"warning: {samples}:2:1: sample s: rejected with " in found.stderr.replace("\n", "")


def test_a_mapping_that_is_wrong_cannot_be_used(tmp_path: Path) -> None:
    path = written(tmp_path, fields={"sevrity": "x"})
    for arguments in (("check", path), ("list", "--sources", path), ("try", path, "--sources", path)):
        found = asked(*arguments)
        assert found.exit_code == 2
        assert "fields.sevrity: unknown field; did you mean 'severity'?" in found.stderr


def test_a_payload_is_tried(tmp_path: Path) -> None:
    own = written(tmp_path, fields={"labels": {"add": {"b": "more.a[0].b"}}}, recognise=[{"more": "present"}])
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(PAYLOAD, indent=1))
    found = asked("try", file, "--sources", own, "-o", "json")
    (told,) = json.loads(found.stdout)
    assert found.exit_code == 0
    assert (told["source"], told["by"], told["line"]) == ("tool", "more is present", 0)
    assert told["unused"] == ["more.a[*].b"]
    assert told["events"][0]["labels"] == {"b": "1"}
    shown = asked("try", file, "--source", own)
    assert "not used by the mapping: more.a[*].b" in shown.stderr
    assert "│ firing" in shown.stdout


def test_lines_are_payloads_and_what_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    own = written(tmp_path, skip=[{"reason": "quiet", "when": {"quiet": True}}])
    text = '{"id": "1", "ci": "x"}\n\n{"id": "2"}\n{"quiet": true}\n{\n'
    found = asked("try", "-", "--source", own, text=text)
    assert found.exit_code == 1
    assert "line 3: tool\nnot understood: invalid_field: no ci: ci is missing - at `$`" in found.stderr
    assert "line 4: tool\nwithheld: tool/quiet" in found.stderr
    assert "line 5: tool\nnot understood: invalid_json: " in found.stderr


def test_a_list_is_several_payloads_and_texts_are_lines(tmp_path: Path) -> None:
    found = asked(
        "try", "-", "--source", written(tmp_path), "-o", "json", text='[{"id": "1", "ci": "x"}, {"id": "2", "ci": "x"}]'
    )
    assert [told["events"][0]["id"] for told in json.loads(found.stdout)] == ["1", "2"]
    fields: dict[str, object] = {"id": "n", "ci": "host"}
    texts = written(tmp_path, "lines", fields, payload="text", patterns=["^(?P<host>\\S+) (?P<n>\\d+)(?P<rest>.*)"])
    found = asked("try", "-", "--source", texts, "-o", "json", text="db-1 7 and more\n")
    (told,) = json.loads(found.stdout)
    assert (told["events"][0]["ci"], told["unused"]) == ("db-1", ["rest"])


def test_a_directory_without_mappings_is_a_finding(tmp_path: Path) -> None:
    found = asked("check", tmp_path)
    assert (found.exit_code, f"there are no mapping files in {tmp_path}" in found.stderr) == (1, True)
    (tmp_path / "acme.yaml").write_text("")
    found = asked("check", tmp_path)
    assert (found.exit_code, f"warning: {tmp_path}/acme.yaml:1:1: the file is empty" in found.stderr) == (1, True)


def test_what_is_no_object_is_not_used_as_a_whole(tmp_path: Path) -> None:
    found = asked("try", "-", "--source", written(tmp_path), text="5")
    assert "not used by the mapping: $" in found.stderr.splitlines()


def test_headers_come_with_a_payload(tmp_path: Path) -> None:
    own = written(tmp_path, fields={"ci": "headers.host"})
    found = asked("try", "-", "--source", own, "--headers", "Host=db-1", "-o", "json", text='{"id": "1"}')
    assert json.loads(found.stdout)[0]["events"][0]["ci"] == "db-1"
    wrong = asked("try", "-", "--source", own, "--headers", "Host", text="{}")
    assert wrong.exit_code == 2
    assert "expected NAME=VALUE, not 'Host'" in wrong.stderr


def test_nothing_to_try_and_nobody_to_try_it(tmp_path: Path) -> None:
    nothing = asked("try", "-", text="")
    assert nothing.exit_code == 1
    assert "there is nothing in it" in nothing.stderr
    nobody = asked("try", "-", "--source", "zabix", text="{}")
    assert nobody.exit_code == 2
    assert "unknown source 'zabix'; did you mean 'zabbix'?" in nobody.stderr.replace("\n", "").replace("│", "").replace(
        "  ", " "
    )
    unknown = asked("try", "-", text="{}")
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("no source\nnot understood: invalid_field: ")


# the page and the schema


def test_the_example_on_the_page_works(tmp_path: Path) -> None:
    (payload,) = blocks(page("docs/sources.md"), "json")
    mapping, samples = blocks(page("docs/sources.md"), "yaml")
    (tmp_path / "payload.json").write_text(payload)
    (tmp_path / "acme.yaml").write_text(mapping)
    (tmp_path / "acme.samples.yaml").write_text(samples)
    checked = asked("check", tmp_path / "acme.yaml")
    assert (checked.exit_code, checked.stderr) == (0, "")
    tried = asked("try", tmp_path / "payload.json", "--source", tmp_path / "acme.yaml")
    assert tried.exit_code == 0
    assert "not used" not in tried.stderr


def test_every_field_is_documented() -> None:
    assert names("docs/sources.md", "A mapping file") == list(MappingModel.model_fields)
    told = names("docs/sources.md", "Fields of the event")
    assert told == [*COMPUTED, "labels"]
    assert sorted(told) == sorted(field.alias or name for name, field in FieldsModel.model_fields.items())


CHECKED_IN = ROOT / "schemas" / "sources-v1.json"


def test_the_schema_is_checked_in(tmp_path: Path) -> None:
    found = asked("schema", "-o", tmp_path / "schema.json")
    assert found.exit_code == 0
    assert CHECKED_IN.read_text() == (tmp_path / "schema.json").read_text(), (
        "run: opsbridge sources schema -o schemas/sources-v1.json"
    )
    assert asked("schema").stdout == CHECKED_IN.read_text()


@pytest.mark.parametrize("source", shipped_sources(), ids=lambda source: source.name)
def test_the_schema_takes_the_shipped_mappings(source: object) -> None:
    (document,), _ = read_documents([source.mapping.path])  # type: ignore[attr-defined]
    assert [error.message for error in Draft7Validator(schemas.schema()).iter_errors(document.value)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": {"ci": {"of": "a", "hots": True}}},
        {"fields": {"time": {"of": "a", "as": "epoc"}}},
        {"let": {"a": {"pairs": "b"}}},
        {"skip": [{"reason": "x"}]},
        {"surce": "x"},
    ],
)
def test_the_schema_refuses(wrong: dict[str, object]) -> None:
    sound: dict[str, object] = {
        "source": "t", "title": "T", "fields": {"id": "a", "time": "b", "state": "c", "source": "d"}
    }  # fmt: skip
    validator = Draft7Validator(schemas.schema())
    assert validator.is_valid(sound)
    fields = wrong.get("fields")
    broken = sound | wrong if fields is None else sound | {"fields": sound["fields"] | fields}  # type: ignore[operator]
    assert not validator.is_valid(broken)
