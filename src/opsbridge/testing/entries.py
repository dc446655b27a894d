"""What the lists of an expectation may ask for (`expect:` of a rule's test), one model for each kind of line.

`timetable` takes them in, `view` tells what is so under the same names, and `compare` holds one against the other.
"""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from opsbridge.core.records import Level, NotificationReason, PriorityName, ResponseStatus
from opsbridge.rules.language.fields import CONFIG, Severity, Slug, whole

_Times = Annotated[int, *whole(1, 10_000)]
_Count = Annotated[int, *whole(0, 1_000_000)]


class Entry(BaseModel):
    """A line of an expected list. It stands for something found that has all that it says."""

    model_config = CONFIG

    title: ClassVar[str]
    """What the list is called."""

    times: _Times = 1
    """As if it were written so often."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.said():
            raise PydanticCustomError("says_nothing", "says nothing: name at least one field")
        return self

    def said(self) -> dict[str, str | int]:
        """What it asks for, by the names of the file."""
        said: dict[str, str | int] = self.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
        return {name: value for name, value in said.items() if name != "times"}


class AlertEntry(Entry):
    """An alert that fires and is delivered."""

    title = "alerts"

    ci: str | None = None
    """The CI that it is about."""
    class_: str | None = Field(default=None, alias="class")
    """Its class."""
    severity: Severity | None = None
    """Its severity, as rules left it."""
    summary: str | None = None
    """Its summary."""
    fingerprint: str | None = None
    """Its identity, where it is not just CI and class."""
    rule: str | None = None
    """The rule that raised or classified it."""


class WithheldEntry(Entry):
    """An alert that fires and is withheld now."""

    title = "withheld"

    ci: str | None = None
    """The CI that it is about."""
    class_: str | None = Field(default=None, alias="class")
    """Its class."""
    severity: Severity | None = None
    """Its severity."""
    fingerprint: str | None = None
    """Its identity, where it is not just CI and class."""
    by: str | None = None
    """The rule that withholds it."""
    kind: Literal["hold", "flapping", "maintenance", "inhibit"] | None = None
    """The kind of that rule."""


class DroppedEntry(Entry):
    """An event that went no further than the rules, so far."""

    title = "dropped"

    event: str | None = None
    """Its id."""
    by: str | None = None
    """The rule that decided so; `severity` of an event that is informational by its severity."""
    as_: Literal["suppressed", "informational", "routed"] | None = Field(default=None, alias="as")
    """What became of it."""
    to: str | None = None
    """The route that it was sent to."""


class IncidentEntry(Entry):
    """An incident that was told; one that became part of another is not listed."""

    title = "incidents"

    root: str | None = None
    """The CI that is blamed."""
    class_: str | None = Field(default=None, alias="class")
    """The class of the root's alert."""
    status: Literal["open", "acknowledged", "assigned", "in_progress", "resolved", "reopened", "closed"] | None = None
    """Its status."""
    severity: Severity | None = None
    """Its severity."""
    priority: PriorityName | None = None
    """Its priority."""
    impact: Level | None = None
    """Its impact."""
    urgency: Level | None = None
    """Its urgency."""
    category: str | None = None
    """Its category."""
    group: str | None = None
    """Its assignment group."""
    assignee: str | None = None
    """Who works on it."""
    runbook: str | None = None
    """Where it says what to do."""
    known_error: str | None = None
    """The ids of its known errors, joined by `, `."""
    changed: str | None = None
    """The ids of the recent changes that it names, joined by `, `."""
    problem: Slug | None = None
    """The rule that opened the problem which it belongs to."""
    reopened: _Count | None = None
    """How often it has begun again."""
    escalations: _Count | None = None
    """How often it has been escalated."""
    alerts: _Count | None = None
    """How many alerts it has."""
    firing: _Count | None = None
    """How many of them fire."""


class ShadowEntry(Entry):
    """What a rule in trial would have done, so far."""

    title = "shadow"

    rule: Slug | None = None
    """The rule."""
    would: Literal["drop", "keep", "route", "classify", "raise", "resolve", "withhold", "release"] | None = None
    """What it would have done."""
    ci: str | None = None
    """The CI of the event that it was about."""
    class_: str | None = Field(default=None, alias="class")
    """The class of that event."""
    event: str | None = None
    """The id of that event."""


class ResponseEntry(Entry):
    """An auto-response, as it stands."""

    title = "responses"

    rule: Slug | None = None
    """The rule that wants it."""
    ci: str | None = None
    """The CI that it is about."""
    action: str | None = None
    """What is asked of executors now, or was last."""
    parameters: dict[str, str] | None = None
    """What they are told besides."""
    status: ResponseStatus | None = None
    """What it has come to."""
    attempt: _Count | None = None
    """The number of the attempt."""
    group: str | None = None
    """Who has to approve it."""
    outcome: str | None = None
    """Why it ended as it did."""

    def said(self) -> dict[str, str | int]:
        """What it asks for; parameters as one text."""
        said = super().said()
        return said if self.parameters is None else {**said, "parameters": told(self.parameters)}


class TicketEntry(Entry):
    """A request for change, or a service request, as it stands."""

    rule: Slug | None = None
    """The rule that raised it."""
    root: str | None = None
    """The CI that is blamed."""
    title_: str | None = Field(default=None, alias="title")
    """Its title."""
    status: Literal["open", "closed", "merged"] | None = None
    """Its status."""
    priority: PriorityName | None = None
    """Its priority."""
    category: str | None = None
    """Its category."""
    group: str | None = None
    """Who is to do it."""


class ChangeEntry(TicketEntry):
    """A request for change, as it stands."""

    title = "changes"


class RequestEntry(TicketEntry):
    """A service request, as it stands."""

    title = "requests"


class NotificationEntry(Entry):
    """A notification that somebody got so far."""

    title = "notifications"

    reason: NotificationReason | None = None
    """Why."""
    to: str | None = None
    """Who."""
    text: str | None = None
    """What they were told."""
    rule: Slug | None = None
    """The rule that says so; none for what every incident brings."""
    root: str | None = None
    """The CI that its incident blames."""
    priority: PriorityName | None = None
    """The incident's priority."""
    level: _Count | None = None
    """Of an escalation: the first, second..."""


class ProblemEntry(Entry):
    """A problem, as it stands."""

    title = "problems"

    rule: Slug | None = None
    """The rule that opened it."""
    same: str | None = None
    """What its incidents have in common, joined by `, `."""
    title_: str | None = Field(default=None, alias="title")
    """Its title."""
    status: Literal["open", "closed"] | None = None
    """Its status."""
    count: _Count | None = None
    """How many incidents it has had."""
    category: str | None = None
    """Its category."""
    group: str | None = None
    """Who is to solve it."""


def told(parameters: dict[str, str]) -> str:
    """Parameters as one text, in the order of their names."""
    return ", ".join(f"{name}={value}" for name, value in sorted(parameters.items()))


ENTRIES: Final[dict[str, type[Entry]]] = {
    entry.title: entry
    for entry in (
        AlertEntry,
        WithheldEntry,
        DroppedEntry,
        IncidentEntry,
        ShadowEntry,
        ResponseEntry,
        ChangeEntry,
        RequestEntry,
        NotificationEntry,
        ProblemEntry,
    )
}
LISTS: Final = tuple(ENTRIES)
"""The lists that an expectation may give, in the order in which they are compared."""
