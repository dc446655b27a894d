"""Rules that need no memory: filter, classify, enrich, dedup and respond, from their shapes to what they say.

What one field says about another is checked here; `load` calls this for rules whose fields are right by themselves.
"""

from typing import Final

from opsbridge.core.event import SEVERITY_NUMBER, SIGNIFICANCES, Verdict
from opsbridge.core.rulebook import Answer
from opsbridge.documents import Nearest
from opsbridge.rules.language.asking import NOT_OF_A_RESOLUTION
from opsbridge.rules.language.draft import Built, Draft
from opsbridge.rules.language.shapes import ClassifyRule, DedupRule, EnrichRule, FilterRule, Looked, RespondRule
from opsbridge.rules.matching.conditions import LABELS, Complain
from opsbridge.rules.rule import Constant, Enrich, FromField, FromTable, Identify, Keep, Respond

_MUST_HAVE: Final = "cannot be used here: an alert's resolution must say the same, and need not have one"


def build_filter(rule: FilterRule, draft: Draft) -> Built:
    """Drop, keep or route."""
    asks = (draft.ask("match"),)
    if rule.action == "route":
        if rule.to is None:
            draft.complain((), "to: is required with `action: route`: the name of the route")
        return Built(Verdict(rule.id, route=rule.to or ""), asks)
    if rule.to is not None:
        draft.complain(("to",), f"is only for `action: route`, not for {rule.action}", key=True)
    return Built(Keep() if rule.action == "keep" else Verdict(rule.id, drop=True), asks)


def build_classify(rule: ClassifyRule, draft: Draft) -> Built:
    """Severity, significance or both."""
    severity = None if rule.severity is None else SEVERITY_NUMBER[rule.severity]
    significance = None if rule.significance is None else SIGNIFICANCES.index(rule.significance)
    return Built(Verdict(rule.id, severity=severity, significance=significance), (draft.ask("match"),))


def build_enrich(rule: EnrichRule, draft: Draft) -> Built:
    """Labels and where their values come from."""
    labels: dict[str, Constant | FromField | FromTable] = {}
    for name, value in rule.set.items():
        label = name.removeprefix(LABELS)
        if label == name or not label:
            draft.complain(("set", name), f"only labels can be set; say {LABELS}{label or 'NAME'}", key=True)
        labels[label] = Constant(value) if isinstance(value, str) else _looked_up(value, ("set", name), draft)
    return Built(Enrich(labels), (draft.ask("match"),))


def _looked_up(said: Looked, loc: tuple[str, ...], draft: Draft) -> FromField | FromTable:
    named = {
        name for name, value in (("from", said.from_), ("table", said.table), ("by", said.by)) if value is not None
    }
    if named not in ({"from"}, {"table", "by"}):
        draft.complain(loc, "must say either `from: FIELD`, or `table: NAME` and `by: FIELD`")
    for step, field in (("from", said.from_), ("by", said.by)):
        if field in NOT_OF_A_RESOLUTION:
            draft.complain((*loc, step), f"{field} {_MUST_HAVE}")
    if said.from_ is not None:
        return FromField(said.from_)
    table = said.table or ""
    if said.table is not None and table not in draft.tables:
        known = f"; known are {', '.join(draft.tables)}" if draft.tables else "; the file has no `tables`"
        hint = Nearest(draft.tables).hint(table) or known
        draft.complain((*loc, "table"), f"there is no table {table!r} in this file{hint}")
    return FromTable(draft.tables.get(table, {}), said.by or "")


def build_dedup(rule: DedupRule, draft: Draft) -> Built:
    """The fields that identify an alert."""
    refuse_unsteady(rule.fingerprint, ("fingerprint",), draft.complain)
    return Built(Identify(tuple(rule.fingerprint)), (draft.ask("match"),))


def build_respond(rule: RespondRule, draft: Draft) -> Built:
    """An incident or nothing."""
    return Built(Respond(draft.match("match"), Answer(rule.id, rule.response)))


def refuse_unsteady(fields: list[str], loc: tuple[str | int, ...], complain: Complain) -> None:
    """Complain about fields that a resolution need not have."""
    for index, field in enumerate(fields):
        if field in NOT_OF_A_RESOLUTION:
            complain((*loc, index), f"{field} {_MUST_HAVE}")
