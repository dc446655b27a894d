"""What a dependency may say beyond its ends: its kind, that nobody knows its direction, that some can be spared."""

import math
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from opsbridge.core.calendar import ServiceTime
from opsbridge.core.graph import DEFAULT_COST, REDUNDANT, UNDIRECTED, Group
from opsbridge.documents.weekly import in_order, minutes, time_zone
from opsbridge.topology import EDGE_COSTS, Topology, cost_of, load_topology


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str, **options: dict[str, int]) -> Topology:
    Path("a.yaml").write_text(text)
    return load_topology(["a.yaml"], **options)  # type: ignore[arg-type]  # one option, of that type


def costs(topology: Topology) -> dict[tuple[str, str], int]:
    graph = topology.graph
    return {
        (ci.id, graph.cis[provider].id): cost
        for number, ci in enumerate(graph.cis)
        for provider, cost in zip(graph.providers[number], graph.costs[number], strict=True)
    }


MANY_KINDS = """\
cis:
  - {id: hv}
  - {id: sw, aliases: [10.0.0.1]}
  - {id: vm, depends_on: [{on: hv, type: runs_on}, {on: 10.0.0.1, type: connects_via}]}
  - {id: app, depends_on: [vm, {on: hv, type: admires}]}
  - {id: db}
depends_on:
  - {from: hv, on: sw, type: powered_by}
  - {from: app, on: db, type: calls}
  - [db, vm]
"""


def test_the_kind_of_a_dependency_decides_its_cost() -> None:
    topology = load(MANY_KINDS)
    assert costs(topology) == {
        ("vm", "hv"): 223,
        ("vm", "sw"): 357,
        ("app", "vm"): 693,
        ("app", "hv"): 693,
        ("hv", "sw"): 223,
        ("app", "db"): 693,
        ("db", "vm"): 693,
    }
    assert topology.graph.optional == {}
    assert topology.edge_types == {"runs_on": 1, "connects_via": 1, "": 2, "admires": 1, "powered_by": 1, "calls": 1}


def test_what_kinds_cost_can_be_set() -> None:
    told = costs(load(MANY_KINDS, edge_costs={"admires": cost_of(0.1)}))
    assert (told["app", "hv"], told["vm", "hv"]) == (2303, DEFAULT_COST)


def test_costs_are_chances() -> None:
    assert {kind: round(math.exp(-cost / 1000), 2) for kind, cost in EDGE_COSTS.items()} == {
        "runs_on": 0.8,
        "hosted_on": 0.8,
        "powered_by": 0.8,
        "member_of": 0.8,
        "connects_via": 0.7,
        "calls": 0.5,
    }
    assert cost_of(0.99999) == 1  # a cost of nothing would make a path of any length


def test_a_link_of_unknown_direction_goes_both_ways_and_makes_one_domain() -> None:
    topology = load("cis: [{id: a}, {id: b}]\ndepends_on: [{from: b, on: a, type: connects_via, undirected: true}]\n")
    assert costs(topology) == {("a", "b"): 357 + UNDIRECTED, ("b", "a"): 357 + UNDIRECTED}
    assert topology.graph.domains == ("a", "a")
    assert topology.graph.optional == {0: frozenset({1}), 1: frozenset({0})}


def test_members_of_a_group_are_providers_that_can_be_spared() -> None:
    topology = load(
        """\
cis:
  - {id: db-1, aliases: [first]}
  - {id: db-2}
  - {id: psu-a}
  - {id: psu-b}
  - id: shop
    needs:
      - {name: power, of: [psu-b, psu-a], at_least: 1, type: powered_by}
      - {of: [{ci: first, weight: 2}, db-2], at_least: 2}
"""
    )
    graph = topology.graph
    shop = graph.numbers["shop"]
    assert graph.groups[shop] == (Group(((2, 1), (3, 1)), 1, 223, "power"), Group(((0, 2), (1, 1)), 2))
    assert costs(topology) == {
        ("shop", "db-1"): DEFAULT_COST,  # without it, two cannot be had
        ("shop", "db-2"): DEFAULT_COST + REDUNDANT,
        ("shop", "psu-a"): 223 + REDUNDANT,
        ("shop", "psu-b"): 223 + REDUNDANT,
    }
    assert set(graph.domains) == {"db-1"}
    assert [graph.expects(number) for number in range(4)] == [(shop,), (), (), ()]


def test_at_least_one_is_what_a_group_asks_for_unless_it_says_more() -> None:
    graph = load("cis: [{id: a}, {id: b}, {id: c, needs: [{of: [a, b]}]}]\n").graph
    assert graph.groups[2][0].at_least == 1


def test_in_another_order_it_is_the_same_estate_and_every_strength_is_part_of_it() -> None:
    said = "cis: [{id: a}, {id: b}, {id: c, depends_on: [{on: a, type: runs_on}], needs: [{of: [a, b]}]}]\n"
    same = "cis: [{id: c, needs: [{of: [b, {ci: a}], at_least: 1}]}, {id: b}, {id: a}]\n"
    same += "depends_on: [{from: c, on: a, type: hosted_on}]\n"
    digest = load(said).digest
    assert load(same).digest == digest
    others = [
        load(said.replace("runs_on", "calls")),
        load(said.replace("[a, b]", "[a, {ci: b, weight: 2}]")),
        load(said.replace("[{of: [a, b]}]", "[{of: [a, b], at_least: 2}]")),
        load(said.replace("id: b", "id: b, service_time: [Mon 08:00-09:00]")),
        load(said.replace("id: b", "id: b, service_time: [Mon 08:00-09:00], time_zone: Europe/Rome")),
        load(said + "depends_on: [{from: a, on: b, undirected: true}]\n"),
        load(said + "depends_on: [[a, b]]\n"),
    ]
    assert len({digest, *(each.digest for each in others)}) == 1 + len(others)
    three = "cis: [{id: a}, {id: b}, {id: c}, {id: d, needs: [{of: [a, b, c], at_least: 1}]}]\n"
    assert load(three).digest != load(three.replace("at_least: 1", "at_least: 2")).digest


def test_a_ci_is_in_service_in_its_windows_by_the_clock_of_its_zone() -> None:
    graph = load(
        """\
cis:
  - {id: always}
  - {id: office, service_time: ["Mon-Fri 08:00-18:00", "Sat 10:00-12:00"], time_zone: Europe/Berlin}
  - {id: utc, service_time: [Sun 00:00-24:00]}
"""
    ).graph
    weekdays = ((day * 1440 + 480, day * 1440 + 1080) for day in range(5))
    assert graph.service_times == {
        1: ServiceTime((*weekdays, (7800, 7920)), ZoneInfo("Europe/Berlin")),
        2: ServiceTime(((8640, 10080),), UTC),
    }
    sunday = 1_767_484_800_000  # 2026-01-04T00:00:00Z
    assert [graph.in_service(number, sunday) for number in range(3)] == [True, False, True]
    assert [graph.in_service(number, sunday + 31 * 3_600_000) for number in range(3)] == [True, True, False]


@pytest.mark.parametrize("name", ["Europe", "Mars/Olympus", "", "/etc/localtime"])
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no time zone '{name}'"):
        time_zone(name)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("Mon 08:00-18:00", [(480, 1080)]),
        ("Tue 00:00-24:00", [(1440, 2880)]),
        ("Mon,Wed 01:00-02:00", [(60, 120), (2940, 3000)]),
        ("Mon 01:00-02:00,03:00-04:00", [(60, 120), (180, 240)]),
        ("Mon 22:00-02:00", [(1320, 1560)]),  # over midnight: it is Monday's
        ("Sat-Mon 00:00-01:00", [(0, 60), (7200, 7260), (8640, 8700)]),  # over the weekend
        ("Sun 22:00-02:00", [(0, 120), (9960, 10080)]),  # over the end of the week
        ("Mon-Sun 00:00-24:00", [(0, 10080)]),
        ("Mon 08:00-12:00,09:00-10:00", [(480, 720)]),
        ("Mon 08:00-10:00,09:00-11:00,11:00-12:00", [(480, 720)]),  # what overlaps or touches is one
    ],
)
def test_windows(window: str, expected: list[tuple[int, int]]) -> None:
    assert list(in_order(minutes(window))) == expected
