"""Where an event has to be heard, and where an alert: what must be worked on together, whatever the partitions.

A rule whose `group_by` has no `ci` keeps each of its groups in one place, whichever CIs the events come from; that
place gets a copy of the event that only rules hear. Intake asks this for what goes on, the first level for what it
derives. Alerts are heard by correlation domain.
"""

import msgspec

from opsbridge.core.decisions import Transition
from opsbridge.core.event import Event, Mark
from opsbridge.core.graph import CIGraph
from opsbridge.core.rulebook import Rulebook


def copies(event: Event, book: Rulebook) -> list[tuple[str, Event]]:
    """(text whose hash decides the partition, the event as it is to be heard there); each text once, the CI's first.

    An event that nobody would hear at its CI is not sent there.
    """
    own: list[Mark] = []
    away: dict[str, list[Mark]] = {}
    for mark in event.marks:
        rule = book.derivations.get(mark.rule)
        home = event.ci if rule is None else rule.home(mark.group)
        (own if home == event.ci else away.setdefault(home, [])).append(mark)
    if not away:
        return [(event.ci, event)]
    found = [(event.ci, msgspec.structs.replace(event, marks=tuple(own)))] if own or not event.observed else []
    return found + [
        (home, msgspec.structs.replace(event, marks=tuple(there), observed=True)) for home, there in away.items()
    ]


def domain_of(graph: CIGraph, transition: Transition) -> str:
    """Where a transition is heard: with the CI graph's component, or with whatever shares its ground.

    A CI without edges is a domain of its own, unless a rule joins its alert with others by what they have in common:
    then that is the domain, so that they meet in one partition.
    """
    number = graph.numbers.get(transition.ci) if transition.known_ci else None
    if transition.grounds and (number is None or not graph.connected(number)):
        return transition.grounds[0]
    return transition.ci if number is None else graph.domains[number]
