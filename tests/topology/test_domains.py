"""Domains by an attribute: whose failure stays in one, what several share, and that names do not depend on luck."""

import random

import networkx
from hypothesis import given
from hypothesis import strategies as st

from opsbridge.core.graph import CI
from opsbridge.topology.domains import domains


def split(sites: dict[str, str], *edges: str) -> dict[str, str]:
    """CI -> domain, of CIs in sites and edges "dependent provider"; who is backbone has a domain that says so."""
    ids = sorted(sites)
    pairs = [(ids.index(one), ids.index(other)) for one, other in map(str.split, edges)]
    found = domains([CI(each, site=sites[each]) for each in ids], pairs, "site")
    assert [name.startswith("backbone:") for name in found.names] == found.backbone
    return dict(zip(ids, found.names, strict=True))


def test_a_domain_is_a_site_whether_it_hangs_together_or_not() -> None:
    assert split({"a": "x", "b": "x", "c": "y"}) == {"a": "x", "b": "x", "c": "y"}


def test_a_ci_on_which_two_sites_depend_however_far_is_backbone() -> None:
    sites = {"h1": "x", "h2": "y", "r1": "x", "r2": "y", "core": "x", "wan": "x"}
    told = split(sites, "h1 r1", "h2 r2", "r1 core", "r2 core", "core wan")
    assert told == {"h1": "x", "h2": "y", "r1": "x", "r2": "y", "core": "backbone:core", "wan": "backbone:core"}


def test_a_ci_that_is_in_one_site_and_carries_another_is_backbone() -> None:
    assert split({"h": "x", "sw": "y"}, "h sw") == {"h": "x", "sw": "backbone:sw"}


def test_a_ci_without_a_site_is_backbone_and_makes_none_of_its_providers_so() -> None:
    told = split({"shop": "", "vm": "x", "sw": "x"}, "shop vm", "vm sw")
    assert told == {"shop": "backbone:shop", "vm": "x", "sw": "x"}


def test_backbones_that_are_not_connected_are_domains_of_their_own() -> None:
    told = split({"n": "", "m": "", "z": "", "h": "x", "k": "y"}, "n m", "h n", "k z")
    assert told == {"m": "backbone:m", "n": "backbone:m", "z": "backbone:z", "h": "x", "k": "y"}


def test_backbones_that_one_site_is_connected_with_are_one() -> None:
    told = split({"n": "", "z": "", "h1": "x", "h2": "x", "k": "x"}, "h1 z", "h2 n")
    assert told == {"n": "backbone:n", "z": "backbone:n", "h1": "x", "h2": "x", "k": "x"}


def test_edges_inside_of_a_site_and_between_its_cis_join_no_backbones() -> None:
    told = split({"n": "", "z": "", "a": "x", "b": "x", "c": "y"}, "a n", "b a", "c z")
    assert told == {"n": "backbone:n", "z": "backbone:z", "a": "x", "b": "x", "c": "y"}


def test_sites_that_need_each_other_are_backbone_to_each_other() -> None:
    assert split({"a": "x", "b": "y"}, "a b", "b a") == {"a": "backbone:a", "b": "backbone:a"}


def test_without_an_attribute_there_is_no_backbone() -> None:
    found = domains([CI("a", site="x"), CI("b", site="y"), CI("c")], [(1, 0)], None)
    assert (found.names, found.backbone) == (["a", "a", "c"], [False, False, False])


@given(st.integers(0, 2**32).map(random.Random))
def test_backbone_is_what_ancestors_in_a_graph_library_say(chance: random.Random) -> None:
    size = chance.randint(1, 20)
    sites = [chance.choice(("", "x", "y", "z")) for _ in range(size)]
    edges = [(chance.randrange(size), chance.randrange(size)) for _ in range(chance.choice((0, size, 2 * size)))]
    found = domains([CI(f"{number:02}", site=site) for number, site in enumerate(sites)], edges, "site")
    graph: networkx.DiGraph[int] = networkx.DiGraph()
    graph.add_nodes_from(range(size))
    graph.add_edges_from(edges)
    shared = {
        number
        for number, site in enumerate(sites)
        if not site or {site, *(sites[other] for other in networkx.ancestors(graph, number))} - {"", site}
    }
    assert {number for number, backbone in enumerate(found.backbone) if backbone} == shared
    assert [site for number, site in enumerate(sites) if number not in shared] == [
        name for number, name in enumerate(found.names) if number not in shared
    ]
    # what joins backbone CIs: edges between them, and any domain that has edges with several
    ends = [number if number in shared else site for number, site in enumerate(sites)]
    joined: networkx.Graph[int | str] = networkx.Graph()
    joined.add_nodes_from(shared)
    joined.add_edges_from((ends[one], ends[other]) for one, other in edges if {one, other} & shared)
    for part in networkx.connected_components(joined):
        numbers = {end for end in part if isinstance(end, int)}
        assert {found.names[number] for number in numbers} == {f"backbone:{min(numbers):02}"}
