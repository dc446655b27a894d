"""Stages against brute force: the first level against maxima, the evidence's running sums against a fresh count."""

import random
from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from estates import LAW, build, randoms
from opsbridge.core.alerts import FirstLevel
from opsbridge.core.event import Event
from opsbridge.core.graph import CI, MAX_HOPS, CIGraph
from opsbridge.core.roots import _REACHED, Evidence, Node

Reports = list[tuple[str, int, bool]]
"""Fingerprint, time and whether it fires."""


@LAW
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 20), st.booleans()), max_size=30),
    st.lists(st.integers(1, 7), min_size=30, max_size=30),
)
def test_an_alert_fires_while_its_newest_firing_is_newer_than_its_newest_clear(
    reports: Reports, sizes: list[int]
) -> None:
    """Whatever the order of arrival; nothing of it is old enough to be forgotten."""
    first = FirstLevel()
    firing: dict[str, bool] = {}
    counted: Counter[str] = Counter()
    position = 0
    for size in sizes:
        batch = [
            Event(f"e{number}", time, "ci", fingerprint, 3, fires, fingerprint)
            for number, (fingerprint, time, fires) in enumerate(reports[position : position + size], position)
        ]
        heard = first.advance(batch, position)
        position += len(batch)
        counted.update(heard.outcomes)
        for change in heard.transitions:
            assert firing.get(change.fingerprint, False) is (change.change != "opened"), "opened and resolved alternate"
            firing[change.fingerprint] = change.change == "opened"
    assert {fingerprint for fingerprint, fires in firing.items() if fires} == model(reports)
    assert set(firing) == {fingerprint for fingerprint, _, fires in reports if fires}
    assert counted.total() == len(reports)


def model(reports: Reports) -> set[str]:
    """The fingerprints that fire."""

    def newest(fingerprint: str, *, firing: bool) -> int:
        return max((time for name, time, fires in reports if (name, fires) == (fingerprint, firing)), default=0)

    return {name for name, _, _ in reports if newest(name, firing=True) > newest(name, firing=False)}


@LAW
@given(randoms, st.integers(1, 60))
def test_evidence_is_the_same_as_counted_afresh_in_any_order(chance: random.Random, moves: int) -> None:
    graph = build(chance)
    evidence = Evidence(graph)
    nodes: list[Node] = [*range(len(graph)), "ghost"]
    for _ in range(moves):
        node = chance.choice(nodes)
        if node in evidence.alerting:
            evidence.withdraw(node)
        else:
            evidence.add(node, chance.randrange(100))
        if chance.random() < 0.5:  # the sums may be carried on after every change, or after several
            assert running(evidence) == afresh(graph, evidence.alerting)
    assert running(evidence) == afresh(graph, evidence.alerting)


def test_evidence_reaches_max_hops_and_no_farther() -> None:
    graph = CIGraph([CI(id=f"n{n}") for n in range(12)], [(n, n + 1) for n in range(11)])
    evidence = Evidence(graph)
    evidence.add(0, 1)
    assert running(evidence)[0] == dict.fromkeys(range(MAX_HOPS + 1), 1)
    evidence.withdraw(0)
    assert running(evidence) == ({}, {})


Sums = tuple[dict[Node, int], dict[int, tuple[int, int]]]


def running(evidence: Evidence) -> Sums:
    """Alerting CIs by candidate, and (reached, silent) behind each CI: the sums that are kept."""
    evidence._pay()
    return (
        {node: candidate.alerting for node, candidate in evidence._candidates.items()},
        {node: divmod(packed, _REACHED) for node, packed in evidence._spread.items()},
    )


def afresh(graph: CIGraph, alerting: Iterable[Node]) -> Sums:
    """The same from the definitions, and from distances that do not come from the graph's own search."""
    hops = distances(graph)
    candidates: Counter[Node] = Counter()
    for node in alerting:
        candidates.update(hops[node].keys() if isinstance(node, int) else [node])
    spread: dict[int, tuple[int, int]] = {}
    for touched in candidates:
        if isinstance(touched, int):
            stopped = sum(n not in candidates and graph.cis[n].monitored for n in graph.dependents[touched])
            for provider in hops[touched]:
                suffering, silent = spread.get(provider, (0, 0))
                spread[provider] = suffering + 1, silent + stopped
    return candidates, spread


def distances(graph: CIGraph) -> list[dict[int, int]]:
    """For every CI, the CIs that it depends on within MAX_HOPS, with the hops: relaxed until nothing changes."""
    hops = [{number: 0} for number in range(len(graph))]
    for far in range(1, MAX_HOPS + 1):
        for number, found in enumerate(hops):
            for provider in graph.providers[number]:
                for beyond, distance in list(hops[provider].items()):
                    if distance == far - 1:
                        found.setdefault(beyond, far)
    return hops
