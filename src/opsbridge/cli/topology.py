"""`opsbridge topology check`: whether topology files can be used, and what an operator should know of the estate."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from opsbridge.cli.findings import say_findings, stop_at_errors
from opsbridge.cli.options import DomainsBy, OutputFormat, domain_attribute
from opsbridge.cli.output import Format, show_table, write_json

if TYPE_CHECKING:
    from opsbridge.topology import Analysis

_SHOWN: Final = 20
"""So many domains are listed."""

app = typer.Typer(help="Look at topology files.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look at topology files."""


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories of them.")],
    domains_by: DomainsBy = None,
    output: OutputFormat = Format.TABLE,
) -> None:
    """Check topology files and show the estate: `opsbridge topology check topology/`.

    Exit code 0: fine; 1: usable, with warnings; 2: cannot be used.
    """
    from opsbridge.topology import TopologyError, analyse, load_topology

    try:
        topology = load_topology(paths, domain_attribute=domain_attribute(domains_by))
    except TopologyError as error:
        stop_at_errors(error, output)
    analysis = analyse(topology)
    if output is Format.JSON:
        write_json({"findings": topology.findings, "digest": topology.digest, "estate": analysis})
    else:
        _show(analysis)
    say_findings(topology.findings)
    if any(finding.level == "warning" for finding in topology.findings):
        raise typer.Exit(1)


def _show(estate: "Analysis") -> None:
    rows = [
        ("CIs", estate.cis),
        ("dependencies", estate.edges),
        ("of unknown direction", estate.undirected),
        ("redundancy groups", estate.groups),
        ("aliases", estate.aliases),
        ("services", estate.services),
        ("not monitored", estate.unmonitored),
        ("with a service time", estate.timed),
        ("correlation domains", len(estate.domains)),
        ("backbone (shared by domains)", estate.backbone),
        ("cycles (legal: they fail as one)", len(estate.cycles)),
        ("orphans (correlated alone)", len(estate.orphans)),
    ]
    show_table(["estate", "#count"], rows)
    if estate.types:
        show_table(["type", "#CIs"], estate.types)
    if any(kind for kind, _ in estate.edge_types):
        rows = [(kind or "(none)", count) for kind, count in estate.edge_types]
        show_table(["type of dependency", "#dependencies"], rows)
    if len(estate.domains) > 1:
        title = "Correlation domains" if len(estate.domains) <= _SHOWN else f"The {_SHOWN} largest correlation domains"
        show_table(["domain", "#CIs"], estate.domains[:_SHOWN], title=title)
    if estate.top_providers:
        show_table(
            ["provider", "type", "#direct dependents", "#all dependents"],
            [(each.ci, each.type, each.direct, each.dependents) for each in estate.top_providers],
            title="Who carries the most",
        )
    for cycle in estate.cycles[:10]:
        sys.stdout.write(f"cycle of {len(cycle)}: {', '.join(cycle[:10])}{', ...' if len(cycle) > 10 else ''}\n")
    if estate.orphans:
        shown = ", ".join(estate.orphans[:10])
        sys.stdout.write(f"orphans: {shown}{', ...' if len(estate.orphans) > 10 else ''}\n")
