"""Whether the demo went as it had to: what the worker made of the storm against the scenario's own truth."""

from collections.abc import Iterator

from opsbridge.core.records import Incident
from opsbridge.demo.audience import Audience, Figures
from opsbridge.demo.scenario import Failure, Scenario


def complaints(scenario: Scenario, audience: Audience, figures: Figures) -> list[str]:
    """Every expectation that is not met, in words; empty if the outcome is right."""
    return [*_counts(scenario, figures), *_incidents(scenario, audience)]


def _counts(scenario: Scenario, figures: Figures) -> Iterator[str]:
    published = len(scenario.records)
    if figures.received != published:
        yield f"{published} records were published, the worker received {figures.received}"
    if not figures.balanced:
        yield f"{figures.received} events were received, but {figures.fates.total()} have ended somewhere"
    expected = scenario.fates
    for fate in sorted(expected.keys() | figures.fates.keys()):
        if figures.fates[fate] != expected[fate]:
            yield f"{' '.join(fate)}: expected {expected[fate]} events, counted {figures.fates[fate]}"
    rejected = sum(count for fate, count in expected.items() if fate[0] == "rejected")
    if figures.dead_letters != rejected:
        yield f"{rejected} records are no events, {figures.dead_letters} dead letters were written"


def _incidents(scenario: Scenario, audience: Audience) -> Iterator[str]:
    by_root: dict[str, list[Incident]] = {}
    for incident in audience.standing():
        by_root.setdefault(incident.root.ci, []).append(incident)
    for failure in scenario.failures:
        found = by_root.pop(failure.root, [])
        if not found:
            yield f"no incident names the root {failure.root}"
        elif len(found) > 1:
            yield f"{len(found)} incidents name the root {failure.root}: {', '.join(one.id for one in found)}"
        else:
            yield from _held_against(failure, found[0], audience)
    for root, others in by_root.items():
        yield from (f"{one.id} should not be: {one.title} (root {root})" for one in others)


def _held_against(failure: Failure, incident: Incident, audience: Audience) -> Iterator[str]:
    name = f"{incident.id} (root {failure.root})"
    if incident.root.silent != failure.silent:
        yield f"{name}: the root is {'silent' if failure.silent else 'not silent'}, the incident says otherwise"
    if incident.status != "resolved":
        yield f"{name}: all its alerts were resolved, but it is {incident.status}"
    missing = failure.cis - audience.alerting(incident.id)
    if missing:
        shown = ", ".join(sorted(missing)[:5])
        yield f"{name}: the alerts of {len(missing)} of {len(failure.cis)} CIs are not in it, for example of {shown}"
    if len(audience.affected(incident.id)) != incident.affected_cis:
        named = len(audience.affected(incident.id))
        yield f"{name}: {incident.affected_cis} CIs are affected, {named} were named"
