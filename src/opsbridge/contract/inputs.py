"""What others write: events, feedback and change records. Anything else is an error with its place."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, RootModel

from opsbridge.contract.shapes import IncidentId, Input, ResponseId, Severity, Shape, SituationId

Name = Annotated[str, Field(min_length=1, max_length=512)]
Note = Annotated[str, Field(max_length=8_000)]
Fingerprints = Annotated[tuple[Name, ...], Field(min_length=1, max_length=200)]


class Event(Shape):
    """The canonical event: one report about one CI at one time. Unknown fields are ignored."""

    id: Name
    """Chosen by the sender; the same id means the same event sent again."""
    time: AwareDatetime
    """When it happened."""
    ci: Name
    """The CI's id, or an alias."""
    class_: Name = Field(alias="class")
    """What kind of condition."""
    state: Literal["firing", "resolved"]
    severity: Severity | None = None
    """A firing event needs one."""
    source: str = ""
    """The tool."""
    summary: str = ""
    """A line for people."""
    labels: dict[str, str] = Field(default_factory=dict)
    fingerprint: Name | None = None
    """The sender's own key of the alert; without it, CI and class identify it."""


class _Said(Input):
    id: Name
    """Chosen by the sender; the same id means the same thing said again."""
    time: AwareDatetime
    by: Name
    """A person, or the name of an executor."""
    note: Note = ""


class _OfIncident(_Said):
    incident: IncidentId


class Acknowledge(_OfIncident):
    """Somebody has seen it."""

    kind: Literal["acknowledge"]


class Assign(_OfIncident):
    """It is somebody's, or another group's; at least one of both is needed."""

    kind: Literal["assign"]
    to: Name | None = None
    """A person."""
    group: Name | None = None
    """An assignment group."""


class Start(_OfIncident):
    """Work on it has begun."""

    kind: Literal["start"]


class Resolve(_OfIncident):
    """Somebody says that it is over, whether or not alerts still fire."""

    kind: Literal["resolve"]


class Reopen(_OfIncident):
    """It is not over."""

    kind: Literal["reopen"]


class Close(_OfIncident):
    """Nothing more is to be done about it."""

    kind: Literal["close"]


class Snooze(_OfIncident):
    """No reminders and escalations until then; it wakes earlier if its priority rises."""

    kind: Literal["snooze"]
    until: AwareDatetime


class Wake(_OfIncident):
    """It need not be snoozed any longer."""

    kind: Literal["wake"]


class Comment(_OfIncident):
    """Only the note."""

    kind: Literal["comment"]


class Split(_OfIncident):
    """These alerts do not belong to it: together they are an incident of their own."""

    kind: Literal["split"]
    alerts: Fingerprints


class Move(_OfIncident):
    """These alerts of it belong to another incident."""

    kind: Literal["move"]
    alerts: Fingerprints
    to: IncidentId


class NotADuplicate(_OfIncident):
    """It was merged into another and should not have been."""

    kind: Literal["not_a_duplicate"]


class _OfResponse(_Said):
    response: ResponseId
    situation: SituationId
    """As in the response's record."""


class Approve(_OfResponse):
    """A person lets it happen."""

    kind: Literal["approve"]


class Reject(_OfResponse):
    """A person does not."""

    kind: Literal["reject"]


class Started(_OfResponse):
    """An executor has begun; from now on it may have had an effect."""

    kind: Literal["started"]
    idempotency_key: Name


class Result(_OfResponse):
    """What came of one request."""

    kind: Literal["result"]
    idempotency_key: Name
    outcome: Literal["succeeded", "failed", "refused", "unknown"]
    """refused: it is not allowed, and nothing was done. unknown: the executor died on it."""
    output: Note = ""
    code: int | None = None
    """Exit code, or HTTP status."""


class StopAutomation(_Said):
    """No auto-response is requested any more, anywhere, until somebody resumes."""

    kind: Literal["stop_automation"]


class ResumeAutomation(_Said):
    """Auto-responses are requested again."""

    kind: Literal["resume_automation"]


class CloseRecord(_Said):
    """A problem, change or request is done with."""

    kind: Literal["close_record"]
    record: Annotated[str, Field(pattern="^(PRB|RFC|REQ)-[0-9a-f]{16}$")]
    situation: str = ""
    """As in the record; problems have none."""


class Feedback(
    RootModel[
        Annotated[
            Acknowledge
            | Assign
            | Start
            | Resolve
            | Reopen
            | Close
            | Snooze
            | Wake
            | Comment
            | Split
            | Move
            | NotADuplicate
            | Approve
            | Reject
            | Started
            | Result
            | StopAutomation
            | ResumeAutomation
            | CloseRecord,
            Field(discriminator="kind"),
        ]
    ]
):
    """What people, executors and probes say; the key is the situation's id (an incident's with S for INC)."""


class ChangeRecord(Input):
    """A change that somebody plans or makes; the key is `change:` and its id, and no value withdraws it."""

    kind: Literal["change"]
    id: Name
    cis: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)]
    """Ids or aliases."""
    title: str = ""
    begins: AwareDatetime
    ends: AwareDatetime | None = None
    """null: it has not ended, and nobody knows when it will."""
    state: Literal["planned", "in_progress", "done", "cancelled"] = "planned"
    """cancelled: it does not happen, and counts for nothing."""
    suppresses: bool = False
    """Its window is a maintenance window of its CIs."""
