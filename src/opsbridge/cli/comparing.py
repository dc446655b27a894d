"""The same events through two production pipelines, old and new, and what differs in what they make of them.

Both hear each event before the next is read, so the input is read once, whatever it is. Called by `opsbridge backtest`
and tests; nothing here knows files, Kafka or how a difference is told.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from opsbridge.cli.payloads import Payload
from opsbridge.cli.preparing import Prepared
from opsbridge.cli.replaying import FinalIncident, Summary
from opsbridge.testing.differences import Counted, Difference, Ended, counts, differences


class Side(msgspec.Struct, frozen=True):
    """One of the two runs."""

    rules: str
    """The digest of the rules."""
    incidents: int


class Backtest(msgspec.Struct, frozen=True):
    """What differs between the runs."""

    read: int
    equal: bool
    """Whether all incidents and all counts are the same; what rules in trial would do does not count."""
    old: Side
    new: Side
    differences: list[Difference]
    counts: list[Counted]
    """Of all rules that did something: events that went no further, alerts derived and withheld."""
    trials: list[Counted]
    """What rules in trial would have done."""


def backtested(old: Prepared, new: Prepared, payloads: Iterable[Payload], now: int) -> Backtest:
    """The differences; `now` bounds the events' times from above, for both runs alike."""
    runs = old(lambda: now), new(lambda: now)
    read = 0
    for payload in payloads:
        for run in runs:
            run.read(payload)
        read += len(payload.items)
    ended = []
    for run in runs:
        run.finish()
        ended.append([_ended(incident) for incident in run.incidents()])
    before, after = (run.summary() for run in runs)
    found = differences(*ended)
    counted = counts(dict(_counts(before)), dict(_counts(after)))
    return Backtest(
        read=read,
        equal=not found and all(each.old == each.new for each in counted),
        old=Side(old.rules.digest, before.incidents),
        new=Side(new.rules.digest, after.incidents),
        differences=found,
        counts=counted,
        trials=counts(dict(_trials(before)), dict(_trials(after))),
    )


def _ended(incident: FinalIncident) -> Ended:
    return Ended(
        id=incident.id,
        title=incident.title,
        root=incident.root.ci,
        cause=incident.root.class_ or "",
        severity=incident.severity,
        status=incident.status,
        opened_ms=round(datetime.fromisoformat(incident.opened).timestamp() * 1000),
        events=frozenset(incident.events),
        cis=frozenset(incident.affected_cis),
        services=frozenset(incident.affected_services),
    )


def _counts(summary: Summary) -> Iterator[tuple[tuple[str, str], int]]:
    for place, reasons in summary.places.items():
        if place != "alert":  # what an event was to its alert follows from the rest
            for reason, count in reasons.items():
                yield (f"events {place.replace('_', ' ')}", reason), count
    for rule, count in summary.derived.items():
        yield ("alerts raised", rule), count
    for kind, rules in summary.withheld.items():
        for rule, count in rules.items():
            yield (f"alerts withheld: {kind}", rule), count


def _trials(summary: Summary) -> Iterator[tuple[tuple[str, str], int]]:
    for rule, actions in summary.shadow.items():
        for would, count in actions.items():
            yield (f"in trial, would {would}", rule), count
