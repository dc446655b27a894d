"""What all kinds of rules are: a pydantic model of what a file may say, that can build what the rule says to the core.

What a field may hold by itself, its type says (`fields`); what `match` may say is read with a scope (`scopes`); what
fields say about each other, `built` checks. The texts below the fields are what an editor shows. `build` calls this.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from pydantic import BaseModel

from opsbridge.documents.text import Loc
from opsbridge.rules.language.fields import CONFIG, Matching, Slug
from opsbridge.rules.language.scopes import FIRING, Asked, Scope
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
    expects: Match | None = None
    """The CIs that a heartbeat expects."""


class RuleModel(BaseModel):
    """What every rule has."""

    model_config = CONFIG

    subject: ClassVar[str] = ""
    """The field that tells this shape from others of the same kind."""
    values: ClassVar[tuple[str, ...]] = ()
    """What that field says in this shape; empty: anything."""
    matches: ClassVar[Mapping[str, Scope]] = {}
    """The fields that say which events or CIs are meant; of `steps`, it is the `match` of each."""
    not_here: ClassVar[Mapping[str, str]] = {}
    """Fields that other kinds have and this one cannot have, with the reason."""

    id: Slug
    """The rule's name, once in the whole set: the reason that counters, incidents and `explain` show."""
    kind: str
    """What the rule does."""
    title: str = ""
    """One line for people."""
    description: str = ""
    """The long version."""
    tests: list[dict[str, object]] = []
    """Timetables of events, and what is expected of them; `opsbridge rules test` runs them."""

    @abstractmethod
    def built(self, draft: Draft) -> Built:
        """What the rule says and asks; not to be used if there were complaints."""


NO_TRIAL: Final = "is not for this kind: what it changes, all rules see; `opsbridge backtest` shows what would differ"


class TrialRule(RuleModel):
    """What rules have that can be tried out."""

    shadow: bool = False
    """In trial: the rule decides, but only reports what it would have done."""


class MatchingRule(TrialRule):
    """What rules have that are about firing events."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": FIRING}

    match: Matching
    """Which events; all conditions must hold."""
