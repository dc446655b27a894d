"""What a class of alert says about cause and effect: whether it is cause-like or symptom-like, and how it travels.

Rules decide it (the rules room compiles `correlate` rules and the shipped defaults into `Profiles`); the second level
asks for every alert that it weighs. A class that no rule knows is of unknown nature and travels to dependents, as most
failures do.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from opsbridge.core.event import Event
from opsbridge.core.graph import CI


class Nature(StrEnum):
    """What an alert of the class is evidence of."""

    CAUSE = "cause"
    """Something broke here: a resource is exhausted, hardware failed, a process crashed, a configuration changed."""
    SYMPTOM = "symptom"
    """Something does not work here, for whatever reason: latency, errors, time-outs, unreachability."""
    UNKNOWN = "unknown"


class Travel(StrEnum):
    """From a CI that fails, where alerts of the class turn up."""

    DEPENDENTS = "dependents"
    """At what depends on it: errors, latency, unreachability."""
    PROVIDERS = "providers"
    """At what it depends on: a failing dependent asks for nothing, or for too much."""
    BOTH = "both"
    NOWHERE = "nowhere"
    """At itself only: nobody else notices (yet)."""


class Profile(msgspec.Struct, frozen=True, gc=False):
    """What a class means for correlation."""

    nature: Nature = Nature.UNKNOWN
    travels: Travel = Travel.DEPENDENTS
    rule: str = ""
    """The rule that says so; empty if none does."""


UNKNOWN_CLASS: Final = Profile()
"""The profile of a class that no rule knows."""

REMEMBERED: Final = 16_384
"""How many classes are remembered: their names come from outside, so memory must not follow them."""


class Profiles:
    """The profile of every class; each is worked out when first asked for and remembered."""

    __slots__ = ("_decide", "_known")

    def __init__(self, decide: Callable[[str], Profile] = lambda _: UNKNOWN_CLASS) -> None:
        """`decide` answers for a class that is not remembered, the same each time."""
        self._decide = decide
        self._known: dict[str, Profile] = {}

    def __call__(self, class_: str) -> Profile:
        """The profile of this class."""
        profile = self._known.get(class_)
        if profile is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            profile = self._known[class_] = self._decide(class_)
        return profile


class Join(msgspec.Struct, frozen=True):
    """Ground to take alerts together that no edge connects: they carry the same value in a field.

    It speaks of alerts whose CI the topology does not know or connects with nothing.
    """

    rule: str
    field: str
    """As in a rule's `match`: `labels.service`, `source`, `ci.site`."""
    covers: Callable[[str], bool]
    """Whether alerts of this class are meant."""

    def ground(self, event: Event, ci: CI) -> str:
        """The ground that the event has for belonging with others; empty if it has none."""
        if not self.covers(event.class_):
            return ""
        room, _, name = self.field.rpartition(".")
        value = event.labels.get(name, "") if room == "labels" else getattr(ci if room == "ci" else event, name)
        return f"{self.rule}\x1f{value}" if value else ""
