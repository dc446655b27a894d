"""Tickets: the requests for change and service requests that rules raise about situations, each in its newest version.

A ticket is raised once for a rule and a situation, and goes its own way from then on: it outlives the incident, and
somebody closes it (`close_record`). It is told anew when the situation's root or priority changes.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final, Literal

import msgspec

from opsbridge.core.case import Case, fill
from opsbridge.core.decisions import Root
from opsbridge.core.feedback import CloseRecord
from opsbridge.core.records import ChangeRequest, ServiceRequest
from opsbridge.core.response.ids import derived_id, incident_id, of_reopening, rfc3339
from opsbridge.core.rulebook import Ticket
from opsbridge.core.state import Change

KEPT_MS: Final = 30 * 24 * 3_600_000
"""So long an open ticket is remembered after its last version; what is said about it later is not known of."""

Told = ChangeRequest | ServiceRequest

_PREFIXES: Final = {"change": "RFC", "request": "REQ"}
_RECORDS: Final[dict[str, type[Told]]] = {"change": ChangeRequest, "request": ServiceRequest}
_KEY: Final = b"t:"


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


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(TicketState).decode


class Tickets:
    """The tickets of one partition."""

    __slots__ = ("_by_situation", "_deadlines", "_dirty", "_forget_after", "_tickets")

    def __init__(self, forget_after_ms: int) -> None:
        """`forget_after_ms`: how long one is remembered that is closed or merged."""
        self._forget_after = forget_after_ms
        self._tickets: dict[str, TicketState] = {}
        self._by_situation: dict[str, dict[str, None]] = {}
        self._dirty: dict[str, None] = {}
        self._deadlines: list[tuple[int, str]] = []

    def wanted(self, case: Case, rules: Iterable[Ticket], now: int) -> list[Told]:
        """A situation has news, and these rules match it: raise what is new, tell anew what has changed."""
        situation = case.situation
        told = [self._told(name) for name in self._by_situation.get(situation.id, ()) if self._renewed(name, case, now)]
        for rule in rules:
            name = derived_id(_PREFIXES[rule.kind], *of_reopening(situation.id, rule.rule, situation.reopened))
            if name in self._tickets or self._has(situation.id, rule):
                continue
            root = situation.root
            self._keep(
                name,
                TicketState(
                    rule.kind,
                    situation.id,
                    rule.rule,
                    root,
                    fill(rule.title, case) or f"{root.class_ or 'silent failure'} on {root.ci}",
                    case.priority,
                    fill(rule.category, case) or case.root.category,
                    fill(rule.group, case) or case.root.group or case.root.owner,
                    tuple(fill(link, case) for link in rule.links),
                    now,
                    now,
                    because=(f"rule {rule.rule} asks for it",),
                ),
            )
            told.append(self._told(name))
        return told

    def merged(self, situation: str, heir: str, now: int) -> list[Told]:
        """The situation goes up in another one, and its open tickets with it."""
        told = []
        for name in self._by_situation.get(situation, ()):
            ticket = self._tickets[name]
            if ticket.status == "open":
                ticket.status = "merged"
                ticket.merged_into = self._same(heir, ticket) or incident_id(heir)
                self._next(name, ticket, now)
                told.append(self._told(name))
        return told

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
        deadlines = self._deadlines
        while deadlines and not self._meant(*deadlines[0]):
            heappop(deadlines)
        return deadlines[0][0] if deadlines else None

    def _meant(self, time: int, name: str) -> bool:
        ticket = self._tickets.get(name)
        return ticket is not None and self._forgotten_at(ticket) == time

    def expire(self, now: int) -> None:
        """Forget what is over, or nobody has closed for a long time."""
        while (due := self.due()) is not None and due <= now:
            _, name = heappop(self._deadlines)
            ticket = self._tickets.pop(name)
            names = self._by_situation[ticket.situation]
            del names[name]
            if not names:
                del self._by_situation[ticket.situation]
            self._dirty[name] = None

    def changes(self) -> list[Change]:
        """The state entries that changed since the last call."""
        changed: list[Change] = []
        for name in self._dirty:
            ticket = self._tickets.get(name)
            changed.append((_KEY + name.encode(), None if ticket is None else _encode(ticket)))
        self._dirty.clear()
        return changed

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from all pairs that were saved."""
        for key, value in sorted(entries):
            self._keep(key.removeprefix(_KEY).decode(), _decode(value))
        self._dirty.clear()

    def _keep(self, name: str, ticket: TicketState) -> None:
        self._tickets[name] = ticket
        self._by_situation.setdefault(ticket.situation, {})[name] = None
        self._dirty[name] = None
        heappush(self._deadlines, (self._forgotten_at(ticket), name))

    def _next(self, name: str, ticket: TicketState, now: int) -> None:
        """Another version of it."""
        ticket.version += 1
        ticket.updated = now
        self._dirty[name] = None
        heappush(self._deadlines, (self._forgotten_at(ticket), name))

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
            for name in self._by_situation.get(situation, ())
        )

    def _same(self, heir: str, ticket: TicketState) -> str | None:
        """The heir's open ticket of the same rule, as far as it is known here."""
        for name in self._by_situation.get(heir, ()):
            other = self._tickets[name]
            if other.status == "open" and (other.rule, other.kind) == (ticket.rule, ticket.kind):
                return name
        return None

    def _forgotten_at(self, ticket: TicketState) -> int:
        return ticket.updated + (KEPT_MS if ticket.status == "open" else self._forget_after)

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
