"""The storm the project is for: 10 000 CIs behind one silent switch are one incident that names them all."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from timetable import FAR, START, gathered

from opsbridge.core.decisions import SituationUpdate
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.core.second_level.reporting import SLICE

SIZE = 10_000


def estate() -> CIGraph:
    """core <- switch <- hypervisors <- VMs <- services (two VMs each), and twenty quiet sibling switches."""
    chance = random.Random(1)
    cis = [CI(id="core"), CI(id="switch"), *(CI(id=f"quiet-{n}") for n in range(20))]
    edges = [(number, 0) for number in range(1, len(cis))]
    hypervisors = range(len(cis), len(cis) + SIZE // 25)
    machines = range(hypervisors.stop, hypervisors.stop + SIZE // 2)
    services = range(machines.stop, len(cis) + SIZE)
    cis += [CI(id=f"hyp-{n}") for n in hypervisors]
    cis += [CI(id=f"vm-{n}") for n in machines]
    cis += [CI(id=f"svc-{n}", service=True) for n in services]
    edges += [(n, 1) for n in hypervisors]
    edges += [(n, chance.choice(hypervisors)) for n in machines]
    edges += [(n, machine) for n in services for machine in chance.sample(machines, 2)]
    return CIGraph(cis, edges)


ESTATE = estate()
BEHIND = [ci.id for ci in ESTATE.cis[22:]]


def storm(seconds: int) -> list[Report]:
    """An alarm of every CI behind the switch, in any order, spread over the time."""
    chance = random.Random(2)
    times = sorted(chance.randrange(seconds * 1000) for _ in BEHIND)
    shuffled = chance.sample(BEHIND, len(BEHIND))
    return [alarm(f"e{n}", time, ci) for n, (time, ci) in enumerate(zip(times, shuffled, strict=True))]


def alarm(name: str, time: int, ci: str) -> Report:
    moment = datetime.fromtimestamp((START + time) / 1000, UTC)
    return Report(id=name, time=moment, ci=ci, class_="Unreachable", state="firing", severity="critical")


def run(reports: list[Report]) -> list[Decision]:
    pipeline = Pipeline(ESTATE)
    decisions: list[Decision] = []
    for start in range(0, len(reports), 500):
        decisions += pipeline.advance(reports[start : start + 500], FAR)
    decisions += pipeline.finish()
    assert pipeline.accounts.balanced()
    return decisions


def only_incident(decisions: Iterable[Decision]) -> Incident:
    """The last version of the one incident that was ever told of."""
    told = [decision for decision in decisions if isinstance(decision, Incident)]
    assert len({incident.id for incident in told}) == 1
    return told[-1]


@pytest.mark.parametrize("seconds", [5, 30])
def test_a_storm_behind_a_silent_switch_is_one_incident(seconds: int) -> None:
    """Also when it takes longer than the watching time, so that the incident is told of while the storm goes on."""
    decisions = run(storm(seconds))
    incident = only_incident(decisions)
    assert (incident.root.ci, incident.root.silent, incident.root.class_) == ("switch", True, None)
    assert (incident.alerts, incident.firing, incident.affected_cis) == (SIZE, SIZE, SIZE + 1)
    assert incident.candidates[0].ci == "switch"
    everything = gathered(decision.moved for decision in decisions if isinstance(decision, IncidentMembers))
    assert {member.partition("\x1f")[0] for member in map(str, everything.joined)} == set(BEHIND)
    assert set(everything.cis_joined) == {"switch", *BEHIND}
    assert set(everything.services_joined) == {ci for ci in BEHIND if ci.startswith("svc-")}
    assert len(everything.services_joined) == incident.affected_services
    assert set(incident.services) < set(everything.services_joined)


@pytest.mark.parametrize("at", [0, 15_000, 29_999, 60_000])
def test_the_switch_may_speak_at_any_time(at: int) -> None:
    """First, in the middle, last, or long after the incident was told of: it is the root of the same incident."""
    reports = sorted([*storm(30), alarm("switch", at, "switch")], key=lambda report: (report.time, report.id))
    incident = only_incident(run(reports))
    assert (incident.root.ci, incident.root.silent, incident.root.class_) == ("switch", False, "Unreachable")
    assert (incident.alerts, incident.affected_cis) == (SIZE + 1, SIZE + 1)


def test_news_leave_in_slices_that_each_carry_the_snapshot() -> None:
    updates = [decision for decision in run(storm(5)) if isinstance(decision, SituationUpdate)]
    (first,) = {update.situation.version for update in updates[:-1]}
    slices = [update for update in updates if update.situation.version == first]
    assert [update.part for update in slices] == list(range(1, slices[0].parts + 1))
    assert len(slices) == -(-(SIZE + 1) // SLICE)
    assert all(update.situation == slices[0].situation for update in slices)
    assert all(len(update.moved.joined) <= SLICE and len(update.moved.cis_joined) <= SLICE for update in slices)
    assert sum(len(update.moved.joined) for update in slices) == SIZE
