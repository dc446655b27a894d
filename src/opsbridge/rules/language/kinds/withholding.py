"""Which alerts are withheld for a time: hold, flapping, maintenance and inhibit.

All but inhibit are gates of the first level, which begin and end with the time; inhibit needs to know of other alerts.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, StringConstraints

from opsbridge.core.calendar import AnyOf, ServiceTime, Span
from opsbridge.core.rulebook import SOURCE, TARGET, Flapping, Hold, Inhibition, Maintenance
from opsbridge.documents.text import Loc
from opsbridge.documents.weekly import WINDOWS, in_order, minutes, time_zone
from opsbridge.rules.language.fields import CONFIG, AnyFields, Duration, Matching, Moment, entries, whole
from opsbridge.rules.language.kinds.shape import Built, Draft, MatchingRule, TrialRule
from opsbridge.rules.language.scopes import CIS, FIRING, NOT_CIS, Scope
from opsbridge.rules.rule import Planned


class HoldRule(MatchingRule):
    """An alert counts only when it has fired for a while."""

    kind: Literal["hold"]
    for_: Duration = Field(alias="for")
    """How long it must fire, such as 2m."""

    def built(self, draft: Draft) -> Built:
        """How long an alert must fire."""
        return Built(Hold(rule=self.id, shadow=self.shadow, for_ms=self.for_), (draft.ask("match"),))


class FlappingRule(MatchingRule):
    """An alert that opens and resolves again and again is withheld until it calms down."""

    kind: Literal["flapping"]
    within: Duration
    """In what time changes are counted: openings and resolutions."""
    enter: Annotated[int, *whole(2, 1000)]
    """It flaps from so many changes on."""
    leave: Annotated[int, *whole(0, 999)]
    """It has calmed down at so many or fewer."""

    def built(self, draft: Draft) -> Built:
        """From how many changes on an alert flaps."""
        if self.leave >= self.enter:
            draft.complain(("leave",), f"must be less than enter ({self.enter}), not the number {self.leave}")
        gate = Flapping(rule=self.id, shadow=self.shadow, enter=self.enter, leave=self.leave, within=self.within)
        return Built(gate, (draft.ask("match"),))


class Window(BaseModel):
    """One window: from a time to a time, or every week."""

    model_config = CONFIG

    from_: Moment | None = Field(default=None, alias="from")
    """Its beginning, with a time zone: 2026-03-01T22:00:00+01:00."""
    to: Moment | None = None
    """Its end."""
    weekly: Annotated[str, StringConstraints(pattern=WINDOWS)] | None = None
    """Days and times, such as 'Sat-Sun 22:00-04:00'."""
    zone: str | None = None
    """The IANA time zone of `weekly`, such as Europe/Berlin; UTC if it is not said."""

    def built(self, loc: Loc, draft: Draft) -> Span | ServiceTime | None:
        """The window; None if there were complaints, which go to `loc`."""
        once, weekly = (self.from_, self.to), (self.weekly, self.zone)
        if (once == (None, None)) == (self.weekly is None) or (once != (None, None) and weekly != (None, None)):
            draft.complain(loc, "must say either `from` and `to`, or `weekly` (and its `zone`)")
            return None
        if self.weekly is None:
            missing = [name for name, time in zip(("from", "to"), once, strict=True) if time is None]
            if self.from_ is None or self.to is None:
                draft.complain(loc, f"{missing[0]}: is required")
                return None
            if self.to <= self.from_:
                draft.complain((*loc, "to"), "must be later than `from`")
            return Span(self.from_, self.to)
        try:
            spans = in_order(minutes(self.weekly))
        except ValueError as empty:
            draft.complain((*loc, "weekly"), str(empty))
            spans = ()
        try:
            return ServiceTime(spans, time_zone(self.zone or "UTC"))
        except ValueError as unknown:
            draft.complain((*loc, "zone"), str(unknown))
            return None


class MaintenanceRule(TrialRule):
    """Withhold the alerts that begin in planned time."""

    matches: ClassVar[Mapping[str, Scope]] = {"cis": CIS, "match": NOT_CIS}

    kind: Literal["maintenance"]
    cis: Matching | None = None
    """Which CIs, by ci and ci.*; all if it is not said."""
    match: Matching | None = None
    """Which events, by fields that are not the CI's."""
    inherit: bool = True
    """Also the CIs that cannot do without these."""
    windows: Annotated[list[Window], entries(1, "windows")] | None = None
    """When: each window is one time, or every week."""
    changes: bool = False
    """Instead of windows: while a change record that suppresses (topic context) names the CI."""
    remind: Duration | None = None
    """So long before a window ends, operators are reminded."""

    def built(self, draft: Draft) -> Built:
        """Windows, and the CIs and events that they are for."""
        if self.changes == (self.windows is not None):
            draft.complain((), "must say either `windows`, or `changes: true`")
        if self.cis is None and self.match is None and not self.changes:
            draft.complain((), "says neither for which CIs (`cis`) nor for which events (`match`) it is")
        if "inherit" in self.model_fields_set and self.cis is None:
            draft.complain(("inherit",), "says nothing without `cis`: which CIs it is inherited from", key=True)
        if self.changes and "inherit" in self.model_fields_set:
            draft.complain(("inherit",), "says nothing with `changes`: a record names all CIs of its change", key=True)
        windows = [window.built(("windows", index), draft) for index, window in enumerate(self.windows or ())]
        gate = Maintenance(
            rule=self.id,
            shadow=self.shadow,
            windows=AnyOf(tuple(window for window in windows if window is not None)),
            changes=self.changes,
            remind_ms=self.remind or 0,
        )
        return Built(Planned(gate, draft.match("cis"), self.inherit and not self.changes), (draft.ask("match"),))


class InhibitRule(TrialRule):
    """Withhold an alert while another one fires."""

    matches: ClassVar[Mapping[str, Scope]] = {"source": FIRING, "target": FIRING}

    kind: Literal["inhibit"]
    source: Matching
    """The alert that inhibits."""
    target: Matching
    """The alert that is withheld."""
    equal: AnyFields
    """Fields that must have the same value in both; empty: any source of the same part of the topology."""

    def built(self, draft: Draft) -> Built:
        """Which alerts withhold which."""
        equal = tuple(self.equal)
        asks = (
            replace(draft.ask("source"), part=SOURCE, group_by=equal),
            replace(draft.ask("target"), part=TARGET, group_by=equal),
        )
        return Built(Inhibition(rule=self.id, shadow=self.shadow), asks)
