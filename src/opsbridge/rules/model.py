"""The rule file format as pydantic models, discriminated by `kind`; what `match` may say is read by `conditions`.

This is the first release's language, filter and classify; the loader is the only caller.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

_SLUG: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, StringConstraints(pattern=_SLUG)]

PATTERNS: Final = {_SLUG: "lower-case words joined by -, such as drop-test-hosts"}
"""What the patterns above ask for, in words."""

Severity = Literal["info", "warning", "minor", "major", "critical"]
Significance = Literal["informational", "warning", "exception"]


class _RuleModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: Slug
    title: str = ""
    description: str = ""
    match: dict[str, object]


class FilterRule(_RuleModel):
    """Withhold events or let them pass whatever later filters say; the first matching filter decides."""

    kind: Literal["filter"]
    action: Literal["drop", "keep"]


class ClassifyRule(_RuleModel):
    """Set severity, significance or both; the first matching rule wins."""

    kind: Literal["classify"]
    severity: Severity | None = None
    significance: Significance | None = None

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if self.severity is None and self.significance is None:
            raise PydanticCustomError("sets_nothing", "sets neither severity nor significance")
        return self


MODELS: Final[dict[str, type[FilterRule | ClassifyRule]]] = {"filter": FilterRule, "classify": ClassifyRule}
"""The model of each kind of rule."""


class RuleDocument(BaseModel):
    """One document of a rule file; each rule is validated by the model of its kind."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    rules: list[dict[str, object]]
