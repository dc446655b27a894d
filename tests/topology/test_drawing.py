"""Drawings of estates: what is shown, that nothing overlaps, and that no text of a file becomes markup."""

import json
import re
import xml.etree.ElementTree as ET  # what it reads is what was just written
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.topology import Topology, load_topology
from opsbridge.topology.dependencies import dependencies
from opsbridge.topology.drawing import Drawing, Mark, Node, TooLargeError, around, draw
from opsbridge.topology.layout import Size, layout
from opsbridge.topology.markup import to_dot, to_mermaid
from opsbridge.topology.svg import to_svg

Load = Callable[..., Topology]
SVG = "{http://www.w3.org/2000/svg}"

ESTATE = """\
cis:
  - {id: shop, type: business_service, tier: 1, depends_on: [{on: web, type: calls}]}
  - id: web
    type: service
    needs: [{name: instances, of: [vm-1, vm-2], type: runs_on}]
    depends_on: [{on: db, type: calls}]
  - {id: vm-1, type: virtual_machine, aliases: [10.0.0.1]}
  - {id: vm-2, type: virtual_machine, monitored: false}
  - {id: db, type: database, depends_on: [web, san]}
  - {id: san}
  - {id: lonely, type: printer}
depends_on:
  - {from: vm-1, on: vm-2, undirected: true, type: heartbeat}
"""

EVIL = [
    "<script>alert(1)</script>",
    '"];n0 -> n1 [label="',
    "]]> & \\",
    '--> end %%{init: {}}%% "] click n0 href `x`',
    "\\N\\G\\l",
    "javascript:alert(1)' onload='x",
    "</text></svg>",
]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(*texts: str) -> Topology:
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.yaml").write_text(text)
        return load_topology([tmp_path])

    return load


def whole(topology: Topology) -> Drawing:
    return draw(topology, range(len(topology.graph)), "all of it")


def elements(svg: str, kind: str) -> Iterator[tuple[ET.Element, str]]:
    """Every group of that class, with its title."""
    for group in ET.fromstring(svg).iter(f"{SVG}g"):  # noqa: S314
        if kind in group.get("class", "").split():
            yield group, group.findtext(f"{SVG}title") or ""


# what is shown


def test_every_dependency_is_told_with_kinds_groups_and_who_says_so(load: Load) -> None:
    topology = load(
        "origin: cmdb\ncis: [{id: a, depends_on: [{on: b, type: runs_on}]}, {id: b}, {id: c}]",
        "cis: [{id: a, depends_on: [{on: b, type: calls}], needs: [{name: n, of: [b, c]}]}]",
        "origin: seen\ndepends_on:\n- {from: b, on: a, undirected: true, type: peers}"
        "\n- {from: c, on: b, undirected: true}",
    )
    ids = [ci.id for ci in topology.graph.cis]
    told = {(ids[each.dependent], ids[each.provider]): each for each in dependencies(topology, {0, 1, 2}).values()}
    assert set(told) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert set(dependencies(topology, {2})) == {(0, 2), (1, 2)}
    ab = told["a", "b"]
    assert (sorted(ab.kinds), ab.groups, ab.undirected, ab.needed) == (
        ["calls", "peers", "runs_on"],
        ["n: 1 of 2"],
        False,
        True,
    )
    assert set(ab.origins) == {"", "cmdb", "seen"}
    assert (told["a", "c"].groups, told["a", "c"].needed, told["a", "c"].origins) == (["n: 1 of 2"], False, ())
    assert (told["b", "c"].undirected, told["b", "c"].origins) == (True, ("seen",))


def test_around_a_ci_are_those_it_needs_and_those_that_need_it(load: Load) -> None:
    graph = load(ESTATE).graph

    def named(centre: str, hops: int) -> set[str]:
        return {graph.cis[number].id for number in around(graph, graph.numbers[centre], hops)}

    assert named("san", 0) == {"san"}
    assert named("san", 1) == {"san", "db"}
    assert named("san", 2) == {"san", "db", "web"}
    assert named("vm-1", 1) == {"vm-1", "vm-2", "web"}  # not db, which web needs too


def test_what_leads_out_of_the_drawing_is_counted(load: Load) -> None:
    topology = load(ESTATE)
    web, db = topology.graph.numbers["web"], topology.graph.numbers["db"]
    drawing = draw(topology, [web, db], "two", marks={web: Mark.ROOT})
    assert [node.id for node in drawing.nodes] == ["db", "web"]
    assert (len(drawing.edges), drawing.outside) == (2, 4)
    assert [node.mark for node in drawing.nodes] == [None, Mark.ROOT]
    assert drawing.nodes[1].groups == (), "no line of the group is drawn"
    assert "4 more lead to CIs that are not shown" in to_svg(drawing)


def test_more_than_anybody_can_read_is_refused_with_what_to_do(load: Load) -> None:
    topology = load(json.dumps({"cis": [{"id": f"c{number}"} for number in range(301)]}))
    with pytest.raises(TooLargeError, match=r"301 CIs: .* 300; choose with --around CI --hops N or --domain"):
        whole(topology)
    assert len(draw(topology, range(301), "all", limit=301).nodes) == 301


# how it is written


def test_a_picture_has_every_ci_and_dependency_with_a_title(load: Load) -> None:
    svg = to_svg(whole(load(ESTATE)))
    nodes = {title.splitlines()[0]: (group, title) for group, title in elements(svg, "node")}
    assert set(nodes) == {"shop", "web", "vm-1", "vm-2", "db", "san", "lonely"}
    assert "aliases: 10.0.0.1" in nodes["vm-1"][1]
    assert "service" in (nodes["shop"][0].get("class") or "").split()
    assert "unwatched" in (nodes["vm-2"][0].get("class") or "").split()
    assert "instances: 1 of 2" in ["".join(text.itertext()) for text in nodes["web"][0].iter(f"{SVG}text")]
    edges = {title: group for group, title in elements(svg, "edge")}
    assert set(edges) == {
        "shop depends on web · calls",
        "web depends on db · calls",
        "db depends on web",
        "db depends on san",
        "web depends on vm-1 · runs_on · instances: 1 of 2",
        "web depends on vm-2 · runs_on · instances: 1 of 2",
        "vm-1 and vm-2 are connected; nobody says which needs the other · heartbeat",
    }
    arrows = {
        title: [path.get("marker-end") for path in group.iter(f"{SVG}path")][-1] for title, group in edges.items()
    }
    assert [title for title, arrow in arrows.items() if arrow is None] == [
        "vm-1 and vm-2 are connected; nobody says which needs the other · heartbeat"
    ]
    assert "prefers-color-scheme:dark" in svg


def test_where_an_edge_came_from_is_in_its_title(load: Load) -> None:
    svg = to_svg(whole(load("origin: netbox\ncis: [{id: a, depends_on: [b]}, {id: b}]", "cis: [{id: a}]")))
    assert [title for _, title in elements(svg, "edge")] == ["a depends on b · said by netbox"]
    assert {title for _, title in elements(svg, "node")} == {"a\nsaid by: hand, netbox", "b\nsaid by: netbox"}


def test_no_text_of_a_file_becomes_markup(load: Load) -> None:
    cis = [{"id": name, "type": name, "name": name, "owner": f"\x00\x1b{name}\ufffe"} for name in EVIL]
    links = [{"from": one, "on": other, "type": one} for one, other in pairwise(EVIL)]
    needs = [{"id": "x", "needs": [{"name": name, "of": [name]} for name in EVIL]}]
    drawing = draw(load(json.dumps({"cis": cis + needs, "depends_on": links})), range(len(EVIL) + 1), EVIL[0])
    svg = to_svg(drawing)
    kinds = {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()}  # noqa: S314
    assert kinds == {"svg", "title", "style", "defs", "marker", "path", "rect", "text", "g"}
    names = {name for element in ET.fromstring(svg).iter() for name in element.attrib}  # noqa: S314
    assert not [name for name in names if name.startswith("on") or "href" in name]
    assert {title.splitlines()[0] for _, title in elements(svg, "node")} == {*EVIL, "x"}
    nodes, edges = parse_dot(to_dot(drawing))
    assert {label.split("\n")[0] for label in nodes.values()} == {*EVIL, "x"}
    assert len(edges) == len(drawing.edges)
    nodes, edges = parse_mermaid(to_mermaid(drawing))
    assert {label.split("<br/>")[0] for label in nodes.values()} == {*EVIL, "x"}
    assert len(edges) == len(drawing.edges)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_can_be_drawn(title: str, kind: str) -> None:
    node = Node(0, "a", kind, service=True, monitored=False, groups=(title,), facts=(("name", kind),))
    drawing = Drawing(title, (node,), ())
    svg = to_svg(drawing)
    ET.fromstring(svg.encode())  # noqa: S314
    assert [*parse_dot(to_dot(drawing))[0]] == ["n0"]
    assert [*parse_mermaid(to_mermaid(drawing))[0]] == ["n0"]


def test_dot_and_mermaid_say_the_same(load: Load) -> None:
    drawing = whole(load(ESTATE))
    dot, mermaid = to_dot(drawing), to_mermaid(drawing)
    nodes, edges = parse_dot(dot)
    others, links = parse_mermaid(mermaid)
    assert {name: label.split("\n") for name, label in nodes.items()} == {
        name: label.split("<br/>") for name, label in others.items()
    }
    assert sorted(edges) == sorted(links)
    assert dot.count("dir=none") == mermaid.count(" ---|") == 1
    assert dot.count("style=dashed") == mermaid.count("-.->") == 2


def test_an_empty_estate_is_an_empty_picture(load: Load) -> None:
    drawing = whole(load("cis: []"))
    assert not list(elements(to_svg(drawing), "node"))
    assert parse_dot(to_dot(drawing)) == ({}, [])
    assert parse_mermaid(to_mermaid(drawing)) == ({}, [])


_QUOTED = r'"((?:[^"\\]|\\.)*)"'


def parse_dot(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Labels by node, and edges; every line must be one of the few forms that there are."""
    nodes: dict[str, str] = {}
    edges: list[tuple[str, str]] = []
    value = rf"(?:{_QUOTED.replace('(', '(?:', 1)}|[a-z0-9]+)"
    attributes = rf"\w+={value}(?:, \w+={value})*"
    first, *lines, last = text.splitlines()
    assert (first, last) == ("digraph topology {", "}")
    for line in lines:
        if found := re.fullmatch(rf"  (n\d+) -> (n\d+) \[{attributes}\];", line):
            edges.append((found[1], found[2]))
        elif found := re.fullmatch(rf"  (n\d+) \[label={_QUOTED}(?:, {attributes})?\];", line):
            parts = re.findall(r"\\(.)|([^\\])", found[2])
            nodes[found[1]] = "".join("\n" if escaped == "n" else escaped or plain for escaped, plain in parts)
        else:
            assert re.fullmatch(rf"  (?:label={value}|labelloc=t|(?:node|edge) \[{attributes}\])(?:;.*)?;", line), line
    return nodes, edges


def parse_mermaid(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    nodes: dict[str, str] = {}
    edges: list[tuple[str, str]] = []
    first, comment, *lines = text.splitlines()
    assert first == "flowchart TB"
    assert comment.startswith("  %% ")
    assert "{" not in comment
    for line in lines:
        if found := re.fullmatch(r'  (n\d+)(?:\["([^"]*)"\]|\(\["([^"]*)"\]\))', line):
            label = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), found[2] or found[3] or "")
            nodes[found[1]] = label
        elif found := re.fullmatch(r'  (n\d+) (?:-->|---|-\.->)(?:\|"[^"]*"\|)? (n\d+)', line):
            edges.append((found[1], found[2]))
        else:
            assert re.fullmatch(r"  (?:classDef \w+ fill:[#\w,:]+|class [\w,]+ \w+)", line), line
    return nodes, edges


# where everything goes


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_two_boxes_overlap_and_providers_stand_below(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 25))
    number = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(number, number).filter(lambda pair: pair[0] != pair[1]), max_size=50))
    acyclic = data.draw(st.booleans())
    edges = [(min(pair), max(pair)) for pair in pairs] if acyclic else pairs
    peers = data.draw(st.lists(st.tuples(number, number).filter(lambda pair: pair[0] < pair[1]), max_size=5))
    sizes = {box: Size(data.draw(st.sampled_from([80.0, 150.0, 260.0])), 42.0) for box in range(count)}
    found = layout(sizes, edges, peers)
    assert set(found.boxes) == set(sizes)
    for one, other in combinations(sizes, 2):
        (x, y), (to, at) = found.boxes[one], found.boxes[other]
        apart_x = abs(x - to) - (sizes[one].width + sizes[other].width) / 2
        apart_y = abs(y - at) - (sizes[one].height + sizes[other].height) / 2
        assert apart_x > 5 or apart_y > 5
    for box, (x, y) in found.boxes.items():
        assert sizes[box].width / 2 - 1e-6 <= x <= found.width - sizes[box].width / 2 + 1e-6
        assert y - sizes[box].height / 2 >= 0
        assert y + sizes[box].height / 2 <= found.height + 1e-6
    if acyclic:
        assert all(found.boxes[dependent][1] < found.boxes[provider][1] for dependent, provider in edges)
    assert layout(sizes, reversed(edges), peers).boxes == found.boxes


def test_a_cycle_stands_side_by_side() -> None:
    sizes = dict.fromkeys(range(4), Size(100, 40))
    found = layout(sizes, [(0, 1), (1, 2), (2, 1), (2, 3)])
    y = [found.boxes[box][1] for box in range(4)]
    assert y[0] < y[1] == y[2] < y[3]


def test_lines_do_not_cross_where_they_need_not() -> None:
    sizes = dict.fromkeys(range(8), Size(100, 40))
    found = layout(sizes, [(0, 7), (1, 6), (2, 5), (3, 4)])
    assert all(abs(found.boxes[one][0] - found.boxes[7 - one][0]) < 1 for one in range(4))


def test_a_wide_layer_becomes_rows(load: Load) -> None:
    hosts = [{"id": f"host-{number}", "depends_on": ["switch"]} for number in range(120)]
    drawing = whole(load(json.dumps({"cis": [{"id": "switch"}, *hosts]})))
    root = ET.fromstring(to_svg(drawing))  # noqa: S314
    assert 0.4 < float(root.get("width", "0")) / float(root.get("height", "1")) < 4


def test_the_shipped_estate_fits_by_site() -> None:
    topology = load_topology([Path(__file__).parents[2] / "topology"], domain_attribute="site")
    site = [number for number, domain in enumerate(topology.graph.domains) if domain == "ams1"]
    root = ET.fromstring(to_svg(draw(topology, site, "ams1")))  # noqa: S314
    assert len(site) > 100
    assert float(root.get("width", "0")) < 4500
    assert float(root.get("height", "0")) < 3000
