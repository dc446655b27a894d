"""What the pages show against what happens: errors, settings, the README's commands, the example of root choice.

`python tests/test_docs_examples.py` writes the outputs that the pages show (the README's replay, the example of root
choice) anew; the tests compare them, so a page cannot go on showing what is no longer true.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from math import comb, log
from pathlib import Path
from typing import Final

import pytest

from opsbridge.core import records
from opsbridge.core.classes import Nature, Profile, Profiles
from opsbridge.core.decisions import Rejected
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.rulebook import Rulebook
from opsbridge.core.second_level.evidence import Alerting, Evidence
from opsbridge.core.weights import NAT, Weights
from opsbridge.sources.operations import decode_context, decode_feedback
from opsbridge.topology import load_topology
from pages import ROOT, blocks, page, run, section


def test_the_consumer_that_is_shown_is_the_one_that_is_shipped_and_run() -> None:
    (example,) = blocks(section("docs/topics.md", "A consumer"), "python")
    assert example == page("examples/follow_incidents.py")  # tests/contract/test_example.py runs it


def test_the_feedback_and_context_shown_are_taken() -> None:
    for heading, decode in (("Feedback", decode_feedback), ("Context", decode_context)):
        lines = [line for shown in blocks(section("docs/topics.md", heading), "json") for line in shown.splitlines()]
        assert len(lines) > 2
        assert [decoded for line in lines if isinstance(decoded := decode(line.encode()), Rejected)] == []


@pytest.mark.parametrize(
    ("name", "command", "file"),
    [("docs/topology.md", "topology", "bad.yaml")],
)
def test_the_errors_shown_are_those_of_the_file_shown(tmp_path: Path, name: str, command: str, file: str) -> None:
    text = section(name, "Checking")
    (shown,), (content,) = blocks(text, "text"), blocks(text, "yaml")
    (tmp_path / file).write_text(content)
    done = run(["opsbridge", command, "check", file], tmp_path)
    assert (done.returncode, done.stderr) == (2, shown)


def test_the_shipped_examples_of_files_can_be_used(tmp_path: Path) -> None:
    for name, command in (("docs/topology.md", "topology"), ("docs/rules.md", "rules")):
        example = blocks(page(name), "yaml")[0]
        (tmp_path / f"{command}.yaml").write_text(example)
        done = run(["opsbridge", command, "check", f"{command}.yaml"], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_settings_shown_can_be_used(tmp_path: Path) -> None:
    (content,) = blocks(page("docs/settings.md"), "toml")
    for place in re.findall(r'"(/[^"]+)"', content):
        (tmp_path / Path(place).name).write_text("")
        content = content.replace(place, str(tmp_path / Path(place).name))
    (tmp_path / "opsbridge.toml").write_text(content)
    done = run(["opsbridge", "topics", "-o", "json"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "monitoring.events.dlq" in done.stdout
    (shown,) = blocks(page("docs/settings.md"), "text")
    wrong = {"OPSBRIDGE_KAFKA__BOOTSTRAP_SERVER": "x:1"}
    done = run(["opsbridge", "topics", "--set", "kafka.group=x"], tmp_path, wrong)
    assert (done.returncode, done.stderr) == (2, shown)


def test_the_readmes_commands_that_need_no_broker_work() -> None:
    lines = re.findall(r"^opsbridge (?:topology check|rules check|topics|version).*$", page("README.md"), re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        if "--check" not in line and "--create" not in line:
            done = run(line.split("#")[0].split(), ROOT)
            assert (done.returncode, done.stderr) == (0, ""), line


TRY: Final = "Try it on a file"
GENERATED: Final = "<!-- generated: python tests/test_docs_examples.py -->\n"


def replayed(where: Path) -> str:
    """What the commands of the README's example print."""
    *_, script = blocks(section("README.md", TRY), "sh")
    done = run(["bash", "-euo", "pipefail", "-c", script], where)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_replay_prints_what_is_shown(tmp_path: Path) -> None:
    (shown,) = blocks(section("README.md", TRY), "json")
    assert replayed(tmp_path) == shown
    assert f"`opsbridge explain {json.loads(shown)['id']} events.jsonl" in page("README.md")


def test_the_readmes_export_and_web_hook_become_the_incident_that_is_told(tmp_path: Path) -> None:
    text = section("README.md", "Plug in what you have")
    (script,) = blocks(text, "sh")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = run(["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert done.returncode == 0, done.stderr
    (incident,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"id":"INC-')]
    assert (incident["root"]["silent"], len(incident["events"])) == (True, 6)
    assert f"silent hypervisor {incident['root']['ci']} as its root" in text


def test_the_example_of_root_choice_is_what_the_core_computes() -> None:
    text = page("docs/architecture.md")
    assert text[text.index(GENERATED) + len(GENERATED) : text.index("<!-- end -->")] == worked_example()


def worked_example() -> str:
    """The page's example of root choice: one switch with its hosts, seen in four ways."""
    return "\n".join(
        [
            "There is a switch `sw` with hosts `h1`, `h2`, ... behind it, and a shop on `h1`. The switch is silent,",
            "the alerts are symptoms and come at once.",
            "",
            *_weighed("Three of three hosts and the shop alert", 3, ["h1", "h2", "h3", "shop"]),
            *_weighed("The same, with nine more hosts that are silent", 12, ["h1", "h2", "h3", "shop"]),
            *_weighed("The same, with a hundred hosts in all", 100, ["h1", "h2", "h3", "shop"]),
            *_weighed("Twelve hosts, and only `h1` and the shop alert", 12, ["h1", "shop"]),
        ]
    )


def _weighed(title: str, hosts: int, alerting: list[str]) -> Iterator[str]:
    """What speaks for and against each candidate, and what the core makes of it."""
    ids = ["sw", *(f"h{number}" for number in range(1, hosts + 1)), "shop"]
    numbers = {name: number for number, name in enumerate(ids)}
    edges = [(numbers[name], 0) for name in ids[1:-1]]
    graph = CIGraph([CI(id=name) for name in ids], [*edges, (numbers["shop"], numbers["h1"])])
    weights = Weights()
    evidence = Evidence(graph, weights)
    for name in alerting:
        evidence.add(numbers[name], Alerting(0, nature=Nature.SYMPTOM, forward=True))
    yield f"{title}:"
    yield ""
    yield "| candidate | CIs it explains | alone they cost | explained by it | its price | it saves |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name in ("sw", *alerting):
        links = evidence.links(numbers[name])
        alone, cost, own = sum(map(evidence.alone, links)), sum(links.values()), evidence.price(numbers[name])
        sums = " | ".join(f"{each / NAT:.1f}" for each in (alone, cost, own, alone - cost - own))
        yield f"| `{name}` | {len(links)} | {sums} |"
    yield ""
    reached, behind = len(alerting), hosts + 1
    price, said = (weights.alone + weights.unreported) / NAT, evidence.price(0) / NAT
    formula = price + log((behind + 1) * comb(behind, reached))
    assert abs(formula - said) < 0.01, f"the page's formula gives {formula}, the core {said}"
    pipeline = Pipeline(graph, Rulebook(profiles=Profiles(lambda _class: Profile(Nature.SYMPTOM))))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    reports = [
        Report(id=name, time=now, ci=name, class_="Unreachable", state="firing", severity="major") for name in alerting
    ]
    told = [*pipeline.advance(reports, 1 << 50), *pipeline.finish()]
    incidents = [decision for decision in told if isinstance(decision, records.Incident)]
    incidents.sort(key=lambda incident: (-incident.alerts, incident.root.ci))
    found = ", ".join(f"`{each.root.ci}` ({each.alerts} alert{'s'[: each.alerts > 1]})" for each in incidents)
    yield f"Price of `sw`: {price:.1f} + ln({behind + 1} · C({behind}, {reached})) = {said:.1f}."
    yield f"Roots found: {found}."
    yield ""


def rewrite() -> None:
    """Put what the commands print today into the pages."""
    readme = page("README.md")
    with tempfile.TemporaryDirectory() as directory:
        (shown,) = blocks(section("README.md", TRY), "json")
        (ROOT / "README.md").write_text(readme.replace(shown, replayed(Path(directory))), encoding="utf-8")
    text = page("docs/architecture.md")
    before, after = text.index(GENERATED) + len(GENERATED), text.index("<!-- end -->")
    (ROOT / "docs/architecture.md").write_text(text[:before] + worked_example() + text[after:], encoding="utf-8")


def test_the_shipped_estate_is_the_one_that_the_readme_speaks_of() -> None:
    graph = load_topology([ROOT / "topology"]).graph
    assert f"{len(graph)} CIs" in page("README.md")


if __name__ == "__main__":
    rewrite()
