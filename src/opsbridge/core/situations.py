"""A situation: alerts that one cause explains, with its life-cycle, its members and what has been told of them.

Data and bookkeeping only; who belongs to which situation is decided in second_level.py. The life-cycle is the table
TRANSITIONS; anything else is a programming error.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from opsbridge.core.decisions import Candidate, Impact, Member, Status
from opsbridge.core.event import SEVERITIES
from opsbridge.core.roots import Node

TRANSITIONS: Final[dict[Status, tuple[Status, ...]]] = {
    "open": ("resolved", "merged"),
    "resolved": ("open", "closed", "merged"),
    "closed": (),
    "merged": (),
}
"""open: an alert fires. resolved: none does. closed: none has for a while. merged: another situation explains all."""

NEVER: Final = 1 << 62
"""Later than any time."""


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
    position: int
    """The newest transition that has been applied."""
    situation: str = ""
    """The situation it belongs to; empty until the next settling."""
    sequence: int = 0
    """Counts joins to the situation; what is above the situation's `told` has not been told."""
    again: int = 0
    """The same count, of the firing that was the first to be told anew; 0 if there was none."""
    rule: str = ""

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
    told_severity: int = 0
    told_at: int = 0
    sequence: int = 0
    cost: int = 0
    """What its root was taken for, in thousandths of a nat (roots.py)."""
    recent: bool = True
    """Its alerts still count as evidence, and new ones may join."""
    merged_into: str | None = None
    left: list[Member] = []
    candidates: list[Candidate] = []
    confidence: float = 0.0
    scored: int = 0
    """How many CIs it had when its candidates were last scored; 0 asks for scoring."""
    rules: list[str] = []
    touched: bool = True
    """Something is to be reported."""


class LiveSituation:
    """A situation with its members at hand."""

    __slots__ = (
        "alerts",
        "awaited",
        "common",
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
        self.common: set[Node] = set()
        """What all these CIs depend on."""
        self.joined: dict[str, AlertState] = {}
        """Joined, or fired again, since the last report."""
        self.awaited = NEVER
        """The earliest time at which it is looked at again."""
        self.firing = 0
        self.severities = [0] * len(SEVERITIES)
        self.root_alerts: list[AlertState] = []
        """The root's own alerts; none if it is silent."""
        self.impact: tuple[Node, Impact] | None = None
        """The impact of the root it was last worked out for."""

    @property
    def cost(self) -> int:
        """What its root was taken for, in thousandths of a nat."""
        return self.state.cost

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

    def change(self, alert: AlertState, *, severity: int, firing: bool) -> None:
        """Let one of its alerts have another severity or state."""
        self.severities[alert.severity] -= 1
        self.severities[severity] += 1
        self.firing += firing - alert.firing
        alert.severity, alert.firing = severity, firing

    def tell_again(self, alert: AlertState) -> None:
        """A member fires again: its new occurrence is reported like one that joined."""
        if alert.fingerprint not in self.joined:
            self.state.sequence += 1
            alert.again = self.state.sequence
            self.joined[alert.fingerprint] = alert

    def join(self, alert: AlertState, now: int) -> None:
        """Take an alert in as a new member."""
        state = self.state
        state.sequence += 1
        alert.situation, alert.sequence, alert.again = state.id, state.sequence, 0
        self.hold(alert)
        state.opened = min(state.opened, alert.opened)
        state.updated = max(state.updated, now)
        if alert.rule and alert.rule not in state.rules:
            state.rules.append(alert.rule)

    def leave(self, alert: AlertState) -> None:
        """Let an alert go that another situation explains better."""
        del self.alerts[alert.fingerprint]
        self.severities[alert.severity] -= 1
        self.firing -= alert.firing
        self.root_alerts = [own for own in self.root_alerts if own is not alert]
        self.joined.pop(alert.fingerprint, None)
        if alert.sequence <= self.state.told:
            self.state.left.append(alert.member())


def situation_id(seed: AlertState, now: int) -> str:
    """An id derived from the alert that a situation began with, so that reading the input again derives it again."""
    text = f"{seed.fingerprint}\x1f{seed.occurrence}\x1f{seed.opened}\x1f{now}"
    return "S-" + blake2b(text.encode(), digest_size=8).hexdigest()
