"""Whether the demo went as it had to: what the worker made of the storm against the scenario's own truth."""

from collections.abc import Iterator

from opsbridge.core.records import Incident, Response
from opsbridge.demo.audience import Audience, Figures
from opsbridge.demo.scenario import RESTARTS, Failure, Hang, Scenario


def complaints(scenario: Scenario, audience: Audience, figures: Figures) -> list[str]:
    """Every expectation that is not met, in words; empty if the outcome is right."""
    return [
        *_counts(scenario, figures),
        *_incidents(scenario, audience),
        *(complaint for hang in scenario.hangs for complaint in _responses(hang, audience)),
    ]


def _counts(scenario: Scenario, figures: Figures) -> Iterator[str]:
    published = scenario.fates.total()
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
    known = [each.id for each in incident.known_errors]
    if failure.known_error and failure.known_error not in known:
        yield f"{name}: it is the known error {failure.known_error}, but it has {', '.join(known) or 'none'}"
    missing = failure.cis - audience.alerting(incident.id)
    if missing:
        shown = ", ".join(sorted(missing)[:5])
        yield f"{name}: the alerts of {len(missing)} of {len(failure.cis)} CIs are not in it, for example of {shown}"
    if len(audience.affected(incident.id)) != incident.affected_cis:
        named = len(audience.affected(incident.id))
        yield f"{name}: {incident.affected_cis} CIs are affected, {named} were named"


def _responses(hang: Hang, audience: Audience) -> Iterator[str]:
    found = audience.responses_for(hang.ci)
    if len(found) != 1:
        yield f"{len(found)} auto-responses are about {hang.ci}, which hangs: there should be one"
        return
    (response,) = found
    name = f"{response.id} ({response.action} on {hang.ci})"
    ending, attempts = ("effective", 1) if hang.helped else ("escalated", RESTARTS)
    if response.status != ending:
        yield f"{name}: it should be {ending}, but it is {response.status}"
    yield from (f"{name}: {complaint}" for complaint in _attempts(response, attempts, audience))
    if not hang.helped and not audience.told_of_vain(hang.ci):
        yield f"{name}: no incident tells that it was tried in vain"


def _attempts(response: Response, wanted: int, audience: Audience) -> Iterator[str]:
    """Each attempt must have been asked for once, begun once, and have succeeded as far as the executor can tell."""
    if [each.attempt for each in response.tried] != list(range(1, wanted + 1)):
        made = ", ".join(str(each.attempt) for each in response.tried) or "none"
        yield f"it should have come to {wanted} attempts; there were: {made}"
    for each in response.tried:
        if each.outcome != "succeeded":
            yield f"attempt {each.attempt} was done, but its outcome is {each.outcome or 'not known'}"
        if audience.begun[each.idempotency_key] != 1:
            yield f"attempt {each.attempt} was begun {audience.begun[each.idempotency_key]} times"
