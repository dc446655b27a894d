"""`opsbridge topology health`: what is wrong with the topology, from its files, a replay or the live topics."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from opsbridge.cli.findings import say_findings
from opsbridge.cli.options import (
    BootstrapServers,
    ConfigFile,
    DomainsBy,
    KnownErrors,
    Mappings,
    OutputFormat,
    Sets,
    Source,
    domain_attribute,
    settings_from,
)
from opsbridge.cli.output import Format, say, show_table, write_json

if TYPE_CHECKING:
    from opsbridge.cli.payloads import Reading
    from opsbridge.core.graph import CIGraph
    from opsbridge.review.told import Told
    from opsbridge.settings import Settings
    from opsbridge.topology.domains import DomainAttribute
    from opsbridge.topology.health import Health, HealthFinding, Observed
    from opsbridge.topology.live import Built, Snapshot

_SHOWN: Final = 50
"""So many findings of one severity are shown; JSON has all."""

_ENTITIES: Final = ("alerts", "shared", "situations", "discrepancies", "context")
"""What is read of the live topics."""


def health(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Topology files or directories; else paths.topology."),
    ] = None,
    *,
    replay: Annotated[
        str | None, typer.Option(metavar="EVENTS|DIR|-", help="Events that are run through the core to see.")
    ] = None,
    topic: Annotated[bool, typer.Option("--topic", help="See what the live topics tell.")] = False,
    read_as: Source = "auto",
    mappings: Mappings = None,
    rules: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Rule file or directory; may be repeated.")
    ] = None,
    known_errors: KnownErrors = None,
    domains_by: DomainsBy = None,
    output: OutputFormat = Format.TABLE,
    config: ConfigFile = None,
    bootstrap_servers: BootstrapServers = None,
    sets: Sets = None,
) -> None:
    """Find what is wrong with the topology: `opsbridge topology health topology/ --replay events.jsonl`.

    Exit code 0: nothing needs work; 1: something does; 2: files cannot be read or are not valid.
    """
    if replay is not None and topic:
        raise typer.BadParameter("give --replay or --topic, not both")
    if replay is None and not topic and (rules or known_errors):
        raise typer.BadParameter("--rules and --known-errors are about --replay and --topic")
    from opsbridge.cli.payloads import Reading
    from opsbridge.review.told import Told
    from opsbridge.topology.health import health as found_in

    settings = settings_from(config, bootstrap_servers, sets)
    asked = _Asked(
        paths or [settings.paths.topology],
        rules or [path for path in [settings.paths.rules] if topic and path.exists()],
        known_errors or (),
        domain_attribute(domains_by) or settings.correlation.domain_attribute,
    )
    told = Told()
    if topic:
        estate = asked.estate(asyncio.run(_hear(settings, told)))
    else:
        estate = asked.estate()
        if replay is not None:
            _replay(asked, estate.topology.graph, Reading(read_as, mappings or ()), replay, told)
    observed = _observed(told) if topic or replay is not None else None
    found = found_in(estate.topology.graph, estate.misfits, observed)
    if output is Format.JSON:
        figures = {"cis": found.cis, "dependencies": found.dependencies, "alarmed": found.alarmed}
        write_json({"sound": found.sound, **figures, "findings": found.findings})
    else:
        _show(found)
    if not found.sound:
        raise typer.Exit(1)


class _Asked(NamedTuple):
    """What a topology is to be made of."""

    topology: Sequence[Path]
    rules: Sequence[Path]
    known_errors: Sequence[Path]
    domains: "DomainAttribute | None"

    def estate(self, live: "Snapshot | None" = None) -> "Built":
        """Files and live records together, as far as they fit; raises what makes files unreadable or not valid."""
        from opsbridge.rules.compile import edge_strengths
        from opsbridge.rules.load import load_rules
        from opsbridge.topology.live import NOTHING, build
        from opsbridge.topology.load import EMPTY, read_stated
        from opsbridge.topology.strength import edge_costs

        stated, findings = read_stated(self.topology)
        say_findings(findings)
        costs = edge_costs(edge_strengths(load_rules(self.rules).rules))
        built = build(stated, NOTHING if live is None else live, edge_costs=costs, domain_attribute=self.domains)
        if not len(built.topology.graph):
            say(f"warning: {EMPTY}")
        return built


def _replay(asked: _Asked, graph: "CIGraph", reading: "Reading", events: str, told: "Told") -> None:
    """Run the events through the core, and let `told` hear what the topics would have."""
    from opsbridge.cli.replaying import Replay
    from opsbridge.rules.compile import compile_rules
    from opsbridge.rules.known_errors import load_known_errors
    from opsbridge.rules.load import load_rules

    files, known = load_rules(asked.rules), load_known_errors(asked.known_errors, required=True)
    say_findings((*files.findings, *known.findings))
    rules = compile_rules(files.rules, graph, known.errors)
    run = Replay(graph, rules.book, lambda: int(time.time() * 1000), records=told.hear)
    for _, payload in reading.events(events):
        run.read(payload)
    run.finish()


async def _hear(settings: "Settings", told: "Told") -> "Snapshot":
    """Let `told` hear the live topics to their end; what the `context` topic says of the topology now."""
    from opsbridge.core.context import Context
    from opsbridge.review.topics import held
    from opsbridge.stream.context import teach
    from opsbridge.topology.live import LiveTopology

    live = LiveTopology(round(settings.topology.observed_ttl * 1000))
    async for record in held(settings, _ENTITIES):
        if record.entity == "context":
            teach(Context(), live, record.key, record.value)
        else:
            told.hear(record)
    live.expire(int(time.time() * 1000))
    return live.snapshot()


def _observed(told: "Told") -> "Observed":
    """What happened, as the topics tell it."""
    from opsbridge.core.ids import incident_id
    from opsbridge.topology.health import Alarms, Failure, Observed

    alarms: dict[str, Alarms] = {}
    for change in told.transitions.values():
        if change.change == "opened":
            had = alarms.get(change.ci, Alarms(0, change.time_ms, change.time_ms))
            first, last = min(had.first, change.time_ms), max(had.last, change.time_ms)
            alarms[change.ci] = Alarms(had.count + 1, first, last)
    failures = [
        Failure(each.root.ci, each.opened_ms, incident_id(each.id))
        for each in told.situations.values()
        if each.merged_into is None
    ]
    return Observed(alarms, tuple(told.discrepancies.values()), failures)


def _show(found: "Health") -> None:
    alarmed = "" if found.alarmed is None else f", {found.alarmed} of them alarmed"
    sys.stdout.write(f"{found.cis} CIs{alarmed}; {found.dependencies} dependencies\n")
    for severity in ("error", "warning", "info"):
        rows = [each for each in found.findings if each.severity == severity]
        if rows:
            shown = f", the first {_SHOWN}" if len(rows) > _SHOWN else ""
            show_table(
                ["what", "about", "#times", "first", "last", "finding and evidence"],
                [(*_figures(each), "\n".join((each.what, *each.evidence))) for each in rows[:_SHOWN]],
                title=f"{severity}: {len(rows)}{shown}",
            )
    for kind, todo in dict.fromkeys((each.kind, each.todo) for each in found.findings):
        sys.stdout.write(f"{kind}: {todo}\n")
    if found.sound:
        sys.stdout.write("nothing needs work\n")


def _figures(finding: "HealthFinding") -> tuple[object, ...]:
    return finding.kind, finding.reference, finding.count or "", finding.first, finding.last
