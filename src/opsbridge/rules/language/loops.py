"""Rules that hear what other rules raise: how deep each stands on others, and circles, which are refused.

A derived event is known in part: its class, severity, source, often its CI, and that it has no labels but its group's
and those that `enrich` adds. A rule hears it unless one of these says no: alerts that feed themselves would never end.
Called by the loader, once all rules of all files are built.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from opsbridge.core.rulebook import Derivation
from opsbridge.rules.matching.conditions import LABELS, Value
from opsbridge.rules.rule import Ask, Enrich, Rule

DERIVED: Final = "opsbridge"
"""The source of derived events."""

Complaint = Callable[[str, str], None]
"""Told the id of a rule, and what is wrong with what it raises."""

_Hears = Mapping[str, Sequence[str]]
"""Rule to the rules whose alerts it hears, in the order of the files."""


def with_depths(rules: Iterable[Rule], complain: Complaint) -> tuple[Rule, ...]:
    """The rules, each derivation with its depth; of every circle, the first rule is complained about."""
    rules = tuple(rules)
    raising = {rule.id: rule.says for rule in rules if isinstance(rule.says, Derivation)}
    hears = _hears([rule for rule in rules if rule.id in raising], raising, _enriched(rules))
    depths: dict[str, int] = {}
    left = dict.fromkeys(raising)
    while left:
        ready = [name for name in left if not any(other in left for other in hears[name])]
        if not ready:
            ready = _circle(left, hears)
            complain(ready[0], _told(ready, raising))
        for name in ready:
            depths[name] = 1 + max((depths.get(other, 0) for other in hears[name]), default=-1)
        for name in ready:
            del left[name]
    return tuple(
        replace(rule, says=msgspec.structs.replace(rule.says, depth=depths[rule.id]))
        if isinstance(rule.says, Derivation)
        else rule
        for rule in rules
    )


def _enriched(rules: Iterable[Rule]) -> set[str]:
    """Labels that any event may get."""
    return {LABELS + label for rule in rules if isinstance(rule.says, Enrich) for label in rule.says.labels}


def _hears(hearers: Sequence[Rule], raising: Mapping[str, Derivation], enriched: set[str]) -> _Hears:
    by_class: defaultdict[Value, set[str]] = defaultdict(set)
    any_class: set[str] = set()
    for rule in hearers:
        for ask in rule.asks:
            classes = ask.match.get("class")
            if classes is None or classes.only is None:
                any_class.add(rule.id)
            else:
                for class_ in classes.only:
                    by_class[class_].add(rule.id)
    asks = {rule.id: rule.asks for rule in hearers}
    hears: dict[str, list[str]] = {rule.id: [] for rule in hearers}
    for name, says in raising.items():
        unknown = enriched.union(says.group_by)
        for hearer in any_class | by_class.get(says.raises.class_, set()):
            if any(_may_hear(ask, says, unknown) for ask in asks[hearer]):
                hears[hearer].append(name)
    return hears


def _may_hear(ask: Ask, says: Derivation, unknown: set[str]) -> bool:
    """Whether an event that is raised may match: what is not known of it may be anything."""
    raises = says.raises
    known: dict[str, Value] = {"class": raises.class_, "severity": raises.severity, "source": DERIVED}
    if raises.ci:
        known["ci"] = raises.ci
    for field in ask.match:
        if field.startswith(LABELS) and field not in unknown:
            known[field] = None
    return all(condition.holds(known[field]) for field, condition in ask.match.items() if field in known)


def _circle(left: Iterable[str], hears: _Hears) -> list[str]:
    """A circle among these, each of which hears another of them or itself: every rule is heard by the next one."""
    left = tuple(left)
    way = [left[0]]
    while True:
        here = way[-1]
        heard = [other for other in hears[here] if other in left]
        after = here if here in heard else heard[0]
        if after in way:
            circle = way[way.index(after) :][::-1]
            first = circle.index(min(circle, key=left.index))
            return circle[first:] + circle[:first]
        way.append(after)


def _told(circle: Sequence[str], raising: Mapping[str, Derivation]) -> str:
    classes = [raising[name].raises.class_ for name in circle]
    last = classes[-1] if classes[-1].isidentifier() else json.dumps(classes[-1])
    if len(circle) == 1:
        return f"{_FEED}: {classes[0]}, which it hears itself; say `class: {{not: {last}}}` in its match"
    hearers = [*circle[1:], circle[0]]
    chain = " and raises ".join(f"{each}, which {by} hears" for each, by in zip(classes, hearers, strict=True))
    return f"{_FEED}: {chain} again; say `class: {{not: {last}}}` in the match of {circle[0]}"


_FEED: Final = "raises alerts that feed themselves"
