"""What was told: the records of all topics folded to what counts, the newest version of everything, and its beginnings.

Higher versions win, of equal ones the later record; what came twice counts once. It is the one thing that figures are
made of, beside the events: topics, recordings and replays all come through here.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from opsbridge.core.decisions import Discrepancy, Moved, Shadowed, Situation, SituationUpdate, Suppressed, Transition
from opsbridge.core.records import (
    ChangeRequest,
    Incident,
    IncidentMembers,
    Notification,
    Problem,
    Response,
    ServiceRequest,
)
from opsbridge.review.recorded import Recorded

ENTITIES: Final = (
    "events",
    "alerts",
    "shared",
    "situations",
    "suppressed",
    "incidents",
    "incident-members",
    "problems",
    "changes",
    "requests",
    "responses",
    "notifications",
    "discrepancies",
    "dead-letters",
    "shadow",
)
"""The entities that a review reads."""

ERRORS: Final = "__opsbridge.errors."

ACTING: Final = ("awaiting_approval", "awaiting_permit", "requested", "running")
"""In these states a response's `action` is the one that it was selected for, and no probe or rollback."""


class Place(NamedTuple):
    """Where a record is: Kafka name or entity, partition, offset."""

    topic: str
    partition: int
    offset: int


class DeadLetter(NamedTuple):
    """What could not be heard, and why."""

    stage: str
    """Who refused it: `intake` refuses events."""
    reason: str


class Began(msgspec.Struct):
    """What newer versions of an incident no longer say."""

    told: str = ""
    """When people were told first."""
    acknowledged: str = ""
    """When somebody acknowledged, took or started it first."""
    acknowledge_by: str = ""
    resolve_by: str = ""


class Members(msgspec.Struct):
    """Who has ever been in one incident, by CI: alerts that were members, and CIs that were affected."""

    alerts: set[str] = msgspec.field(default_factory=set)
    affected: set[str] = msgspec.field(default_factory=set)


_decoders: Final[dict[str, "msgspec.json.Decoder[Any]"]] = {  # one per entity, each of another type
    "situations": msgspec.json.Decoder(SituationUpdate),
    "suppressed": msgspec.json.Decoder(Suppressed),
    "incidents": msgspec.json.Decoder(Incident),
    "incident-members": msgspec.json.Decoder(IncidentMembers),
    "problems": msgspec.json.Decoder(Problem),
    "changes": msgspec.json.Decoder(ChangeRequest),
    "requests": msgspec.json.Decoder(ServiceRequest),
    "responses": msgspec.json.Decoder(Response),
    "notifications": msgspec.json.Decoder(Notification),
    "discrepancies": msgspec.json.Decoder(Discrepancy),
    "shadow": msgspec.json.Decoder(Shadowed),
}
_transitions: Final = msgspec.json.Decoder(list[Transition]).decode


class Told:
    """The fold. `hear` every record, in any order of topics; in order within a partition."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.began: dict[str, Began] = {}
        self.members: dict[str, Members] = {}
        self._homes: _Homes = {}
        self.situations: dict[str, Situation] = {}
        self.problems: dict[str, Problem] = {}
        self.changes: dict[str, ChangeRequest] = {}
        self.requests: dict[str, ServiceRequest] = {}
        self.responses: dict[str, Response] = {}
        self.actions: dict[str, str] = {}
        """Response -> the action that it was selected for."""
        self.notifications: dict[str, Notification] = {}
        self.discrepancies: dict[tuple[str, str], Discrepancy] = {}
        self.transitions: dict[tuple[str, int], Transition] = {}
        """(fingerprint, position)."""
        self.suppressed: dict[tuple[str, str], Suppressed] = {}
        """(fingerprint, opening event) -> how it stands."""
        self.withheld: dict[tuple[str, str, str, str], Suppressed] = {}
        """(fingerprint, opening event, kind, rule): every firing that a rule has withheld, for a time or to its end."""
        self.dead: dict[Place, DeadLetter] = {}
        self.shadow: dict[tuple[str, str, str], Shadowed] = {}
        """(rule, event, would)."""
        self.unread: list[str] = []
        """Records that could not be read: which, and why."""
        self._other_homes: _Homes = {}

    def hear(self, record: Recorded) -> None:
        """Take in one record; those of other entities, and records without value, say nothing."""
        if record.entity == "dead-letters":
            self._dead(record)
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
                self._incident(told)
            case IncidentMembers():
                self._moved("S" + told.incident.removeprefix("INC"), told.moved)
            case SituationUpdate():
                self._situation(told)
            case Suppressed():
                self.suppressed[told.fingerprint, told.event] = told
                if told.state != "released":
                    self.withheld[told.fingerprint, told.event, told.kind, told.rule] = told
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

    def _dead(self, record: Recorded) -> None:
        headers = {name.removeprefix(ERRORS): text.decode(errors="replace") for name, text in record.headers}
        place = Place(
            headers.get("topic", ""), _number(headers.get("partition", "")), _number(headers.get("offset", ""))
        )
        self.dead[place] = DeadLetter(headers.get("stage", "intake"), headers.get("reason", "unknown"))

    def _incident(self, told: Incident) -> None:
        _newer(self.incidents, told)
        began = self.began.setdefault(told.id, Began())
        for entry in told.history:
            if entry.refused:
                continue
            if entry.what == "opened":
                began.told = _earlier(began.told, entry.time)
            elif entry.what in ACKNOWLEDGING:
                began.acknowledged = _earlier(began.acknowledged, entry.time)
        began.acknowledge_by = _earlier(began.acknowledge_by, told.acknowledge_by or "")
        began.resolve_by = max(began.resolve_by, told.resolve_by or "")

    def _situation(self, told: SituationUpdate) -> None:
        name = told.situation.id
        known = self.situations.get(name)
        if known is None or told.situation.version >= known.version:
            self.situations[name] = told.situation
        _move(self._other_homes, name, told.moved)

    def _moved(self, situation: str, moved: Moved) -> None:
        _move(self._homes, situation, moved)
        members = self.members.setdefault(situation, Members())
        members.alerts.update(member.ci for member in moved.joined)
        members.affected.update(moved.cis_joined)

    def situation_of(self, alert: tuple[str, str]) -> str | None:
        """The situation that a firing was in last.

        Members of incidents are told in full; those of situations that are none are known as far as the topic of
        situations still has them.
        """
        homes = self._homes.get(alert) or self._other_homes.get(alert) or {}
        return next((home for home in reversed(homes) if self.heir(home) is None), next(iter(homes), None))

    def last(self, situation: str) -> str:
        """The situation itself, or the heir at last of one that was merged."""
        seen = {situation}
        while (heir := self.heir(situation)) is not None and heir not in seen:
            seen.add(heir)
            situation = heir
        return situation

    def all_members(self) -> dict[str, Members]:
        """Situation -> who has ever been in it, and in those that were merged into it."""
        found: dict[str, Members] = {}
        for name, members in self.members.items():
            together = found.setdefault(self.last(name), Members())
            together.alerts |= members.alerts
            together.affected |= members.affected
        return found

    def heir(self, situation: str) -> str | None:
        """Who has taken a situation over, if it was merged."""
        if (incident := self.incidents.get("INC" + situation[1:])) is not None and incident.merged_into:
            return "S" + incident.merged_into.removeprefix("INC")
        known = self.situations.get(situation)
        return None if known is None else known.merged_into


ACKNOWLEDGING: Final = frozenset({"acknowledge", "assign", "start", "acknowledged", "assigned", "in_progress"})
"""What in an incident's history shows that somebody has taken notice."""


_Snapshot = TypeVar("_Snapshot", Incident, Problem, ChangeRequest, ServiceRequest, Response, Notification)


def _newer(known: dict[str, _Snapshot], told: _Snapshot) -> None:
    before = known.get(told.id)
    if before is None or told.version >= before.version:
        known[told.id] = told


_Homes = dict[tuple[str, str], dict[str, None]]
"""(fingerprint, opening event) -> the situations that it joined and has not left: what joined one is often heard before
it is heard that it left another, from another partition."""


def _move(homes: _Homes, situation: str, moved: Moved) -> None:
    for member in moved.left:
        homes.get((member.fingerprint, member.event), {}).pop(situation, None)
    for member in moved.joined:
        homes.setdefault((member.fingerprint, member.event), {})[situation] = None


def fold(records: Iterable[Recorded]) -> Told:
    """All of these records."""
    told = Told()
    for record in records:
        told.hear(record)
    return told


def _earlier(known: str, time: str) -> str:
    return min(known, time) if known and time else known or time


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
