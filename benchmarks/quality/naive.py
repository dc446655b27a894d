"""What is in wide use, as engines beside ours: a time gap, a neighbourhood in the topology, suppression by providers.

Written anew and small; they see the same signals in order of arrival, and the same topology. A class does not matter to
them. Each tells of an incident at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from benchmarks.quality.breaks import Spec
from benchmarks.quality.engine import Engine, Found
from benchmarks.quality.faults import Scenario
from benchmarks.quality.monitoring import Signal


@dataclass(slots=True)
class _Open:
    """An incident while it grows: its alerting CIs in order, its events, when it began and was last heard of."""

    began: int
    last: int
    cis: dict[str, None] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)

    def take(self, signal: Signal) -> None:
        self.cis[signal.ci] = None
        self.events.add(signal.id)
        self.last = signal.arrives

    def found(self, ranked: Iterable[str]) -> Found:
        candidates = tuple(ranked)
        return Found(candidates[0], candidates, frozenset(self.events), self.began)


@dataclass(frozen=True, slots=True)
class _Topology:
    """The topology shown, by names."""

    providers: dict[str, tuple[str, ...]]
    near: dict[str, frozenset[str]]
    """Everything within two dependencies, either way."""
    above: dict[str, frozenset[str]]
    """Everything a CI depends on, however far."""


@lru_cache(maxsize=256)
def _topology(spec: Spec) -> _Topology:
    world = spec.world()
    providers: dict[str, set[str]] = {ci.id: set() for ci in world.cis}
    around: dict[str, set[str]] = {ci.id: {ci.id} for ci in world.cis}
    for dependent, provider in world.edges_shown():
        one, other = world.cis[dependent].id, world.cis[provider].id
        providers[one].add(other)
        around[one].add(other)
        around[other].add(one)
    above = {}
    for ci in providers:
        seen: set[str] = set()
        waiting = list(providers[ci])
        while waiting:
            if (each := waiting.pop()) not in seen:
                seen.add(each)
                waiting += providers[each]
        above[ci] = frozenset(seen)
    near = {ci: frozenset().union(*(around[each] for each in own)) for ci, own in around.items()}
    return _Topology({ci: tuple(sorted(own)) for ci, own in providers.items()}, near, above)


def _upstream_first(cis: Iterable[str], above: dict[str, frozenset[str]]) -> list[str]:
    """CIs by how many of the others depend on them, the first heard first among equals."""
    order = list(cis)
    return sorted(order, key=lambda ci: -sum(ci in above.get(other, ()) for other in order))


def time_gap(quiet_s: int) -> Engine:
    """One incident until nothing was heard for `quiet_s`; the first alert is the root."""

    def engine(scenario: Scenario) -> list[Found]:
        incidents: list[_Open] = []
        for signal in scenario.signals:
            if signal.firing:
                if not incidents or signal.arrives - incidents[-1].last > quiet_s * 1000:
                    incidents.append(_Open(signal.arrives, signal.arrives))
                incidents[-1].take(signal)
        return [incident.found(incident.cis) for incident in incidents]

    return engine


def neighbourhood(scenario: Scenario, quiet_s: int = 600) -> list[Found]:
    """An alert joins the incident that has a CI within two dependencies; the most upstream CI is the root."""
    topology = _topology(scenario.spec)
    incidents: list[_Open] = []
    for signal in scenario.signals:
        if not signal.firing:
            continue
        near = topology.near.get(signal.ci, frozenset({signal.ci}))
        for incident in incidents:
            if signal.arrives - incident.last < quiet_s * 1000 and not near.isdisjoint(incident.cis):
                break
        else:
            incident = _Open(signal.arrives, signal.arrives)
            incidents.append(incident)
        incident.take(signal)
    return [incident.found(_upstream_first(incident.cis, topology.above)) for incident in incidents]


def suppression(scenario: Scenario) -> list[Found]:
    """An alert is folded under an alerting provider, however far up; what has none is an incident with itself as root.

    An incident ends when its root is clear; when a provider alerts later than its dependents, theirs stay their own.
    """
    topology = _topology(scenario.spec)
    firing: dict[str, set[str]] = {}
    heads: dict[str, _Open] = {}
    done: list[tuple[str, _Open]] = []
    for signal in scenario.signals:
        classes = firing.setdefault(signal.ci, set())
        if signal.firing:
            classes.add(signal.class_)
            head = _head(signal.ci, topology.providers, heads)
            heads.setdefault(head, _Open(signal.arrives, signal.arrives)).take(signal)
        else:
            classes.discard(signal.class_)
            if not classes and signal.ci in heads:
                done.append((signal.ci, heads.pop(signal.ci)))
    return [incident.found(dict.fromkeys([ci, *incident.cis])) for ci, incident in [*done, *heads.items()]]


def _head(ci: str, providers: dict[str, tuple[str, ...]], heads: dict[str, _Open]) -> str:
    """Whose incident an alert of this CI joins: that of the nearest provider that heads one, else its own."""
    seen = {ci}
    level = [ci]
    while level:
        level = sorted({each for one in level for each in providers.get(one, ())} - seen)
        seen.update(level)
        for provider in level:
            if provider in heads:
                return provider
    return ci


ENGINES: Final[dict[str, Engine]] = {
    "gap 60 s": time_gap(60),
    "gap 300 s": time_gap(300),
    "neighbours": neighbourhood,
    "suppression": suppression,
}
"""The naive engines by name."""
