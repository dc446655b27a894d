"""The rule file format: the table of all kinds, each with its shapes (`kinds`), and what a document says around rules.

A kind with several shapes tells them apart by what a rule speaks of. `build` and the schema for editors call this.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, Literal, get_args

from pydantic import BaseModel

from opsbridge.documents.text import Loc
from opsbridge.rules.language.fields import CONFIG, Slug
from opsbridge.rules.language.kinds.automation import AutoResponseRule
from opsbridge.rules.language.kinds.correlating import ClassRule, EdgeRule, JoinRule
from opsbridge.rules.language.kinds.events import ClassifyRule, DedupRule, EnrichRule, FilterRule
from opsbridge.rules.language.kinds.heartbeat import HeartbeatRule
from opsbridge.rules.language.kinds.priority import PriorityRule
from opsbridge.rules.language.kinds.responding import IncidentRule, NotificationRule, ProblemRule, TicketRule
from opsbridge.rules.language.kinds.sequence import SequenceRule
from opsbridge.rules.language.kinds.shape import RuleModel
from opsbridge.rules.language.kinds.threshold import ThresholdRule
from opsbridge.rules.language.kinds.trend import TrendRule
from opsbridge.rules.language.kinds.withholding import FlappingRule, HoldRule, InhibitRule, MaintenanceRule
from opsbridge.rules.rule import Kind

MODELS: Final[dict[Kind, tuple[type[RuleModel], ...]]] = {
    "filter": (FilterRule,),
    "classify": (ClassifyRule,),
    "enrich": (EnrichRule,),
    "dedup": (DedupRule,),
    "hold": (HoldRule,),
    "flapping": (FlappingRule,),
    "heartbeat": (HeartbeatRule,),
    "threshold": (ThresholdRule,),
    "sequence": (SequenceRule,),
    "trend": (TrendRule,),
    "maintenance": (MaintenanceRule,),
    "inhibit": (InhibitRule,),
    "correlate": (EdgeRule, JoinRule, ClassRule),
    "priority": (PriorityRule,),
    "respond": (IncidentRule, TicketRule, AutoResponseRule, NotificationRule, ProblemRule),
}
"""The shapes of each kind of rule."""


def model_of(kind: Kind, said: Mapping[str, object]) -> type[RuleModel] | None:
    """The model of a rule of this kind: the first whose subject the rule names; None if it names none."""
    return next((model for model in MODELS[kind] if _is_of(model, said)), None)


def _is_of(model: type[RuleModel], said: Mapping[str, object]) -> bool:
    if not model.subject:
        return True
    return model.subject in said and (not model.values or said[model.subject] in model.values)


def subjects(kind: Kind) -> list[str]:
    """The fields of which a rule of this kind needs one."""
    return list(dict.fromkeys(model.subject for model in MODELS[kind] if model.subject))


def subject_values(kind: Kind) -> list[str]:
    """What the one subject of this kind may say; empty: what it says does not tell shapes apart."""
    return [value for model in MODELS[kind] for value in model.values]


class RuleDocument(BaseModel):
    """One document of a rule file; each rule is validated by the model of its kind."""

    model_config = CONFIG

    version: Literal[1]
    """The version of this language."""
    rules: list[dict[str, object]]
    """Rules; their order decides which matches first."""
    tables: dict[Slug, dict[str, str]] = {}
    """What `enrich` rules of this file look up: name of the table, key, value."""


def field_names(model: type[BaseModel]) -> list[str]:
    """The fields as a file says them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def known_fields(model: type[BaseModel], loc: Loc) -> Collection[str]:
    """What a mapping at this place below a value of the model may say."""
    for step in loc:
        if isinstance(step, str):
            held = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = next(_models(held.get(step)), model)
    return field_names(model)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
