"""What breaks a reader or a writer is told with its place, and nothing else is."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from opsbridge.cli.main import app
from opsbridge.contract.compatibility import breaks
from opsbridge.contract.documents import MESSAGES, json_schema

Edit = Callable[[dict[str, Any]], object]


def gone(schema: dict[str, Any]) -> None:
    del schema["properties"]["severity"]


def one_value_less(schema: dict[str, Any]) -> None:
    schema["properties"]["status"]["enum"].remove("closed")


def one_value_more(schema: dict[str, Any]) -> None:
    schema["properties"]["status"]["enum"].append("parked")


def number_to_text(schema: dict[str, Any]) -> None:
    schema["properties"]["alerts"]["type"] = "string"


def deep_inside(schema: dict[str, Any]) -> None:
    del schema["$defs"]["Root"]["properties"]["silent"]


def not_always(schema: dict[str, Any]) -> None:
    schema["required"].remove("title")


def new_field(schema: dict[str, Any]) -> None:
    schema["properties"]["weather"] = {"type": "string"}
    schema["required"].append("weather")


def other_words(schema: dict[str, Any]) -> None:
    schema["description"] = schema["properties"]["title"]["description"] = "other words"


def never_null(schema: dict[str, Any]) -> None:
    schema["properties"]["merged_into"]["anyOf"].pop()


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (gone, ["$.severity: is gone"]),
        (one_value_less, ["$.status: no longer one of ['closed']"]),
        (one_value_more, []),
        (number_to_text, ["$.alerts: was {'type': 'integer'}, is {'type': 'string'}"]),
        (deep_inside, ["$.root.silent: is gone"]),
        (not_always, ["$.title: is no longer always there"]),
        (new_field, []),
        (other_words, []),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_we_write_may_grow_but_takes_nothing_back(edit: Edit, told: list[str]) -> None:
    old = json_schema("incidents")
    new = copy.deepcopy(old)
    edit(new)
    assert breaks(old, new, "opsbridge") == told


def test_what_may_be_null_is_compared_too() -> None:
    old = json_schema("incidents")
    new = copy.deepcopy(old)
    never_null(new)
    assert [line.split(":")[0] for line in breaks(old, new, "opsbridge")] == ["$.merged_into"]


def required_now(schema: dict[str, Any]) -> None:
    schema["required"].append("source")


def no_longer_required(schema: dict[str, Any]) -> None:
    schema["required"].remove("time")


def shorter(schema: dict[str, Any]) -> None:
    schema["properties"]["id"]["maxLength"] = 10


def more(schema: dict[str, Any]) -> None:
    schema["properties"]["weather"] = {"type": "string"}


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (required_now, ["$.source: has become required"]),
        (no_longer_required, []),
        (more, []),
        (gone, ["$.severity: is gone"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_others_write_stays_accepted(edit: Edit, told: list[str]) -> None:
    old = json_schema("events")
    new = copy.deepcopy(old)
    edit(new)
    assert breaks(old, new, "others") == told


def test_a_tighter_bound_breaks_writers() -> None:
    old = json_schema("events")
    new = copy.deepcopy(old)
    shorter(new)
    assert len(breaks(old, new, "others")) == 1


def test_an_input_of_one_kind_may_become_one_of_several() -> None:
    new = json_schema("context")
    old = copy.deepcopy(new["$defs"]["ChangeRecord"]) | {"$schema": new["$schema"]}
    assert breaks(old, new, "others") == []
    old["properties"]["weather"] = {"type": "string"}
    assert breaks(old, new, "others") == ["$.weather: is gone"]


def test_a_kind_of_feedback_that_is_gone_is_noticed() -> None:
    old = json_schema("feedback")
    new = copy.deepcopy(old)
    new["oneOf"] = [each for each in new["oneOf"] if not each["$ref"].endswith("/Snooze")]
    assert breaks(old, new, "others")
    assert not breaks(new, old, "others")


@pytest.mark.parametrize("entity", MESSAGES)
def test_nothing_breaks_what_stays_the_same(entity: str) -> None:
    assert breaks(json_schema(entity), json_schema(entity), MESSAGES[entity].written_by) == []


def test_the_command_does_not_write_over_a_promise(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["contract", "--output", str(tmp_path)]).exit_code == 0
    path = tmp_path / "topics" / "incidents.schema.json"
    promised = orjson.loads(path.read_bytes())
    promised["properties"]["weather"] = {"type": "string"}
    path.write_bytes(orjson.dumps(promised))
    result = runner.invoke(app, ["contract", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{path}: $.weather: is gone" in result.stderr
    assert "weather" in path.read_text()
    assert runner.invoke(app, ["contract", "--output", str(tmp_path), "--breaking"]).exit_code == 0
    assert "weather" not in path.read_text()
