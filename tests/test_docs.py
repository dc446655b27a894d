"""What the pages say against what the code has: every name in a catalogue, every link, every command, every printed output.

`python tests/test_docs.py` writes the outputs that the pages show (the README's replay, the example of root choice) anew;
the tests compare them, so a page cannot go on showing what is no longer true.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pytest
import typer
import yaml
from aiokafka.structs import ConsumerRecord
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from pydantic_core import PydanticUndefined

from opsbridge.cli.main import app
from opsbridge.core import decisions
from opsbridge.core.decisions import Outcome, Reject, Rejected, Withheld
from opsbridge.core.event import SEVERITIES, SIGNIFICANCES
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.intake import Report
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.roots import ALONE, NAT, UNREPORTED, WEIGHT, Evidence
from opsbridge.core.situations import TRANSITIONS
from opsbridge.rules.conditions import _OPERATORS, FIELDS, LABELS
from opsbridge.rules.model import MODELS, RuleDocument
from opsbridge.settings import ENV_PREFIX, KafkaSettings, Section, Settings
from opsbridge.stream.dead_letters import KEPT_BYTES, bury
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.topics import CATALOGUE
from opsbridge.topology import load_topology
from opsbridge.topology.model import CIEntry, TopologyDocument
from opsbridge.web.metrics import Metrics

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ROW: Final = re.compile(r"^\|(.*)\|$")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """What stands under a heading, to the next one of its level or above."""
    lines = prose(page(name))
    start = next(at for at, line in enumerate(lines) if line.lstrip("# ") == heading and line.startswith("#"))
    level = len(lines[start]) - len(lines[start].lstrip("#"))
    ends = (at for at, line in enumerate(lines[start + 1 :], start + 1) if re.match(rf"#{{1,{level}}} ", line))
    return "\n".join(page(name).splitlines()[start + 1 : next(ends, len(lines))])


def prose(text: str) -> list[str]:
    """The lines, blank where a block of code is."""
    inside = False
    lines = []
    for line in text.splitlines():
        fence = line.startswith("```")
        lines.append("" if inside or fence else line)
        inside ^= fence
    return lines


def tables(text: str) -> Iterator[list[list[str]]]:
    """Every table, its rows as lists of cells, without head."""
    rows: list[list[str]] = []
    for line in [*prose(text), ""]:
        if match := ROW.match(line):
            rows.append([cell.strip() for cell in match.group(1).split(" | ")])
        elif rows:
            yield rows[2:]
            rows = []


def names(name: str, heading: str, number: int = 0) -> list[str]:
    """The first column of a table under a heading, without its code quotes."""
    return [row[0].strip("`") for row in list(tables(section(name, heading)))[number]]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# catalogues


def headers_of_a_dead_letter() -> list[str]:
    outbox = Outbox(BatchWriter(KafkaSettings()))
    record = ConsumerRecord("t", 0, 7, 0, 0, b"k", b"x" * (KEPT_BYTES + 1), None, 1, 1, (("own", b"1"),))
    bury(outbox, "dlq", record, Rejected(Reject.TOO_LARGE, "why"))
    (((_, _, (_, _, headers, _))),) = outbox._pending
    return [name for name, _ in headers or [] if name != "own"]


CATALOGUES: Final = {
    "reasons to reject": (names("docs/events.md", "Why a record is no event"), list(Reject)),
    "outcomes": (names("docs/events.md", "Where an event ends", 1), list(Outcome)),
    "fields of an event": (
        names("docs/events.md", "Fields"),
        [field.encode_name for field in msgspec.structs.fields(Report)],
    ),
    "fields of a CI": (names("docs/topology.md", "A CI"), list(CIEntry.model_fields)),
    "fields of a topology": (names("docs/topology.md", "A CI", 1), list(TopologyDocument.model_fields)),
    "kinds of rules": (names("docs/rules.md", "Kinds"), list(MODELS)),
    "fields of rules": (
        names("docs/rules.md", "Kinds", 1),
        ["id", "kind", *(key for model in MODELS.values() for key in model.model_fields if key not in ("id", "kind"))],
    ),
    "fields to match": (names("docs/rules.md", "Matching"), [*FIELDS, f"{LABELS}NAME"]),
    "comparisons": (names("docs/rules.md", "Matching", 1), list(_OPERATORS)),
    "topics": (names("docs/topics.md", "Topics"), [entity.name for entity in CATALOGUE]),
    "headers of dead letters": (names("docs/topics.md", "Dead letters"), headers_of_a_dead_letter()),
    "members": (
        names("docs/topics.md", "Incident members", 1),
        [field.encode_name for field in msgspec.structs.fields(decisions.Member)],
    ),
} | {
    f"fields of {struct.__name__}": (
        names("docs/topics.md", heading),
        [field.encode_name for field in msgspec.structs.fields(struct)],
    )
    for heading, struct in (
        ("Incidents", decisions.Incident),
        ("Incident members", decisions.IncidentMembers),
        ("Alerts", decisions.Transition),
        ("Discrepancies", decisions.Discrepancy),
    )
}


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_a_catalogue_is_documented_name_by_name(catalogue: str) -> None:
    told, real = CATALOGUES[catalogue]
    assert sorted(told) == sorted(set(map(str, real)))


def test_the_places_where_an_event_ends_are_documented() -> None:
    places = {row[0].strip("`"): row[1] for row in next(tables(section("docs/events.md", "Where an event ends")))}
    withheld = next(field for field in msgspec.structs.fields(Withheld) if field.name == "place").type
    assert set(places) == {"dead_letter", "alert", "expired", *withheld.__args__}
    expired = next(field for field in msgspec.structs.fields(decisions.Expired) if field.name == "reason").type
    assert all(f"`{reason}`" in places["expired"] for reason in expired.__args__)


def test_topics_are_documented_with_key_cleanup_and_company() -> None:
    told = [[cell.strip("`") for cell in row[:4]] for row in next(tables(section("docs/topics.md", "Topics")))]
    assert told == [[entity.name, entity.key, entity.cleanup, entity.together or ""] for entity in CATALOGUE]


def test_severities_and_significances_are_documented() -> None:
    assert all(f"`{name}`" in page("docs/rules.md") for name in (*SEVERITIES, *SIGNIFICANCES))
    assert set(RuleDocument.model_fields) == {"version", "rules"}  # said in a sentence


def settings() -> Iterator[tuple[str, str, str]]:
    """Name, default as documented, and variable of every setting."""
    for group, held in Settings.model_fields.items():
        model = held.annotation
        assert isinstance(model, type)
        assert issubclass(model, Section)
        for key, field in model.model_fields.items():
            default = field.default if field.default is not PydanticUndefined else None
            text = {True: "`true`", False: "`false`"}.get(default) if isinstance(default, bool) else f"`{default}`"
            missing = default is None or default == ()
            yield f"`{group}.{key}`", "none" if missing else str(text), f"`{ENV_PREFIX}{group}__{key}`".upper()


def test_every_setting_is_documented_with_default_and_variable() -> None:
    told = [tuple(row[:3]) for table in tables(page("docs/settings.md")) for row in table]
    assert told == list(settings())


def test_every_transition_of_a_situation_is_drawn_and_no_other() -> None:
    (drawing,) = blocks(section("docs/architecture.md", "Life-cycle of a situation"), "mermaid")
    drawn = re.findall(r"^    (\S+) --> (\S+)", drawing, re.MULTILINE)
    ended = [(status, "[*]") for status, after in TRANSITIONS.items() if not after]
    steps = [(status, other) for status, after in TRANSITIONS.items() for other in after]
    assert sorted(drawn) == sorted([("[*]", "open"), *ended, *steps])


def commands(group: typer.core.TyperGroup, above: str = "opsbridge") -> Iterator[tuple[str, set[str]]]:
    """Every command as it is typed, with its flags."""
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, f"{above} {name}")
        else:
            yield f"{above} {name}", {flag for parameter in command.params for flag in parameter.opts} | {"--help"}


def all_commands() -> dict[str, set[str]]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return dict(commands(group))


def test_every_command_is_documented() -> None:
    text = page("docs/cli.md")
    assert [command for command in all_commands() if f"**`{command}" not in text] == []


def test_commands_on_the_pages_exist_and_have_the_flags_shown() -> None:
    known, seen = all_commands(), 0
    for path in PAGES:
        for block in blocks(path.read_text(encoding="utf-8"), "sh"):
            for line in re.findall(r"(?:^|\| |exec worker )(opsbridge [^|<>#]+)", block, re.MULTILINE):
                command = max((each for each in known if f"{line} ".startswith(f"{each} ")), key=len, default=None)
                assert command, f"{path.name}: {line}"
                assert set(re.findall(r"\s(--?[a-z][a-z-]*)", line)) <= known[command], f"{path.name}: {line}"
                seen += 1
    assert seen > 5


def test_every_make_target_on_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    told = {
        target
        for path in PAGES
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert told >= {"demo", "test", "check", "bench", "kafka-test", "up", "down"}
    assert told <= targets


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings have."""
    headings = (line.lstrip("#").strip() for line in prose(path.read_text(encoding="utf-8")) if line.startswith("#"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_local_link_leads_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", "\n".join(prose(path.read_text(encoding="utf-8")))):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        there = (path.parent / target).resolve() if target else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        links = re.findall(r"\]\(([^)\s#]+)", path.read_text(encoding="utf-8"))
        waiting += [(path.parent / link).resolve() for link in links if "://" not in link]
    assert [path.name for path in PAGES if path not in reached] == []


# dependencies and monitoring


def test_every_dependency_is_justified() -> None:
    text = page("docs/decisions/0002-dependencies.md")
    project = page("pyproject.toml")
    listed = re.findall(r'^    "([A-Za-z][\w.-]*)', project[: project.index("[project.scripts]")], re.MULTILINE)
    assert "msgspec" in listed
    assert [name for name in listed if name != "opsbridge" and f"`{name}`" not in text] == []
    assert "`kio`" in text


def exposed() -> set[str]:
    """The names under which a worker's metrics can be asked for."""
    metrics = Metrics(CollectorRegistry())
    families = re.findall(r"^# TYPE (\S+) (\S+)", generate_latest(metrics.registry).decode(), re.MULTILINE)
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
    return {name + ending for name, kind in families for ending in endings.get(kind, [""])}


def alert_rules() -> list[dict[str, str]]:
    (group,) = yaml.safe_load(page("monitoring/alerts.yaml"))["groups"]
    rules: list[dict[str, str]] = group["rules"]
    return rules


def test_alerts_ask_for_metrics_that_exist() -> None:
    known = exposed()
    asked = {name for rule in alert_rules() for name in re.findall(r"\b(?:opsbridge|process)_\w+", rule["expr"])}
    assert len(asked) > 8
    assert asked - known == set()


def test_every_alert_is_documented_with_what_to_do() -> None:
    assert names("docs/operations.md", "Health") == [rule["alert"] for rule in alert_rules()]


# what the pages print


def test_the_consumer_example_compiles_and_reads_topics_that_exist() -> None:
    (example,) = blocks(section("docs/topics.md", "A consumer"), "python")
    compile(example, "docs/topics.md", "exec")
    read = re.findall(r'"opsbridge\.([a-z-]+)\.v1"', example)
    assert set(read) <= {entity.name for entity in CATALOGUE}
    assert len(read) == 2


@pytest.mark.parametrize(
    ("name", "command", "file"),
    [("docs/topology.md", "topology", "bad.yaml"), ("docs/rules.md", "rules", "badrules.yaml")],
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


def run(command: list[str], where: Path, more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command line as somebody in a virtual environment types it, without settings of their own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    return subprocess.run(
        command, cwd=where, env=clean | {"PATH": path} | (more or {}), capture_output=True, text=True, timeout=60, check=False
    )


TRY: Final = "Try it on a file"
GENERATED: Final = "<!-- generated: python tests/test_docs.py -->\n"


def replayed(where: Path) -> str:
    """What the commands of the README's example print."""
    *_, script = blocks(section("README.md", TRY), "sh")
    done = run(["bash", "-euo", "pipefail", "-c", script], where)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_replay_prints_what_is_shown(tmp_path: Path) -> None:
    (shown,) = blocks(section("README.md", TRY), "json")
    assert replayed(tmp_path) == shown


def test_the_example_of_root_choice_is_what_the_core_computes() -> None:
    text = page("docs/architecture.md")
    assert text[text.index(GENERATED) + len(GENERATED) : text.index("<!-- end -->")] == worked_example()


def worked_example() -> str:
    """The page's example of root choice: one switch with its hosts, seen in three ways."""
    return "\n".join(
        [
            f"Any failure costs {ALONE / NAT:g} nats, and a monitored CI that sent nothing {UNREPORTED / NAT:.1f} more. There is a switch `sw`",
            "with hosts `h1`, `h2`, ... behind it, and a shop on `h1`. The switch sends nothing.",
            "",
            *_weighed("Three of three hosts and the shop alert", 3, ["h1", "h2", "h3", "shop"]),
            *_weighed("The same, with nine more hosts that are silent", 12, ["h1", "h2", "h3", "shop"]),
            *_weighed("All of these twelve hosts but one, and the shop", 12, [*(f"h{n}" for n in range(1, 12)), "shop"]),
        ]
    )


def _weighed(title: str, hosts: int, alerting: list[str]) -> Iterator[str]:
    """What speaks for and against each candidate, and what the core makes of it."""
    ids = ["sw", *(f"h{number}" for number in range(1, hosts + 1)), "shop"]
    numbers = {name: number for number, name in enumerate(ids)}
    edges = [(numbers[name], 0) for name in ids[1:-1]]
    graph = CIGraph([CI(id=name) for name in ids], [*edges, (numbers["shop"], numbers["h1"])])
    evidence = Evidence(graph)
    for at, name in enumerate(alerting):
        evidence.add(numbers[name], at)
    yield f"{title}:"
    yield ""
    yield "| candidate | CIs it explains | worth | cost | worth - cost |"
    yield "| --- | --- | --- | --- | --- |"
    for name in ("sw", "h1", "h2", "shop"):
        node = numbers[name]
        hops = {other: at for other in alerting for at, level in enumerate(graph.upstream(numbers[other])) if node in level}
        worth, cost = sum(WEIGHT[at] for at in hops.values()) * ALONE / 1000, evidence.cost(node)
        yield f"| `{name}` | {len(hops)} | {worth / NAT:.1f} | {cost / NAT:.1f} | {(worth - cost) / NAT:+.1f} |"
    yield ""
    pipeline = Pipeline(graph, lambda _event, _ci: None)
    reports = [
        Report(name, datetime(2026, 1, 1, tzinfo=UTC), name, "Down", state="firing", severity="major") for name in alerting
    ]
    told = [*pipeline.advance(reports, 1 << 50), *pipeline.finish()]
    incidents = [decision for decision in told if isinstance(decision, decisions.Incident)]
    found = ", ".join(f"`{each.root.ci}` ({each.alerts} alerts)" for each in sorted(incidents, key=lambda one: -one.alerts))
    yield f"Roots found: {found}."
    yield ""


def rewrite() -> None:
    """Put what the commands print today into the pages."""
    import tempfile

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
