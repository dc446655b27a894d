"""A review as data: what `opsbridge review --json` prints, and text and page are made of.

Names are stable and additions compatible; docs/review.md says how each figure is counted. Times are RFC 3339 in UTC,
lengths of time seconds, shares numbers from 0 to 1.
"""

import msgspec


class Part(msgspec.Struct, frozen=True):
    """A number of events, and which share of all it is; null if there are none at all."""

    events: int
    share: float | None


class Named(msgspec.Struct, frozen=True):
    """Something by name with its number of events."""

    name: str
    events: int


class Talker(msgspec.Struct, frozen=True):
    """A CI that events name."""

    ci: str
    events: int
    share: float | None
    incidents: int
    """In which its alerts were."""


class Unsteady(msgspec.Struct, frozen=True):
    """An alert that began several times."""

    ci: str
    class_: str = msgspec.field(name="class")
    firings: int = 0


class Spread(msgspec.Struct, frozen=True):
    """Lengths of time in seconds; percentiles by nearest rank, null without any."""

    count: int
    p50: float | None = None
    p90: float | None = None
    max: float | None = None


class EventFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The events read, each counted once in every breakdown."""

    read: int
    places: dict[str, dict[str, int]]
    """Place -> reason -> events: dead_letter, informational, suppressed, routed, expired, incident, unanswered,
    waiting, unexplained."""
    significance: dict[str, int]
    """informational, warning, exception, return_to_normal, and not_judged (dead letters, suppressed or routed by a
    filter)."""
    classes: list[Named]
    """The ten most frequent, and `(others)`; without dead letters."""
    sources: list[Named]
    top_talkers: list[Talker]
    needed_person: Part
    """In an incident that people were told of."""
    incident_or_change: Part
    """In one of these, or in a situation for which a change was requested."""
    known_errors: Part
    """In an incident with a known error."""
    duplicates: Part
    """Reports of alerts that changed nothing."""
    collapse_ratio: float | None
    """Events in incidents, to one incident."""


class AlertFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the first level made of events."""

    alerts: int
    """Different alerts that were told."""
    firings: int
    """How often they began."""
    raised: dict[str, int]
    """Rule -> firings that it raised."""
    withheld: dict[str, dict[str, int]]
    """Kind -> rule -> firings withheld, for a time or to their end."""
    most_unsteady: list[Unsteady]
    """Alerts that began most often, at least three times."""
    discrepancies: dict[str, int]
    """Kind -> references."""


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """One incident."""

    id: str
    title: str
    root: str
    priority: str
    status: str
    severity: str
    opened: str
    events: int
    seconds: float | None
    """From its first event to its end; null while it goes on."""


class IncidentFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents, each in its last version; those merged into others only under `merged`."""

    incidents: int
    merged: int
    by_status: dict[str, int]
    by_priority: dict[str, int]
    """`none` for those without."""
    by_group: dict[str, int]
    """Of the assignment groups; `none` for those without."""
    silent_roots: int
    """Incidents whose root sent nothing itself."""
    with_known_error: int
    with_change: int
    """Incidents with a recent change that may have to do with it."""
    reopened: int
    """Incidents that were reopened, once or more."""
    reopenings: int
    time_to_incident: Spread
    """From the first event to when people were told."""
    time_to_acknowledge: Spread
    """From when people were told to when somebody took notice."""
    time_to_resolve: Spread
    """From the first event to the last resolution."""
    missed_acknowledge: int
    """Incidents that nobody took notice of in their target time."""
    missed_resolve: int
    unanswered_situations: int
    """Situations that rules made no incidents."""
    largest: list[Brief]
    """The ten with the most events."""


class ActionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The auto-responses of one action."""

    action: str
    responses: int
    final: int
    effective: int
    success: float | None
    """Effective ones of the final ones."""
    attempts: int


class ResponseFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Auto-responses, each in its last version."""

    responses: int
    by_status: dict[str, int]
    final: int
    effective: int
    success: float | None
    attempts: int
    rollbacks: int
    late_results: int
    without_person: int
    """Effective ones of situations that people were told nothing of."""
    actions: list[ActionFigures]


class RecordFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Other records that were raised."""

    problems: dict[str, int]
    """Status -> problems."""
    changes: dict[str, int]
    """Status -> requests for change."""
    requests: dict[str, int]
    """Status -> service requests."""
    notifications: dict[str, int]
    """Reason -> notifications."""


class RuleYield(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule has done."""

    rule: str
    kind: str
    did: dict[str, int]
    """What -> how often: dropped, logged_only, routed, classified (events); raised, withheld (firings); incidents,
    no_incident (what it made of situations); responses, changes, requests, notifications, problems (records);
    would_... in trial."""
    incidents: int
    """Incidents that it had a part in."""


class Outage(msgspec.Struct, frozen=True):
    """An outage of the list."""

    ci: str
    begins: str
    ends: str


class OutageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The list of outages held against the incidents."""

    outages: int
    without_events: int
    missed: list[Outage]
    """Those that no incident tells of."""
    false_alarms: int
    """Incidents that no outage of the list accounts for."""
    false_alarm_ids: list[str]
    """Up to 50 of them."""


class Slot(msgspec.Struct, frozen=True):
    """A stretch of the period."""

    begins: str
    events: int
    incidents: int
    """Opened in it."""


class Check(msgspec.Struct, frozen=True):
    """Two figures that have to be the same."""

    what: str
    left: int
    right: int
    hint: str
    """What it may mean if they are not."""

    @property
    def holds(self) -> bool:
        """Whether they are."""
        return self.left == self.right


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """The whole review."""

    version: int = 1
    """Of this structure."""
    begins: str | None
    """The time of the first event, and of the last."""
    ends: str | None
    events: EventFigures
    alerts: AlertFigures
    incidents: IncidentFigures
    responses: ResponseFigures
    records: RecordFigures
    rules: list[RuleYield]
    outages: OutageFigures | None
    """Null without a list of outages."""
    timeline: list[Slot]
    dead_letters: dict[str, int]
    """Reason -> records, those of feedback and context too."""
    checks: list[Check]
    adds_up: bool
