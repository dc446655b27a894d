"""A situation: alerts that one cause explains, with its life-cycle, its members and what has been told of them.

Data and bookkeeping only; who belongs to which situation is decided in claims.py. The life-cycle is the table
TRANSITIONS; anything else is a programming error.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from opsbridge.core.classes import Profiles
from opsbridge.core.decisions import Candidate, Impact, Member, Status
from opsbridge.core.event import SEVERITIES
from opsbridge.core.ids import derived_id
from opsbridge.core.second_level.evidence import NEVER, Alerting, Node

TRANSITIONS: Final[dict[Status, tuple[Status, ...]]] = {
    "open": ("resolved", "merged"),
    "resolved": ("open", "closed", "merged"),
    "closed": ("open",),
    "merged": (),
}
"""open: an alert fires. resolved: none does. closed: none has for a while; open again if the same root fails again soon
(recurrence.py). merged: another situation explains all."""

REMEMBERED: Final = 16
"""So many of the situations that an alert came from are remembered, the newest..."""

ABSORBED: Final = 200
"""...and so many of those that were merged into one."""


class AlertState(msgspec.Struct, array_like=True, gc=False):
    """What the second level knows of one alert. The order of the fields is the format of the changelog."""

    fingerprint: str
    ci: str
    class_: str
    known_ci: bool
    severity: int
    firing: bool
    opened: int
    occurrence: int
    event: str
    cleared: int
    """When it was last resolved; 0 if it never was."""
    position: int
    """The newest transition that has been applied."""
    situation: str = ""
    """The situation it belongs to; empty until the next settling."""
    sequence: int = 0
    """Counts joins to the situation; what is above the situation's `told` has not been told."""
    again: int = 0
    """The same count, of the firing that was the first to be told anew; 0 if there was none."""
    rule: str = ""
    held: int = 0
    """The occurrence by which it belongs to its situation; a later one may wait to be explained."""
    entered: int = 0
    """The occurrence by which it joined that situation; 0 if an earlier firing of it belongs there, too."""
    waiting: bool = False
    """It has not been explained yet."""
    renewed: bool = False
    """Its newest firing may be a mere repetition."""
    grounds: tuple[str, ...] = ()
    """Why it may belong with alerts that no edge connects it with."""
    loose: int = 0
    """The epoch (second_level.py) in which it joined a large explanation as it was; 0 if it did not."""
    spent: bool = False
    """What it said no longer counts, though its situation goes on."""
    pinned: bool = False
    """An operator put it where it is (regrouping.py): it is no evidence, and stays with its situation."""
    came_from: tuple[str, ...] = ()
    """The situations that had it before and that somebody has been told of, the newest last."""

    @property
    def sealed(self) -> bool:
        """No event opened it: it stands for a situation (backbone.py), whose own evidence is weighed elsewhere."""
        return not self.event

    def member(self) -> Member:
        """How the alert is named as a member of a situation."""
        return Member(self.fingerprint, self.occurrence, self.ci, self.class_, self.event)


class SituationState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of one situation; its members are saved with the alerts."""

    id: str
    root: str
    known_root: bool
    status: Status
    created: int
    """The watermark when it came to be; reporting waits from here."""
    opened: int
    updated: int
    resolved: int | None = None
    version: int = 0
    """0: nobody has been told of it yet."""
    told: int = 0
    told_root: str = ""
    told_others: list[str] = []
    """The roots of other situations that take quorums together with this one's, when it was told of."""
    told_severity: int = 0
    told_class: str | None = None
    told_at: int = 0
    sequence: int = 0
    cleared: int = 0
    """When an alert of it was last resolved."""
    settled: int = 0
    """Its sequence when its alerts last ceased to be evidence; what joined or fired again since is evidence."""
    newest: int = 0
    """When the last CI began to alert that it explains."""
    reopened: int = 0
    """How often it has come back; from the occurrence of its first alert on."""
    flapping: bool = False
    """It was taken up again because one CI of it alarms again: no reason to take in what else happens there."""
    lone: bool = True
    """All its alerts come from one CI."""
    recent_since: int = 0
    """Since when its alerts have counted as evidence."""
    recent: bool = True
    """Its alerts still count as evidence, and new ones may join."""
    merged_into: str | None = None
    named: bool = False
    """Somebody has been told that another situation was merged into this one, so this one has to be told of."""
    left: list[Member] = []
    past: list[Member] = []
    """Firings that joined and were followed by another one before they were told."""
    stayed: list[str] = []
    """Alerts that fire again elsewhere, but of which an earlier firing belongs here."""
    candidates: list[Candidate] = []
    confidence: float = 0.0
    scored: int = 0
    """How many CIs it had when its candidates were last scored; 0 asks for scoring."""
    rules: list[str] = []
    touched: bool = True
    """Something is to be reported."""
    correction: str = ""
    """The operators' correction that it comes from; empty if evidence found it."""
    prompt: bool = False
    """An operator has changed it and waits to see that."""
    absorbed: list[str] = []
    """The situations that were merged into it, and those that had been into these, as far as somebody was told."""
    recurred: int = 0
    """How often it has begun again after it was closed."""
    told_open: bool = False
    """It was open when somebody was last told of it."""
    topology: str = ""
    """The topology by which it was decided; empty until it is told."""
    told_home: str | None = None
    """The backbone that hears of it; empty: none does. None until it is told: where news of it go must not change."""


class ClockState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of the second level beside its alerts and situations."""

    now: int
    epoch: int
    whole: int
    loose_since: int
    loose_until: int


class LiveSituation:
    """A situation with its members at hand."""

    __slots__ = (
        "alerts",
        "awaited",
        "firing",
        "impact",
        "joined",
        "nodes",
        "root",
        "root_alerts",
        "severities",
        "state",
    )

    def __init__(self, state: SituationState, root: Node) -> None:
        self.state = state
        self.root = root
        self.alerts: dict[str, AlertState] = {}
        self.nodes: dict[Node, None] = {}
        """CIs whose recent alerts it explains; empty once it is no longer recent."""
        self.joined: dict[str, AlertState] = {}
        """Joined, or fired again, since the last report."""
        self.awaited = NEVER
        """The earliest time at which it is looked at again."""
        self.firing = 0
        self.severities = [0] * len(SEVERITIES)
        self.root_alerts: list[AlertState] = []
        """The root's own alerts; none if it is silent."""
        self.impact: tuple[tuple[Node, tuple[str, ...]], Impact] | None = None
        """The root and the other failures that it was last worked out for, and the impact."""

    @property
    def severity(self) -> int:
        """The highest severity among its alerts."""
        return max((number for number, count in enumerate(self.severities) if count), default=0)

    def become(self, status: Status) -> None:
        """Change the status; raises ValueError for a step that TRANSITIONS does not have."""
        if status == self.state.status:
            return
        if status not in TRANSITIONS[self.state.status]:
            raise ValueError(f"situation {self.state.id}: no step from {self.state.status} to {status}")
        self.state.status = status

    def hold(self, alert: AlertState) -> None:
        """Count an alert in, as it stands (also on restoring)."""
        self.alerts[alert.fingerprint] = alert
        self.severities[alert.severity] += 1
        self.firing += alert.firing
        if alert.ci == self.state.root:
            self.root_alerts.append(alert)
        if max(alert.sequence, alert.again) > self.state.told:
            self.joined[alert.fingerprint] = alert

    def reroot(self, root: Node, name: str) -> None:
        """Blame another CI."""
        self.root = root
        state = self.state
        state.root, state.known_root, state.scored = name, isinstance(root, int), 0
        self.root_alerts = [alert for alert in self.alerts.values() if alert.ci == name]

    def class_of_root(self) -> str | None:
        """What the root said first; None if it is silent."""
        own = min(self.root_alerts, key=lambda alert: (alert.opened, alert.fingerprint), default=None)
        return own.class_ if own else None

    def go_on_as(self, before: "LiveSituation") -> None:
        """Nobody has heard of this one: from now on it is the closed situation `before`, which begins again in it.

        What has been told stays told: its alerts stay members, before those that are new.
        """
        state, old = self.state, before.state
        before.become("open")
        state.id, state.version, state.recurred = old.id, old.version, old.recurred + 1
        state.told_root, state.told_others, state.told_at = old.told_root, old.told_others, old.told_at
        state.told_severity, state.told_class = old.told_severity, old.told_class
        state.opened, state.updated = min(old.opened, state.opened), max(old.updated, state.updated)
        state.cleared, state.named = max(old.cleared, state.cleared), old.named
        state.rules = list(dict.fromkeys((*old.rules, *state.rules)))
        state.absorbed = [*old.absorbed, *state.absorbed][-ABSORBED:]
        own = {alert.ci for alert in (*before.alerts.values(), *self.alerts.values())}
        state.lone = state.lone and old.lone and len(own) == 1
        state.told = old.sequence
        state.settled += old.sequence
        state.sequence += old.sequence
        earlier = set(old.stayed)
        for alert in self.alerts.values():
            alert.situation = old.id
            alert.sequence += old.sequence
            alert.again += old.sequence if alert.again else 0
            if alert.fingerprint in earlier:
                alert.entered = 0
        stayed = dict.fromkeys((*old.stayed, *state.stayed))
        state.stayed = [fingerprint for fingerprint in stayed if fingerprint not in self.alerts]
        fresh = self.alerts
        self.alerts = {}
        for alert in before.alerts.values():
            self.hold(alert)
        self.alerts |= fresh
        self.awaited = NEVER

    def change(self, alert: AlertState, *, severity: int, firing: bool) -> None:
        """Let one of its alerts have another severity or state."""
        self.severities[alert.severity] -= 1
        self.severities[severity] += 1
        self.firing += firing - alert.firing
        alert.severity, alert.firing = severity, firing
        self.state.cleared = max(self.state.cleared, alert.cleared)

    def fires_again(self, alert: AlertState) -> None:
        """A member is about to fire again: what has not been told of its firing so far is kept."""
        if alert.fingerprint in self.joined and alert.held == alert.occurrence:
            self.state.past.append(alert.member())

    def tell_again(self, alert: AlertState) -> None:
        """A member fires again: its new occurrence is reported like one that joined."""
        alert.held = alert.occurrence
        if alert.fingerprint not in self.joined:
            self.state.sequence += 1
            alert.again = self.state.sequence
            self.joined[alert.fingerprint] = alert

    def recount(self, alert: AlertState) -> None:
        """An alert that it has already is evidence again."""
        state = self.state
        state.newest = max(state.newest, alert.opened)
        state.sequence += 1
        alert.again = state.sequence
        alert.held = alert.occurrence
        self.joined[alert.fingerprint] = alert

    def join(self, alert: AlertState, now: int) -> None:
        """Take an alert in as a new member."""
        state = self.state
        state.sequence += 1
        state.lone = state.lone and all(other.ci == alert.ci for other in islice(self.alerts.values(), 1))
        alert.situation, alert.sequence, alert.again = state.id, state.sequence, 0
        alert.held = alert.entered = alert.occurrence
        if alert.fingerprint in state.stayed:
            state.stayed.remove(alert.fingerprint)
            alert.entered = 0
        self.hold(alert)
        state.opened = min(state.opened, alert.opened)
        state.newest = max(state.newest, alert.opened)
        state.cleared = max(state.cleared, alert.cleared)
        state.updated = max(state.updated, now)
        if alert.rule and alert.rule not in state.rules:
            state.rules.append(alert.rule)

    def let_go(self, alert: AlertState) -> None:
        """An alert of a closed situation fires again: what has been told of it stays here, what comes is new."""
        del self.alerts[alert.fingerprint]
        self.severities[alert.severity] -= 1
        self.root_alerts = [own for own in self.root_alerts if own is not alert]
        self.state.stayed.append(alert.fingerprint)

    def leave(self, alert: AlertState) -> None:
        """Let an alert go that another situation explains better."""
        del self.alerts[alert.fingerprint]
        self.severities[alert.severity] -= 1
        self.firing -= alert.firing
        self.root_alerts = [own for own in self.root_alerts if own is not alert]
        state = self.state
        if state.version or state.named:
            others = [name for name in alert.came_from if name != state.id]
            alert.came_from = (*others, state.id)[-REMEMBERED:]
        untold = self.joined.pop(alert.fingerprint, None) is not None
        if alert.held == alert.occurrence and not untold:
            state.left.append(alert.member())
        if alert.held != alert.occurrence or alert.held != alert.entered:
            state.stayed.append(alert.fingerprint)


def situation_id(*seed: str | int) -> str:
    """An id derived from what a situation began with, so that reading the input again derives it again."""
    return derived_id("S", *seed)


def weighed(alerts: Sequence[AlertState], profiles: Profiles) -> Alerting:
    """What these alerts of one CI say together."""
    together = Alerting(
        min(alert.opened for alert in alerts),
        NEVER if any(alert.firing for alert in alerts) else max(alert.cleared for alert in alerts),
        occurrence=min(alert.occurrence for alert in alerts),
        grounds=tuple(sorted({ground for alert in alerts for ground in alert.grounds})),
        sealed=all(alert.sealed for alert in alerts),
    )
    for alert in alerts:
        together.include(profiles(alert.class_))
    return together
