"""What a single field of a rule may hold, as types for the models: durations, times, numbers, names, patterns.

Each checks itself, complains in an operator's words, and says for editors what it is (JSON Schema). The models of the
kinds and those of a rule's tests are made of them.
"""

import re
from collections.abc import Callable, Collection
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from opsbridge.core.case import PLACEHOLDERS
from opsbridge.documents import shown
from opsbridge.documents.weekly import WINDOWS, WINDOWS_IN_WORDS
from opsbridge.rules.language.durations import DURATION, milliseconds, moment
from opsbridge.rules.matching.conditions import EVENTS, Kind, known_instead, number

CONFIG: Final = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

_SLUG: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, StringConstraints(pattern=_SLUG)]

_WORDS: Final = r"^[^\s\p{Cc}]([^\p{Cc}]*[^\s\p{Cc}])?$"
Words = Annotated[str, StringConstraints(pattern=_WORDS), WithJsonSchema({"type": "string", "minLength": 1})]
"""Text without control characters and without blanks at its ends."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=512)]

Severity = Literal["info", "warning", "minor", "major", "critical"]

PATTERNS: Final = {
    _SLUG: "lower-case words joined by -, such as drop-test-hosts",
    _WORDS: "text without blanks around it and without control characters",
    WINDOWS: WINDOWS_IN_WORDS,
}
"""What the patterns of the models ask for, in words."""

NAMED: Final = "x-named"
"""In a schema: the definition (schema.py) that stands in this place."""

_FIELD_SCHEMA: Final = {NAMED: "field"}


def wrong(message: str) -> PydanticCustomError:
    """An error with this message, whatever characters it has."""
    return PydanticCustomError("wrong", "{message}", {"message": message})


def _said(read: Callable[[object], int]) -> BeforeValidator:
    def check(said: object) -> int:
        try:
            return read(said)
        except ValueError as refused:
            raise wrong(str(refused)) from None

    return BeforeValidator(check)


_DURATION_SCHEMA: Final = {"type": "string", "pattern": DURATION, "examples": ["90s", "5m", "1h30m", "2d"]}
Duration = Annotated[int, _said(milliseconds), WithJsonSchema(_DURATION_SCHEMA)]
"""Milliseconds, above 0."""
Grace = Annotated[int, _said(lambda said: milliseconds(said, zero=True)), WithJsonSchema(_DURATION_SCHEMA)]
"""Milliseconds, or 0."""
Moment = Annotated[int, _said(moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""Milliseconds since 1970."""


def _milliseconds_or_never(said: object) -> int:
    return 0 if said == "never" else milliseconds(said)


DurationOrNever = Annotated[
    int, _said(_milliseconds_or_never), WithJsonSchema({"anyOf": [_DURATION_SCHEMA, {"const": "never"}]})
]
"""Milliseconds; 0 for `never`."""


def _finite(said: object) -> float:
    found = number(said)
    if found is None:
        raise wrong(f"must be a number, not {shown(said)}")
    return found


Number = Annotated[float, BeforeValidator(_finite), WithJsonSchema({"type": "number"})]


def whole(at_least: int, at_most: int) -> tuple[BeforeValidator, WithJsonSchema]:
    """What makes an int a whole number between these."""

    def check(said: object) -> int:
        if isinstance(said, bool) or not isinstance(said, int) or not at_least <= said <= at_most:
            raise wrong(f"must be a whole number from {at_least} to {at_most}, not {shown(said)}")
        return said

    return BeforeValidator(check), WithJsonSchema({"type": "integer", "minimum": at_least, "maximum": at_most})


def _probable(said: object) -> float:
    found = number(said)
    if found is None or not 0 < found <= 1:
        raise wrong(f"must be a number above 0 and at most 1, not {shown(said)}")
    return found


Probability = Annotated[
    float,
    BeforeValidator(_probable),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
]


_Many = TypeVar("_Many", bound=Collection[object])


def entries(at_least: int, what: str, at_most: int = 1000) -> AfterValidator:
    """What makes a list or mapping have so many entries, called `what`."""

    def check(said: _Many) -> _Many:
        if not at_least <= len(said) <= at_most:
            raise wrong(f"must have {at_least} to {at_most} {what}, not {len(said)}")
        return said

    return AfterValidator(check)


def _known(name: str) -> str:
    if EVENTS.kind(name) is None:
        raise wrong(EVENTS.unknown(name))
    return name


def _holds_text(name: str) -> str:
    kind = EVENTS.kind(_known(name))
    if kind not in (Kind.TEXT, Kind.LABEL):
        raise wrong(f"joins by text; this field is {kind.value if kind else 'unknown'}")
    return name


FieldName = Annotated[str, AfterValidator(_known), WithJsonSchema(_FIELD_SCHEMA)]
TextField = Annotated[str, AfterValidator(_holds_text), WithJsonSchema(_FIELD_SCHEMA)]


def _each_once(listed: list[str]) -> list[str]:
    twice = next((name for name in listed if listed.count(name) > 1), None)
    if twice is not None:
        raise wrong(f"names {twice} twice")
    return listed


def _not_empty(why: str) -> AfterValidator:
    def check(listed: list[str]) -> list[str]:
        if not listed:
            raise wrong(f"is an empty list{why}")
        return listed

    return AfterValidator(check)


_MATCHES_NOTHING: Final = ", which nothing matches"

AnyFields = Annotated[list[FieldName], AfterValidator(_each_once)]
FieldNames = Annotated[list[FieldName], _not_empty("; name at least one field"), AfterValidator(_each_once)]
Names = Annotated[list[str], _not_empty(_MATCHES_NOTHING)]


def _pattern(said: str) -> str:
    if not any(char.isalnum() or char in "*?" for char in said):
        raise wrong(f"must have a letter, a digit or a * to match, not {shown(said)}")
    return said


Patterns = Annotated[list[Annotated[str, AfterValidator(_pattern)]], _not_empty(_MATCHES_NOTHING)]

_NAMED: Final = re.compile(r"\{(\s*[A-Za-z_][\w. -]*)\}")
"""What looks like a placeholder; braces around anything else, such as JSON, are text."""


def _filled(said: str) -> str:
    for found in _NAMED.finditer(said):
        if found[1] not in PLACEHOLDERS:
            raise wrong(f"{shown(found[0])} is not known here{known_instead(found[1].strip(), PLACEHOLDERS)}")
    return said


Template = Annotated[
    str, StringConstraints(max_length=4000), AfterValidator(_filled), WithJsonSchema({"type": "string"})
]
"""Text that may name what is known of a situation: `{root.ci}`."""
Addressee = Annotated[
    str, StringConstraints(pattern=_WORDS), AfterValidator(_filled), WithJsonSchema({"type": "string", "minLength": 1})
]
"""A group or a person, by name or by a placeholder."""
Links = Annotated[list[Template], entries(1, "links", 20)]


def _common(name: str) -> str:
    if name not in COMMON:
        raise wrong(f"no situations have {shown(name)} in common{known_instead(name.strip('{}'), COMMON)}")
    return name


COMMON: Final = tuple(name for name in PLACEHOLDERS if name.startswith("root.") or name == "known_error")
"""What several situations can have in common."""
InCommon = Annotated[
    list[Annotated[str, AfterValidator(_common), WithJsonSchema({"enum": list(COMMON)})]], AfterValidator(_each_once)
]

Matching = Annotated[dict[str, object], WithJsonSchema({"type": "object"})]
"""Conditions as a file says them; the loader reads them (`conditions.parse_match`)."""
