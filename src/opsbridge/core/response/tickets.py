"""Tickets: the requests for change and service requests that rules raise about situations, each in its newest version.

A ticket is raised once for a rule and a situation, and goes its own way from then on: it outlives the incident, and
somebody closes it (`close_record`). It is told anew when the situation's root or priority changes.
"""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from opsbridge.core.case import Case, fill
from opsbridge.core.deadlines import Deadlines
from opsbridge.core.decisions import Root
from opsbridge.core.feedback import CloseRecord
from opsbridge.core.ids import derived_id, incident_id
from opsbridge.core.records import ChangeRequest, ServiceRequest
from opsbridge.core.response.incident import failure
from opsbridge.core.rulebook import Ticket
from opsbridge.core.state import Change, Kept
from opsbridge.core.times import rfc3339

KEPT_MS: Final = 30 * 24 * 3_600_000
"""So long an open ticket is remembered after its last version, once its situation is over; what is said about it later
is not known of."""

Told = ChangeRequest | ServiceRequest

_PREFIXES: Final = {"change": "RFC", "request": "REQ"}
_RECORDS: Final[dict[str, type[Told]]] = {"change": ChangeRequest, "request": ServiceRequest}


class TicketState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of one ticket. The order of the fields is the format of the changelog."""

    kind: Literal["change", "request"]
    situation: str
    rule: str
    root: Root
    title: str
    priority: str
    category: str
    group: str
    links: tuple[str, ...]
    opened: int
    updated: int
    version: int = 1
    status: Literal["open", "closed", "merged"] = "open"
    merged_into: str | None = None
    because: tuple[str, ...] = ()
    over: int | None = None
    """When its situation ended. Until then it is remembered, even closed: else its rule would raise it again."""


class Tickets:
    """The tickets of one partition."""

    __slots__ = ("_by_situation", "_deadlines", "_forget_after", "_tickets")

    def __init__(self, forget_after_ms: int) -> None:
        """`forget_after_ms`: how long one is remembered that is closed or merged."""
        self._forget_after = forget_after_ms
        self._tickets = Kept(b"t:", TicketState)
        self._by_situation: dict[str, dict[str, None]] = {}
        self._deadlines = Deadlines()

    def wanted(self, case: Case, rules: Iterable[Ticket], now: int) -> list[Told]:
        """A situation has news, and these rules match it: raise what is new, tell anew what has changed."""
        situation = case.situation
        names = self._names(situation.id)
        for name in names:
            self._over(name, None)
        told = [self._told(name) for name in names if self._renewed(name, case, now)]
        for rule in rules:
            name = derived_id(_PREFIXES[rule.kind], situation.id, rule.rule, reopened=situation.reopened)
            if name in self._tickets or self._has(situation.id, rule):
                continue
            root = situation.root
            ticket = self._tickets[name] = TicketState(
                rule.kind,
                situation.id,
                rule.rule,
                root,
                fill(rule.title, case) or failure(root),
                case.priority,
                fill(rule.category, case) or case.root.category,
                fill(rule.group, case) or case.group,
                tuple(fill(link, case) for link in rule.links),
                now,
                now,
                because=(f"rule {rule.rule} asks for it",),
            )
            self._tickets.changed(name)
            self._list(name, ticket)
            told.append(self._told(name))
        return told

    def merged(self, situation: str, heir: str, now: int) -> list[Told]:
        """The situation goes up in another one, and its open tickets with it."""
        told = []
        for name in self._names(situation):
            ticket = self._tickets[name]
            if ticket.status == "open":
                ticket.status = "merged"
                ticket.merged_into = self._same(heir, ticket) or incident_id(heir)
                self._next(name, ticket, now)
                told.append(self._told(name))
        return told

    def over(self, situation: str, now: int) -> None:
        """The situation has ended: nothing raises its tickets again."""
        for name in self._names(situation):
            self._over(name, now)

    def closed(self, said: CloseRecord, now: int) -> list[Told] | str:
        """Somebody is done with one; or why that cannot be heard."""
        ticket = self._tickets.get(said.record)
        if ticket is None:
            return f"there is no record {said.record}"
        if ticket.status != "open":
            return []
        ticket.status = "closed"
        ticket.because = (*ticket.because, f"{said.by} has closed it" + (f": {said.note}" if said.note else ""))
        self._next(said.record, ticket, now)
        return [self._told(said.record)]

    def due(self) -> int | None:
        """When `expire` has something to do next, or None."""
        return self._deadlines.due()

    def _names(self, situation: str) -> list[str]:
        """Its tickets, in an order that a restart does not change."""
        return sorted(self._by_situation.get(situation, ()))

    def _over(self, name: str, over: int | None) -> None:
        ticket = self._tickets[name]
        if (ticket.over is None) != (over is None):
            ticket.over = over
            self._changed(name, ticket)

    def expire(self, now: int) -> None:
        """Forget what is over, or nobody has closed for a long time."""
        for _, name in self._deadlines.met(now):
            ticket = self._tickets.drop(name)
            names = self._by_situation[ticket.situation]
            del names[name]
            if not names:
                del self._by_situation[ticket.situation]

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        return self._tickets.changes()

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back; for a new instance. Entries of others are passed over."""
        self._tickets.restore(entries)
        for name, ticket in self._tickets.items():
            self._list(name, ticket)

    def newest(self) -> int:
        """When anything last changed about any of them, 0 if there is none: it is not earlier than that."""
        return max((max(each.updated, each.over or 0) for each in self._tickets.values()), default=0)

    def _list(self, name: str, ticket: TicketState) -> None:
        self._by_situation.setdefault(ticket.situation, {})[name] = None
        self._deadlines.set(name, self._forgotten_at(ticket))

    def _changed(self, name: str, ticket: TicketState) -> None:
        self._tickets.changed(name)
        self._deadlines.set(name, self._forgotten_at(ticket))

    def _next(self, name: str, ticket: TicketState, now: int) -> None:
        """Another version of it."""
        ticket.version += 1
        ticket.updated = now
        self._changed(name, ticket)

    def _renewed(self, name: str, case: Case, now: int) -> bool:
        ticket, root = self._tickets[name], case.situation.root
        if ticket.status != "open" or (ticket.root.ci, ticket.root.class_, ticket.priority) == (
            root.ci,
            root.class_,
            case.priority,
        ):
            return False
        ticket.root, ticket.priority = root, case.priority
        self._next(name, ticket, now)
        return True

    def _has(self, situation: str, rule: Ticket) -> bool:
        """Whether the rule has an open ticket of the situation, from before it was reopened: one is enough."""
        return any(
            (each := self._tickets[name]).status == "open" and (each.rule, each.kind) == (rule.rule, rule.kind)
            for name in self._names(situation)
        )

    def _same(self, heir: str, ticket: TicketState) -> str | None:
        """The heir's open ticket of the same rule, as far as it is known here."""
        for name in self._names(heir):
            other = self._tickets[name]
            if other.status == "open" and (other.rule, other.kind) == (ticket.rule, ticket.kind):
                return name
        return None

    def _forgotten_at(self, ticket: TicketState) -> int | None:
        if ticket.over is None:
            return None
        kept = ticket.updated + (KEPT_MS if ticket.status == "open" else self._forget_after)
        return max(kept, ticket.over + self._forget_after)

    def _told(self, name: str) -> Told:
        ticket = self._tickets[name]
        return _RECORDS[ticket.kind](
            id=name,
            version=ticket.version,
            situation=ticket.situation,
            incident=incident_id(ticket.situation),
            rule=ticket.rule,
            root=ticket.root,
            title=ticket.title,
            opened=rfc3339(ticket.opened),
            updated=rfc3339(ticket.updated),
            because=ticket.because,
            status=ticket.status,
            priority=ticket.priority,
            category=ticket.category,
            group=ticket.group,
            links=ticket.links,
            merged_into=ticket.merged_into,
        )
