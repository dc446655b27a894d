"""Rules that make alerts of several events or of their absence: heartbeat, threshold, sequence and trend.

From their shapes to what they say; what one field says about another is checked here. `load` calls this for rules whose
fields are right by themselves; how deep a rule stands on others, `loops` finds out afterwards.
"""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from opsbridge.core.event import SEVERITY_NUMBER
from opsbridge.core.rulebook import Heartbeat, Raise, Sequence, Threshold, Trend
from opsbridge.documents import Nearest, shown
from opsbridge.rules.language.asking import NOT_OF_A_RESOLUTION
from opsbridge.rules.language.draft import Built, Draft
from opsbridge.rules.language.shapes import Bounds, HeartbeatRule, RaisingRule, SequenceRule, ThresholdRule, TrendRule
from opsbridge.rules.matching.conditions import LABELS
from opsbridge.rules.rule import Ask

REMEMBERED: Final = 10_000
"""How many events of a group are remembered at most: a count can ask for no more."""

FIGURES: Final[dict[str, tuple[str, ...]]] = {
    "heartbeat": (),
    "sequence": (),
    "threshold": ("count", "value"),
    "trend": ("value", "limit"),
}
"""By kind: what the summary of its alert may name besides `ci` and the fields of group_by."""

_NAMED: Final = re.compile(r"\{([^{}]*)\}|[{}]")


def build_heartbeat(rule: HeartbeatRule, draft: Draft) -> Built:
    """How long a group may be silent."""
    ask = _grouped(rule, draft, draft.ask("match"))
    expect = None if rule.expect is None else draft.match("expect")
    if expect is not None and rule.group_by != ["ci"]:
        draft.complain(("expect",), "needs `group_by: [ci]`: CIs are what can be expected", key=True)
    says = Heartbeat(
        rule=rule.id,
        key=draft.key,
        raises=_raised(rule, draft),
        group_by=tuple(rule.group_by),
        shadow=rule.shadow,
        overdue_after=rule.every + rule.grace,
    )
    return Built(says, (ask,), expect)


def build_threshold(rule: ThresholdRule, draft: Draft) -> Built:
    """What is measured, and when it is too much."""
    counts = rule.type in ("event_count", "value_count")
    _check_measured(rule, draft)
    at_least = _count(rule, draft) if counts else 0
    holds = (lambda value: value >= at_least) if counts else _between(rule, draft)
    ask = replace(
        _grouped(rule, draft, draft.ask("match")),
        measures=rule.condition.field or "",
        as_number=not counts,
    )
    says = Threshold(
        rule=rule.id,
        key=draft.key,
        raises=_raised(rule, draft),
        group_by=tuple(rule.group_by),
        shadow=rule.shadow,
        measure=rule.type,
        timespan=rule.timespan,
        holds=holds,
        at_least=at_least,
        percentile=rule.condition.percentile or 0.0,
        resolve_after=rule.resolve_after or rule.timespan,
    )
    return Built(says, (ask,))


def _check_measured(rule: ThresholdRule, draft: Draft) -> None:
    field, percentile = rule.condition.field, rule.condition.percentile
    at = ("condition", "field")
    match rule.type, field:
        case "event_count", str():
            draft.complain(at, "is not for event_count, which counts events; value_count counts their values", key=True)
        case "event_count", None:
            pass
        case _, None:
            draft.complain(at[:1], f"field: is required for {rule.type}: what is measured, such as labels.user")
        case "value_count", str() if field in rule.group_by:
            draft.complain(at, f"is one of group_by, so every group has one value of it only: {field}")
        case "value_count", str() if field in NOT_OF_A_RESOLUTION and draft.ask("match").resolved:
            draft.complain(at, f"a resolution need not have a {field}; `state: firing` under match hears none")
        case "value_count", _:
            pass
        case _, str() if not field.startswith(LABELS):
            draft.complain(at, f"must be a label with numbers, such as labels.duration; it is {shown(field)}")
    if rule.type == "value_percentile":
        if percentile is None:
            draft.complain(at[:1], "percentile: is required for value_percentile, such as 95")
        elif not 0 < percentile <= 100:
            draft.complain(("condition", "percentile"), f"must be above 0 and at most 100, not {_said(percentile)}")
    elif percentile is not None:
        draft.complain(("condition", "percentile"), f"is for value_percentile only, not for {rule.type}", key=True)


_TOO_FEW: Final = "is not for counts, which take gte or gt; too few events are what `kind: heartbeat` tells of"


def _count(rule: ThresholdRule, draft: Draft) -> int:
    """How many it takes; 1 after a complaint."""
    said = _bounds(rule.condition)
    for name in said:
        if name in ("lte", "lt"):
            draft.complain(("condition", name), _TOO_FEW, key=True)
    said = {name: bound for name, bound in said.items() if name in ("gte", "gt")}
    if len(said) == 2:
        draft.complain(("condition", "gt"), "says the same as `gte`: one of them is enough", key=True)
    if not _bounds(rule.condition):
        draft.complain(("condition",), "has no bound: say `gte: 3`, or `gt: 2`")
    for name, bound in said.items():
        at_least = bound if name == "gte" else bound + 1
        if not float(bound).is_integer():
            draft.complain(("condition", name), f"must be a whole number, because it is a count; it is {_said(bound)}")
        elif at_least < 1:
            draft.complain(("condition", name), f"holds without any event: {name} {_said(bound)}")
        elif at_least > REMEMBERED:
            draft.complain(("condition", name), f"is more than a group remembers, which is {REMEMBERED} events")
        else:
            return int(at_least)
    return 1


def _between(rule: ThresholdRule, draft: Draft) -> Callable[[float], bool]:
    """The test of a measure that is no count."""
    said = _bounds(rule.condition)
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
                draft.complain(("condition", name), f"leaves no value: {other} {_said(least)}, {name} {_said(bound)}")
    gte, gt = low.get("gte", -math.inf), low.get("gt", -math.inf)
    lte, lt = high.get("lte", math.inf), high.get("lt", math.inf)
    return lambda value: gte <= value <= lte and gt < value < lt


def _bounds(said: Bounds) -> dict[str, float]:
    bounds = {"gte": said.gte, "gt": said.gt, "lte": said.lte, "lt": said.lt}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _said(bound: float) -> str:
    return f"{bound:.15g}"


def build_sequence(rule: SequenceRule, draft: Draft) -> Built:
    """What has to come, or not to come."""
    asks = []
    for index, step in enumerate(rule.steps):
        ask = draft.ask("steps", index, "match")
        fields, at = rule.group_by, ("steps", index, "group_by")
        if step.group_by is not None:
            fields = step.group_by
            if len(fields) != len(rule.group_by):
                wanted = f"{len(rule.group_by)}: {', '.join(rule.group_by)}"
                draft.complain(at, f"must have as many fields as the rule's group_by ({wanted}), not {len(fields)}")
            _check_heard(fields, at, ask, draft)
        asks.append(replace(ask, part=index, group_by=tuple(fields)))
    if any(step.group_by is None for step in rule.steps):
        _check_heard(rule.group_by, ("group_by",), next(iter(ask for ask in asks if ask.resolved), asks[0]), draft)
    says = Sequence(
        rule=rule.id,
        key=draft.key,
        raises=_raised(rule, draft),
        group_by=tuple(rule.group_by),
        shadow=rule.shadow,
        steps=len(rule.steps),
        timespan=rule.timespan,
        ordered=rule.type != "temporal",
        missing=rule.type == "missing",
        resolve_after=rule.resolve_after or rule.timespan,
    )
    return Built(says, tuple(asks))


def build_trend(rule: TrendRule, draft: Draft) -> Built:
    """Of which values the line is drawn, and what it must not cross."""
    if not rule.field.startswith(LABELS):
        draft.complain(("field",), f"must be a label with numbers, such as labels.used; it is {shown(rule.field)}")
    ask = replace(_grouped(rule, draft, draft.ask("match")), measures=rule.field, as_number=True)
    says = Trend(
        rule=rule.id,
        key=draft.key,
        raises=_raised(rule, draft),
        group_by=tuple(rule.group_by),
        shadow=rule.shadow,
        limit=rule.limit,
        rising=rule.direction == "rising",
        horizon=rule.crosses_within,
        over=rule.over,
        samples=rule.samples,
    )
    return Built(says, (ask,))


def _grouped(rule: RaisingRule, draft: Draft, ask: Ask) -> Ask:
    _check_heard(rule.group_by, ("group_by",), ask, draft)
    return replace(ask, group_by=tuple(rule.group_by))


def _check_heard(fields: list[str], loc: tuple[str | int, ...], ask: Ask, draft: Draft) -> None:
    """Complain about fields that what is heard need not have."""
    for index, field in enumerate(fields):
        if ask.resolved and field in NOT_OF_A_RESOLUTION:
            draft.complain(
                (*loc, index), f"a resolution need not have a {field}; `state: firing` under match hears none"
            )


def _raised(rule: RaisingRule, draft: Draft) -> Raise:
    """The alert; what its texts name must be there."""
    said, group = rule.raise_, rule.group_by
    ci, ci_at = said.ci, 0
    if not ci and "ci" in group:
        ci_at = group.index("ci")
    elif not ci:
        draft.complain(("raise",), "ci: is required, because `ci` is not in group_by: an id, or {FIELD} of group_by")
    elif "{" in ci or "}" in ci:
        named = ci[1:-1]
        if f"{{{named}}}" == ci and named in group:
            ci, ci_at = "", group.index(named)
        else:
            fields = " or ".join(f"{{{field}}}" for field in group)
            draft.complain(("raise", "ci"), f"must be the id of a CI, or {fields}; it is {shown(said.ci)}")
    names = [*dict.fromkeys(("ci", *group, *FIGURES[rule.kind]))]
    for found in _NAMED.finditer(said.summary):
        if found[1] is None:
            draft.complain(("raise", "summary"), "has a { or } that belongs to no {name}; names stand in braces")
            break
        if found[1] not in names:
            hint = Nearest(names).hint(found[1]) or f"; known are {', '.join(names)}"
            draft.complain(("raise", "summary"), f"{shown(found[0])} is not known here{hint}")
    return Raise(said.class_, SEVERITY_NUMBER[said.severity], said.summary, ci, ci_at)
