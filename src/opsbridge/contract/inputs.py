"""What others write: events, feedback and change records. Anything else is an error with its place."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, RootModel
from pydantic.config import JsonDict

from opsbridge.contract.shapes import IncidentId, Input, ResponseId, Severity, Shape, SituationId

Name = Annotated[str, Field(min_length=1, max_length=512)]
Note = Annotated[str, Field(max_length=8_000)]
Fingerprints = Annotated[tuple[Name, ...], Field(min_length=1, max_length=200)]


_NAMED_OR_BY_KEY: Final[JsonDict] = {
    "anyOf": [
        {"required": ["ci", "class"]},
        {
            "properties": {
                "by_key": {"const": True},
                "state": {"const": "resolved"},
                "fingerprint": {"type": "string"},
            },
            "required": ["by_key", "fingerprint"],
        },
    ]
}


class Event(Shape, json_schema_extra=_NAMED_OR_BY_KEY):
    """The canonical event: one report about one CI at one time. Unknown fields are ignored.

    A topic that is read as another source holds that tool's payloads instead.
    """

    id: Name
    """Chosen by the sender; the same id means the same event sent again."""
    time: AwareDatetime
    """When it happened."""
    ci: Name = ""
    """The CI's id, or an alias; only a resolution by key may lack it."""
    class_: Name = Field(default="", alias="class")
    """What kind of condition; only a resolution by key may lack it."""
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
    by_key: bool = False
    """The alert is kept by its fingerprint, not by its CI; all its reports say so."""


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


class Provider(Input):
    """A provider, and what kind of dependency it is."""

    on: Name
    type: str = ""


class GroupMember(Input):
    """One provider of a group."""

    ci: Name
    weight: int = 1


class Need(Input):
    """Providers of which some can be spared."""

    of: tuple[Name | GroupMember, ...]
    name: str = ""
    at_least: int = 1
    type: str = ""


Origin = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._-]{0,62})?$")]


class CI(Input):
    """A CI as a topology file would state it; the key is `ci:` and its id, with an origin `ci:ORIGIN:` and its id."""

    kind: Literal["ci"]
    id: Name
    type: str = ""
    name: str = ""
    owner: str = ""
    group: str = ""
    category: str = ""
    runbook: str = ""
    links: tuple[str, ...] = ()
    users: Annotated[int, Field(ge=0)] = 0
    environment: str = ""
    site: str = ""
    tier: int | None = None
    service: bool | None = None
    monitored: bool = True
    service_time: tuple[str, ...] = ()
    time_zone: str = "UTC"
    aliases: tuple[Name, ...] = ()
    depends_on: tuple[Name | Provider, ...] = ()
    needs: tuple[Need, ...] = ()
    origin: Origin = ""
    """Who says so; empty: in the place of what is written by hand."""
    precedence: int = 0
    """Of several origins that state a field, the one with the highest holds."""


class Edge(Input):
    """A dependency; the key is `edge:FROM>ON`, with an origin `edge:ORIGIN:FROM>ON`."""

    kind: Literal["edge"]
    from_: Name = Field(alias="from")
    """The dependent."""
    on: Name
    """The provider."""
    type: str = ""
    undirected: bool = False
    origin: Origin = ""
    observed: bool = False
    """Seen, not stated: it ages out, so it needs `seen` or `expires`."""
    seen: AwareDatetime | None = None
    expires: AwareDatetime | None = None


class Context(RootModel[Annotated[ChangeRecord | CI | Edge, Field(discriminator="kind")]]):
    """What is known about CIs besides events; the key names kind and id, and no value withdraws what it names."""
