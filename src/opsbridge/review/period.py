"""A stretch of time and all that is counted of it: its events with the places where they ended, and what began in it.

An incident that began before and has events in it is counted too; everything else is counted where it began.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import TypeVar

from opsbridge.core.decisions import Shadowed, Situation, Suppressed, Transition
from opsbridge.core.graph import CIGraph
from opsbridge.core.records import ChangeRequest, Incident, Notification, Problem, Response, ServiceRequest
from opsbridge.core.response.judging import Judge
from opsbridge.core.rulebook import Handling, Rulebook
from opsbridge.review.counting import milliseconds
from opsbridge.review.heard import HeardEvents
from opsbridge.review.places import Home, Places
from opsbridge.review.told import Firing, Told

Record = TypeVar(
    "Record",
    bound=Transition
    | Suppressed
    | Shadowed
    | Situation
    | Incident
    | Problem
    | ChangeRequest
    | ServiceRequest
    | Response
    | Notification,
)


class Period:
    """What several figures need."""

    def __init__(self, told: Told, heard: HeardEvents, graph: CIGraph, book: Rulebook, since: int) -> None:
        """`since`: milliseconds since 1970; 0: from the beginning."""
        self.told = told
        self.heard = heard
        self._since = since
        judge = Judge(book, graph)
        self.judged: dict[str, Handling] = {
            name: judge(each).handling for name, each in told.situations.items() if each.status != "merged"
        }
        """Situation -> what the rules say of its newest version: incident or nothing."""
        self.places = Places(told, heard.ends)
        for fingerprint, reports in heard.reports.items():
            self.places.hear(fingerprint, reports)
        self.ended: Counter[Home] = Counter(self.places.nowhere)
        """Events that went on, by where they ended."""
        for firing, events in self.places.events.items():
            self.ended[self.places.homes[firing]] += events
        self.inside = {home.reason: events for home, events in self.ended.items() if home.place == "incident"}
        """Incident -> its events."""
        self.incidents = [
            each
            for each in told.incidents.values()
            if each.status != "merged" and (each.id in self.inside or self._has(each))
        ]
        self.firings: dict[Firing, Transition] = {
            (each.fingerprint, each.event): each
            for each in self.of(told.transitions.values())
            if each.change in ("opened", "renewed")
        }
        """As they were told."""
        self.ends = max(chain([heard.ends], (milliseconds(each.updated) for each in self.incidents)))

    def of(self, records: Iterable[Record]) -> list[Record]:
        """Those that began in the period."""
        return [each for each in records if self._has(each)]

    def _has(self, record: Record) -> bool:
        match record:
            case Transition() | Suppressed() | Situation():
                began = record.opened_ms
            case Shadowed():
                began = record.time_ms
            case Notification():
                began = milliseconds(record.time)
            case _:
                began = milliseconds(record.opened)
        return began >= self._since
