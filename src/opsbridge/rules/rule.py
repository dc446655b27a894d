"""A rule as the loader hands it to the compiler: whom it asks for, and what it says.

`load` makes these from files; `compile_rules` puts the questions into functions and hands what is said to the core.
Nothing here reads files or decides anything.
"""

from dataclasses import dataclass, field
from typing import Literal

from opsbridge.core.event import Verdict
from opsbridge.core.response.priority import Scale
from opsbridge.core.rulebook import Derivation, Further, Gate, Handling, Inhibition
from opsbridge.rules.correlation import Correlate
from opsbridge.rules.matching.conditions import Match

Kind = Literal[
    "filter",
    "classify",
    "enrich",
    "dedup",
    "hold",
    "flapping",
    "heartbeat",
    "threshold",
    "sequence",
    "trend",
    "maintenance",
    "inhibit",
    "correlate",
    "priority",
    "respond",
]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to every event: does it match, and if so, which mark does it get?"""

    match: Match
    """Empty: every event."""
    part: int = 0
    group_by: tuple[str, ...] = ()
    """Fields whose values make the mark's group."""
    measures: str = ""
    """The field whose value the mark carries; empty: none."""
    as_number: bool = False
    """The value is a number, or is not counted."""
    firing: bool = True
    """It is asked of firing events."""
    resolved: bool = False
    """It is asked of resolutions; a field that a resolution need not have is then not asked for (loader's care)."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A label's new value: this text."""

    text: str


@dataclass(frozen=True, slots=True)
class FromField:
    """A label's new value: that of a field (`ci.owner`, `class`, `labels.host`); none if it is empty."""

    field: str


@dataclass(frozen=True, slots=True)
class FromTable:
    """A label's new value: what the table has for the value of a field; none if it has nothing."""

    table: dict[str, str]
    by: str


@dataclass(frozen=True, slots=True)
class Enrich:
    """Labels that are added, or replaced, by name without `labels.`; the first rule that sets a label wins."""

    labels: dict[str, Constant | FromField | FromTable]


@dataclass(frozen=True, slots=True)
class Identify:
    """The fields that make an alert's fingerprint; the first rule that matches wins."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """A filter that lets an event pass whatever later filters say."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A maintenance window, and the CIs that it is for."""

    gate: Gate
    cis: Match
    """Over `ci` and `ci.*` only; empty: all."""
    inherit: bool
    """Also for the CIs that are lost without these (core/impact.py)."""


@dataclass(frozen=True, slots=True)
class Respond:
    """What is decided for the situations that match."""

    match: Match
    """Over the fields of situations (situations.py)."""
    answer: Handling | Further
    last: bool = False
    """No rule after it is asked about a situation that matches."""


@dataclass(frozen=True, slots=True)
class Prioritised:
    """How urgent the situations are that match."""

    match: Match
    """Over the fields of situations; empty: every one."""
    scale: Scale


Says = Verdict | Keep | Enrich | Identify | Derivation | Gate | Planned | Inhibition | Correlate | Prioritised | Respond


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to be compiled."""

    id: str
    kind: Kind
    says: Says
    asks: tuple[Ask, ...] = ()
    """None: a rule for correlation, or for situations."""
    shadow: bool = False
    title: str = ""
    description: str = ""
    path: str = ""
    line: int = 0
    """Where it begins in its file, from 1; 0 if nobody knows."""
    text: str = field(default="", repr=False)
    """The rule as canonical JSON, so that two loads can be compared."""
    expects: Match | None = None
    """Of a heartbeat: over `ci` and `ci.*`, the CIs that are watched from the beginning; None: those that are heard."""

    @property
    def mark(self) -> str:
        """By which name its marks go: state that was kept for another version of a derivation is not its state."""
        return self.says.key if isinstance(self.says, Derivation) else self.id

    def whole_match(self, ask: Ask) -> Match:
        """All that a question asks, of the CI and of the event: a maintenance window says it in two places."""
        return self.says.cis | ask.match if isinstance(self.says, Planned) else ask.match
