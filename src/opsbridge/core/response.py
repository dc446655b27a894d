"""Response: decides what a situation's news mean for people, today always an incident, and keeps its life-cycle.

Hears the situation updates of one partition, in order; answers with incident snapshots and the members that moved. An
update that was heard before is recognised by version, part and content and answered with nothing.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Final

import msgspec

from opsbridge.core.alerts import Change
from opsbridge.core.decisions import Incident, IncidentMembers, Situation, SituationUpdate
from opsbridge.core.event import SEVERITIES

FORGET_AFTER_MS: Final = 3_600_000
"""How long an ended incident is remembered, so that news of it that come twice are recognised."""


class IncidentState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of one incident. The order of the fields is the format of the changelog."""

    situation_version: int
    part: int
    digest: str
    version: int
    ended: int | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(IncidentState).decode

Decision = Incident | IncidentMembers


class ResponseSelection:
    """The incidents of one partition."""

    __slots__ = ("_deadlines", "_dirty", "_incidents", "now")

    def __init__(self) -> None:
        self.now = 0
        self._incidents: dict[str, IncidentState] = {}
        self._dirty: dict[str, None] = {}
        self._deadlines: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._incidents)

    def advance(self, updates: Iterable[SituationUpdate]) -> list[Decision]:
        """The snapshots and member lists that follow from these updates, in order."""
        decisions: list[Decision] = []
        for update in updates:
            situation = update.situation
            if situation.updated_ms > self.now:
                self.expire(situation.updated_ms)
            state = self._incidents.get(situation.id)
            digest = blake2b(_encode(update), digest_size=8).hexdigest()
            place = (situation.version, update.part)
            if state is not None and (
                place < (state.situation_version, state.part)
                or (place == (state.situation_version, state.part) and digest == state.digest)
            ):
                continue
            if state is None:
                state = self._incidents[situation.id] = IncidentState(0, 0, "", 0)
            if update.part == 1:
                state.version += 1
            state.situation_version, state.part, state.digest = situation.version, update.part, digest
            self._dirty[situation.id] = None
            decisions += self._tell(update, state)
        return decisions

    def _tell(self, update: SituationUpdate, state: IncidentState) -> list[Decision]:
        decisions: list[Decision] = []
        situation = update.situation
        if update.moved.anything():
            incident = incident_id(situation.id)
            decisions.append(IncidentMembers(incident, state.version, update.part, update.parts, update.moved))
        if update.part == update.parts:
            decisions.append(_incident(situation, state.version))
            if situation.status in ("closed", "merged"):
                state.ended = self.now
                heappush(self._deadlines, (self.now + FORGET_AFTER_MS, situation.id))
        return decisions

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now: int) -> list[Decision]:
        """Forget incidents that ended long ago."""
        self.now = max(self.now, now)
        while self._deadlines and self._deadlines[0][0] <= self.now:
            _, situation = heappop(self._deadlines)
            if self._incidents.pop(situation, None) is not None:
                self._dirty[situation] = None
        return []

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        changed: list[Change] = []
        for situation in self._dirty:
            state = self._incidents.get(situation)
            changed.append((situation.encode(), None if state is None else _encode(state)))
        self._dirty.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all (key, value) pairs that were saved; for a new instance, before `advance`."""
        for key, value in entries:
            state = _decode(value)
            self._incidents[key.decode()] = state
            if state.ended is not None:
                heappush(self._deadlines, (state.ended + FORGET_AFTER_MS, key.decode()))


def incident_id(situation: str) -> str:
    """The incident of a situation has the situation's id with another letter, so either is found from the other."""
    return "INC" + situation[1:]


def _incident(situation: Situation, version: int) -> Incident:
    root = situation.root
    what = root.class_ or "silent failure"
    impact = situation.impact
    title = f"{what} on {root.ci}"
    if impact.cis > 1:
        title += f" affects {impact.cis - 1} dependent CIs"
    return Incident(
        id=incident_id(situation.id),
        version=version,
        status=situation.status,
        title=title,
        severity=SEVERITIES[situation.severity],
        situation=situation.id,
        root=root,
        candidates=situation.candidates,
        firing=situation.firing,
        alerts=situation.alerts,
        affected_cis=impact.cis,
        affected_services=impact.services,
        services=impact.named,
        opened=rfc3339(situation.opened_ms),
        updated=rfc3339(situation.updated_ms),
        resolved=None if situation.resolved_ms is None else rfc3339(situation.resolved_ms),
        merged_into=None if situation.merged_into is None else incident_id(situation.merged_into),
        because=situation.because,
    )


def rfc3339(time_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
