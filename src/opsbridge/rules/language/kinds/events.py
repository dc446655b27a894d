"""What is said of each event by itself: enrich and dedup prepare it, filter and classify decide about it.

These need no memory. What prepares an event must come out the same for its resolution, so it cannot stand on what a
resolution need not have; decisions are about firing events only.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from opsbridge.core.event import SEVERITY_NUMBER, SIGNIFICANCES, Verdict
from opsbridge.documents.text import Loc
from opsbridge.rules.language.fields import CONFIG, FieldName, FieldNames, Matching, Severity, Slug, entries
from opsbridge.rules.language.kinds.shape import NO_TRIAL, Built, Draft, MatchingRule, RuleModel
from opsbridge.rules.language.scopes import BOTH, NOT_OF_A_RESOLUTION, Scope
from opsbridge.rules.matching.conditions import LABELS, known_instead
from opsbridge.rules.rule import Constant, Enrich, FromField, FromTable, Identify, Keep


class Looked(BaseModel):
    """Where a label's value comes from."""

    model_config = CONFIG

    from_: FieldName | None = Field(default=None, alias="from")
    """The field whose value the label gets, such as ci.owner."""
    table: Slug | None = None
    """A table of this file, under `tables`."""
    by: FieldName | None = None
    """The field whose value is looked up in the table."""

    def built(self, loc: Loc, draft: Draft) -> FromField | FromTable:
        """Where the value comes from; complaints go to `loc`."""
        parts = (("from", self.from_), ("table", self.table), ("by", self.by))
        if {name for name, value in parts if value is not None} not in ({"from"}, {"table", "by"}):
            draft.complain(loc, "must say either `from: FIELD`, or `table: NAME` and `by: FIELD`")
        _refuse_unsteady({(*loc, "from"): self.from_, (*loc, "by"): self.by}, draft)
        if self.from_ is not None:
            return FromField(self.from_)
        table = self.table or ""
        if self.table is not None and table not in draft.tables:
            hint = known_instead(table, draft.tables) if draft.tables else "; the file has no `tables`"
            draft.complain((*loc, "table"), f"there is no table {table!r} in this file{hint}")
        return FromTable(draft.tables.get(table, {}), self.by or "")


_TEXT, _LOOKED_UP = "<text>", "<looked up>"
FORMS: Final = frozenset({_TEXT, _LOOKED_UP})
"""Steps in the place of a pydantic error that are none in the file: in which of two forms something is said."""


def _form(value: object) -> str:
    return _LOOKED_UP if isinstance(value, dict | Looked) else _TEXT


Setting = Annotated[Annotated[str, Tag(_TEXT)] | Annotated[Looked, Tag(_LOOKED_UP)], Discriminator(_form)]
"""A label's new value."""


def _refuse_unsteady(named: Mapping[Loc, str | None], draft: Draft) -> None:
    """Complain about fields, by their places, that a resolution need not have."""
    for loc, field in named.items():
        if field in NOT_OF_A_RESOLUTION:
            must = "an alert's resolution must say the same, and need not have one"
            draft.complain(loc, f"{field} cannot be used here: {must}")


class _PreparingRule(RuleModel):
    """What is asked of firing events and of resolutions, with the same answer."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": BOTH}
    not_here: ClassVar[Mapping[str, str]] = {"shadow": NO_TRIAL}

    match: Matching
    """Which events; not by severity and summary, which a resolution need not have."""


class EnrichRule(_PreparingRule):
    """Add labels; the first matching rule that sets a label wins."""

    kind: Literal["enrich"]
    set: Annotated[dict[str, Setting], entries(1, "labels")]
    """`labels.NAME` to a text, to `{from: FIELD}`, or to `{table: NAME, by: FIELD}`."""

    def built(self, draft: Draft) -> Built:
        """Labels and where their values come from."""
        labels: dict[str, Constant | FromField | FromTable] = {}
        for name, value in self.set.items():
            label = name.removeprefix(LABELS)
            if label == name or not label:
                draft.complain(("set", name), f"only labels can be set; say {LABELS}{label or 'NAME'}", key=True)
            labels[label] = Constant(value) if isinstance(value, str) else value.built(("set", name), draft)
        return Built(Enrich(labels), (draft.ask("match"),))


class DedupRule(_PreparingRule):
    """Say which fields identify an alert; the first matching rule wins."""

    kind: Literal["dedup"]
    fingerprint: FieldNames
    """Reports with the same values in these fields are about one alert."""

    def built(self, draft: Draft) -> Built:
        """The fields that identify an alert."""
        _refuse_unsteady({("fingerprint", index): field for index, field in enumerate(self.fingerprint)}, draft)
        if "ci" not in self.fingerprint:
            draft.complain(("fingerprint",), "must have `ci` among its fields: an alert is about one CI")
        return Built(Identify(tuple(self.fingerprint)), (draft.ask("match"),))


class FilterRule(MatchingRule):
    """Withhold events, let them pass whatever later filters say, or send them elsewhere; the first match decides."""

    kind: Literal["filter"]
    action: Literal["drop", "keep", "route"]
    """drop: withhold it. keep: let it pass whatever later filters say. route: send it to `to` instead."""
    to: Slug | None = None
    """With `action: route`: the name of the route."""

    def built(self, draft: Draft) -> Built:
        """Drop, keep or route."""
        asks = (draft.ask("match"),)
        if self.action == "route":
            if self.to is None:
                draft.complain((), "to: is required with `action: route`: the name of the route")
            return Built(Verdict(self.id, route=self.to or ""), asks)
        if self.to is not None:
            draft.complain(("to",), f"is only for `action: route`, not for {self.action}", key=True)
        return Built(Keep() if self.action == "keep" else Verdict(self.id, drop=True), asks)


class ClassifyRule(MatchingRule):
    """Set severity, significance or both; the first matching rule wins."""

    kind: Literal["classify"]
    severity: Severity | None = None
    """Replaces the event's severity."""
    significance: Literal["informational", "warning", "exception"] | None = None
    """ITIL's decision: informational events are logged and go no further."""

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if self.severity is None and self.significance is None:
            raise PydanticCustomError("sets_nothing", "sets neither severity nor significance")
        return self

    def built(self, draft: Draft) -> Built:
        """Severity, significance or both."""
        severity = None if self.severity is None else SEVERITY_NUMBER[self.severity]
        significance = None if self.significance is None else SIGNIFICANCES.index(self.significance)
        return Built(Verdict(self.id, severity=severity, significance=significance), (draft.ask("match"),))
