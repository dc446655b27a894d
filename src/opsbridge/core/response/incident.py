"""An incident as it is kept: its situation's newest snapshot, what people have said, and what has become of it.

Data, and what is made of it for people: its record, and notifications about it. What changes it is decided elsewhere:
by its situation and people (hearing.py), by time (escalation.py); its status only by the table of lifecycle.py.
"""

from typing import Final

import msgspec

from opsbridge.core.case import Case, fill
from opsbridge.core.decisions import RecentChange, Root, Situation, SituationUpdate
from opsbridge.core.event import SEVERITIES
from opsbridge.core.graph import CI
from opsbridge.core.ids import derived_id, incident_id
from opsbridge.core.records import (
    Attempt,
    HistoryEntry,
    Incident,
    IncidentStatus,
    KnownError,
    Notification,
    NotificationReason,
    RelatedChange,
)
from opsbridge.core.response.lifecycle import ENDED, TO_DO, UNSEEN, Turn, turned
from opsbridge.core.rulebook import Handling, Priority
from opsbridge.core.times import rfc3339

HEARD: Final = 100
"""So many ids of feedback are remembered of one incident, the newest: what is said again changes nothing."""

NOTE: Final = 500
"""So much of a note is in the history; all of it is on the `feedback` topic."""

HISTORY: Final = 200_000
"""So many bytes of history are kept, whatever its length in entries: no record outgrows what may be written."""

KNOWN_ERRORS: Final = 10
"""So many known errors an incident carries, the first that match."""

ITSELF: Final = "opsbridge"
"""Who does what nobody has said."""


class IncidentState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of one incident. The order of the fields is the format of the changelog."""

    situation_version: int = 0
    part: int = 0
    digest: str = ""
    version: int = 0
    """0: nobody has been told of it."""
    ended: int | None = None
    """When its situation ended."""
    rule: str = ""
    """The rule that decided; empty: none did."""
    parts: int = 0
    """Of `situation_version`."""
    telling: int = 0
    """The version that its members are told with while the parts of one come."""
    fires: bool = False
    """Among the parts of this version so far, something joined or fired anew."""
    situation: Situation | None = None
    """As it was last heard whole."""
    status: IncidentStatus = "open"
    updated: int = 0
    """When it last changed without news of its situation."""
    at: int = 0
    """What the time was when anything was last heard of it."""
    priority: Priority | None = None
    since: int = 0
    """When it was opened or reopened for people: its targets count from here."""
    resolved: int | None = None
    acknowledged: bool = False
    """Somebody has seen it since then."""
    category: str = ""
    group: str = ""
    runbook: str = ""
    links: tuple[str, ...] = ()
    known_errors: tuple[KnownError, ...] = ()
    assignee: str = ""
    assigned_group: str = ""
    """By people; it outweighs that of rules and CIs."""
    snoozed: int | None = None
    """Until then."""
    level: int = 0
    """How often it has been escalated since `since`, because nobody has seen it."""
    escalated: int = 0
    """When it was the last time, or woke."""
    warned: bool = False
    missed: bool = False
    reminded: int = 0
    escalations: int = 0
    """In all."""
    reopened: int = 0
    occurrence: int = 0
    """The situation's count of reopenings, when it was last heard whole."""
    problem: str = ""
    absorbed: str = ""
    """An incident that people had been told of was merged into it, so they are told of it whatever rules say."""
    heir_elsewhere: bool = False
    """It was merged into a situation of which nothing was known here."""
    notifications: int = 0
    """How many notifications there have been."""
    counted: tuple[str, ...] = ()
    """The problem rules that have counted it since it last began."""
    notified: tuple[str, ...] = ()
    """The notification rules that have been followed since then."""
    announced: bool = False
    """Coordination has been told that it began."""
    history: list[HistoryEntry] = []
    heard: list[str] = []
    """Digests of ids."""
    root: CI | None = None
    """The root's CI as the topology had it last, where it may go from there."""

    def has_heard(self, update: SituationUpdate, digest: str) -> bool:
        """Whether it has heard this part of a version, or a newer one. Told anew in other words, it is news."""
        part, newest = (update.situation.version, update.part), (self.situation_version, self.part)
        return part < newest or (part == newest and digest == self.digest)

    def take_in(self, update: SituationUpdate) -> None:
        """This part of a version is the newest that has been heard."""
        self.fires = (self.fires and update.part > 1) or bool(update.moved.joined)
        self.situation_version, self.part, self.parts = update.situation.version, update.part, update.parts
        if update.situation.status not in ENDED:
            self.ended = None

    @property
    def whole(self) -> bool:
        """Whether all parts of the version have been heard."""
        return self.part == self.parts

    @property
    def to(self) -> str:
        """Who is to be told of it; empty: nobody.

        The assignment group; without one whoever has it, or else whom it is escalated to first.
        """
        first = self.priority.escalate_to[:1] if self.priority is not None else ()
        return self.assigned_group or self.group or self.assignee or "".join(first)

    def log(self, time: int, what: str, detail: str = "") -> None:
        """A line of history about what nobody has said."""
        self.history.append(HistoryEntry(rfc3339(time), ITSELF, what, detail))

    def shorten(self, entries: int) -> None:
        """Keep so much of the history, the newest."""
        del self.history[:-entries]
        while len(msgspec.json.encode(self.history)) > HISTORY and len(self.history) > 1:
            del self.history[0]

    def turn(self, turn: Turn, now: int) -> bool:
        """Let its situation do something; whether that has made something else of it."""
        return self.become(turned(self.status, turn), now)

    def become(self, status: IncidentStatus, now: int) -> bool:
        """Take another status, which the table has answered, with what goes with it; whether it is another one."""
        before, self.status = self.status, status
        if status == before:
            return False
        if status == "reopened":
            self.reopened += 1
            self.begin(now)
        elif status not in TO_DO:
            self.snoozed = None
        if status not in UNSEEN and status in TO_DO:
            self.acknowledged = True
        self.resolved = self.resolved or now if status in ("resolved", "closed") else None
        return True

    def begin(self, now: int) -> None:
        """It is open for people from now on: its targets begin anew."""
        self.since, self.acknowledged, self.snoozed = now, False, None
        self.level, self.escalated, self.warned, self.missed, self.reminded = 0, 0, False, False, now

    def wake(self, now: int) -> None:
        """It is not snoozed: of what would have come meanwhile, each comes once; reminders wait their whole time."""
        self.snoozed, self.reminded = None, now

    def describe(self, case: Case, handling: Handling) -> None:
        """Take over what rules say about it, and what they do not say from the root's CI."""
        root = case.root
        self.category = fill(handling.category, case) or root.category
        self.group = fill(handling.group, case) or case.group
        self.runbook = fill(handling.runbook, case) or root.runbook
        self.links = tuple(dict.fromkeys((*(fill(link, case) for link in handling.links), *root.links)))


def failure(root: Root) -> str:
    """What is wrong where."""
    return f"{root.class_ or 'silent failure'} on {root.ci}"


def title_of(situation: Situation) -> str:
    """What is wrong where, and how far it reaches."""
    impact, title = situation.impact, failure(situation.root)
    return f"{title} affects {impact.cis - 1} dependent CIs" if impact.cis > 1 else title


def record(state: IncidentState, attempts: tuple[Attempt, ...]) -> Incident:
    """The incident as it is told: `attempts` is what its auto-responses have come to."""
    situation = state.situation
    assert situation is not None  # noqa: S101 - whoever is told of has been heard whole
    impact = situation.impact
    priority = state.priority
    because = situation.because
    if state.rule:
        because = (*because, f"rule {state.rule} makes it an incident")
    if state.absorbed:
        because = (*because, f"{state.absorbed} was merged into it, and people had been told of that")
    if state.heir_elsewhere and situation.merged_into is not None:
        heir = incident_id(situation.merged_into)
        because = (*because, f"whether people are told of {heir} is decided where its news are heard")
    at_work = state.status in TO_DO
    acknowledge = resolve = None
    if at_work and priority is not None:
        acknowledge = None if state.acknowledged else priority.acknowledge_ms
        resolve = priority.resolve_ms
    return Incident(
        id=incident_id(situation.id),
        version=state.version,
        status=state.status,
        title=title_of(situation),
        severity=SEVERITIES[situation.severity],
        situation=situation.id,
        root=situation.root,
        candidates=situation.candidates,
        firing=situation.firing,
        alerts=situation.alerts,
        affected_cis=impact.cis,
        affected_services=impact.services,
        services=impact.named,
        opened=rfc3339(situation.opened_ms),
        updated=rfc3339(max(situation.updated_ms, state.updated)),
        resolved=_time(None if at_work else _earlier(situation.resolved_ms, state.resolved)),
        merged_into=None if situation.merged_into is None else incident_id(situation.merged_into),
        because=because,
        priority="" if priority is None else priority.name,
        impact="" if priority is None else priority.impact,
        urgency="" if priority is None else priority.urgency,
        users=impact.users,
        sites=impact.sites,
        category=state.category,
        group=state.assigned_group or state.group,
        assignee=state.assignee,
        runbook=state.runbook,
        links=state.links,
        acknowledge_by=None if acknowledge is None else rfc3339(state.since + acknowledge),
        resolve_by=None if resolve is None else rfc3339(state.since + resolve),
        escalations=state.escalations,
        snoozed_until=_time(state.snoozed),
        reopened=state.reopened,
        known_errors=state.known_errors,
        changes=tuple(map(_related, situation.changes)),
        problem=state.problem,
        attempts=attempts,
        history=tuple(state.history),
        topology=situation.topology,
    )


def notice(
    state: IncidentState, reason: NotificationReason, to: str, now: int, text: str = "", *, level: int = 0
) -> list[Notification]:
    """Somebody is told of the incident; nobody, if there is nobody to tell. `text`: what is to be said besides."""
    situation = state.situation
    if not to or situation is None:
        return []
    state.notifications += 1
    priority = "" if state.priority is None else state.priority.name
    return [
        Notification(
            id=derived_id("NTF", situation.id, reason, state.notifications),
            reason=reason,
            to=to,
            text=f"{priority} {title_of(situation)}: {text or reason}".lstrip(),
            incident=incident_id(situation.id),
            situation=situation.id,
            priority=priority,
            level=level,
            time=rfc3339(now),
        )
    ]


def notice_of_status(state: IncidentState, now: int) -> list[Notification]:
    """The notification about the status that it has now, if there is one about that."""
    match state.status:
        case "resolved" | "closed" | "reopened":
            return notice(state, state.status, state.to, now)
    return []


def _earlier(one: int | None, other: int | None) -> int | None:
    times = [time for time in (one, other) if time is not None]
    return min(times, default=None)


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)


def _related(change: RecentChange) -> RelatedChange:
    return RelatedChange(change.id, change.ci, change.title, rfc3339(change.began_ms), _time(change.ended_ms))
