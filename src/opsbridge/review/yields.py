"""What each rule has done, and the incidents that it had a part in.

A rule has a part in an incident if it classified or raised an alert of it, made it an incident, or decided what else
was done about it. Rules whose work cannot be counted (enrich, dedup, correlate, priority) are not named.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from opsbridge.core.rulebook import Answer
from opsbridge.review.counting import milliseconds
from opsbridge.review.heard import HeardEvents
from opsbridge.review.model import RuleYield
from opsbridge.review.places import Places
from opsbridge.review.told import Told

COUNTED: Final = frozenset(
    {"filter", "classify", "hold", "flapping", "heartbeat", "threshold", "sequence", "trend", "maintenance", "inhibit"}
    | {"respond"}
)
"""Kinds of which a rule that did nothing is told too: it may be superfluous, or not match what it should."""


def yields(
    told: Told,
    heard: HeardEvents,
    places: Places,
    judged: Mapping[str, Answer],
    rules: Mapping[str, str],
    since: int,
) -> list[RuleYield]:
    """Every rule that did something, the busiest first, then those that did nothing.

    `judged`: situation -> what rules say of it; `rules`: id -> kind; `since`: milliseconds.
    """
    did: dict[str, Counter[str]] = defaultdict(Counter)
    incidents: dict[str, set[str]] = defaultdict(set)
    for rule, what, incident, times in _deeds(told, heard, places, judged, since):
        if what:
            did[rule][what] += times
        else:
            did[rule].update(())
        if incident:
            incidents[rule].add(incident)
    names = set(did) | {rule for rule, kind in rules.items() if kind in COUNTED}
    found = [
        RuleYield(
            rule=rule,
            kind=rules.get(rule, ""),
            did=dict(sorted(did[rule].items())),
            incidents=len(incidents[rule]),
        )
        for rule in names
    ]
    return sorted(found, key=lambda one: (-sum(one.did.values()), -one.incidents, one.rule))


def _deeds(
    told: Told, heard: HeardEvents, places: Places, judged: Mapping[str, Answer], since: int
) -> Iterator[tuple[str, str, str, int]]:
    """(rule, what it did or empty, the incident that it had to do with or empty, how often)."""
    for (rule, what), times in heard.decided.items():
        yield rule, what, "", times
    for change in told.transitions.values():
        if change.opened_ms < since or change.change not in ("opened", "renewed"):
            continue
        firing = (change.fingerprint, change.event)
        home = places.home_of(firing)
        incident = home.reason if home is not None and home.place == "incident" else ""
        if change.rule:
            raised = change.fingerprint.startswith(f"rule\x1f{change.rule}\x1f")
            yield change.rule, "raised" if raised else "", incident, 1
    for withheld in told.withheld.values():
        if withheld.opened_ms >= since:
            yield withheld.rule, "withheld", "", 1
    for trial in told.shadow.values():
        if trial.time_ms >= since:
            yield trial.rule, f"would_{trial.would}", "", 1
    for situation, answer in judged.items():
        if answer.rule and told.situations[situation].opened_ms >= since:
            name = "INC" + situation[1:]
            what = "incidents" if answer.response == "incident" else "no_incident"
            yield answer.rule, what, name if name in told.incidents else "", 1
    for what, records in (
        ("changes", told.changes),
        ("requests", told.requests),
        ("responses", told.responses),
    ):
        for record in records.values():
            if milliseconds(record.opened) >= since:
                name = "INC" + told.last(record.situation)[1:]
                yield record.rule, what, name if name in told.incidents else "", 1
    for notification in told.notifications.values():
        if notification.rule and milliseconds(notification.time) >= since:
            yield notification.rule, "notifications", notification.incident, 1
    for problem in told.problems.values():
        if milliseconds(problem.opened) >= since:
            yield problem.rule, "problems", "", 1
