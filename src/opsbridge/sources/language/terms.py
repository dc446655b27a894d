"""What a mapping file says, as data: value expressions, conditions, derived roots, and the mapping that they make up.

`expressions` and `reading` make these of a file, `function` generates code of them, `usage` tells which fields of a
payload they read.
"""

from collections.abc import Mapping as Mapped
from dataclasses import dataclass, field
from typing import Final, Literal

PAYLOAD: Final = "$"
"""The root that is the whole payload."""

HEADERS: Final = "headers"
"""The root that has the headers of the record or request, names in lower case."""

COMPUTED: Final = ("source", "ci", "class", "time", "state", "severity", "summary", "fingerprint", "id")
"""Fields of the event in the order in which they are worked out; each may use those before it, as `$NAME`."""


@dataclass(frozen=True, slots=True)
class Path:
    """A value of the payload: a root (a name of `each` or `let`, else a field of the payload) and the way from it."""

    root: str
    steps: tuple[str | int, ...]
    text: str
    """As the file says it."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A field of the event that has been worked out before: `$ci`."""

    name: str


@dataclass(frozen=True, slots=True)
class Const:
    """Always this text."""

    value: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """When the payload arrived; a time only."""


@dataclass(frozen=True, slots=True)
class First:
    """The first of these that is present."""

    options: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Template:
    """Texts put together; missing if one of them is."""

    parts: tuple["str | Path | Computed", ...]


@dataclass(frozen=True, slots=True)
class Hash:
    """The first 16 hex digits of SHA-256 over these texts with \\x1f between them; a missing one is empty."""

    parts: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What stands for a value in a table, whose keys are in lower case; None: missing."""

    of: "Expr"
    table: Mapped[str, str | None]
    default: "Expr | None" = None


@dataclass(frozen=True, slots=True)
class Ranges:
    """What stands for the largest bound that the number reaches; bounds rise."""

    of: "Expr"
    bounds: tuple[tuple[float, str], ...]
    default: "Expr | None" = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """The group of a regular expression, where it fits."""

    of: "Expr"
    pattern: str


@dataclass(frozen=True, slots=True)
class Number:
    """Arithmetic on whole numbers, as text: `mod`, `div`, or `hex` (so many digits)."""

    operation: Literal["mod", "div", "hex"]
    of: "Expr"
    by: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A text changed: its host part, in lower case, or what it is as JSON."""

    how: Literal["host", "lower", "json"]
    of: "Expr"


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: how it is written, which values count as missing, and the zone of one that has none."""

    of: "Expr"
    form: Literal["rfc3339", "epoch", "epoch_ms", "epoch_ns", "rfc3164"] = "rfc3339"
    without: frozenset[str] = frozenset()
    zone: str = ""
    nanoseconds: "Path | None" = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a value must be: present, absent, one of these texts (in lower case), none of them, or fit a pattern."""

    how: Literal["present", "absent", "in", "not", "pattern"]
    values: frozenset[str] = frozenset()
    pattern: str = ""
    words: str = ""
    """The values as the file says them."""


Conditions = tuple[tuple["Path | Computed", Wanted], ...]
"""All of them must hold."""


@dataclass(frozen=True, slots=True)
class When:
    """One of two expressions."""

    conditions: Conditions
    then: "Expr"
    otherwise: "Expr | None" = None


Expr = (
    Path
    | Computed
    | Const
    | Arrival
    | First
    | Template
    | Hash
    | Table
    | Ranges
    | Pattern
    | Number
    | Changed
    | Moment
    | When
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The value of JSON in a text; missing if it is none."""

    of: Expr


@dataclass(frozen=True, slots=True)
class Pairs:
    """A list of objects, each with a name and a value, as a mapping; values of the same name are joined by commas."""

    of: Expr
    key: str
    value: str
    """`otlp`: the field `value`, unwrapped from OpenTelemetry's AnyValue."""


@dataclass(frozen=True, slots=True)
class Split:
    """A text or list of texts, each `name:value`, as a mapping."""

    of: Expr
    by: str
    inner: str


@dataclass(frozen=True, slots=True)
class Groups:
    """The named groups of a pattern, where it fits."""

    of: Expr
    pattern: str


@dataclass(frozen=True, slots=True)
class Scan:
    """Every place where a pattern fits: its first group is a name, the second the value."""

    of: Expr
    pattern: str


@dataclass(frozen=True, slots=True)
class Single:
    """The only key of an object, or that key's value."""

    part: Literal["key", "value"]
    of: Expr


@dataclass(frozen=True, slots=True)
class Choice:
    """The first of these that is present."""

    options: tuple["Derived", ...]


Derived = Expr | Parsed | Pairs | Split | Groups | Scan | Single | Choice
"""What a root of `let` is."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Items that are understood, and withheld for this reason."""

    reason: str
    when: Conditions


@dataclass(frozen=True, slots=True)
class Labels:
    """Mappings merged, single values added, names left out."""

    from_: tuple[Path, ...] = ()
    add: tuple[tuple[str, Expr], ...] = ()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to recognise a payload: all of these hold."""

    conditions: tuple[tuple[Path, Wanted], ...]

    @property
    def words(self) -> str:
        """As a person reads it: `eventid is present, value is 0 or 1`."""
        return ", ".join(f"{path.text} {said(wanted)}" for path, wanted in self.conditions)


def said(wanted: Wanted) -> str:
    """A condition in words, after the name of what it is about."""
    match wanted.how:
        case "in":
            return f"is {wanted.words}"
        case "not":
            return f"is present and not {wanted.words}"
        case "pattern":
            return f"fits {wanted.pattern}"
    return f"is {wanted.how}"


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping file."""

    source: str
    title: str
    payload: Literal["json", "text"]
    fields: Mapped[str, Expr]
    """All but `labels`."""
    labels: Labels
    patterns: tuple[str, ...] = ()
    recognise: tuple[Alternative, ...] = ()
    priority: int = 0
    lets: Mapped[str, Derived] = field(default_factory=dict)
    each: Mapped[str, tuple[Path, ...]] = field(default_factory=dict)
    """Lists of items, one in the other; the first path that is present."""
    skip: tuple[Skip, ...] = ()
    by_key: bool = False
    path: str = ""
    """The file."""
