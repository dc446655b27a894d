"""What OpsBridge tells on the way to incidents: alerts, situations, what rules withhold, and what is odd about CIs."""

from typing import Literal

from pydantic import Field

from opsbridge.contract.shapes import (
    Candidate,
    Milliseconds,
    Moved,
    Root,
    SeverityNumber,
    Shape,
    SituationId,
)


class Alert(Shape):
    """An alert changed. A record of `alerts` is a JSON array of these; the key is the correlation domain."""

    change: Literal["opened", "renewed", "escalated", "resolved"]
    fingerprint: str
    ci: str
    class_: str = Field(alias="class")
    severity: SeverityNumber
    time_ms: Milliseconds
    now_ms: Milliseconds
    """The watermark of the partition that says so."""
    opened_ms: Milliseconds
    """When this firing began."""
    occurrence: int
    """Counts the alert's firings from 1."""
    position: int
    """Orders the transitions of one alert; one that is sent twice has the same."""
    event: str
    """The event that caused it."""
    known_ci: bool = True
    """The topology has the CI."""
    count: int = 1
    """Events of this firing so far."""
    summary: str = ""
    rule: str = ""
    """The rule that raised or classified it."""
    grounds: tuple[str, ...] = ()
    """Why it may belong with alerts that no edge connects it with."""
    marks: tuple[tuple[str, int, str, float | str | None], ...] = ()
    """For OpsBridge itself."""
    domain: str = ""
    """The correlation domain that hears of this firing from its opening to its resolution."""
    shared: bool = False
    """That is a backbone."""


class RecentChange(Shape):
    """A change record that may have to do with a situation."""

    id: str
    ci: str
    title: str
    began_ms: Milliseconds
    ended_ms: Milliseconds | None = None


class Impact(Shape):
    """How far a situation reaches."""

    cis: int
    services: int
    named: tuple[str, ...]
    """The most important services by tier, up to 200."""
    tier: int | None = None
    """The most important tier that is affected."""
    users: int = 0
    sites: tuple[str, ...] = ()


class Situation(Shape):
    """Alerts that one cause explains, in one version."""

    id: SituationId
    version: int
    status: Literal["open", "resolved", "closed", "merged"]
    severity: SeverityNumber
    root: Root
    candidates: tuple[Candidate, ...]
    firing: int
    alerts: int
    impact: Impact
    opened_ms: Milliseconds
    updated_ms: Milliseconds
    resolved_ms: Milliseconds | None
    merged_into: SituationId | None
    because: tuple[str, ...]
    changes: tuple[RecentChange, ...] = ()
    reopened: int = 0
    """How often it has begun again after it was closed."""
    unheard: tuple[str, ...] = ()
    """Told when it closes: CIs that directly depend on the root and sent nothing, up to 50..."""
    heard: tuple[str, ...] = ()
    """...and those that sent something, up to 50."""
    correction: str = ""
    """The id of the feedback by which people put its alerts together; empty: the evidence did."""
    topology: str = ""
    """The digest of the topology by which it was decided."""


class SituationUpdate(Shape):
    """A situation's snapshot, and a slice of what moved with this version; the key is the situation's id."""

    situation: Situation
    part: int
    parts: int
    moved: Moved
    told_ms: int = 0
    home: str = ""
    """For OpsBridge itself: the backbone that hears of it."""


class Suppressed(Shape):
    """An alert is withheld with a reason, or no longer; the key is its fingerprint."""

    state: Literal["withheld", "released", "resolved"]
    kind: Literal["hold", "flapping", "maintenance", "inhibit"]
    rule: str
    fingerprint: str
    ci: str
    class_: str = Field(alias="class")
    severity: SeverityNumber
    event: str
    """The event that opened this firing."""
    opened_ms: Milliseconds
    now_ms: Milliseconds
    until_ms: Milliseconds | None = None
    """When it will be released if nothing changes."""
    inhibited_by: str = ""
    """The fingerprint of the alert that inhibits it."""
    events: int = 0
    """How many of its events have been withheld so far."""
    known_ci: bool = True


class Shadow(Shape):
    """What a rule in trial would have done; the key is the rule."""

    rule: str
    would: str
    ci: str
    class_: str = Field(alias="class")
    event: str
    fingerprint: str
    time_ms: Milliseconds


class Discrepancy(Shape):
    """What configuration management should know; the key is the reference."""

    kind: Literal[
        "unknown_ci", "alias_conflict", "contradicted_edge", "missing_edge", "orphan", "unknown_end", "unusable"
    ]
    reference: str
    """The CI's name, or both ends of an edge joined by ` -> `, the dependent first."""
    first_event: str
    """The event that showed it; empty where several situations have."""
    time_ms: Milliseconds
    evidence: tuple[str, ...] = ()
    """What speaks for it, in words."""
