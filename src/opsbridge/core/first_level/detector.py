"""What every rule that makes alerts of several events is as code, and what is kept of each of its groups.

A `Detector` is one rule's condition: it turns what is heard, and the time, into changes of the group's alert. It knows
nothing of events, partitions or the order of arrival: derivations.py, which calls it, brings everything in order of
time, and at once what comes too late. `GroupState` is what it remembers, saved as a JSON array: the order of its fields
is the format of the changelog. Windows that slide with the events are here, too; what they measure is not.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import fsum, isfinite, nan
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from opsbridge.core.event import Event, Mark

NEVER: Final = -1

MAX_VALUES: Final = 10_000
"""So many values of a group are remembered, the newest, where a rule needs more than a count."""

LONGEST_TEXT: Final = 24
"""Longer texts are remembered by a digest, so that a group's record stays below the megabyte that brokers take."""

Value = float | str | None

Waiting = tuple[int, str, int, Value]
"""An event that is not worked on yet: its time, id, part and value."""


class Sample(NamedTuple):
    """An event that has been worked on, as far as it is remembered."""

    time: int
    tag: int
    """Tells events of the same time from each other: see `tag_of`."""
    part: int = 0
    value: Value = None


class GroupState(msgspec.Struct, array_like=True):
    """What is remembered of one group."""

    applied: int = NEVER
    """Place in the source of the newest event that was heard."""
    shadow: bool = False
    """The rule only reports what it would raise; told also when the rule is gone."""
    waiting: list[Waiting] = []
    """What is not worked on yet; a heap."""
    raised: Event | None = None
    """The derived event that opened the alert, while it fires."""
    met: int = NEVER
    """When the condition was met last. Of a heartbeat: when the silence began. Of a threshold: when its condition was
    over, or its alert ended; NEVER while it holds."""
    samples: list[Sample] = []
    """In order of time. Of an ordered sequence: those of the newest time only."""
    chain: list[tuple[int, int]] = []
    """Of an ordered sequence, before the newest time: per step when the latest chain up to it began and ended."""
    owed: list[int] = []
    """Of a sequence whose last step may be missing: since when it is awaited, oldest first."""
    answered: int = NEVER
    """Of a heartbeat and of a missing step: when it was heard last."""
    asked: int = NEVER
    """Of a threshold: the latest time at which its condition was asked."""
    ask: int = NEVER
    """Of a threshold: when its condition is to be asked next; NEVER while nothing is in the window."""


class AlertChange(NamedTuple):
    """An alert fires, or no longer."""

    firing: bool
    time: int
    figures: Mapping[str, float] = {}
    """What a summary may name: `count`, `value`, `limit`."""


Takes = Literal["events", "texts", "numbers"]
"""What a rule counts: events whatever their value; different values, as text; finite numbers."""


class Detector(Protocol):
    """One rule's condition, asked about one group at a time."""

    @property
    def takes(self) -> Takes:
        """What of a mark is brought to `hear`."""

    def hear(self, state: GroupState, sample: Sample) -> AlertChange | None:
        """What follows from an event; its time is not before that of the others, unless it is late."""

    def due(self, state: GroupState) -> int | None:
        """When `expire` has something to do next; None, and nothing fires: nothing is worth remembering."""

    def expire(self, state: GroupState, now: int) -> AlertChange | None:
        """What follows from the time that `due` named having come, and all events up to it having been heard."""


def counts(takes: Takes, mark: Mark) -> bool:
    """Whether an event with this mark counts at all: one without the value that is asked for does not."""
    if takes == "numbers":
        return isinstance(mark.value, int | float) and isfinite(mark.value)
    return takes == "events" or mark.value is not None


def value_of(takes: Takes, mark: Mark) -> Value:
    """What is remembered of a mark that counts: for one rule, always of one type."""
    return None if takes == "events" else mark.value if takes == "numbers" else _short(str(mark.value))


def _short(text: str) -> str:
    """A text, or a digest of one that takes more than `LONGEST_TEXT` bytes to save: only to be told from others."""
    if len(msgspec.json.encode(text)) - 2 <= LONGEST_TEXT:
        return text
    return blake2b(text.encode(), digest_size=8).hexdigest()


def tag_of(event: str) -> int:
    """A number that stands for an event's id: 48 bits, to be compared only between events of the same millisecond."""
    return int.from_bytes(blake2b(event.encode(), digest_size=6).digest())


def remember(samples: list[Sample], sample: Sample) -> bool:
    """Put a sample where it belongs; False if it was there already."""
    if not samples or sample > samples[-1]:
        samples.append(sample)
        return True
    low, high = 0, len(samples)
    while low < high:
        middle = (low + high) // 2
        if samples[middle] < sample:
            low = middle + 1
        else:
            high = middle
    if samples[low][:3] == sample[:3]:
        return False
    samples.insert(low, sample)
    return True


def forget_before(samples: list[Sample], time: int) -> None:
    """Drop the samples that are older than this."""
    if not samples or samples[0].time >= time:
        return
    gone = 1
    while gone < len(samples) and samples[gone].time < time:
        gone += 1
    del samples[:gone]


def total(values: Sequence[float]) -> float:
    """The sum, rounded once, so that no order of adding matters; not a number if it is beyond what floats can tell."""
    try:
        return fsum(values)
    except (OverflowError, ValueError):
        return nan
