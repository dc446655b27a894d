"""What is odd about rules that are right: rules, tables and alerts without effect, and windows that are over.

Nothing here stops anybody; `opsbridge rules check` shows it. Which time it is, is said by the caller.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Final

from opsbridge.core.event import DEFAULT_SIGNIFICANCE, INFORMATIONAL
from opsbridge.core.rulebook import Derivation
from opsbridge.documents import Fault, Finding, Spot, dotted
from opsbridge.documents.text import Loc
from opsbridge.rules.load import RuleFiles, placed
from opsbridge.rules.rule import Enrich, Kind, Rule

_FIRST_DECIDES: Final[tuple[Kind, ...]] = ("filter", "classify", "enrich", "dedup", "respond")
"""Kinds of which the first rule that matches wins."""


def lint(files: RuleFiles, now: int | None = None) -> list[Finding]:
    """Warnings about these rules, with their places; about windows only if `now` (milliseconds since 1970) is given."""
    faults = [*_without_effect(files), *_unused_tables(files), *_raised_for_nobody(files)]
    if now is not None:
        faults += _over(files, now)
    return placed(faults)


def _warning(spot: Spot, rule: str, loc: Loc, message: str, *, related: Spot | None = None, key: bool = False) -> Fault:
    subject = ": ".join(filter(None, (f"rule {rule}", dotted(loc))))
    return Fault(Spot(spot.document, (*spot.loc, *loc), key), subject, message, "warning", related)


def _without_effect(files: RuleFiles) -> Iterator[Fault]:
    """Rules that never get their turn, because an earlier one of their kind asks for the same."""
    first: dict[tuple[str, str], Rule] = {}
    labels: dict[tuple[str, str], set[str]] = {}
    for rule in files.rules:
        if rule.kind not in _FIRST_DECIDES or rule.shadow:
            continue
        asked = rule.kind, json.dumps(_said(rule).get("match"), sort_keys=True)
        earlier = first.setdefault(asked, rule)
        if isinstance(rule.says, Enrich):
            before = labels.setdefault(asked, set())
            without = before.issuperset(rule.says.labels)
            before.update(rule.says.labels)
        else:
            without = earlier is not rule
        if earlier is not rule and without:
            message = "has no effect: an earlier rule of this kind asks for the same, at"
            spot = files.spots[rule.id]
            yield _warning(spot, rule.id, ("match",), message, related=files.spots[earlier.id], key=True)


def _unused_tables(files: RuleFiles) -> Iterator[Fault]:
    documents = dict.fromkeys(spot.document for spot in files.spots.values())
    used = {
        (files.spots[rule.id].document, value.get("table"))
        for rule in files.rules
        if rule.kind == "enrich"
        for value in _mappings(_mapping(_said(rule).get("set")).values())
    }
    for document in documents:
        for name in _mapping(_mapping(document.value).get("tables")):
            if (document, name) not in used:
                spot = Spot(document, ("tables", name), key=True)
                yield Fault(spot, f"tables.{name}", "is used by no rule of this file", "warning")


def _raised_for_nobody(files: RuleFiles) -> Iterator[Fault]:
    """Alerts that are raised and, being informational, are none."""
    for rule in files.rules:
        if isinstance(rule.says, Derivation) and DEFAULT_SIGNIFICANCE[rule.says.raises.severity] == INFORMATIONAL:
            message = "is informational, so it is logged only and never correlated; `warning` and above are alerts"
            yield _warning(files.spots[rule.id], rule.id, ("raise", "severity"), message)


def _over(files: RuleFiles, now: int) -> Iterator[Fault]:
    """Windows of maintenance that will not come again."""
    for rule in files.rules:
        for index, window in enumerate(_mappings(_said(rule).get("windows"))):
            end = window.get("to")
            if isinstance(end, int) and end <= now:
                message = "this window is over; the rule can go when all of its windows are"
                yield _warning(files.spots[rule.id], rule.id, ("windows", index, "to"), message)


def _said(rule: Rule) -> dict[str, object]:
    return _mapping(json.loads(rule.text))


def _mapping(said: object) -> dict[str, object]:
    return said if isinstance(said, dict) else {}


def _mappings(said: object) -> Iterator[dict[str, object]]:
    yield from (each for each in (said if isinstance(said, Iterable) else ()) if isinstance(each, dict))
