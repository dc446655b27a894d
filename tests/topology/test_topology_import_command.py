"""`opsbridge topology import`, `export` and `diff` as users call them, and the newcomer's story of the docs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opsbridge.cli.main import app
from opsbridge.topology import load_topology

REPOSITORY = Path(__file__).parents[2]
FILES = Path(__file__).parent / "files"
STORY = REPOSITORY / "examples/servicenow"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def opsbridge(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), input=stdin)


def topology(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return opsbridge("topology", *arguments, stdin=stdin)


def test_from_servicenow_and_alertmanager_to_an_incident() -> None:
    done = topology("import", STORY / "cmdb_ci.csv", STORY / "cmdb_rel_ci.csv", "-o", "topo.yaml")
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[-1] == "13 CIs (servicenow) to topo.yaml"
    assert load_topology(["topo.yaml"]).findings == ()
    told = opsbridge("replay", STORY / "alertmanager.json", "--source", "alertmanager", "--topology", "topo.yaml")
    assert told.exit_code == 0, told.output
    (incident,) = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    assert (incident["root"]["ci"], incident["root"]["silent"]) == ("RTMESX07", True)
    assert incident["affected_services"] == ["Payments", "Loyalty Points"]
    assert (incident["group"], len(incident["events"])) == ("Virtualisation", 6)


def test_standard_input_and_output() -> None:
    done = topology(
        "import", "-", "--origin", "cluster-1", "--precedence", "4", stdin=(FILES / "kubectl.json").read_bytes()
    )
    assert done.exit_code == 0
    assert done.stdout.startswith("origin: cluster-1\nprecedence: 4\ncis:\n")


def test_of_a_directory_what_is_broken_is_told_and_what_is_foreign_skipped() -> None:
    Path("exports").mkdir()
    Path("exports/cis.csv").write_text("id,type\na,switch\n")
    Path("exports/cut-off.json").write_text('{"results": [')
    Path("exports/notes.csv").write_text("when,what\nMonday,nothing\n")
    done = topology("import", "exports", "-o", "a.yaml")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "info: exports/notes.csv: not recognised; skipped",
        "exports/cut-off.json:1:14: broken JSON: Expecting value",
        "1 CIs (csv) to a.yaml",
    ]


def test_what_cannot_be_used_is_told_and_strict_writes_nothing() -> None:
    done = topology("import", FILES / "edges.tsv", "-o", "a.yaml")
    assert done.exit_code == 1
    assert f"warning: {FILES}/edges.tsv:4:1: a dependency must name both ends; left out" in done.stderr.splitlines()
    strict = topology("import", FILES / "edges.tsv", "--strict", "-o", "b.yaml")
    assert strict.exit_code == 2
    assert "nothing was written: not all could be used, and --strict asks for all" in strict.stderr
    assert (Path("a.yaml").exists(), Path("b.yaml").exists()) == (True, False)


def test_files_that_are_not_there_or_nothing() -> None:
    Path("picture.json").write_bytes(b"\x89PNG")
    done = topology("import", "gone.csv", "picture.json")
    assert done.exit_code == 2
    assert "gone.csv: cannot be read: No such file or directory" in done.stderr
    assert "picture.json:1:1: not UTF-8 text: byte 0x89" in done.stderr
    assert "nothing was written: no CIs" in done.stderr


def test_a_directory_is_searched_for_files_that_are_known() -> None:
    Path("all/.hidden").mkdir(parents=True)
    Path("all/.hidden/x.csv").write_text("id\tb\nq\tw\n")
    Path("all/notes.txt").write_text("nothing here\n")
    Path("all/estate.graphml").write_bytes((FILES / "estate.graphml").read_bytes())
    done = topology("import", "all", "-o", "a.yaml")
    assert (done.exit_code, done.stderr.splitlines()) == (
        0,
        ["info: all/notes.txt: not recognised; skipped", "3 CIs (graphml) to a.yaml"],
    )


def test_a_direction_for_files_without_one() -> None:
    done = topology("import", FILES / "undirected.graphml", "--direction", "target-depends-on-source")
    assert "  - id: sat-rx-2\n    type: receiver\n    depends_on:\n" in done.stdout


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--format", "visio", "must be one of graphml"), ("--origin", "Me Too", "must be a name of a-z")],
)
def test_options_that_cannot_be(option: str, value: str, told: str) -> None:
    done = topology("import", FILES / "d3.json", option, value)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_names_that_two_origins_give_to_two_cis_do_not_keep_the_result_from_loading() -> None:
    Path("a.yaml").write_text("cis: [{id: a, aliases: [x]}]\n")
    Path("b.csv").write_text("id,aliases\nb,x\n")
    done = topology("import", "a.yaml", "b.csv", "-o", "both.yaml")
    assert done.exit_code == 1
    assert "warning: csv: b: the alias 'x' is left out: it would be a name of 'a' and 'b'" in done.stderr
    assert load_topology(["both.yaml"]).aliases == {"x": "a"}


def test_export_and_what_a_table_has_no_place_for() -> None:
    Path("a.yaml").write_text("cis: [{id: a}, {id: b}]\ndepends_on: [{from: a, on: b, undirected: true}]\n")
    assert json.loads(topology("export", "a.yaml", "--format", "node-link").stdout)["edges"] == [
        {"source": "a", "target": "b", "undirected": True}
    ]
    table = topology("export", "a.yaml", "--format", "csv", "-o", "a.csv")
    assert table.exit_code == 1
    assert "warning: 1 dependencies of unknown direction are left out" in table.stderr
    assert Path("a.csv").read_text() == "id\na\nb\n"
    Path("bad.yaml").write_text("cis: [{id: a, depends_on: [c]}]\n")
    bad = topology("export", "bad.yaml")
    assert (bad.exit_code, bad.stderr) == (2, "bad.yaml:1:28: cis[0].depends_on[0]: no CI has the id or alias 'c'\n")


def test_diff() -> None:
    Path("a.yaml").write_text(
        "cis: [{id: a, tier: 1, depends_on: [b, c], needs: [{name: g, of: [b, c]}]}, {id: b}, {id: c, type: vm}]\n"
    )
    Path("b.yaml").write_text(
        "cis:\n  - {id: a, tier: 2, depends_on: [{on: b, type: calls}], needs: [{name: g, of: [b, d]}]}\n"
        "  - {id: b}\n  - {id: d}\n"
    )
    assert topology("diff", "a.yaml", "a.yaml").exit_code == 0
    done = topology("diff", "a.yaml", "b.yaml", "--output", "json")
    assert done.exit_code == 1
    found = [tuple(each.values()) for each in json.loads(done.stdout)]
    assert found == [
        ("attribute", "a", "tier", "changed", "1", "2"),
        ("ci", "c", "", "removed", "vm", ""),
        ("ci", "d", "", "added", "", ""),
        ("dependency", "a", "b", "changed", "(no type)", "calls"),
        ("dependency", "a", "c", "removed", "(no type)", ""),
        ("group", "a", "g", "changed", "1 of b, c", "1 of b, d"),
    ]
    assert "a.yaml" in topology("diff", "a.yaml", "b.yaml").stdout
    assert topology("diff", "a.yaml", "gone.yaml").exit_code == 2


def test_a_diff_does_not_tell_how_files_are_split() -> None:
    Path("a.yaml").write_text("cis: [{id: a, aliases: [x], depends_on: [b]}, {id: b}]\n")
    Path("b.yaml").write_text("origin: m\ncis: [{id: b}, {id: a, aliases: [x]}]\n---\ndepends_on: [[x, b]]\n")
    assert topology("diff", "a.yaml", "b.yaml").exit_code == 0
