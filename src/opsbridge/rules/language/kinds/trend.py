"""The kind trend: an alert when a value, going on as it has, will cross its limit soon.

Values are the numbers in a label; the line through them is drawn in the core.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from opsbridge.core.rulebook import Trend
from opsbridge.documents import shown
from opsbridge.rules.language.fields import Duration, FieldName, FieldNames, Matching, Number, whole
from opsbridge.rules.language.kinds.raising import RaisingRule
from opsbridge.rules.language.kinds.shape import Built, Draft
from opsbridge.rules.language.scopes import HEARD, Scope
from opsbridge.rules.matching.conditions import LABELS


class TrendRule(RaisingRule):
    """Raise an alert when a value, going on as it has, will cross its limit soon."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": HEARD}
    figures = ("value", "limit")

    kind: Literal["trend"]
    match: Matching
    """The events that carry the value."""
    field: FieldName
    """The label with the value."""
    limit: Number
    """What it should not cross."""
    direction: Literal["rising", "falling"] = "rising"
    """From which side it would cross."""
    crosses_within: Duration
    """How soon a crossing matters."""
    over: Duration
    """The time whose values the line is drawn of."""
    samples: Annotated[int, *whole(3, 10_000)] = 3
    """How many values it takes at least."""
    group_by: FieldNames = Field(default=["ci", "class"])
    """Events with the same values in these fields are looked at together."""

    def built(self, draft: Draft) -> Built:
        """Of which values the line is drawn, and what it must not cross."""
        if not self.field.startswith(LABELS):
            draft.complain(("field",), f"must be a label with numbers, such as labels.used; it is {shown(self.field)}")
        ask = replace(self.grouped(draft.ask("match"), draft), measures=self.field, as_number=True)
        says = Trend(
            rule=self.id,
            key=draft.key,
            raises=self.raised(draft),
            group_by=tuple(self.group_by),
            shadow=self.shadow,
            limit=self.limit,
            rising=self.direction == "rising",
            horizon=self.crosses_within,
            over=self.over,
            samples=self.samples,
        )
        return Built(says, (ask,))
