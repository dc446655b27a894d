"""The demo's parts: a timetable that is its own truth, what is seen of the outcome, and the judgement about it."""

import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

import opsbridge.demo
from opsbridge.core.decisions import Candidate, Discrepancy, Member, Moved, Outcome, Rejected, Root, Withheld
from opsbridge.core.feedback import Result, Started
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.records import Attempt, Incident, IncidentMembers, Response, ResponseStatus, Tried
from opsbridge.core.second_level.level import REPORT_AFTER_MS
from opsbridge.demo.audience import Audience, Figures, figures
from opsbridge.demo.judgement import complaints
from opsbridge.demo.repairs import Repairs
from opsbridge.demo.scenario import HEARD, Failure, Fate, Hang, Record, Scenario, ScenarioError, storm
from opsbridge.demo.stage import DemoStageError, running_executor, running_worker
from opsbridge.executor import load_actions
from opsbridge.executor.actions import Command
from opsbridge.rules import compile_rules, load_known_errors, load_rules
from opsbridge.sources.canonical import decode
from opsbridge.topology import load_topology
from opsbridge.web.metrics import Metrics

REPOSITORY = Path(__file__).parents[2]
DEMO_RULES = Path(opsbridge.demo.__file__).with_name("rules.yaml")
START_MS = 1_767_225_600_000


@pytest.fixture(scope="module")
def estate() -> CIGraph:
    return load_topology([REPOSITORY / "topology"]).graph


class Play:
    """What the core makes of a scenario, with time moving on as it does live, in virtual time; an executor as well."""

    def __init__(self, scenario: Scenario, graph: CIGraph) -> None:
        rules = load_rules([REPOSITORY / "correlation_rules", DEMO_RULES]).rules
        known = load_known_errors([REPOSITORY / "known_errors"], required=True).errors
        self.pipeline = Pipeline(graph, compile_rules(rules, graph, known).book)
        self.audience = Audience()
        self.fates: Counter[Fate] = Counter()
        self.clock = 0
        self._scenario = scenario
        self._hanging = list(scenario.hangs)
        self._restarted: set[str] = set()
        self._keys: set[str] = set()
        self._asked: list[Response] = []

    def run(self) -> Figures:
        for record in self._scenario.records:
            self._until(record.at)
            self._publish(record)
        self._until(self.clock + REPORT_AFTER_MS + 30_000)
        outcomes: Counter[str] = Counter()
        for (place, reason), count in self.pipeline.accounts.places.items():
            if place == "alert":
                outcomes[str(reason)] += count
        rejected = sum(count for fate, count in self.fates.items() if fate[0] == "rejected")
        return Figures(self.fates.total(), self.fates, outcomes, 0, rejected)

    def _until(self, at: int) -> None:
        while self.clock + 500 <= at:
            self.clock += 500
            self._hear(self.pipeline.expire(START_MS + self.clock))
            self._work()
            self._mend()

    def _publish(self, record: Record) -> None:
        fate = self._hear(self.pipeline.advance([decode(record.value)], START_MS + record.at))
        assert fate == record.fate, record
        self.fates[fate] += 1

    def _work(self) -> None:
        """Do what was asked for since the last time, each key once."""
        asked, self._asked = self._asked, []
        for response in asked:
            if response.idempotency_key not in self._keys:
                self._keys.add(response.idempotency_key)
                self._restarted.add(response.parameters["host"])
                self._say(response, Started, "started")
                self._say(response, Result, "result", outcome="succeeded", output="is restarted")

    def _say(self, response: Response, kind: type[Started | Result], name: str, **more: str) -> None:
        said = kind(
            id=f"{response.idempotency_key}:{name}",
            time=datetime.fromtimestamp((START_MS + self.clock) / 1000, UTC),
            by="executor",
            response=response.id,
            situation=response.situation,
            idempotency_key=response.idempotency_key,
            **more,  # type: ignore[arg-type] # what only a result has
        )
        self.audience.feedback(msgspec.json.encode(said))
        answer = self.pipeline.heard(said)
        assert not isinstance(answer, str)
        self._hear(answer)

    def _mend(self) -> None:
        for hang in list(self._hanging):
            if hang.ci in self._restarted if hang.helped else self.audience.told_of_vain(hang.ci):
                self._hanging.remove(hang)
                self._publish(hang.mended(self.clock))

    def _hear(self, decisions: list[Decision]) -> Fate:
        fate: Fate = HEARD
        for decision in decisions:
            match decision:
                case Rejected(reason, _):
                    fate = ("rejected", reason)
                case Withheld(place, reason):
                    fate = ("withheld", place, reason)
                case Incident():
                    self.audience.incident(msgspec.json.encode(decision))
                case IncidentMembers():
                    self.audience.members(msgspec.json.encode(decision))
                case Response():
                    self.audience.response(msgspec.json.encode(decision))
                    if decision.status == "requested":
                        self._asked.append(decision)
                case _:
                    assert not isinstance(decision, Discrepancy) or decision.reference.startswith("pos-terminal-")
        return fate


def played(scenario: Scenario, graph: CIGraph) -> tuple[Counter[Fate], Audience, Figures]:
    """Where events ended, what was seen, and the figures of a scenario that went through the core."""
    play = Play(scenario, graph)
    counted = play.run()
    return play.fates, play.audience, counted


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


# auto-responses

HELPED, VAIN = Hang("vm-1", helped=True, start_ms=START_MS), Hang("vm-2", helped=False, start_ms=START_MS)


def told(ci: str, status: ResponseStatus, *outcomes: str, version: int = 1) -> Response:
    """An auto-response with so many attempts, in one version."""
    tried = tuple(
        Tried(idempotency_key=f"{ci}:{number}", purpose="action", attempt=number, requested="", outcome=outcome)  # type: ignore[arg-type] # as the tests say
        for number, outcome in enumerate(outcomes, 1)
    )
    return Response(
        id=f"RSP-{ci}",
        version=version,
        situation="S-1",
        incident=f"INC-{ci}",
        rule="demo-restart",
        root=Root(ci, "ServiceHung", silent=False, confidence=0.9),
        title="",
        opened="",
        updated="",
        status=status,
        ci=ci,
        action="restart",
        attempt=len(tried),
        attempts=2,
        tried=tried,
    )


def answered(*responses: Response, incident: bool = True, twice: str = "", never: str = "") -> Audience:
    audience = Audience()
    for response in responses:
        audience.response(msgspec.json.encode(response))
        for each in response.tried:
            key = each.idempotency_key
            started = Started(
                id="1",
                time=datetime.fromtimestamp(START_MS / 1000, UTC),
                by="executor",
                response="RSP-0000000000000000",
                situation="S-0000000000000000",
                idempotency_key=key,
            )
            for _ in range(2 if key == twice else 0 if key == never else 1):
                audience.feedback(msgspec.json.encode(started))
    if incident:
        attempts = (Attempt("RSP-vm-2", "restart", "escalated", 2),)
        audience.incident(msgspec.json.encode(snapshot(root="vm-2", name="INC-vm-2", attempts=attempts)))
    return audience


GOOD = told("vm-1", "effective", "succeeded")
BAD = told("vm-2", "escalated", "succeeded", "succeeded")


@pytest.mark.parametrize(
    ("audience", "complaint"),
    [
        (answered(GOOD, BAD), []),
        (answered(BAD), ["0 auto-responses are about vm-1, which hangs: there should be one"]),
        (
            answered(told("vm-1", "verifying", "succeeded"), BAD),
            ["RSP-vm-1 (restart on vm-1): it should be effective, but it is verifying"],
        ),
        (
            answered(told("vm-1", "effective", "succeeded", "succeeded"), BAD),
            ["RSP-vm-1 (restart on vm-1): it should have come to 1 attempts; there were: 1, 2"],
        ),
        (
            answered(GOOD, told("vm-2", "effective", "succeeded")),
            [
                "RSP-vm-2 (restart on vm-2): it should be escalated, but it is effective",
                "RSP-vm-2 (restart on vm-2): it should have come to 2 attempts; there were: 1",
            ],
        ),
        (
            answered(GOOD, told("vm-2", "escalated", "succeeded", "failed")),
            ["RSP-vm-2 (restart on vm-2): attempt 2 was done, but its outcome is failed"],
        ),
        (answered(GOOD, BAD, twice="vm-2:2"), ["RSP-vm-2 (restart on vm-2): attempt 2 was begun 2 times"]),
        (answered(GOOD, BAD, never="vm-1:1"), ["RSP-vm-1 (restart on vm-1): attempt 1 was begun 0 times"]),
        (
            answered(GOOD, BAD, incident=False),
            ["RSP-vm-2 (restart on vm-2): no incident tells that it was tried in vain"],
        ),
    ],
)
def test_each_auto_response_that_is_not_as_it_should_be_is_told(audience: Audience, complaint: list[str]) -> None:
    found = complaints(Scenario((), (), 0, (HELPED, VAIN)), audience, Figures(2, Counter({HEARD: 2})))
    assert [line for line in found if "INC-vm-2" not in line] == complaint


def test_the_life_of_an_auto_response_is_told_in_words() -> None:
    audience = Audience()

    def news(response: Response) -> list[str]:
        return audience.response(msgspec.json.encode(response))

    assert news(told("vm-1", "requested", "")) == [
        "RSP-vm-1 requested: restart on vm-1, attempt 1 of 2 - an executor is asked"
    ]
    assert news(told("vm-1", "requested", "succeeded", version=2)) == []
    assert news(told("vm-1", "effective", "succeeded", version=3)) == [
        "RSP-vm-1 effective: restart on vm-1, attempt 1 of 2 - the alerts have ended, nobody has to be told"
    ]
    assert news(told("vm-1", "requested", "", version=2)) == []
    assert audience.responses["RSP-vm-1"].status == "effective"


def test_a_restart_in_the_demo_s_world_leaves_a_line_and_nothing_else(tmp_path: Path) -> None:
    repairs = Repairs(tmp_path)
    repairs.prepare(REPOSITORY / "correlation_rules")
    assert repairs.restarts() == {}
    action = load_actions([repairs.actions]).by_name["restart-hung-service"]
    assert isinstance(action.does, Command)
    values = action.values({"host": "vm-1"})
    assert isinstance(values, dict)
    for _ in range(2):
        subprocess.run([action.does.program, *(each.filled(values) for each in action.does.arguments)], check=True)
    assert repairs.restarts() == {"vm-1": 2}
    assert isinstance(action.values({"host": "vm 1; reboot"}), str)
    asked = {rule.id for rule in load_rules([repairs.rules]).rules}
    assert "demo-restart" in asked
    assert len(asked) > 20


# what is seen


def test_the_life_of_an_incident_is_told_in_words() -> None:
    audience = Audience()

    def told(incident: Incident) -> list[str]:
        return [line.split(":")[0] for line in audience.incident(msgspec.json.encode(incident))]

    assert told(snapshot(1, status="open", root="h1")) == ["INC-1 opened"]
    assert told(snapshot(1, status="open", root="h1")) == []
    assert told(snapshot(2, status="open")) == ["INC-1 re-rooted"]
    assert told(snapshot(2, status="resolved")) == ["INC-1 resolved"], "of equal versions the later one counts"
    assert told(snapshot(3)) == []
    assert told(snapshot(4, status="reopened")) == ["INC-1 reopened"]
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
    async with running_worker(
        "127.0.0.1:1", REPOSITORY / "topology", rules, REPOSITORY / "known_errors", tmp_path
    ) as worker:
        with pytest.raises(DemoStageError, match="the worker ended with exit code 2; its last lines:\n") as failed:
            await worker.until_ready()
    assert "rules.yaml:1:1: nonsense: unknown field" in str(failed.value)


async def test_an_executor_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    actions = tmp_path / "actions.yaml"
    actions.write_text("nonsense: 1\n")
    async with running_executor("127.0.0.1:1", actions, tmp_path) as executor:
        await executor.process.wait()
        with pytest.raises(DemoStageError, match="the executor ended with exit code 2; its last lines:\n") as failed:
            executor.check()
    assert "actions.yaml:1:1: nonsense: unknown field" in str(failed.value)
