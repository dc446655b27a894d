"""The laws, while the topology changes meanwhile: nothing is lost, nothing is stuck, a restart changes nothing."""

import random

import pytest
from changing import Life, pipeline_on, some_life
from hypothesis import given
from hypothesis import strategies as st

from estates import LAW, LONG_GAPS, apply, bytes_by_topic
from opsbridge.core.decisions import Transition
from opsbridge.core.event import Event
from opsbridge.core.graph import CIGraph
from opsbridge.core.ledger import Ledger
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.pace import CLOSE_AFTER_LONGEST_MS
from opsbridge.topology.domains import DomainAttribute

seeds = st.integers(0, 2**40)
domains = st.sampled_from((None, "site"))


def life(seed: int, attribute: DomainAttribute | None) -> Life:
    return some_life(random.Random(seed), domains=attribute, gaps=LONG_GAPS)


@LAW
@given(seeds, domains)
def test_every_resolution_arrives_and_nothing_is_stuck(seed: int, attribute: DomainAttribute | None) -> None:
    happening = life(seed, attribute)
    pipeline = pipeline_on(happening.first)
    ledger = Ledger(pipeline)
    firing: dict[str, Transition] = {}

    def told(decisions: list[Decision]) -> None:
        ledger.told(decisions)
        for each in decisions:
            if isinstance(each, Transition):
                firing[each.fingerprint] = each
                if each.change == "resolved":
                    del firing[each.fingerprint]

    for step in happening.steps:
        if isinstance(step, CIGraph):
            pipeline = ledger.pipeline = pipeline.reloaded(Rulebook(profiles=pipeline.intake.book.profiles), step)
        else:
            told(apply(pipeline, step))
            for event in pipeline.accepted if not isinstance(step, int) else ():
                ledger.heard(event.id, event.fingerprint)
    now = max(pipeline.first.now, 1_790_000_000_000)
    ends = [
        Event("end", now + 1, each.ci, each.class_, 0, firing=False, fingerprint=each.fingerprint)
        for each in firing.values()
    ]
    told(list(pipeline._correlate(pipeline.first.advance(ends, 1 << 40))))
    assert not firing
    told(pipeline.expire(now + CLOSE_AFTER_LONGEST_MS + 2 * 3_600_000))
    assert not ledger.unexplained()
    assert {each.status for each in ledger.incidents.values()} <= {"closed", "merged"}
    left = [len(pipeline.first), len(pipeline.second), len(pipeline.response)]
    left += [] if pipeline.backbone is None else [len(pipeline.backbone)]
    assert not any(left), left
    saved = pipeline._saved | dict(pipeline.changes())
    kept = {key for key, value in saved.items() if value is not None and not key.startswith(b"coordination:d:")}
    assert kept <= {b"position", b"second:clock", b"backbone:eclock"}


@LAW
@given(seeds, domains, seeds)
def test_a_restart_at_any_point_changes_nothing(seed: int, attribute: DomainAttribute | None, kills: int) -> None:
    happening, chance = life(seed, attribute), random.Random(kills)

    def run(*, killed: bool) -> dict[str, list[bytes]]:
        pipeline, saved = pipeline_on(happening.first), dict[bytes, bytes | None]()
        graph, decisions, shares = happening.first, list[Decision](), False
        for step in happening.steps:
            book = pipeline.intake.book
            if isinstance(step, CIGraph):
                graph, shares = step, pipeline.backbone is not None
                pipeline = pipeline.reloaded(book, graph)
            else:
                decisions += apply(pipeline, step)
            if killed and chance.random() < 0.2:  # also right after another topology came
                saved = pipeline._saved | dict(pipeline.changes())
                shares = pipeline.backbone is not None
                pipeline = Pipeline(graph, book, context=pipeline.context, shares=shares)
                pipeline.restore((key, value) for key, value in saved.items() if value is not None)
                pipeline._saved = dict(saved)
        return bytes_by_topic(decisions + pipeline.finish())

    undisturbed, disturbed = run(killed=False), run(killed=True)
    assert disturbed == undisturbed


@pytest.mark.parametrize("attribute", [None, "site"])
def test_the_lives_show_something(attribute: DomainAttribute | None) -> None:
    """In most lives a topology comes while a situation is open, and some hold on to what has gone."""
    held = came = 0
    for seed in range(60):
        happening = life(seed, attribute)
        pipeline = pipeline_on(happening.first)
        for step in happening.steps:
            if isinstance(step, CIGraph):
                pipeline = pipeline.reloaded(pipeline.intake.book, step)
                came += bool(pipeline.second.situations)
                held += pipeline.second.graph is not step
            else:
                apply(pipeline, step)
    assert came > 100
    assert held > 10
