"""The graph's strengths: what an edge costs, what is reached at which cost, and whose silence counts."""

import random
from collections.abc import Iterable
from datetime import UTC
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbridge.core import graph as graphs
from opsbridge.core.calendar import DAY, WEEK, ServiceTime
from opsbridge.core.graph import CI, DEFAULT_COST, MAX_COST, REDUNDANT, UNDIRECTED, CIGraph, Edge, Group


def cis(count: int, *unmonitored: int) -> list[CI]:
    return [CI(f"ci{number}", monitored=number not in unmonitored) for number in range(count)]


def test_costs_are_those_of_the_chances_they_stand_for() -> None:
    assert (DEFAULT_COST, UNDIRECTED, REDUNDANT, MAX_COST) == (693, 693, 1609, 8000)


def test_a_plain_edge_has_the_default_cost_and_one_that_says_more_its_own() -> None:
    graph = CIGraph(cis(3), [(1, 0)], edges=[Edge(2, 0, 223), Edge(2, 1, 357)])
    assert graph.providers == ((), (0,), (0, 1))
    assert graph.costs == ((), (693,), (223, 357))
    assert graph.dependents == ((1, 2), (2,), ())
    assert (graph.edges, graph.optional) == (3, {})


def test_of_an_edge_that_is_stated_twice_the_lower_cost_holds() -> None:
    assert CIGraph(cis(2), [(1, 0), (1, 0)], edges=[Edge(1, 0, 223), Edge(1, 0, 357)]).costs[1] == (223,)
    assert CIGraph(cis(2), [(1, 0)], edges=[Edge(1, 0, 900)]).costs[1] == (693,)


def test_peers_are_each_others_providers_and_neither_needs_the_other() -> None:
    graph = CIGraph(cis(2), edges=[Edge(0, 1, 357, undirected=True)])
    assert graph.providers == ((1,), (0,))
    assert graph.costs == ((357 + UNDIRECTED,), (357 + UNDIRECTED,))
    assert graph.optional == {0: frozenset({1}), 1: frozenset({0})}


def test_a_direction_that_is_known_after_all_makes_the_one_end_need_the_other() -> None:
    graph = CIGraph(cis(2), [(0, 1)], edges=[Edge(1, 0, 100, undirected=True)])
    assert graph.costs == ((693,), (793,))
    assert graph.optional == {1: frozenset({0})}
    assert (graph.expects(0), graph.expects(1)) == ((), (0,))


def test_an_edge_into_a_group_costs_more_unless_the_group_cannot_spare_the_member() -> None:
    group = Group(((0, 1), (1, 1), (2, 2)), at_least=3, cost=100)
    graph = CIGraph(cis(4), groups={3: [group]})
    assert graph.providers[3] == (0, 1, 2)
    assert graph.costs[3] == (100 + REDUNDANT, 100 + REDUNDANT, 100)
    assert (graph.groups[3], graph.groups[0]) == ((group,), ())
    assert graph.optional == {3: frozenset({0, 1, 2})}
    assert [graph.expects(number) for number in range(3)] == [(), (), (3,)]


def test_a_member_that_is_needed_by_itself_too_is_needed() -> None:
    graph = CIGraph(cis(3), [(2, 0)], groups={2: [Group(((0, 1), (1, 1)))]})
    assert graph.costs[2] == (693, 693 + REDUNDANT)
    assert graph.optional == {2: frozenset({1})}
    assert (graph.expects(0), graph.expects(1)) == ((2,), ())


def test_an_edge_to_itself_is_none() -> None:
    graph = CIGraph(cis(1), [(0, 0)], edges=[Edge(0, 0, undirected=True)])
    assert (graph.providers, graph.reach(0)) == (((),), ((0, 0),))


def test_whose_silence_counts_is_monitored_direct_and_needs_it() -> None:
    graph = CIGraph(cis(5, 2), [(1, 0), (2, 0), (3, 1)], edges=[Edge(4, 0, undirected=True)])
    assert graph.expects(0) == (1,)


def test_who_is_out_of_service_is_not_expected_to_say_anything() -> None:
    sundays = ServiceTime(((6 * DAY, WEEK),), UTC)
    graph = CIGraph(cis(3), [(1, 0), (2, 0)], service_times={1: sundays})
    sunday = 3 * DAY * 60_000  # 1970-01-04
    assert (graph.expects(0), graph.expects(0, sunday), graph.expects(0, sunday - 1)) == ((1, 2), (1, 2), (2,))


def test_reach_takes_the_cheapest_path_and_orders_by_cost_then_number() -> None:
    # 4 reaches 0 over 3 (two cheap hops) for less than over its own dear edge
    edges = [Edge(4, 0, 2000), Edge(4, 3, 223), Edge(3, 0, 223), Edge(4, 2, 446), Edge(4, 1, 446)]
    graph = CIGraph(cis(5), edges=edges)
    assert graph.reach(4) == ((4, 0), (3, 223), (0, 446), (1, 446), (2, 446))
    assert graph.path(4, 0) == (4, 3, 0)
    assert (graph.path(4, 4), graph.path(0, 4)) == ((4,), ())


def test_of_paths_that_cost_the_same_the_one_over_the_smaller_number_is_told() -> None:
    graph = CIGraph(cis(4), [(3, 2), (3, 1), (2, 0), (1, 0)])
    assert graph.path(3, 0) == (3, 1, 0)


def test_reach_ends_where_a_path_costs_too_much() -> None:
    chain = [(number + 1, number) for number in range(30)]
    graph = CIGraph(cis(31), chain)
    assert [number for number, _ in graph.reach(30)] == list(range(30, 18, -1))  # 11 hops of 693 in 8000
    assert graph.path(30, 18) == ()
    assert CIGraph(cis(31), chain, max_cost=2 * 693).reach(5) == ((5, 0), (4, 693), (3, 1386))


def test_cis_with_the_same_edges_share_what_is_beyond() -> None:
    graph = CIGraph(cis(50), [(0, 49), *((number, 0) for number in range(1, 49))])
    assert graph.beyond(7) is graph.beyond(33)
    assert graph.reach(7) == ((7, 0), (0, 693), (49, 1386))


def test_in_a_cycle_a_ci_is_not_beyond_itself_though_others_with_the_same_edges_see_it() -> None:
    # 1 and 2 both depend on 0 only, but 0 depends on 1
    graph = CIGraph(cis(3), [(1, 0), (2, 0), (0, 1)])
    assert graph.reach(2) == ((2, 0), (0, 693), (1, 1386))
    assert graph.reach(1) == ((1, 0), (0, 693))
    assert graph.reach(0) == ((0, 0), (1, 693))


def test_what_has_been_worked_out_is_forgotten_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [(number + 1, number) for number in range(100)]
    expected = [CIGraph(cis(101), chain).reach(number) for number in range(101)]
    monkeypatch.setattr(graphs, "KEPT", 30)
    graph = CIGraph(cis(101), chain)
    for number in random.Random(1).sample(range(101), 101):
        assert graph.reach(number) == expected[number]
    assert sum(map(len, graph._closures.values())) < 30 + 17 * 11  # what one question may add


Estate = tuple[int, list[tuple[int, int, int, bool]]]


@st.composite
def estates(draw: st.DrawFn) -> Estate:
    """Up to 30 CIs with typed and undirected edges, cycles among them; costs small enough to tie often."""
    chance = draw(st.integers(0, 2**32).map(random.Random))
    size = chance.randint(1, 30)
    ends = [(chance.randrange(size), chance.randrange(size)) for _ in range(chance.choice((0, size, 2 * size)))]
    return size, [(*each, chance.choice((1, 2, 3, 50, 693)), chance.random() < 0.2) for each in ends]


def cheapest(size: int, edges: Iterable[tuple[int, int, int, bool]], most: int) -> dict[tuple[int, int], int]:
    """All pairs, by Floyd and Warshall."""
    best = {(number, number): 0 for number in range(size)}

    def say(one: int, other: int, cost: int) -> None:
        best[one, other] = min(cost, best.get((one, other), cost))

    for one, other, cost, undirected in edges:
        say(one, other, cost + UNDIRECTED * undirected)
        if undirected:
            say(other, one, cost + UNDIRECTED)
    for middle in range(size):
        for one in range(size):
            for other in range(size):
                if (one, middle) in best and (middle, other) in best:
                    say(one, other, best[one, middle] + best[middle, other])
    return {pair: cost for pair, cost in best.items() if cost <= most}


@given(estates(), st.sampled_from((3, 60, 700, 8000)), st.randoms(use_true_random=False))
def test_reach_is_what_all_pairs_of_cheapest_paths_say(estate: Estate, most: int, chance: random.Random) -> None:
    size, edges = estate
    graph = CIGraph(cis(size), edges=[Edge(*each) for each in edges], max_cost=most)
    costs = cheapest(size, edges, most)
    for number in chance.sample(range(size), size):  # closures are put together from others: any order
        expected = sorted((cost, other) for (one, other), cost in costs.items() if one == number)
        first = expected.index((0, number))
        expected.insert(0, expected.pop(first))
        assert graph.reach(number) == tuple((other, cost) for cost, other in expected)
        for other, cost in graph.reach(number):
            path = graph.path(number, other)
            assert (path[0], path[-1]) == (number, other)
            assert sum(graph.cost(*step) for step in pairwise(path)) == cost
