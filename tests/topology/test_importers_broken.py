"""What cannot be used is a finding and never an exception, and a wrong entry never loses the others."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbridge.topology.importers import FORMATS, Options, read, unite
from opsbridge.topology.model import DOCUMENT
from opsbridge.topology.writing import to_yaml

FILES = sorted((Path(__file__).parent / "files").iterdir())


def told(name: str, content: bytes, format_name: str | None = None) -> list[str]:
    imported = read(name, content, Options(), format_name)
    _, more = unite(imported.parts)
    return [str(each) for each in (*imported.findings, *more)]


BROKEN = {
    "no format": (
        "a.bin",
        b"\x00\x01 nothing",
        "a.bin: not recognised as any of graphml, service-graph, icinga, nagios",
    ),
    "broken JSON": ("a.json", b'{"nodes": [', "a.json:1:12: broken JSON: Expecting value"),
    "broken YAML": ("a.yaml", b"cis: [{id: a", "a.yaml:1:7: broken YAML: "),
    "not UTF-8": ("a.json", b'{"nodes": ["\xff"]}', "a.json:1:13: not UTF-8 text: byte 0xff"),
    "deep JSON": ("a.json", b"[" * 200_000, "a.json:1:1: broken JSON: nested too deeply"),
    "a bomb of entities": (
        "a.graphml",
        b'<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><graphml>&b;</graphml>',
        "a.graphml:2:1: <!DOCTYPE is not accepted in GraphML: entities could be declared there",
    ),
    "truncated GraphML": (
        "a.graphml",
        b'<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed"><node id="a"/>',
        "a.graphml:1:100: broken GraphML: no element found",
    ),
    "a table about nothing": ("a.csv", b"colour;size\nred;3\n", "a.csv: not recognised as any of "),
    "a CI without a name": (
        "a.json",
        b'{"nodes": [{"site": "x"}], "edges": []}',
        "a.json:1:12: a CI: id: is required; the CI is left out",
    ),
    "a name that is none": ("a.json", b'{"nodes": [{"id": "a\\u0001"}], "edges": []}', "must be a name: not empty"),
    "an edge without ends": (
        "a.json",
        b'{"nodes": [{"id": "a"}], "links": [{"source": "a"}]}',
        "a.json:1:36: links[0]: must have a source and a target; left out",
    ),
    "an end that is nowhere": (
        "a.json",
        b'{"nodes": [{"id": "a"}], "links": [{"source": "a", "target": "b"}]}',
        "a.json: b: no CI has this id or alias; its dependency is left out",
    ),
    "an unclosed text in Icinga": (
        "a.conf",
        b'object Host "a" {\n  address = "1',
        "a.conf:2:1: a text or comment that",
    ),
    "a quote that is not closed": (
        "a.csv",
        b'id,type\na,db\nb,"db\nc,db\n',
        "a.csv:3:1: a quote in this line is not closed: left out, with all that follows",
    ),
    "a quote that another one closes": (
        "a.csv",
        b'id,type\na,db\nb,"db\nc,"db\n',
        "a.csv:3:1: is read as one line with the 1 below it: is a quote not closed?",
    ),
    "a line feed in a name": (
        "a.json",
        b'{"nodes": [{"id": "a"}], "links": [{"source": "a", "target": "b\\n\\u001b[1mc"}]}',
        "a.json: b\\n\\x1b[1mc: no CI has this id or alias; its dependency is left out",
    ),
    "no metric": (
        "a.prom",
        b"traces_service_graph_request_failed_total 1\n",
        "there is no traces_service_graph_request_total",
    ),
    "a field of the wrong type": (
        "a.yaml",
        b"cis:\n  - {id: a, tier: high, colour: red, aliases: [x, 7]}\n",
        "a.yaml:2:19: a: tier: must be a whole number, not 'high'; left out",
    ),
    "an entry that is none": ("a.yaml", b"cis: [a, {id: b}]\n", "a.yaml:1:7: cis[0]: must be a mapping; left out"),
    "a wrong origin": ("a.yaml", b"origin: Me Too\ncis: [{id: a}]\n", "a.yaml:1:9: origin: must be a name of a-z"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_is_told_with_its_place(name: str) -> None:
    path, content, expected = BROKEN[name]
    findings = told(path, content)
    assert any(expected in each for each in findings), findings


def test_what_is_right_of_a_ci_stays() -> None:
    imported = read("a.yaml", b"cis:\n  - {id: a, tier: high, colour: red, site: x, aliases: [y, 7, z]}\n  - {id: b}\n")
    one, other = imported.documents[0].cis
    assert (one.site, one.aliases, one.tier, other.id) == ("x", ["y", "z"], None, "b")
    assert len(imported.findings) == 3


@pytest.mark.parametrize(("name", "head"), [("csv", "id,type"), ("servicenow", "name,sys_class_name")])
def test_lines_before_a_quote_that_is_not_closed_count(name: str, head: str) -> None:
    imported = read("a.csv", f'{head}\na,db\nb,"db\n\n'.encode())
    assert (imported.format, [ci.type for ci in imported.documents[0].cis]) == (name, ["db"])
    assert [str(each) for each in imported.findings] == [
        "a.csv:3:1: a quote in this line is not closed: left out, with all that follows"
    ]


def test_cells_of_several_lines_are_fine() -> None:
    imported = read("a.csv", b'id,aliases,type\na,"x\ny",db\r\nb,"p ""q""\nz",\n')
    assert imported.findings == ()
    assert [ci.aliases for ci in imported.documents[0].cis] == [["x", "y"], ['p "q"', "z"]]


def test_windows_text_in_a_table_is_read_and_told() -> None:
    imported = read("a.csv", "id,name\na,Münster\n".encode("cp1252"))
    assert imported.documents[0].cis[0].name == "Münster"
    assert "read as windows-1252" in str(imported.findings[0])


def test_utf_16_as_spreadsheets_write_it() -> None:
    imported = read("a.csv", "id\ttype\na\tdb\n".encode("utf-16"))
    assert (imported.findings, imported.documents[0].cis[0].type) == ((), "db")


def test_many_findings_alike_are_counted() -> None:
    content = "id,tier\n" + "".join(f"ci-{number},x\n" for number in range(500))
    findings = told("a.csv", content.encode())
    assert len(findings) == 21
    assert findings[-1] == "a.csv: and 480 more like those (wrong tier)"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_that_ends_anywhere(file: Path) -> None:
    content = file.read_bytes()
    for end in range(0, len(content), max(len(content) // 40, 1)):
        usable(file.name, content[:end])


def usable(name: str, content: bytes, format_name: str | None = None) -> None:
    """Whatever is in it: findings or documents, and the documents are native."""
    imported = read(name, content, Options(), format_name)
    documents, _ = unite(imported.parts)
    for document in documents:
        DOCUMENT.validate_python(json.loads(document.model_dump_json(by_alias=True, exclude_unset=True)))
    to_yaml(documents)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FILES),
    st.sampled_from([None, *FORMATS]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12)), max_size=4),
)
def test_no_importer_raises_for_mutated_files(
    file: Path, format_name: str | None, changes: list[tuple[float, int, bytes]]
) -> None:
    content = file.read_bytes()
    for where, gone, new in changes:
        place = int(where * len(content))
        content = content[:place] + new + content[place + gone :]
    usable(file.name, content, format_name)


_KEYS = st.sampled_from(
    [
        "id",
        "name",
        "kind",
        "metadata",
        "spec",
        "items",
        "nodes",
        "edges",
        "links",
        "source",
        "target",
        "parent",
        "child",
        "type",
        "value",
        "results",
        "result",
        "url",
        "sys_id",
        "apiVersion",
        "cis",
        "depends_on",
        "needs",
        "of",
        "at_least",
        "aliases",
        "from",
        "on",
        "namespace",
        "ownerReferences",
        "status",
        "role",
        "site",
        "a_terminations",
        "b_terminations",
        "object",
        "device",
        "cluster",
        "origin",
        "precedence",
        "tier",
        "undirected",
    ]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from(
        ["a", "b", "Pod", "List", "backstage.io/v1alpha1", "Component", "/api/dcim/devices/1/", "Depends on::Used by"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None)
@given(_VALUES, st.sampled_from([None, *FORMATS]))
def test_no_importer_raises_for_any_json(value: object, format_name: str | None) -> None:
    usable("any.json", json.dumps(value).encode(), format_name)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([None, *FORMATS]), st.sampled_from(["a.csv", "a.yaml", "a.json", "a"]))
def test_no_importer_raises_for_any_bytes(content: bytes, format_name: str | None, name: str) -> None:
    usable(name, content, format_name)


def test_a_name_of_two_cis_is_nobodys() -> None:
    parts = [
        *read("cis.csv", b"id,aliases\na,x\nb,x\nc,\n").parts,
        *read("edges.csv", b"from,to\nc,x\nc,a\n").parts,
    ]
    documents, findings = unite(parts)
    assert [(entry.id, entry.aliases, entry.depends_on) for entry in documents[0].cis] == [
        ("a", [], []),
        ("b", [], []),
        ("c", [], ["a"]),
    ]
    assert list(map(str, findings)) == [
        "cis.csv: b: the alias 'x' is a name of 'a' as well; left out",
        "edges.csv: x: is a name of several CIs; what is said of it is left out",
        "edges.csv:2:1: x: is a name of several CIs; its dependency is left out",
    ]


@pytest.mark.parametrize(
    ("name", "template", "host"),
    [
        ("a.cfg", "define host {{\n use {0}\n name {1}\n}}\n", "define host {\n use t0\n host_name a\n}\n"),
        ("a.conf", 'template Host "{1}" {{\n{0}}}\n', 'object Host "a" {\n import "t0"\n}\n'),
    ],
)
def test_templates_of_templates_are_worked_out_once(name: str, template: str, host: str) -> None:
    """Each level is used twice by each of the level above: 2 to the power of 40 ways up."""
    levels = [(f"{kind}{level}", f"t{level + 1}", f"u{level + 1}") for level in range(40) for kind in "tu"]
    said = "".join(
        template.format(f"{one},{other}" if name == "a.cfg" else f'  import "{one}"\n  import "{other}"\n', own)
        for own, one, other in levels
    )
    read_of = read(name, (said + host).encode())
    assert [entry.id for document in read_of.documents for entry in document.cis] == ["a"]
