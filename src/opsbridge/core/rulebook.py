"""What the rules say, as the core asks for it: one immutable object, made by `rules.compile_rules`, swapped as a whole.

Stateless questions are functions (`prepare`, `judge`, `listen`), asked by intake. What needs memory is described here
as data: derivations and gates live in the first level, inhibitions in the second. An event carries the marks of the
rules with memory that it concerns, so that whoever keeps the memory need not look at the event again.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from opsbridge.core.calendar import Windows
from opsbridge.core.case import Case
from opsbridge.core.classes import Join, Profiles
from opsbridge.core.event import Event, Judge, Mark, Verdict
from opsbridge.core.graph import CI
from opsbridge.core.records import KnownError, Level, PriorityName

Prepare = Callable[[Event, CI], Event]
"""Enrichment and identity: the event with labels added and with the fingerprint that rules give it."""

Listen = Callable[[Event, CI], tuple[Mark, ...]]
"""The marks of a resolution: it is never judged, but rules with memory may want to hear of it."""


class Raise(msgspec.Struct, frozen=True):
    """The alert that a derivation raises. Its fingerprint is rule and group; its source is `opsbridge`."""

    class_: str
    severity: int
    summary: str = ""
    """May name the group's fields and figures: `{ci}`, `{labels.user}`, `{count}`, `{value}`."""
    ci: str = ""
    """The CI that it is about; empty: the one that the group names."""
    ci_at: int = 0
    """Where in the group's fields the CI stands, if `ci` is empty."""


class Derivation(msgspec.Struct, frozen=True, kw_only=True):
    """What all rules have in common that make alerts of several events, or of their absence."""

    rule: str
    """The rule's id."""
    key: str
    """Id and digest: state that was kept for another version of the rule is not its state."""
    raises: Raise
    group_by: tuple[str, ...] = ("ci",)
    """The fields whose values, joined by \\x1f, make a mark's `group`. With `ci`, all is in one partition."""
    shadow: bool = False
    """It decides, but only reports."""
    depth: int = 0
    """0: hears no derived alert; else one more than the deepest rule whose alerts it hears."""

    def home(self, group: str) -> str:
        """The text whose hash decides where a group is kept: its CI if it names one, else all of it."""
        if len(self.group_by) == 1 or "ci" not in self.group_by:
            return group
        return self.values(group)[self.group_by.index("ci")]

    def about(self, group: str) -> str:
        """The CI that the group's alert is about; empty if the group does not say."""
        return self.raises.ci or self.values(group)[self.raises.ci_at]

    def values(self, group: str) -> list[str]:
        """The values of the fields of `group_by`; where it is one field, its value may have any text in it."""
        return group.split("\x1f", len(self.group_by) - 1)


Measure = Literal["event_count", "value_count", "value_sum", "value_avg", "value_percentile"]


class Threshold(Derivation, frozen=True, kw_only=True):
    """Fires while a measure of the group's events within `timespan` meets the condition."""

    measure: Measure
    timespan: int
    """Milliseconds."""
    holds: Callable[[float], bool]
    at_least: int
    """Of counts, how many it takes: no more need be remembered. 0 where it is not a count."""
    percentile: float = 0.0
    """0 < p <= 100, for value_percentile."""
    resolve_after: int
    """Milliseconds for which the condition has to be over before the alert is resolved; 0: it ends with it."""


class Sequence(Derivation, frozen=True, kw_only=True):
    """Fires when events of all steps come within `timespan`; with `missing`, when the last step does not."""

    steps: int
    timespan: int
    """Milliseconds, from the first step to the last."""
    ordered: bool
    missing: bool = False
    """The last step has to come within `timespan` after the one before it; it fires if it does not, and is resolved
    when it comes after all."""
    resolve_after: int
    """Milliseconds after which the alert is resolved, unless the sequence comes again."""


class Heartbeat(Derivation, frozen=True, kw_only=True):
    """Fires when a group that has been heard, or is expected, is silent for too long; resolved by the next event."""

    overdue_after: int
    """Milliseconds of silence."""
    expected: tuple[str, ...] = ()
    """Groups (CI ids) watched from the beginning, whether or not they have ever been heard."""


class Trend(Derivation, frozen=True, kw_only=True):
    """Fires when a value, going on as it has, crosses `limit` within `horizon`."""

    limit: float
    rising: bool
    """Whether crossing means from below."""
    horizon: int
    """Milliseconds."""
    over: int
    """Milliseconds: of which samples the line is drawn."""
    samples: int
    """How many samples it takes at least."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What rules have in common that withhold the opening of an alert; its resolution they never do."""

    rule: str
    shadow: bool = False


class Hold(Gate, frozen=True, kw_only=True):
    """An alert counts only when it has fired for so long."""

    for_ms: int


class Flapping(Gate, frozen=True, kw_only=True):
    """An alert that changes its state `enter` times within `within` is withheld until it does so `leave` times or less.

    A change is an opening or a resolution.
    """

    enter: int
    leave: int
    within: int
    """Milliseconds."""


class Maintenance(Gate, frozen=True, kw_only=True):
    """Alerts that begin in a window are withheld until it ends."""

    windows: Windows
    changes: bool = False
    """Windows are those of change records (context.py) that suppress; `windows` counts for nothing then."""
    remind_ms: int = 0
    """So long before a window ends, operators are reminded; 0: not."""


class Inhibition(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts are withheld while another one fires: marks of both parts with the same group belong together."""

    rule: str
    shadow: bool = False


SOURCE: Final = 0
TARGET: Final = 1
"""Parts of an inhibition's marks. Its group has the values of `equal`."""


class Priority(msgspec.Struct, frozen=True):
    """How urgent a situation is, and what that obliges to."""

    name: PriorityName
    impact: Level
    urgency: Level
    rule: str = ""
    """Empty: the default matrix (response/priority.py)."""
    acknowledge_ms: int | None = None
    """Target times after opening (or reopening), milliseconds; None: there is none."""
    resolve_ms: int | None = None
    warn_at: float = 0.8
    """The share of the resolve target after which it nears."""
    remind_ms: int | None = None
    """So often people are reminded of an open incident; None: never."""
    escalate_to: tuple[str, ...] = ()
    """Whom each further escalation goes to, the last one for all that follow; empty: the assignment group."""


Prioritise = Callable[[Case], Priority]


class Handling(msgspec.Struct, frozen=True):
    """Whether a situation is an incident, and what is said of it. Texts may have placeholders (case.py)."""

    rule: str = ""
    """The rule that decides; empty: none does."""
    response: Literal["incident", "none"] = "incident"
    """none: people are told nothing."""
    category: str = ""
    group: str = ""
    """The assignment group; empty: that of the root, else its owner."""
    runbook: str = ""
    links: tuple[str, ...] = ()


class Limit(msgspec.Struct, frozen=True):
    """At most so many within a time."""

    times: int
    within_ms: int


class BlastRadius(msgspec.Struct, frozen=True):
    """How much automation may do at most, however many situations ask for it; None: no limit of that kind."""

    per_ci: Limit | None = None
    """Of this action on one CI."""
    per_action: Limit | None = None
    """Of this action anywhere."""
    concurrent: int | None = None
    """Of this action, under way at the same time."""


class ActionCall(msgspec.Struct, frozen=True):
    """What an executor is asked to do. Texts of parameters may have placeholders."""

    action: str
    parameters: Mapping[str, str] = {}
    deadline_ms: int = 120_000
    """So long after the request its result has to come."""


class AutoResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Do something about a situation, and see whether it helped."""

    rule: str
    call: ActionCall
    requires: Callable[[Case], bool] | None = None
    """Has to hold whenever it is about to be requested; else it is refused."""
    requires_text: str = ""
    """The same as an operator reads it."""
    approval_group: str = ""
    """Who has to approve; empty: nobody."""
    approval_ms: int = 600_000
    """So long they may take."""
    attempts: int = 1
    retry_ms: int = 30_000
    """So long after an attempt was not effective the next one is made."""
    verify: Literal["cleared", "probe", "result"] = "cleared"
    """What proves it effective: no alert of the situation fires, a probe succeeds, or that it was done."""
    verify_ms: int = 300_000
    """So long after the result the proof has to come."""
    probe: ActionCall | None = None
    rollback: ActionCall | None = None
    """Done when all attempts have failed."""
    before_incident: bool = False
    """People are told nothing while it is under way, and nothing if it is effective."""
    limits: BlastRadius = BlastRadius()


class Ticket(msgspec.Struct, frozen=True):
    """Raise a request for change or a service request."""

    rule: str
    kind: Literal["change", "request"]
    title: str = ""
    category: str = ""
    group: str = ""
    links: tuple[str, ...] = ()


class Notify(msgspec.Struct, frozen=True):
    """Tell somebody, without an incident or besides it: when the situation is first told, or begins to match."""

    rule: str
    to: str
    text: str = ""


class ProblemWatch(msgspec.Struct, frozen=True):
    """Open a problem when matching situations recur."""

    rule: str
    same: tuple[str, ...]
    """Placeholders whose values they have in common: `root.ci`, `root.class`, ..."""
    times: int
    within_ms: int
    title: str = ""
    category: str = ""
    group: str = ""


Further = AutoResponse | Ticket | Notify | ProblemWatch


class Selection(msgspec.Struct, frozen=True):
    """What is decided for a situation: incident or nothing, and whatever is done besides, in the order of the rules."""

    handling: Handling = Handling()
    further: tuple[Further, ...] = ()


Respond = Callable[[Case], Selection]
"""What a situation's news mean for people and machines."""

KnownErrors = Callable[[Case], tuple[KnownError, ...]]
"""The known errors that match a situation."""


def incident_always(_case: Case) -> Selection:
    """The answer of an empty rule set."""
    return Selection()


def none_known(_case: Case) -> tuple[KnownError, ...]:
    """The known errors of an empty database."""
    return ()


def no_verdict(_event: Event, _ci: CI) -> Verdict | None:
    """The judge of an empty rule set."""
    return None


class Rulebook(msgspec.Struct, frozen=True, kw_only=True):
    """All that the core is told by rules."""

    judge: Judge = no_verdict
    prepare: Prepare | None = None
    listen: Listen | None = None
    profiles: Profiles = msgspec.field(default_factory=Profiles)
    joins: tuple[Join, ...] = ()
    derivations: Mapping[str, Derivation] = msgspec.field(default_factory=dict)
    """By key, which is a mark's `rule`."""
    gates: Mapping[str, Gate] = msgspec.field(default_factory=dict)
    """By rule id, which is a mark's `rule`: a window that is made longer holds for what it withholds already."""
    inhibitions: Mapping[str, Inhibition] = msgspec.field(default_factory=dict)
    """By rule id, which is a mark's `rule`."""
    respond: Respond = incident_always
    prioritise: Prioritise | None = None
    """None: the default matrix."""
    known_errors: KnownErrors = none_known
    trials: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Filters and classifications in trial (`shadow: true`), by rule id: `drop`, `keep`, `route` or `classify`."""


EMPTY: Final = Rulebook()
