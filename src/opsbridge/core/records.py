"""What people and tools are told: the records of the topics `incidents`, `problems`, `changes`, `requests`, `responses`
and `notifications`, each a full snapshot with id and version. Times are RFC 3339 in UTC.

Ids are derived, so that a restart finds them again. Of two records with the same id the one with the higher version
counts; of equal versions the later one: after a kill a version may be told twice, not always with the same words.
"""

from typing import Literal

import msgspec

from opsbridge.core.decisions import Candidate, Moved, Root, Status

IncidentStatus = Literal["open", "acknowledged", "assigned", "in_progress", "resolved", "reopened", "closed", "merged"]

Level = Literal["high", "medium", "low"]

PriorityName = Literal["P1", "P2", "P3", "P4", "P5"]


class KnownError(msgspec.Struct, frozen=True):
    """A documented fault with a workaround: an entry of the known error database."""

    id: str
    title: str
    workaround: str = ""
    permanent_fix: str = ""
    problem: str = ""
    """The id of the problem in whatever tool keeps it."""


class RelatedChange(msgspec.Struct, frozen=True):
    """A recent change that may have to do with an incident."""

    id: str
    ci: str
    title: str
    began: str
    ended: str | None


class Attempt(msgspec.Struct, frozen=True):
    """What one auto-response has come to so far, as the incident carries it."""

    response: str
    action: str
    status: str
    attempt: int
    detail: str = ""


class HistoryEntry(msgspec.Struct, frozen=True):
    """One line of an incident's history: who did what when."""

    time: str
    by: str
    """A person, an executor, or `opsbridge`."""
    what: str
    """The kind of feedback, or what OpsBridge did: `opened`, `resolved`, `closed`, `reopened`, `merged`, `priority`,
    `escalated`, `woke`, `response`, `topology`."""
    detail: str = ""
    refused: str = ""
    """Why it changed nothing; empty: it did."""


class Incident(msgspec.Struct, frozen=True):
    """One incident in one version: the record of the `incidents` topic."""

    id: str
    version: int
    status: IncidentStatus
    title: str
    severity: str
    situation: str
    root: Root
    candidates: tuple[Candidate, ...]
    firing: int
    alerts: int
    affected_cis: int
    affected_services: int
    services: tuple[str, ...]
    """The most important affected services by tier; `incident-members` names all of them."""
    opened: str
    updated: str
    resolved: str | None
    merged_into: str | None
    because: tuple[str, ...]
    priority: str = ""
    impact: str = ""
    urgency: str = ""
    users: int = 0
    sites: tuple[str, ...] = ()
    category: str = ""
    group: str = ""
    """The assignment group."""
    assignee: str = ""
    runbook: str = ""
    links: tuple[str, ...] = ()
    acknowledge_by: str | None = None
    """Target times; null where none is set, or it is met."""
    resolve_by: str | None = None
    escalations: int = 0
    snoozed_until: str | None = None
    reopened: int = 0
    known_errors: tuple[KnownError, ...] = ()
    changes: tuple[RelatedChange, ...] = ()
    problem: str = ""
    """The problem that it belongs to."""
    attempts: tuple[Attempt, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    """The newest 50 entries."""
    topology: str = ""
    """The digest of the topology by which it was decided."""


class IncidentMembers(msgspec.Struct, frozen=True):
    """What joined or left an incident with one version, a slice of it: the record of the `incident-members` topic.

    An alert is in one incident at a time; that it has left this one is told here too, in this incident's own order.
    """

    incident: str
    version: int
    part: int
    parts: int
    moved: Moved


class Unanswered(msgspec.Struct, frozen=True):
    """People are told nothing of this news of a situation, because a rule says so: it is no incident.

    What moved is kept back with it, and told if the situation becomes an incident after all. Metrics, logs and accounts
    are made of this; the situation itself is on the `situations` topic.
    """

    incident: str
    """The id that the incident would have."""
    situation: str
    rule: str
    root: str
    """The root's CI."""
    status: Status
    merged_into: str | None
    """As of an incident."""
    begins: bool
    """It is the first news of the situation."""
    moved: Moved


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A recurring root: the record of the `problems` topic."""

    id: str
    version: int
    status: Literal["open", "closed"]
    title: str
    rule: str
    same: tuple[str, ...]
    """The values that its incidents have in common."""
    incidents: tuple[str, ...]
    """The newest 100, oldest first."""
    count: int
    """How many incidents it has had in all."""
    opened: str
    updated: str
    category: str = ""
    group: str = ""
    because: tuple[str, ...] = ()


class _OfSituation(msgspec.Struct, frozen=True, kw_only=True):
    """What records about one situation have in common."""

    id: str
    version: int
    situation: str
    incident: str
    """The id that its incident has, or would have."""
    rule: str
    root: Root
    title: str
    opened: str
    updated: str
    because: tuple[str, ...] = ()


class _Ticket(_OfSituation, frozen=True, kw_only=True):
    """What somebody is asked to do about it, besides the incident."""

    status: Literal["open", "closed", "merged"]
    priority: str = ""
    category: str = ""
    group: str = ""
    links: tuple[str, ...] = ()
    merged_into: str | None = None
    """The situation's heir has taken it over: this is its request, or the heir's incident if it has none."""


class ChangeRequest(_Ticket, frozen=True, kw_only=True):
    """A request for change (RFC): the record of the `changes` topic."""


class ServiceRequest(_Ticket, frozen=True, kw_only=True):
    """A service request: the record of the `requests` topic."""


ResponseStatus = Literal[
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
"""The last four are final. waiting: for the next attempt."""


class Tried(msgspec.Struct, frozen=True):
    """One thing that was asked of an executor, and what came of it."""

    idempotency_key: str
    purpose: Literal["action", "probe", "rollback"]
    attempt: int
    requested: str
    outcome: Literal["", "succeeded", "failed", "refused", "unknown", "timed_out"] = ""
    """Empty: not known yet."""
    ended: str | None = None
    by: str = ""
    code: int | None = None
    output: str = ""
    late: bool = False
    """The result came after its deadline, or when nobody waited for it; it changed nothing."""


class Response(_OfSituation, frozen=True, kw_only=True):
    """An auto-response: the record of the `responses` topic. Executors act on those with status `requested`, or
    `rolling_back` or `verifying` with an idempotency key: once for each key."""

    status: ResponseStatus
    ci: str
    action: str
    """What to do now: the name of an action that executors know."""
    parameters: dict[str, str] = {}
    attempt: int = 0
    attempts: int = 1
    """How many there may be."""
    idempotency_key: str = ""
    """Empty: nothing is asked of executors now."""
    deadline: str | None = None
    """Until when the result, the approval or the proof has to come."""
    approval_group: str = ""
    tried: tuple[Tried, ...] = ()
    outcome: str = ""
    """Why it ended as it did, in words."""


NotificationReason = Literal[
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


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody should look at something: the record of the `notifications` topic. It has one version only."""

    id: str
    version: int = 1
    reason: NotificationReason
    to: str
    """A group or person."""
    text: str
    incident: str = ""
    response: str = ""
    situation: str = ""
    priority: str = ""
    level: int = 0
    """Of an escalation: 1 is the first."""
    rule: str = ""
    time: str
