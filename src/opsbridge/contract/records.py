"""What people and tools are told: records with id and version, each a full snapshot.

Of two records with the same id the one with the higher version counts; of equal versions, the later one.
"""

from typing import Annotated, Literal

from pydantic import Field

from opsbridge.contract.shapes import (
    Candidate,
    IncidentId,
    Moved,
    ResponseId,
    Root,
    Severity,
    Shape,
    SituationId,
    Time,
)

Version = Annotated[int, Field(ge=1)]
Priority = Literal["", "P1", "P2", "P3", "P4", "P5"]
Level = Literal["", "high", "medium", "low"]


class KnownError(Shape):
    """A documented fault with a workaround."""

    id: str
    title: str
    workaround: str = ""
    permanent_fix: str = ""
    problem: str = ""
    """The id of the problem in whatever tool keeps it."""


class Change(Shape):
    """A recent change that may have to do with an incident."""

    id: str
    ci: str
    title: str
    began: Time
    ended: Time | None
    """null: it goes on."""


class Attempt(Shape):
    """What an auto-response has come to so far."""

    response: ResponseId
    action: str
    status: str
    attempt: int
    detail: str = ""


class Entry(Shape):
    """A line of an incident's history."""

    time: Time
    by: str
    """A person, an executor, or `opsbridge`."""
    what: str
    """The kind of feedback, or what OpsBridge did."""
    detail: str = ""
    refused: str = ""
    """Why it changed nothing; empty: it did."""


class Incident(Shape):
    """One incident in one version; the key is its id."""

    id: IncidentId
    version: Version
    status: Literal["open", "acknowledged", "assigned", "in_progress", "resolved", "reopened", "closed", "merged"]
    title: str
    """One line for people; not to be parsed."""
    severity: Severity
    """The highest among its alerts, resolved ones too."""
    situation: SituationId
    """The situation it answers; the same id with another first letter."""
    root: Root
    candidates: tuple[Candidate, ...]
    """Up to five, the root first."""
    firing: int
    """How many of its alerts fire now."""
    alerts: int
    """How many alerts it has."""
    affected_cis: int
    """How many CIs the root's failure reaches, the root among them, alerting or not."""
    affected_services: int
    """How many of these are services."""
    services: tuple[str, ...]
    """The most important of them by tier, up to 200."""
    opened: Time
    """When its first alert began."""
    updated: Time
    """When an alert last joined, or when it was resolved; event time."""
    resolved: Time | None
    """Since when nothing fires."""
    merged_into: IncidentId | None
    """The incident that has taken over."""
    because: tuple[str, ...]
    """The reasons, in words."""
    priority: Priority = ""
    """From impact and urgency; moves as the impact moves."""
    impact: Level = ""
    urgency: Level = ""
    users: int = 0
    """How many people use the affected services, as far as it is known."""
    sites: tuple[str, ...] = ()
    """Of the affected CIs, up to 20."""
    category: str = ""
    group: str = ""
    """The assignment group."""
    assignee: str = ""
    runbook: str = ""
    links: tuple[str, ...] = ()
    acknowledge_by: Time | None = None
    """Target time; null if there is none or it is met."""
    resolve_by: Time | None = None
    """Target time; null if there is none or it is met."""
    escalations: int = 0
    """How often it has been escalated."""
    snoozed_until: Time | None = None
    reopened: int = 0
    """How often it has begun again after it was resolved or closed."""
    known_errors: tuple[KnownError, ...] = ()
    changes: tuple[Change, ...] = ()
    """Recent changes on its candidates, the newest first."""
    problem: str = ""
    """The problem that it belongs to."""
    attempts: tuple[Attempt, ...] = ()
    """What auto-responses have tried."""
    history: tuple[Entry, ...] = ()
    """Who did what when; the newest 50."""
    topology: str = ""
    """The digest of the topology by which it was decided."""


class IncidentMembers(Shape):
    """What joined or left an incident with one version, a slice of it; the key is the incident's id.

    An alert is in one incident at a time; that it has left this one is told here too, in this incident's own order.
    """

    incident: IncidentId
    version: Version
    part: int
    """Which slice this is, from 1."""
    parts: int
    """How many slices the version has."""
    moved: Moved


class Problem(Shape):
    """A root that recurs; the key is its id."""

    id: Annotated[str, Field(pattern="^PRB-[0-9a-f]{16}$")]
    version: Version
    status: Literal["open", "closed"]
    title: str
    rule: str
    same: tuple[str, ...]
    """The values that its incidents have in common."""
    incidents: tuple[str, ...]
    """The newest 100, the oldest first."""
    count: int
    """How many incidents it has had in all."""
    opened: Time
    updated: Time
    category: str = ""
    group: str = ""
    because: tuple[str, ...] = ()


class _OfSituation(Shape):
    """What records about one situation have in common."""

    id: str
    version: Version
    situation: SituationId
    incident: IncidentId
    """The id that its incident has, or would have."""
    rule: str
    """The rule that raised it."""
    root: Root
    title: str
    opened: Time
    updated: Time
    because: tuple[str, ...] = ()


class _Ticket(_OfSituation):
    status: Literal["open", "closed", "merged"]
    priority: Priority = ""
    category: str = ""
    group: str = ""
    """The group that it is for."""
    links: tuple[str, ...] = ()
    merged_into: str | None = None
    """What has taken over, when the situation has become part of another."""


class ChangeRequest(_Ticket):
    """A request for change (RFC); the key is its id."""

    id: Annotated[str, Field(pattern="^RFC-[0-9a-f]{16}$")]


class ServiceRequest(_Ticket):
    """A service request; the key is its id."""

    id: Annotated[str, Field(pattern="^REQ-[0-9a-f]{16}$")]


class Tried(Shape):
    """One thing that was asked of an executor, and what came of it."""

    idempotency_key: str
    purpose: Literal["action", "probe", "rollback"]
    attempt: int
    requested: Time
    outcome: Literal["", "succeeded", "failed", "refused", "unknown", "timed_out"] = ""
    """Empty: not known yet."""
    ended: Time | None = None
    by: str = ""
    """The executor."""
    code: int | None = None
    """Exit code, or HTTP status."""
    output: str = ""
    late: bool = False
    """The result came when nobody waited for it any more; it changed nothing."""


class Response(_OfSituation):
    """An auto-response; the key is its id.

    An executor acts on a record that has an idempotency key: once for each key, and before the deadline.
    """

    id: ResponseId
    status: Literal[
        "awaiting_approval",
        "awaiting_permit",
        "requested",
        "running",
        "verifying",
        "waiting",
        "rolling_back",
        "effective",
        "escalated",
        "refused",
        "cancelled",
    ]
    """The last four are final."""
    ci: str
    action: str
    """What is to be done now: the name of an action that executors know."""
    parameters: dict[str, str] = Field(default_factory=dict)
    attempt: int = 0
    attempts: int = 1
    """How many there may be."""
    idempotency_key: str = ""
    """Empty: nothing is asked of executors now."""
    deadline: Time | None = None
    """Until when the result, the approval or the proof has to come."""
    approval_group: str = ""
    """Who has to approve."""
    tried: tuple[Tried, ...] = ()
    outcome: str = ""
    """Why it ended as it did, in words."""


class Notification(Shape):
    """Somebody should look at something; the key is its id. It has one version only."""

    id: Annotated[str, Field(pattern="^NTF-[0-9a-f]{16}$")]
    version: Version = 1
    reason: Literal[
        "opened",
        "priority",
        "unacknowledged",
        "target_nears",
        "target_missed",
        "reminder",
        "woke",
        "reopened",
        "resolved",
        "closed",
        "approval",
        "not_effective",
        "maintenance_ends",
    ]
    to: str
    """A group or a person."""
    text: str
    incident: str = ""
    response: str = ""
    situation: str = ""
    priority: Priority = ""
    level: int = 0
    """Of an escalation: 1 is the first."""
    rule: str = ""
    time: Time
