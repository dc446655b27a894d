"""What a topology means once it is loaded: merging, names, edges, domains, and that size is no obstacle."""

import json
from pathlib import Path

import pytest

from opsbridge.core.graph import CI
from opsbridge.topology import Topology, load_topology

NETWORK = """\
cis:
  - id: sw-01
    type: switch
    name: Switch
    owner: network
    environment: production
    site: ams1
    tier: 1
    monitored: false
    aliases: [10.0.0.1, sw-01.example.net]
"""
HOSTS = """\
cis:
  - {id: web-01, depends_on: [10.0.0.1]}
---
cis:
  - {id: shop, type: service, depends_on: [web-01]}
  - {id: sales, type: business_service}
  - {id: batch, type: service, service: false}
  - {id: portal, type: web_application, service: true}
depends_on:
  - [sales, shop]
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(**files: str) -> Topology:
    for name, content in files.items():
        Path(name.replace("_", ".")).write_text(content)
    return load_topology(["."])


def edges(topology: Topology) -> set[tuple[str, str]]:
    ids = [ci.id for ci in topology.graph.cis]
    return {(ids[one], ids[other]) for one, many in enumerate(topology.graph.providers) for other in many}


def test_what_incidents_need_of_a_ci_comes_along() -> None:
    topology = load(
        a_yaml="""\
        cis:
          - id: shop
            owner: team-shop
            group: shop-on-call
            category: application
            runbook: https://wiki.example.net/shop
            links: [https://dashboards.example.net/shop, "the blue binder"]
            users: 40000
          - id: bare
        """
    )
    bare, shop = topology.graph.cis
    assert (shop.group, shop.category, shop.runbook) == ("shop-on-call", "application", "https://wiki.example.net/shop")
    assert (shop.links, shop.users) == (("https://dashboards.example.net/shop", "the blue binder"), 40_000)
    assert bare == CI("bare")


def test_files_and_documents_are_one_estate() -> None:
    topology = load(a_yaml=NETWORK, b_yml=HOSTS)
    graph = topology.graph
    assert [ci.id for ci in graph.cis] == ["batch", "portal", "sales", "shop", "sw-01", "web-01"]
    assert graph.cis[4] == CI("sw-01", "switch", "Switch", "network", "production", "ams1", 1, monitored=False)
    assert edges(topology) == {("web-01", "sw-01"), ("shop", "web-01"), ("sales", "shop")}
    assert {ci.id for ci in graph.cis if ci.service} == {"portal", "sales", "shop"}
    assert graph.numbers["sw-01.example.net"] == graph.numbers["sw-01"]
    assert topology.aliases == {"10.0.0.1": "sw-01", "sw-01.example.net": "sw-01"}
    assert topology.findings == ()


def test_directories_are_read_to_the_bottom_and_each_file_once() -> None:
    Path("estate/site/..data").mkdir(parents=True)
    Path("estate/site/a.yaml").write_text(NETWORK)
    Path("estate/b.yaml").write_text(HOSTS)
    Path("estate/site/..data/a.yaml").write_text(NETWORK)  # how Kubernetes mounts a ConfigMap
    topology = load_topology(["estate", "estate/b.yaml", Path("estate/site")])
    assert len(topology.graph) == 6


def test_json_says_the_same_as_yaml_and_layout_does_not_matter() -> None:
    one = load(a_yaml=NETWORK, b_yml=HOSTS)
    Path("a.yaml").unlink()
    Path("b.yml").unlink()
    cis: list[dict[str, object]] = [
        {"id": "web-01", "depends_on": []},
        {"id": "portal", "type": "web_application", "service": True},
        {"id": "batch", "type": "service", "service": False},
        {"id": "sales", "type": "business_service"},
        {"id": "shop", "type": "service"},
        {
            "id": "sw-01",
            "type": "switch",
            "name": "Switch",
            "owner": "network",
            "environment": "production",
            "site": "ams1",
            "tier": 1,
            "monitored": False,
            "aliases": ["sw-01.example.net", "10.0.0.1"],
        },
    ]
    pairs = [["sales", "shop"], ["web-01", "sw-01.example.net"], ["shop", "web-01"], ["shop", "web-01"]]
    other = load(c_json=json.dumps({"cis": cis, "depends_on": pairs}))
    assert (other.graph.cis, edges(other), other.aliases) == (one.graph.cis, edges(one), one.aliases)
    assert other.digest == one.digest
    assert load(d_yaml="cis: [{id: new}]").digest != one.digest


def test_yaml_words_for_yes_and_no_times_and_dates_are_text() -> None:
    topology = load(a_yaml="cis: [{id: no, site: on}, {id: 12:30}, {id: 2026-01-01, name: 0x10, owner: '7', tier: -1}]")
    assert [(ci.id, ci.site, ci.name, ci.owner, ci.tier) for ci in topology.graph.cis] == [
        ("12:30", "", "", "", None),
        ("2026-01-01", "", "0x10", "7", -1),
        ("no", "on", "", "", None),
    ]


def test_anchors_and_merges_share_what_entries_have_in_common() -> None:
    text = "cis:\n  - &host {id: a, type: vm, owner: web, depends_on: &up [sw]}\n  - {<<: *host, id: b, owner: db}\n"
    topology = load(a_yaml=text + "  - {id: c, depends_on: *up}\n  - {id: sw, <<: [{type: x}, {type: y, site: z}]}\n")
    assert [(ci.id, ci.type, ci.owner, ci.site) for ci in topology.graph.cis] == [
        ("a", "vm", "web", ""),
        ("b", "vm", "db", ""),
        ("c", "", "", ""),
        ("sw", "x", "", "z"),
    ]
    assert edges(topology) == {("a", "sw"), ("b", "sw"), ("c", "sw")}


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    Path("a.json").write_bytes(b"\xef\xbb\xbf" + b'{"cis": [{"id": "a"}]}')
    Path("b.yaml").write_bytes(b"\xef\xbb\xbf" + b"cis: [{id: b}]")
    assert len(load_topology(["."]).graph) == 2


def test_cycles_and_edges_in_both_directions_are_kept() -> None:
    topology = load(a_yaml="cis: [{id: a}, {id: b}, {id: c}]\ndepends_on: [[a, b], [b, a], [b, c], [c, a]]\n")
    assert edges(topology) == {("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")}
    assert topology.findings == ()


def test_a_domain_is_what_hangs_together_named_after_its_smallest_id() -> None:
    topology = load(a_yaml="cis: [{id: d}, {id: b}, {id: c}, {id: a}, {id: e}]\ndepends_on: [[e, d], [c, e], [b, a]]\n")
    domains = dict(zip((ci.id for ci in topology.graph.cis), topology.graph.domains, strict=True))
    assert domains == {"a": "a", "b": "a", "c": "c", "d": "c", "e": "c"}


def test_a_hundred_thousand_cis_load(tmp_path: Path) -> None:
    size = 100_000
    cis = [{"id": f"ci-{number}", "type": "vm", "aliases": [f"10.0.{number}"]} for number in range(size)]
    pairs = [[f"ci-{number}", f"ci-{number // 2}"] for number in range(1, size)]
    pairs += [[f"10.0.{number}", f"ci-{number // 3}"] for number in range(1, size)]
    file = tmp_path / "large.json"
    file.write_text(json.dumps({"cis": cis, "depends_on": pairs}))
    graph = load_topology([file]).graph
    assert (len(graph), len(graph.numbers)) == (size, 2 * size)
    assert sum(map(len, graph.providers)) == len({tuple(map(hash_of, pair)) for pair in pairs})
    assert set(graph.domains) == {"ci-0"}
    assert len(graph.impacted(graph.numbers["ci-0"])) == size - 1


def hash_of(name: str) -> int:
    """The number in either name of a CI."""
    return int(name.removeprefix("10.0.").removeprefix("ci-"))
