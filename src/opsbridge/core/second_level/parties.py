"""Parties: the alerts that take part in inhibitions, as they are saved, and the sources by what they inhibit.

Data and bookkeeping only; what is decided of it is inhibition.py's.
"""

from bisect import bisect_left, insort
from typing import Final, NamedTuple

import msgspec

from opsbridge.core.decisions import Transition
from opsbridge.core.second_level.evidence import NEVER

INHIBITS_ON_MS: Final = 5_000
"""A source inhibits for so long after it was resolved: effects are often over a little after their causes, and a
source that flaps does not let go each time."""


class Spell(msgspec.Struct, array_like=True, gc=False):
    """A time in which an alert is a source of one rule. The order of the fields is the format of the changelog."""

    rule: str
    group: str
    domain: str
    both: bool
    """It is a target of the rule, too."""
    since: int
    until: int = NEVER

    @property
    def end(self) -> int:
        """Until when it inhibits."""
        return self.until + INHIBITS_ON_MS if self.until < NEVER else NEVER


class Held(msgspec.Struct, array_like=True, gc=False):
    """A transition that waits, and the event time it is taken at."""

    at: int
    transition: Transition


class Party(msgspec.Struct, array_like=True, gc=False):
    """An alert that inhibits or may be inhibited. The order of the fields is the format of the changelog."""

    fingerprint: str
    position: int
    """The newest transition that has been heard."""
    at: int = 0
    """The event time that was taken at."""
    firing: bool = False
    spells: list[Spell] = []
    held: list[Held] = []
    """What the second level has not been told: an opening that waits or is withheld, and all that came after it."""
    covered: int = 0
    """Of the first opening held: when it is judged, then until when it was inhibited, of what has all been heard..."""
    free: int = 0
    """...and until when it will be, as things stand."""
    rule: str = ""
    """The rule that withholds it; empty while it is not judged."""
    by: str = ""
    """The source."""
    trials: list[Held] = []
    """Openings that rules in trial are to judge."""

    def resolution(self) -> Held | None:
        """What ended the first firing held, if it is over."""
        return next((held for held in self.held if held.transition.change == "resolved"), None)

    def over(self) -> int:
        """When the first firing held ends; far off if it goes on."""
        resolution = self.resolution()
        return NEVER if resolution is None else resolution.at

    def step(self, time: int) -> Held:
        """What was true of the first firing held at a time after its opening."""
        found = self.held[0]
        for held in self.held:
            if held.transition.change == "resolved" or held.at > time:
                break
            found = held
        return found

    def next_step(self, time: int) -> int:
        """When the first firing held changes next; far off if it does not."""
        ends = self.over()
        return next((held.at for held in self.held if time < held.at < ends), NEVER)


class Key(NamedTuple):
    """What source and target have in common."""

    rule: str
    group: str
    domain: str


class Source(NamedTuple):
    """A spell of the alert with that fingerprint, in the order in which sources are named."""

    since: int
    fingerprint: str
    spell: Spell


class Sources:
    """The spells of one partition, by what they inhibit."""

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: dict[tuple[Key, bool], list[Source]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, key: Key, fingerprint: str, spell: Spell) -> None:
        """The alert is a source in this spell."""
        insort(self._by_key.setdefault((key, spell.both), []), Source(spell.since, fingerprint, spell), key=_order)

    def remove(self, key: Key, fingerprint: str, spell: Spell) -> None:
        """The spell matters no longer."""
        sources = self._by_key[key, spell.both]
        place = bisect_left(sources, (spell.since, fingerprint), key=_order)
        while sources[place].spell is not spell:
            place += 1
        del sources[place]
        if not sources:
            del self._by_key[key, spell.both]

    def covering(self, key: Key, time: int, target: str, *, both: bool) -> Source | None:
        """The first source that inhibits the target at that time; `both`: the target is a source, too."""
        found = [self._first(key, time, target, both=False)]
        if not both:
            found.append(self._first(key, time, target, both=True))
        return min((source for source in found if source is not None), key=_order, default=None)

    def _first(self, key: Key, time: int, target: str, *, both: bool) -> Source | None:
        for source in self._by_key.get((key, both), ()):
            if source.since > time:
                break
            if time < source.spell.end and source.fingerprint != target:
                return source
        return None


def _order(source: Source) -> tuple[int, str]:
    return source.since, source.fingerprint
