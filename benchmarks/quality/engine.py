"""OpsBridge's core as an engine under test: the only file here that drives the public pipeline.

Event time passes as in a worker: it is what the first level last heard, plus the time that has passed since then.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Final

from benchmarks.quality.breaks import Spec
from benchmarks.quality.faults import Scenario
from benchmarks.quality.monitoring import Signal
from opsbridge.core.graph import DEFAULT_COST, CIGraph, Edge, Group
from opsbridge.core.intake import Report
from opsbridge.core.ledger import Ledger
from opsbridge.core.pipeline import Decision, Pipeline
from opsbridge.core.records import Incident
from opsbridge.rules import RuleSet, compile_rules
from opsbridge.topology.strength import EDGE_COSTS

FAR: Final = 1 << 50
"""A reader's clock that no event is ahead of."""

QUIET_S: Final = 120
"""After so long without an event, time passes in longer steps."""


@dataclass(frozen=True, slots=True)
class Found:
    """One incident as an engine leaves it: root first among the candidates, the firing events that are in it."""

    root: str
    candidates: tuple[str, ...]
    events: frozenset[str]
    told: int
    """When it was first told of, by the clock of arrivals, in milliseconds."""
    confidence: float | None = None


Engine = Callable[[Scenario], list[Found]]
"""Whatever makes incidents of a scenario's signals; it may look at the topology shown and at nothing of the truth."""


@lru_cache(maxsize=256)
def _graph(spec: Spec) -> CIGraph:
    world = spec.world()
    if not world.detailed:
        return CIGraph(world.cis, world.edges_shown())
    edges: list[Edge] = []
    groups: dict[int, list[Group]] = {}
    for ci, needs in enumerate(world.shown):
        for need in needs:
            cost = EDGE_COSTS.get(world.edge_type(need), DEFAULT_COST)
            if len(need.providers) > need.quorum:
                members = tuple((provider, 1) for provider in need.providers)
                groups.setdefault(ci, []).append(Group(members, need.quorum, cost))
            else:
                edges += [Edge(ci, provider, cost) for provider in need.providers]
    return CIGraph(world.cis, edges=edges, groups=groups)


@lru_cache(maxsize=1)
def _rules() -> RuleSet:
    """No rules but the shipped ones, which know what classes mean."""
    return compile_rules([])


def _report(signal: Signal) -> Report:
    return Report(
        id=signal.id,
        time=datetime.fromtimestamp(signal.time / 1000, UTC),
        ci=signal.ci,
        class_=signal.class_,
        state="firing" if signal.firing else "resolved",
        severity=signal.severity if signal.firing else None,
    )


def _times(signals: tuple[Signal, ...]) -> Iterator[tuple[int, Signal | None]]:
    """The seconds that pass, and the signals when they arrive."""
    yield signals[0].arrives, signals[0]
    for before, signal in pairwise(signals):
        second = before.arrives // 1000 * 1000 + 1000
        while second < signal.arrives:
            yield second, None
            second += 1000 if second - before.arrives < QUIET_S * 1000 else 10_000
        yield signal.arrives, signal


def opsbridge(scenario: Scenario) -> list[Found]:
    """The incidents that the core leaves behind, each in its last version."""
    rules = _rules()
    pipeline = Pipeline(_graph(scenario.spec), rules.book)
    ledger = Ledger(pipeline)
    told: dict[str, int] = {}

    def take(decisions: list[Decision], now: int) -> None:
        ledger.told(decisions)
        for decision in decisions:
            if isinstance(decision, Incident):
                told.setdefault(decision.id, now)

    heard, since = 0, 0
    for now, signal in _times(scenario.signals):
        if heard:
            take(pipeline.expire(heard + now - since), now)
        if signal is not None:
            decisions = pipeline.advance([_report(signal)], FAR)
            take(decisions, now)
            for event in pipeline.accepted:
                ledger.heard(event.id, event.fingerprint)
            heard, since = pipeline.first.now, now
    take(pipeline.finish(), scenario.signals[-1].arrives)
    firing = {signal.id for signal in scenario.signals if signal.firing}
    return [
        Found(
            root=incident.root.ci,
            candidates=tuple(dict.fromkeys((incident.root.ci, *(each.ci for each in incident.candidates)))),
            events=frozenset(firing.intersection(events)),
            told=told[name],
            confidence=incident.root.confidence,
        )
        for name, events in ledger.events_by_incident().items()
        if (incident := ledger.incidents[name]).status != "merged"
    ]
