"""Several origins speak of one estate: what is one CI, whose word counts, who says what, and what does not fit."""

from pathlib import Path
from typing import Any  # what YAML says

import pytest

from opsbridge.documents import Document
from opsbridge.topology import EDGE_COSTS, Topology, TopologyError, load_topology
from opsbridge.topology.conflicts import ConflictKind
from opsbridge.topology.links import Stated
from opsbridge.topology.merge import Merged, merge
from opsbridge.topology.model import DOCUMENT

HAND = """\
cis:
  - {id: shop, tier: 1, aliases: [web-shop], depends_on: [db-01]}
  - {id: db-01, owner: dba, aliases: [sys123]}
"""
CMDB = """\
origin: cmdb
precedence: 5
cis:
  - {id: sys123, type: database, owner: somebody, site: fra, aliases: [10.0.0.9], depends_on: [host-1]}
  - {id: shop, type: service, tier: 3, group: web}
  - {id: host-1, type: server}
depends_on: [[shop, sys123]]
"""
SCAN = """\
origin: scan
cis:
  - {id: 10.0.0.9, type: ip, environment: production, needs: [{of: [host-1, host-2]}]}
  - {id: host-1, type: linux, service_time: ["Mon-Fri 08:00-18:00"], time_zone: Europe/Berlin}
  - {id: host-2}
depends_on: [{from: host-1, on: host-2, undirected: true}]
"""


def load(tmp_path: Path, **texts: str) -> Topology:
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return load_topology([tmp_path])


def merged(*texts: dict[str, Any]) -> Merged:
    stated = []
    for number, text in enumerate(texts):
        said = DOCUMENT.validate_python(text)
        document = Document("told", number, text)
        stated.append(Stated(document, said.cis, said.depends_on, said.origin, said.precedence))
    return merge(stated, complete=True, edge_costs=EDGE_COSTS)


def test_one_ci_has_each_field_from_whoever_counts_most(tmp_path: Path) -> None:
    graph = load(tmp_path, a=SCAN, b=CMDB, c=HAND).graph
    assert [ci.id for ci in graph.cis] == ["db-01", "host-1", "host-2", "shop"]
    db, host, _, shop = graph.cis
    assert (db.type, db.owner, db.site, db.environment) == ("database", "dba", "fra", "production")
    assert (shop.tier, shop.type, shop.group, host.type) == (1, "service", "web", "server")
    for name in ("db-01", "sys123", "10.0.0.9"):
        assert graph.numbers[name] == 0
    assert str(graph.service_times[1].zone) == "Europe/Berlin"
    assert graph.providers[0] == (1, 2)


def test_edges_and_cis_remember_who_says_so(tmp_path: Path) -> None:
    topology = load(tmp_path, a=SCAN, b=CMDB, c=HAND)
    db, host_1, host_2, shop = range(4)
    assert topology.edge_origins == {
        (shop, db): ("", "cmdb"),
        (db, host_1): ("cmdb", "scan"),
        (db, host_2): ("scan",),
        (host_1, host_2): ("scan",),
        (host_2, host_1): ("scan",),
    }
    assert topology.ci_origins == {
        db: ("", "cmdb", "scan"),
        host_1: ("cmdb", "scan"),
        host_2: ("scan",),
        shop: ("", "cmdb"),
    }


def test_without_origins_nothing_is_remembered(tmp_path: Path) -> None:
    topology = load(tmp_path, c=HAND)
    assert (topology.edge_origins, topology.ci_origins) == ({}, {})


def test_the_digest_does_not_tell_who_says_so(tmp_path: Path) -> None:
    plain = "cis: [{id: a, needs: [{of: [b, c]}, {of: [b], name: x}]}, {id: b}, {id: c}]\n"
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    digest = load(tmp_path / "one", a=plain).digest
    halves = {
        "a": "origin: m\nprecedence: -3\ncis: [{id: a, needs: [{of: [b], name: x}]}, {id: b}, {id: c}]\n",
        "b": "origin: n\ncis: [{id: a, needs: [{of: [c, b]}]}]\n",
    }
    assert load(tmp_path / "two", **halves).digest == digest


def test_a_group_that_two_origins_state_is_one(tmp_path: Path) -> None:
    said = "origin: {}\ncis: [{{id: a, needs: [{{of: [b, c]}}]}}, {{id: b}}, {{id: c}}]\n"
    topology = load(tmp_path, a=said.format("m"), b=said.format("n"))
    assert len(topology.graph.groups[0]) == 1
    assert topology.edge_origins[0, 1] == ("m", "n")


def test_precedence_without_origin_says_nothing(tmp_path: Path) -> None:
    findings = load(tmp_path, a="precedence: 7\n" + HAND).findings
    assert [str(each) for each in findings] == [f"{tmp_path}/a.yaml:1:1: precedence: says nothing without origin"]


def test_one_origin_defines_a_ci_once(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="'a' is defined twice, first at"):
        load(tmp_path, a="origin: m\ncis: [{id: a}]\n", b="origin: m\nprecedence: 2\ncis: [{id: a}]\n")


CONFLICTS: dict[str, tuple[list[dict[str, Any]], tuple[ConflictKind, tuple[str, ...]]]] = {
    "two definitions": (
        [{"origin": "m", "cis": [{"id": "a", "tier": 1}]}, {"origin": "m", "cis": [{"id": "a", "tier": 2}]}],
        (ConflictKind.DEFINED_TWICE, ("a",)),
    ),
    "an alias of two origins' CIs": (
        [
            {"origin": "n", "cis": [{"id": "b", "aliases": ["x"]}]},
            {"origin": "m", "cis": [{"id": "a", "aliases": ["x"]}]},
        ],
        (ConflictKind.ALIAS_OF_TWO, ("x", "a", "b")),
    ),
    "the id of one and the alias of another in one origin": (
        [{"origin": "m", "cis": [{"id": "a", "aliases": ["b"]}, {"id": "b"}]}],
        (ConflictKind.ALIAS_OF_TWO, ("b", "b", "a")),
    ),
    "an alias that would make one of two": (
        [
            {"cis": [{"id": "a", "aliases": ["x"]}, {"id": "b", "aliases": ["y"]}]},
            {"origin": "m", "cis": [{"id": "x", "aliases": ["b"]}]},
        ],
        (ConflictKind.SAME_AS_TWO, ("b", "a", "b")),
    ),
    "an unknown end": (
        [{"origin": "m", "cis": [{"id": "a", "depends_on": ["gone"]}]}],
        (ConflictKind.UNKNOWN_END, ("gone",)),
    ),
    "a group that cannot be met": (
        [{"origin": "m", "cis": [{"id": "a", "needs": [{"of": ["b"], "at_least": 2}]}, {"id": "b"}]}],
        (ConflictKind.BAD_GROUP, ("b",)),
    ),
    "a zone that is none": (
        [{"cis": [{"id": "a", "service_time": ["Mon 08:00-09:00"], "time_zone": "Mars/Base"}]}],
        (ConflictKind.BAD_TIME, ("a",)),
    ),
    "a dependency on itself": (
        [{"cis": [{"id": "a", "depends_on": ["a"]}]}],
        (ConflictKind.EMPTY, ("a",)),
    ),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_what_does_not_fit_is_a_value_and_the_rest_is_there(name: str) -> None:
    texts, expected = CONFLICTS[name]
    found = merged(*texts)
    assert [(each.kind, each.names) for each in found.conflicts] == [expected]
    assert len(found.graph) == len({ci["id"] for text in texts for ci in text["cis"]} - {"x"})


def test_every_kind_of_conflict_is_shown_here() -> None:
    assert {expected[0] for _, expected in CONFLICTS.values()} == set(ConflictKind)


def test_of_a_claimed_alias_the_origin_that_counts_more_keeps_it() -> None:
    texts: list[dict[str, Any]] = [
        {"origin": "m", "cis": [{"id": "a", "aliases": ["x"]}]},
        {"origin": "n", "precedence": 1, "cis": [{"id": "b", "aliases": ["x"]}]},
    ]
    for order in (texts, texts[::-1]):
        assert merged(*order).aliases == {"x": "b"}


def test_tools_that_contradict_each_other_about_a_name_stop_nobody(tmp_path: Path) -> None:
    shop = "origin: cluster\ncis: [{id: shop/ingress/shop, aliases: [shop]}]\n"
    cmdb = "origin: cmdb\nprecedence: 5\ncis: [{id: CI1, aliases: [shop]}, {id: CI2, aliases: [two]}]\n"
    scan = "origin: scan\ncis: [{id: one, aliases: [CI1, two]}]\n"
    topology = load(tmp_path, a=shop, b=cmdb, c=scan)
    assert topology.aliases["shop"] == "CI1"
    assert [(finding.level, finding.message.split(", defined at")[0]) for finding in topology.findings] == [
        ("warning", "'shop' is already an alias of 'CI1'"),
        ("warning", "'two' is already an alias of 'CI2'"),
    ]
    (tmp_path / "alone").mkdir()
    with pytest.raises(TopologyError, match="already an alias"):
        load(tmp_path / "alone", a=shop, b="origin: cluster\ncis: [{id: other, aliases: [shop]}]\n")
