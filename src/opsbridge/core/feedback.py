"""Feedback: what people, executors and probes say about incidents and responses; the records of the `feedback` topic.

One kind per thing that can be said, told apart by `kind`. Every one says who and when, and has an id, by which a record
that comes twice is recognised. `stream` and `replay` decode these; the response stage hears them, and everything that
it hears is in the history of the incident, refused or not.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from opsbridge.core.ids import situation_of_incident

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Text = Annotated[str, msgspec.Meta(max_length=8_000)]
Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all of them have."""

    id: Name
    """Chosen by the sender; the same id means the same thing said again."""
    time: Aware
    by: Name
    """A person, or the name of an executor."""
    note: Text = ""
    """In their own words."""


class OfIncident(Said, frozen=True, kw_only=True):
    """About an incident."""

    incident: Annotated[str, msgspec.Meta(pattern="^INC-[0-9a-f]{16}$")]


class Acknowledge(OfIncident, frozen=True, tag="acknowledge"):
    """Somebody has seen it."""


class Assign(OfIncident, frozen=True, kw_only=True, tag="assign"):
    """It is somebody's, or another group's."""

    to: Name | None = None
    """A person."""
    group: Name | None = None
    """An assignment group; at least one of both is needed."""


class Start(OfIncident, frozen=True, tag="start"):
    """Work on it has begun."""


class Resolve(OfIncident, frozen=True, tag="resolve"):
    """Somebody says that it is over, whether or not alerts still fire."""


class Reopen(OfIncident, frozen=True, tag="reopen"):
    """It is not over."""


class Close(OfIncident, frozen=True, tag="close"):
    """Nothing more is to be done about it."""


class Snooze(OfIncident, frozen=True, kw_only=True, tag="snooze"):
    """No reminders and escalations until then; it wakes earlier if its priority rises."""

    until: Aware


class Wake(OfIncident, frozen=True, tag="wake"):
    """It need not be snoozed any longer."""


class Comment(OfIncident, frozen=True, tag="comment"):
    """Only the note."""


class Split(OfIncident, frozen=True, kw_only=True, tag="split"):
    """These alerts do not belong to it: together they are an incident of their own."""

    alerts: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=200)]
    """Fingerprints."""


class Move(OfIncident, frozen=True, kw_only=True, tag="move"):
    """These alerts of it belong to another incident."""

    alerts: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=200)]
    """Fingerprints."""
    to: Annotated[str, msgspec.Meta(pattern="^INC-[0-9a-f]{16}$")]


class NotADuplicate(OfIncident, frozen=True, tag="not_a_duplicate"):
    """It was merged into another and should not have been: what it had is an incident of its own again."""


class OfResponse(Said, frozen=True, kw_only=True):
    """About an auto-response."""

    response: Annotated[str, msgspec.Meta(pattern="^RSP-[0-9a-f]{16}$")]
    situation: Annotated[str, msgspec.Meta(pattern="^S-[0-9a-f]{16}$")]
    """As in the response's record: it says which partition knows of it."""


class Approve(OfResponse, frozen=True, tag="approve"):
    """A person lets it happen."""


class Reject(OfResponse, frozen=True, tag="reject"):
    """A person does not."""


class Started(OfResponse, frozen=True, kw_only=True, tag="started"):
    """An executor has begun; from now on it may have had an effect."""

    idempotency_key: Name


class Result(OfResponse, frozen=True, kw_only=True, tag="result"):
    """What came of one request."""

    idempotency_key: Name
    outcome: Literal["succeeded", "failed", "refused", "unknown"]
    """refused: it is not allowed, and nothing was done. unknown: the executor died on it."""
    output: Text = ""
    """What it printed or answered, cut."""
    code: int | None = None
    """Exit code, or HTTP status."""


class StopAutomation(Said, frozen=True, tag="stop_automation"):
    """No auto-response is requested any more, anywhere, until somebody resumes."""


class ResumeAutomation(Said, frozen=True, tag="resume_automation"):
    """Auto-responses are requested again."""


class CloseRecord(Said, frozen=True, kw_only=True, tag="close_record"):
    """A problem, change or request is done with."""

    record: Annotated[str, msgspec.Meta(pattern="^(PRB|RFC|REQ)-[0-9a-f]{16}$")]
    situation: str = ""
    """As in the record, of changes and requests; problems have none."""


AboutIncident = (
    Acknowledge | Assign | Start | Resolve | Reopen | Close | Snooze | Wake | Comment | Split | Move | NotADuplicate
)
AboutResponse = Approve | Reject | Started | Result
Global = StopAutomation | ResumeAutomation
"""Not about one situation: heard by coordination."""

Feedback = AboutIncident | AboutResponse | Global | CloseRecord


def situation_of(said: Feedback) -> str:
    """The id of the situation that it is about, which is the record's key; empty if it is about all, or a problem."""
    if isinstance(said, OfIncident):
        return situation_of_incident(said.incident)
    if isinstance(said, OfResponse | CloseRecord):
        return said.situation
    return ""
