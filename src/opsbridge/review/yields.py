"""What each rule has done, and the incidents that it had a part in.

A rule has a part in an incident if it classified or raised an alert of it, made it an incident, or decided what else
was done about it. Rules whose work cannot be counted (enrich, dedup, correlate, priority) are not named.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from opsbridge.review.model import RuleYield
from opsbridge.review.period import Period
from opsbridge.review.told import raised_by

COUNTED: Final = frozenset(
    {"filter", "classify", "hold", "flapping", "heartbeat", "threshold", "sequence", "trend", "maintenance", "inhibit"}
    | {"respond"}
)
"""Kinds of which a rule that did nothing is told too: it may be superfluous, or not match what it should."""


def yields(period: Period, rules: Mapping[str, str]) -> list[RuleYield]:
    """Every rule that did something, the busiest first, then those that did nothing. `rules`: id -> kind."""
    did: dict[str, Counter[str]] = defaultdict(Counter)
    incidents: dict[str, set[str]] = defaultdict(set)
    for rule, what, incident in _deeds(period):
        if what:
            did[rule][what] += 1
        if incident:
            incidents[rule].add(incident)
    for (rule, what), events in period.heard.decided.items():
        did[rule][what] += events
    names = did.keys() | incidents.keys() | {rule for rule, kind in rules.items() if kind in COUNTED}
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


def _deeds(period: Period) -> Iterator[tuple[str, str, str]]:
    """(rule, what it did or empty, the incident that it had to do with or empty)."""
    told = period.told
    for firing, change in period.firings.items():
        if change.rule:
            home = period.places.homes[firing]
            raised = "raised" if raised_by(change) else ""
            yield change.rule, raised, home.reason if home.place == "incident" else ""
    for withheld in period.of(told.withheld.values()):
        yield withheld.rule, "withheld", ""
    for trial in period.of(told.shadow.values()):
        yield trial.rule, f"would_{trial.would}", ""
    for situation in period.of(told.situations.values()):
        if (answer := period.judged.get(situation.id)) is not None and answer.rule:
            what = "incidents" if answer.response == "incident" else "no_incident"
            yield answer.rule, what, told.incident_of(situation.id)
    for change_request in period.of(told.changes.values()):
        yield change_request.rule, "changes", told.incident_of(change_request.situation)
    for request in period.of(told.requests.values()):
        yield request.rule, "requests", told.incident_of(request.situation)
    for response in period.of(told.responses.values()):
        yield response.rule, "responses", told.incident_of(response.situation)
    for notification in period.of(told.notifications.values()):
        if notification.rule:
            yield notification.rule, "notifications", notification.incident
    for problem in period.of(told.problems.values()):
        yield problem.rule, "problems", ""
