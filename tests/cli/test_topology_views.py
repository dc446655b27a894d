"""`opsbridge topology show|path|impact|health`, as users call them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from opsbridge.cli.main import app

ESTATE = """\
cis:
  - {id: shop, type: business_service, tier: 1, users: 500, site: a, depends_on: [{on: web, type: calls}]}
  - {id: web, type: service, site: a, needs: [{name: instances, of: [vm-1, vm-2], at_least: 1, type: runs_on}]}
  - {id: vm-1, type: vm, site: a, aliases: [10.0.0.1], depends_on: [rack]}
  - {id: vm-2, type: vm, site: b, depends_on: [rack-2]}
  - {id: rack, site: a}
  - {id: rack-2, site: b}
  - {id: office, site: b, service_time: [Mon-Fri 08:00-18:00], depends_on: [rack-2]}
  - {id: alone, type: printer, site: b}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("topology").mkdir()
    Path("topology/estate.yaml").write_text(ESTATE)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["topology", *arguments])


def answer(*arguments: str) -> Any:
    result = run(*arguments, "-o", "json")
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]


# show


def test_a_picture_is_written_where_it_is_asked_for() -> None:
    result = run("show", "topology", "--around", "10.0.0.1", "--hops", "1", "-o", "vm.svg")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith("vm.svg: 3 CIs, 2 dependencies\n")
    picture = Path("vm.svg").read_text()
    assert "Around vm-1, 1 hop<" in picture
    assert 'class="node n5 focus"' in picture


def test_without_files_the_topology_of_the_settings_is_shown() -> None:
    Path("topology").rename("elsewhere")
    asked = ("show", "--around", "rack", "--hops", "0", "--format", "dot")
    assert run(*asked).exit_code == 2
    assert run(*asked, "--set", "paths.topology=elsewhere").stdout == run(*asked, "elsewhere").stdout != ""


@pytest.mark.parametrize(("typed", "meant"), [("VM1", "'VM-1'"), ("vm-1", "'VM-1'")])
def test_an_id_is_suggested_before_an_alias_that_differs_in_case(typed: str, meant: str) -> None:
    estate = ESTATE.replace("aliases: [10.0.0.1]", "aliases: [Vm-1]").replace("vm-1", "VM-1")
    Path("topology/estate.yaml").write_text(estate)
    result = run("show", "--around", typed)
    assert (result.exit_code, result.stderr) == (2, f"no CI '{typed}'; did you mean {meant}?\n")


@pytest.mark.parametrize(("name", "begins"), [("dot", "digraph"), ("mermaid", "flowchart"), ("svg", "<svg")])
def test_all_formats_go_to_stdout(name: str, begins: str) -> None:
    result = run("show", "topology", "--format", name)
    assert result.exit_code == 0
    assert result.stdout.startswith(begins)


def test_one_domain_is_shown() -> None:
    result = run("show", "topology", "--domain", "b", "--domains-by", "site", "--format", "dot")
    assert result.exit_code == 0
    assert "Domain b: 2 CIs" in result.stdout  # what vm-2 and rack-2 carry is in both, they are backbone


def test_an_incident_of_a_replay_is_shown_with_its_root() -> None:
    events = [
        {"id": f"e{number}", "time": f"2026-03-01T12:00:0{number}Z", "ci": ci, "class": "Down", "severity": "critical"}
        for number, ci in enumerate(["rack", "vm-1"])
    ]
    lines = "\n".join(json.dumps({**event, "state": "firing", "summary": "x", "source": "t"}) for event in events)
    Path("events.jsonl").write_text(lines)
    replayed = CliRunner().invoke(app, ["replay", "events.jsonl", "--topology", "topology", "-o", "incidents.jsonl"])
    assert replayed.exit_code == 0, replayed.output
    name = json.loads(Path("incidents.jsonl").read_text())["id"]
    result = run("show", "topology", "--incident", name, "--incidents", "incidents.jsonl")
    assert result.exit_code == 0, result.output
    assert f"{name}: rack" in result.stdout
    assert " root" in result.stdout.partition(">rack</text>")[0].rpartition("<g class=")[2]
    other = run("show", "topology", "--incident", "INC-other", "--incidents", "incidents.jsonl")
    assert other.exit_code == 2
    assert "no incident 'INC-other'" in other.stderr
    Path("incidents.jsonl").write_text("{")
    assert run("show", "topology", "--incident", name, "--incidents", "incidents.jsonl").exit_code == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--around", "vm-3"], "no CI 'vm-3'; did you mean 'vm-2' or 'vm-1'?"),
        (["--domain", "alon"], "no domain 'alon'; did you mean 'alone'?"),
        (["--around", "web", "--domain", "x"], "give one of --around, --domain and --incident"),
        (["--incident", "INC-1"], "--incident and --incidents go together"),
        (["--limit", "7"], "8 CIs: nobody can read a picture of more than 7"),
        (["-o", "nowhere/x.svg"], "nowhere/x.svg: cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_shown_is_told(flags: list[str], message: str) -> None:
    result = run("show", "topology", *flags)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


# path


def test_a_path_is_told_with_kinds_groups_and_chances() -> None:
    result = run("path", "10.0.0.1", "shop")
    assert result.exit_code == 0
    assert "shop depends on vm-1: a failure comes over this path in 8% of cases" in result.stdout
    assert rows(result.stdout) == [
        ["1", "shop", "web", "calls", "", "", "50%"],
        ["2", "web", "vm-1", "runs_on", "instances: 1 of 2", "", "16%"],
    ]
    (path,) = answer("path", "shop", "vm-1")["paths"]
    assert (path["dependent"], path["provider"], path["followed"]) == ("shop", "vm-1", True)
    assert path["steps"][1]["groups"] == ["instances: 1 of 2"]


def test_without_a_path_it_is_told_what_both_have_in_common() -> None:
    result = run("path", "rack", "rack-2")
    assert result.exit_code == 1
    assert "neither of rack and rack-2 depends on the other" in result.stdout
    assert "both are needed by web: 2 steps from rack, 2 from rack-2" in result.stdout
    assert "whatever the directions: rack - vm-1 - web - vm-2 - rack-2" in result.stdout
    found = answer("path", "office", "vm-2")
    assert (found["paths"], found["providers"]) == ([], [{"ci": "rack-2", "from_a": 1, "from_b": 1}])
    nothing = run("path", "shop", "alone")
    assert nothing.exit_code == 1
    assert "nothing connects them" in nothing.stdout


def test_two_that_need_each_other_have_two_paths() -> None:
    Path("topology/estate.yaml").write_text(
        "cis: [{id: a, depends_on: [b]}, {id: b}, {id: c, depends_on: [a]}]\n"
        "depends_on: [{from: b, on: c}]\n"
    )  # fmt: skip
    paths = answer("path", "a", "c")["paths"]
    assert [[step["provider"] for step in path["steps"]] for path in paths] == [["b", "c"], ["a"]]


def test_rules_say_what_is_cheapest() -> None:
    Path("topology/estate.yaml").write_text(
        "cis: [{id: a, depends_on: [{on: b, type: rare}, {on: c, type: calls}]}, {id: b, depends_on: [d]},"
        " {id: c, depends_on: [d]}, {id: d}]"
    )
    Path("rules.yaml").write_text(
        "version: 1\nrules:\n- {id: strong, kind: correlate, title: t, edges: [calls], strength: 0.9}\n"
    )
    for flags, way in (([], ["b", "d"]), (["--rules", "rules.yaml"], ["c", "d"])):
        (found,) = answer("path", "a", "d", *flags)["paths"]
        assert [step["provider"] for step in found["steps"]] == way


def test_a_path_needs_two_cis_that_are_known() -> None:
    unknown = run("path", "shop", "rak")
    assert unknown.exit_code == 2
    assert "no CI 'rak'; did you mean 'rack'" in unknown.stderr
    assert run("path", "vm-1", "10.0.0.1").exit_code == 2
    assert run("path", "a", "b", "--topology", "nowhere.yaml").exit_code == 2


# impact


def test_redundancy_holds_until_the_quorum_is_lost() -> None:
    one = answer("impact", "rack")
    assert {each["ci"]: each["condition"] for each in one["affected"]} == {
        "rack": "down",
        "vm-1": "unreachable",
        "web": "degraded",
    }
    assert (one["users"], one["services"][0]["because"]) == (0, "instances: 1 left, 1 needed, without vm-1")
    both = answer("impact", "rack", "--failed", "rack-2", "--at", "2026-03-02T12:00:00Z")
    assert {each["ci"]: each["condition"] for each in both["affected"]} == {
        "rack": "down",
        "rack-2": "down",
        "vm-1": "unreachable",
        "vm-2": "unreachable",
        "office": "unreachable",
        "web": "unreachable",
        "shop": "unreachable",
    }
    assert [(each["ci"], each["tier"]) for each in both["services"]] == [("shop", 1), ("web", None)]
    assert both["users"] == 500
    assert both["sites"] == [{"site": "a", "lost": 4, "degraded": 0}, {"site": "b", "lost": 3, "degraded": 0}]


def test_an_impact_as_text() -> None:
    result = run("impact", "rack-2", "--failed", "10.0.0.1", "--at", "2026-03-01T12:00:00Z")  # a Sunday
    assert result.exit_code == 0
    assert "if rack-2, vm-1 fail: 2 down, 3 lost, 1 out of service then" in result.stdout
    assert "users of services that are lost: 500" in result.stdout
    told = rows(result.stdout)
    assert ["shop", "lost", "1", "500", "needs web"] in told
    assert ["web", "lost", "", "", "instances: 0 left, 1 needed, without vm-1, vm-2"] in told
    assert ["office", "out of service then", "", "b", "outside its service time"] in told


def test_an_impact_needs_a_ci_that_is_known_and_a_time() -> None:
    assert "no CI 'rak'; did you mean 'rack'" in run("impact", "rak").stderr
    assert run("impact", "rack", "--failed", "x").exit_code == 2
    assert "expected a time like" in " ".join(run("impact", "rack", "--at", "noon").stderr.split())


# health


def event(number: int, ci: str, at: str, state: str = "firing") -> str:
    return json.dumps(
        {"id": f"e{number}", "time": at, "ci": ci, "class": "Down", "severity": "critical", "state": state,
         "summary": "x", "source": "t"}
    )  # fmt: skip


def test_files_alone_are_sound_or_not() -> None:
    fine = run("health")
    assert fine.exit_code == 0
    assert "nothing needs work" in fine.stdout
    Path("topology/more.yaml").write_text("cis: [{id: x, aliases: [10.0.0.1], depends_on: [shop]}]")
    found = run("health")
    assert found.exit_code == 1
    assert ["alias_conflict", "10.0.0.1"] in [row[:2] for row in rows(found.stdout)]
    assert "alias_conflict: decide whose name it is" in found.stdout
    assert run("check", "topology").exit_code == 2, "which is why it is an error"


def test_a_replay_shows_what_alarms_and_is_not_there() -> None:
    lines = [event(number, "vm-1.example.net", f"2026-03-01T1{number}:00:00Z") for number in (0, 2)]
    lines.append(event(1, "vm-1.example.net", "2026-03-01T11:00:00Z", "resolved"))
    Path("events.jsonl").write_text("\n".join(sorted(lines, key=lambda line: str(json.loads(line)["time"]))))
    found = answer("health", "topology", "--replay", "events.jsonl")
    assert set(found) == {"sound", "cis", "dependencies", "alarmed", "findings"}
    assert (found["sound"], found["cis"], found["alarmed"]) == (False, 8, 0)
    unknown = next(each for each in found["findings"] if each["kind"] == "unknown_ci")
    assert set(unknown) == {
        "kind", "severity", "reference", "what", "todo", "count", "first", "last", "nearest", "evidence",
    }  # fmt: skip
    assert (unknown["reference"], unknown["count"], unknown["nearest"]) == ("vm-1.example.net", 2, ["vm-1"])
    assert (unknown["first"], unknown["last"]) == ("2026-03-01T10:00:00.000Z", "2026-03-01T12:00:00.000Z")


def test_an_empty_topology_says_so() -> None:
    Path("topology/estate.yaml").write_text("cis: []")
    result = run("health")
    assert result.exit_code == 0
    assert "warning: the topology has no CIs" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--replay", "x", "--topic"], "give --replay or --topic, not both"),
        (["--rules", "x"], "--rules and --known-errors are about --replay and --topic"),
        (["--replay", "nowhere.jsonl"], "nowhere.jsonl"),
        (["nowhere"], "nowhere"),
        (["--replay", "x", "--source", "zabix"], "'zabbix'"),
    ],
)
def test_what_cannot_be_asked_of_health_is_told(flags: list[str], message: str) -> None:
    result = run("health", *flags)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
