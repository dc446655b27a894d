"""The kind heartbeat: an alert when something that reports regularly is silent.

Groups are watched once they have been heard; CIs that are expected, from the beginning.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from opsbridge.core.rulebook import Heartbeat
from opsbridge.rules.language.fields import Duration, Grace, Matching
from opsbridge.rules.language.kinds.raising import RaisingRule
from opsbridge.rules.language.kinds.shape import Built, Draft
from opsbridge.rules.language.scopes import CIS, SIGNS, Scope


class HeartbeatRule(RaisingRule):
    """Raise an alert when something that reports regularly is silent."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": SIGNS, "expect": CIS}

    kind: Literal["heartbeat"]
    match: Matching
    """The events that are signs of life, firing or resolved."""
    every: Duration
    """How often they should come."""
    grace: Grace = 0
    """How much later than that they may come."""
    expect: Matching | None = None
    """CIs of the topology (ci and ci.*) that are watched from the beginning, heard of or not."""

    def built(self, draft: Draft) -> Built:
        """How long a group may be silent."""
        ask = self.grouped(draft.ask("match"), draft)
        expect = None if self.expect is None else draft.match("expect")
        if expect is not None and self.group_by != ["ci"]:
            draft.complain(("expect",), "needs `group_by: [ci]`: CIs are what can be expected", key=True)
        says = Heartbeat(
            rule=self.id,
            key=draft.key,
            raises=self.raised(draft),
            group_by=tuple(self.group_by),
            shadow=self.shadow,
            overdue_after=self.every + self.grace,
        )
        return Built(says, (ask,), expect)
