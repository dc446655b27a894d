"""Priority: impact x urgency by a matrix, with the targets that it obliges to; the default, and what rules vary of it.

Impact tells how far a situation reaches, urgency how bad it is. Rules of kind `priority` are scales too, with other
thresholds or targets; the response stage asks on every update.
"""

from collections.abc import Mapping
from typing import Final, get_args

import msgspec

from opsbridge.core.case import Case
from opsbridge.core.event import SEVERITY_NUMBER
from opsbridge.core.records import Level, PriorityName
from opsbridge.core.rulebook import Priority

_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE

NAMES: Final[tuple[PriorityName, ...]] = get_args(PriorityName)
"""The most urgent first."""


class Threshold(msgspec.Struct, frozen=True):
    """How far a situation has to reach; any of these suffices, None does not count."""

    tier: int | None = None
    """The most important affected tier is this one or a more important one (a smaller number)."""
    services: int | None = None
    """At least so many affected services..."""
    users: int | None = None
    """...or users..."""
    cis: int | None = None
    """...or CIs."""

    def reached(self, case: Case) -> bool:
        """Whether the situation reaches so far."""
        impact = case.situation.impact
        return (
            (self.tier is not None and impact.tier is not None and impact.tier <= self.tier)
            or (self.services is not None and impact.services >= self.services)
            or (self.users is not None and impact.users >= self.users)
            or (self.cis is not None and impact.cis >= self.cis)
        )


class Targets(msgspec.Struct, frozen=True):
    """What a priority obliges to; as in `Priority`."""

    acknowledge_ms: int | None = None
    resolve_ms: int | None = None
    warn_at: float = 0.8
    remind_ms: int | None = None
    escalate_to: tuple[str, ...] = ()


Matrix = Mapping[tuple[Level, Level], PriorityName]
"""(impact, urgency) -> priority."""

MATRIX: Final[Matrix] = {
    ("high", "high"): "P1",
    ("high", "medium"): "P2",
    ("medium", "high"): "P2",
    ("medium", "medium"): "P3",
    ("high", "low"): "P3",
    ("low", "high"): "P3",
    ("medium", "low"): "P4",
    ("low", "medium"): "P4",
    ("low", "low"): "P5",
}

TARGETS: Final[Mapping[PriorityName, Targets]] = {
    "P1": Targets(5 * _MINUTE, _HOUR, remind_ms=15 * _MINUTE),
    "P2": Targets(15 * _MINUTE, 4 * _HOUR, remind_ms=_HOUR),
    "P3": Targets(_HOUR, 8 * _HOUR),
    "P4": Targets(4 * _HOUR, 24 * _HOUR),
    "P5": Targets(),
}


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """All that makes a priority; called with a case, it answers with its priority."""

    rule: str = ""
    """Empty: the default."""
    high: Threshold = Threshold(tier=1, services=10, users=1000)
    """From here on the impact is high..."""
    medium: Threshold = Threshold(tier=2, services=2, users=100)
    """...or medium, else low."""
    urgent: int = SEVERITY_NUMBER["critical"]
    """From this severity on the urgency is high..."""
    pressing: int = SEVERITY_NUMBER["major"]
    """...or medium, else low."""
    matrix: Matrix = msgspec.field(default_factory=lambda: MATRIX)
    targets: Mapping[PriorityName, Targets] = msgspec.field(default_factory=lambda: TARGETS)

    def __call__(self, case: Case) -> Priority:
        """The priority of a case."""
        severity = case.situation.severity
        impact: Level = "high" if self.high.reached(case) else "medium" if self.medium.reached(case) else "low"
        urgency: Level = "high" if severity >= self.urgent else "medium" if severity >= self.pressing else "low"
        name = self.matrix[impact, urgency]
        targets = self.targets[name]
        return Priority(
            name=name,
            impact=impact,
            urgency=urgency,
            rule=self.rule,
            acknowledge_ms=targets.acknowledge_ms,
            resolve_ms=targets.resolve_ms,
            warn_at=targets.warn_at,
            remind_ms=targets.remind_ms,
            escalate_to=targets.escalate_to,
        )


DEFAULT: Final = Scale()


def rises(before: str, after: str) -> bool:
    """Whether a priority is more urgent than the one before; names sort by urgency."""
    return bool(before) and after < before
