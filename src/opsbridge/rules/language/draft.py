"""A rule on its way from its file to what it says: what builders are given, and what they make.

The loader drafts, `verdicts`, `derived`, `withheld` and `correlation` build; complaints go back through the draft with
their place below the rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from opsbridge.documents.text import Loc
from opsbridge.rules.language.asking import Asked
from opsbridge.rules.matching.conditions import Complain, Match
from opsbridge.rules.rule import Ask, Says


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule whose fields are right, each by itself."""

    key: str
    """Id and digest (rulebook.Derivation.key)."""
    asked: Mapping[Loc, Asked]
    """Its matches, by their places below the rule."""
    tables: Mapping[str, dict[str, str]]
    """Of its file."""
    complain: Complain

    def ask(self, *loc: str | int) -> Ask:
        """The question to events that the match at this place is; every event if there is none."""
        asked = self.asked.get(loc)
        return Ask({}) if asked is None else Ask(asked.match, firing=asked.firing, resolved=asked.resolved)

    def match(self, *loc: str | int) -> Match:
        """The conditions at this place; none if nothing is said."""
        asked = self.asked.get(loc)
        return {} if asked is None else asked.match


class Built(NamedTuple):
    """What a rule says, and of whom it asks."""

    says: Says
    asks: tuple[Ask, ...] = ()
    expect: Match | None = None
    """The CIs that a heartbeat expects."""
