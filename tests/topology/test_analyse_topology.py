"""The figures of an estate, and that the shipped estate is the one the demo and the docs speak of."""

from pathlib import Path

from opsbridge.core.impact import impacted
from opsbridge.topology import Analysis, Provider, Topology, analyse, load_topology

SHIPPED = Path(__file__).parents[2] / "topology"


def test_the_figures_of_a_small_estate(tmp_path: Path) -> None:
    file = tmp_path / "estate.yaml"
    file.write_text(
        """\
cis:
  - {id: sw, type: switch, monitored: false, aliases: [10.0.0.1]}
  - {id: web, type: vm, depends_on: [sw]}
  - {id: db, type: vm, depends_on: [sw, web]}
  - {id: shop, type: service, depends_on: [web, db]}
  - {id: left, type: vm, depends_on: [right]}
  - {id: right, type: vm, depends_on: [left]}
  - {id: alone, type: vm}
"""
    )
    assert analyse(load_topology([file]), top=2) == Analysis(
        cis=7,
        edges=7,
        undirected=0,
        groups=0,
        aliases=1,
        services=1,
        unmonitored=1,
        timed=0,
        types=(("vm", 5), ("service", 1), ("switch", 1)),
        edge_types=(("", 7),),
        domains=(("db", 4), ("left", 2)),
        backbone=0,
        cycles=(("left", "right"),),
        orphans=("alone",),
        top_providers=(Provider("sw", "switch", 2, 3), Provider("web", "vm", 2, 2)),
    )


def test_the_figures_of_what_dependencies_say(tmp_path: Path) -> None:
    file = tmp_path / "estate.yaml"
    file.write_text(
        """\
cis:
  - {id: r1, site: a}
  - {id: r2, site: a}
  - {id: r3, site: b}
  - {id: vm, site: b, depends_on: [{on: r3, type: runs_on}], service_time: [Mon 00:00-24:00]}
  - {id: shop, site: b, needs: [{of: [vm, r2], type: calls}]}
depends_on:
  - {from: r1, on: r2, type: connects_via, undirected: true}
  - {from: vm, on: shop, undirected: true}
"""
    )
    figures = analyse(load_topology([file], domain_attribute="site"))
    assert (figures.edges, figures.undirected, figures.groups, figures.timed) == (6, 1, 1, 1)
    assert figures.edge_types == (("calls", 2), ("", 1), ("connects_via", 1), ("runs_on", 1))
    assert (figures.domains, figures.backbone) == ((("b", 3), ("backbone:r1", 2)), 2)
    assert (figures.cycles, figures.orphans) == ((), ())


def test_an_empty_topology_has_figures_too(tmp_path: Path) -> None:
    assert analyse(load_topology([tmp_path])).top_providers == ()


def behind(topology: Topology, ci: str) -> set[str]:
    graph = topology.graph
    return {graph.cis[number].id for number in graph.impacted(graph.numbers[ci])}


def test_the_shipped_estate_is_sound() -> None:
    topology = load_topology([SHIPPED])
    figures = analyse(topology)
    assert topology.findings == ()
    assert 300 <= figures.cis <= 450
    assert (figures.cycles, figures.orphans) == ((), ())
    assert figures.groups >= 50
    assert dict(figures.edge_types).keys() >= {"runs_on", "connects_via", "stores_on", "calls"}
    assert dict(figures.types).keys() >= {"core_switch", "hypervisor", "virtual_machine", "service", "business_service"}


def test_a_failure_in_each_site_of_the_shipped_estate_can_be_told_apart() -> None:
    topology = load_topology([SHIPPED])
    switch, array = behind(topology, "acc-sw-ams1-1"), behind(topology, "san-fra1-1")
    assert len(switch) >= 100
    assert len(array) >= 80
    assert switch & array == {"online-sales"}
    assert behind(topology, "san-ams1-1") != switch


def test_the_shipped_estate_lives_on_what_is_redundant() -> None:
    graph = load_topology([SHIPPED]).graph

    def lost_services(*failed: str) -> int:
        found = impacted(graph, [graph.numbers[ci] for ci in failed], 0)
        return sum(graph.cis[number].service for number in found.unreachable)

    assert lost_services("hv-fra1-01") == 0
    assert lost_services("dist-sw-ams1-1") == lost_services("lb-ams1-1") == lost_services("kafka-ams1-2") == 0
    assert lost_services("dist-sw-ams1-1", "dist-sw-ams1-2") >= 20
    assert lost_services("acc-sw-ams1-1") >= 20
    assert lost_services("san-fra1-1") >= 20
