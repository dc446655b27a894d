"""The outer shape of a mapping file as a pydantic model: which fields there are, and of what types.

What stands in them (expressions, conditions) is read in `reading`, which knows their forms.
"""

from collections.abc import Collection
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from opsbridge.documents.text import Loc

PATTERNS: Final = {
    r"^[a-z][a-z0-9-]{0,63}$": "a name of a-z, 0-9 and -",
    r"^[a-z][a-z0-9_]{0,63}$": "a word of a-z, 0-9 and _",
}
"""What the regular expressions of the models ask for."""

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


class SkipModel(BaseModel):
    """Items that are understood and go no further."""

    model_config = _STRICT

    reason: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    when: dict[str, object]


class LabelsModel(BaseModel):
    """The event's labels."""

    model_config = _STRICT

    from_: list[str] = Field(default=[], alias="from")
    add: dict[str, object] = {}
    without: list[str] = []


class FieldsModel(BaseModel):
    """The fields of the event (docs/events.md); what is not said is not there."""

    model_config = _STRICT

    id: object
    time: object
    ci: object = None
    class_: object = Field(default=None, alias="class")
    state: object
    severity: object = None
    source: object
    summary: object = None
    fingerprint: object = None
    labels: LabelsModel = LabelsModel()


class MappingModel(BaseModel):
    """A mapping file."""

    model_config = _STRICT

    source: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    title: str = Field(min_length=1)
    payload: Literal["json", "text"] = "json"
    patterns: list[str] = []
    recognise: list[dict[str, object]] = []
    priority: int = 0
    let: dict[str, object] = {}
    each: dict[str, object] = {}
    skip: list[SkipModel] = []
    fields: FieldsModel
    by_key: bool = False


def known_fields(loc: Loc) -> Collection[str]:
    """What a mapping at this place may say."""
    model: type[BaseModel] = MappingModel
    if loc[:1] == ("skip",):
        model = SkipModel
    elif loc[:2] == ("fields", "labels"):
        model = LabelsModel
    elif loc[:1] == ("fields",):
        model = FieldsModel
    return [field.alias or name for name, field in model.model_fields.items()]
