"""What a rule's test lets people, executors and change tools say: entries of `feedback:` and of `context:`.

An entry has the fields of its kind (core/feedback.py, core/context.py), with times since the start. Ids are derived
and nobody can guess them, so an entry names incidents by their root, and the rest by the rule that made it; `lookup`
finds what is meant.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Self, get_args

import msgspec
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from opsbridge.core.context import ChangeRecord
from opsbridge.core.feedback import Feedback
from opsbridge.rules.language.fields import CONFIG, Grace, Name, Slug, whole

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

KINDS: Final[dict[str, type[msgspec.Struct]]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Feedback)}
"""What can be said, by its name."""

_OF_ITSELF: Final = frozenset({"id", "time", "by", "situation", "idempotency_key"})
"""Fields of feedback that a test need not say."""


def moment(time: int) -> datetime:
    """Milliseconds since 1970 as a time."""
    return EPOCH + timedelta(milliseconds=time)


class OfIncident(BaseModel):
    """The incident that is meant: of several, the one that was told last."""

    model_config = CONFIG

    root: Name
    """The CI that it blames."""


class OfRule(BaseModel):
    """The response, change, request or problem that is meant: of several, the one that was told last."""

    model_config = CONFIG

    rule: Slug
    """The rule that made it."""
    ci: Name | None = None
    """The CI that it is about, where a rule has made several."""


class OfAlert(BaseModel):
    """The alert that is meant."""

    model_config = CONFIG

    ci: Name
    """The CI that it is about."""
    class_: Name = Field(alias="class")
    """Its class."""


REFERENCES: Final[dict[str, type[BaseModel]]] = {
    "incident": OfIncident,
    "response": OfRule,
    "record": OfRule,
}
"""What names others of a record, by the field."""


class Spoken(BaseModel):
    """Something that is said: by a person of an incident, by an executor of a response."""

    model_config = CONFIG

    at: Grace
    """When, since the start."""
    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]  # the kinds of core/feedback.py
    """What is said, such as acknowledge, assign, approve, result."""
    id: Name | None = None
    """The id of what is said; f1 is the first entry's, f2 the second's."""
    by: Name = "somebody"
    """Who says so."""
    note: str | None = None
    """In their own words."""
    incident: OfIncident | None = None
    """The incident that it is about."""
    response: OfRule | None = None
    """The auto-response that it is about."""
    record: OfRule | None = None
    """With close_record: the problem, change or request."""
    to: Name | OfIncident | None = None
    """With assign: a person. With move: the other incident."""
    group: Name | None = None
    """With assign: a group."""
    until: Grace | None = None
    """With snooze: until when, since the start."""
    alerts: list[OfAlert] | None = None
    """With split and move: the alerts."""
    outcome: Literal["succeeded", "failed", "refused", "unknown"] | None = None
    """With result: what came of it."""
    output: str | None = None
    """With result: what it printed."""
    code: int | None = None
    """With result: exit code, or HTTP status."""
    attempt: Annotated[int, *whole(1, 20)] | None = None
    """With started and result: which attempt is meant, if not what is asked for now."""

    @model_validator(mode="after")
    def _says_what_its_kind_has(self) -> Self:
        kind = KINDS[self.kind]
        has = set(kind.__struct_fields__)
        needed = [each.name for each in msgspec.structs.fields(kind) if each.required and each.name not in _OF_ITSELF]
        for name in needed:
            if getattr(self, name) is None:
                raise PydanticCustomError("missing_field", "{kind} needs {name}", {"kind": self.kind, "name": name})
        if "idempotency_key" in has:
            has.add("attempt")
        for name in self.model_fields_set - {"at", "kind"} - has:
            raise PydanticCustomError("no_field", "{kind} has no {name}", {"kind": self.kind, "name": name})
        if (isinstance(self.to, OfIncident)) != (self.kind == "move") and self.to is not None:
            meant = "an incident: {root: CI}" if self.kind == "move" else "a person"
            raise PydanticCustomError("no_target", "to must be {meant}", {"meant": meant})
        if self.kind == "assign" and self.to is None and self.group is None:
            raise PydanticCustomError("no_target", "assign needs to or group, or both")
        return self


class Learned(BaseModel):
    """A change record that is learned."""

    model_config = CONFIG

    at: Grace = 0
    """When it is learned, since the start."""
    id: Name
    """Its id; a record with the same id replaces what was learned before."""
    cis: Annotated[list[Name], Field(min_length=1)]
    """The CIs that it changes."""
    title: str = ""
    """One line for people."""
    begins: Grace | None = None
    """When it begins, since the start; when it is learned, if it is not said."""
    ends: Grace | None = None
    """When it ends; nobody knows, if it is not said."""
    state: Literal["planned", "in_progress", "done", "cancelled"] = "planned"
    """How far it is."""
    suppresses: bool = False
    """Its time is a maintenance window of its CIs."""

    def record(self, start: int) -> ChangeRecord:
        """The record."""
        return ChangeRecord(
            id=self.id,
            cis=tuple(self.cis),
            title=self.title,
            begins=moment(start + (self.at if self.begins is None else self.begins)),
            ends=None if self.ends is None else moment(start + self.ends),
            state=self.state,
            suppresses=self.suppresses,
        )
