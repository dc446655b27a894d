"""The promise to consumers and publishers: models against the core's structs, documents against the models."""

import json
from typing import Any, Final

import jsonschema
import msgspec
import orjson
import pytest
import yaml
from pydantic import BaseModel, ValidationError

import opsbridge.contract.streams as streams
from opsbridge.contract import inputs, records, shapes
from opsbridge.contract.documents import MESSAGES, asyncapi, json_schema
from opsbridge.core import context, decisions, feedback
from opsbridge.core import records as core
from opsbridge.core.intake import Report
from opsbridge.settings import TopicSettings
from opsbridge.stream.topics import CATALOGUE
from pages import ROOT

PAIRS: Final[list[tuple[type[BaseModel], type[msgspec.Struct]]]] = [
    *((getattr(records, name), getattr(core, name)) for name in (
        "Incident", "IncidentMembers", "Problem", "ChangeRequest", "ServiceRequest", "Response", "Notification",
        "KnownError", "Attempt", "Tried",
    )),
    (records.Change, core.RelatedChange),
    (records.Entry, core.HistoryEntry),
    *((getattr(shapes, name), getattr(decisions, name)) for name in ("Root", "Candidate", "Member", "Moved")),
    (streams.Alert, decisions.Transition),
    (streams.Situation, decisions.Situation),
    (streams.SituationUpdate, decisions.SituationUpdate),
    (streams.Impact, decisions.Impact),
    (streams.RecentChange, decisions.RecentChange),
    (streams.Suppressed, decisions.Suppressed),
    (streams.Shadow, decisions.Shadowed),
    (streams.Discrepancy, decisions.Discrepancy),
    (inputs.Event, Report),
    (inputs.ChangeRecord, context.ChangeRecord),
    *((getattr(inputs, struct.__name__), struct) for struct in feedback.Feedback.__args__),
]  # fmt: skip


def names(model: type[BaseModel]) -> dict[str, bool]:
    """Field as JSON has it -> whether it may be left out."""
    return {field.alias or name: field.is_required() for name, field in model.model_fields.items()}


@pytest.mark.parametrize(("model", "struct"), PAIRS, ids=lambda each: each.__name__)
def test_a_model_has_the_fields_of_what_is_written_and_read(
    model: type[BaseModel], struct: type[msgspec.Struct]
) -> None:
    fields = msgspec.structs.fields(struct)
    tag = struct.__struct_config__.tag_field
    assert names(model) == {field.encode_name: field.required for field in fields} | ({tag: True} if tag else {})


def values(schema: dict[str, Any], whole: dict[str, Any]) -> object:
    """The constants that a place allows, or the JSON types."""
    while "$ref" in schema:
        schema = whole[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return sorted(str(values(each, whole)) for each in schema["anyOf"])
    if "enum" in schema:
        return sorted(map(str, schema["enum"]))
    if "const" in schema:
        return [str(schema["const"])]
    kind = schema.get("type")
    if kind == "array":
        return ["array", values(schema.get("items", {}), whole) if isinstance(schema.get("items"), dict) else "?"]
    return kind


@pytest.mark.parametrize(("model", "struct"), PAIRS, ids=lambda each: each.__name__)
def test_a_field_has_the_same_type_in_both(model: type[BaseModel], struct: type[msgspec.Struct]) -> None:
    ours = model.model_json_schema()
    (theirs,), parts = msgspec.json.schema_components([struct], ref_template="#/{name}")
    theirs = parts[theirs["$ref"].rpartition("/")[2]]
    for name, schema in theirs["properties"].items():
        mine, core_type = values(ours["properties"][name], ours.get("$defs", {})), values(schema, parts)
        narrower = core_type == "string" and isinstance(mine, list)  # words that the core does not check
        assert mine == core_type or narrower or name == "marks", name


@pytest.mark.parametrize("entity", MESSAGES)
def test_the_checked_in_schema_is_the_models(entity: str) -> None:
    schema = json_schema(entity)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert orjson.loads((ROOT / "schemas" / "topics" / f"{entity}.schema.json").read_bytes()) == schema, (
        "run: opsbridge contract --output schemas"
    )


def test_the_checked_in_asyncapi_document_is_the_models_and_its_references_lead_somewhere() -> None:
    document = asyncapi(TopicSettings())
    assert yaml.safe_load((ROOT / "schemas" / "asyncapi.yaml").read_text(encoding="utf-8")) == document
    text = json.dumps(document)
    references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    for reference in references:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    assert len(references) > 50


def test_every_topic_is_in_the_contract_or_internal_or_carries_the_bytes_of_others() -> None:
    internal = {entity.name for entity in CATALOGUE if entity.state or entity.internal}
    assert {entity.name for entity in CATALOGUE} - internal - {"routed", "dead-letters"} == set(MESSAGES)


def test_names_of_topics_are_those_of_the_installation() -> None:
    document = asyncapi(TopicSettings(prefix="noc.", names={"incidents": "tickets"}))
    assert document["channels"]["incidents"]["address"] == "tickets"
    assert document["channels"]["events"]["address"] == "noc.events.v1"


SAID: Final = {"id": "f1", "time": "2026-01-01T12:00:00Z", "by": "alice"}
INC: Final = "INC-0123456789abcdef"
OF_RESPONSE: Final = {"response": "RSP-0123456789abcdef", "situation": "S-0123456789abcdef"}


@pytest.mark.parametrize(
    ("said", "fine"),
    [
        ({"kind": "acknowledge", "incident": INC}, True),
        ({"kind": "acknowledge", "incident": "INC-1"}, False),
        ({"kind": "acknowledge"}, False),
        ({"kind": "acknowledge", "incident": INC, "who": "bob"}, False),
        ({"kind": "acknowledge", "incident": INC, "time": "2026-01-01T12:00:00"}, False),
        ({"kind": "aknowledge", "incident": INC}, False),
        ({"kind": "assign", "incident": INC, "to": "bob"}, True),
        ({"kind": "assign", "incident": INC, "to": ""}, False),
        ({"kind": "snooze", "incident": INC, "until": "2026-01-01T13:00:00+01:00"}, True),
        ({"kind": "snooze", "incident": INC}, False),
        ({"kind": "split", "incident": INC, "alerts": ["a"]}, True),
        ({"kind": "split", "incident": INC, "alerts": []}, False),
        ({"kind": "move", "incident": INC, "alerts": ["a"], "to": INC}, True),
        ({"kind": "result", **OF_RESPONSE, "idempotency_key": "k", "outcome": "succeeded", "code": 0}, True),
        ({"kind": "result", **OF_RESPONSE, "idempotency_key": "k", "outcome": "done"}, False),
        ({"kind": "result", **OF_RESPONSE, "idempotency_key": "k", "outcome": "failed", "output": "x" * 9_000}, False),
        ({"kind": "stop_automation"}, True),
        ({"kind": "close_record", "record": "PRB-0123456789abcdef"}, True),
        ({"kind": "close_record", "record": "INC-0123456789abcdef"}, False),
    ],
)
def test_the_contract_takes_just_the_feedback_that_the_core_takes(said: dict[str, object], *, fine: bool) -> None:
    record = orjson.dumps(SAID | said)
    taken = []
    for take in (
        inputs.Feedback.model_validate_json,
        msgspec.json.Decoder(feedback.Feedback).decode,
        lambda value: jsonschema.validate(orjson.loads(value), json_schema("feedback"), format_checker=_FORMATS),
    ):
        try:
            take(record)
        except (ValidationError, msgspec.ValidationError, jsonschema.ValidationError):
            taken.append(False)
        else:
            taken.append(True)
    assert taken == [fine, fine, fine or "time" in said]  # a zone is no matter of JSON Schema


_FORMATS: Final = jsonschema.FormatChecker()
