"""What `correlate` rules say, put together for the second level: profiles of classes, strengths of edges, joins.

The first rule wins everywhere: for a class, the first with a pattern that fits; for an edge type, the first that names
it. `kinds.correlating` makes the pieces, `compile_rules` has them put together, the shipped defaults last.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from opsbridge.core.classes import UNKNOWN_CLASS, Join, Profile, Profiles
from opsbridge.rules.matching.classes import any_of, words


@dataclass(frozen=True, slots=True)
class ClassesMean:
    """Classes with a common profile."""

    covers: Callable[[str], bool]
    """Asked about the class's words."""
    profile: Profile


@dataclass(frozen=True, slots=True)
class EdgesPass:
    """Edge types with a common probability, above 0 and at most 1, that a failure passes them."""

    types: tuple[str, ...]
    strength: float


Correlate = ClassesMean | EdgesPass | Join
"""What one rule says."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """What all rules say."""

    profiles: Profiles
    edge_strengths: dict[str, float]
    """By edge type; a type that no rule names is missing."""
    joins: tuple[Join, ...]


def join_by(rule: str, field: str, classes: Iterable[str] | None) -> Join:
    """The join of alerts of these classes, or of any class."""
    if classes is None:
        return Join(rule, field, lambda _: True)
    covers = any_of(classes)
    return Join(rule, field, lambda class_: covers(words(class_)))


def put_together(said: Iterable[Correlate]) -> Correlation:
    """What the rules say, in the order of the rules, as the second level asks for them."""
    meanings: list[ClassesMean] = []
    strengths: dict[str, float] = {}
    joins: list[Join] = []
    for each in said:
        match each:
            case ClassesMean():
                meanings.append(each)
            case EdgesPass():
                strengths = dict.fromkeys(each.types, each.strength) | strengths
            case Join():
                joins.append(each)

    def decide(class_: str) -> Profile:
        named = words(class_)
        return next((meaning.profile for meaning in meanings if meaning.covers(named)), UNKNOWN_CLASS)

    return Correlation(Profiles(decide), strengths, tuple(joins))
