"""What a test of a rule may say (`tests:` of a rule file), as pydantic models: a timetable of events, and expectations.

Each model checks itself; `load` reads the tests of rule files with these and says where something is wrong, `run` lets
them happen. `tests_schema` describes them for editors; the schema of rule files takes it in.
"""

from collections.abc import Collection, Iterator
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from opsbridge.documents.text import Loc
from opsbridge.rules.language.fields import CONFIG, Duration, Grace, Moment, Severity, Slug, Words, whole

DEFAULT_START: Final = 1_767_614_400_000
"""2026-01-05T12:00:00Z, a Monday: what `at: 0s` means if a test does not say."""

_EARLIEST: Final = 946_684_800_000
_LATEST: Final = 4_102_444_800_000
"""2000-01-01 and 2100-01-01: no event of a test is outside, as none is that a source may send."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=512)]
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
    status: Literal["open", "resolved", "closed"] | None = None
    """Its status."""
    severity: Severity | None = None
    """Its severity."""
    alerts: Annotated[int, *whole(0, 1_000_000)] | None = None
    """How many alerts it has."""
    firing: Annotated[int, *whole(0, 1_000_000)] | None = None
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


ENTRIES: Final[dict[str, type[Entry]]] = {
    entry.title: entry for entry in (AlertEntry, WithheldEntry, DroppedEntry, IncidentEntry, ShadowEntry)
}
LISTS: Final = tuple(ENTRIES)
"""The lists that an expectation may give, in the order in which they are compared."""


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
        if self.start + max((*ends, *(each.at for each in self.expect)), default=0) > _LATEST:
            raise PydanticCustomError("too_late", "goes on after 2100-01-01")
        return self


_MODELS: Final[dict[str, type[BaseModel]]] = {"events": Arrival, "expect": Expectation}


def known_fields(loc: Loc) -> Collection[str]:
    """What a mapping at this place of a test may say."""
    match loc:
        case ("expect", _, str(name), _) if name in ENTRIES:
            model: type[BaseModel] = ENTRIES[name]
        case (str(name), _) if name in _MODELS:
            model = _MODELS[name]
        case _:
            model = Timetable
    return [field.alias or name for name, field in model.model_fields.items()]


def tests_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of the value of `tests`; references are to its own `$defs`."""
    return TypeAdapter(list[Timetable]).json_schema()
