"""Where an event has to be heard, and where an alert: what must be worked on together, whatever the partitions.

An event is heard with its CI, or with its key where its alert is kept by that. A rule whose groups are kept elsewhere,
by another field or by the CI of such an alert, gets a copy there that only rules hear. Intake asks this for what goes
on, the first level for what it derives. What alerts have to tell is heard by correlation domain.
"""

from collections.abc import Sequence

import msgspec

from opsbridge.core.decisions import Transition
from opsbridge.core.event import Event, Mark
from opsbridge.core.graph import CIGraph
from opsbridge.core.rulebook import Rulebook


def copies(event: Event, book: Rulebook) -> list[tuple[str, Event]]:
    """(text whose hash decides the partition, the event as it is to be heard there); each text once, its alert's first.

    An event that nobody would hear with its alert is not sent there.
    """
    kept = event.home
    own: list[Mark] = []
    away: dict[str, list[Mark]] = {}
    for mark in event.marks:
        rule = book.derivations.get(mark.rule)
        home = kept if rule is None else rule.home(mark.group)
        (own if home == kept else away.setdefault(home, [])).append(mark)
    if not away:
        return [(kept, event)]
    found = [(kept, msgspec.structs.replace(event, marks=tuple(own)))] if own or not event.observed else []
    return found + [
        (home, msgspec.structs.replace(event, marks=tuple(there), observed=True)) for home, there in away.items()
    ]


def domain_of(graph: CIGraph, transition: Transition) -> str:
    """Where a transition is heard, in the backbone or not."""
    return heard_at(graph, transition)[0]


def heard_at(graph: CIGraph, transition: Transition) -> tuple[str, bool]:
    """The domain where a transition is heard, and whether that is a backbone: the same as when its alert opened."""
    if transition.domain:
        return transition.domain, transition.shared
    return opens_at(graph, transition.ci, transition.grounds, known=transition.known_ci)


def opens_at(graph: CIGraph, ci: str, grounds: Sequence[str], *, known: bool) -> tuple[str, bool]:
    """The domain where an alert that opens now is heard, and whether that is a backbone.

    It is heard with the CI graph's component, or with whatever shares its ground: a CI without edges is a domain of its
    own, unless a rule joins its alert with others by what they have in common: then that is the domain, so that they
    meet in one partition.
    """
    number = graph.numbers.get(ci) if known else None
    if number is not None and graph.backbone[number] and (home := graph.home(number)):
        return home, True
    if grounds and (number is None or not graph.connected(number)):
        return grounds[0], False
    return (ci if number is None else graph.domains[number]), False
