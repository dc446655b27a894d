"""The demo's parts: a timetable that is its own truth, what is seen of the outcome, and the judgement about it."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from opsbridge.core.decisions import Candidate, Discrepancy, Member, Moved, Outcome, Rejected, Root, Withheld
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.core.second_level.level import REPORT_AFTER_MS
from opsbridge.demo.audience import Audience, Figures, figures
from opsbridge.demo.judgement import complaints
from opsbridge.demo.scenario import HEARD, Failure, Fate, Record, Scenario, ScenarioError, storm
from opsbridge.demo.stage import DemoStageError, running_worker
from opsbridge.rules import compile_rules, load_rules
from opsbridge.sources.canonical import decode
from opsbridge.topology import load_topology
from opsbridge.web.metrics import Metrics

REPOSITORY = Path(__file__).parents[2]
START_MS = 1_767_225_600_000


@pytest.fixture(scope="module")
def estate() -> CIGraph:
    return load_topology([REPOSITORY / "topology"]).graph


def played(scenario: Scenario, graph: CIGraph) -> tuple[Counter[Fate], Audience, Figures]:
    """What the core makes of a scenario, with time moving on as it does live, in virtual time."""
    pipeline = Pipeline(graph, compile_rules(load_rules([REPOSITORY / "correlation_rules"]).rules, graph).book)
    audience = Audience()
    fates: Counter[Fate] = Counter()

    def hear(decisions: list[Decision]) -> Fate:
        fate: Fate = HEARD
        for decision in decisions:
            match decision:
                case Rejected(reason, _):
                    fate = ("rejected", reason)
                case Withheld(place, reason):
                    fate = ("withheld", place, reason)
                case Incident():
                    audience.incident(msgspec.json.encode(decision))
                case IncidentMembers():
                    audience.members(msgspec.json.encode(decision))
                case _:
                    assert not isinstance(decision, Discrepancy) or decision.reference.startswith("pos-terminal-")
        return fate

    clock = 0
    for record in scenario.records:
        while clock + 500 <= record.at:
            clock += 500
            hear(pipeline.expire(START_MS + clock))
        fate = hear(pipeline.advance([decode(record.value)], START_MS + record.at))
        assert fate == record.fate, record
        fates[fate] += 1
    hear(pipeline.expire(START_MS + scenario.records[-1].at + REPORT_AFTER_MS + 2_000))
    outcomes: Counter[str] = Counter()
    for (place, reason), count in pipeline.accounts.places.items():
        if place == "alert":
            outcomes[str(reason)] += count
    rejected = sum(count for fate, count in fates.items() if fate[0] == "rejected")
    return fates, audience, Figures(len(scenario.records), fates, outcomes, 0, rejected)


def test_the_same_seed_gives_the_same_storm(estate: CIGraph) -> None:
    one, same, other = (storm(estate, seed=seed, seconds=30, start_ms=START_MS) for seed in (7, 7, 8))
    assert one == same
    assert one.records != other.records
    assert [record.at for record in one.records] == sorted(record.at for record in one.records)
    assert len(one.records) > 1000


@pytest.mark.parametrize("seed", range(5))
def test_every_record_ends_where_the_scenario_says(estate: CIGraph, seed: int) -> None:
    scenario = storm(estate, seed=seed, seconds=30, start_ms=START_MS)
    fates, _, counted = played(scenario, estate)
    assert fates == scenario.fates
    assert counted.outcomes[Outcome.OPENED] > 100
    assert {"rejected", "withheld", "heard"} == {fate[0] for fate in fates}


@pytest.mark.parametrize("seconds", [20, 30, 60])
@pytest.mark.parametrize("seed", [1, 3, 7])
def test_the_core_makes_of_the_storm_what_it_has_to(estate: CIGraph, seed: int, seconds: float) -> None:
    scenario = storm(estate, seed=seed, seconds=seconds, start_ms=START_MS)
    _, audience, counted = played(scenario, estate)
    assert complaints(scenario, audience, counted) == []


def test_an_estate_without_what_the_storm_needs_is_refused() -> None:
    with pytest.raises(ScenarioError, match="two sites and a CI of type access_switch"):
        storm(CIGraph([CI("a")]), seed=1, seconds=30, start_ms=START_MS)


# the judgement

ALERTS = {"h1": Member("h1/Down", 1, "h1", "Down", "e1"), "h2": Member("h2/Down", 1, "h2", "Down", "e2")}


def snapshot(
    version: int = 1, *, root: str = "sw", silent: bool = True, name: str = "INC-1", **more: object
) -> Incident:
    known = Incident(
        id=name,
        version=version,
        status="resolved",
        title=f"silent failure on {root}",
        severity="critical",
        situation="SIT-1",
        root=Root(root, None if silent else "Down", silent, 0.9),
        candidates=(Candidate(root, 3.0),),
        firing=0,
        alerts=2,
        affected_cis=3,
        affected_services=0,
        services=(),
        opened="",
        updated="",
        resolved=None,
        merged_into=None,
        because=(),
    )
    return msgspec.structs.replace(known, **more)


def seen(*incidents: Incident, alerting: tuple[str, ...] = ("h1", "h2")) -> Audience:
    audience = Audience()
    moved = Moved(joined=tuple(ALERTS[ci] for ci in alerting), cis_joined=("sw", "h1", "h2"))
    for incident in incidents:
        audience.incident(msgspec.json.encode(incident))
        audience.members(msgspec.json.encode(IncidentMembers(incident.id, 1, 1, 1, moved)))
    return audience


BROKEN: Fate = ("rejected", "invalid_json")
EXPECTED = Scenario(
    (Record(0, b"", b"", HEARD), Record(0, b"", b"", BROKEN)),
    (Failure("sw", silent=True, cis=frozenset({"h1", "h2"})),),
    0,
)
RIGHT = Figures(2, Counter({HEARD: 1, BROKEN: 1}), Counter({"opened": 1}), 0, 1)


def test_a_right_outcome_is_right() -> None:
    assert complaints(EXPECTED, seen(snapshot()), RIGHT) == []


@pytest.mark.parametrize(
    ("audience", "counted", "told"),
    [
        (seen(), RIGHT, ["no incident names the root sw"]),
        (seen(snapshot(), snapshot(name="INC-2")), RIGHT, ["2 incidents name the root sw: INC-1, INC-2"]),
        (
            seen(snapshot(silent=False)),
            RIGHT,
            ["INC-1 (root sw): the root is silent, the incident says otherwise"],
        ),
        (seen(snapshot(status="open")), RIGHT, ["INC-1 (root sw): all its alerts were resolved, but it is open"]),
        (
            seen(snapshot(), alerting=("h1",)),
            RIGHT,
            ["INC-1 (root sw): the alerts of 1 of 2 CIs are not in it, for example of h2"],
        ),
        (seen(snapshot(affected_cis=4)), RIGHT, ["INC-1 (root sw): 4 CIs are affected, 3 were named"]),
        (
            seen(snapshot(root="h1"), alerting=()),
            RIGHT,
            ["no incident names the root sw", "INC-1 should not be: silent failure on h1 (root h1)"],
        ),
        (
            seen(snapshot()),
            Figures(3, RIGHT.fates, RIGHT.outcomes, 0, 0),
            [
                "2 records were published, the worker received 3",
                "3 events were received, but 2 have ended somewhere",
                "1 records are no events, 0 dead letters were written",
            ],
        ),
        (
            seen(snapshot()),
            Figures(2, Counter({HEARD: 2}), RIGHT.outcomes, 0, 1),
            ["heard: expected 1 events, counted 2", "rejected invalid_json: expected 1 events, counted 0"],
        ),
    ],
)
def test_each_expectation_that_is_not_met_is_told(audience: Audience, counted: Figures, told: list[str]) -> None:
    assert complaints(EXPECTED, audience, counted) == told


# what is seen


def test_the_life_of_an_incident_is_told_in_words() -> None:
    audience = Audience()

    def told(incident: Incident) -> list[str]:
        return [line.split(":")[0] for line in audience.incident(msgspec.json.encode(incident))]

    assert told(snapshot(1, status="open", root="h1")) == ["INC-1 opened"]
    assert told(snapshot(1, status="open", root="h1")) == []
    assert told(snapshot(2, status="open")) == ["INC-1 re-rooted"]
    assert told(snapshot(3)) == ["INC-1 resolved"]
    assert told(snapshot(4, status="open")) == ["INC-1 reopened"]
    assert told(snapshot(5, status="merged", merged_into="INC-0")) == ["INC-1 merged into INC-0"]
    assert told(snapshot(1, name="INC-2")) == ["INC-2 opened", "INC-2 is resolved already"]
    assert audience.counts == {"opened": 2, "re-rooted": 1, "resolved": 2, "reopened": 1, "merged": 1}
    assert [incident.id for incident in audience.standing()] == ["INC-2"]


def test_an_alert_is_in_one_incident_at_a_time() -> None:
    audience = seen(snapshot())
    audience.members(msgspec.json.encode(IncidentMembers("INC-2", 1, 1, 1, Moved(joined=(ALERTS["h1"],)))))
    audience.members(
        msgspec.json.encode(IncidentMembers("INC-1", 2, 1, 1, Moved(left=(ALERTS["h2"],), cis_left=("h2",))))
    )
    assert audience.alerting("INC-1") == set()
    assert audience.alerting("INC-2") == {"h1"}
    assert audience.affected("INC-1") == {"sw", "h1"}


def test_the_figures_are_the_worker_s_own() -> None:
    from prometheus_client import generate_latest

    metrics = Metrics()
    metrics.received("events", 6)
    metrics.rejected({"invalid_json": 1})
    metrics.dead_letters({"invalid_json": 1})
    metrics.withheld({("suppressed", "quiet"): 2})
    metrics.heard({Outcome.OPENED: 2, Outcome.WAITING: 1})
    metrics.expired("resolution_without_problem", 1)
    counted = figures(generate_latest(metrics.registry).decode())
    assert counted == Figures(
        6,
        Counter({BROKEN: 1, ("withheld", "suppressed", "quiet"): 2, HEARD: 3}),
        Counter({"opened": 2, "waiting": 1}),
        1,
        1,
    )
    assert counted.balanced


async def test_a_worker_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("nonsense: 1\n")
    async with running_worker("127.0.0.1:1", REPOSITORY / "topology", rules, tmp_path) as worker:
        with pytest.raises(DemoStageError, match="the worker ended with exit code 2; its last lines:\n") as failed:
            await worker.until_ready()
    assert "rules.yaml:1:1: nonsense: unknown field" in str(failed.value)
