"""The benchmarks' estates and streams are what they say: seeded, layered, mixed as announced, and rightly explained."""

from collections import Counter
from pathlib import Path

import pytest
from benchmarks.core import BATCH, NOW, batches_of, run
from benchmarks.estates import SHARES, START, Estate, estate, events, single_storm

from opsbridge.core.decisions import Rejected
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.records import Incident
from opsbridge.rules import compile_rules
from opsbridge.sources.canonical import decode
from opsbridge.topology.load import load_topology


def reports_of(payloads: list[bytes]) -> list[Report]:
    reports = [decode(payload) for payload in payloads]
    assert not [each for each in reports if isinstance(each, Rejected)]
    return [each for each in reports if isinstance(each, Report)]


def incidents_of(world: Estate, payloads: list[bytes]) -> dict[str, Incident]:
    pipeline = Pipeline(world.graph())
    decisions = [
        decision
        for batch in batches_of(payloads)
        for decision in pipeline.advance([decode(payload) for payload in batch], NOW)
    ]
    decisions += pipeline.finish()
    assert pipeline.accounts.balanced()
    return {decision.id: decision for decision in decisions if isinstance(decision, Incident)}


@pytest.mark.parametrize("size", [1_000, 10_000])
def test_estate_has_the_announced_shape(size: int) -> None:
    world = estate(size)
    assert len(world.cis) == pytest.approx(size, rel=0.01)
    assert len(world.depends_on) / len(world.cis) == pytest.approx(1.7, abs=0.1)
    for layer, share in SHARES.items():
        assert len(world.layers[layer]) == pytest.approx(size * share, abs=1)
    dependents = {dependent for dependent, _ in world.depends_on}
    assert {number for number in range(len(world.cis)) if number not in dependents} == set(world.layers["core"])
    graph = world.graph()
    assert all(world.layer_of(number) == name for name, numbers in world.layers.items() for number in numbers)
    assert len({ci.id for ci in graph.cis}) == len(graph.cis)


def test_same_arguments_give_the_same_bytes_and_another_seed_does_not() -> None:
    world = estate(1_000)
    assert world == estate(1_000)
    assert world != estate(1_000, seed=2)
    assert list(events(world, 2_000)) == list(events(world, 2_000))
    assert list(events(world, 2_000)) != list(events(world, 2_000, seed=2))


@pytest.mark.parametrize("size", [1_000, 10_000])
def test_stream_is_mixed_as_announced(size: int) -> None:
    payloads = list(events(estate(size), 20_000))
    assert len(payloads) == pytest.approx(20_000, rel=0.01)
    assert sum(map(len, payloads)) / len(payloads) == pytest.approx(320, abs=30)
    reports = reports_of(payloads)
    assert len({each.id for each in reports}) == len(reports)
    times = [each.time for each in reports]
    assert times == sorted(times)
    assert times[0] >= START
    assert 400 < (times[-1] - times[0]).total_seconds() < 700
    classes = Counter(each.class_ for each in reports)
    assert classes["linkDown"] / len(reports) == pytest.approx(0.10, abs=0.02)
    noise = classes["BackupFinished"] + classes["DiskFull"]
    assert noise / len(reports) == pytest.approx(0.05, abs=0.02)
    assert any(each.severity == "info" for each in reports)
    firing = {(each.ci, each.class_) for each in reports if each.state == "firing"}
    resolved = {(each.ci, each.class_) for each in reports if each.state == "resolved"}
    assert resolved <= firing
    assert len(resolved) > 0.8 * len(firing)


def test_share_of_events_that_change_an_alert_does_not_depend_on_the_size() -> None:
    shares = []
    for size in (1_000, 10_000):
        world, number = estate(size), 20_000
        result = run(world.graph(), compile_rules(()), batches_of(list(events(world, number))))
        shares.append(result.decisions["Transition"] / number)
    assert shares[0] == pytest.approx(shares[1], rel=0.2)


@pytest.mark.parametrize("dependents", [100, 3 * BATCH])
def test_single_storm_is_one_incident_at_the_silent_switch(dependents: int) -> None:
    world, payloads, switch = single_storm(dependents)
    assert len(payloads) == dependents
    reports = reports_of(payloads)
    assert switch not in {each.ci for each in reports}
    incidents = list(incidents_of(world, payloads).values())
    assert [(each.root.ci, each.root.silent, each.alerts) for each in incidents] == [(switch, True, dependents)]


def test_estate_as_json_is_the_same_graph_for_the_topology_loader(tmp_path: Path) -> None:
    world = estate(200)
    (tmp_path / "estate.json").write_bytes(world.as_json())
    loaded = load_topology([tmp_path]).graph
    built = world.graph()
    named = {
        (built.cis[dependent].id, built.cis[provider].id)
        for dependent, providers in enumerate(built.providers)
        for provider in providers
    }
    assert named == {
        (loaded.cis[dependent].id, loaded.cis[provider].id)
        for dependent, providers in enumerate(loaded.providers)
        for provider in providers
    }
    assert [ci.service for ci in sorted(loaded.cis, key=lambda ci: ci.id)] == [
        ci.service for ci in sorted(built.cis, key=lambda ci: ci.id)
    ]
