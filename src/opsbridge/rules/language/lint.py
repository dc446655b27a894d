"""What is odd about rules that are right: rules, tables and alerts without effect, and windows that are over.

Nothing here stops anybody; `opsbridge rules check` shows it. Which time it is, is said by the caller.
"""

import json
from collections.abc import Iterator
from typing import Final

from opsbridge.core.event import DEFAULT_SIGNIFICANCE, INFORMATIONAL
from opsbridge.core.rulebook import Derivation, Handling
from opsbridge.documents import Fault, Finding, Spot
from opsbridge.rules.known_errors import KnownErrorFiles
from opsbridge.rules.language.lint_responses import never_asked, odd_automation, unknown_known_errors
from opsbridge.rules.language.said import mapping, mappings, said_of, warning
from opsbridge.rules.load import RuleFiles, placed
from opsbridge.rules.rule import Enrich, Kind, Respond, Rule

_FIRST_DECIDES: Final[tuple[Kind, ...]] = ("filter", "classify", "enrich", "dedup", "priority", "respond")
"""Kinds of which the first rule that matches wins; of respond, it does among those that say incident or none."""


def lint(files: RuleFiles, now: int | None = None, known_errors: KnownErrorFiles | None = None) -> list[Finding]:
    """Warnings about these rules, with their places.

    About windows only if `now` (milliseconds since 1970) is given, about names of known errors only if those are.
    """
    faults = [*_without_effect(files), *_unused_tables(files), *_raised_for_nobody(files)]
    faults += [*never_asked(files), *odd_automation(files)]
    if known_errors is not None:
        faults += unknown_known_errors(files, {each.error.id for each in known_errors.errors})
    if now is not None:
        faults += _over(files, now)
    return placed(faults)


def _without_effect(files: RuleFiles) -> Iterator[Fault]:
    """Rules that never get their turn, because an earlier one of their kind asks for the same."""
    first: dict[tuple[str, str], Rule] = {}
    labels: dict[tuple[str, str], set[str]] = {}
    for rule in files.rules:
        if rule.kind not in _FIRST_DECIDES or rule.shadow or not _decides_first(rule):
            continue
        asked = rule.kind, json.dumps(said_of(rule).get("match"), sort_keys=True)
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
            yield warning(spot, rule.id, ("match",), message, related=files.spots[earlier.id], key=True)


def _decides_first(rule: Rule) -> bool:
    """Whether it keeps later rules of its kind from being heard, if it matches."""
    return not isinstance(rule.says, Respond) or isinstance(rule.says.answer, Handling)


def _unused_tables(files: RuleFiles) -> Iterator[Fault]:
    documents = dict.fromkeys(spot.document for spot in files.spots.values())
    used = {
        (files.spots[rule.id].document, value.get("table"))
        for rule in files.rules
        if rule.kind == "enrich"
        for value in mappings(mapping(said_of(rule).get("set")).values())
    }
    for document in documents:
        for name in mapping(mapping(document.value).get("tables")):
            if (document, name) not in used:
                spot = Spot(document, ("tables", name), key=True)
                yield Fault(spot, f"tables.{name}", "is used by no rule of this file", "warning")


def _raised_for_nobody(files: RuleFiles) -> Iterator[Fault]:
    """Alerts that are raised and, being informational, are none."""
    for rule in files.rules:
        if isinstance(rule.says, Derivation) and DEFAULT_SIGNIFICANCE[rule.says.raises.severity] == INFORMATIONAL:
            message = "is informational, so it is logged only and never correlated; `warning` and above are alerts"
            yield warning(files.spots[rule.id], rule.id, ("raise", "severity"), message)


def _over(files: RuleFiles, now: int) -> Iterator[Fault]:
    """Windows of maintenance that will not come again."""
    for rule in files.rules:
        for index, window in enumerate(mappings(said_of(rule).get("windows"))):
            end = window.get("to")
            if isinstance(end, int) and end <= now:
                message = "this window is over; the rule can go when all of its windows are"
                yield warning(files.spots[rule.id], rule.id, ("windows", index, "to"), message)
