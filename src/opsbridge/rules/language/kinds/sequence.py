"""The kind sequence: an alert when events of all steps come within a time, or when the last step does not come.

Steps may say the same in other fields; each then has its own group_by, as long as the rule's.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel

from opsbridge.core.rulebook import Sequence
from opsbridge.rules.language.fields import CONFIG, Duration, FieldNames, Matching, entries
from opsbridge.rules.language.kinds.raising import RaisingRule, check_heard
from opsbridge.rules.language.kinds.shape import Built, Draft
from opsbridge.rules.language.scopes import HEARD, Scope


class Step(BaseModel):
    """One step of a sequence."""

    model_config = CONFIG

    match: Matching
    """The events of this step."""
    group_by: FieldNames | None = None
    """If this step's events say the same in other fields: these, in the order of the rule's."""


class SequenceRule(RaisingRule):
    """Raise an alert when events of all steps come within a time, or when the last step does not come."""

    matches: ClassVar[Mapping[str, Scope]] = {"steps": HEARD}

    kind: Literal["sequence"]
    type: Literal["temporal", "temporal_ordered", "missing"]
    """temporal: in any order. temporal_ordered: in this order. missing: all but the last, which does not come."""
    steps: Annotated[list[Step], entries(2, "steps", 20)]
    """What belongs together."""
    timespan: Duration
    """From the first step to the last."""
    resolve_after: Duration | None = None
    """After what time the alert is resolved, unless it happens again; the timespan if it is not said."""

    def built(self, draft: Draft) -> Built:
        """What has to come, or not to come."""
        asks = []
        for index, step in enumerate(self.steps):
            ask = draft.ask("steps", index, "match")
            fields, at = self.group_by, ("steps", index, "group_by")
            if step.group_by is not None:
                fields = step.group_by
                if len(fields) != len(self.group_by):
                    wanted = f"{len(self.group_by)}: {', '.join(self.group_by)}"
                    draft.complain(at, f"must have as many fields as the rule's group_by ({wanted}), not {len(fields)}")
                check_heard(fields, at, ask, draft)
            asks.append(replace(ask, part=index, group_by=tuple(fields)))
        if any(step.group_by is None for step in self.steps):
            check_heard(self.group_by, ("group_by",), next(iter(ask for ask in asks if ask.resolved), asks[0]), draft)
        says = Sequence(
            rule=self.id,
            key=draft.key,
            raises=self.raised(draft),
            group_by=tuple(self.group_by),
            shadow=self.shadow,
            steps=len(self.steps),
            timespan=self.timespan,
            ordered=self.type != "temporal",
            missing=self.type == "missing",
            resolve_after=self.resolve_after or self.timespan,
        )
        return Built(says, tuple(asks))
