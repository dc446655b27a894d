"""The documents that are generated from the models: a JSON Schema (2020-12) per topic, and one AsyncAPI 3 document.

`opsbridge contract` writes them and refuses to take back what was promised (compatibility.py); a test holds the
checked-in ones against what is generated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, RootModel, TypeAdapter

from opsbridge.contract.inputs import Context, Event, Feedback
from opsbridge.contract.records import (
    ChangeRequest,
    Incident,
    IncidentMembers,
    Notification,
    Problem,
    Response,
    ServiceRequest,
)
from opsbridge.contract.streams import Alert, Discrepancy, Shadow, SituationUpdate, Suppressed
from opsbridge.settings import TopicSettings
from opsbridge.stream.topics import ENTITIES, topic_name

Document = dict[str, Any]
"""JSON; its shape is that of another standard."""

SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI_VERSION: Final = "3.0.0"
CONTRACT_VERSION: Final = "1.0.0"
"""The middle number counts additions; what breaks readers or writers is another version of the topics."""


class Alerts(RootModel[list[Alert]]):
    """Changes of alerts, packed: one record for many, keyed by correlation domain; or a regrouping, without key."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a record of a public topic is."""

    model: type[BaseModel]
    written_by: Literal["opsbridge", "others"]


MESSAGES: Final[Mapping[str, Message]] = {
    "events": Message(Event, "others"),
    "feedback": Message(Feedback, "others"),
    "context": Message(Context, "others"),
    "alerts": Message(Alerts, "opsbridge"),
    "situations": Message(SituationUpdate, "opsbridge"),
    "incidents": Message(Incident, "opsbridge"),
    "incident-members": Message(IncidentMembers, "opsbridge"),
    "problems": Message(Problem, "opsbridge"),
    "changes": Message(ChangeRequest, "opsbridge"),
    "requests": Message(ServiceRequest, "opsbridge"),
    "responses": Message(Response, "opsbridge"),
    "notifications": Message(Notification, "opsbridge"),
    "suppressed": Message(Suppressed, "opsbridge"),
    "shadow": Message(Shadow, "opsbridge"),
    "discrepancies": Message(Discrepancy, "opsbridge"),
}
"""Entity of the topics' catalogue -> its records; topics that are not here are internal, or carry others' bytes."""


def json_schema(entity: str) -> Document:
    """The schema of the value of a topic's records; raises `KeyError` for one without."""
    schema = _schema(MESSAGES[entity], "#/$defs/{model}")
    return {"$schema": SCHEMA_DIALECT, **schema}


def asyncapi(topics: TopicSettings) -> Document:
    """The AsyncAPI document of an installation whose topics are called so."""
    schemas: Document = {}
    channels: Document = {}
    messages: Document = {}
    operations: Document = {}
    for entity, message in MESSAGES.items():
        row, name = ENTITIES[entity], message.model.__name__
        schema = _schema(message, "#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
        messages[name] = {
            "name": name,
            "title": (message.model.__doc__ or name).strip().splitlines()[0],
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{name}"},
            "bindings": {"kafka": {"key": {"type": "string", "description": row.key}, "bindingVersion": "0.5.0"}},
        }
        channels[entity] = {
            "address": topic_name(topics, entity),
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {
                "kafka": {
                    "topicConfiguration": {"cleanup.policy": row.cleanup.split(",")},
                    "bindingVersion": "0.5.0",
                }
            },
        }
        action = "send" if message.written_by == "opsbridge" else "receive"
        operations[f"{action}-{entity}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{entity}"},
            "messages": [{"$ref": f"#/channels/{entity}/messages/{name}"}],
        }
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "OpsBridge",
            "version": CONTRACT_VERSION,
            "description": "Monitoring events in; incidents, problems, changes, requests, responses and notifications "
            "out. Of two records with the same key and id the one with the higher version counts, of equal versions "
            "the later one. Fields may be added to what OpsBridge writes: ignore what you do not know.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _schema(message: Message, references: str) -> Document:
    """What we write always has every field; what others write may leave out those with defaults."""
    mode: Literal["validation", "serialization"] = "validation" if message.written_by == "others" else "serialization"
    return _sober(TypeAdapter(message.model).json_schema(mode=mode, ref_template=references))


def _sober(schema: Document) -> Document:
    """Without what says nothing here: titles made of field names, and discriminators, as `kind` is a constant."""
    return {
        key: _sober(value)
        if isinstance(value, dict)
        else [_sober(each) if isinstance(each, dict) else each for each in value]
        if isinstance(value, list)
        else value
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "discriminator" and isinstance(value, dict))
    }
