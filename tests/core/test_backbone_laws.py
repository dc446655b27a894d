"""The laws of the core on random estates of sites, and that it does not matter which worker holds which site."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from campus import build_sites
from hypothesis import example, given
from hypothesis import strategies as st
from timetable import START, Scenario, gathered

from estates import CALM_GAPS, LAW, LONG_GAPS, Item, Step, apply, batches, build, bytes_by_topic, happen, randoms
from opsbridge.core.decisions import Moved, SituationUpdate, Transition
from opsbridge.core.graph import CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.records import Incident, IncidentMembers
from opsbridge.core.response.selection import ResponseSelection
from opsbridge.core.second_level.backbone import Backbone, home
from opsbridge.core.second_level.evidence import Alerting, Evidence
from opsbridge.core.second_level.level import SecondLevel, Told
from opsbridge.core.weights import Weights

Life = tuple[CIGraph, list[Step]]


def lives(seed: int, gaps: tuple[int, ...] = LONG_GAPS) -> Life:
    chance = random.Random(seed)
    graph = build_sites(chance)
    steps = happen(chance, graph, gaps)
    return graph, steps


def play(scenario: Scenario, steps: list[Step]) -> None:
    for step in steps:
        if isinstance(step, int):
            scenario.expire(step)
        else:
            scenario.hear(step)
    scenario.checked()


@LAW
@given(st.integers(0, 2**40))
def test_every_event_ends_in_one_place(seed: int) -> None:
    graph, steps = lives(seed)
    with Scenario(graph) as scenario:
        play(scenario, steps)


@LAW
@given(st.integers(0, 2**40))
def test_what_joined_and_left_adds_up_to_the_snapshot(seed: int) -> None:
    graph, steps = lives(seed)
    scenario = Scenario(graph)
    play(scenario, steps)
    scenario.expire(scenario.pipeline.first.now + 100_000)
    for incident in scenario.ledger.incidents.values():
        moved = scenario.moved(incident.id)
        assert len(moved.joined) == incident.alerts, (incident, moved)
        assert len(moved.cis_joined) == incident.affected_cis
        assert incident.firing <= incident.alerts
        assert incident.because
        assert (incident.status == "merged") == (incident.merged_into is not None)
        if incident.status == "open":
            assert incident.firing
            assert incident.candidates[0].ci == incident.root.ci
        assert not any(str(member).startswith("\x1f") for member in moved.joined)


def run(graph: CIGraph, steps: Sequence[Sequence[Item] | Step]) -> list[Decision]:
    pipeline = Pipeline(graph)
    decisions = [decision for step in steps for decision in apply(pipeline, step)]
    return decisions + pipeline.finish()


@LAW
@given(st.integers(0, 2**40), st.lists(st.integers(1, 30), min_size=60, max_size=60))
def test_decisions_do_not_depend_on_how_the_input_is_cut(seed: int, sizes: list[int]) -> None:
    graph, steps = lives(seed)
    assert bytes_by_topic(run(graph, batches(steps, sizes))) == bytes_by_topic(run(graph, steps))


@LAW
@given(st.integers(0, 2**40), randoms, st.sampled_from((0.05, 0.3, 1.0)))
@example(629866, random.Random(0), 0.3)  # saved between two ticks, with news to be told and its closing long due
def test_restored_at_any_step_it_goes_on_as_if_nothing_had_happened(
    seed: int, chance: random.Random, often: float
) -> None:
    graph, steps = lives(seed)
    pipeline, disturbed = Pipeline(graph), Pipeline(graph)
    saved: dict[bytes, bytes] = {}
    for number, step in enumerate([*steps, -1]):
        decisions = pipeline.finish() if step == -1 else apply(pipeline, step)
        again = disturbed.finish() if step == -1 else apply(disturbed, step)
        assert again == decisions, f"after step {number}: {step}"
        for key, value in disturbed.changes():
            if value is None:
                saved.pop(key, None)
            else:
                saved[key] = value
        if chance.random() < often:
            disturbed = Pipeline(graph)
            disturbed.restore(chance.sample(sorted(saved.items()), len(saved)))


def heard_by_the_backbone(graph: CIGraph, steps: list[Step]) -> list[SituationUpdate | Transition]:
    """What the stages before it would send to the backbone, in order."""
    pipeline = Pipeline(graph)
    listening = pipeline.backbone = Listening(graph)
    for step in steps:
        apply(pipeline, step)
    return listening.heard


class Listening(Backbone):
    """A backbone that writes down what it hears."""

    def __init__(self, graph: CIGraph) -> None:
        super().__init__(graph)
        self.heard: list[SituationUpdate | Transition] = []

    def advance(self, news: Iterable[SituationUpdate | Transition]) -> list[Told]:
        news = list(news)
        self.heard += news
        return super().advance(news)


@LAW
@given(st.integers(0, 2**40), randoms)
def test_what_is_heard_again_changes_nothing(seed: int, chance: random.Random) -> None:
    graph, steps = lives(seed, CALM_GAPS)
    news = heard_by_the_backbone(graph, steps)
    stage = Backbone(graph)
    stage.advance(news)
    stage.changes()
    assert stage.advance(news[chance.randrange(len(news) + 1) :]) == []
    assert stage.changes() == []


@LAW
@given(st.integers(0, 2**40))
def test_idle_state_leaves(seed: int) -> None:
    """Once all is resolved and a long time has passed, nothing is left, in memory or in what is saved."""
    graph, steps = lives(seed)
    pipeline = Pipeline(graph)
    firing: dict[str, Transition] = {}
    saved: dict[bytes, bytes | None] = {}
    for step in steps:
        for decision in apply(pipeline, step):
            if isinstance(decision, Transition):
                firing[decision.fingerprint] = decision
                if decision.change == "resolved":
                    del firing[decision.fingerprint]
        saved.update(pipeline.changes())
    now = max(pipeline.first.now, START)
    reports = [
        Report(
            id=f"end{number}",
            time=datetime.fromtimestamp((now + 1) / 1000, UTC),
            ci=change.ci,
            class_=change.class_,
            state="resolved",
            fingerprint=change.fingerprint,
        )
        for number, change in enumerate(firing.values())
    ]
    apply(pipeline, reports)
    for hours in range(1, 30):
        pipeline.expire(now + hours * 3_600_000)
    saved.update(pipeline.changes())
    kept = {key for key, value in saved.items() if value is not None and not key.startswith(b"coordination:d:")}
    assert kept <= {b"position", b"second:clock", b"backbone:eclock"}
    assert pipeline.backbone is not None
    assert not len(pipeline.backbone)
    findings = pipeline.backbone._findings
    assert not any(getattr(findings, slot) for slot in findings.__slots__ if slot != "_parted")
    assert not pipeline.backbone._deadlines
    evidence = pipeline.backbone._engine.claims.evidence
    evidence._pay()
    assert not any((evidence.alerting, evidence._below, evidence._spread, evidence._owed, evidence._sealed))


Final = tuple[str, frozenset[str], str]


def final(incidents: dict[str, Incident], moves: dict[str, list[Moved]]) -> Counter[Final]:
    """Root, members and status of every incident that was not merged into another."""
    return Counter(
        (incident.root.ci, frozenset(map(str, gathered(moves.get(incident.id, [])).joined)), incident.status)
        for incident in incidents.values()
        if incident.status != "merged"
    )


def updates(told: Iterable[Told]) -> list[SituationUpdate]:
    """What is told of situations: there are no rules here that withhold anything."""
    return [each for each in told if isinstance(each, SituationUpdate)]


def on_workers(graph: CIGraph, transitions: list[Transition], lags: dict[str, int]) -> Counter[Final]:
    """What comes of these transitions if every domain has a second level of its own that is behind by so much."""
    own = {domain: SecondLevel(graph) for domain in (*graph.domains, *(each.ci for each in transitions))}
    backbone, response = Backbone(graph), ResponseSelection()
    waiting = sorted(transitions, key=lambda each: each.now_ms)
    incidents: dict[str, Incident] = {}
    moves: dict[str, list[Moved]] = {}
    begin = waiting[0].now_ms // 1000 * 1000
    end = waiting[-1].now_ms + 120_000
    for now in range(begin, end, 1000):
        shared: list[SituationUpdate | Transition] = []
        told: list[SituationUpdate] = []
        late: list[Transition] = []
        for each in waiting:
            number = graph.numbers.get(each.ci)
            domain = each.ci if number is None else graph.domains[number]
            if each.now_ms > now - lags.get(domain, 0):
                late.append(each)
            elif home(graph, each):
                shared.append(each)
            else:
                told += updates(own[domain].advance([each]))
        waiting = late
        for domain, stage in own.items():
            told += updates(stage.expire(now - lags.get(domain, 0)))
        shared += [update for update in told if home(graph, update)]
        direct = [update for update in told if not home(graph, update)]
        for decision in response.advance([*direct, *updates([*backbone.advance(shared), *backbone.expire(now)])]):
            if isinstance(decision, Incident):
                incidents[decision.id] = decision
            elif isinstance(decision, IncidentMembers):
                moves.setdefault(decision.incident, []).append(decision.moved)
    return final(incidents, moves)


@LAW
@given(st.integers(0, 2**40))
def test_domains_on_different_workers_come_to_what_one_pipeline_comes_to(seed: int) -> None:
    """Workers may be behind each other by some seconds, the backbone's own alerts too."""
    chance = random.Random(seed)
    graph = build_sites(chance)
    steps = [step for step in happen(chance, graph, CALM_GAPS) if isinstance(step, Report) and step.state == "firing"]
    steps = [msgspec.structs.replace(step, fingerprint=None) for step in steps]
    steps.sort(key=lambda step: step.time)
    pipeline = Pipeline(graph)
    decisions = [decision for step in steps for decision in apply(pipeline, step)] + pipeline.finish()
    incidents = {each.id: each for each in decisions if isinstance(each, Incident)}
    moves: dict[str, list[Moved]] = {}
    for each in decisions:
        if isinstance(each, IncidentMembers):
            moves.setdefault(each.incident, []).append(each.moved)
    lags = {domain: chance.choice((0, 0, 1_000, 2_000, 4_000)) for domain in sorted(set(graph.domains))}
    transitions = [each for each in decisions if isinstance(each, Transition)]
    if not transitions:
        return
    assert on_workers(graph, transitions, lags) == final(incidents, moves)


@LAW
@given(randoms)
def test_silence_below_a_sealed_ci_is_never_counted(chance: random.Random) -> None:
    """Against a count by hand, whatever comes and goes in whatever order."""
    graph = build(chance)
    evidence = Evidence(graph, Weights())
    here: dict[int, bool] = {}
    for _ in range(chance.randint(1, 20)):
        number = chance.randrange(len(graph))
        if number in here:
            evidence.withdraw(number)
            del here[number]
        else:
            here[number] = chance.random() < 0.5
            evidence.add(number, Alerting(0, sealed=here[number]))
        touched = {other for each in here for other, _ in graph.reach(each)}
        for ci in touched:
            behind = [other for other in touched if ci in dict(graph.reach(other))]
            silent = sum(len(set(graph.expects(other)) - touched) for other in behind if not here.get(other, False))
            assert evidence.spread(ci) == (len(behind) - 1, silent)
