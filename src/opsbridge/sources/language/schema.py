"""The mapping file as JSON Schema (draft-07), for editors that complete and check while one types.

It says what a file may say, field by field; what fields say about each other, only `reading` checks. The checked-in
file is schemas/sources-v1.json.
"""

from typing import Final

from opsbridge.sources.language.expressions import ARRIVAL, TIME_FORMS

Schema = dict[str, object]
"""A JSON Schema, or a part of one."""

_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_SINGLE: Final[Schema] = {"type": ["string", "number", "boolean"]}
_PATH: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "description": 'A path as data.alert."free space"[0], from a name of each or let, or the payload; or $NAME.',
}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _object(described: str, required: list[str], **properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": described,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of, "minItems": 1}


def _either(described: str, *forms: Schema) -> Schema:
    return {"description": described, "anyOf": list(forms)}


def _mapping(of: Schema, described: str) -> Schema:
    return {"type": "object", "additionalProperties": of, "minProperties": 1, "description": described}


_VALUE: Final = _reference("value")
_TRUE: Final[Schema] = {"const": True}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 1}


def _of(described: str, name: str, operand: Schema, **more: Schema) -> Schema:
    return _object(described, ["of", name], of=_VALUE, **{name: operand}, **more)


def _values() -> Schema:
    default = _either("For what is not among them.", _SINGLE, _list(_VALUE), {"type": "object"})
    return _either(
        "A value: a path, a list (the first that is present), or what is made of others.",
        _PATH,
        _list(_VALUE),
        _object("Always this.", ["const"], const=_SINGLE),
        _object("Texts put together; missing if a part is.", ["template"], template=_TEXT),
        _object("16 hex digits of SHA-256 over the texts.", ["hash"], hash=_list(_VALUE)),
        _of(
            "By a table; keys in any case.",
            "map",
            _mapping({"type": ["string", "number", "boolean", "null"]}, "Value to value; null: missing."),
            default=default,
        ),
        _of("By the largest bound reached.", "ranges", _mapping(_SINGLE, "Lowest number to value."), default=default),
        _of("The host of host:port, [v6]:port or a URL.", "host", _TRUE),
        _of("The group of a regular expression (RE2).", "pattern", _TEXT),
        _of("In lower case.", "lower", _TRUE),
        _of("As compact JSON.", "json", _TRUE),
        _of("The remainder.", "mod", _COUNT),
        _of("The whole part of the quotient.", "div", _COUNT),
        _of("Hexadecimal, so many digits.", "hex", _COUNT),
        _choice("value"),
    )


def _choice(of: str) -> Schema:
    made = _object("One of two.", ["when", "then"], when=_reference("conditions"), then=_reference(of))
    made["properties"] = {**made["properties"], "else": _reference(of)}  # type: ignore[dict-item]
    return made


def _times() -> Schema:
    said = _object("A time, and how it is written.", ["of"], of=_VALUE, zone=_TEXT)
    said["properties"] = {
        **said["properties"],  # type: ignore[dict-item]
        "as": {"enum": list(TIME_FORMS), "description": "How it is written; rfc3339 if it is not said."},
        "not": {"anyOf": [_SINGLE, _list(_SINGLE)], "description": "Values that count as missing."},
    }
    return _either(
        "A time: a value in RFC 3339, another form, when the payload arrived, or a list (the first that is present).",
        {"const": ARRIVAL},
        _list(_reference("time")),
        said,
        _object("Seconds since 1970, and nanoseconds on top.", ["epoch"], epoch=_VALUE, nanoseconds=_PATH),
        _choice("time"),
        _VALUE,
    )


def _lets() -> Schema:
    return _either(
        "A derived root: a value, or made of one.",
        _VALUE,
        _list(_reference("let")),
        _object("The value of JSON in a text.", ["json"], json=_VALUE),
        _object(
            "Objects with name and value as a mapping.", ["pairs", "key", "value"], pairs=_VALUE, key=_TEXT, value=_TEXT
        ),
        _object("name:value texts as a mapping.", ["split"], split=_VALUE, by=_TEXT, of=_TEXT),
        _object("The named groups of a pattern.", ["match", "pattern"], match=_VALUE, pattern=_TEXT),
        _object("Every place where a pattern of two groups fits.", ["scan", "pattern"], scan=_VALUE, pattern=_TEXT),
        _object("The only key of an object.", ["key_of"], key_of=_VALUE),
        _object("What an object has at its only key.", ["value_of"], value_of=_VALUE),
    )


def _wanted() -> Schema:
    negation = _object("Present, and none of these.", ["not"])
    negation["properties"] = {"not": {"anyOf": [_SINGLE, _list(_SINGLE)]}}
    return _either(
        "present, absent, a value, or one of a list; in any case.",
        _SINGLE,
        _list(_SINGLE),
        negation,
        _object("A regular expression (RE2) fits.", ["pattern"], pattern=_TEXT),
    )


def schema() -> Schema:
    """The JSON Schema of a mapping file."""
    fields = _object("The fields of the event.", ["id", "time", "state", "source"])
    labels = _object(
        "The event's labels.", [], add=_mapping(_VALUE, "Name to value."), without={"type": "array", "items": _TEXT}
    )
    labels["properties"] = {**labels["properties"], "from": {"type": "array", "items": _PATH}}  # type: ignore[dict-item]
    told = dict.fromkeys(("id", "ci", "class", "severity", "state", "summary", "source", "fingerprint"), _VALUE)
    fields["properties"] = {**told, "time": _reference("time"), "labels": labels}
    properties: dict[str, Schema] = {
        "source": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$", "description": "Its name, as the file's."},
        "title": _TEXT | {"description": "What it is, for people."},
        "payload": {"enum": ["json", "text"], "description": "json if it is not said."},
        "patterns": {
            "type": "array",
            "items": _TEXT,
            "description": "Of texts: RE2 with named groups.",
        },
        "recognise": {"type": "array", "items": _reference("conditions"), "description": "Alternatives for `auto`."},
        "priority": {"type": "integer", "description": "Recognised before those with less."},
        "let": {"type": "object", "additionalProperties": _reference("let"), "description": "Derived roots, in order."},
        "each": {
            "type": "object",
            "additionalProperties": {"anyOf": [_PATH, _list(_PATH)]},
            "description": "The list of items, one in the other.",
        },
        "skip": {
            "type": "array",
            "items": _object("Items to withhold.", ["reason", "when"], reason=_TEXT, when=_reference("conditions")),
        },
        "fields": fields,
        "by_key": {"type": "boolean", "description": "Resolutions may name nothing but the fingerprint."},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "OpsBridge mapping of a source, version 1",
        **_object("How the payloads of one tool become events.", ["source", "title", "fields"], **properties),
        "definitions": {
            "conditions": _mapping(_reference("wanted"), "Path to what is wanted; all must hold."),
            "let": _lets(),
            "time": _times(),
            "value": _values(),
            "wanted": _wanted(),
        },
    }
