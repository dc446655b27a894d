"""Limits: may an auto-response act, with all others in view? A permit for each request, or a reason why not.

A permit counts in its windows from when it is granted, whatever becomes of it, and as under way until it is given back
(`Done`), which is when the attempt has ended with its proof. One that is never given back expires a day after it was
granted. The same permit asked for again gets the same answer, for at least an hour after it is over. Undoing is not
limited and counts nowhere; only a stop, or automation that is switched off, refuses it.

The time is the newest that any lane has told: lanes differ by seconds, and what is asked for by one that is behind is
done now like all else. So in any window there are never more than its limit. stage.py is the caller.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from opsbridge.core.coordination.news import Asked, DenialReason, Denied, Done, Granted, Halted
from opsbridge.core.deadlines import Deadlines
from opsbridge.core.policies import AutomationPolicy
from opsbridge.core.rulebook import Limit
from opsbridge.core.state import Change, Kept
from opsbridge.core.times import rfc3339, span

HOUR_MS: Final = 3_600_000

EXPIRES_MS: Final = 24 * HOUR_MS
"""So long after it was granted a permit counts as under way at most, should nobody give it back."""

REMEMBERED_MS: Final = HOUR_MS
"""So long an answer is remembered when its permit is over, and counts in no window any more."""

HALTS: Final = 20
"""So many stops and resumptions are remembered, to recognise one that comes twice."""

_Place = tuple[str, ...]
"""What a window or a number under way is of: everything (), an action, or an action on a CI."""


class PermitState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of one permit that was asked for. The order of the fields is the format of the changelog."""

    situation: str
    response: str
    action: str
    ci: str
    asked: int
    """When, by the newest time of all lanes."""
    counts: bool
    """It was granted, and does not undo anything."""
    reason: DenialReason | None = None
    """Why it was denied; None: it was granted."""
    detail: str = ""
    over: int | None = None
    """When it was given back, or expired."""


class HaltState(msgspec.Struct, array_like=True):
    """What is saved of stops and resumptions."""

    stopped: bool = False
    by: str = ""
    since: int = 0
    heard: list[str] = []
    """Ids of the newest feedback about it."""


class Limits:
    """All permits that still count or may be asked for again, and whether somebody has stopped automation."""

    __slots__ = ("_deadlines", "_granted", "_halts", "_looks_back", "_permits", "_policy", "_under_way", "now")

    def __init__(self, policy: AutomationPolicy) -> None:
        self.now = 0
        self._policy = policy
        self._permits = Kept(b"p:", PermitState)
        self._granted: dict[_Place, list[int]] = {}  # the times of what counts in windows, sorted
        self._under_way: dict[_Place, int] = {}
        self._looks_back = Kept(b"w:", int)  # action -> the longest window that any rule has for it
        self._halts = Kept(b"halt", HaltState)  # the newest, under no name
        self._deadlines = Deadlines()

    def __len__(self) -> int:
        return len(self._permits)

    def asked(self, news: Asked) -> Granted | Denied:
        """The answer, which is the one that was given before if it was asked for before."""
        state = self._permits.get(news.permit)
        if state is None:
            self._look_back(news)
            refusal = next(self._refusals(news), None)
            reason, detail = (None, "") if refusal is None else refusal
            counts = refusal is None and not news.undo
            state = PermitState(
                news.situation, news.response, news.action, news.ci, self.now, counts, reason, detail,
                over=None if refusal is None else self.now,
            )  # fmt: skip
            self._permits[news.permit] = state
            self._count(news.permit, state)
            self._permits.changed(news.permit)
        if state.reason is None:
            return Granted(state.situation, state.response, news.permit, state.asked)
        return Denied(state.situation, state.response, news.permit, state.reason, state.detail, state.asked)

    def _refusals(self, news: Asked) -> Iterator[tuple[DenialReason, str]]:
        """Every limit that speaks against it, with its figures, the widest brake first."""
        halt = self._halt
        if halt.stopped:
            yield "stopped", f"{halt.by} has stopped all automation at {rfc3339(halt.since)}"
        if not self._policy.enabled:
            yield "disabled", "automation is switched off by the setting automation.enabled"
        if news.undo:
            return
        action, ci, limits = news.action, news.ci, news.limits
        windows: tuple[tuple[DenialReason, str, _Place, Limit | None], ...] = (
            ("per_ci", f"{action} on {ci}", (action, ci), limits.per_ci),
            ("per_action", f"{action}", (action,), limits.per_action),
            ("per_hour", "all auto-responses", (), Limit(self._policy.per_hour, HOUR_MS)),
        )
        for reason, what, place, limit in windows:
            if limit is not None and (found := self._within(place, limit.within_ms)) >= limit.times:
                times = f"{limit.times} within {span(limit.within_ms)}"
                yield reason, f"{what}: {found} requested of at most {times}"
        for what, place, most in (
            (action, (action,), limits.concurrent),
            ("all auto-responses", (), self._policy.concurrent),
        ):
            if most is not None and (found := self._under_way.get(place, 0)) >= most:
                yield "concurrent", f"{what}: {found} under way of at most {most}"

    def _within(self, place: _Place, span_ms: int) -> int:
        times = self._granted.get(place, [])
        return len(times) - bisect_right(times, self.now - span_ms)

    def done(self, news: Done) -> None:
        """The permit no longer counts as under way. One that is not known, or is over already, changes nothing."""
        state = self._permits.get(news.permit)
        if state is not None and state.over is None:
            self._end(news.permit, state)

    def halted(self, news: Halted) -> None:
        """Somebody stops or resumes; the same feedback again changes nothing."""
        if news.feedback in self._halt.heard:
            return
        heard = [*self._halt.heard, news.feedback][-HALTS:]
        self._halts[""] = HaltState(news.stopped, news.by, self.now, heard)
        self._halts.changed("")

    @property
    def stopped(self) -> bool:
        """Whether somebody has stopped all automation."""
        return self._halt.stopped

    @property
    def _halt(self) -> HaltState:
        return self._halts.get("") or HaltState()

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return self._deadlines.due()

    def expire(self, now: int) -> None:
        """Permits that nobody gives back expire, and those that count nowhere any more are forgotten."""
        self.now = max(self.now, now)
        for at, permit in self._deadlines.met(self.now):
            state = self._permits[permit]
            if (later := self._next(state)) > at:  # a rule looks back further by now
                self._deadlines.set(permit, later)
            elif state.over is None:
                self._end(permit, state)
            else:
                self._forget(permit)

    # what is kept

    def _look_back(self, news: Asked) -> None:
        """What counts is remembered for as long as any rule looks back at its action."""
        limits = (news.limits.per_ci, news.limits.per_action)
        longest = max((limit.within_ms for limit in limits if limit is not None), default=0)
        if longest > self._looks_back.get(news.action, HOUR_MS):
            self._looks_back[news.action] = longest
            self._looks_back.changed(news.action)

    def _next(self, state: PermitState) -> int:
        """When the permit expires, or is forgotten if it is over."""
        if state.over is None:
            return state.asked + EXPIRES_MS
        counted = state.asked + self._looks_back.get(state.action, HOUR_MS) if state.counts else state.asked
        return max(counted, state.over + REMEMBERED_MS)

    def _places(self, state: PermitState) -> tuple[_Place, ...]:
        return ((), (state.action,), (state.action, state.ci)) if state.counts else ()

    def _count(self, permit: str, state: PermitState) -> None:
        for place in self._places(state):
            insort(self._granted.setdefault(place, []), state.asked)
            if state.over is None:
                self._under_way[place] = self._under_way.get(place, 0) + 1
        self._deadlines.set(permit, self._next(state))

    def _end(self, permit: str, state: PermitState) -> None:
        state.over = self.now
        for place in self._places(state):
            self._under_way[place] -= 1
            if not self._under_way[place]:
                del self._under_way[place]
        self._deadlines.set(permit, self._next(state))
        self._permits.changed(permit)

    def _forget(self, permit: str) -> None:
        state = self._permits.drop(permit)
        for place in self._places(state):
            times = self._granted[place]
            times.remove(state.asked)
            if not times:
                del self._granted[place]

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        return [*self._halts.changes(), *self._looks_back.changes(), *self._permits.changes()]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back what was saved; for a new instance. Entries of others are passed over."""
        saved = list(entries)
        for part in (self._halts, self._looks_back, self._permits):
            part.restore(saved)
        for permit, state in self._permits.items():
            self._count(permit, state)
            self.now = max(self.now, state.asked, state.over or 0)
