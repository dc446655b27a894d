"""What `correlate` rules say, put together for the second level: profiles of classes, strengths of edges, joins.

The first rule wins everywhere: for a class, the first with a pattern that fits; for an edge type, the first that names
it. The loader makes the pieces, `compile_rules` puts them together, the shipped defaults last.
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


Ground = ClassesMean | EdgesPass | Join
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


def put_together(grounds: Iterable[Ground]) -> Correlation:
    """The rules' grounds, in the order of the rules, as the second level asks for them."""
    meanings: list[ClassesMean] = []
    strengths: dict[str, float] = {}
    joins: list[Join] = []
    for ground in grounds:
        match ground:
            case ClassesMean():
                meanings.append(ground)
            case EdgesPass():
                strengths = dict.fromkeys(ground.types, ground.strength) | strengths
            case Join():
                joins.append(ground)

    def decide(class_: str) -> Profile:
        said = words(class_)
        return next((meaning.profile for meaning in meanings if meaning.covers(said)), UNKNOWN_CLASS)

    return Correlation(Profiles(decide), strengths, tuple(joins))
