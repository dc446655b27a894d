"""How alerts become situations: the kind correlate.

A rule has one of three shapes, told apart by what it speaks of: classes, edges, or a field to join by.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opsbridge.core.classes import Nature, Profile, Travel
from opsbridge.rules.correlation import ClassesMean, EdgesPass, join_by
from opsbridge.rules.language.fields import Names, Patterns, Probability, TextField
from opsbridge.rules.language.kinds.shape import NO_TRIAL, Built, Draft, RuleModel
from opsbridge.rules.matching.classes import any_of


class _CorrelateRule(RuleModel):
    """What the shapes of correlate have in common."""

    not_here: ClassVar[Mapping[str, str]] = {"shadow": NO_TRIAL}

    kind: Literal["correlate"]


class ClassRule(_CorrelateRule):
    """What classes mean for cause and effect; the first rule with a matching pattern wins."""

    subject = "classes"

    classes: Patterns
    """Patterns of classes, however they are spelled."""
    nature: Literal["cause", "symptom", "unknown"] | None = None
    """Whether such an alert is more likely a cause or an effect."""
    travels: Literal["dependents", "providers", "both", "nowhere"] | None = None
    """Where else a failure of this kind turns up."""

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if self.nature is None and self.travels is None:
            raise PydanticCustomError("sets_nothing", "sets neither nature nor travels")
        return self

    def built(self, _draft: Draft) -> Built:
        """What the classes mean; what is not said is as for a class that no rule knows."""
        profile = Profile(Nature(self.nature or "unknown"), Travel(self.travels or "dependents"), self.id)
        return Built(ClassesMean(any_of(self.classes), profile))


class EdgeRule(_CorrelateRule):
    """How likely a failure passes an edge of these types; the first rule that names a type wins."""

    subject = "edges"

    edges: Names
    """Types of edges in the topology."""
    strength: Probability
    """How likely a failure passes such an edge."""

    def built(self, _draft: Draft) -> Built:
        """How far failures travel."""
        return Built(EdgesPass(tuple(self.edges), self.strength))


class JoinRule(_CorrelateRule):
    """Alerts that no edge connects belong together if they carry the same value in a field."""

    subject = "join_by"

    join_by: TextField
    """The field: alerts with the same value in it belong together."""
    classes: Patterns | None = None
    """Patterns of the classes that it is for."""

    def built(self, _draft: Draft) -> Built:
        """What belongs together."""
        return Built(join_by(self.id, self.join_by, self.classes))
