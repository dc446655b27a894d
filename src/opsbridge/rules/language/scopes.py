"""Which fields a `match` may ask for at its place in a rule, and of which reports: firing ones, resolutions, or both.

A resolution need not have a severity or a summary, so what also hears resolutions must not ask for them. The shapes
name a scope for every match they have; the loader reads what is said with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from opsbridge.rules.matching.conditions import (
    EVENTS,
    EVERYTHING,
    FIELDS,
    Complain,
    Fields,
    Match,
    anywhere,
    below,
    parse_match,
    parse_states,
)
from opsbridge.rules.matching.situations import SITUATIONS

STATE: Final = "state"
"""Asked for like a field, but of none: it says which reports a rule with a memory hears."""

NOT_OF_A_RESOLUTION: Final = frozenset({"severity", "summary"})
OF_A_CI: Final = tuple(field for field in FIELDS if field == "ci" or field.startswith("ci."))


@dataclass(frozen=True, slots=True)
class Asked:
    """A match as it was read."""

    match: Match
    firing: bool
    resolved: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """What a match may ask for."""

    refuse: Callable[[str], str]
    """Why a field must not be asked for; empty: it may."""
    firing: bool = True
    resolved: bool = False
    """What is heard if nothing is said about it."""
    states: bool = False
    """Something may be said about it."""
    empty: str = EVERYTHING
    """What to say of a match that asks for nothing."""
    fields: Fields = EVENTS
    """What there is to ask for."""

    def read(self, said: Mapping[str, object], complain: Complain) -> Asked:
        """What is said; not to be used if there were complaints."""
        fields, scope = dict(said), self
        if self.states and STATE in said:
            firing, resolved = parse_states(fields.pop(STATE), below((STATE,), complain))
            scope = replace(self, firing=firing, resolved=resolved)
        match = parse_match(fields, complain, scope.refuses, self.empty, self.fields) if fields or not said else {}
        return Asked(match, scope.firing, scope.resolved)

    def refuses(self, field: str) -> str:
        """Why this field must not be asked for, all told."""
        if self.states and self.resolved and field in NOT_OF_A_RESOLUTION:
            return (
                "cannot be asked for where resolutions are heard, which need not have one; `state: firing` hears none"
            )
        return self.refuse(field)


def _firing_only(field: str) -> str:
    if field != STATE:
        return ""
    return "is not for this kind, which asks firing events only; heartbeat, threshold, sequence and trend have it"


def _of_both(field: str) -> str:
    if field not in (*NOT_OF_A_RESOLUTION, STATE):
        return ""
    return "cannot be asked for here: what is said of an event must be said of its resolution, which need not have one"


def _of_a_ci(field: str) -> str:
    if field in OF_A_CI or (EVENTS.kind(field) is None and field != STATE):
        return ""
    return f"is no field of a CI; known are {', '.join(OF_A_CI)}"


def _not_of_a_ci(field: str) -> str:
    return "is asked for under `cis`" if field in OF_A_CI else _firing_only(field)


_EVERY_CI: Final = 'is empty; to match every CI, say `ci: {glob: "*"}`'

FIRING: Final = Scope(_firing_only)
"""Asked of firing events."""
BOTH: Final = Scope(_of_both, resolved=True)
"""Asked of firing events and of resolutions, with the same answer."""
HEARD: Final = Scope(lambda _: "", states=True)
"""Firing events are heard, if `state` does not say otherwise."""
SIGNS: Final = Scope(lambda _: "", resolved=True, states=True)
"""All events are heard, if `state` does not say otherwise."""
CIS: Final = Scope(_of_a_ci, empty=_EVERY_CI)
"""Asked of CIs."""
NOT_CIS: Final = Scope(_not_of_a_ci)
"""Asked of firing events, but not what `cis` can ask of their CIs."""


def _before_its_priority(field: str) -> str:
    return "is not known yet where priority is decided" if field == "priority" else ""


def _before_its_known_errors(field: str) -> str:
    if field in ("priority", "known_error"):
        return "is not known yet where known errors are looked for"
    return ""


_EVERY_SITUATION: Final = 'is empty; to match every situation, say `root.ci: {glob: "*"}`'

OF_SITUATIONS: Final = Scope(anywhere, empty=_EVERY_SITUATION, fields=SITUATIONS)
"""Asked of situations."""
OF_URGENT: Final = Scope(_before_its_priority, empty=_EVERY_SITUATION, fields=SITUATIONS)
"""Asked of situations whose priority is to be decided."""
OF_UNEXPLAINED: Final = Scope(_before_its_known_errors, empty=_EVERY_SITUATION, fields=SITUATIONS)
"""Asked of situations whose known errors are looked for."""
