"""The harness itself: it must fail where a scenario is wrong or checks nothing."""

import pytest
from timetable import Scenario, graph_of


def test_a_scenario_that_checks_nothing_fails() -> None:
    scenario = Scenario("db")
    scenario.play("0s db DiskFull critical").expect(alerts="0s opened db:DiskFull critical #1 x1 since 0s")
    scenario.play("1s db DiskFull critical")
    with pytest.raises(AssertionError, match="checks nothing after it has played"), scenario:
        pass
    with pytest.raises(AssertionError, match="played nothing"), Scenario("db"):
        pass
    with pytest.raises(AssertionError, match="names no table"), Scenario("db") as scenario:
        scenario.play("0s db DiskFull critical").expect()


def test_a_wrong_expectation_fails_as_a_diff() -> None:
    with pytest.raises(AssertionError, match="db DiskFull open critical"), Scenario("db") as scenario:
        scenario.play("0s db DiskFull critical\n20s -").expect(
            incidents="""
            db DiskFull open major
              members db:DiskFull
              affects db
            """
        )


def test_a_topology_is_drawn_as_lines() -> None:
    graph = graph_of("shop* web -> vm-1 vm-2 -> hyp?\nhypervisor = hyp")
    assert [ci.id for ci in graph.cis] == ["shop", "web", "vm-1", "vm-2", "hyp"]
    assert [(ci.service, ci.monitored) for ci in graph.cis] == [(True, True), *[(False, True)] * 3, (False, False)]
    assert graph.providers == ((2, 3), (2, 3), (4,), (4,), ())
    assert graph.numbers["hypervisor"] == graph.numbers["hyp"] == 4
