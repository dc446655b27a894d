"""What the pages say against what the code has: every name in a catalogue, every link, flag and make target.

What the pages show as printed is compared in test_docs_examples.py.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest
import typer
import yaml
from aiokafka.structs import ConsumerRecord
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from pydantic_core import PydanticUndefined

from opsbridge import __version__
from opsbridge.cli.main import app
from opsbridge.core import context, decisions, feedback, records
from opsbridge.core.decisions import Outcome, Reject, Rejected, Withheld
from opsbridge.core.event import SEVERITIES, SIGNIFICANCES
from opsbridge.core.intake import Report
from opsbridge.core.response.lifecycle import Refused
from opsbridge.core.second_level.situations import TRANSITIONS
from opsbridge.gateway.metrics import GatewayMetrics
from opsbridge.rules.language.model import MODELS, RuleDocument
from opsbridge.rules.matching.conditions import _OPERATORS, FIELDS, LABELS
from opsbridge.settings import ENV_PREFIX, KafkaSettings, Settings
from opsbridge.settings.sections import Section
from opsbridge.stream.dead_letters import KEPT_BYTES, bury
from opsbridge.stream.outbox import BatchWriter, Outbox
from opsbridge.stream.topics import CATALOGUE
from opsbridge.syslog.metrics import SyslogMetrics
from opsbridge.topology.health import FindingKind
from opsbridge.topology.model import CIEntry, TopologyDocument
from opsbridge.web.metrics import Metrics
from pages import PAGES, ROOT, blocks, names, page, prose, section, tables

# catalogues


def headers_of_a_dead_letter() -> list[str]:
    outbox = Outbox(BatchWriter(KafkaSettings()))
    record: ConsumerRecord[bytes | None, bytes | None]
    record = ConsumerRecord("t", 0, 7, 0, 0, b"k", b"x" * (KEPT_BYTES + 1), None, 1, 1, (("own", b"1"),))
    bury(outbox, "dlq", record, Rejected(Reject.TOO_LARGE, "why"), "intake")
    (((_, _, (_, _, headers, _))),) = outbox._pending
    return [name for name, _ in headers or [] if name != "own"]


CATALOGUES: Final[dict[str, tuple[list[str], list[str]]]] = {
    "reasons to reject": (names("docs/events.md", "Why a record is no event"), [str(reason) for reason in Reject]),
    "outcomes": (names("docs/events.md", "Where an event ends", 1), [str(outcome) for outcome in Outcome]),
    "fields of an event": (
        names("docs/events.md", "Fields"),
        [field.encode_name for field in msgspec.structs.fields(Report)],
    ),
    "fields of a CI": (names("docs/topology.md", "A CI"), list(CIEntry.model_fields)),
    "fields of a topology": (names("docs/topology.md", "A CI", 1), list(TopologyDocument.model_fields)),
    "kinds of findings about a topology": (
        names("docs/topology-health.md", "What is found"),
        list(get_args(FindingKind)),
    ),
    "kinds of discrepancies": (
        [name for name in names("docs/topology-health.md", "What is found") if name != "never_seen"],
        list(get_args(decisions.DiscrepancyKind)),
    ),
    "kinds of rules": (
        [name.strip("[`").split("`")[0] for name in names("docs/rules.md", "Kinds")],
        [str(kind) for kind in MODELS],
    ),
    "fields of rules": (
        names("docs/rules.md", "All fields"),
        [
            field.alias or key
            for shapes in MODELS.values()
            for model in shapes
            for key, field in model.model_fields.items()
        ],
    ),
    "fields to match": (names("docs/rules.md", "Matching"), [*FIELDS, "state", f"{LABELS}NAME"]),
    "comparisons": (names("docs/rules.md", "Matching", 1), list(_OPERATORS)),
    "topics": (names("docs/topics.md", "Topics"), [entity.name for entity in CATALOGUE]),
    "headers of dead letters": (names("docs/topics.md", "Dead letters"), headers_of_a_dead_letter()),
    "kinds of feedback": (
        names("docs/topics.md", "Feedback"),
        [str(kind.__struct_config__.tag) for kind in feedback.Feedback.__args__],
    ),
    "reasons why feedback changes nothing": (names("docs/topics.md", "Feedback", 1), [str(why) for why in Refused]),
    "fields of a change record": (
        names("docs/topics.md", "Context"),
        ["kind", *(field.encode_name for field in msgspec.structs.fields(context.ChangeRecord))],
    ),
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
        ("Incidents", records.Incident),
        ("Incident members", records.IncidentMembers),
        ("Problems", records.Problem),
        ("Changes and requests", records.ChangeRequest),
        ("Changes and requests", records.ServiceRequest),
        ("Responses", records.Response),
        ("Notifications", records.Notification),
        ("Alerts", decisions.Transition),
        ("Discrepancies", decisions.Discrepancy),
        ("Suppressed", decisions.Suppressed),
        ("Shadow", decisions.Shadowed),
    )
}


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_a_catalogue_is_documented_name_by_name(catalogue: str) -> None:
    told, real = CATALOGUES[catalogue]
    assert sorted(told) == sorted(set(real))


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
    assert set(RuleDocument.model_fields) == {"version", "rules", "tables"}  # said in a sentence


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
            for line in re.findall(r"(?:^|\| |exec worker )(opsbridge [^|<>#\n]+)", block, re.MULTILINE):
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


def test_the_changelog_has_this_version() -> None:
    assert f"\n## [{__version__}]" in page("CHANGELOG.md")


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
    project = tomllib.loads(page("pyproject.toml"))["project"]
    listed = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    packages = {re.split(r"[<>=]", each)[0] for each in listed} - {"opsbridge[demo]"}
    assert "msgspec" in packages
    assert [package for package in sorted(packages) if f"`{package}`" not in text] == []


def exposed() -> set[str]:
    """The names under which the metrics of a worker, a gateway and a syslog listener can be asked for."""
    registries = Metrics(CollectorRegistry()).registry, GatewayMetrics().registry, SyslogMetrics().registry
    text = "".join(generate_latest(each).decode() for each in registries)  # type: ignore[no-untyped-call] # no types
    families = re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE)
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
