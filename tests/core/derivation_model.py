"""What a rule should tell of one group, worked out from its whole history at once, slowly and in another way.

Exact fractions instead of floats, every choice of events tried instead of the best remembered, firings read off the
list of moments at which the condition held. Nothing is shared with the code but the words.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise, product
from typing import NamedTuple

from opsbridge.core import rulebook
from opsbridge.core.rulebook import Derivation, Heartbeat, Threshold, Trend


class Item(NamedTuple):
    """One mark of an event."""

    time: int
    id: str
    part: int
    value: float | None


Told = tuple[int, bool]
"""(time, whether it fires)"""


def told_by(rule: Derivation, history: Sequence[Item], until: int) -> list[Told]:
    """All turns up to and including a time."""
    items = sorted(set(history), key=lambda item: (item.time, item.id, item.part))
    turns: Iterator[Told]
    match rule:
        case Threshold():
            turns = _while_it_holds(rule, items)
        case rulebook.Sequence(missing=True):
            turns = _unanswered(rule, items)
        case rulebook.Sequence():
            turns = _firings(_complete(rule, items), rule.resolve_after)
        case Heartbeat():
            turns = _silences(rule, items)
        case Trend():
            turns = _predictions(rule, items)
        case _:
            raise AssertionError(rule)
    return [turn for turn in turns if turn[0] <= until]


def _firings(moments: Sequence[int], after: int) -> Iterator[Told]:
    """One firing per run of moments that are no further apart than that."""
    gaps = [index for index, (one, next_) in enumerate(pairwise(moments), 1) if next_ - one > after]
    for first, last in pairwise([0, *gaps, len(moments)]):
        if first < last:
            yield moments[first], True
            yield moments[last - 1] + after, False


def _while_it_holds(rule: Threshold, items: list[Item]) -> Iterator[Told]:
    """Asked of all that is in the window of every moment at which that can change, each by itself."""
    counted = [item for item in items if item.value is not None or rule.measure == "event_count"]
    moments = sorted({item.time + shift for item in counted for shift in (0, rule.timespan, rule.timespan + 1)})
    held = [(moment, _holds(rule, counted, moment)) for moment in moments]
    begins = [at for (_, before), (at, now) in pairwise([(0, False), *held]) if now and not before]
    ends = [at for (_, before), (at, now) in pairwise(held) if before and not now]
    spans = list(zip(begins, ends, strict=True))  # after the last moment, nothing is in the window
    for index, (begin, over) in enumerate(spans):
        if index == 0 or begin > spans[index - 1][1] + rule.resolve_after:
            yield begin, True
        if index == len(spans) - 1 or spans[index + 1][0] > over + rule.resolve_after:
            yield over + rule.resolve_after, False


def _holds(rule: Threshold, counted: list[Item], moment: int) -> bool:
    window = [item for item in counted if moment - rule.timespan <= item.time <= moment]
    return bool(window) and rule.holds(_measure(rule, window))


def _measure(rule: Threshold, window: list[Item]) -> float:
    values = [Fraction(item.value) for item in window if item.value is not None]
    match rule.measure:
        case "event_count":
            return len(window)
        case "value_count":
            return len(set(values))
        case "value_sum":
            return float(sum(values))
        case "value_avg":
            return float(sum(values) / len(values))
        case _:
            share = Fraction(str(rule.percentile)) / 100 * len(values)
            return float(min(value for value in values if sum(known <= value for known in values) >= share))


def _chains(rule: rulebook.Sequence, items: list[Item], length: int) -> Iterator[tuple[Item, ...]]:
    """Every choice of one event per step, all different, within the span."""
    steps = [[item for item in items if item.part == step] for step in range(length)]
    for chain in product(*steps):
        times = [item.time for item in chain]
        if len({(item.time, item.id) for item in chain}) == length and max(times) - min(times) <= rule.timespan:
            yield chain


def _in_order(chain: tuple[Item, ...]) -> bool:
    return all(one.time <= other.time for one, other in pairwise(chain))


def _complete(rule: rulebook.Sequence, items: list[Item]) -> list[int]:
    chains = [chain for chain in _chains(rule, items, rule.steps) if not rule.ordered or _in_order(chain)]
    ends = sorted({max(item.time for item in chain) for chain in chains})
    if rule.ordered:
        return ends
    return sorted(  # any event keeps a window that is complete
        {
            item.time
            for item in items
            for chain in chains
            if item.time - rule.timespan <= min(known.time for known in chain)
            and max(known.time for known in chain) <= item.time
        }
    )


def _unanswered(rule: rulebook.Sequence, items: list[Item]) -> Iterator[Told]:
    answers = [item for item in items if item.part == rule.steps - 1]
    begun = {chain[-1] for chain in _chains(rule, items, rule.steps - 1) if _in_order(chain)}
    overdue = {
        begin.time + rule.timespan
        for begin in begun
        if not any(
            begin.time <= answer.time <= begin.time + rule.timespan and answer[:2] != begin[:2] for answer in answers
        )
    }
    end = None
    moments = sorted([(answer.time, False) for answer in answers] + [(time, True) for time in overdue])
    for time, fires in moments:
        if end is not None and time > end:
            yield end, False
            end = None
        if fires:
            if end is None:
                yield time, True
            end = time + rule.resolve_after
        elif end is not None:
            yield time, False
            end = None
    if end is not None:
        yield end, False


def _silences(rule: Heartbeat, items: list[Item]) -> Iterator[Told]:
    times = sorted({item.time for item in items})
    for one, other in pairwise([*times, None]):
        if one is not None and (other is None or other > one + rule.overdue_after):
            yield one + rule.overdue_after, True
            if other is not None:
                yield other, False


def _predictions(rule: Trend, items: list[Item]) -> Iterator[Told]:
    samples = [item for item in items if item.value is not None]
    firing = False
    for index, sample in enumerate(samples):
        if firing and sample.time > samples[index - 1].time + rule.over:
            yield samples[index - 1].time + rule.over, False
            firing = False
        window = [known for known in samples[: index + 1] if known.time >= sample.time - rule.over]
        if len(window) < rule.samples:
            continue
        says = _predicted(rule, window, Fraction(5, 4) if firing else Fraction(1))
        if says != firing:
            firing = says
            yield sample.time, firing
    if firing:
        yield samples[-1].time + rule.over, False


def _predicted(rule: Trend, window: list[Item], horizons: Fraction) -> bool:
    """Where the line that fits best is at its end, and one horizon later: on the far side of the limit?"""
    number, end = len(window), window[-1].time
    xs = [Fraction(item.time - end) for item in window]
    ys = [Fraction(item.value or 0) for item in window]
    x, y = sum(xs), sum(ys)
    xx = sum(value * value for value in xs)
    xy = sum(one * other for one, other in zip(xs, ys, strict=True))
    determinant = number * xx - x * x
    slope = (number * xy - x * y) / determinant if determinant else Fraction(0)
    level = (y - slope * x) / number
    then = level + slope * rule.horizon * horizons
    limit = Fraction(rule.limit)
    return max(level, then) >= limit if rule.rising else min(level, then) <= limit
