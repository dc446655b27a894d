"""What is written comes back equal: native, node-link and GraphML whole, a table but for peers."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.topology import load_topology
from opsbridge.topology.exporting import EXPORTS
from opsbridge.topology.importers import read, unite
from opsbridge.topology.load import load_stated
from opsbridge.topology.model import TopologyDocument
from opsbridge.topology.writing import scalar, to_yaml

SHIPPED = Path(__file__).parents[2] / "topology"
SUFFIXES = {"native": "yaml", "node-link": "json", "graphml": "graphml", "csv": "csv"}


def digest(text: str) -> str:
    with TemporaryDirectory() as folder:
        file = Path(folder) / ("topology.json" if text.startswith("{") else "topology.yaml")
        file.write_text(text, encoding="utf-8")
        return load_topology([file]).digest


def there_and_back(text: str, name: str) -> str:
    """Native text exported and imported again, as native text."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / ("topology.json" if text.startswith("{") else "topology.yaml")
        file.write_text(text, encoding="utf-8")
        exported = EXPORTS[name](*load_stated([file]))
    imported = read(f"x.{SUFFIXES[name]}", exported.encode())
    assert (imported.format, imported.findings) == (name, ())
    documents, findings = unite(imported.parts)
    assert findings == []
    return to_yaml(documents)


@pytest.mark.parametrize("name", EXPORTS)
def test_the_shipped_estate_comes_back_equal(name: str) -> None:
    exported = EXPORTS[name](*load_stated([SHIPPED]))
    documents, findings = unite(read(f"x.{SUFFIXES[name]}", exported.encode()).parts)
    assert findings == []
    assert digest(to_yaml(documents)) == load_topology([SHIPPED]).digest


_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Z")), min_size=1, max_size=6)
_NAMES = _WORDS | st.sampled_from(
    ["no", "on", "1", "0x1", "1e5", "null", "a b", "a;b", "[x]", "-", "#", "a: b", "{}", "'", '"', "~", "=1"]
)


@st.composite
def estates(draw: st.DrawFn) -> dict[str, object]:
    """A valid native document with everything that one can say."""
    names = draw(st.lists(_NAMES, min_size=1, max_size=12, unique=True))
    ids = names[: draw(st.integers(1, len(names)))]
    cis: list[dict[str, object]] = [{"id": ci} for ci in ids]
    for alias in names[len(ids) :]:
        said = cis[draw(st.integers(0, len(ids) - 1))]
        said["aliases"] = [*said.get("aliases", []), alias]  # type: ignore[misc]  # a list
    kinds = st.sampled_from(["", "runs_on", "calls", "x y"])
    for ci in cis:
        others = [name for name in ids if name != ci["id"]]
        optional: dict[str, st.SearchStrategy[object]] = {
            "type": st.sampled_from(["vm", "service", "a: b"]),
            "owner": _NAMES,
            "tier": st.integers(-2, 5),
            "users": st.integers(0, 10),
            "service": st.booleans(),
            "monitored": st.booleans(),
            "links": st.lists(_WORDS, min_size=1, max_size=2),
            "service_time": st.just(["Mon,Wed 08:00-12:00,13:00-17:00", "Sat 10:00-11:00"]),
        }
        ci |= draw(st.fixed_dictionaries({}, optional=optional))
        if others:
            providers = draw(st.lists(st.sampled_from(others), max_size=3))
            ci["depends_on"] = [draw(st.sampled_from([on, {"on": on, "type": draw(kinds)}])) for on in providers]
            members = draw(st.lists(st.sampled_from(others), max_size=3, unique=True))
            if members:
                weights = [draw(st.integers(1, 3)) for _ in members]
                of = [{"ci": ci_, "weight": weight} for ci_, weight in zip(members, weights, strict=True)]
                at_least = draw(st.integers(1, sum(weights)))
                ci["needs"] = [
                    {"of": of, "at_least": at_least, "type": draw(kinds), "name": draw(st.sampled_from(["", "g"]))}
                ]
    return {"cis": cis}


@settings(max_examples=60, deadline=None)
@given(
    estates(), st.sampled_from(sorted(EXPORTS)), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=3)
)
def test_what_is_written_comes_back_equal(estate: dict[str, object], name: str, peers: list[tuple[int, int]]) -> None:
    cis = estate["cis"]
    assert isinstance(cis, list)
    ends = [(cis[one % len(cis)]["id"], cis[other % len(cis)]["id"]) for one, other in peers]
    links = [{"from": one, "on": other, "undirected": True} for one, other in ends if one != other]
    if name != "csv":
        estate |= {"depends_on": links}
    text = json.dumps(estate)
    once = there_and_back(text, name)
    assert digest(once) == digest(text)
    assert there_and_back(once, "native") == once


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12))
def test_a_text_reads_back_the_same(text: str) -> None:
    written = to_yaml([TopologyDocument.model_validate({"cis": [{"id": "a", "runbook": text}]})])
    imported = read("a.yaml", written.encode())
    assert imported.findings == ()
    assert imported.documents[0].cis[0].runbook == text, scalar(text)


def test_networkx_reads_node_link() -> None:
    exported = json.loads(EXPORTS["node-link"](*load_stated([SHIPPED])))
    graph = networkx.node_link_graph(exported, edges="edges")
    assert graph.number_of_nodes() == len(load_topology([SHIPPED]).graph)
    assert graph.is_directed()


def test_native_keeps_what_each_origin_says(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("origin: m\nprecedence: 3\ncis: [{id: b}, {id: a, depends_on: [c]}]\n---\ncis: [{id: c}]\n")
    exported = EXPORTS["native"](*load_stated([file]))
    assert exported == (
        "cis:\n  - id: c\n---\norigin: m\nprecedence: 3\ncis:\n  - id: a\n    depends_on: [c]\n  - id: b\n"
    )


def test_the_order_of_files_and_entries_does_not_matter() -> None:
    one = read("1.csv", b"id,depends_on\nb,a\na,\n").parts
    other = read("2.csv", b"from,to\na,c\nc,d\n").parts
    backwards = read("2.csv", b"from,to\nc,d\na,c\n").parts
    assert to_yaml(unite([*one, *other])[0]) == to_yaml(
        unite([*backwards, *read("1.csv", b"id,depends_on\na,\nb,a\n").parts])[0]
    )
