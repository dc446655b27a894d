"""A case: a situation with all that rules of kind `respond` and `priority` may ask about it, and what texts may name.

Made by the response stage whenever a situation's news are to be answered; the rules room compiles questions to it.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from opsbridge.core.decisions import Situation
from opsbridge.core.graph import CI
from opsbridge.core.ids import incident_id


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a response is selected."""

    situation: Situation
    root: CI
    """The root; an unknown CI has nothing but its id."""
    priority: str = ""
    """`P1` to `P5`; empty while the priority itself is asked for."""
    known_errors: tuple[str, ...] = ()
    """Ids of the known errors that match."""
    changes: tuple[str, ...] = ()
    """Ids of the recent changes on its candidates."""

    @property
    def group(self) -> str:
        """Who is in charge of the root: its group, else its owner; empty if nobody is known to be."""
        return self.root.group or self.root.owner


PLACEHOLDERS: Final[dict[str, Callable[[Case], str]]] = {
    "situation": lambda case: case.situation.id,
    "incident": lambda case: incident_id(case.situation.id),
    "priority": lambda case: case.priority,
    "root.ci": lambda case: case.situation.root.ci,
    "root.class": lambda case: case.situation.root.class_ or "",
    "root.name": lambda case: case.root.name or case.root.id,
    "root.type": lambda case: case.root.type,
    "root.owner": lambda case: case.root.owner,
    "root.group": lambda case: case.group,
    "root.category": lambda case: case.root.category,
    "root.runbook": lambda case: case.root.runbook,
    "root.environment": lambda case: case.root.environment,
    "root.site": lambda case: case.root.site,
    "alerts": lambda case: str(case.situation.alerts),
    "services": lambda case: str(case.situation.impact.services),
    "known_error": lambda case: next(iter(case.known_errors), ""),
}
"""What a text of a rule may name in braces: `{root.ci}`."""


def fill(template: str, case: Case) -> str:
    """The text with every placeholder replaced, in one pass; braces around anything else stay as they are."""
    first, *parts = template.split("{")
    filled = [first]
    for part in parts:
        name, closed, rest = part.partition("}")
        read = PLACEHOLDERS.get(name) if closed else None
        filled.append("{" + part if read is None else read(case) + rest)
    return "".join(filled)
