"""What the models of the contract have in common, and the pieces that several records are made of."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Severity = Literal["info", "warning", "minor", "major", "critical"]

SeverityNumber = Annotated[int, Field(ge=0, le=4)]
"""0 info, 1 warning, 2 minor, 3 major, 4 critical."""

Milliseconds = Annotated[int, Field(ge=0, description="Milliseconds since 1970 UTC.")]

Time = AwareDatetime
"""RFC 3339, in UTC."""

IncidentId = Annotated[str, Field(pattern="^INC-[0-9a-f]{16}$")]
SituationId = Annotated[str, Field(pattern="^S-[0-9a-f]{16}$")]
ResponseId = Annotated[str, Field(pattern="^RSP-[0-9a-f]{16}$")]


class Shape(BaseModel):
    """Part of a record that OpsBridge writes. Fields may be added: what a reader does not know, it ignores."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        use_attribute_docstrings=True,
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )


class Input(BaseModel):
    """A record that others write. What is not known is an error, so that a misspelt field is noticed."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True, serialize_by_alias=True
    )


class Root(Shape):
    """The CI that best explains a situation."""

    ci: str
    """Its id, or the name of a CI that the topology does not have."""
    class_: str | None = Field(alias="class")
    """The class of its own alert; null if it is silent."""
    silent: bool
    """It sent nothing itself."""
    confidence: Annotated[float, Field(ge=0, le=1)]


class Candidate(Shape):
    """A CI that could be the root."""

    ci: str
    score: float
    """A log-likelihood ratio in nats; more is better."""


class Member(Shape):
    """A firing of an alert, as a member of a situation."""

    fingerprint: str
    occurrence: int
    """Which firing of the alert; counts from 1."""
    ci: str
    class_: str = Field(alias="class")
    event: str
    """The id of the event that opened this firing."""


class Moved(Shape):
    """A slice of what joined or left with one version."""

    joined: tuple[Member, ...] = ()
    left: tuple[Member, ...] = ()
    cis_joined: tuple[str, ...] = ()
    """CIs that are affected from now on, alerting or not."""
    cis_left: tuple[str, ...] = ()
    services_joined: tuple[str, ...] = ()
    """The services among them."""
    services_left: tuple[str, ...] = ()
