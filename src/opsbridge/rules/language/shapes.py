"""The kinds of rules as pydantic models: which fields each has, and what each field may hold by itself.

What `match` may say is read by `conditions`; what fields say about each other is checked where a rule is built
(`verdicts`, `derived`, `withheld`). The texts below the fields are what an editor shows. `model` has the table of
kinds.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from opsbridge.documents.weekly import WINDOWS
from opsbridge.rules.language.asking import BOTH, CIS, FIRING, HEARD, NOT_CIS, OF_SITUATIONS, SIGNS, Scope
from opsbridge.rules.language.fields import (
    CONFIG,
    AnyFields,
    Duration,
    FieldName,
    FieldNames,
    Grace,
    Matching,
    Moment,
    Names,
    Number,
    Patterns,
    Probability,
    Slug,
    TextField,
    Words,
    entries,
    whole,
)

Severity = Literal["info", "warning", "minor", "major", "critical"]
Significance = Literal["informational", "warning", "exception"]


class RuleModel(BaseModel):
    """What every rule has."""

    model_config = CONFIG

    subject: ClassVar[str] = ""
    """The field that tells this shape from others of the same kind."""
    matches: ClassVar[Mapping[str, Scope]] = {}
    """The fields that say which events or CIs are meant; of `steps`, it is the `match` of each."""
    not_here: ClassVar[Mapping[str, str]] = {}
    """Fields that other kinds have and this one cannot have, with the reason."""

    id: Slug
    """The rule's name, once in the whole set: the reason that counters, incidents and `explain` show."""
    kind: str
    """What the rule does."""
    title: str = ""
    """One line for people."""
    description: str = ""
    """The long version."""
    tests: list[dict[str, object]] = []
    """Timetables of events, and what is expected of them; `opsbridge rules test` runs them."""


_IN_TRIAL: Final = "is not for this kind: what it changes, all rules see; `opsbridge backtest` shows what would differ"


class _InTrial(RuleModel):
    shadow: bool = False
    """In trial: the rule decides, but only reports what it would have done."""


class _Matching(_InTrial):
    matches: ClassVar[Mapping[str, Scope]] = {"match": FIRING}

    match: Matching
    """Which events; all conditions must hold."""


class FilterRule(_Matching):
    """Withhold events, let them pass whatever later filters say, or send them elsewhere; the first match decides."""

    kind: Literal["filter"]
    action: Literal["drop", "keep", "route"]
    """drop: withhold it. keep: let it pass whatever later filters say. route: send it to `to` instead."""
    to: Slug | None = None
    """With `action: route`: the name of the route."""


class ClassifyRule(_Matching):
    """Set severity, significance or both; the first matching rule wins."""

    kind: Literal["classify"]
    severity: Severity | None = None
    """Replaces the event's severity."""
    significance: Significance | None = None
    """ITIL's decision: informational events are logged and go no further."""

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if self.severity is None and self.significance is None:
            raise PydanticCustomError("sets_nothing", "sets neither severity nor significance")
        return self


class Looked(BaseModel):
    """Where a label's value comes from."""

    model_config = CONFIG

    from_: FieldName | None = Field(default=None, alias="from")
    """The field whose value the label gets, such as ci.owner."""
    table: Slug | None = None
    """A table of this file, under `tables`."""
    by: FieldName | None = None
    """The field whose value is looked up in the table."""


_TEXT, _LOOKED_UP = "<text>", "<looked up>"
FORMS: Final = frozenset({_TEXT, _LOOKED_UP})
"""Steps in the place of a pydantic error that are none in the file: in which of two forms something is said."""


def _form(value: object) -> str:
    return _LOOKED_UP if isinstance(value, dict | Looked) else _TEXT


Setting = Annotated[Annotated[str, Tag(_TEXT)] | Annotated[Looked, Tag(_LOOKED_UP)], Discriminator(_form)]
"""A label's new value."""


class EnrichRule(RuleModel):
    """Add labels; the first matching rule that sets a label wins."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": BOTH}
    not_here: ClassVar[Mapping[str, str]] = {"shadow": _IN_TRIAL}

    kind: Literal["enrich"]
    match: Matching
    """Which events; not by severity and summary, which a resolution need not have."""
    set: Annotated[dict[str, Setting], entries(1, "labels")]
    """`labels.NAME` to a text, to `{from: FIELD}`, or to `{table: NAME, by: FIELD}`."""


class DedupRule(RuleModel):
    """Say which fields identify an alert; the first matching rule wins."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": BOTH}
    not_here: ClassVar[Mapping[str, str]] = {"shadow": _IN_TRIAL}

    kind: Literal["dedup"]
    match: Matching
    """Which events; not by severity and summary, which a resolution need not have."""
    fingerprint: FieldNames
    """Reports with the same values in these fields are about one alert."""


class HoldRule(_Matching):
    """An alert counts only when it has fired for a while."""

    kind: Literal["hold"]
    for_: Duration = Field(alias="for")
    """How long it must fire, such as 2m."""


class FlappingRule(_Matching):
    """An alert that opens and resolves again and again is withheld until it calms down."""

    kind: Literal["flapping"]
    within: Duration
    """In what time changes are counted: openings and resolutions."""
    enter: Annotated[int, *whole(2, 1000)]
    """It flaps from so many changes on."""
    leave: Annotated[int, *whole(0, 999)]
    """It has calmed down at so many or fewer."""


class Raises(BaseModel):
    """The alert that a rule raises."""

    model_config = CONFIG

    class_: Words = Field(alias="class")
    """Its class."""
    severity: Severity
    """Its severity."""
    summary: str = ""
    """A line for people; {ci}, the fields of group_by and figures such as {count} are filled in."""
    ci: str = ""
    """The CI that it is about, or {FIELD} of group_by; needed if `ci` is not in group_by."""


class RaisingRule(_InTrial):
    """What rules have that make alerts of several events."""

    group_by: FieldNames = ["ci"]
    """Events with the same values in these fields are looked at together."""
    raise_: Raises = Field(alias="raise")
    """The alert that it raises."""


class HeartbeatRule(RaisingRule):
    """Raise an alert when something that reports regularly is silent."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": SIGNS, "expect": CIS}

    kind: Literal["heartbeat"]
    match: Matching
    """The events that are signs of life, firing or resolved."""
    every: Duration
    """How often they should come."""
    grace: Grace = 0
    """How much later than that they may come."""
    expect: Matching | None = None
    """CIs of the topology (ci and ci.*) that are watched from the beginning, heard of or not."""


class Bounds(BaseModel):
    """What a threshold's measure is compared with."""

    model_config = CONFIG

    gte: Number | None = None
    """At least."""
    gt: Number | None = None
    """More than."""
    lte: Number | None = None
    """At most (not for counts)."""
    lt: Number | None = None
    """Less than (not for counts)."""
    field: FieldName | None = None
    """What is measured; not for event_count. Values and their sums are labels."""
    percentile: Number | None = None
    """Which percentile, for value_percentile: above 0, at most 100."""


class ThresholdRule(RaisingRule):
    """Raise an alert when a measure of the events within a time meets a condition."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": HEARD}

    kind: Literal["threshold"]
    type: Literal["event_count", "value_count", "value_sum", "value_avg", "value_percentile"]
    """event_count: events. value_count: different values of a field. The others: of the numbers in a label."""
    match: Matching
    """The events that count."""
    timespan: Duration
    """Events of this time are looked at together."""
    condition: Bounds
    """When it fires."""
    resolve_after: Duration | None = None
    """How long the condition must not hold until the alert is resolved; the timespan if it is not said."""


class Step(BaseModel):
    """One step of a sequence."""

    model_config = CONFIG

    match: Matching
    """The events of this step."""
    group_by: FieldNames | None = None
    """If this step's events say the same in other fields: these, in the order of the rule's."""


class SequenceRule(RaisingRule):
    """Raise an alert when events of all steps come within a time, or when the last step does not come."""

    matches: ClassVar[Mapping[str, Scope]] = {"steps": HEARD}

    kind: Literal["sequence"]
    type: Literal["temporal", "temporal_ordered", "missing"]
    """temporal: in any order. temporal_ordered: in this order. missing: all but the last, which does not come."""
    steps: Annotated[list[Step], entries(2, "steps", 20)]
    """What belongs together."""
    timespan: Duration
    """From the first step to the last."""
    resolve_after: Duration | None = None
    """After what time the alert is resolved, unless it happens again; the timespan if it is not said."""


class TrendRule(RaisingRule):
    """Raise an alert when a value, going on as it has, will cross its limit soon."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": HEARD}

    kind: Literal["trend"]
    match: Matching
    """The events that carry the value."""
    field: FieldName
    """The label with the value."""
    limit: Number
    """What it should not cross."""
    direction: Literal["rising", "falling"] = "rising"
    """From which side it would cross."""
    crosses_within: Duration
    """How soon a crossing matters."""
    over: Duration
    """The time whose values the line is drawn of."""
    samples: Annotated[int, *whole(3, 10_000)] = 3
    """How many values it takes at least."""
    group_by: FieldNames = ["ci", "class"]
    """Events with the same values in these fields are looked at together."""


class Window(BaseModel):
    """One window: from a time to a time, or every week."""

    model_config = CONFIG

    from_: Moment | None = Field(default=None, alias="from")
    """Its beginning, with a time zone: 2026-03-01T22:00:00+01:00."""
    to: Moment | None = None
    """Its end."""
    weekly: Annotated[str, StringConstraints(pattern=WINDOWS)] | None = None
    """Days and times, such as 'Sat-Sun 22:00-04:00'."""
    zone: str | None = None
    """The IANA time zone of `weekly`, such as Europe/Berlin; UTC if it is not said."""


class MaintenanceRule(_InTrial):
    """Withhold the alerts that begin in planned time."""

    matches: ClassVar[Mapping[str, Scope]] = {"cis": CIS, "match": NOT_CIS}

    kind: Literal["maintenance"]
    cis: Matching | None = None
    """Which CIs (ci and ci.*)."""
    match: Matching | None = None
    """Which events, by fields that are not the CI's."""
    inherit: bool = True
    """Also the CIs that are lost without these."""
    windows: Annotated[list[Window], entries(1, "windows")]
    """When."""
    remind: Duration | None = None
    """So long before a window ends, operators are reminded."""


class InhibitRule(_InTrial):
    """Withhold an alert while another one fires."""

    matches: ClassVar[Mapping[str, Scope]] = {"source": FIRING, "target": FIRING}

    kind: Literal["inhibit"]
    source: Matching
    """The alert that inhibits."""
    target: Matching
    """The alert that is withheld."""
    equal: AnyFields
    """Fields that must have the same value in both; empty: any source of the same part of the topology."""


Nature = Literal["cause", "symptom", "unknown"]
Travel = Literal["dependents", "providers", "both", "nowhere"]


class _Correlating(RuleModel):
    not_here: ClassVar[Mapping[str, str]] = {"shadow": _IN_TRIAL}

    kind: Literal["correlate"]


class ClassRule(_Correlating):
    """What classes mean for cause and effect; the first rule with a matching pattern wins."""

    subject = "classes"

    classes: Patterns
    """Patterns of classes, however they are spelled."""
    nature: Nature | None = None
    """Whether such an alert is more likely a cause or an effect."""
    travels: Travel | None = None
    """Where else a failure of this kind turns up."""

    @model_validator(mode="after")
    def _sets_something(self) -> Self:
        if self.nature is None and self.travels is None:
            raise PydanticCustomError("sets_nothing", "sets neither nature nor travels")
        return self


class EdgeRule(_Correlating):
    """How likely a failure passes an edge of these types; the first rule that names a type wins."""

    subject = "edges"

    edges: Names
    """Types of edges in the topology."""
    strength: Probability
    """How likely a failure passes such an edge."""


class JoinRule(_Correlating):
    """Alerts that no edge connects belong together if they carry the same value in a field."""

    subject = "join_by"

    join_by: TextField
    """The field."""
    classes: Patterns | None = None
    """Patterns of the classes that it is for."""


class RespondRule(RuleModel):
    """Say what a situation is for people; the first matching rule decides, and without one it is an incident."""

    matches: ClassVar[Mapping[str, Scope]] = {"match": OF_SITUATIONS}
    not_here: ClassVar[Mapping[str, str]] = {
        "shadow": "is not for this kind; `opsbridge backtest` shows which incidents would differ"
    }

    kind: Literal["respond"]
    match: Matching
    """Which situations, by severity, root, and number of alerts and services."""
    response: Literal["incident", "none"]
    """incident: people are told. none: nobody is told, as long as this decides."""
