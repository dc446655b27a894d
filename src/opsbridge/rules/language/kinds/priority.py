"""How urgent a situation is: the kind priority, impact x urgency by a matrix, and what each priority obliges to.

What a rule does not say is as in the default scale (core/response/priority.py): a level of impact is said wholly or not
at all, the matrix cell by cell, targets field by field.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from opsbridge.core.event import SEVERITY_NUMBER
from opsbridge.core.records import Level, PriorityName
from opsbridge.core.response.priority import DEFAULT, Scale, Targets, Threshold
from opsbridge.documents.text import Loc
from opsbridge.rules.language.fields import (
    CONFIG,
    DurationOrNever,
    Matching,
    Probability,
    Severity,
    Words,
    entries,
    whole,
)
from opsbridge.rules.language.kinds.shape import Built, Draft, RuleModel
from opsbridge.rules.language.scopes import OF_URGENT, Scope
from opsbridge.rules.rule import Prioritised

_Count = Annotated[int, *whole(0, 1_000_000_000)]

_AT_LEAST: Final = ("services", "users", "cis")
"""Thresholds of impact that are counts; a tier is at most."""


class Thresholds(BaseModel):
    """From where on the impact is of a level; any of them suffices."""

    model_config = CONFIG

    tier: Annotated[int, *whole(0, 1000)] | None = None
    """The most important affected tier is at most this; 1 is more important than 2."""
    services: _Count | None = None
    """At least so many services are affected."""
    users: _Count | None = None
    """At least so many people use them."""
    cis: _Count | None = None
    """At least so many CIs are affected."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("no_threshold", "says nothing: name tier, services, users or cis")
        return self

    def built(self) -> Threshold:
        """The thresholds."""
        return Threshold(self.tier, self.services, self.users, self.cis)


class Impacts(BaseModel):
    """How far a situation has to reach."""

    model_config = CONFIG

    high: Thresholds | None = None
    """For a high impact."""
    medium: Thresholds | None = None
    """For a medium impact; whatever is less is low."""


class Urgencies(BaseModel):
    """How severe a situation has to be."""

    model_config = CONFIG

    high: Severity | None = None
    """For a high urgency."""
    medium: Severity | None = None
    """For a medium urgency; whatever is less is low."""


class TargetModel(BaseModel):
    """What a priority obliges to."""

    model_config = CONFIG

    acknowledge: DurationOrNever | None = None
    """So long after opening somebody has to have acknowledged it."""
    resolve: DurationOrNever | None = None
    """So long after opening it has to be resolved."""
    remind: DurationOrNever | None = None
    """So often people are reminded of it."""
    warn_at: Probability | None = None
    """The share of `resolve` after which the target nears."""
    escalate_to: Annotated[list[Words], entries(0, "names", 20)] | None = None
    """Whom each further escalation goes to, the last one for all that follow."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("no_target", "says nothing: name acknowledge, resolve or remind")
        return self

    def built(self, default: Targets) -> Targets:
        """The targets; what is not said is as by default."""

        def said(length: int | None, standard: int | None) -> int | None:
            return standard if length is None else length or None

        return Targets(
            said(self.acknowledge, default.acknowledge_ms),
            said(self.resolve, default.resolve_ms),
            default.warn_at if self.warn_at is None else self.warn_at,
            said(self.remind, default.remind_ms),
            default.escalate_to if self.escalate_to is None else tuple(self.escalate_to),
        )


class PriorityRule(RuleModel):
    """Say how urgent situations are, and within what time they are to be seen to; the first matching rule wins."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": OF_URGENT}
    not_here: ClassVar[Mapping[str, str]] = {
        "shadow": "is not for this kind; `opsbridge backtest` shows which incidents would differ"
    }

    kind: Literal["priority"]
    match: Matching | None = None
    """Which situations; every one, if it is not said."""
    impact: Impacts = Impacts()
    """How far a situation has to reach for a high and for a medium impact."""
    urgency: Urgencies = Urgencies()
    """How severe it has to be for a high and for a medium urgency."""
    matrix: dict[Level, dict[Level, PriorityName]] = Field(default={})
    """By impact, then by urgency: the priority."""
    targets: dict[PriorityName, TargetModel] = Field(default={})
    """By priority: what it obliges to."""

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if not {"impact", "urgency", "matrix", "targets"} & self.model_fields_set:
            raise PydanticCustomError("sets_nothing", "sets neither impact, urgency, matrix nor targets")
        return self

    def built(self, draft: Draft) -> Built:
        """How priorities are found."""
        self._check_impact(draft)
        urgency = self.urgency
        if urgency.high and urgency.medium and SEVERITY_NUMBER[urgency.high] < SEVERITY_NUMBER[urgency.medium]:
            draft.complain(("urgency", "high"), f"must be at least as severe as medium ({urgency.medium})")
        for name, target in self.targets.items():
            if target.acknowledge and target.resolve and target.acknowledge > target.resolve:
                draft.complain(("targets", name, "acknowledge"), "must not be longer than resolve")
        matrix = {(impact, by): name for impact, row in self.matrix.items() for by, name in row.items()}
        targets = {name: each.built(DEFAULT.targets[name]) for name, each in self.targets.items()}
        scale = Scale(
            rule=self.id,
            high=DEFAULT.high if self.impact.high is None else self.impact.high.built(),
            medium=DEFAULT.medium if self.impact.medium is None else self.impact.medium.built(),
            urgent=DEFAULT.urgent if urgency.high is None else SEVERITY_NUMBER[urgency.high],
            pressing=DEFAULT.pressing if urgency.medium is None else SEVERITY_NUMBER[urgency.medium],
            matrix={**DEFAULT.matrix, **matrix},
            targets={**DEFAULT.targets, **targets},
        )
        return Built(Prioritised(draft.match("match"), scale))

    def _check_impact(self, draft: Draft) -> None:
        """Complain about thresholds that are less for a high impact than for a medium one."""
        high, medium = self.impact.high, self.impact.medium
        if high is None or medium is None:
            return
        if high.tier is not None and medium.tier is not None and high.tier > medium.tier:
            self._out_of_order(draft, "tier", "at most", medium.tier)
        for name in _AT_LEAST:
            more, less = getattr(high, name), getattr(medium, name)
            if more is not None and less is not None and more < less:
                self._out_of_order(draft, name, "at least", less)

    def _out_of_order(self, draft: Draft, name: str, bound: str, medium: int) -> None:
        loc: Loc = ("impact", "high", name)
        draft.complain(loc, f"must be {bound} {medium}, which is the threshold for a medium impact")
