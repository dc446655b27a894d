"""The kind threshold: an alert when a measure of the events within a time meets a condition.

Measures count events or values, or compute with the numbers in a label; which bounds and fields go with which measure
is checked here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, Final, Literal

from pydantic import BaseModel

from opsbridge.core.rulebook import Measure, Threshold
from opsbridge.documents import shown
from opsbridge.rules.language.fields import CONFIG, Duration, FieldName, Matching, Number
from opsbridge.rules.language.kinds.raising import RaisingRule, not_heard_of
from opsbridge.rules.language.kinds.shape import Built, Draft
from opsbridge.rules.language.scopes import HEARD, NOT_OF_A_RESOLUTION, Scope
from opsbridge.rules.matching.conditions import LABELS

REMEMBERED: Final = 10_000
"""How many events of a group the first level remembers at most: a count can ask for no more."""

_TOO_FEW: Final = "is not for counts, which take gte or gt; too few events are what `kind: heartbeat` tells of"


def _shown(bound: float) -> str:
    return f"{bound:.15g}"


class Bounds(BaseModel):
    """What a threshold's measure is compared with."""

    model_config = CONFIG

    gte: Number | None = None
    """At least."""
    gt: Number | None = None
    """More than."""
    lte: Number | None = None
    """At most (not for counts)."""
    lt: Number | None = None
    """Less than (not for counts)."""
    field: FieldName | None = None
    """What is measured; not for event_count. Sums, averages and percentiles are of a label that holds numbers."""
    percentile: Number | None = None
    """Which percentile, for value_percentile: above 0, at most 100."""

    def count(self, draft: Draft) -> int:
        """How many it takes; 1 after a complaint."""
        said = self._said()
        for name in said:
            if name in ("lte", "lt"):
                draft.complain(("condition", name), _TOO_FEW, key=True)
        said = {name: bound for name, bound in said.items() if name in ("gte", "gt")}
        if len(said) == 2:
            draft.complain(("condition", "gt"), "says the same as `gte`: one of them is enough", key=True)
        if not self._said():
            draft.complain(("condition",), "has no bound: say `gte: 3`, or `gt: 2`")
        for name, bound in said.items():
            at_least = bound if name == "gte" else bound + 1
            if not float(bound).is_integer():
                draft.complain(
                    ("condition", name), f"must be a whole number, because it is a count; it is {_shown(bound)}"
                )
            elif at_least < 1:
                draft.complain(("condition", name), f"holds without any event: {name} {_shown(bound)}")
            elif at_least > REMEMBERED:
                draft.complain(("condition", name), f"is more than a group remembers, which is {REMEMBERED} events")
            else:
                return int(at_least)
        return 1

    def between(self, draft: Draft) -> Callable[[float], bool]:
        """The test of a measure that is no count."""
        said = self._said()
        low = {name: said[name] for name in ("gte", "gt") if name in said}
        high = {name: said[name] for name in ("lte", "lt") if name in said}
        if not said:
            draft.complain(("condition",), "has no bound: say gte, gt, lte or lt")
        for both in (low, high):
            if len(both) == 2:
                one, other = both
                draft.complain(("condition", other), f"says the same as `{one}`: one of them is enough", key=True)
        for name, bound in high.items():
            for other, least in low.items():
                if bound < least or (bound == least and (name, other) != ("lte", "gte")):
                    draft.complain(
                        ("condition", name), f"leaves no value: {other} {_shown(least)}, {name} {_shown(bound)}"
                    )
        gte, gt = low.get("gte", -math.inf), low.get("gt", -math.inf)
        lte, lt = high.get("lte", math.inf), high.get("lt", math.inf)
        return lambda value: gte <= value <= lte and gt < value < lt

    def _said(self) -> dict[str, float]:
        """The bounds that are said, by name."""
        bounds = {"gte": self.gte, "gt": self.gt, "lte": self.lte, "lt": self.lt}
        return {name: bound for name, bound in bounds.items() if bound is not None}


class ThresholdRule(RaisingRule):
    """Raise an alert when a measure of the events within a time meets a condition."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": HEARD}
    figures = ("count", "value")

    kind: Literal["threshold"]
    type: Measure
    """event_count: events. value_count: different values of a field. The others: of the numbers in a label."""
    match: Matching
    """The events that count."""
    timespan: Duration
    """Events of this time are looked at together."""
    condition: Bounds
    """When it fires: one bound, or two between which the measure must be."""
    resolve_after: Duration | None = None
    """How long the condition has to be over before the alert is resolved; no time if it is not said."""

    def built(self, draft: Draft) -> Built:
        """What is measured, and when it is too much."""
        counts = self.type in ("event_count", "value_count")
        self._check_measured(draft)
        at_least = self.condition.count(draft) if counts else 0
        holds = (lambda value: value >= at_least) if counts else self.condition.between(draft)
        ask = replace(
            self.grouped(draft.ask("match"), draft),
            measures=self.condition.field or "",
            as_number=not counts,
        )
        says = Threshold(
            rule=self.id,
            key=draft.key,
            raises=self.raised(draft),
            group_by=tuple(self.group_by),
            shadow=self.shadow,
            measure=self.type,
            timespan=self.timespan,
            holds=holds,
            at_least=at_least,
            percentile=self.condition.percentile or 0.0,
            resolve_after=self.resolve_after or 0,
        )
        return Built(says, (ask,))

    def _check_measured(self, draft: Draft) -> None:
        field, percentile = self.condition.field, self.condition.percentile
        at = ("condition", "field")
        match self.type, field:
            case "event_count", str():
                draft.complain(
                    at, "is not for event_count, which counts events; value_count counts their values", key=True
                )
            case "event_count", None:
                pass
            case _, None:
                draft.complain(at[:1], f"field: is required for {self.type}: what is measured, such as labels.user")
            case "value_count", str() if field in self.group_by:
                draft.complain(at, f"is one of group_by, so every group has one value of it only: {field}")
            case "value_count", str() if field in NOT_OF_A_RESOLUTION and draft.ask("match").resolved:
                draft.complain(at, not_heard_of(field))
            case "value_count", _:
                pass
            case _, str() if not field.startswith(LABELS):
                draft.complain(at, f"must be a label with numbers, such as labels.duration; it is {shown(field)}")
        if self.type == "value_percentile":
            if percentile is None:
                draft.complain(at[:1], "percentile: is required for value_percentile, such as 95")
            elif not 0 < percentile <= 100:
                draft.complain(
                    ("condition", "percentile"), f"must be above 0 and at most 100, not {_shown(percentile)}"
                )
        elif percentile is not None:
            draft.complain(("condition", "percentile"), f"is for value_percentile only, not for {self.type}", key=True)
