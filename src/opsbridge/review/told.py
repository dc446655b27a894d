"""What was told: the records of all topics folded to what counts, the newest version of everything, and its beginnings.

Higher versions win, of equal ones the later record; what came twice counts once. It is the one thing that figures are
made of, beside the events: topics, recordings and replays all come through here.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from opsbridge.core.decisions import Discrepancy, Moved, Shadowed, Situation, SituationUpdate, Suppressed, Transition
from opsbridge.core.first_level.derived import derived_fingerprint
from opsbridge.core.ids import incident_id, situation_of_incident
from opsbridge.core.records import (
    ChangeRequest,
    Incident,
    IncidentMembers,
    Notification,
    Problem,
    Response,
    ServiceRequest,
)
from opsbridge.core.written import WRITTEN
from opsbridge.review.recorded import ERRORS, Recorded

ACTING: Final = ("awaiting_approval", "awaiting_permit", "requested", "running")
"""In these states a response's `action` is the one that it was selected for, and no probe or rollback."""

NOTICED: Final = frozenset({"acknowledge", "assign", "start"})
"""What in an incident's history shows that somebody has taken notice."""

INTAKE: Final = "intake"
"""The stage that refuses events."""

_decoders: Final[dict[str, "msgspec.json.Decoder[Any]"]] = {  # one per entity, each of another type
    entity: msgspec.json.Decoder(kind) for kind, (entity, _) in WRITTEN.items()
}
_transitions: Final = msgspec.json.Decoder(list[Transition]).decode

ENTITIES: Final = ("events", "alerts", "shared", "dead-letters", *_decoders)
"""The entities that a review reads."""

Firing = tuple[str, str]
"""One firing of an alert: its fingerprint, and the event that opened it."""

Snapshot = TypeVar("Snapshot", Incident, Problem, ChangeRequest, ServiceRequest, Response, Notification, Situation)

_Homes = dict[Firing, dict[str, None]]
"""The situations that a firing has joined and not left: that it joined one is often heard before that it left another,
from another partition."""


class Began(msgspec.Struct):
    """What newer versions of an incident no longer say."""

    told: str = ""
    """When people were told first."""
    acknowledged: str = ""
    """When somebody acknowledged, took or started it first."""
    acknowledge_by: str = ""
    """The first target..."""
    resolve_by: str = ""
    """...and the last: both are null once they are met."""


class Members(msgspec.Struct):
    """Who has ever been in one incident, by CI: alerts that were members, and CIs that were affected."""

    alerts: set[str] = msgspec.field(default_factory=set)
    affected: set[str] = msgspec.field(default_factory=set)


class Refusal(NamedTuple):
    """What a dead letter of intake says of a record."""

    reason: str
    """Of the first event that could not be heard."""
    items: int
    """How many of its events could not be."""


class Told:
    """The fold. `hear` every record, in any order of topics; in order within a partition."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.began: dict[str, Began] = {}
        self.situations: dict[str, Situation] = {}
        self.problems: dict[str, Problem] = {}
        self.changes: dict[str, ChangeRequest] = {}
        self.requests: dict[str, ServiceRequest] = {}
        self.responses: dict[str, Response] = {}
        self.actions: dict[str, str] = {}
        """Response -> the action that it was selected for."""
        self.notifications: dict[str, Notification] = {}
        self.discrepancies: dict[tuple[str, str], Discrepancy] = {}
        """(kind, reference)."""
        self.transitions: dict[tuple[str, int], Transition] = {}
        """(fingerprint, position)."""
        self.suppressed: dict[Firing, Suppressed] = {}
        """How it stands."""
        self.withheld: dict[tuple[Firing, str, str], Suppressed] = {}
        """(firing, kind, rule): every firing that a rule has withheld, for a time or to its end."""
        self.shadow: dict[tuple[str, str, str], Shadowed] = {}
        """(rule, event, would)."""
        self.dead: dict[tuple[str, int, int], str] = {}
        """What could not be heard, by topic, partition and offset, and why."""
        self.unread: list[str] = []
        """Records that could not be read: which, and why."""
        self._refused: dict[tuple[str, int, int], Refusal] = {}
        self._members: dict[str, Members] = {}
        self._homes: _Homes = {}
        """As incidents tell of their members..."""
        self._other_homes: _Homes = {}
        """...and as situations do."""

    def hear(self, record: Recorded) -> None:
        """Take in one record; those of other entities, and records without value, say nothing."""
        if record.entity == "dead-letters":
            self._buried(record)
            return
        if record.value is None:
            return
        try:
            if record.entity in ("alerts", "shared"):
                if record.value.lstrip().startswith(b"["):
                    for change in _transitions(record.value):
                        self.transitions[change.fingerprint, change.position] = change
            elif record.entity in _decoders:
                self._take(_decoders[record.entity].decode(record.value))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.unread.append(f"{record.entity}[{record.partition}]@{record.offset}: {error}")

    def _take(self, told: object) -> None:
        match told:
            case Incident():
                _newer(self.incidents, told)
                self._notice(told)
            case IncidentMembers():
                self._moved(situation_of_incident(told.incident), told.moved)
            case SituationUpdate():
                _newer(self.situations, told.situation)
                _move(self._other_homes, told.situation.id, told.moved)
            case Suppressed():
                firing = told.fingerprint, told.event
                self.suppressed[firing] = told
                if told.state != "released":
                    self.withheld[firing, told.kind, told.rule] = told
            case Problem():
                _newer(self.problems, told)
            case ChangeRequest():
                _newer(self.changes, told)
            case ServiceRequest():
                _newer(self.requests, told)
            case Response():
                if told.id not in self.actions or told.status in ACTING:
                    self.actions[told.id] = told.action
                _newer(self.responses, told)
            case Notification():
                _newer(self.notifications, told)
            case Discrepancy():
                self.discrepancies[told.kind, told.reference] = told
            case Shadowed():
                self.shadow[told.rule, told.event, told.would] = told

    def _buried(self, record: Recorded) -> None:
        said = {name.removeprefix(ERRORS): text.decode(errors="replace") for name, text in record.headers}
        topic, reason = said.get("topic", ""), said.get("reason", "unknown")
        place = _number(said.get("partition", "")), _number(said.get("offset", ""))
        self.dead[topic, *place] = reason
        if said.get("stage", INTAKE) == INTAKE:
            refusal = Refusal(reason, max(1, _number(said.get("items", "1"))))
            self._refused[topic, *place] = self._refused["", *place] = refusal

    def _notice(self, told: Incident) -> None:
        began = self.began.setdefault(told.id, Began())
        for entry in told.history:
            if entry.what == "opened":
                began.told = _earlier(began.told, entry.time)
            elif entry.what in NOTICED and not entry.refused:
                began.acknowledged = _earlier(began.acknowledged, entry.time)
        began.acknowledge_by = _earlier(began.acknowledge_by, told.acknowledge_by or "")
        began.resolve_by = told.resolve_by or began.resolve_by

    def _moved(self, situation: str, moved: Moved) -> None:
        _move(self._homes, situation, moved)
        members = self._members.setdefault(situation, Members())
        members.alerts.update(member.ci for member in moved.joined)
        members.affected.update(moved.cis_joined)

    def situation_of(self, firing: Firing) -> str | None:
        """The situation that a firing was in last.

        Members of incidents are told in full; those of situations that are none are known as far as the topic of
        situations still has them.
        """
        homes = self._homes.get(firing) or self._other_homes.get(firing) or {}
        return next((home for home in reversed(homes) if self._heir(home) is None), next(iter(homes), None))

    def last(self, situation: str) -> str:
        """The situation itself, or the heir at last of one that was merged."""
        seen = {situation}
        while (heir := self._heir(situation)) is not None and heir not in seen:
            seen.add(heir)
            situation = heir
        return situation

    def incident_of(self, situation: str) -> str:
        """The incident that tells of a situation or of its heir; empty if people were told nothing."""
        incident = incident_id(self.last(situation))
        return incident if incident in self.incidents else ""

    def members(self) -> dict[str, Members]:
        """Situation -> who has ever been in it, and in those that were merged into it."""
        found: dict[str, Members] = {}
        for name, members in self._members.items():
            together = found.setdefault(self.last(name), Members())
            together.alerts |= members.alerts
            together.affected |= members.affected
        return found

    def refusal(self, record: Recorded) -> Refusal | None:
        """Why intake could not hear a record, or not all of it; None: it could.

        A topic without name is the only one of its entity.
        """
        return self._refused.get((record.topic, record.partition, record.offset))

    def _heir(self, situation: str) -> str | None:
        """Who has taken a situation over, if it was merged."""
        if (incident := self.incidents.get(incident_id(situation))) is not None and incident.merged_into:
            return situation_of_incident(incident.merged_into)
        known = self.situations.get(situation)
        return None if known is None else known.merged_into


def fold(records: Iterable[Recorded]) -> Told:
    """All of these records."""
    told = Told()
    for record in records:
        told.hear(record)
    return told


def raised_by(change: Transition) -> str:
    """The rule that raised the alert; empty: an event reported it."""
    return change.rule if change.fingerprint.startswith(derived_fingerprint(change.rule, "")) else ""


def _newer(known: dict[str, Snapshot], told: Snapshot) -> None:
    before = known.get(told.id)
    if before is None or told.version >= before.version:
        known[told.id] = told


def _move(homes: _Homes, situation: str, moved: Moved) -> None:
    for member in moved.left:
        homes.get((member.fingerprint, member.event), {}).pop(situation, None)
    for member in moved.joined:
        homes.setdefault((member.fingerprint, member.event), {})[situation] = None


def _earlier(known: str, time: str) -> str:
    return min(known, time) if known and time else known or time


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
