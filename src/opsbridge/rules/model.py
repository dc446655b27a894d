"""The rule file format as pydantic models, discriminated by `kind`; what `match` may say is read by `conditions`.

A `correlate` rule has one of three shapes, told apart by what it speaks of; the loader is the only caller.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from opsbridge.documents import shown
from opsbridge.rules.conditions import Kind, field_kind, unknown_field

_SLUG: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, StringConstraints(pattern=_SLUG)]

PATTERNS: Final = {_SLUG: "lower-case words joined by -, such as drop-test-hosts"}
"""What the patterns above ask for, in words."""

Severity = Literal["info", "warning", "minor", "major", "critical"]
Significance = Literal["informational", "warning", "exception"]


class RuleModel(BaseModel):
    """What every rule has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    subject: ClassVar[str] = ""
    """The field that tells this shape from others of the same kind."""

    kind: Literal["filter", "classify", "correlate"]
    id: Slug
    title: str = ""
    description: str = ""


class _JudgeRule(RuleModel):
    match: dict[str, object]


class FilterRule(_JudgeRule):
    """Withhold events or let them pass whatever later filters say; the first matching filter decides."""

    kind: Literal["filter"]
    action: Literal["drop", "keep"]


class ClassifyRule(_JudgeRule):
    """Set severity, significance or both; the first matching rule wins."""

    kind: Literal["classify"]
    severity: Severity | None = None
    significance: Significance | None = None

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if self.severity is None and self.significance is None:
            raise PydanticCustomError("sets_nothing", "sets neither severity nor significance")
        return self


def _not_empty(listed: list[str]) -> list[str]:
    if not listed:
        raise PydanticCustomError("empty_list", "is an empty list, which nothing matches")
    return listed


def _pattern(said: str) -> str:
    if not any(char.isalnum() or char in "*?" for char in said):
        raise PydanticCustomError(
            "no_pattern", "must have a letter, a digit or a * to match, not {shown}", {"shown": shown(said)}
        )
    return said


def _probability(said: object) -> object:
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 < said <= 1:
        raise PydanticCustomError(
            "probability", "must be a number above 0 and at most 1, not {shown}", {"shown": shown(said)}
        )
    return float(said)


def _text_field(name: str) -> str:
    kind = field_kind(name)
    if kind is None:
        raise PydanticCustomError("unknown_field", "{message}", {"message": unknown_field(name)})
    if kind is not Kind.TEXT:
        raise PydanticCustomError("no_text", "joins by text; this field is {kind}", {"kind": kind.value})
    return name


Names = Annotated[list[str], AfterValidator(_not_empty)]
Patterns = Annotated[list[Annotated[str, AfterValidator(_pattern)]], AfterValidator(_not_empty)]
Nature = Literal["cause", "symptom", "unknown"]
Travel = Literal["dependents", "providers", "both", "nowhere"]


class ClassRule(RuleModel):
    """What classes mean for cause and effect; the first rule with a matching pattern wins."""

    subject = "classes"

    kind: Literal["correlate"]
    classes: Patterns
    nature: Nature | None = None
    travels: Travel | None = None

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if self.nature is None and self.travels is None:
            raise PydanticCustomError("sets_nothing", "sets neither nature nor travels")
        return self


class EdgeRule(RuleModel):
    """How likely a failure passes an edge of these types; the first rule that names a type wins."""

    subject = "edges"

    kind: Literal["correlate"]
    edges: Names
    strength: Annotated[float, BeforeValidator(_probability)]


class JoinRule(RuleModel):
    """Alerts that no edge connects belong together if they carry the same value in a field."""

    subject = "join_by"

    kind: Literal["correlate"]
    join_by: Annotated[str, AfterValidator(_text_field)]
    classes: Patterns | None = None


MODELS: Final[dict[str, tuple[type[RuleModel], ...]]] = {
    "filter": (FilterRule,),
    "classify": (ClassifyRule,),
    "correlate": (EdgeRule, JoinRule, ClassRule),
}
"""The shapes of each kind of rule."""


def model_of(kind: str, said: Mapping[str, object]) -> type[RuleModel] | None:
    """The model of a rule of this kind: the first whose subject the rule names; None if it names none."""
    shapes = MODELS[kind]
    return next((model for model in shapes if not model.subject or model.subject in said), None)


def subjects(kind: str) -> list[str]:
    """The fields of which a rule of this kind needs one."""
    return [model.subject for model in MODELS[kind] if model.subject]


class RuleDocument(BaseModel):
    """One document of a rule file; each rule is validated by the model of its kind."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    rules: list[dict[str, object]]
