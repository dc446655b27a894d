"""What a test of a rule may say (`tests:` of a rule file), as pydantic models: a timetable of events, and expectations.

Each model checks itself; `load` reads the tests of rule files with these and says where something is wrong, `run` lets
them happen. `tests_schema` describes them for editors; the schema of rule files takes it in.
"""

from collections.abc import Collection, Iterator
from itertools import chain
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from opsbridge.documents.text import Loc
from opsbridge.rules.language.fields import CONFIG, Duration, Grace, Moment, Name, Severity, Words, whole
from opsbridge.testing.entries import (
    ENTRIES,
    LISTS,
    AlertEntry,
    ChangeEntry,
    DroppedEntry,
    Entry,
    IncidentEntry,
    NotificationEntry,
    ProblemEntry,
    RequestEntry,
    ResponseEntry,
    ShadowEntry,
    WithheldEntry,
)
from opsbridge.testing.spoken import REFERENCES, Learned, Spoken

DEFAULT_START: Final = 1_767_614_400_000
"""2026-01-05T12:00:00Z, a Monday: what `at: 0s` means if a test does not say."""

_EARLIEST: Final = 946_684_800_000
_LATEST: Final = 4_102_444_800_000
"""2000-01-01 and 2100-01-01: no event of a test is outside, as none is that a source may send."""

_Times = Annotated[int, *whole(1, 10_000)]


class Arrival(BaseModel):
    """An event of a timetable, or several of the same kind: the canonical event, with times since the start."""

    model_config = CONFIG

    at: Grace
    """When it happens, since the start: 0s, 90s, 2m."""
    every: Duration | None = None
    """With `times`: it happens again after so long."""
    times: _Times | None = None
    """With `every`: how often it happens in all."""
    id: Name | None = None
    """Its id; e1 is the first entry's, e2 the second's. Of an entry that is repeated, events are e2.1, e2.2 and on."""
    ci: Name
    """The CI that it is about."""
    class_: Name = Field(alias="class")
    """What happened there."""
    state: Literal["firing", "resolved"] = "firing"
    """Whether it is a problem, or its end."""
    severity: Severity | None = None
    """How bad it is; a firing event needs it."""
    source: str = ""
    """The tool that tells."""
    summary: str = ""
    """A line for people."""
    labels: dict[str, str] = {}
    """Whatever else the tool says."""
    fingerprint: Name | None = None
    """The tool's own key of the alert."""

    @model_validator(mode="after")
    def _repeats_wholly(self) -> Self:
        if (self.every is None) != (self.times is None):
            raise PydanticCustomError("half_repeated", "repeats with every and times, both or none")
        if self.state == "firing" and self.severity is None:
            raise PydanticCustomError("no_severity", "a firing event needs a severity")
        return self


class Expectation(BaseModel):
    """What is so at a time. Only the lists that are given are looked at; each is complete unless `contains`."""

    model_config = CONFIG

    at: Grace
    """When, since the start. Late events are given their time, but what happens later is not heard."""
    contains: bool = False
    """The lists are not complete: there may be more."""
    alerts: list[AlertEntry] | None = None
    """Alerts that fire and are delivered."""
    withheld: list[WithheldEntry] | None = None
    """Alerts that fire and are withheld by hold, flapping, maintenance or inhibit."""
    dropped: list[DroppedEntry] | None = None
    """Events that went no further than the rules so far: suppressed, informational or routed."""
    incidents: list[IncidentEntry] | None = None
    """Incidents told so far that are not part of another."""
    shadow: list[ShadowEntry] | None = None
    """What rules in trial would have done so far."""
    responses: list[ResponseEntry] | None = None
    """Auto-responses so far, as they stand."""
    changes: list[ChangeEntry] | None = None
    """Requests for change so far, as they stand."""
    requests: list[RequestEntry] | None = None
    """Service requests so far, as they stand."""
    notifications: list[NotificationEntry] | None = None
    """Notifications so far."""
    problems: list[ProblemEntry] | None = None
    """Problems so far, as they stand."""

    @model_validator(mode="after")
    def _checks_something(self) -> Self:
        lists = dict(self.lists())
        if not lists:
            raise PydanticCustomError("no_list", f"checks nothing: give one of {', '.join(LISTS)}")
        if self.contains and not all(lists.values()):
            raise PydanticCustomError("empty_contains", "checks nothing: with contains, a list needs an entry")
        return self

    def lists(self) -> "Iterator[tuple[str, list[Entry]]]":
        """(name, entries) of the lists that are given."""
        for name in LISTS:
            if (entries := getattr(self, name)) is not None:
                yield name, [entry for entry in entries for _ in range(entry.times)]


class Timetable(BaseModel):
    """One test of a rule: what happens, and what should follow of it with the rules of its file."""

    model_config = CONFIG

    name: Words
    """What it shows, in a few words; no two tests of a rule have the same."""
    description: str = ""
    """The long version."""
    start: Moment = DEFAULT_START
    """The time that `at: 0s` means; 2026-01-05T12:00:00Z, a Monday, if it is not said."""
    topology: dict[str, object] | None = None
    """CIs and dependencies, as a topology file says them; without, every CI is unknown."""
    events: list[Arrival] = []
    """What happens; events of the same time in the order in which they are written."""
    feedback: list[Spoken] = []
    """What people and executors say; after the events of the same time."""
    context: list[Learned] = []
    """Change records that are learned; before the events of the same time."""
    known_errors: list[dict[str, object]] = []
    """Known errors, as their file says them."""
    expect: list[Expectation] = []
    """What should follow."""

    @model_validator(mode="after")
    def _checks_something(self) -> Self:
        if not self.expect:
            raise PydanticCustomError("no_expectation", "checks nothing: say under expect what should follow")
        return self

    @model_validator(mode="after")
    def _is_of_this_century(self) -> Self:
        if self.start < _EARLIEST:
            raise PydanticCustomError("too_early", "starts before 2000-01-01")
        ends = (event.at + (event.every or 0) * (event.times or 1) for event in self.events)
        others = (
            (each.at for each in self.expect),
            (each.at for each in self.feedback),
            (each.at for each in self.context),
        )
        if self.start + max((*ends, *chain(*others)), default=0) > _LATEST:
            raise PydanticCustomError("too_late", "goes on after 2100-01-01")
        return self


_MODELS: Final[dict[str, type[BaseModel]]] = {
    "events": Arrival,
    "feedback": Spoken,
    "context": Learned,
    "expect": Expectation,
}


def known_fields(loc: Loc) -> Collection[str]:
    """What a mapping at this place of a test may say."""
    match loc:
        case ("expect", _, str(name), _) if name in ENTRIES:
            model: type[BaseModel] = ENTRIES[name]
        case ("feedback", _, str(name)) if name in REFERENCES:
            model = REFERENCES[name]
        case (str(name), _) if name in _MODELS:
            model = _MODELS[name]
        case _:
            model = Timetable
    return [field.alias or name for name, field in model.model_fields.items()]


def tests_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of the value of `tests`; references are to its own `$defs`."""
    return TypeAdapter(list[Timetable]).json_schema()
