"""Rules that withhold alerts for a time: hold, flapping, maintenance and inhibit, from their shapes to what they say.

What one field says about another is checked here; `load` calls this for rules whose fields are right by themselves.
"""

from dataclasses import replace

from opsbridge.core.calendar import AnyOf, ServiceTime, Span
from opsbridge.core.rulebook import SOURCE, TARGET, Flapping, Hold, Inhibition, Maintenance
from opsbridge.documents.weekly import in_order, minutes, time_zone
from opsbridge.rules.language.draft import Built, Draft
from opsbridge.rules.language.shapes import FlappingRule, HoldRule, InhibitRule, MaintenanceRule, Window
from opsbridge.rules.rule import Planned


def build_hold(rule: HoldRule, draft: Draft) -> Built:
    """How long an alert must fire."""
    return Built(Hold(rule=rule.id, shadow=rule.shadow, for_ms=rule.for_), (draft.ask("match"),))


def build_flapping(rule: FlappingRule, draft: Draft) -> Built:
    """From how many changes on an alert flaps."""
    if rule.leave >= rule.enter:
        draft.complain(("leave",), f"must be less than enter ({rule.enter}), not the number {rule.leave}")
    gate = Flapping(rule=rule.id, shadow=rule.shadow, enter=rule.enter, leave=rule.leave, within=rule.within)
    return Built(gate, (draft.ask("match"),))


def build_maintenance(rule: MaintenanceRule, draft: Draft) -> Built:
    """Windows, and the CIs and events that they are for."""
    if rule.cis is None and rule.match is None:
        draft.complain((), "says neither for which CIs (`cis`) nor for which events (`match`) it is")
    if "inherit" in rule.model_fields_set and rule.cis is None:
        draft.complain(("inherit",), "says nothing without `cis`: which CIs it is inherited from", key=True)
    windows = [_window(window, ("windows", index), draft) for index, window in enumerate(rule.windows)]
    gate = Maintenance(
        rule=rule.id,
        shadow=rule.shadow,
        windows=AnyOf(tuple(window for window in windows if window is not None)),
        remind_ms=rule.remind or 0,
    )
    return Built(Planned(gate, draft.match("cis"), rule.inherit), (draft.ask("match"),))


def _window(said: Window, loc: tuple[str | int, ...], draft: Draft) -> Span | ServiceTime | None:
    once, weekly = (said.from_, said.to), (said.weekly, said.zone)
    if (once == (None, None)) == (said.weekly is None) or (once != (None, None) and weekly != (None, None)):
        draft.complain(loc, "must say either `from` and `to`, or `weekly` (and its `zone`)")
        return None
    if said.weekly is None:
        missing = [name for name, time in zip(("from", "to"), once, strict=True) if time is None]
        if said.from_ is None or said.to is None:
            draft.complain(loc, f"{missing[0]}: is required")
            return None
        if said.to <= said.from_:
            draft.complain((*loc, "to"), "must be later than `from`")
        return Span(said.from_, said.to)
    try:
        spans = in_order(minutes(said.weekly))
    except ValueError as empty:
        draft.complain((*loc, "weekly"), str(empty))
        spans = ()
    try:
        return ServiceTime(spans, time_zone(said.zone or "UTC"))
    except ValueError as unknown:
        draft.complain((*loc, "zone"), str(unknown))
        return None


def build_inhibit(rule: InhibitRule, draft: Draft) -> Built:
    """Which alerts withhold which."""
    equal = tuple(rule.equal)
    asks = (
        replace(draft.ask("source"), part=SOURCE, group_by=equal),
        replace(draft.ask("target"), part=TARGET, group_by=equal),
    )
    return Built(Inhibition(rule=rule.id, shadow=rule.shadow), asks)
