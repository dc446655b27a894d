"""The figures of an estate, and that the shipped estate is the one the demo and the docs speak of."""

from pathlib import Path

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
        aliases=1,
        services=1,
        unmonitored=1,
        types=(("vm", 5), ("service", 1), ("switch", 1)),
        domains=(("db", 4), ("left", 2)),
        cycles=(("left", "right"),),
        orphans=("alone",),
        top_providers=(Provider("sw", "switch", 2, 3), Provider("web", "vm", 2, 2)),
    )


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
    assert dict(figures.types).keys() >= {"core_switch", "hypervisor", "virtual_machine", "service", "business_service"}


def test_a_failure_in_each_site_of_the_shipped_estate_can_be_told_apart() -> None:
    topology = load_topology([SHIPPED])
    switch, array = behind(topology, "acc-sw-ams1-1"), behind(topology, "san-fra1-1")
    assert len(switch) >= 100
    assert len(array) >= 80
    assert switch & array == {"online-sales"}
    assert behind(topology, "san-ams1-1") != switch
