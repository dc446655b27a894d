"""The JSON Schema of rule files: checked in as it is made, right about all shipped files, and about what is wrong."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from opsbridge.cli.rules import whole_schema
from opsbridge.documents import yaml_text
from opsbridge.rules import load_rules, schema
from opsbridge.rules.defaults import SHIPPED
from opsbridge.rules.language.model import MODELS
from opsbridge.rules.matching.conditions import FIELDS, OPERATORS

ROOT = Path(__file__).parents[2]
CHECKED_IN = ROOT / "schemas" / "rules-v1.json"
SOUND = sorted((Path(__file__).parent / "sound").glob("*.yaml"))
FILES = [*sorted((ROOT / "correlation_rules").glob("*.yaml")), SHIPPED, *SOUND]
WHOLE = json.loads(whole_schema())
CHECK = jsonschema.Draft7Validator(WHOLE)


def complaints(text: str) -> list[str]:
    return [error.message for document in yaml_text.parse(text) for error in CHECK.iter_errors(document)]


def test_the_checked_in_file_is_current() -> None:
    assert CHECKED_IN.read_text() == whole_schema() + "\n", "run: opsbridge rules schema > schemas/rules-v1.json"


def test_it_is_a_schema_of_draft_7() -> None:
    for said in (schema(), WHOLE):
        jsonschema.Draft7Validator.check_schema(said)
        assert said["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_every_reference_leads_to_a_definition() -> None:
    said = set(re.findall(r'"#/definitions/([^"]+)"', json.dumps(WHOLE)))
    assert said <= set(WHOLE["definitions"])
    assert "$defs" not in json.dumps(WHOLE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_file_keeps_to_it_and_names_it(path: Path) -> None:
    first, _, _ = path.read_text().partition("\n")
    said = first.removeprefix("# yaml-language-server: $schema=")
    assert said != first
    assert (path.parent / said).resolve() == CHECKED_IN
    assert complaints(path.read_text()) == []


def test_all_kinds_fields_and_comparisons_are_in_it_and_described() -> None:
    definitions = schema()["definitions"]
    assert isinstance(definitions, dict)
    kinds = definitions["rule"]["properties"]["kind"]["oneOf"]
    assert [kind["const"] for kind in kinds] == list(MODELS)
    assert list(definitions["match"]["properties"]) == list(FIELDS)
    comparisons = {
        name
        for key, definition in definitions.items()
        if key.startswith("condition_of_")
        for name in definition["anyOf"][2]["properties"]
    }
    assert comparisons == set(OPERATORS)
    undescribed = [
        f"{name}.{field}"
        for name, definition in definitions.items()
        for field, held in definition.get("properties", {}).items()
        if "description" not in held and field != "kind"
    ]
    assert undescribed == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_it_takes_the_loader_takes(path: Path) -> None:
    assert load_rules([path]).rules


def test_there_is_a_sound_file_of_every_kind() -> None:
    assert [path.stem for path in SOUND] == sorted(MODELS)


@pytest.mark.parametrize(
    "rule",
    [
        "{id: a, kind: filter, match: {class: x}}",
        "{id: a, kind: filter, action: discard, match: {class: x}}",
        "{id: A, kind: filter, action: drop, match: {class: x}}",
        "{id: a, kind: fliter, action: drop, match: {class: x}}",
        "{id: a, kind: filter, action: drop, match: {clas: x}}",
        "{id: a, kind: filter, action: drop, match: {class: 1}}",
        "{id: a, kind: filter, action: drop, match: {class: {gte: x}}}",
        "{id: a, kind: filter, action: drop, match: {labels.x: {gte: x}}}",
        "{id: a, kind: filter, action: drop, match: {state: firing}}",
        "{id: a, kind: filter, action: drop, match: {}}",
        "{id: a, kind: hold, for: 90, match: {class: x}}",
        "{id: a, kind: hold, for: '', match: {class: x}}",
        "{id: a, kind: dedup, fingerprint: [ci], match: {severity: info}}",
        "{id: a, kind: dedup, fingerprint: [ci], shadow: true, match: {class: x}}",
        "{id: a, kind: correlate, nature: cause}",
        "{id: a, kind: correlate, edges: [x], strength: 2}",
        "{id: a, kind: maintenance, cis: {class: x}, windows: [{weekly: Sat 01:00-02:00}]}",
    ],
)
def test_what_is_wrong_is_seen_while_it_is_typed(rule: str) -> None:
    assert complaints(f"version: 1\nrules:\n  - {rule}\n") != []


def test_what_tests_look_like_may_be_said_by_others() -> None:
    assert schema({"type": "array", "maxItems": 3})["definitions"]["tests"] == {"type": "array", "maxItems": 3}  # type: ignore[index]  # schemas are nested
