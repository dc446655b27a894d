"""What the kinds share that raise alerts: threshold, sequence, heartbeat and trend.

They say by which fields events are looked at together, and which alert follows; what its texts name must be there. How
deep a rule stands on others, `loops` finds out once all rules are built.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import ClassVar, Final

from pydantic import BaseModel, Field

from opsbridge.core.event import SEVERITY_NUMBER
from opsbridge.core.rulebook import Raise
from opsbridge.documents import shown
from opsbridge.documents.text import Loc
from opsbridge.rules.language.fields import CONFIG, FieldNames, Severity, Words
from opsbridge.rules.language.kinds.shape import Draft, TrialRule
from opsbridge.rules.language.scopes import NOT_OF_A_RESOLUTION
from opsbridge.rules.matching.conditions import known_instead
from opsbridge.rules.rule import Ask

_NAMED: Final = re.compile(r"\{([^{}]*)\}|[{}]")
"""A name in braces, or a brace without one."""


class Raises(BaseModel):
    """The alert that a rule raises."""

    model_config = CONFIG

    class_: Words = Field(alias="class")
    """Its class."""
    severity: Severity
    """Its severity."""
    summary: str = ""
    """A line for people; {ci}, the fields of group_by and figures such as {count} are filled in."""
    ci: str = ""
    """The CI that it is about, or {FIELD} of group_by; needed if `ci` is not in group_by."""

    def built(self, group: list[str], figures: Iterable[str], draft: Draft) -> Raise:
        """The alert; its texts may name the fields of the group, and its summary these figures."""
        ci, ci_at = self._about(group, draft)
        self._check_summary(dict.fromkeys(("ci", *group, *figures)), draft)
        return Raise(self.class_, SEVERITY_NUMBER[self.severity], self.summary, ci, ci_at)

    def _about(self, group: list[str], draft: Draft) -> tuple[str, int]:
        """The CI, or else where it stands in the group."""
        named = self.ci[1:-1]
        if not self.ci and "ci" in group:
            return "", group.index("ci")
        if self.ci == f"{{{named}}}" and named in group:
            return "", group.index(named)
        if not self.ci:
            required = "is required, because `ci` is not in group_by: an id, or {FIELD} of group_by"
            draft.complain(("raise",), f"ci: {required}")
        elif "{" in self.ci or "}" in self.ci:
            fields = " or ".join(f"{{{field}}}" for field in group)
            draft.complain(("raise", "ci"), f"must be the id of a CI, or {fields}; it is {shown(self.ci)}")
        return self.ci, 0

    def _check_summary(self, names: Collection[str], draft: Draft) -> None:
        for found in _NAMED.finditer(self.summary):
            if found[1] is None:
                draft.complain(("raise", "summary"), "has a { or } that belongs to no {name}; names stand in braces")
                break
            if found[1] not in names:
                hint = known_instead(found[1], names)
                draft.complain(("raise", "summary"), f"{shown(found[0])} is not known here{hint}")


class RaisingRule(TrialRule):
    """What rules have that make alerts of several events."""

    figures: ClassVar[tuple[str, ...]] = ()
    """What the alert's summary may name besides `ci` and the fields of group_by."""

    group_by: FieldNames = Field(default=["ci"])
    """Events with the same values in these fields are looked at together."""
    raise_: Raises = Field(alias="raise")
    """The alert that it raises."""

    def grouped(self, ask: Ask, draft: Draft) -> Ask:
        """The question, with the group of what matches."""
        check_heard(self.group_by, ("group_by",), ask, draft)
        return replace(ask, group_by=tuple(self.group_by))

    def raised(self, draft: Draft) -> Raise:
        """The alert."""
        return self.raise_.built(self.group_by, self.figures, draft)


def check_heard(fields: list[str], loc: Loc, ask: Ask, draft: Draft) -> None:
    """Complain about fields that what is heard need not have."""
    for index, field in enumerate(fields):
        if ask.resolved and field in NOT_OF_A_RESOLUTION:
            draft.complain((*loc, index), not_heard_of(field))


def not_heard_of(field: str) -> str:
    """The complaint about a field that a resolution need not have, where resolutions are heard."""
    return f"a resolution need not have a {field}; `state: firing` under match hears none"
