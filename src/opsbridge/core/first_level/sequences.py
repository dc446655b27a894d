"""Sequences: events of all steps within a time span, in any order or in theirs, or with the last of them missing.

Sigma's `temporal` and `temporal_ordered`, and what its extended conditions say as `A and not B`. Sigma leaves open
whether one event may stand for several steps; here each step needs an event of its own, so that a rule never fires for
one event that is described twice. Events of the same millisecond are in whatever order the sequence needs.
"""

from collections.abc import Iterable
from typing import Final

from opsbridge.core.first_level.detector import (
    MAX_VALUES,
    NEVER,
    AlertChange,
    Detector,
    GroupState,
    Sample,
    Takes,
    forget_before,
    remember,
)
from opsbridge.core.rulebook import Sequence

Chain = list[tuple[int, int]]
"""Per step, the latest beginning of a chain of events up to it, and its end; NOT_YET if there is none."""

NOT_YET: Final = (NEVER, NEVER)

AT_ONCE: Final = 64
"""So many events of one millisecond and step are looked at in every order; more than there are steps tell no more."""


def sequence(rule: Sequence) -> Detector:
    """The detector of a sequence rule."""
    return OrderedSequence(rule) if rule.ordered or rule.missing else UnorderedSequence(rule)


class UnorderedSequence:
    """All steps in any order, in a window that slides with the events: it ends at each, and reaches back `timespan`.

    Both ends belong to the window. The first event that completes it opens the alert; each one that finds it complete
    keeps it firing until `resolve_after` has passed since. An event that comes too late is looked at in the window that
    ends at it and in the newest one; where an alert has been told of, nothing is told again.
    """

    __slots__ = ("_resolve_after", "_steps", "_timespan", "takes")

    def __init__(self, rule: Sequence) -> None:
        self.takes: Takes = "events"
        self._steps = rule.steps
        self._timespan = rule.timespan
        self._resolve_after = rule.resolve_after

    def hear(self, state: GroupState, sample: Sample) -> AlertChange | None:
        """Fires if every step has an event of its own, with this one.

        Of each step its newest events are remembered, as many as there are steps: the others take one less at most.
        """
        samples = state.samples
        if not remember_some(samples, sample, self._steps):
            return None
        newest = samples[-1].time
        change = None
        if sample.time < newest:
            change = self._judged(state, sample.time, [known for known in samples if self._around(known, sample.time)])
        forget_before(samples, newest - self._timespan)
        return self._judged(state, newest, samples) if change is None else change

    def _around(self, sample: Sample, end: int) -> bool:
        return end - self._timespan <= sample.time <= end

    def _judged(self, state: GroupState, end: int, window: list[Sample]) -> AlertChange | None:
        if not own_events(window, range(self._steps)):
            return None
        told = state.raised is not None or (state.met != NEVER and end <= state.met + self._resolve_after)
        state.met = max(state.met, end)
        return None if told else AlertChange(firing=True, time=end, figures={"count": self._steps})

    def due(self, state: GroupState) -> int | None:
        """When the alert is resolved; when none fires, when the window is empty."""
        if state.raised is not None:
            return state.met + self._resolve_after
        return state.samples[-1].time + self._timespan if state.samples else None

    def expire(self, state: GroupState, now: int) -> AlertChange | None:
        """Resolved, or forgotten."""
        if state.raised is not None:
            return AlertChange(firing=False, time=now)
        state.samples.clear()
        return None


class OrderedSequence:
    """Steps one after the other: fires with the last, or, if that is `missing`, when it does not come in time.

    All steps (but the missing one) have to come within `timespan` of the first; the missing one within `timespan` of
    the one before it. Of what is past, a chain per step is enough: among those that end, the one that began last.
    An event that comes too late may go on from what was before it; what followed it is not looked at again.
    """

    __slots__ = ("_length", "_missing", "_resolve_after", "_steps", "_timespan", "takes")

    def __init__(self, rule: Sequence) -> None:
        self.takes: Takes = "events"
        self._steps = rule.steps
        self._missing = rule.missing
        self._length = rule.steps - rule.missing
        self._timespan = rule.timespan
        self._resolve_after = rule.resolve_after

    def hear(self, state: GroupState, sample: Sample) -> AlertChange | None:
        """Fires, or owes the missing step, or is answered."""
        samples, now = state.samples, sample.time
        if samples and now < samples[-1].time:
            return self._late(state, sample)
        if not samples or now > samples[-1].time:
            state.chain = self._chain(state.chain, samples)
            samples.clear()
        if not remember_some(samples, sample, max(self._steps, AT_ONCE)):
            return None
        closers = self._closers(state)
        if not self._missing:
            return self._met(state, now) if closers else None
        answers = {known.tag for known in samples if known.part == self._length}
        owed = any(not answers - {closer} for closer in closers)
        return self._settle(state, now, owes=owed, answered=bool(answers))

    def _settle(self, state: GroupState, now: int, *, owes: bool, answered: bool) -> AlertChange | None:
        """What is owed after the events of a time, and whether the answer ends an alert."""
        over = max(now, state.answered) if answered else state.answered
        state.owed = [since for since in state.owed if since >= over and since != now]
        if owes and len(state.owed) < MAX_VALUES:
            state.owed.append(now)
            state.owed.sort()
        state.answered = over
        if not answered or state.raised is None:
            return None
        state.met = NEVER
        return AlertChange(firing=False, time=max(now, state.raised.time))

    def _late(self, state: GroupState, sample: Sample) -> AlertChange | None:
        now, step = sample.time, sample.part
        if step == self._length:
            return self._settle(state, now, owes=False, answered=True)
        begin = now if step == 0 else NEVER
        if step and state.chain and state.chain[step - 1][1] < now:
            begin = state.chain[step - 1][0]
        if begin < now - self._timespan or begin == NEVER:
            return None
        state.chain = state.chain or [NOT_YET] * self._length
        state.chain[step] = max(state.chain[step], (begin, now))
        if step < self._length - 1:
            return None
        if not self._missing:
            return self._met(state, now)
        return self._settle(state, now, owes=state.answered < now, answered=False)

    def _met(self, state: GroupState, now: int) -> AlertChange | None:
        told = state.raised is not None or (state.met != NEVER and now <= state.met + self._resolve_after)
        state.met = max(state.met, now)
        return None if told else AlertChange(firing=True, time=now, figures={"count": self._steps})

    def _chain(self, chain: Chain, samples: list[Sample]) -> Chain:
        """The chains after the events of one time."""
        chain = chain or [NOT_YET] * self._length
        if not samples:
            return chain
        now = samples[0].time
        extended = list(chain)
        present = {sample.part for sample in samples}
        for step in range(self._length):
            for first in range(step, -1, -1):  # the steps from `first` on have their events now
                if first not in present:
                    break
                begin = now if first == 0 else chain[first - 1][0]
                if not own_events(samples, range(first, step + 1)):
                    break
                if begin >= now - self._timespan and begin > extended[step][0]:
                    extended[step] = begin, now
        return extended

    def _closers(self, state: GroupState) -> set[int]:
        """The events of the newest time that can be the last of a chain."""
        samples, last = state.samples, self._length - 1
        now = samples[0].time
        closers = {sample.tag for sample in samples if sample.part == last}
        if last == 0:
            return closers
        earliest = max(now - self._timespan, 0)
        return {
            closer
            for closer in closers
            if self._chain(state.chain, [sample for sample in samples if sample.tag != closer])[last - 1][0] >= earliest
        }

    def due(self, state: GroupState) -> int | None:
        """When the missing step is overdue, the alert resolved, or all chains have come to nothing."""
        times = [state.owed[0] + self._timespan] if state.owed else []
        if state.raised is not None:
            times.append(state.met + self._resolve_after)
        elif state.samples:
            times.append(state.samples[-1].time + self._timespan)
        return min(times, default=None)

    def expire(self, state: GroupState, now: int) -> AlertChange | None:
        """The first of these."""
        if state.owed and state.owed[0] + self._timespan <= now:
            del state.owed[0]
            return self._met(state, now)
        if state.raised is not None:
            return AlertChange(firing=False, time=max(now, state.raised.time))
        state.samples.clear()
        state.chain.clear()
        return None


def remember_some(samples: list[Sample], sample: Sample, most: int) -> bool:
    """Put a sample where it belongs and keep the newest `most` of its part; False if that changes nothing."""
    if not remember(samples, sample):
        return False
    same = [known for known in samples if known.part == sample.part]
    if len(same) <= most:
        return True
    samples.remove(same[0])
    return same[0] is not sample


def own_events(samples: list[Sample], steps: Iterable[int]) -> bool:
    """Whether each of the steps can have an event of its own (a matching, found by augmenting paths)."""
    by_step: dict[int, list[tuple[int, int]]] = {step: [] for step in steps}
    for sample in samples:
        if sample.part in by_step:
            by_step[sample.part].append(sample[:2])
    if not all(by_step.values()):
        return False
    taken: dict[tuple[int, int], int] = {}

    def find(step: int, tried: set[tuple[int, int]]) -> bool:
        for event in by_step[step]:
            if event not in tried:
                tried.add(event)
                if event not in taken or find(taken[event], tried):
                    taken[event] = step
                    return True
        return False

    return all(find(step, set()) for step in by_step)
