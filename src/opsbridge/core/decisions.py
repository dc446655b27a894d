"""What the core can say: every answer of every stage, and the closed lists of reasons it may give.

A consumer reads these as JSON on the topics of docs/topics.md; names and meanings are public, additions are compatible.
Times are milliseconds since 1970 UTC (fields `*_ms`); the response stage writes RFC 3339 for people.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from opsbridge.core.event import Event, Mark


class Reject(StrEnum):
    """Why a payload cannot be an event at all; it goes to the dead letters with this reason."""

    TOO_LARGE = "too_large"
    INVALID_JSON = "invalid_json"
    INVALID_FIELD = "invalid_field"
    TIME_IN_FUTURE = "time_in_future"
    TIME_TOO_OLD = "time_too_old"
    INTERNAL_ERROR = "internal_error"


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A payload that is no event: the sender's fault, told with the place (`$.severity`) where it can be."""

    reason: Reject
    detail: str


class Withheld(msgspec.Struct, frozen=True, gc=False):
    """An event that goes no further than intake: logged only, suppressed by the rule named, or routed elsewhere."""

    place: Literal["informational", "suppressed", "routed"]
    reason: str
    """The rule, or `severity`."""
    route: str = ""
    """Where it was routed to."""
    observed: Event | None = None
    """What rules with a memory still hear of it; never after `suppressed`."""


class Outcome(StrEnum):
    """What the first level made of one event."""

    OPENED = "opened"
    """The alert fires: first report, or first again after its resolution."""
    DUPLICATE = "duplicate"
    """The same alert in the same state again."""
    RENEWED = "renewed"
    """The alert goes on firing, or again, after so long a silence that it may tell of another problem."""
    ESCALATED = "escalated"
    """The alert goes on firing with another severity (up or down)."""
    RESOLVED = "resolved"
    """The alert's problem is over."""
    LATE = "late"
    """Older than what is already known of the alert; it belongs to the alert and changes nothing."""
    WITHHELD = "withheld"
    """The alert fires, and rules withhold it; what becomes of it in the end tells `Suppressed`."""
    RELEASED = "released"
    """Withheld first, and part of its alert since that was released. Only accounts say so, of earlier events."""
    WAITING = "waiting"
    """A resolution of an alert nobody has heard of; its firing may still be on the way."""
    REPEATED = "repeated"
    """Read before (a restart or rebalance); nothing is applied twice."""


ChangeOf = Literal["opened", "renewed", "escalated", "resolved"]
"""What happened to an alert."""


class Transition(msgspec.Struct, frozen=True, gc=False, rename={"class_": "class"}):
    """An alert changed: the record of the `alerts` topic and what the second level hears.

    `position` orders the transitions of one alert and names the place in the source that caused it, so that a
    transition that is sent twice is applied once. `occurrence` counts the alert's firings from 1. `now_ms` is the
    watermark of the first level: what the time was when it said so.
    """

    change: ChangeOf
    fingerprint: str
    ci: str
    class_: str
    severity: int
    time_ms: int
    now_ms: int
    opened_ms: int
    occurrence: int
    position: int
    event: str
    known_ci: bool = True
    count: int = 1
    summary: str = ""
    rule: str = ""
    grounds: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    """Of inhibitions."""
    domain: str = ""
    """The domain that hears of this firing, from its opening to its resolution; empty: the one its CI is in."""
    shared: bool = False
    """That is a backbone."""


class Suppressed(msgspec.Struct, frozen=True, gc=False, rename={"class_": "class"}):
    """An alert is withheld with a reason, or no longer: the record of the `suppressed` topic, keyed by fingerprint.

    Only creation is withheld: the resolution is told on `alerts` whatever this says.
    """

    state: Literal["withheld", "released", "resolved"]
    """released: it fires and counts from now on. resolved: it was over before it counted."""
    kind: Literal["hold", "flapping", "maintenance", "inhibit"]
    rule: str
    fingerprint: str
    ci: str
    class_: str
    severity: int
    event: str
    """The event that opened this firing."""
    opened_ms: int
    now_ms: int
    until_ms: int | None = None
    """When it will be released if nothing changes; None if that is not known."""
    inhibited_by: str = ""
    """The fingerprint of the alert that inhibits it."""
    events: int = 0
    """How many events of it have been withheld so far."""
    known_ci: bool = True


class Shadowed(msgspec.Struct, frozen=True, gc=False, rename={"class_": "class"}):
    """What a rule in trial (`shadow: true`) would have done: the record of the `shadow` topic, keyed by rule."""

    rule: str
    would: str
    """`drop`, `keep`, `route`, `classify`, `raise`, `resolve`, `withhold` or `release`."""
    ci: str
    class_: str
    event: str
    """The event that it was about; of an alert that would be raised, the derived event."""
    fingerprint: str
    time_ms: int


class Derived(msgspec.Struct, frozen=True, gc=False, rename={"class_": "class"}):
    """A rule made an event of others, or of their absence; it goes through rules and first level like any event."""

    rule: str
    event: str
    fingerprint: str
    ci: str
    class_: str
    firing: bool
    time_ms: int


class Reminder(msgspec.Struct, frozen=True, gc=False):
    """A maintenance window ends soon."""

    rule: str
    ends_ms: int
    now_ms: int


class Expired(msgspec.Struct, frozen=True, gc=False):
    """Something the first level waited for did not come; the event ends here, with the reason."""

    fingerprint: str
    events: int
    reason: Literal["resolution_without_problem"] = "resolution_without_problem"


class Member(msgspec.Struct, frozen=True, gc=False, rename={"class_": "class"}):
    """One alert of a situation: a firing of it, told by its occurrence and the event that opened it."""

    fingerprint: str
    occurrence: int
    ci: str
    class_: str
    event: str


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A CI that could be the root; `score` is a log-likelihood ratio in nats (explanation.py), more is better."""

    ci: str
    score: float


class Root(msgspec.Struct, frozen=True, gc=False, rename={"class_": "class"}):
    """The CI that best explains a situation; `class_` is None when it sent nothing (`silent`)."""

    ci: str
    class_: str | None
    silent: bool
    confidence: float


class Impact(msgspec.Struct, frozen=True):
    """How far a situation reaches: its root and every CI that depends on it, and the services among them.

    `named` holds the most important services by tier, up to a limit; what joined and left names all.
    """

    cis: int
    services: int
    named: tuple[str, ...]
    tier: int | None = None
    """The most important tier among these services; without services, among the CIs."""
    users: int = 0
    """How many people use these services, as far as it is known."""
    sites: tuple[str, ...] = ()
    """The sites of these CIs, up to 20."""


class Moved(msgspec.Struct, frozen=True):
    """A slice of what joined or left with one version: alerts, affected CIs, and the services among these CIs."""

    joined: tuple[Member, ...] = ()
    left: tuple[Member, ...] = ()
    cis_joined: tuple[str, ...] = ()
    cis_left: tuple[str, ...] = ()
    services_joined: tuple[str, ...] = ()
    services_left: tuple[str, ...] = ()

    def anything(self) -> bool:
        """Whether it says anything at all."""
        return any(getattr(self, field) for field in self.__struct_fields__)


Status = Literal["open", "resolved", "closed", "merged"]


class Situation(msgspec.Struct, frozen=True):
    """A full snapshot of one situation in one version."""

    id: str
    version: int
    status: Status
    severity: int
    root: Root
    candidates: tuple[Candidate, ...]
    firing: int
    alerts: int
    impact: Impact
    opened_ms: int
    updated_ms: int
    resolved_ms: int | None
    merged_into: str | None
    because: tuple[str, ...]
    changes: tuple["RecentChange", ...] = ()
    """Recent changes on its candidates, the newest first, up to 5."""
    reopened: int = 0
    """How often it has begun again after it was closed, because the same root failed again soon."""
    unheard: tuple[str, ...] = ()
    """Told when it closes: monitored CIs that directly depend on the root and sent nothing, up to 50..."""
    heard: tuple[str, ...] = ()
    """...and those that sent something, or have something behind them that did, up to 50."""
    correction: str = ""
    """The feedback by which an operator put its alerts together; empty if evidence did."""
    topology: str = ""
    """The digest of the topology by which it was decided."""


class RecentChange(msgspec.Struct, frozen=True):
    """A change record (context.py) that may have to do with a situation."""

    id: str
    ci: str
    title: str
    began_ms: int
    ended_ms: int | None = None
    """None: it goes on."""


class SituationUpdate(msgspec.Struct, frozen=True):
    """One record of the `situations` topic: the snapshot, and a slice of what joined or left it with this version.

    A storm's members are spread over `parts` records with the same snapshot, so that no record grows with the storm and
    compaction always leaves a whole snapshot behind.
    """

    situation: Situation
    part: int
    parts: int
    moved: Moved
    told_ms: int = 0
    """The tick, in event time, at which this was told."""
    home: str = ""
    """The backbone that decides what it has to do with other domains; empty: it is told as it is."""


class Regroup(msgspec.Struct, frozen=True):
    """An operator's word about which alerts belong together, above all evidence: these leave the situation they are in,
    and are explained together, alone or with another situation.

    It is broadcast to every place that may know the alerts; those that do not know them do nothing.
    """

    id: str
    """Of the feedback: the same correction heard twice changes nothing the second time."""
    alerts: tuple[str, ...]
    """Fingerprints. With none, all the alerts that came from `situation`."""
    situation: str
    """The one that they leave, or that had been merged."""
    into: str = ""
    """The situation that they belong to; empty: one of their own."""


DiscrepancyKind = Literal[
    "unknown_ci", "alias_conflict", "contradicted_edge", "missing_edge", "orphan", "unknown_end", "unusable"
]


class Discrepancy(msgspec.Struct, frozen=True, gc=False):
    """Something configuration management should know about a CI reference."""

    kind: DiscrepancyKind
    """alias_conflict: a name that two CIs claim. contradicted_edge: the dependent does not feel it when the provider
    fails. missing_edge: two CIs fail together again and again, and nothing connects them. orphan: a CI fails
    again and again, and has no edges. unknown_end: a dependency on a CI that nobody defines. unusable: something else
    that live topology says of a CI and that cannot be used."""
    reference: str
    """The record's key: the CI reference, or both ends of the edge joined by ` -> `, dependent first."""
    first_event: str
    """The event that showed it; empty where several situations have."""
    time_ms: int
    evidence: tuple[str, ...] = ()
    """What speaks for it, in words."""
